"""Planted defects: small text files in the folders of the proving grounds, each of which spoils one source in one place.

Each becomes a program of its own: a copy of the source with the defect in it, compiled like the ground and linked with the rest
of it. The check that a defect names must find it, all other checks switched off; and a defect that says so escapes all
others when that one is off, so that no check is idle.
"""

import dataclasses
import pathlib
import re
import subprocess

TREE = pathlib.Path(__file__).resolve().parents[2]
OUT = TREE / "build" / "defects"

# What a hunt may take at the very most, in seconds; a run of this length has gone astray.
LONGEST = 240

HEADER = re.compile(r"^([a-z]+): (.*\S)\s*$")
FOUND = re.compile(r"^found: (\S+), seed \d+, after (\d+) operations$", re.MULTILINE)
MISSED = re.compile(r"^nothing found: seed \d+, (\d+) operations$", re.MULTILINE)
KEYS = {"title", "file", "engines", "check", "alone", "seed", "ops"}
MARKS = ("find", "replace", "end")


class Unfit(Exception):
    """A defect that is not one: what is wrong with its file."""


@dataclasses.dataclass(frozen=True)
class Ground:
    """A program that finds defects, and how make builds it."""

    name: str
    files: pathlib.Path  # its defects
    objects: str  # where its objects are
    program: pathlib.Path
    goal: str  # of make
    recipe: str  # likewise: says how a variant is built


MODEL = Ground("model", TREE / "tests/model/defects", "build/model", TREE / "build/model/model", "model-program",
               "model-recipe")
BOOKE = Ground("booke", TREE / "tests/booke/defects", "build/booke", TREE / "build/booke/ground", "booke-program",
               "booke-recipe")
GROUNDS = (MODEL, BOOKE)


@dataclasses.dataclass
class Defect:
    """One file."""

    ground: Ground
    name: str
    title: str
    file: str
    engines: list
    check: str
    alone: list  # engines with which no other check finds it
    seed: int
    ops: int  # within so many operations
    edits: list  # (text to find, its replacement)

    @property
    def folder(self):
        """Where its program is built."""
        return OUT / self.name

    @property
    def program(self):
        """The ground with the defect in it."""
        return self.folder / self.ground.program.name


def parse(name, text, ground=MODEL):
    """The defect that a file's text describes."""
    head, *blocks = re.split(r"^--- (\w+)\n", text, flags=re.MULTILINE)
    values = {}
    for line in head.splitlines():
        match = HEADER.match(line)
        if line and not line.startswith("#"):
            if not match or match[1] not in KEYS or match[1] in values:
                raise Unfit(f"{name}: not a line of a defect: {line}")
            values[match[1]] = match[2]
    missing = KEYS - {"alone", "seed"} - values.keys()
    if missing:
        raise Unfit(f"{name}: does not say {', '.join(sorted(missing))}")
    engines, alone = values["engines"].split(), values.get("alone", "").split()
    if not set(alone) <= set(engines):
        raise Unfit(f"{name}: alone names engines among its own, not {' '.join(alone)}")
    marks, texts = blocks[0::2], blocks[1::2]
    if not marks or any(mark != MARKS[i % 3] for i, mark in enumerate(marks)) or len(marks) % 3:
        raise Unfit(f"{name}: edits are `--- find`, `--- replace` and `--- end` in turn")
    return Defect(ground, name, values["title"], values["file"], engines, values["check"], alone, int(values.get("seed", "1")),
                  int(values["ops"]), list(zip(texts[0::3], texts[1::3])))


def load(words):
    """All defects, or those whose name holds one of @words."""
    defects = [parse(path.name.removesuffix(".txt"), path.read_text(encoding="utf-8"), ground)
               for ground in GROUNDS for path in sorted(ground.files.glob("*.txt"))]
    return [defect for defect in defects if not words or any(word in defect.name for word in words)]


def spoil(defect, source):
    """The text of its source with the defect in it."""
    for find, replacement in defect.edits:
        if source.count(find) != 1:
            raise Unfit(f"{defect.file} holds the text to replace {source.count(find)} times, not once:\n{find}")
        source = source.replace(find, replacement)
    return source


def recipe(ground):
    """Build a ground; how a variant of it is built: the compiler with its flags, and the objects."""
    subprocess.run(["make", "-s", "--no-print-directory", "-j2", ground.goal], cwd=TREE, check=True)
    lines = subprocess.run(["make", "-s", "--no-print-directory", ground.recipe], cwd=TREE, check=True,
                           stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return lines[0].split(), lines[1:]


def build(defect, compiler, objects):
    """Build its program, unless it stands already."""
    copy = defect.folder / defect.file
    spoiled = f"{defect.ground.objects}/{defect.file.removesuffix('.c')}.o"
    if spoiled not in objects:
        raise Unfit(f"{defect.file} is not a source of the {defect.ground.name}'s program")
    text = spoil(defect, (TREE / defect.file).read_text(encoding="utf-8"))
    newest = max((TREE / other).stat().st_mtime for other in objects)
    if defect.program.exists() and copy.read_text(encoding="utf-8") == text and \
            defect.program.stat().st_mtime > newest:
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(text, encoding="utf-8")
    rest = [other for other in objects if other != spoiled]
    # What stands beside the source is included by its name alone; what a defect no longer uses is no fault.
    command = [*compiler, "-Wno-error", "-Wno-unused", f"-I{pathlib.Path(defect.file).parent}", str(copy), *rest,
               "-o", str(defect.program)]
    ended = subprocess.run(command, cwd=TREE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, check=False)
    if ended.returncode:
        raise Unfit(f"does not compile:\n{ended.stdout}")


def hunt(defect, engine, *options):
    """Run its program for as many operations as it has: (the check that found something or None, operations)."""
    command = ["timeout", "-k", "5", str(LONGEST), str(defect.program), "--engine", engine, "--seed", str(defect.seed),
               "--ops", str(defect.ops), "--no-shrink", "--quiet", *options]
    ended = subprocess.run(command, cwd=TREE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, check=False)
    found, missed = FOUND.search(ended.stdout), MISSED.search(ended.stdout)
    if ended.returncode == 1 and found:
        return found[1], int(found[2])
    if ended.returncode == 0 and missed:
        return None, int(missed[1])
    raise Unfit(f"{' '.join(command)}: exit status {ended.returncode}: {ended.stdout[-500:]}")


def checks(ground):
    """The names of all checks."""
    return subprocess.run([str(ground.program), "--without", "list"], check=True, stdout=subprocess.PIPE,
                          text=True).stdout.split()
