"""The tool, traces of real programs, and what the tool says of them."""

import json
import os
import pathlib
import subprocess

import tap

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent.parent
BUILD = TREE / os.environ.get("BUILD", "build")
FOLDER = BUILD / "tests" / "tool_sim"
FAST, SANITIZED = BUILD / "vmmu", BUILD / "san" / "vmmu"
LONGEST = 120

# The same program each time, whoever runs it.
PLAIN = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}

# A program of some hundred thousand references that touches more pages than a small TLB holds, and comes back to them.
SORT = ["sort", "-r"]
WORDS = "".join(f"{(number * 7919) % 4001:05d} of the words that are put in order\n" for number in range(4001))


def sim(*words, tool=FAST, stdin=subprocess.DEVNULL):
    """Run vmmu sim; what became of it."""
    return subprocess.run([tool, "sim", *map(str, words)], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=LONGEST, check=False, text=True)


def runs(*words):
    """The configurations of a simulation, by label."""
    ended = sim("--json", *words)
    tap.expect_equal(ended.returncode, 0, f"exit status ({ended.stderr})")
    document = json.loads(ended.stdout)
    tap.expect_equal(document["vmmu_sim"], 1, "version of the document")
    return {run["label"]: run for run in document["runs"]}


def valgrind(program, where):
    """The command that writes lackey's trace of @program to @where, an option."""
    return ["valgrind", "--tool=lackey", "--trace-mem=yes", where, *program]


@tap.shared
def trace():
    """Lackey's trace of a short sort, made once."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / "sort.lackey"
    subprocess.run(valgrind(SORT, f"--log-file={path}"), input=WORDS, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True,
                   timeout=LONGEST, env=PLAIN)
    return path
