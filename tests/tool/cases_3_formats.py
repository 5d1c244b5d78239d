"""One stop in three formats: they say the same. What a dump of two processors knows of each."""

import natives
import stops
import tool
from tap import case, cases, expect, expect_equal, expect_match

# Of a stop, the first processor in the kernel; and KPTI's tables.
IN_KERNEL = [place for place in stops.with_forms("elf", "kdump") if place.level == natives.KERNEL]
IN_USER = [place for place in stops.PLACES if place.kind == "amd64" and place.level == natives.USER]


@cases("{}: the compressed dump has the same maps as the ELF core", IN_KERNEL + IN_USER)
def _(place):
    _expect_same_maps(stops.at(place), "kdump")


@cases("{}: the raw image, told the registers, has the same maps as the ELF core",
       [place for place in IN_KERNEL + IN_USER if place in stops.with_forms("raw")])
def _(place):
    _expect_same_maps(stops.at(place), "raw")


def _expect_same_maps(stop, form):
    for words in ((), ("--pages", "--json")):
        core, other = tool.run("maps", *stop.words(), *words), tool.run("maps", *stop.words(form), *words)
        expect_equal(core.status, tool.OK, f"exit status of {core}")
        expect_equal(other.status, tool.OK, f"exit status of {other}")
        expect(core.out.count("\n") > 20, f"hardly a line: {core}")
        expect(core.out == other.out, f"maps {' '.join(words)} differ: {_first_difference(core.out, other.out)}")


def _first_difference(one, other):
    return next((pair for pair in zip(one.splitlines(), other.splitlines()) if pair[0] != pair[1]), "in length")


def _maps(*words):
    """What maps, which must succeed, says."""
    ended = tool.run("maps", *words)
    expect_equal(ended.status, tool.OK, f"exit status of {ended}")
    return ended.out


@case("the processors of a dump have their own tables, --cpu chooses, and a third one is refused")
def _():
    first, second = (stops.at(place) for place in stops.PLACES if place.kind == "amd64")
    expect(first.registers.cr3 != second.registers.cr3, "both processors have one CR3")
    expect(first.dumps == second.dumps, "the places are not of one stop")
    kernel = _maps(*first.words())
    expect(kernel != _maps(*second.words()), "both processors have the same maps")
    expect_equal(_maps(*first.words(), "--cpu", "0"), kernel, "maps of the first processor")
    refused = tool.run("maps", first.dumps["elf"], "--cpu", "2")
    expect(refused.status in (tool.USAGE, tool.INPUT), str(refused))
    expect_match("^vmmu: .*processor", refused.err, "errors")


@case("--cr3 of the other processor shows the other processor's maps")
def _():
    first, second = (stops.at(place) for place in stops.PLACES if place.kind == "amd64")
    expect_equal(_maps(*first.words(), f"--cr3={second.registers.cr3:#x}"), _maps(*second.words()), "maps")
