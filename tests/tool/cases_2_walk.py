"""`vmmu walk --batch` and `vmmu walk` against `gva2gpa`, at the same stop."""

import json
import re
import tempfile

import changed
import stops
import tables
import tool
from tap import cases, expect, expect_equal

TRANSLATED = re.compile(r"([0-9a-f]+) ([0-9a-f]+) \S+ \S+")
FAULTED = re.compile(r"([0-9a-f]+) fault \S+")
# Walks one by one: programs start for them.
SINGLE = 12


def batch(words, addresses):
    """What vmmu makes of @addresses in the image that @words name: physical, or None where it finds a fault."""
    with tempfile.NamedTemporaryFile("w", suffix=".addresses") as file:
        file.write("".join(f"{address:#x}\n" for address in addresses))
        file.flush()
        ended = tool.run("walk", *words, "--batch", file.name)
    expect(ended.status in (tool.OK, tool.NO), str(ended))
    lines = ended.out.splitlines()
    expect_equal(len(lines), len(addresses), "lines of answer")
    return [_answer(line, address) for line, address in zip(lines, addresses)]


def _answer(line, address):
    """The physical address in @line, which must be about @address."""
    translated, faulted = TRANSLATED.fullmatch(line), FAULTED.fullmatch(line)
    match = translated or faulted
    expect(match is not None and int(match[1], 16) == address, f"{line!r} is no answer for {address:#x}")
    return int(translated[2], 16) if translated else None


def differences(addresses, ours, theirs):
    """The addresses at which vmmu and QEMU disagree, with what each says."""
    return [(address, our, their) for address, our, their in zip(addresses, ours, theirs) if our != their]


@cases("{}: random addresses, thousands, translate as gva2gpa has them", stops.PLACES)
def _(place):
    stop = stops.at(place)
    mapped = sum(gpa is not None for gpa in stop.gpas)
    expect(0.2 < mapped / len(stop.gpas) < 0.95, f"{mapped} of {len(stop.gpas)} are mapped")
    found = differences(stop.addresses, batch(stop.words(), stop.addresses), stop.gpas)
    expect(not found, f"{len(found)} differ: {_shown(found)}")


@cases("{}: vmmu walk of one address comes to what gva2gpa says, by the entry that holds it", stops.PLACES)
def _(place):
    stop = stops.at(place)
    step = len(stop.addresses) // SINGLE
    for address, gpa in list(zip(stop.addresses, stop.gpas))[::step]:
        # gva2gpa asks for nobody's rights. EFLAGS.AC lets the supervisor read where SMAP would not.
        ended = tool.run("walk", *stop.words(), "--access=r,ac", "--json", f"{address:#x}")
        expect_equal(ended.status, tool.NO if gpa is None else tool.OK, f"exit status of {ended}")
        walk = json.loads(ended.out)
        if gpa is not None:
            expect_equal(int(walk["translation"]["physical"], 16), gpa, f"{address:#x}")
            _expect_leaf(stop, address, walk["entries"][-1])


def _expect_leaf(stop, address, leaf):
    """The entry that the walk of @address ended at is the one that the walker of these tests finds, where it has an image."""
    if "raw" in stop.dumps:
        with tables.Tables(stop.dumps["raw"], stop.registers) as walker:
            page = walker.leaf(address)
        expect_equal((int(leaf["place"], 16), int(leaf["value"], 16)), (page.place, page.entry), "leaf's place and value")


@cases("{}: a page that is moved in a copy of the memory is the only one to translate otherwise", stops.with_forms("raw")[:4])
def _(place):
    stop = stops.at(place)
    with changed.copy(stop) as copy:
        copy.move_page()
        inside = [copy.page.address + at for at in (0, 1, 0x7FF, 0xFFF)]
        outside = [copy.page.address - 1, copy.page.address + 0x1000]
        addresses = stop.addresses + inside + outside
        found = differences(addresses, batch(copy.words, addresses), batch(stop.words("raw"), addresses))
        wanted = sorted({address for address in addresses if address & ~0xFFF == copy.page.address})
        expect_equal(sorted({address for address, _, _ in found}), wanted, "addresses that differ")
        expect(len(wanted) >= 4, "too few addresses are in the page")


def _shown(found):
    return ", ".join(f"{address:#x} (vmmu {_name(our)}, QEMU {_name(their)})" for address, our, their in found[:5])


def _name(address):
    return "fault" if address is None else f"{address:#x}"
