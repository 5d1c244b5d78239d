"""Every fuzz target on its seeds and on mutations of them, the same each time; and the frame that they stand in."""

import pathlib
import subprocess

import seeds
import tap

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent.parent
OUT = TREE / "build" / "fuzz"

TARGETS = sorted(path.name.removesuffix("_target.c") for path in HERE.glob("*_target.c"))
MUTATIONS, SEED = 3000, 20
# Where one input takes a millisecond.
FEWER_MUTATIONS = {"image_kdump": 300, "insn": 1000, "nested": 500, "shadow": 1000, "trace": 1000}
LONGEST = 120


def drive(name, *words):
    """Run a target's driver; what it said."""
    kept = OUT / "findings" / name / "suite"
    kept.parent.mkdir(parents=True, exist_ok=True)
    command = ["timeout", "-k", "5", str(LONGEST), OUT / "replay" / name, *words[:-1], "--keep", kept, *words[-1]]
    ended = subprocess.run(command, cwd=TREE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, check=False)
    text = ended.stdout.decode("utf-8", "replace")
    tap.expect_equal(ended.returncode, 0, f"exit status ({text[-3000:]}\n"
                     f"once more: make fuzz-replay TARGET={name} FILE={kept.relative_to(TREE)})")
    return text


@tap.cases("{}: its seeds run", TARGETS)
def _(name):
    files = seeds.write(name, OUT / "seeds" / name)
    tap.expect(files, f"there is no seed in tests/fuzz/seeds/{name}")
    tap.expect_match(f"^{len(files)} files and 0 mutations", drive(name, files), "the driver")


@tap.cases("{}: mutations of its seeds run", TARGETS)
def _(name):
    files = seeds.write(name, OUT / "mutated" / name)
    count = FEWER_MUTATIONS.get(name, MUTATIONS)
    tap.expect_match(f" {count} mutations", drive(name, "--mutate", str(count), str(SEED), files), "the driver")


BROKEN = """
#include "tests/fuzz/input.h"
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_CHECK(size < 3 || data[0] != 'b');
    return size != 0 && data[0] == 'o' ? data[size] : 0;
}
"""


@tap.case("the driver stops at a property that fails and at a byte beyond the input, and keeps the input")
def _():
    folder = OUT / "broken"
    folder.mkdir(parents=True, exist_ok=True)
    source, program, kept = folder / "broken.c", folder / "broken", folder / "kept"
    source.write_text(BROKEN, encoding="utf-8")
    subprocess.run(["gcc", "-std=c17", "-D_GNU_SOURCE", "-fsanitize=address", "-I.", source, "tests/fuzz/replay.c", "-o",
                    program], cwd=TREE, check=True)
    for data, said in ((b"fine", None), (b"bad", "does not hold: size < 3"), (b"over", "heap-buffer-overflow")):
        kept.unlink(missing_ok=True)
        (folder / "input").write_bytes(data)
        ended = subprocess.run([program, "--keep", kept, folder / "input"], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, check=False)
        tap.expect_equal(ended.returncode != 0, said is not None, f"whether {data} fails")
        tap.expect_equal(kept.exists() and kept.read_bytes(), data if said else False, "the input that is kept")
        tap.expect((said or "1 files") in ended.stdout.decode(), ended.stdout.decode())


@tap.case("a seed's text comes to the bytes that it names")
def _():
    text = '7F45 "L\\"\\x46\\n" u16=0x102 # a comment\nu8=-1*3 00*2'
    tap.expect_equal(seeds.parse(text, "text").hex(), "7f454c22460a0201ffffff0000", "bytes")


@tap.cases("{} is not a seed", ("7F4", "u8=x", '"open', "u64=", '"\\q"', "z"))
def _(text):
    try:
        data = seeds.parse(text, "text")
    except ValueError:
        return
    raise tap.Failed(f"it came to {data.hex()}")


def front(*words):
    """What scripts/fuzz says to wrong arguments."""
    ended = subprocess.run(["scripts/fuzz", *words], cwd=TREE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, check=False)
    return ended.returncode, ended.stdout.decode()


@tap.case("wrong names, times and files are refused with a sentence")
def _():
    some = f"--target={TARGETS[0]}"
    for words, sentence in ((["run", "--target=nothing"], "no target is called 'nothing'"),
                            (["run", some, "--seconds=x"], "SECONDS"), (["run", some, "--seconds=-1"], "SECONDS"),
                            (["run", some, "--seconds=0"], "SECONDS"), (["run", "--seconds=5"], "TARGET"),
                            (["replay", some, "--file=x"], "no file 'x'"),
                            (["replay", "--file=README.md"], "TARGET=name")):
        status, text = front(*words)
        tap.expect_equal(status, 2, f"exit status of {words}")
        tap.expect(sentence in text and text.count("\n") == 1, text)


@tap.case("the list names every target with a sentence")
def _():
    status, text = front("list")
    tap.expect_equal(status, 0, "exit status")
    for name in TARGETS:
        tap.expect_match(rf"^{name} +\S.{{10,}}", text, name)
