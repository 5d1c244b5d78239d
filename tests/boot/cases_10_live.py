"""Host ppc, a board with an e500: vmmu live and vmmu top on a guest that runs there."""

import json
import os
import pathlib
import tempfile

import front
from tap import case, expect, expect_equal, expect_match
from terminal import terminal
from tool import tool

IMAGES = pathlib.Path(os.environ.get("GUEST_IMAGES", front.TREE / "build" / "tests" / "guests-ppc"))
A, B = 0x80001000, 0x2345000


@case("vmmu live shows a board's registers, its traps and both TLBs, and refuses what needs tables")
def _():
    # The path of a socket may not be long.
    with tempfile.TemporaryDirectory() as short:
        path = os.path.join(short, "m")
        with terminal("boot", "--host", "ppc", "-q", "--memory", "64M", "--monitor", path, "--append", "wait",
                      "--kernel", IMAGES / "demonstration.elf") as console:
            console.wait(b"press a key")
            _look(path, short)
            console.type("x")
            console.wait(b"- A still holds it")
            console.end()


def _look(path, folder):
    """All that there is to see."""
    glance = tool("live", path)[0]
    expect_match(rf"(?m)^ .* r30 +{A:08x} .*r31 +{B:08x}$", glance, "registers")
    expect_match(r"(?m)^TRAPS(.|\n)*^  tlbwe +\d+", glance, "traps")
    expect("rax" not in glance, "registers of another processor")
    text = tool("live", path, "walk", f"{A:x}")[0]
    expect_match(rf"(?m)^load +gpa {B:09x}$(.|\n)*^guest (.|\n)*^real ", text, "walk")
    tool("live", path, "walk", "70001000", status=1)
    document = json.loads(tool("live", "--json", path, "walk", f"{A:x}")[0])
    expect_equal([entry["gpa"] for entry in document["virtual"]], [hex(B)], "the guest's entry")
    expect_equal([entry["from"] for entry in document["real"]], [document["virtual"][0]["index"]], "the processor's")
    listed = tool("live", path, "tlb")[0]
    expect_match(rf"(?m)^TLB0 \S+ +{A:08x} +4K {B:09x} ", listed, "the guest's TLB")
    expect(json.loads(tool("top", path, "--count", "1", "--json")[0])["traps"]["tlbwe"]["total"] > 0, "top has no traps")
    for words in (("maps",), ("check",), ("explain",), ("dump", os.path.join(folder, "dump"))):
        expect_match("a guest fills a TLB", tool("live", path, *words, status=3)[1], f"vmmu live {words[0]}")
