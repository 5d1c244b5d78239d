"""The monitor: what is asked of a running hypervisor on its control port, and what it says."""

import contextlib
import json
import os
import re
import socket
import struct
import subprocess
import time

import front
import images
from tap import Skipped, cases, expect, expect_equal, expect_match
from vmlib import places

DIRECTORY = 0x500000  # of the guest's tables: one entry for the first 4 MiB, one for the next
ANSWER_SECONDS = 60
TECHNIQUES = ("nested", "shadow") if front.mmu == "nested" else (front.mmu,)

# Tables of 32-bit paging: two pages of 4 MiB, each onto itself. mov [address], entry; then CR3, CR4.PSE and CR0.PG, and a loop
# that stores to its own page.
PAGED = (b"".join(b"\xC7\x05" + struct.pack("<II", DIRECTORY + 4 * at, at << 22 | 0x83) for at in range(2)) +
         b"\xB8" + struct.pack("<I", DIRECTORY) + b"\x0F\x22\xD8"   # mov eax, DIRECTORY; mov cr3, eax
         b"\x0F\x20\xE0\x83\xC8\x10\x0F\x22\xE0"                    # mov eax, cr4; or eax, 0x10; mov cr4, eax
         b"\x0F\x20\xC0\x0D\x00\x00\x00\x80\x0F\x22\xC0" +          # mov eax, cr0; or eax, 1 << 31; mov cr0, eax
         images.say("up") +
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
        self.port.sendall(request.encode() + b"\n")
        return self.until(end)


@contextlib.contextmanager
def monitor(code, technique):
    """The monitor of a machine whose guest executes @code under @technique, once that has said something."""
    if technique == "none":
        raise Skipped("there is no hypervisor")
    with front.scratch() as folder:
        with open(os.path.join(folder, "image"), "wb") as out:
            out.write(images.kernel(code))
        words = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max,-la57", "-m", "256", "-display", "none", "-no-reboot",
                 "-nic", "none", "-serial", "file:console", "-serial", "unix:control,server=on,wait=off", "-kernel",
                 str(places.HYPERVISOR), "-append", f"memory=64M mmu={technique}", "-initrd", "image kernel protocol=multiboot"]
        process = subprocess.Popen(words, cwd=folder, stdin=subprocess.DEVNULL)
        try:
            _await(os.path.join(folder, "console"), b"up")
            # The name of a socket may not be long: that of the folder is.
            here = os.open(folder, os.O_RDONLY)
            try:
                yield Monitor(f"/proc/self/fd/{here}/control")
            finally:
                os.close(here)
        finally:
            process.kill()
            process.wait()


def _await(path, word):
    deadline = time.monotonic() + front.BOOT_SECONDS
    while time.monotonic() < deadline:
        if os.path.exists(path):
            with open(path, "rb") as console:
                if word in console.read().split(b"\n")[-1]:
                    return
        time.sleep(0.1)
    expect(False, "the guest says nothing")


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
            expect_match("^requests are: stats, shadow, walk", running.ask(request), "answer")
        expect_match("there is no VP 7", running.ask("walk 1000 7"), "answer")
        report = json.loads(running.ask("stats", b"\n"))
        expect_equal(report["outcome"]["kind"], "running", "outcome")
        expect_equal(report["mmu"]["technique"], technique, "technique")
