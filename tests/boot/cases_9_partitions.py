"""Several partitions at once: each with its memory, its console and its end, whatever becomes of the others."""

import contextlib
import json
import os
import struct
import tempfile

import front
import images
from cases_6_monitor import PAGED, TECHNIQUES, Monitor
from tap import Skipped, case, expect, expect_equal, expect_match
from terminal import terminal
from tool import tool
from vmlib import status

# Interrupts are enabled, though none ever comes: else those of the hypervisor would wait on Bochs.
HANG = b"\xFB" + images.HANG

COUNT_AT = images.LOAD_ADDRESS + 0x9000
GUEST_BYTES = 16 << 20


def counting(turns):
    """Instructions that count in memory up to @turns: time in which others run."""
    # sti; again: inc [there]; cmp [there], turns; jne again
    return (b"\xFB\xFF\x05" + struct.pack("<I", COUNT_AT) + b"\x81\x3D" + struct.pack("<II", COUNT_AT, turns) + b"\x75\xEE")


def echo(more):
    """Instructions that answer each byte on COM1 with itself plus @more, for ever."""
    # sti; wait: mov dx, 0x3FD; in al, dx; test al, 1; jz wait; mov dx, 0x3F8; in al, dx; add al, more; out dx, al; jmp wait
    return (b"\xFB\x66\xBA\xFD\x03\xEC\xA8\x01\x74\xF7\x66\xBA\xF8\x03\xEC\x04" + bytes([more]) + b"\xEE\xEB\xED")


@contextlib.contextmanager
def words_of(codes, techniques=TECHNIQUES):
    """The words of scripts/vm boot for a partition with each of @codes, the techniques taking turns."""
    if front.mmu == "none":
        raise Skipped("there is no hypervisor")
    with front.scratch() as folder:
        paths = [os.path.join(folder, f"image{at}") for at in range(len(codes))]
        for path, code in zip(paths, codes):
            with open(path, "wb") as out:
                out.write(images.kernel(code))
        words = ["boot", *front.place(techniques[0]), "-q", "--memory", "16M", "--protocol", "multiboot", "--kernel", paths[0]]
        for at, path in enumerate(paths[1:], 1):
            words += ["--partition", f"kernel={path} protocol=multiboot memory=16M mmu={techniques[at % len(techniques)]}"]
        yield words


def boot(*codes, words=()):
    """How scripts/vm ended with a partition for each of @codes."""
    with words_of(codes) as all_words:
        return front.vm(*all_words, *words)


@contextlib.contextmanager
def running(*codes):
    """A terminal on partitions with each of @codes, and their monitor."""
    with shown(*codes) as (screen, path):
        asking = Monitor(path)
        yield screen, asking
        asking.port.close()


@contextlib.contextmanager
def shown(*codes):
    """The same terminal, and the path of the monitor's socket, once the first of them says "up"."""
    with words_of(codes) as words, tempfile.TemporaryDirectory() as short:
        path = os.path.join(short, "monitor")
        with terminal(*words, "--monitor", path) as screen:
            screen.wait(b"up")
            yield screen, path


@case("each of eight partitions comes to its own end, and the first one's console is the one that is shown")
def _():
    codes = [images.say(f"I am {at}\n") + images.debug_exit(0) for at in range(8)]
    ended = boot(*codes)
    expect_equal(ended.status, 1, "exit status")
    expect_match("I am 0", ended.out, "console")
    expect("I am 1" not in ended.out, "the console shows another's words")
    for at in range(8):
        expect_match(rf"^vm: partition {at}: debug-exit 0$", ended.err, "outcomes")
        if at:
            expect_match(rf"^vm: {at}\| I am {at}$", ended.err, "what the others said")


@case("the exit status tells of another partition's value if the first one's is well")
def _():
    ended = boot(images.debug_exit(0), images.debug_exit(5))
    expect_equal(ended.status, 5 << 1 | 1, "exit status")
    expect_match("^vm: partition 1: debug-exit 5$", ended.err, "outcomes")
    expect_equal(boot(images.debug_exit(3), images.debug_exit(5)).status, 3 << 1 | 1, "exit status where both are not")


@case("a partition that dies does not keep another from its end")
def _():
    work = counting(3000000) + images.say("the right answer\n") + images.debug_exit(0)
    ended = boot(work, images.TRIPLE_FAULT)
    expect_equal(ended.status, status.GUEST_DIED, "exit status")
    expect_match("the right answer", ended.out, "console")
    expect_match("partition 1 stopped: triple fault", ended.out, "obituary")
    expect_match("^vm: partition 0: debug-exit 0$", ended.err, "outcomes")
    expect_match("^vm: the guest of partition 1 died: triple fault", ended.err, "outcomes")
    ended = boot(images.TRIPLE_FAULT, work)
    expect_equal(ended.status, status.GUEST_DIED, "exit status")
    expect_match(r"^vm: 1\| the right answer$", ended.err, "what the other said")
    expect_match("^vm: partition 1: debug-exit 0$", ended.err, "outcomes")


@case("partitions take turns while none of them ever waits")
def _():
    other = images.say("and I\n") + counting(3000000) + images.say("too\n") + HANG
    with running(images.say("up") + HANG, other) as (_, asking):
        said = ""
        while "too" not in said:
            said += json.loads(asking.ask("console-read 1", b"\n"))["text"]
        expect_equal(said, "and I\ntoo\n", "console of the second")
        for _ in range(3):
            rows = [json.loads(asking.ask(f"counters {at}", b"\n")) for at in range(2)]
        expect(all(row["vps"][0]["counters"]["entries"] > 3 for row in rows), f"one stands still: {rows}")


@case("a report of several partitions holds each one's own")
def _():
    with front.scratch() as folder:
        path = os.path.join(folder, "stats.json")
        boot(images.debug_exit(0), images.debug_exit(1), words=["--stats", path])
        with open(path, encoding="utf-8") as text:
            reports = json.load(text)["partitions"]
    expect_equal([(report["partition"], report["outcome"]["value"]) for report in reports], [(0, 0), (1, 1)], "outcomes")
    expect_equal([report["mmu"]["technique"] for report in reports], [TECHNIQUES[0], TECHNIQUES[-1]], "techniques")


@case("whoever has the focus gets what is typed, and shows what it has said meanwhile")
def _():
    with running(images.say("up") + echo(0), images.say("second\n") + echo(1)) as (screen, asking):
        screen.type("x")
        screen.wait(b"x")
        expect_equal(asking.ask("console 1"), "the console is partition 1's", "answer")
        screen.wait(b"second")
        screen.type("a")
        expect("a" not in screen.wait(b"b"), "the first answers, too")
        expect_equal(asking.ask("console 0"), "the console is partition 0's", "answer")
        screen.type("q")
        screen.wait(b"q")
        expect_equal(json.loads(asking.ask("console-read 1", b"\n"))["text"], "second\nb", "what is read of the second")
        expect_match("there is no partition 2", asking.ask("console 2"), "answer")


@case("what a console holds is the last of it, and who reads too late is told how much is lost")
def _():
    flood = images.write_port(0x3FB, 3) + b"\xB9" + struct.pack("<I", 70000) + b"\x66\xBA\xF8\x03\xB0\x2A\xEE\xE2\xFD"
    with running(images.say("up") + HANG, flood + images.say("end") + HANG) as (_, asking):
        row = {"unread_bytes": 0, "lost_bytes": 0}
        while row["unread_bytes"] + row["lost_bytes"] < 70003:
            row = json.loads(asking.ask("partitions", b"\n"))["partitions"][1]
        first = json.loads(asking.ask("console-read 1", b"\n"))
        expect_equal((first["lost_bytes"], first["more"], set(first["text"])), (70003 - 65536, True, {"*"}), "the first answer")
        text, answer = first["text"], first
        while answer["more"]:
            answer = json.loads(asking.ask("console-read 1", b"\n"))
            text += answer["text"]
        expect_equal((len(text), text[-4:], answer["lost_bytes"]), (65536, "*end", 0), "all that was kept")


@case("one partition is stopped and another goes on; without a number all are meant")
def _():
    with running(PAGED, PAGED) as (_, asking):
        expect_equal(asking.ask("stop 1"), "stopped", "answer")
        documents = [json.loads(asking.ask("state", b"\n")) for _ in range(2)]
        expect_equal([one["held"] for one in documents[0]["partitions"]], [False, True], "held")
        clocks = [[one["clock_ns"] for one in document["partitions"]] for document in documents]
        expect(clocks[0][0] < clocks[1][0], "the first one's clock stands")
        expect_equal(clocks[1][1], clocks[0][1], "clock of the second")
        expect_equal(asking.ask("stop"), "stopped", "answer")
        expect_equal(asking.ask("stop"), "stopped before", "answer")
        expect_equal(asking.ask("go 1"), "running", "answer")
        expect_equal(asking.ask("go"), "running", "answer")
        expect_equal(asking.ask("go 0"), "running before", "answer")
        expect_match("there is no partition 7", asking.ask("stop 7"), "answer")


@case("no memory of one partition is another's, and what the machine tells of each is that one's")
def _():
    with running(*3 * [PAGED]) as (_, asking):
        expect_equal(asking.ask("stop"), "stopped", "answer")
        partitions = json.loads(asking.ask("state", b"\n"))["partitions"]
        pieces = sorted((int(piece["hpa"], 16), int(piece["bytes"], 16)) for one in partitions for piece in one["memory"])
        expect_equal(sum(size for _, size in pieces), 3 * GUEST_BYTES, "bytes in all")
        for (at, size), (following, _) in zip(pieces, pieces[1:]):
            expect(at + size <= following, f"{at:x} and {following:x} overlap")
        places = [int(one["memory"][0]["hpa"], 16) + COUNT_AT for one in partitions]
        counts = [asking.read(place, 4) for place in places]
        expect(all(counts), f"a guest's memory is not to be read: {counts}")
        reports = json.loads(asking.ask("counters", b"\n"))["partitions"]
        expect_equal([report["partition"] for report in reports], [0, 1, 2], "reports")
        expect_equal(json.loads(asking.ask("counters 2", b"\n"))["partition"], 2, "report of one")


@case("the end of one partition is told to whoever is connected, and is nobody's answer")
def _():
    with running(images.say("up") + HANG, counting(20000000) + images.debug_exit(9)) as (_, asking):
        told = None
        while told is None:
            line = asking.ask("partitions", b"\n")
            if line.startswith('{"vmmu_ended"'):
                told, line = json.loads(line), asking.until(b"\n")
            expect_equal(json.loads(line).get("vmmu_partitions"), 1, "answer")
        expect_equal((told["vmmu_ended"], told["report"]["outcome"]["value"]), (1, 9), "what was told")
        rows = json.loads(asking.ask("partitions", b"\n"))["partitions"]
        expect_equal([row["outcome"] for row in rows], ["running", "debug-exit"], "outcomes")


@case("vmmu live and vmmu top look at the partition that is named, and want a name")
def _():
    with shown(PAGED, PAGED) as (_, path):
        for words in (("live", path), ("top", "--count", 1, path)):
            expect_match("there are several partitions: say which by --partition", tool(*words, status=3)[1], "errors")
        expect_equal(tool("live", "--partition", 1, path, "stop")[0], "stopped\n", "stop of the second")
        expect_match("stopped", tool("live", "--partition", 1, path)[0].splitlines()[0], "the second at a glance")
        expect_match("running", tool("live", "--partition", 0, path)[0].splitlines()[0], "the first at a glance")
        tool("top", "--partition", 0, "--interval", 0.1, "--count", 1, path)
        expect_match("there is no partition 2", tool("live", "--partition", 2, path, "go", status=3)[1], "errors")
        for at in range(2):
            walk = tool("live", "--partition", at, path, "walk", f"{COUNT_AT:x}")[0]
            expect_match(f"{COUNT_AT:x}", walk, f"walk in partition {at}")
