"""A walker of page tables in a raw image, of the tests' own: where an entry lies that is to be changed, and, for what
QEMU's monitor cannot say, the rights of all levels together. cases_1_maps.py holds it against `info mem` where that can say it.

Spec: SDM 3A "Hierarchical Paging Structures: an Overview".
"""

import dataclasses
import mmap
import struct

import witness

PRESENT, WRITE, USER, LARGE, XD = 1, 2, 4, 0x80, 1 << 63
PSE = 0x10  # of CR4
NXE = 0x800  # of EFER

# Rights of all levels together: the bits that grant them, and one in place of the bit that takes execution away.
EXECUTE = 1
EVERY = USER | WRITE | EXECUTE

# By width of the linear address and whether entries have eight bytes: (shift, index bits) from the root down.
LEVELS_32 = ((22, 10), (12, 10))
LEVELS_PAE = ((30, 2), (21, 9), (12, 9))
LEVELS_48 = ((39, 9), (30, 9), (21, 9), (12, 9))
LEVELS_57 = ((48, 9), *LEVELS_48)
# A leaf above level 1 may stand at these shifts only, and in the PDPT only with long mode.
LARGE_SHIFTS = {LEVELS_32: (22,), LEVELS_PAE: (21,), LEVELS_48: (30, 21), LEVELS_57: (30, 21)}


@dataclasses.dataclass(frozen=True, order=True)
class Mapping:
    """One page: its linear address and size, its leaf entry and where that lies, and the rights of all levels together."""

    address: int
    size: int
    entry: int
    place: int
    user: bool
    write: bool
    execute: bool


class Tables:
    """The tables of a processor with @registers (a witness.Registers) in the raw image at @path. Use it in a with statement."""

    def __init__(self, path, registers):
        self._file = open(path, "rb")
        self._image = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        self.width = registers.width
        self._wide = bool(registers.cr4 & 0x20)
        self._levels = {32: LEVELS_PAE if self._wide else LEVELS_32, 48: LEVELS_48, 57: LEVELS_57}[self.width]
        self._root = registers.cr3 & (~0x1F & 0xFFFF_FFFF if self._levels is LEVELS_PAE else witness.FRAME_MASK)
        self._xd = XD if self._wide and registers.efer & NXE else 0
        self._large = LARGE_SHIFTS[self._levels] if self._wide or registers.cr4 & PSE else ()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._image.close()
        self._file.close()

    def mappings(self):
        """Every Mapping, by address."""
        return self._below(self._root, 0, 0, EVERY)

    def leaf(self, address):
        """The Mapping of the page around @address, or None."""
        table, rights = self._root, EVERY
        for at, (shift, bits) in enumerate(self._levels):
            index = address >> shift & (1 << bits) - 1
            entry = self._entries(table, bits)[index]
            if not entry & PRESENT:
                return None
            rights &= self._rights(at, entry)
            if shift == 12 or (entry & LARGE and shift in self._large):
                return self._mapping(address & ~((1 << shift) - 1), shift, entry, (table, index), rights)
            table = entry & witness.FRAME_MASK
        return None

    def _below(self, table, at, base, rights):
        shift, bits = self._levels[at]
        for index, entry in enumerate(self._entries(table, bits)):
            if not entry & PRESENT:
                continue
            address, both = base + (index << shift), rights & self._rights(at, entry)
            if shift == 12 or (entry & LARGE and shift in self._large):
                yield self._mapping(witness.canonical(address, self.width), shift, entry, (table, index), both)
            else:
                yield from self._below(entry & witness.FRAME_MASK, at + 1, address, both)

    def _rights(self, at, entry):
        """What an entry lets through. A PDPTE of PAE paging says nothing of rights."""
        if self._levels is LEVELS_PAE and at == 0:
            return EVERY
        return entry & (USER | WRITE) | (0 if entry & self._xd else EXECUTE)

    def _mapping(self, address, shift, entry, place, rights):
        table, index = place
        return Mapping(address, 1 << shift, entry, table + index * (8 if self._wide else 4), bool(rights & USER),
                       bool(rights & WRITE), bool(rights & EXECUTE))

    def _entries(self, table, bits):
        count = 1 << bits
        size = count * (8 if self._wide else 4)
        piece = self._image[table:table + size]
        # A table outside the image reads as zeros, as memory does that is not there.
        return struct.unpack(f"<{count}{'Q' if self._wide else 'I'}", piece + bytes(size - len(piece)))


def merged(pages):
    """Of @pages, (first, last, user, write) by address, the ranges that neighbours make which are alike."""
    found = []
    for first, last, user, write in pages:
        before = found[-1] if found else None
        if before and before.last + 1 == first and (before.user, before.write) == (user, write):
            found[-1] = dataclasses.replace(before, last=last)
        else:
            found.append(witness.Range(first, last, user, write))
    return found
