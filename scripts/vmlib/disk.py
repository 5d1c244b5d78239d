"""A disk that boots one image by the multiboot protocol without a boot loader's own work: scripts/disk/loader.S, a list, data.

The image's segments, the modules and the multiboot information get their places in memory here; the loader copies them there.
Much faster than a boot loader's file systems and menus, on an emulator that executes each of their instructions.
"""

import dataclasses
import pathlib
import struct

from . import places
from .status import refuse

SECTOR_BYTES = 512
PAGE_BYTES = 4096

# A geometry that firmware and emulator take for any size.
HEADS, SECTORS_PER_TRACK = 16, 63
CYLINDER_BYTES = HEADS * SECTORS_PER_TRACK * SECTOR_BYTES

# As scripts/disk/loader.S has them.
LIST_SECTORS = 16
MAP_ADDRESS = 0x1000
INFO_ADDRESS = 0x10000
INFO_LIMIT = 0x80000

# What lies between two pieces of data and is shorter than this goes to the disk, zeros or not.
SMALLEST_GAP = 64 << 10

BOOTED_MAGIC = 0x2BADB002
HEADER_MAGIC = 0x1BADB002
HEADER_SEARCH_BYTES = 8192
INFO_BYTES, MODULE_BYTES = 116, 16
FLAG_COMMAND, FLAG_MODULES, FLAG_MAP, FLAG_LOADER = 1 << 2, 1 << 3, 1 << 6, 1 << 9
LOADER_NAME = "vmmu's disk"

# An odd number of MiB: guests like even ones, and a copy between two addresses that share an entry of the emulator's TLB, one
# of some thousands by the page's number, is many times slower than others.
LOWEST_MODULE = 0x500000
BELOW_4G = 1 << 32

ELF_IDENT = b"\x7fELF\x01\x01"
PT_LOAD = 1


@dataclasses.dataclass
class Plan:
    """What the loader is to do: pieces as (address, bytes), and what it enters the image with."""

    pieces: list
    magic: int
    info: int
    entry: int


def multiboot(image, words, modules):
    """The Plan that enters the ELF32 @image (a path) with the command line @words and @modules, (path, words) each."""
    pieces, entry, end = _segments(pathlib.Path(image).read_bytes(), image)
    low = _Strings()
    command = low.add(words)
    at = max(LOWEST_MODULE, _page_up(end))
    table = b""
    for path, text in modules:
        data = pathlib.Path(path).read_bytes()
        pieces.append((at, data))
        table += struct.pack("<4I", at, at + len(data), low.add(text), 0)
        at = _page_up(at + len(data))
    if at >= BELOW_4G:
        raise refuse("the image and its modules do not fit below 4 GiB")
    name = low.add(LOADER_NAME)
    modules_at = low.align(MODULE_BYTES)
    info = bytearray(INFO_BYTES)
    struct.pack_into("<I", info, 0, FLAG_COMMAND | FLAG_MODULES | FLAG_MAP | FLAG_LOADER)
    struct.pack_into("<III", info, 16, command, len(modules), modules_at)
    struct.pack_into("<II", info, 44, 0, MAP_ADDRESS)
    struct.pack_into("<I", info, 64, name)
    pieces.append((INFO_ADDRESS, bytes(info) + low.bytes() + table))
    if INFO_ADDRESS + len(pieces[-1][1]) > INFO_LIMIT:
        raise refuse("the command lines of the image and its modules are too long")
    return Plan(pieces, BOOTED_MAGIC, INFO_ADDRESS, entry)


def write(path, plan):
    """Write the disk that carries out @plan to @path; its number of cylinders."""
    gap = SMALLEST_GAP
    records = _records(plan.pieces, gap)
    while len(records) > _most_records():
        gap *= 2
        records = _records(plan.pieces, gap)
    listed = struct.pack("<3I", plan.magic, plan.info, plan.entry)
    sector = 1 + LIST_SECTORS
    with open(path, "wb") as disk:
        disk.write(places.DISK_LOADER.read_bytes())
        for address, data in records:
            disk.seek(sector * SECTOR_BYTES)
            disk.write(data)
            count = -(-len(data) // SECTOR_BYTES)
            listed += struct.pack("<3I", sector, count, address)
            sector += count
        disk.seek(SECTOR_BYTES)
        disk.write(listed)
        cylinders = -(-sector * SECTOR_BYTES // CYLINDER_BYTES)
        disk.truncate(cylinders * CYLINDER_BYTES)
    return cylinders


class _Strings:
    """The strings behind the multiboot information, each with its address."""

    def __init__(self):
        self._data = b""

    def add(self, text):
        at = INFO_ADDRESS + INFO_BYTES + len(self._data)
        self._data += text.encode("utf-8", "surrogateescape") + b"\0"
        return at

    def align(self, boundary):
        """The next address that is a multiple of @boundary, from which on others may use memory."""
        self._data += bytes(-(INFO_BYTES + len(self._data)) % boundary)
        return INFO_ADDRESS + INFO_BYTES + len(self._data)

    def bytes(self):
        return self._data


def _segments(data, image):
    """The loadable segments of an ELF32 file as pieces, its entry, and where its memory ends."""
    if data[:len(ELF_IDENT)] != ELF_IDENT or len(data) < 52:
        raise refuse(f"{image} is not a 32-bit ELF file, which the loader needs")
    entry, table = struct.unpack_from("<II", data, 24)
    size, count = struct.unpack_from("<HH", data, 42)
    pieces, end = [], 0
    for number in range(count):
        at = table + number * size
        if at + 32 > len(data):
            raise refuse(f"{image} is shorter than its headers say")
        kind, offset, _, address, in_file, in_memory = struct.unpack_from("<6I", data, at)
        if kind == PT_LOAD:
            if offset + in_file > len(data):
                raise refuse(f"{image} is shorter than its headers say")
            pieces.append((address, data[offset:offset + in_file]))
            end = max(end, address + in_memory)
    return pieces, entry, end


def _records(pieces, gap):
    """The parts of @pieces that are no zeros, in whole pieces of @gap bytes."""
    zeros = bytes(gap)
    records = []
    for address, data in pieces:
        start = None
        for at in range(0, len(data), gap):
            if data[at:at + gap] != zeros[:len(data) - at]:
                start = at if start is None else start
            elif start is not None:
                records.append((address + start, data[start:at]))
                start = None
        if start is not None:
            records.append((address + start, data[start:]))
    return records


def _most_records():
    return (LIST_SECTORS * SECTOR_BYTES - 12) // 12 - 1


def _page_up(address):
    return -(-address // PAGE_BYTES) * PAGE_BYTES
