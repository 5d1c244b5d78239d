"""`vmmu maps` against `info mem`, and `vmmu maps --pages` against `info tlb`, at the same stop."""

import dataclasses

import changed
import natives
import stops
import tables
import tap
import tool
import witness
from tap import cases, expect, expect_equal

PAGE = witness.PAGE_BYTES
# Bits of an entry in the order in which `info tlb` writes them: XD, G, PS, D, A, PCD, PWT, U/S, R/W.
FLAGS = (("X", 63), ("G", 8), ("P", 7), ("D", 6), ("A", 5), ("C", 4), ("T", 3), ("U", 2), ("W", 1))
SHOWN = 5


# `vmmu maps` tells apart what differs in execution, memory type and page size too, if it is asked to, which `info mem` does
# not: from the coarsest to the finest.
LIKE_INFO_MEM, *FINER = "protection", "rights", "type", "size", "all"


def ranges(words, join=LIKE_INFO_MEM):
    """What `vmmu maps` finds, as witness.Range, told apart by @join."""
    found = tool.answer("maps", *words, f"--join={join}")["ranges"]
    expect_equal({entry["kind"] for entry in found}, {"mapping"}, "kinds of ranges")
    return [witness.Range(first, first + entry["bytes"] - 1, entry["user"], entry["write"])
            for entry in found for first in [int(entry["start"], 16)]]


def pages(words):
    """What `vmmu maps --pages` finds, as tables.Mapping, and the frames of those."""
    found = tool.answer("maps", *words, "--pages")["pages"]
    expect_equal({entry["kind"] for entry in found}, {"mapping"}, "kinds of pages")
    return [(tables.Mapping(int(entry["va"], 16), entry["bytes"], int(entry["entry"], 16), int(entry["place"], 16),
                            entry["user"], entry["write"], entry["execute"]), int(entry["gpa"], 16)) for entry in found]


@tap.shared
def pages_at(place):
    """The same of the core that was taken at @place."""
    return pages(stops.at(place).words())


def leaves(found):
    """Of pages(), what `info tlb` would show. It hides bit 7 of an entry that maps 4 KiB: it is PAT there."""
    return [witness.Leaf(page.address, frame, _flags(page.entry, page.size > PAGE)) for page, frame in found]


def _flags(entry, large):
    return "".join(letter if entry >> bit & 1 and (large or letter != "P") else "-" for letter, bit in FLAGS)


def expect_same(ours, theirs, what):
    """The case fails with the first differences of two lists unless they are the same."""
    if ours == theirs:
        return
    more, less = sorted(set(ours) - set(theirs)), sorted(set(theirs) - set(ours))
    shown = [f"vmmu alone: {entry}" for entry in more[:SHOWN]] + [f"QEMU alone: {entry}" for entry in less[:SHOWN]]
    counts = f"{len(more)} of vmmu's {len(ours)} and {len(less)} of QEMU's {len(theirs)}"
    expect(False, "\n".join([f"{what}: {counts} differ", *shown]))


def mem(stop):
    """The ranges that `info mem` lists, or where it cannot, what stands in for it.

    With five levels, `info mem` of QEMU 7.2 takes entries of the third and second level that are present for absent, and the
    other way round: it looks at tables that are none for minutes, and lists nothing. stops.py does not ask it. There the ranges
    are made of the rights that it would show, by the walker of these tests; other cases hold that walker against `info mem`
    with two, three and four levels, and against `info tlb` with five. A later QEMU is taken at its word.
    """
    return by_walker(stop) if stop.mem is None else stop.mem


def by_walker(stop):
    """The same by the walker of these tests, in the raw image."""
    with tables.Tables(stop.dumps["raw"], stop.registers) as walker:
        return tables.merged((page.address, page.address + page.size - 1, page.user, page.write) for page in walker.mappings())


@cases("{}: vmmu maps lists the ranges of info mem", stops.PLACES)
def _(place):
    stop = stops.at(place)
    wanted = mem(stop)
    expect(len(wanted) > 20, f"info mem lists {len(wanted)} ranges only")
    expect_same(ranges(stop.words()), wanted, "ranges")


@cases("{}: ranges that vmmu maps tells apart by more are parts of those of info mem",
       [place for place in stops.PLACES if place.kind.startswith("i386") and place.level == natives.KERNEL])
def _(place):
    stop = stops.at(place)
    counts = [len(stop.mem)]
    for join in FINER:
        found = ranges(stop.words(), join)
        expect_same(tables.merged(dataclasses.astuple(entry) for entry in found), stop.mem, f"ranges by {join}, joined")
        counts.append(len(found))
    expect(counts == sorted(counts) and counts[-1] > counts[0], f"not finer from one to the next: {counts}")


@cases("{}: vmmu maps --pages lists the pages of info tlb, with frame, size and attributes", stops.PLACES)
def _(place):
    stop = stops.at(place)
    expect(len(stop.leaves) > 1000, f"info tlb lists {len(stop.leaves)} pages only")
    expect_same(leaves(pages_at(place)), stop.leaves, "pages")


@cases("{}: the walker that stands in for info mem agrees with QEMU wherever it can", stops.with_forms("raw"))
def _(place):
    stop = stops.at(place)
    if stop.mem is not None:
        expect_same(by_walker(stop), stop.mem, "ranges")
    with tables.Tables(stop.dumps["raw"], stop.registers) as walker:
        seen = [(page.address, page.entry & 2 != 0, page.entry & 4 != 0) for page in walker.mappings()]
    expect_same(seen, [(leaf.address, "W" in leaf.flags, "U" in leaf.flags) for leaf in stop.leaves], "pages")


@cases("{}: the rights of all levels, execution too, and the place of each entry are as the walker of these tests has them",
       stops.with_forms("raw"))
def _(place):
    stop = stops.at(place)
    with tables.Tables(stop.dumps["raw"], stop.registers) as walker:
        wanted = list(walker.mappings())
    expect_same([page for page, _ in pages_at(place)], wanted, "pages")


# What is done to one entry of a copy, and what `info mem` would then show of its page: (address, user, write).
CHANGES = {
    "moved": (lambda copy: copy.move_page(), lambda page: (page.user, page.write)),
    "made read-only": (lambda copy: copy.flip(tables.WRITE), lambda page: (page.user, False)),
    "taken from user mode": (lambda copy: copy.flip(tables.USER), lambda page: (False, page.write)),
    "unmapped": (lambda copy: copy.flip(tables.PRESENT), lambda page: None),
}
PLACES_OF_CHANGES = stops.with_forms("raw")


@cases("a page of the copy of a guest's memory is {}: maps and maps --pages differ from QEMU there and nowhere else", CHANGES)
def _(change):
    do, wanted = CHANGES[change]
    stop = stops.at(PLACES_OF_CHANGES[list(CHANGES).index(change) % len(PLACES_OF_CHANGES)])
    with changed.copy(stop) as copy:
        do(copy)
        seen_leaves, seen_ranges = leaves(pages(copy.words)), ranges(copy.words)
    page = copy.page.address
    differ = {leaf.address for leaf in set(seen_leaves) ^ set(stop.leaves)}
    expect_equal(differ, {page}, "pages that differ")
    after = wanted(copy.page)
    other = [] if after == (copy.page.user, copy.page.write) else [(page, after)]
    expect_equal(_rights_changed(seen_ranges, mem(stop)), other, "rights that differ")


def _rights_changed(after, before):
    """Of the pages on either side of the edges of ranges that only one list has, those with other rights, and the new ones."""
    differ = set(after) ^ set(before)
    edges = {edge for entry in differ for edge in (entry.first - PAGE, entry.first, entry.last + 1 - PAGE, entry.last + 1)}
    return [(edge, _rights_at(after, edge)) for edge in sorted(edges) if _rights_at(after, edge) != _rights_at(before, edge)]


def _rights_at(found, address):
    return next(((entry.user, entry.write) for entry in found if entry.first <= address <= entry.last), None)
