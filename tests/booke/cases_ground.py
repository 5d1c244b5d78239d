"""Runs of the proving ground of lib/booke: long ones in which nothing may be found, and what the program promises of its runs."""

import os
import pathlib
import re
import secrets
import subprocess
import tempfile

import planted
import tap

TREE = pathlib.Path(__file__).resolve().parents[2]
GROUND = planted.BOOKE.program
GEOMETRIES = ("small", "true")

# Operations that are run in all, whatever else the cases do.
PROMISED_OPS = 1_000_000
SEEDS = (1, 2, 3)
OPS_OF_A_SEED = {"small": 200_000, "true": 140_000}
FRESH_SEED = int(os.environ.get("BOOKE_SEED") or secrets.randbelow(2**32))
FRESH_OPS = 100_000
LONGEST = 170

# What a lively run has at least, of every 1000 operations.
LIVELY = {"accesses that reached memory": 100, "of these, at once": 50, "where IS is not DS": 20,
          "that several virtual entries match": 20, "entries made": 60, "of these, of large pages": 8,
          "made by the answer to a miss": 15, "misses that are the guest's": 60, "refusals that are the guest's": 30,
          "accesses to devices": 30, "accesses that the host refuses": 15, "clashes of fetch and data": 0.2,
          "writes of the real TLB": 120, "real entries that went": 60, "shadow PIDs taken back": 5}


def ground(*words, script=None):
    """Run the ground: its exit status and what it said."""
    ended = subprocess.run(["timeout", "-k", "5", str(LONGEST), str(GROUND), *map(str, words)], cwd=TREE, input=script,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return ended.returncode, ended.stdout


@tap.shared
def long_run(geometry, seed, ops):
    """The counts of a run in which nothing was found."""
    status, text = ground("--engine", geometry, "--seed", seed, "--ops", ops)
    again = f"once more: make booke ENGINE={geometry} SEED={seed} OPS={ops}"
    tap.expect(status == 0, f"exit status {status}\n{text[-6000:]}\n{again}")
    tap.expect(text.endswith(f"nothing found: seed {seed}, {ops} operations\n"), text[-2000:])
    return {name.strip(): int(count) for name, count in re.findall(r"^(\S.*?)  +(\d+)$", text, re.MULTILINE)}


ALL_RUNS = [(geometry, seed, OPS_OF_A_SEED[geometry]) for seed in SEEDS for geometry in GEOMETRIES] + \
           [(geometry, FRESH_SEED, FRESH_OPS) for geometry in GEOMETRIES]

print(f"# fresh seed: {FRESH_SEED}", flush=True)


@tap.cases("nothing is found: {0[0]} geometry, seed {0[1]}, {0[2]} operations", ALL_RUNS)
def _(run):
    long_run(*run)


@tap.case(f"at least {PROMISED_OPS} operations were run")
def _():
    total = sum(long_run(*run)["operations"] for run in ALL_RUNS)
    tap.expect(total >= PROMISED_OPS, f"only {total}")


@tap.cases("runs are lively: {} geometry", GEOMETRIES)
def _(geometry):
    runs = [long_run(*run) for run in ALL_RUNS if run[0] == geometry]
    sums = {name: sum(counts[name] for counts in runs) for name in runs[0]}
    thousands = sums["operations"] / 1000
    for name, least in LIVELY.items():
        tap.expect(sums[name] >= least * thousands, f"{name}: {sums[name]} of {sums['operations']} operations")


@tap.case("the same seed and operations give the same text")
def _():
    words = ("--seed", 77, "--ops", 20_000)
    tap.expect_equal(ground(*words), ground(*words), "the second run")


@tap.case("a neighbour among seeds gives another run")
def _():
    tap.expect(ground("--seed", 77, "--ops", 9_000) != ground("--seed", 78, "--ops", 9_000), "they say the same")


@tap.case("the reference and the real processor are what the manuals say")
def _():
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP")
    ended = subprocess.run([str(GROUND.parent / "test_reference")], cwd=TREE, env=environment, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, check=False)
    tap.expect_equal(ended.returncode, 0, f"exit status\n{ended.stdout}")
    tap.expect(len(re.findall("^ok ", ended.stdout, re.MULTILINE)) >= 13, ended.stdout)


@tap.shared
def finding():
    """A finding of a program with a defect: the defect, what was said, and the script."""
    defect = next(defect for defect in planted.load(["data-read-as-instructions"]))
    planted.build(defect, *planted.recipe(planted.BOOKE))
    with tempfile.TemporaryDirectory() as folder:
        kept = pathlib.Path(folder) / "finding"
        command = [str(defect.program), "--seed", str(defect.seed), "--ops", str(defect.ops), "--keep", str(kept)]
        said = [subprocess.run(command, cwd=TREE, stdout=subprocess.PIPE, text=True, check=False) for _ in range(2)]
        tap.expect_equal(said[0].stdout, said[1].stdout, "what is said the second time")
        tap.expect_equal(said[0].returncode, 1, "exit status of a finding")
        return defect, said[0].stdout, kept.read_text()


@tap.case("a finding is printed as the script that is kept, the same each time")
def _():
    _, text, script = finding()
    tap.expect(script in text, f"the script\n{script}\nis not in\n{text}")


@tap.case("a kept script replays to the same finding")
def _():
    defect, _, script = finding()
    sentence = tap.expect_match(r"^# (.*)", script, "the script")[1]
    ended = subprocess.run([str(defect.program), "--script", "-"], cwd=TREE, input=script, stdout=subprocess.PIPE,
                           text=True, check=False)
    tap.expect_equal((ended.returncode, ended.stdout), (1, f"found: {sentence}\n"), "the replay")


@tap.case("a finding is shrunk: no operation of its script can be left out")
def _():
    defect, _, script = finding()
    lines = script.splitlines()
    tap.expect(len(lines) < 30, f"{len(lines)} lines")
    check = lines[0].split(":")[0].removeprefix("# ")
    for i in range(2, len(lines)):
        shorter = "\n".join(lines[:i] + lines[i + 1:]) + "\n"
        ended = subprocess.run([str(defect.program), "--script", "-", "--only", check], cwd=TREE, input=shorter,
                               stdout=subprocess.PIPE, text=True, check=False)
        tap.expect_equal(ended.returncode, 0, f"exit status without line {i + 1}, {lines[i]}")


@tap.case("a finding's script finds nothing without the defect")
def _():
    _, _, script = finding()
    tap.expect_match("^nothing found", ground("--script", "-", script=script)[1], "the replay")


@tap.cases("wrong arguments are refused with a sentence: {}", (
    "--seed x", "--seed -1", "--seed", "--ops 1k", "--engine z80", "--without nothing", "--only nothing", "--frobnicate",
    "extra", "--script build/booke/there-is-none"))
def _(words):
    status, text = ground(*words.split())
    tap.expect_equal(status, 2, "exit status")
    tap.expect(text.startswith(("ground: ", str(GROUND))) and text.count("\n") <= 25, text)


@tap.cases("a script that is none is refused by its line: {!r}", (
    "read vp=0\n", "setting geometry=huge seed=1\n", "setting geometry=small seed=x\n", "setting geometry=small\n",
    "setting geometry=small seed=1\nfly vp=0\n", "setting geometry=small seed=1\nread address=-1\n",
    "setting geometry=small seed=1\nread address\n", "setting geometry=true seed=1\nread address=0x100000000\n", ""))
def _(script):
    status, text = ground("--script", "-", script=script)
    tap.expect_equal(status, 2, "exit status")
    tap.expect(text.startswith("-:") and text.count("\n") == 1, text)
