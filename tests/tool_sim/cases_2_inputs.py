"""Files, pipes, forms and plots; and what is no trace or no command line."""

import json
import os
import random
import subprocess
import xml.etree.ElementTree

from simulated import FAST, FOLDER, PLAIN, SANITIZED, SORT, WORDS, runs, sim, trace, valgrind
from tap import case, cases, expect, expect_equal, expect_match

OK, USAGE, INPUT = 0, 2, 3
HEAD = b"VMMUTRC\n" + (1).to_bytes(4, "little") + bytes(4)
WRONG_TRACES = {
    "a line that is none": (b" L 00001000,4\nhello, world\n", r"line 2 is no line of lackey's"),
    "the end of a line cut off": (b" L 00001000,4\n L 000010", r"line 2 is no line"),
    "zeros": (bytes(100), r"line 1 is no line"),
    "a line without end": (b"=" * 100000, r"line 1 is longer than 4096 bytes"),
    "a binary trace of another version": (b"VMMUTRC\n" + (7).to_bytes(4, "little") + bytes(4), r"version 7"),
    "a binary head cut off": (HEAD[:11], r"cut off in its head"),
    "a binary record cut off": (HEAD + bytes(12), r"cut off in record 2"),
    "a binary record of no kind": (HEAD + bytes(8) + b"\x0f" + bytes(7), r"record 2 is none"),
    "an address of more than 48 bits": (b" L 0001000000000000,4\n", r"0x1000000000000.*--levels"),
}
WRONG_WORDS = {
    "no trace": [],
    "an unknown technique": ["--technique", "magic", "-"],
    "an unknown TLB": ["--tlb", "pentium", "-"],
    "a TLB with a comma too many": ["--tlb", "code=8/2,", "-"],
    "an unknown page size": ["--page", "3m", "-"],
    "no number": ["--exit", "often", "-"],
    "a slice that does not fit in memory": ["--processes", "2", "--switch", "99999999999", "-"],
    "switches of one process": ["--switch", "1,2", "-"],
    "processes of several traces": ["--processes", "2", "-", "-"],
    "an unknown weight": ["--weights", "luck=3", "-"],
    "a weight without number": ["--weights", "exit", "-"],
    "a plot of nothing that is known": ["--plot", "luck=x.svg", "-"],
    "too many configurations": ["--exit", ",".join(map(str, range(16))), "--page", "4k,2m,1g", "--upper", "on,off",
                                "--host-page", "4k,2m,1g", "-"],
}


def write(name, content):
    """A file of that name; its path."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / name
    path.write_bytes(content)
    return path


@cases("{} is refused with its place, by one line", WRONG_TRACES)
def _(name):
    content, reason = WRONG_TRACES[name]
    ended = sim(write(name.replace(" ", "-"), content), tool=SANITIZED)
    expect_equal(ended.returncode, INPUT, f"exit status ({ended.stderr})")
    expect_match(rf"^vmmu: .*{reason}", ended.stderr, "the reason")
    expect_equal(ended.stderr.count("\n"), 1, "lines of the complaint")
    expect_equal(ended.stdout, "", "output")


@cases("{} on the command line is a usage error", WRONG_WORDS)
def _(name):
    ended = sim(*WRONG_WORDS[name], tool=SANITIZED)
    expect_equal(ended.returncode, USAGE, f"exit status ({ended.stderr})")
    expect(ended.stderr.startswith("vmmu"), f"complaint: {ended.stderr}")


@case("what cannot be opened or written is told by its name")
def _():
    for path in ("nowhere.trace", "."):
        ended = sim(path)
        expect_equal(ended.returncode, INPUT, "exit status")
        expect_match(rf"^vmmu: {path}", ended.stderr, "complaint")
    small = write("small", b" L 00001000,4\n")
    for option in ("--plot", "--convert"):
        ended = sim(option, "/nowhere/file", small)
        expect_equal(ended.returncode, INPUT, f"exit status of {option}")
        expect_match(r"/nowhere/file cannot be written", ended.stderr, "complaint")


@case("an empty trace, and one without references, are errors, and nothing is printed")
def _():
    for content in (b"", b"==1== nothing happened\n", HEAD):
        ended = sim("--json", write("empty", content), tool=SANITIZED)
        expect_equal(ended.returncode, INPUT, f"exit status ({ended.stderr})")
        expect_match(r"^vmmu: .*empty: no references in it\n$", ended.stderr, "complaint")
        expect_equal(ended.stdout, "", "output")


@case("a trace is not overwritten by what it comes to")
def _():
    path = write("kept", b" L 00001000,4\n")
    for option in ("--plot", "--convert"):
        ended = sim(option, path, path, tool=SANITIZED)
        expect_equal(ended.returncode, USAGE, f"exit status of {option} ({ended.stderr})")
        expect_equal(path.read_bytes(), b" L 00001000,4\n", "the trace")


@case("valgrind's pipe is simulated while the program runs, with the numbers of its file")
def _():
    path = FOLDER / "words"
    trace()
    path.write_text(WORDS)
    with open(path, encoding="ascii") as words:
        program = subprocess.Popen(["bash", "-c", 'exec 9>&1 >/dev/null; exec "$@"', "bash", *valgrind(SORT, "--log-fd=9")],
                                   stdin=words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=PLAIN)
        piped = sim("--json", "--technique", "native", "-", stdin=program.stdout)
        program.stdout.close()
        expect_equal(program.wait(timeout=60), 0, "valgrind's exit status")
    expect_equal(piped.returncode, OK, f"exit status ({piped.stderr})")
    accesses = json.loads(piped.stdout)["runs"][0]["accesses"]["user"]
    whole = runs("--technique", "native", trace())["native"]["accesses"]["user"]
    expect(abs(accesses - whole) < whole // 50, f"references: {accesses} through a pipe, {whole} in a file")


@case("the binary form says the same as the text, and can be converted again")
def _():
    first, second = FOLDER / "first.trace", FOLDER / "second.trace"
    expect_equal(sim("--convert", first, trace()).returncode, OK, "exit status")
    expect_equal(sim("--convert", second, first).returncode, OK, "exit status")
    expect_equal(second.read_bytes(), first.read_bytes(), "converted again")
    expect(first.read_bytes().startswith(HEAD), "the head of the binary form")
    expect_equal(runs(first), runs(trace()), "what is simulated")


@case("several intervals between switches read a file again, and refuse a pipe")
def _():
    words = ("--processes", 2, "--switch", "10000,50000", "--technique", "native")
    found = runs(*words, trace())
    expect(found["native switch 10000"]["switches"] > 4 * found["native switch 50000"]["switches"], f"switches: {found}")
    with open(trace(), "rb") as file, subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE) as pipe:
        ended = sim(*words, "-", stdin=pipe.stdout)
        pipe.stdout.close()
    expect_equal(ended.returncode, INPUT, "exit status")
    expect_match("is a pipe", ended.stderr, "complaint")


@case("several traces are processes, and a limit bounds each")
def _():
    ended = sim("--json", "--limit", 100000, "--switch", 10000, "--technique", "native", trace(), trace())
    document = json.loads(ended.stdout)
    expect_equal([entry["references"] for entry in document["traces"]], [100000, 100000], "references")
    expect_equal(document["runs"][0]["accesses"]["user"], 200000, "accesses")
    expect_equal(document["runs"][0]["switches"], 19, "switches")


@case("plots are SVG with every configuration in them")
def _():
    names = ("walks", "depth", "references", "exits", "tables", "cycles")
    paths = {name: FOLDER / f"{name}.svg" for name in names}
    plots = [word for name in names for word in ("--plot", f"{name}={paths[name]}")]
    labels = list(runs(trace()))
    expect_equal(sim(*plots, trace()).returncode, OK, "exit status")
    for name, path in paths.items():
        text = "".join(xml.etree.ElementTree.parse(path).getroot().itertext())
        for label in labels:
            expect(label in text, f"{label} is not in the plot of {name}")
        expect(path.stat().st_size < 60 * 1024, f"the plot of {name} is large")
    lines = FOLDER / "lines.svg"
    expect_equal(sim("--exit", "1000,10000", "--plot", lines, trace()).returncode, OK, "exit status")
    expect("references between exits" in lines.read_text(), "no axis of intervals")


@case("the table fits a terminal and holds what the JSON says")
def _():
    ended = sim(trace())
    expect_equal(ended.returncode, OK, "exit status")
    for line in ended.stdout.splitlines():
        expect(len(line) <= 80 or line.startswith(("TLB", str(trace()))), f"a line of {len(line)}: {line}")
    for label, run in runs(trace()).items():
        expect_match(rf"^{label} +{run['walks_per_1000']:.3f} ", ended.stdout, "walks for 1000 references")


@case("five million references a second go through each configuration")
def _():
    binary = FOLDER / "speed.trace"
    sim("--convert", binary, trace())
    references = json.loads(sim("--json", "--technique", "native", binary).stdout)["traces"][0]["references"]
    running = subprocess.Popen([FAST, "sim", "--switch", "100000", *[binary] * 8], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    expect_equal(running.returncode, OK, "exit status")
    seconds = used.ru_utime + used.ru_stime  # of the processor: others work here, too
    expect(references * 8 * 5 / seconds > 5e6, f"{references * 8} references in {seconds:.2f} s, five times")


@case("damaged traces of every form crash nothing")
def _():
    chance = random.Random(20)
    binary = FOLDER / "whole.trace"
    sim("--limit", 2000, "--convert", binary, trace())
    texts = [trace().read_bytes()[:20000], binary.read_bytes()]
    for turn in range(60):
        content = bytearray(texts[turn % 2])
        for _ in range(chance.randrange(1, 8)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        del content[chance.randrange(len(content)):]
        path = write("damaged", bytes(content))
        words = ("--format", "hypervisor") if turn % 5 == 0 else ()
        ended = subprocess.run([SANITIZED, "sim", "--limit", "5000", *words, path], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        expect(ended.returncode in (OK, INPUT), f"exit status {ended.returncode}: {ended.stderr[-2000:]}")
