"""What is no document, what is a broken one, and what the command line may say."""

import copy
import json
import pathlib
import random
import subprocess

import pages
from pages import document, expect_status, report, run_of, write
from tap import case, cases, expect, expect_equal, expect_match

OK, USAGE, INPUT = 0, 2, 3
NOT_DOCUMENTS = {
    "nothing": ("", "unexpected end"),
    "no JSON": ("Linux version 6.1.0\n", "no JSON"),
    "half a document": ('{"vmmu": 1, "outcome": {"kind": "stop', "unexpected end"),
    "two documents": ('{"vmmu": 1, "outcome": {}} {}', "unexpected character"),
    "a document with something behind its end": ('{"vmmu": 1, "outcome": {}}\0{}', "something follows"),
    "a number": ("17", "neither"),
    "null": ("null", "neither"),
    "a list of nothing": ("[]", "neither"),
    "JSON of another program": ('{"name": "x", "version": 3, "list": [1, 2]}', "neither"),
    "what vmmu check answers": ('{"vmmu_check": 1, "cr3": "0x1000", "findings": [{"severity": "error", "bytes": 4096}]}', "neither"),
    "what vmmu walk answers": ('[{"va": "0x1000", "references": 4, "entries": [{"reference": 1}]}]', "neither"),
    "statistics of another version": ('{"vmmu": 2, "outcome": {}}', "version 2"),
    "statistics without an outcome": ('{"vmmu": 1, "mmu": {}}', "do not tell the outcome"),
    "too deep": ('{"vmmu": 1, "outcome": {}, "x": ' + "[" * 100 + "]" * 100 + "}", "nesting"),
    "text that is no UTF-8": ('{"vmmu": 1, "outcome": {"kind": "\udcff"}}', "utf-8"),
    "too much": ("[" + "1," * (5 << 20) + "1]", "more than 8 MiB"),
}


@cases("{} is refused with the reason, and no page is written", NOT_DOCUMENTS)
def _(name):
    text, reason = NOT_DOCUMENTS[name]
    path, page = pages.FOLDER / f"{name}.json", pages.FOLDER / f"{name}.html"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    for order in ([path], [run_of("nested"), path]):
        ended = report(*order, "-o", page)
        expect_status(ended, INPUT)
        expect_match(rf"^vmmu: .*{name}\.json: .*{reason}", ended.stderr, "the reason")
        expect_equal(ended.stderr.count("\n"), 1, "lines of the complaint")
        expect(not page.exists(), "a page was written")


@case("a file that is not there, and a folder, are told by their names")
def _():
    for path in ("nowhere.json", "."):
        ended = report(path)
        expect_status(ended, INPUT)
        expect_match(f"^vmmu: {path}: ", ended.stderr, "the complaint")
        expect_equal(ended.stdout, "", "output")


@case("a page that cannot be written is an error")
def _():
    for place in ("nowhere/report.html", "/dev/full", "."):
        expect_status(report(run_of("nested"), "-o", place), INPUT)
    with open("/dev/full", "w", encoding="utf-8") as full:
        ended = subprocess.run([pages.TOOL, "report", run_of("nested")], stdout=full, stderr=subprocess.PIPE, check=False)
        expect_equal(ended.returncode, INPUT, f"exit status ({ended.stderr!r})")
    expect(pathlib.Path("/dev/full").is_char_device(), "a device was taken for a page")


@case("a document is never overwritten by its page")
def _():
    path = write("kept.json", document("nested"))
    before = path.read_bytes()
    ended = report(path, "-o", "kept.json")
    expect_status(ended, USAGE)
    expect_match("would be overwritten", ended.stderr, "the complaint")
    expect_equal(path.read_bytes(), before, "the document")


@case("nor is one that is the standard input")
def _():
    path = write("kept.json", document("nested"))
    before = path.read_bytes()
    with open(path, "rb") as kept:
        ended = subprocess.run([pages.TOOL, "report", "-", "-o", "kept.json"], cwd=pages.FOLDER, stdin=kept,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    expect_status(ended, USAGE)
    expect_match("would be overwritten", ended.stderr, "the complaint")
    expect_equal(path.read_bytes(), before, "the document")


@case("a command line that cannot be has status 2")
def _():
    for words in ([], ["--nonsense"], ["-o"], ["a.json"] * 17):
        expect_status(report(*words), USAGE)


@case("without -o, or with -o -, the page is the output, and a document may be the input")
def _():
    for words in ([], ["-o", "-"]):
        ended = report("-", *words, stdin=run_of("nested").read_text(encoding="utf-8"))
        expect_status(ended, OK)
        expect(ended.stdout.startswith("<!DOCTYPE html>") and ended.stdout.endswith("</html>\n"), ended.stdout[:200])
        expect_match("<th [^>]*>standard input</th>", ended.stdout, "the run's name")


@case("--json says the same as the page")
def _():
    ended = report(run_of("nested"), run_of("shadow"), "--json")
    expect_status(ended, OK)
    made = json.loads(ended.stdout)
    expect_equal(made["vmmu_report"], 1, "the version")
    section = next(section for section in made["sections"] if section["title"] == "Memory virtualization")
    expect_equal(section["columns"], ["nested", "shadow"], "columns")
    rows = {row[0]: row[1:] for row in section["rows"]}
    expect_equal(rows["write_traps"], [None, document("shadow")["mmu"]["write_traps"]], "a row")
    expect_equal(rows["stores"], [document(technique)["mmu"]["stores"] for technique in ("nested", "shadow")], "another")


def places(value, path=()):
    """Each place in a document."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, member in inner:
        yield from places(member, path + (key,))


def replaced(value, path, other):
    """A copy of @value with @other at @path."""
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = other
    return value


ODD = (None, True, -1, 1 << 64, 1e308, -0.5, "", "x" * 70000, [], {}, [[]], [{}], {"": {"": 0}}, {"a": [{"a": 1}]})


@case("whatever stands in the place of a member, there is a page or a complaint")
def _():
    whole = document("shadow")
    whole["vps"][0]["trace"] = whole["vps"][0]["trace"][:3]
    chance = random.Random(6)
    tried = chance.sample([path for path in places(whole) if path], 60)
    tried += [("vmmu",), ("outcome",), ("mmu",), ("vps",), ("vps", 0), ("vps", 0, "counters"), ("vps", 0, "counters", "exits"),
              ("vps", 0, "trace"), ("devices",), ("run_ns",)]
    for path in tried:
        ended = report(write("odd.json", replaced(whole, path, chance.choice(ODD))), "-o", "odd.html")
        expect(ended.returncode in (OK, INPUT), f"{path}: status {ended.returncode}: {ended.stderr[-2000:]}")
        expect_equal(ended.returncode == OK, ended.stderr == "", f"{path}: a page or a complaint, {ended.stderr[-500:]}")


@case("bytes that are cut or changed anywhere make a page or a complaint")
def _():
    whole = run_of("shadow").read_bytes()
    chance = random.Random(66)
    for _ in range(60):
        broken = bytearray(whole[:chance.randrange(len(whole))] if chance.random() < 0.3 else whole)
        for _ in range(chance.randrange(1, 20) if broken else 0):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        path = pages.FOLDER / "broken.json"
        path.write_bytes(broken)
        ended = report(path, "-o", "broken.html")
        expect(ended.returncode in (OK, INPUT), f"status {ended.returncode}: {ended.stderr[-2000:]}")


@case("a document of very many members is cut, and says so")
def _():
    many = {"vmmu": 1, "outcome": {"kind": "x"}, "mmu": {f"counter {i}": i for i in range(50000)},
            "vps": [{"counters": {"exits": {"port": i}}, "trace": []} for i in range(500)]}
    many.update({f"section {i}": {"a": 1} for i in range(2000)})
    ended = report(write("many.json", many))
    expect_status(ended, OK)
    expect_match(r"more values are not shown", ended.stdout, "the page")
    expect(len(ended.stdout) < 2_000_000, f"{len(ended.stdout)} characters")
