"""The monitor: what is asked of a running hypervisor on its control port, and what it says."""

import contextlib
import json
import os
import re
import selectors
import socket
import struct
import tempfile
import time
import types

import front
import images
import vmlib.monitor
from asking import ANSWER_SECONDS, Monitor
from tap import Failed, Skipped, case, cases, expect, expect_equal, expect_match
from terminal import terminal
from vmlib import session

DIRECTORY = 0x500000  # of the guest's tables: one entry for the first 4 MiB, one for the next
TECHNIQUES = ("nested", "shadow") if front.mmu == "nested" else (front.mmu,)

# Tables of 32-bit paging: two pages of 4 MiB, each onto itself. mov [address], entry; then CR3, CR4.PSE and CR0.PG, and a loop
# that stores to its own page. With interrupts enabled, though none ever comes: else those of the hypervisor would wait on Bochs.
PAGED = (b"".join(b"\xC7\x05" + struct.pack("<II", DIRECTORY + 4 * at, at << 22 | 0x83) for at in range(2)) +
         b"\xB8" + struct.pack("<I", DIRECTORY) + b"\x0F\x22\xD8"   # mov eax, DIRECTORY; mov cr3, eax
         b"\x0F\x20\xE0\x83\xC8\x10\x0F\x22\xE0"                    # mov eax, cr4; or eax, 0x10; mov cr4, eax
         b"\x0F\x20\xC0\x0D\x00\x00\x00\x80\x0F\x22\xC0" +          # mov eax, cr0; or eax, 1 << 31; mov cr0, eax
         images.say("up") + b"\xFB" +                               # sti
         b"\xFF\x05" + struct.pack("<I", images.LOAD_ADDRESS + 0x9000) + b"\xEB\xF8")  # again: inc [there]; jmp again


# The same, but that it asks to be stopped before it goes into its loop; then the loop, which counts in memory.
STOP = images.write_port(0xF8, 1)
LOOP = b"\xFB\xFF\x05"
STOPPING = PAGED.replace(LOOP, STOP + LOOP)
COUNT_AT = images.LOAD_ADDRESS + 0x9000


@contextlib.contextmanager
def machine(code, technique, *words):
    """The path of the monitor's socket of a machine whose guest executes @code under @technique, once that has said "up"."""
    if technique == "none":
        raise Skipped("there is no hypervisor")
    # The path of a socket may not be long.
    with front.scratch() as folder, tempfile.TemporaryDirectory() as short:
        image, path = os.path.join(folder, "image"), os.path.join(short, "monitor")
        with open(image, "wb") as out:
            out.write(images.kernel(code))
        with terminal("boot", *front.place(technique), "-q", "--memory", "64M", "--protocol", "multiboot", "--kernel", image,
                      "--monitor", path, *words) as running:
            running.wait(b"up")
            yield path


@contextlib.contextmanager
def monitor(code, technique, *words):
    """The monitor of such a machine."""
    with machine(code, technique, *words) as path:
        asking = Monitor(path)
        yield asking
        asking.port.close()


def rows(text):
    """The lines of a walk that stand for levels: (level, the cells, the reasons)."""
    found = []
    for line in text.splitlines():
        level = re.match(r"(\d)  ", line)
        if level:
            cells = re.split(r" {2,}", line.strip(), maxsplit=8)
            found.append((int(level.group(1)), cells[1:8], cells[8] if len(cells) > 8 else ""))
    return found


@cases("under {} the monitor walks both tables of a guest that runs, and says why they differ", TECHNIQUES)
def _(technique):
    with monitor(PAGED, technique) as running:
        text = running.ask(f"walk {images.LOAD_ADDRESS + 0x9000:x}")
        if technique != "shadow":
            expect_match("walks the guest's own tables", text, "answer")
            return
        expect_match(r"^walk of 0000000000409000 by VP 0, CR0.WP clear, the guest's page dirty$", text.splitlines()[0], "title")
        levels = rows(text)
        expect_equal([level for level, _, _ in levels[:2]], [3, 2], "levels")
        expect_match("a level of ours only", levels[0][2], "reasons at level 3")
        expect_equal(levels[1][1][0], f"{DIRECTORY + 4:012x}", "where the guest's entry is")
        expect_match("one of the guest's is two of ours", levels[1][2], "reasons at level 2")
        expect_match(r"(?m)^guest  gpa 000000409000  rw-x  4M   WB ", text, "the guest's page")
        expect_match(r"(?m)^ours   hpa [0-9a-f]{8}9000  rw-x  ", text, "our page")
        expect("NO REASON" not in text, f"a difference without a reason: {text}")
        expect_match("not accessed yet", running.ask("walk 1000"), "what nobody touched")


@cases("under {} the monitor tells the counters of shadow tables, if there are any", TECHNIQUES)
def _(technique):
    with monitor(PAGED, technique) as running:
        text = running.ask("shadow")
        if technique != "shadow":
            expect_match("walks the guest's own tables", text, "answer")
            return
        counters = {line[:11].strip(): int(line[11:].split()[0]) for line in text.splitlines()}
        for name in ("fills", "syncs", "closed", "opened", "write traps", "reflected", "INVLPGs", "evicted", "pages", "peak pages"):
            expect(name in counters, f"{name} is not told")
        expect(counters["fills"] > 0 and counters["peak pages"] >= counters["pages"] > 0, f"nothing was counted: {text}")


@cases("under {} the monitor answers what it does not understand, and goes on", TECHNIQUES)
def _(technique):
    with monitor(PAGED, technique) as running:
        for request in ("what", "walk", "walk here", "walk 1 2 3 4", "x" * 1000, "stop now", "state 1", "read", "read 1", "read 0 0",
                        "read 0 4097", "read 0 0x10", "read 0 -1", "pages 0 0", "pages 0 4097", "\0", "\xff\x1b[2J"):
            expect_match("^requests are: stats, counters, shadow, walk", running.ask(request), "answer")
        expect_match("there is no VP 7", running.ask("walk 1000 7"), "answer")
        report = json.loads(running.ask("stats", b"\n"))
        expect_equal(report["outcome"]["kind"], "running", "outcome")
        expect_equal(report["mmu"]["technique"], technique, "technique")


def hpa(partition, gpa):
    """Where the guest-physical @gpa is in the machine, by the state document."""
    for piece in partition["memory"]:
        offset = gpa - int(piece["gpa"], 16)
        if 0 <= offset < int(piece["bytes"], 16):
            return int(piece["hpa"], 16) + offset
    raise Failed(f"no memory at {gpa:x}")


def counted(running, partition):
    """What the guest's loop has counted."""
    return struct.unpack("<I", running.read(hpa(partition, COUNT_AT), 4))[0]


@cases("under {} a guest that is stopped stands still, and its clock with it, until it is let go", TECHNIQUES)
def _(technique):
    with monitor(PAGED, technique) as running:
        expect_equal(running.ask("go"), "running before", "go of a guest that runs")
        expect_equal(running.ask("stop"), "stopped", "stop")
        expect_equal(running.ask("stop"), "stopped before", "a second stop")
        first = running.state()
        count = counted(running, first)
        time.sleep(0.5)
        second = running.state()
        expect(first["held"] and second["held"], "it is not held")
        expect_equal(second["vps"], first["vps"], "registers")
        expect_equal(second["clock_ns"], first["clock_ns"], "the guest's clock")
        expect_equal(second["stats"]["vps"][0]["counters"], first["stats"]["vps"][0]["counters"], "counters")
        expect_equal(counted(running, first), count, "the guest's own count")
        expect_equal(running.ask("go"), "running", "go")
        deadline = time.monotonic() + front.seconds(ANSWER_SECONDS)
        while counted(running, first) == count:
            expect(time.monotonic() < deadline, "it does not go on")
        third = running.state()
        expect(not third["held"] and third["clock_ns"] > first["clock_ns"], "its clock stands")
        expect(third["clock_ns"] < third["stats"]["run_ns"], "its clock was put forward over the stop")


@cases("under {} a guest is stopped right behind the OUT by which it asks for it, where that is allowed", TECHNIQUES)
def _(technique):
    with monitor(STOPPING, technique, "--stop-port") as running:
        partition = running.held()
        vp = partition["vps"][0]
        code = STOPPING.index(LOOP)
        text = running.read(hpa(partition, int(vp["rip"], 16)), len(STOPPING) - code)
        expect_equal(text, STOPPING[code:], "what RIP stands at")
        expect_equal(int(vp["cr3"], 16), DIRECTORY, "CR3")
        expect_equal(int(vp["gpr"][0], 16) & 0xFF, 1, "AL")
        expect_equal(counted(running, partition), 0, "what it has counted")
        expect_equal(running.ask("go"), "running", "go")
        deadline = time.monotonic() + front.seconds(ANSWER_SECONDS)
        while counted(running, partition) == 0:
            expect(time.monotonic() < deadline, "it does not go on")
    with monitor(STOPPING, technique) as running:
        partition = running.state()
        deadline = time.monotonic() + front.seconds(ANSWER_SECONDS)
        while counted(running, partition) == 0:
            expect(time.monotonic() < deadline, "a guest without --stop-port was stopped")


@cases("under {} the partition's memory and tables can be read, and nothing else of the machine", TECHNIQUES)
def _(technique):
    with monitor(STOPPING, technique, "--stop-port") as running:
        partition = running.held()
        piece = partition["memory"][0]
        base, size = int(piece["hpa"], 16), int(piece["bytes"], 16)
        expect_equal(sum(int(each["bytes"], 16) for each in partition["memory"]), 64 << 20, "memory in all")
        low, high = struct.unpack("<II", running.read(hpa(partition, DIRECTORY), 8))
        expect_equal((low & ~0x60, high & ~0x60), (0x83, 4 << 20 | 0x83), "the guest's tables, but for their marks")
        expect_equal(running.ask(f"read {base + size - 4:x} 4"), "zero", "the last bytes")
        if technique == "shadow":
            tables = [int(table["hpa"], 16) for table in partition["tables"]]
            expect(int(partition["vps"][0]["shadow"]["cr3"], 16) & ~0xFFF in tables, "the root is none of the tables")
            expect_equal({table["kind"] for table in partition["tables"]} - {"ours", "open", "closing", "closed"}, set(), "kinds")
        else:
            second = partition["second"]
            tables = [int(second.get("root") or second["eptp"], 16) & ~0xFFF]
        for table in tables:
            expect(running.read(table, 4096) is not None, f"the table at {table:x} is absent")
        for address in (0, 0x200000, 0x200000 - 1, 0xFEE00000, 1 << 40, (1 << 64) - 1):
            expect_equal(running.ask(f"read {address:x} 1"), "absent", f"what is at {address:x}")
        expect_equal(running.ask("read ffffffffffffffff 4096"), "absent", "a read that wraps around")
        letters = running.ask(f"pages {hpa(partition, 0x3FF000):x} 4096")
        expect_equal((letters[0], letters[1], len(letters)), ("0", "1", 4096), "the pages around the guest's code")
        expect_equal(running.ask("pages 200000 3"), "---", "pages of the hypervisor")


@cases("under {} several ask at a time, each gets its own answers, and half a request harms nobody", TECHNIQUES)
def _(technique):
    with machine(PAGED, technique) as path:
        first, second, third = Monitor(path), Monitor(path), Monitor(path)
        first.port.sendall(b"sta")
        third.port.sendall(b"state\ncounters\nstop")
        third.port.close()
        second.port.sendall(b"stop\nread 0 1\ncounters\ngo\n")
        first.port.sendall(b"ts\nread 0 0\n")
        expect_equal(json.loads(first.until(b"\n"))["outcome"]["kind"], "running", "answer to the first")
        expect_match("^requests are", first.until(b"\n\n"), "its second answer")
        expect_equal(second.until(b"\n\n"), "stopped", "answer to the second")
        expect_equal(second.until(b"\n\n"), "absent", "its second answer")
        expect("registers" not in json.loads(second.until(b"\n"))["vps"][0], "counters have registers")
        expect_equal(second.until(b"\n\n"), "running", "its last answer")
        first.port.shutdown(socket.SHUT_WR)
        expect_equal(first.port.recv(1), b"", "what follows when all is said")
        second.port.close()


@cases("under {} clients that go away while their answers are on the way harm neither the guest nor each other", TECHNIQUES)
def _(technique):
    with machine(PAGED, technique) as path:
        asking = Monitor(path)
        for turn in range(8):
            leaving = [Monitor(path) for _ in range(10)]
            for one in leaving:
                one.port.sendall(b"stats\ncounters\n")
            asking.port.sendall(b"counters\n")
            time.sleep(turn * 0.0005)
            for one in leaving:
                one.port.close()
            expect_equal(json.loads(asking.until(b"\n"))["outcome"]["kind"], "running", f"answer in turn {turn}")
        asking.port.close()


@case("a client that goes away in the very moment in which its answer comes is gone, and the session goes on")
def _():
    read_end, write_end = os.pipe()
    asked, asking = os.pipe()
    with tempfile.TemporaryDirectory() as folder, selectors.DefaultSelector() as selector:
        path = os.path.join(folder, "monitor")
        running = session.Session(types.SimpleNamespace(host=types.SimpleNamespace(kind="qemu")))
        running._monitor = vmlib.monitor.Monitor(path, os.path.join(folder, "record"))
        wires = types.SimpleNamespace(writers={"control": asking}, readers={"control": read_end})

        def pump():
            for key, events in selector.select(0):
                running._ready(key, events, selector, wires)
        selector.register(read_end, selectors.EVENT_READ, "control")
        running._monitor.attach(selector)
        os.write(write_end, b"listening\n")
        leaving, staying = Monitor(path), Monitor(path)
        for one in (leaving, staying):
            one.port.sendall(b"read 0 1\n")
        for _ in range(4):
            pump()
        expect_equal(os.read(asked, 100), 2 * b"read 0 1\n", "requests")
        # Both are there at the next look, and the answer first.
        os.write(write_end, b"absent\n\n")
        leaving.port.close()
        pump()
        os.write(write_end, b"zero\n\n")
        pump()
        expect_equal(staying.until(b"\n\n"), "zero", "answer to the one that stays")
        staying.port.close()
        running._monitor.close()
    for descriptor in (read_end, write_end, asked, asking):
        os.close(descriptor)


@cases("under {} more clients than are served at a time wait for their turn, and harm nobody", TECHNIQUES)
def _(technique):
    with machine(PAGED, technique) as path:
        waiting = [Monitor(path) for _ in range(100)]
        expect_equal(waiting[0].ask("read 0 1"), "absent", "answer to the first")
        for one in waiting[:-1]:
            one.port.close()
        expect_equal(waiting[-1].ask("read 0 1"), "absent", "answer to the last")
        waiting[-1].port.close()
