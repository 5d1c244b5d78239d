"""vmmu live and vmmu top: a guest that runs, looked at from outside."""

import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time

import front
from cases_6_monitor import COUNT_AT, DIRECTORY, PAGED, STOPPING, TECHNIQUES, Monitor, counted, machine
from tap import case, cases, expect, expect_equal, expect_match
from tool import TOOL, TOOL_SECONDS, tool

PT_LOAD, PT_NOTE = 1, 4


def segments(path):
    """The program headers of the dump at @path: (type, offset, physical address, bytes in the file)."""
    with open(path, "rb") as dump:
        head = dump.read(64)
        expect_equal(head[:6], b"\x7fELF\x02\x01", "beginning of the dump")
        kind, processor = struct.unpack_from("<HH", head, 16)
        expect_equal((kind, processor), (4, 62), "ET_CORE for EM_X86_64")
        count = struct.unpack_from("<H", head, 56)[0]
        table = dump.read(56 * count)
    return [(*struct.unpack_from("<I4xQ8xQQ", table, 56 * at),) for at in range(count)]


def note(path):
    """The state document in the dump at @path."""
    _, at, _, size = next(segment for segment in segments(path) if segment[0] == PT_NOTE)
    with open(path, "rb") as dump:
        dump.seek(at)
        text = dump.read(size)
    name_bytes, document_bytes, kind = struct.unpack_from("<III", text)
    expect_equal((text[12:12 + name_bytes], kind), (b"VMMU\0", 1), "the note's name and type")
    return json.loads(text[20:20 + document_bytes])


def byte_at(path, address):
    """Four bytes of the machine's memory in the dump at @path."""
    for kind, at, base, size in segments(path):
        if kind == PT_LOAD and base <= address < base + size:
            with open(path, "rb") as dump:
                dump.seek(at + address - base)
                return dump.read(4)
    return None


@cases("under {} vmmu live shows registers and counters at a glance", TECHNIQUES)
def _(technique):
    with machine(STOPPING, technique, "--stop-port") as path:
        asking = Monitor(path)
        vp = asking.held()["vps"][0]
        out, _ = tool("live", path)
        expect_match(rf": {technique} on (svm|vmx), 64 MiB, stopped after ", out.splitlines()[0], "the first line")
        expect_match(rf"\brip +{int(vp['rip'], 16):016x}\b", out, "RIP")
        expect_match(rf"\bcr3 +{DIRECTORY:016x}\b", out, "CR3")
        expect_match(r"\bcs +0010  base 0{16}", out, "CS")
        expect_match(r"\bcode +fb ff 05 ", out, "code")
        expect_match(r"^ +control-register +\d+ +[0-9.]+ %", out, "an exit")
        expect(all(len(line) <= 80 for line in out.splitlines()), "a line is too long for a terminal")
        document = json.loads(tool("live", path, "--json")[0])
        expect_equal(document["mmu"]["technique"], technique, "technique")
        asking.port.close()


@cases("under {} vmmu live writes a dump in which the guest's memory, its state and our tables are, and lets the guest go on",
       TECHNIQUES if front.host == "amd" else (front.mmu,))
def _(technique):
    with machine(STOPPING, technique, "--stop-port") as path, front.scratch() as folder:
        asking = Monitor(path)
        before = asking.held()
        dump = os.path.join(folder, "guest.vmmu")
        tool("live", path, "dump", dump)
        expect(asking.state()["held"], "who was held before must be held afterwards")
        expect_equal(os.listdir(folder), ["guest.vmmu"], "files")
        state = note(dump)
        after = state["partitions"][0]
        expect_equal((state["vmmu_state"], after["vps"], after["memory"]), (1, before["vps"], before["memory"]), "the state")
        base = int(after["memory"][0]["hpa"], 16)
        entry = struct.unpack("<I", byte_at(dump, base + DIRECTORY))[0]
        expect_equal(entry & ~0x60, 0x83, "an entry of the guest's tables")
        loads = [segment for segment in segments(dump) if segment[0] == PT_LOAD]
        expect_equal(sorted(loads, key=lambda segment: segment[2]), loads, "segments, by address")
        roots = ([after["vps"][0]["shadow"]["cr3"]] if technique == "shadow" else
                 [after["second"].get("root") or after["second"]["eptp"]])
        expect(all(byte_at(dump, int(root, 16) & ~0xFFF) not in (None, bytes(4)) for root in roots), "our root is not in it")
        expect(os.stat(dump).st_blocks * 512 < 32 << 20, "zero pages take room")
        out, _ = tool("walk", dump, f"{COUNT_AT:x}")
        expect_match(rf"(?m)^(guest-phys\.|physical) +{COUNT_AT:x} in the 4 MiB page at 400000", out, "walk of the dump")
        tool("live", path, "go")
        told = json.loads(tool("live", path, "--json", "dump", dump)[0])
        expect_equal((told["file"], told["whole"]), (dump, front.host == "amd"), "JSON of a dump")
        expect(told["memory_bytes"] > told["written_bytes"] > 0, f"what was written: {told}")
        expect(not asking.state()["held"], "who ran before must run afterwards")
        asking.port.close()


@cases("under {} vmmu live runs other commands while the guest stands still, and lets it go on whatever comes of them", TECHNIQUES)
def _(technique):
    with machine(PAGED, technique) as path:
        asking = Monitor(path)
        expect_equal(tool("live", path, "stop")[0], "stopped\n", "stop")
        expect_equal(tool("live", path, "stop")[0], "it stood still before\n", "a second stop")
        expect_equal(tool("live", path, "go")[0], "running\n", "go")
        expect_equal(tool("live", path, "go")[0], "it was running before\n", "a second go")
        out, _ = tool("live", path, "walk", f"{COUNT_AT:x}")
        expect_match("4 MiB page at 400000", out, "walk")
        expect("\033" not in out, "colour, and no terminal")
        plain = json.loads(tool("live", path, "walk", f"{COUNT_AT:x}", "--json")[0])
        expect_equal(json.loads(tool("live", "--json", path, "walk", f"{COUNT_AT:x}")[0]).keys(), plain.keys(), "JSON of a walk")
        expect_match(r"\033\[", tool("live", "--color=always", path, "walk", f"{COUNT_AT:x}")[0], "a walk in colour")
        stopped = [json.loads(tool("live", "--json", path, verb)[0]) for verb in ("stop", "go")]
        expect_equal(stopped, [{"held": True, "before": False}, {"held": False, "before": False}], "JSON of stop and go")
        expect(not asking.state()["held"], "still held behind a walk")
        tool("live", path, "walk", "80000000", status=1)  # nothing is mapped there
        expect(not asking.state()["held"], "still held behind a fault")
        _, err = tool("live", path, "walk", status=2)
        expect_match("^vmmu walk: ", err, "message of a command line that cannot be")
        expect(not asking.state()["held"], "still held behind an error")
        _, err = tool("live", path, "sing", status=2)
        expect_match("'sing' is nothing that can be done", err, "message")
        _, err = tool("live", path, "dump", status=2)
        expect_match("takes the name of a file", err, "message")
        _, err = tool("live", path, "dump", "/nonexistent/dump", status=3)
        expect_match("/nonexistent/dump.part: No such file", err, "message")
        expect(not asking.state()["held"], "still held behind a dump that failed")
        asking.port.close()


@cases("under {} a guest goes on if what looked at it is interrupted", TECHNIQUES)
def _(technique):
    with machine(PAGED, technique) as path:
        asking = Monitor(path)
        # It waits for addresses from a pipe that nobody writes to.
        reading, writing = os.pipe()
        looking = subprocess.Popen([TOOL, "live", path, "walk", "--batch", "-"], stdin=reading, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        os.close(reading)
        partition = asking.held()
        count = counted(asking, partition)
        looking.send_signal(signal.SIGINT)
        expect_equal(looking.wait(TOOL_SECONDS), -signal.SIGINT, "how it ended")
        os.close(writing)
        expect(not asking.state()["held"], "still held")
        deadline = time.monotonic() + front.seconds(TOOL_SECONDS)
        while counted(asking, partition) == count:
            expect(time.monotonic() < deadline, "it does not go on")
        asking.port.close()


@cases("under {} vmmu top shows what happens by the second: a block or a line of JSON for each interval", TECHNIQUES)
def _(technique):
    with machine(PAGED, technique) as path:
        out, _ = tool("top", path, "--count", "2", "--interval", "0.3")
        blocks = out.strip().split("\n\n" + path)
        expect_equal(len(blocks), 2, "blocks")
        expect_match(rf"{technique} on (svm|vmx), 64 MiB, running after ", blocks[1], "the first line")
        expect_match(r"^EXITS +a second +in all +share$", blocks[1], "heading of the exits")
        # Each request is an exit by an interrupt of the machine's; the guest itself makes none.
        expect_match(r"^  host-interrupt +[0-9.]+ +[0-9]+ +100\.0 %$", blocks[1], "the exits, the most frequent first")
        expect_match(r"^  control-register +0\.0 +[0-9]+", blocks[1], "what does not happen now")
        expect(all(len(line) <= 80 for line in out.splitlines() if path not in line), "a line is too long for a terminal")
        lines = [json.loads(line) for line in tool("top", path, "--count", "3", "--interval", "0.3", "--json")[0].splitlines()]
        expect_equal([line["outcome"] for line in lines], ["running"] * 3, "outcomes")
        for line in lines:
            total = sum(one["per_second"] for one in line["exits"].values())
            expect(abs(total - line["exits_per_second"]) < 0.01 and line["seconds"] > 0.2, f"rates do not add up: {line}")
        expect(lines[2]["run_ns"] > lines[1]["run_ns"], "time does not pass")


def read_until(descriptor, wanted, seconds=TOOL_SECONDS):
    """What is read from the terminal until @wanted is."""
    seen = b""
    deadline = time.monotonic() + front.seconds(seconds)
    while wanted not in seen:
        expect(time.monotonic() < deadline, f"no {wanted!r}: {seen[-800:]!r}")
        if select.select([descriptor], [], [], 0.2)[0]:
            seen += os.read(descriptor, 4096)
    return seen


@cases("under {} vmmu top draws on a terminal in place, heeds keys, and gives the terminal back as it was", TECHNIQUES)
def _(technique):
    with machine(PAGED, technique) as path:
        master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (12, 72))
        before = termios.tcgetattr(slave)
        running = subprocess.Popen([TOOL, "top", path, "--interval", "0.3"], stdin=slave, stdout=slave, stderr=slave,
                                   env={**os.environ, "TERM": "xterm"})
        seen = read_until(master, b"by total")
        expect(b"\x1b[?1049h" in seen, "no page of its own was taken")
        seen = read_until(master, b"\x1b[J") + read_until(master, b"\x1b[J")
        page = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", seen.split(b"\x1b[H")[-1])
        page = re.split(rb"[\r\n]+", page)
        expect(len(page) <= 12 and all(len(line) <= 72 for line in page), f"it does not fit the terminal: {page}")
        os.write(master, b"s")
        read_until(master, b"by speed")
        os.write(master, b"q")
        seen = read_until(master, b"\x1b[?1049l")
        expect_equal(running.wait(TOOL_SECONDS), 0, "status")
        expect_equal(termios.tcgetattr(slave), before, "the terminal's settings")
        os.close(master)
        os.close(slave)


# Hundredths of a second that the guest's clock says, before and after it has itself stopped (port 0xF8); what its kernel makes of that.
NOTICE = r"""
now() { sed 's/ .*//; s/[.]//' /proc/uptime; }
before=$(now)
printf x | dd of=/dev/port bs=1 seek=248 count=1 2>/dev/null
echo $(($(now) - before))
sleep 1
dmesg | grep -ci 'unstable\|stall\|lockup\|lost\|backwards'
"""
HELD_SECONDS = 5


@cases("under {} Linux does not notice that it was held for seconds, and its dump is sound",
       TECHNIQUES if front.host == "amd" else (front.mmu,))
def _(technique):
    with front.scratch() as folder, tempfile.TemporaryDirectory() as short:
        path, dump = os.path.join(short, "monitor"), os.path.join(folder, "linux.vmmu")
        running = subprocess.Popen([front.VM, "run", *front.place(technique), "-q", "--memory", "192M", "--monitor", path,
                                    "--stop-port", "--", NOTICE], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            while not os.path.exists(path):
                expect(running.poll() is None, "it ended before it began")
                time.sleep(0.1)
            asking = Monitor(path)
            asking.held(front.BOOT_SECONDS)
            began = time.monotonic()
            if front.host == "amd":
                tool("live", path, "dump", dump)
                out, _ = tool("check", dump)
                expect_match("^errors: 0", out, "check of the dump")
                out, _ = tool("live", path, "maps")
                expect_match("ranges, ", out.splitlines()[-1], "maps of the guest that is held")
            time.sleep(max(0, HELD_SECONDS - (time.monotonic() - began)))
            expect_equal(asking.ask("go"), "running", "go")
            out, _ = running.communicate(timeout=front.seconds())
        finally:
            running.kill()
            running.wait()
    lines = out.decode().split()
    expect_equal(len(lines), 2, f"lines of {out!r}")
    expect(int(lines[0]) < 100 * HELD_SECONDS / 2, f"its clock went on while it was held: {lines[0]} hundredths")
    expect_equal(lines[1], "0", "complaints of the kernel's")


@case("vmmu live and vmmu top say what is wrong with a socket")
def _():
    with front.scratch() as folder:
        path = os.path.join(folder, "none")
        for words in (("live", path), ("top", path), ("live", path, "stop"), ("live", path, "dump", os.path.join(folder, "d"))):
            _, err = tool(*words, status=3)
            expect_match(rf"^vmmu: {re.escape(path)}: .*No such file", err, "message")
            expect_equal(len(err.splitlines()), 1, "lines")
            _, err = tool(words[0], "/dev/null", *words[2:], status=3)
            expect_match("^vmmu: /dev/null: it is no socket: give that of a running hypervisor$", err, "message")


@cases("vmmu {} ends with a sentence when the hypervisor hangs up, or talks nonsense", ("live", "top"))
def _(command):
    for said, pattern in ((b"", "hung up"), (b"{\"vmmu\":1\n", "no JSON"), (b"{\"vmmu\":1}\n", "has no \"mmu\""),
                          (b"{\"vmmu\":1,\"mmu\":{},\"vps\":3}\n", "has no \"vps\"")):
        with front.scratch() as folder:
            path = os.path.join(os.path.relpath(folder), "said")
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path)
                listener.listen()

                def answer(listener=listener, said=said):
                    connection, _ = listener.accept()
                    heard = b""
                    while not (heard.strip() and heard.endswith(b"\n")):
                        heard += connection.recv(100)
                    connection.sendall(said)
                    connection.close()
                answering = threading.Thread(target=answer)
                answering.start()
                _, err = tool(command, path, status=3)
                answering.join()
            expect_match(pattern, err, "message")
            expect_equal(len(err.splitlines()), 1, "lines")
