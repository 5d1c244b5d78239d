"""Images that are not what they say: each gets one sentence and the exit status of an input that cannot be used. The program
with sanitizers reads them. And images that are larger than this machine's memory."""

import contextlib
import os
import resource
import struct
import tempfile

import forged
import stops
import tool
from forged import PAGE
from tap import case, cases, expect, expect_equal, expect_match

VIRTUAL, TARGET = 0x7F12_3456_7000, 0x12_3000
GIB = 1 << 30
# What the tool may take of memory of its own and of processors, whatever the image's size: to read it would take ten times that.
LITTLE = {resource.RLIMIT_DATA: 48 << 20, resource.RLIMIT_CPU: 2}


@contextlib.contextmanager
def written(data):
    """The path of a file that holds @data."""
    with tempfile.NamedTemporaryFile(dir=stops.folder(), suffix=".image") as file:
        file.write(data)
        file.flush()
        yield file.name


def expect_refused(path, *words):
    """Every command that reads the image refuses it, by one sentence."""
    for command in (["walk", path, "0x1000"], ["maps", path]):
        ended = tool.run(*command, *words, program=tool.SANITIZED)
        expect_equal(ended.status, tool.INPUT, f"exit status of {ended}")
        expect(ended.err.startswith("vmmu: ") and ended.err.count("\n") == 1 and len(ended.err) > 20, f"no sentence: {ended}")
        expect(ended.out == "", f"an answer: {ended}")


GOOD = forged.core(forged.state(0), forged.tables(VIRTUAL, TARGET))
ENTRIES_AT = forged.HEADER_BYTES
LOAD_AT = ENTRIES_AT + forged.PROGRAM_BYTES


def _patched(at, form, value, image=GOOD):
    data = bytearray(image)
    struct.pack_into(form, data, at, value)
    return bytes(data)


def _with_notes(notes):
    return forged.core(notes, forged.tables(VIRTUAL, TARGET))


def _lying_note(**sizes):
    return _with_notes(forged.note("QEMU", 0, bytes(forged.NOTE_STATE_BYTES), **sizes))


# e_phoff is at 32, e_phentsize at 54, e_phnum at 56; of a program header p_offset at 8, p_paddr at 24, p_filesz at 32.
LIES = {
    "an ELF core that is cut within its header": GOOD[:40],
    "an ELF core that is cut within its program headers": GOOD[:ENTRIES_AT + 20],
    "an ELF core that is cut within its memory": GOOD[:-PAGE],
    "an ELF core whose program headers lie behind its end": _patched(32, "<Q", 1 << 40),
    "an ELF core whose program headers would wrap around": _patched(32, "<Q", (1 << 64) - 32),
    "an ELF core that has more program headers than bytes": _patched(56, "<H", 0xFFFE),
    "an ELF core whose program headers have no size": _patched(54, "<H", 0),
    "an ELF core whose memory lies behind its end": _patched(LOAD_AT + 8, "<Q", 1 << 50),
    "an ELF core whose memory would wrap around in the file": _patched(LOAD_AT + 8, "<Q", (1 << 64) - PAGE),
    "an ELF core whose memory is larger than the file": _patched(LOAD_AT + 32, "<Q", 1 << 60),
    "an ELF core whose memory would wrap around the address space": _patched(LOAD_AT + 24, "<Q", (1 << 64) - PAGE),
    "an ELF core of another processor": _patched(18, "<H", forged.EM_AARCH64),
    "an ELF core of neither 32 nor 64 bits": _patched(4, "<B", 3),
    "an ELF core of the other byte order": _patched(5, "<B", 2),
    "an ELF core without memory": forged.header(0),
    "an ELF core whose note says that its name is too long": _lying_note(name_bytes=0xFFFFFFFF),
    "an ELF core whose note says that it is too long": _lying_note(data_bytes=0xFFFFFFF0),
    "a compressed dump that ends with its name": b"KDUMP   ",
    "a compressed dump of zeros": b"KDUMP   " + bytes(2 * PAGE),
    "a compressed dump whose header holds the largest numbers": b"KDUMP   " + b"\xff" * (2 * PAGE),
}


@cases("{}: refused by a sentence", LIES)
def _(what):
    with written(LIES[what]) as path:
        expect_refused(path)


@case("the core that the lies are made of is a good one")
def _():
    with written(GOOD) as path:
        ended = tool.run("walk", path, f"{VIRTUAL + 0x45:#x}", program=tool.SANITIZED)
        expect_equal(ended.status, tool.OK, f"exit status of {ended}")
        expect(f"{TARGET + 0x45:x}" in ended.out, f"no {TARGET + 0x45:x} in {ended}")


@case("a core whose note is of no version known, or too short: refused by a sentence, even if registers are given")
def _():
    for notes in (forged.state(0, version=99), forged.state(0, size=8), forged.note("QEMU", 0, bytes(12))):
        with written(_with_notes(notes)) as path:
            expect_refused(path)
            expect_refused(path, "--mode=4level", "--cr3=0")


HALF, FIRST_PAGE, BUT_LAST_PAGE = "half", "its first page", "all but its last page"


@contextlib.contextmanager
def cut(form, rest):
    """The path of a file that holds the beginning of a dump of QEMU in @form."""
    dump = stops.at(stops.with_forms("elf", "kdump")[0]).dumps[form]
    size = dump.stat().st_size
    kept = {HALF: size // 2, FIRST_PAGE: PAGE, BUT_LAST_PAGE: size - PAGE}[rest]
    with open(dump, "rb") as file, written(file.read(kept)) as path:
        yield path


@cases("a dump of QEMU, {0[0]}, that is cut to {0[1]}: refused by a sentence",
       (("elf", HALF), ("elf", FIRST_PAGE), ("elf", BUT_LAST_PAGE), ("kdump", FIRST_PAGE)))
def _(entry):
    with cut(*entry) as path:
        expect_refused(path)


@cases("a compressed dump of QEMU that is cut to {}: answered, or refused by a sentence, and never a crash", (HALF, BUT_LAST_PAGE))
def _(rest):
    # It has its pages in any order: what is cut off may be nothing that is needed.
    with cut("kdump", rest) as path:
        for command in (["walk", path, "0xffffffff81000000"], ["maps", path]):
            ended = tool.run(*command, program=tool.SANITIZED)
            expect(ended.status in (tool.OK, tool.NO, tool.INPUT), str(ended))
            expect(ended.status != tool.INPUT or ended.err.startswith("vmmu: "), f"no sentence: {ended}")


@cases("an image of 64 GiB, {}, whose tables lie near its end, is opened at once and takes little memory", ("raw", "an ELF core"))
def _(what):
    size, root = 64 * GIB, 60 * GIB
    with written(b"") as path:
        start = 0
        with open(path, "r+b") as image:
            if what != "raw":
                notes, start = forged.state(root), PAGE
                at = forged.HEADER_BYTES + 2 * forged.PROGRAM_BYTES
                image.write(forged.header(2) + forged.program(forged.PT_NOTE, at, 0, len(notes)) +
                            forged.program(forged.PT_LOAD, start, 0, size) + notes)
            image.truncate(start + size)
            for address, value in forged.chain(root, VIRTUAL, TARGET):
                image.seek(start + address)
                image.write(struct.pack("<Q", value))
        words = ["--mode", "4level", f"--cr3={root:#x}"] if what == "raw" else []
        for command, wanted in ((["walk", path, f"{VIRTUAL:#x}"], TARGET), (["maps", path], VIRTUAL)):
            ended = tool.run(*command, *words, limits=LITTLE)
            expect_equal(ended.status, tool.OK, f"exit status of {ended}")
            expect(f"{wanted:x}" in ended.out, f"no {wanted:x} in {ended}")
        expect(os.stat(path).st_blocks * 512 < 1 << 20, "the file is not sparse any more")


@case("a table whose every entry points to itself: maps ends, with a sentence")
def _():
    with written(struct.pack("<Q", 7) * 512) as path:
        for words in ((), ("--json",), ("--pages",)):
            ended = tool.run("maps", path, "--mode", "4level", "--cr3=0", "--budget=100000", *words, program=tool.SANITIZED)
            expect_equal(ended.status, tool.INPUT, f"exit status of {ended}")
            expect_match("^vmmu: no end of the tables", ended.err, "errors")
