"""Tiny multiboot kernels, made here byte by byte: one program segment, a header, a few instructions."""

import struct

LOAD_ADDRESS = 0x400000
MULTIBOOT_MAGIC = 0x1BADB002
ELF_HEADER_BYTES, PROGRAM_HEADER_BYTES = 52, 32
EM_386, EM_X86_64 = 3, 62

# mov al, value; out 0xF4, al; then wait without interrupts, for a machine whose debug-exit does nothing
DEBUG_EXIT = bytes([0xB0, 0x00, 0xE6, 0xF4, 0xFA, 0xF4])
# An interrupt table with no entries, then an exception: neither it, nor the double fault after it, can be delivered.
TRIPLE_FAULT = bytes([0x6A, 0x00, 0x6A, 0x00, 0x0F, 0x01, 0x1C, 0x24, 0xCC])
# cli; hlt: waits for what never comes.
HALT = bytes([0xFA, 0xF4, 0xEB, 0xFC])
# A loop on itself.
HANG = bytes([0xEB, 0xFE])
# mov esp, a place behind the code: for instructions that push
STACK = bytes([0xBC]) + struct.pack("<I", LOAD_ADDRESS + 0x8000)


def debug_exit(value):
    """Instructions that write the byte @value to the debug-exit port."""
    return DEBUG_EXIT[:1] + bytes([value]) + DEBUG_EXIT[2:]


def write_port(port, value):
    """Instructions that write the byte @value to @port."""
    return bytes([0x66, 0xBA]) + struct.pack("<H", port) + bytes([0xB0, value, 0xEE])


def say(text):
    """Instructions that set COM1 to eight bits and send @text, taking its transmitter for ready."""
    return write_port(0x3FB, 3) + b"".join(write_port(0x3F8, byte) for byte in text.encode())


def kernel(code, machine=EM_386, load=LOAD_ADDRESS, entry=None):
    """An ELF32 image with a multiboot header that runs @code with a stack, in memory of its own."""
    header = struct.pack("<III", MULTIBOOT_MAGIC, 0, -MULTIBOOT_MAGIC & 0xFFFFFFFF)
    offset = ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES
    text = header + STACK + code
    start = load + len(header) if entry is None else entry
    ident = b"\x7fELF" + bytes([1, 1, 1]) + bytes(9)
    elf = ident + struct.pack("<HHIIIIIHHHHHH", 2, machine, 1, start, ELF_HEADER_BYTES, 0, 0, ELF_HEADER_BYTES,
                              PROGRAM_HEADER_BYTES, 1, 0, 0, 0)
    program = struct.pack("<IIIIIIII", 1, offset, load, load, len(text), 0x10000, 7, 4)
    return elf + program + text
