"""Runs of the model machine: long ones in which nothing may be found, and what the program promises of its runs."""

import os
import pathlib
import re
import secrets
import subprocess
import tempfile

import planted
import tap

TREE = pathlib.Path(__file__).resolve().parents[2]
MODEL = planted.MODEL.program
ENGINES = ("npt", "ept", "shadow")

# Operations that are run over each technique, whatever else the cases do.
PROMISED_OPS = 1_000_000
TECHNIQUES = {"nested": ("npt", "ept"), "shadow": ("shadow",)}
SEEDS = (1, 2, 3, 4)
OPS_OF_A_SEED = {"npt": 110_000, "ept": 110_000, "shadow": 230_000}
FRESH_SEED = int(os.environ.get("MODEL_SEED") or secrets.randbelow(2**32))
FRESH_OPS = 100_000
LONGEST = 170

# What a lively run has at least, of every 1000 operations.
LIVELY = {"accesses that reached memory": 120, "accesses that a stale entry answered": 3, "guest faults": 30,
          "exits to the engine": 8, "accesses to devices": 2, "actions between two stores": 5,
         "goes of flush hypercalls": 3, "flushes that they had made": 6, "address spaces switched by hypercall": 1}
LIVELY_BESIDE = {"shadow": {"guest faults without an exit": 10, "switches of roots without a flush": 20}}
MOST_IDLE, MOST_GIVEN_UP = 100, 5


def model(*words, script=None):
    """Run the model: its exit status and what it said."""
    ended = subprocess.run(["timeout", "-k", "5", str(LONGEST), str(MODEL), *map(str, words)], cwd=TREE, input=script,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return ended.returncode, ended.stdout


@tap.shared
def long_run(engine, seed, ops):
    """The counts of a run in which nothing was found."""
    status, text = model("--engine", engine, "--seed", seed, "--ops", ops)
    again = f"once more: make model ENGINE={engine} SEED={seed} OPS={ops}"
    tap.expect(status == 0, f"exit status {status}\n{text[-6000:]}\n{again}")
    tap.expect(text.endswith(f"nothing found: seed {seed}, {ops} operations\n"), text[-2000:])
    return {name.strip(): int(count) for name, count in re.findall(r"^(\S.*?)  +(\d+)$", text, re.MULTILINE)}


ALL_RUNS = [(engine, seed, OPS_OF_A_SEED[engine]) for seed in SEEDS for engine in ENGINES] + \
           [(engine, FRESH_SEED, FRESH_OPS) for engine in ENGINES]

print(f"# fresh seed: {FRESH_SEED}", flush=True)


@tap.cases("nothing is found: {0[0]}, seed {0[1]}, {0[2]} operations", ALL_RUNS)
def _(run):
    long_run(*run)


@tap.cases(f"at least {PROMISED_OPS} operations were run: {{}}", TECHNIQUES)
def _(technique):
    total = sum(long_run(*run)["operations"] for run in ALL_RUNS if run[0] in TECHNIQUES[technique])
    tap.expect(total >= PROMISED_OPS, f"only {total}")


@tap.cases("runs are lively: {}", ENGINES)
def _(engine):
    runs = [long_run(*run) for run in ALL_RUNS if run[0] == engine]
    sums = {name: sum(counts[name] for counts in runs) for name in runs[0]}
    thousands = sums["operations"] / 1000
    for name, least in (LIVELY | LIVELY_BESIDE.get(engine, {})).items():
        tap.expect(sums[name] >= least * thousands, f"{name}: {sums[name]} of {sums['operations']} operations")
    for name, most in (("operations that did nothing", MOST_IDLE), ("accesses too tangled to judge", MOST_GIVEN_UP)):
        tap.expect(sums[name] <= most * thousands, f"{name}: {sums[name]} of {sums['operations']} operations")


@tap.case("the same seed and operations give the same text")
def _():
    words = ("--seed", 77, "--ops", 20_000)
    tap.expect_equal(model(*words), model(*words), "the second run")


@tap.case("another seed gives another run")
def _():
    tap.expect(model("--seed", 77, "--ops", 9_000) != model("--seed", 78, "--ops", 9_000), "they say the same")


def spoiled(name):
    """The program with the planted defect of that name, and the defect."""
    defect = next(defect for defect in planted.load([name]) if defect.name == name)
    planted.build(defect, *planted.recipe(planted.MODEL))
    return defect


@tap.shared
def finding():
    """A finding of a program with a defect: the defect, what was said, and the script."""
    defect = spoiled("unmap-names-nothing")
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
    tap.expect(len(lines) < 60, f"{len(lines)} lines")
    check = lines[0].split(":")[0].removeprefix("# ")
    for i in range(2, len(lines)):
        shorter = "\n".join(lines[:i] + lines[i + 1:]) + "\n"
        ended = subprocess.run([str(defect.program), "--script", "-", "--only", check], cwd=TREE, input=shorter,
                               stdout=subprocess.PIPE, text=True, check=False)
        tap.expect_equal(ended.returncode, 0, f"exit status without line {i + 1}, {lines[i]}")


@tap.case("a finding's script finds nothing without the defect")
def _():
    _, _, script = finding()
    tap.expect_match("^nothing found", model("--script", "-", script=script)[1], "the replay")


@tap.cases("wrong arguments are refused with a sentence: {}", (
    "--seed x", "--seed -1", "--seed", "--ops 1k", "--engine z80", "--without nothing", "--only nothing", "--frobnicate",
    "extra", "--script build/model/there-is-none"))
def _(words):
    status, text = model(*words.split())
    tap.expect_equal(status, 2, "exit status")
    tap.expect(text.startswith(("model: ", str(MODEL))) and text.count("\n") <= 25, text)


@tap.cases("a script that is none is refused by its line: {!r}", (
    "read vp=0\n", "setting engine=z80 vps=1 processors=1\n", "setting engine=npt vps=1 processors=1\nfly vp=0\n",
    "setting engine=npt vps=1 processors=1\nread vp=9\n", "setting engine=npt vps=1 processors=1\nread address=-1\n",
    "setting engine=npt vps=1 processors=1\nread vp=0 address=zero\n", "setting engine=npt\n", ""))
def _(script):
    status, text = model("--script", "-", script=script)
    tap.expect_equal(status, 2, "exit status")
    tap.expect(text.startswith("-:") and text.count("\n") == 1, text)


@tap.case("a setting that cannot be is refused")
def _():
    status, text = model("--script", "-", script="setting engine=npt vps=1 processors=1 intel=1 tags=1 tlb_entries=16\n")
    tap.expect_equal((status, text), (2, "model: this setting cannot be\n"), "what is said")


HEAD = "title: t\nfile: lib/base/plan.c\nengines: npt\ncheck: frame\nops: 10\n"
EDIT = "--- find\nx\n--- replace\ny\n--- end\n"
UNFIT = {
    "a title alone": "title: t\n" + EDIT,
    "no edit": HEAD,
    "an edit cut off": HEAD + "--- find\nx\n",
    "an edit the wrong way round": HEAD + "--- find\nx\n--- end\n--- replace\n",
    "two titles": HEAD + "title: again\n" + EDIT,
    "alone with an engine that it has not": HEAD + "alone: z80\n" + EDIT,
    "a line that says nothing": HEAD + "nonsense\n" + EDIT,
}


@tap.case("a planted defect is a head and edits")
def _():
    tap.expect_equal(planted.parse("text", HEAD + EDIT + EDIT).edits, [("x\n", "y\n")] * 2, "edits")


@tap.cases("not a planted defect: {}", UNFIT)
def _(name):
    try:
        planted.parse("text", UNFIT[name])
    except planted.Unfit:
        return
    raise tap.Failed("it was taken for one")


@tap.cases("a text that a source holds {} is not replaced", ("nowhere", "twice"))
def _(times):
    find = {"nowhere": "no such text\n", "twice": "}\n\n"}[times]
    defect = planted.parse("text", HEAD + f"--- find\n{find}--- replace\n--- end\n")
    try:
        planted.spoil(defect, (TREE / defect.file).read_text())
    except planted.Unfit:
        return
    raise tap.Failed("it was replaced")
