"""ELF cores made here byte by byte, as QEMU writes them or with headers that lie.

Spec: System V ABI "ELF Header", "Program Header", "Note Section"; the note named QEMU is struct QEMUCPUState of QEMU's
target/i386/arch_dump.c, version 1: version and size, sixteen registers, rip and rflags, ten segments, five control registers.
"""

import struct

ET_CORE, EM_386, EM_X86_64, EM_AARCH64 = 4, 3, 62, 183
PT_LOAD, PT_NOTE = 1, 4
HEADER_BYTES, PROGRAM_BYTES = 64, 56
PAGE = 4096

# Long mode as Linux has it.
CR0, CR4, EFER = 0x80050033, 0x6F0, 0xD01
LONG_MODE_CODE = 0x00AF9B00

NOTE_STATE_BYTES = 440


def header(programs, machine=EM_X86_64, offset=HEADER_BYTES, entry_bytes=PROGRAM_BYTES, ident=b"\x7fELF\2\1\1"):
    """An ELF64 header that tells of @programs program headers at @offset."""
    return ident.ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", ET_CORE, machine, 1, 0, offset, 0, 0, HEADER_BYTES,
                                                entry_bytes, programs, 0, 0, 0)


def program(kind, offset, address, in_file, in_memory=None):
    """A program header."""
    in_memory = in_file if in_memory is None else in_memory
    return struct.pack("<IIQQQQQQ", kind, 7, offset, 0, address, in_file, in_memory, 0)


def note(name, kind, data, name_bytes=None, data_bytes=None):
    """A note, which says of itself that it has @name_bytes and @data_bytes."""
    text = name.encode() + b"\0"
    sizes = (len(text) if name_bytes is None else name_bytes, len(data) if data_bytes is None else data_bytes, kind)
    return struct.pack("<III", *sizes) + text + bytes(-len(text) % 4) + data + bytes(-len(data) % 4)


def state(cr3, version=1, size=NOTE_STATE_BYTES):
    """QEMU's note of a processor in long mode whose tables are at @cr3."""
    words = struct.pack("<II", version, size) + bytes(18 * 8)
    code = struct.pack("<IIIIQ", 0x10, 0xFFFFFFFF, LONG_MODE_CODE, 0, 0)
    words += code + bytes(9 * len(code)) + struct.pack("<5Q", CR0, 0, 0, cr3, CR4)
    return note("QEMU", 0, words + bytes(NOTE_STATE_BYTES - len(words)))


def core(notes, memory, address=0):
    """A whole core of @memory (bytes) from physical @address on."""
    at = HEADER_BYTES + 2 * PROGRAM_BYTES
    start = -(-(at + len(notes)) // PAGE) * PAGE
    head = header(2) + program(PT_NOTE, at, 0, len(notes)) + program(PT_LOAD, start, address, len(memory))
    return (head + notes).ljust(start, b"\0") + memory


def chain(root, virtual, target):
    """The four entries, as (physical address, value), by which tables at @root and the three pages behind map one page."""
    shifts = (39, 30, 21, 12)
    values = [root + PAGE, root + 2 * PAGE, root + 3 * PAGE, target]
    return [(root + at * PAGE + (virtual >> shift & 511) * 8, value | 7) for at, (shift, value) in enumerate(zip(shifts, values))]


def tables(virtual, target):
    """Memory of four pages from address 0 on, which map one page."""
    memory = bytearray(4 * PAGE)
    for address, value in chain(0, virtual, target):
        struct.pack_into("<Q", memory, address, value)
    return bytes(memory)
