"""Linux kernels that do not unpack themselves, made from those that do.

A bzImage holds the kernel proper packed, behind a program that unpacks it. What stands here unpacks it beforehand: of a
64-bit kernel comes the ELF file that was packed, which loaders enter at its 64-bit entry. A 32-bit kernel is laid out as it
lies in memory, behind the setup header of its bzImage: a bzImage once more, whose 32-bit entry is the kernel's own.

Spec: Linux "The Linux/x86 Boot Protocol".
"""

import lzma
import struct
import zlib

from .status import refuse

SECTOR_BYTES = 512
SETUP_SECTORS, SETUP_SECTORS_DEFAULT = 0x1F1, 4
SYSSIZE, LOADFLAGS, RELOCATABLE, XLOADFLAGS = 0x1F4, 0x211, 0x234, 0x236
PAYLOAD_OFFSET, PAYLOAD_LENGTH, PREFERRED, INIT_SIZE = 0x248, 0x24C, 0x258, 0x260
HEADER_END = 0x268
PARAGRAPH_BYTES = 16

ELF_MAGIC = b"\x7fELF"
CLASS_32, CLASS_64 = 1, 2
PT_LOAD = 1

XZ_MAGIC, GZIP_MAGIC = b"\xfd7zXZ\x00", b"\x1f\x8b"


def unpacked(image):
    """A kernel that starts at once, from the bzImage of these bytes."""
    if len(image) < HEADER_END or image[0x202:0x206] != b"HdrS":
        raise refuse("the kernel is no bzImage: it cannot be unpacked")
    start = ((image[SETUP_SECTORS] or SETUP_SECTORS_DEFAULT) + 1) * SECTOR_BYTES
    offset, length = struct.unpack_from("<II", image, PAYLOAD_OFFSET)
    kernel = _decompress(image[start + offset:start + offset + length])
    if kernel[:4] != ELF_MAGIC or kernel[4] not in (CLASS_32, CLASS_64):
        raise refuse("what the kernel's bzImage holds is no ELF file")
    return kernel if kernel[4] == CLASS_64 else _bzimage(image[:start], kernel)


def _decompress(payload):
    if payload.startswith(XZ_MAGIC):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(GZIP_MAGIC):
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(payload)
    raise refuse("the kernel's bzImage is packed by neither xz nor gzip")


def _bzimage(setup, kernel):
    """A bzImage of the memory that the ELF32 file @kernel describes, behind @setup with a header that tells so."""
    entry, table = struct.unpack_from("<II", kernel, 24)
    size, count = struct.unpack_from("<HH", kernel, 42)
    segments = [struct.unpack_from("<6I", kernel, table + at * size) for at in range(count)]
    loads = [(address, kernel[offset:offset + in_file], address + in_memory)
             for kind, offset, _, address, in_file, in_memory in segments if kind == PT_LOAD]
    low, high = min(load[0] for load in loads), max(load[2] for load in loads)
    if entry != low:
        raise refuse("the kernel does not start where its entry is")
    memory = bytearray(max(address + len(data) for address, data, _ in loads) - low)
    for address, data, _ in loads:
        memory[address - low:address - low + len(data)] = data
    memory += bytes(-len(memory) % PARAGRAPH_BYTES)
    header = bytearray(setup)
    struct.pack_into("<I", header, SYSSIZE, len(memory) // PARAGRAPH_BYTES)
    header[RELOCATABLE] = 0
    struct.pack_into("<H", header, XLOADFLAGS, 0)
    struct.pack_into("<II", header, PAYLOAD_OFFSET, 0, 0)
    struct.pack_into("<Q", header, PREFERRED, low)
    struct.pack_into("<I", header, INIT_SIZE, high - low)
    return bytes(header + memory)
