"""The monitor: what is asked of a running hypervisor on its control port, and what it says."""

import contextlib
import json
import os
import re
import socket
import struct
import tempfile

import front
import images
from tap import Skipped, cases, expect, expect_equal, expect_match
from terminal import terminal

DIRECTORY = 0x500000  # of the guest's tables: one entry for the first 4 MiB, one for the next
ANSWER_SECONDS = 60
TECHNIQUES = ("nested", "shadow") if front.mmu == "nested" else (front.mmu,)

# Tables of 32-bit paging: two pages of 4 MiB, each onto itself. mov [address], entry; then CR3, CR4.PSE and CR0.PG, and a loop
# that stores to its own page. With interrupts enabled, though none ever comes: else those of the hypervisor would wait on Bochs.
PAGED = (b"".join(b"\xC7\x05" + struct.pack("<II", DIRECTORY + 4 * at, at << 22 | 0x83) for at in range(2)) +
         b"\xB8" + struct.pack("<I", DIRECTORY) + b"\x0F\x22\xD8"   # mov eax, DIRECTORY; mov cr3, eax
         b"\x0F\x20\xE0\x83\xC8\x10\x0F\x22\xE0"                    # mov eax, cr4; or eax, 0x10; mov cr4, eax
         b"\x0F\x20\xC0\x0D\x00\x00\x00\x80\x0F\x22\xC0" +          # mov eax, cr0; or eax, 1 << 31; mov cr0, eax
         images.say("up") + b"\xFB" +                               # sti
         b"\xFF\x05" + struct.pack("<I", images.LOAD_ADDRESS + 0x9000) + b"\xEB\xF8")  # again: inc [there]; jmp again


class Monitor:
    """The control port of a machine that runs."""

    def __init__(self, path):
        self.port = socket.socket(socket.AF_UNIX)
        self.port.settimeout(ANSWER_SECONDS)
        self.port.connect(path)
        self.said = b""

    def until(self, end):
        """What it says up to and with @end."""
        while end not in self.said:
            more = self.port.recv(65536)
            expect(more, f"the control port is closed after {self.said!r}")
            self.said += more
        text, self.said = self.said.split(end, 1)
        return text.decode()

    def ask(self, request, end=b"\n\n"):
        """What it answers to @request."""
        self.port.sendall(request.encode() + b"\n")
        return self.until(end)


@contextlib.contextmanager
def monitor(code, technique):
    """The monitor of a machine whose guest executes @code under @technique, once that has said "up"."""
    if technique == "none":
        raise Skipped("there is no hypervisor")
    # The path of a socket may not be long.
    with front.scratch() as folder, tempfile.TemporaryDirectory() as short:
        image, path = os.path.join(folder, "image"), os.path.join(short, "monitor")
        with open(image, "wb") as out:
            out.write(images.kernel(code))
        with terminal("boot", *front.place(technique), "-q", "--memory", "64M", "--protocol", "multiboot", "--kernel", image,
                      "--monitor", path) as running:
            running.wait(b"up")
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
        for request in ("what", "walk", "walk here", "walk 1 2 3", "x" * 1000):
            expect_match("^requests are: stats, counters, shadow, walk", running.ask(request), "answer")
        expect_match("there is no VP 7", running.ask("walk 1000 7"), "answer")
        report = json.loads(running.ask("stats", b"\n"))
        expect_equal(report["outcome"]["kind"], "running", "outcome")
        expect_equal(report["mmu"]["technique"], technique, "technique")
