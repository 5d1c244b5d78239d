"""What QEMU's monitor says of an address space, as data.

`info tlb` lists the leaf entries of the tables that CR3 points to, one a line, by linear address; `info mem` the ranges of
neighbouring pages that are alike in what user mode and writes may do there, by all levels together; `gva2gpa` translates one
address. All three walk the tables themselves, by code of QEMU's own that its emulated processor does not use.
"""

import dataclasses
import re

TLB_LINE = re.compile(r"([0-9a-f]{16}): ([0-9a-f]{16}) ([X-][G-][P-][D-][A-][C-][T-][U-][W-])")
MEM_LINE = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16}) ([0-9a-f]{16}) ([u-])r([w-])")
GVA2GPA = re.compile(r"gpa: 0x([0-9a-f]+)|gpa: 0\b|Unmapped")
REGISTER = re.compile(r"\b(CR[0-4]|EFER)=([0-9a-f]+)")

PAGE_BYTES = 4096
# `info tlb` prints a 4 MiB page's frame with bit 21 and a 2 MiB PAE page's with bit 20, which are reserved there.
FRAME_MASK = 0x000F_FFFF_FFFF_F000
LARGE_MASK = 0x000F_FFFF_FFE0_0000
SIZE_BITS_32, SIZE_BITS_PAE = 22, 21


class Unreadable(Exception):
    """QEMU said something that is not of the form known."""


@dataclasses.dataclass(frozen=True, order=True)
class Range:
    """Neighbouring pages: [first, last] of linear addresses, canonical."""

    first: int
    last: int
    user: bool
    write: bool

    def __str__(self):
        return f"{self.first:#x}-{self.last:#x} {'u' if self.user else '-'}r{'w' if self.write else '-'}"


@dataclasses.dataclass(frozen=True, order=True)
class Leaf:
    """One leaf entry: where, what it maps, and its own bits as `info tlb` writes them (XGPDACTUW)."""

    address: int
    frame: int
    flags: str

    @property
    def large(self):
        """Whether it maps more than a page of 4 KiB."""
        return self.flags[2] == "P"

    def __str__(self):
        return f"{self.address:#x}: {self.frame:#x} {self.flags}"


@dataclasses.dataclass(frozen=True)
class Registers:
    """What of one processor decides how it translates."""

    cr0: int
    cr3: int
    cr4: int
    efer: int

    @property
    def width(self):
        """Bits of a linear address."""
        return 32 if not self.efer & 0x400 else 57 if self.cr4 & 0x1000 else 48


def registers(text):
    """From `info registers`."""
    found = {name.lower(): int(value, 16) for name, value in REGISTER.findall(text)}
    try:
        return Registers(found["cr0"], found["cr3"], found["cr4"], found["efer"])
    except KeyError as missing:
        raise Unreadable(f"info registers shows no {missing}") from None


def leaves(text):
    """From `info tlb`: every Leaf, in order.

    The value that it prints is the entry with the attributes below bit 12 taken off, and not those above the frame: XD, the
    protection key, what software keeps there.
    """
    found = []
    for line in text.splitlines():
        match = TLB_LINE.fullmatch(line)
        if not match:
            raise Unreadable(f"info tlb: {line!r}")
        flags = match[3]
        frame = int(match[2], 16) & (LARGE_MASK if flags[2] == "P" else FRAME_MASK)
        found.append(Leaf(int(match[1], 16), frame, flags))
    return found


def ranges(text, width):
    """From `info mem`, where linear addresses have @width bits: every Range, in order.

    The second number is the first address behind the range, sign-extended as if it were in it: where a range ends with the
    lower half it is the first of the upper half, and behind the last page of all it is 2 to the power of the width. The third
    is the length, sign-extended as well. A range may even go on from the lower half into the upper one, where both are mapped
    alike at their edges: it is two here.
    """
    mask, half = (1 << width) - 1, 1 << (width - 1)
    found = []
    for line in text.splitlines():
        match = MEM_LINE.fullmatch(line)
        if not match:
            raise Unreadable(f"info mem: {line!r}")
        first = int(match[1], 16) & mask
        end = (int(match[2], 16) - 1 & mask) + 1
        if (int(match[3], 16) & mask) != (end - first & mask):
            raise Unreadable(f"info mem: {line!r} is not as long as it says")
        parts = [(first, half), (half, end)] if width > 32 and first < half < end else [(first, end)]
        found += [Range(canonical(at, width), canonical(to - 1, width), match[4] == "u", match[5] == "w") for at, to in parts]
    return found


def canonical(address, width):
    """@address, its sign extended; addresses of 32 bits have none."""
    if width > 32 and address >> (width - 1) & 1:
        return address | (1 << 64) - (1 << width)
    return address


def translation(text):
    """From `gva2gpa`: the physical address, or None where nothing is mapped."""
    match = GVA2GPA.fullmatch(text.strip())
    if not match:
        raise Unreadable(f"gva2gpa: {text!r}")
    if text.startswith("Unmapped"):
        return None
    return int(match[1] or "0", 16)
