"""The documents that pages are made of, and vmmu report as the cases use it."""

import contextlib
import json
import pathlib
import subprocess
import tempfile

import browser
import tap

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
TOOL = TREE / "build" / "san" / "vmmu"
# A guest of our own that edits its page tables all the time: seconds to run, and something in every counter.
GUEST = TREE / "build" / "tests" / "guests" / "tables64.elf"
SECONDS = 120

_folder = tempfile.TemporaryDirectory(prefix="vmmu-report-")
FOLDER = pathlib.Path(_folder.name)


def report(*words, stdin=""):
    """Run vmmu report to its end."""
    return subprocess.run([TOOL, "report", *map(str, words)], cwd=FOLDER, input=stdin, check=False, timeout=SECONDS,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")


def expect_status(ended, status):
    """The tool ended with @status; a sanitizer's complaint is in what it wrote."""
    tap.expect_equal(ended.returncode, status, f"exit status (it said {ended.stderr[-1500:]!r})")


@tap.shared
def run_of(technique):
    """The statistics of a run under @technique: a path."""
    path = FOLDER / f"{technique}.json"
    ended = subprocess.run([TREE / "scripts" / "vm", "boot", "--mmu", technique, "--stats", path, "--protocol", "multiboot",
                            "--kernel", GUEST], check=False, timeout=SECONDS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    # What the guest found out about its processor is its own suite's affair.
    tap.expect(path.exists(), f"scripts/vm wrote no statistics: {ended.stdout[-2000:]!r}")
    return path


def document(technique):
    """The same, read."""
    return json.loads(run_of(technique).read_text(encoding="utf-8"))


def write(name, value):
    """A document of this test's own: text, or what becomes JSON."""
    path = FOLDER / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


@contextlib.contextmanager
def opened(*words, scripts=True):
    """The page that vmmu report @words writes, in a browser; it must have nothing to complain of at the end."""
    with tempfile.NamedTemporaryFile(prefix="page-", suffix=".html", dir=FOLDER) as file:
        expect_status(report(*words, "-o", file.name), 0)
        with browser.running() as chromium:
            page = chromium.open(f"file://{file.name}", scripts)
            yield page
            tap.expect_equal(page.complaints, [], "what the browser complains of")
            tap.expect_equal(page.requests, [f"file://{file.name}"], "what the page asks for")


def table(page, title):
    """A table by its caption: the rows as {name: {column: value}}, where a number is a number."""
    rows = page.ask("""(title => {
        const table = Array.from(document.querySelectorAll("table")).find(t => t.caption.textContent === title);
        if (!table) return null;
        const value = cell => "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
        const heads = Array.from(table.tHead.rows[0].cells, cell => cell.textContent);
        return Array.from(table.tBodies[0].rows, row => [row.cells[0].textContent,
            Array.from(row.cells).slice(1).map((cell, i) => [heads[i + 1], value(cell)])]);
    })(%s)""" % json.dumps(title))
    tap.expect(rows is not None, f"there is no table {title!r}: {page.texts('caption')}")
    # Columns of shares have one name; the first of a name is meant.
    return {name: {column: value for column, value in reversed(cells)} for name, cells in rows}
