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


@tap.cases("{}: " + str(MUTATIONS) + " mutations of its seeds run", TARGETS)
def _(name):
    files = seeds.write(name, OUT / "mutated" / name)
    tap.expect_match(f" {MUTATIONS} mutations", drive(name, "--mutate", str(MUTATIONS), str(SEED), files), "the driver")


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
