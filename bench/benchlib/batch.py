"""How many addresses a second are translated: by `vmmu walk --batch`, by the library alone, by libunicorn's emulated processor and
by QEMU's monitor, on the same addresses of one Debian kernel, natively booted on QEMU and stopped.

The addresses are drawn at random from all that the kernel maps in its half, each page as likely as another, so that small pages,
large ones and the kernel's many ways to them have their share. QEMU's monitor is slow: it is asked the first of them. What the tool
says is compared with what QEMU says.
"""

import bisect
import dataclasses
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

from . import images, table

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent.parent / "tests" / "tool"))

# The path above must come first.
import natives  # noqa: E402
import witness  # noqa: E402
from vmlib import sizes  # noqa: E402

# What `vmmu walk --batch` must do on this machine.
GOAL_MILLIONS = 5

COUNT = 1_000_000
ASKED = 10_000  # of QEMU
ROUNDS = 7
KERNEL_HALF = 1 << 63
MEMORY = "1G"

TOOL, LIBRARY, STEPS, UNICORN, QEMU = "vmmu walk --batch", "vmmu_x86_translate", "vmmu_x86_walk", "libunicorn", "QEMU's monitor"
_NAMES = {"translate": LIBRARY, "walk": STEPS, "libunicorn": UNICORN}
_SAYS = {
    TOOL: "a process: opens an ELF core, reads lines, writes lines",
    LIBRARY: "the library's walk for observers, in a loop",
    STEPS: "the library's walk that keeps every entry, in a loop",
    UNICORN: "loads by a loop in an emulated processor, its TLB included",
    QEMU: "gva2gpa, by QMP, many requests on their way at a time",
}

HEADINGS = ("translations", "what is timed", "M/s", "ns", "ns of processor")


def run(tool, program):
    """A row for each way to translate."""
    print(f"bench: batch: {COUNT} addresses of a Debian kernel with {MEMORY} of memory", file=sys.stderr, flush=True)
    for path in (tool, program):
        if not path.exists():
            sys.exit(f"bench: {path} is missing: make bench builds it")
    folder = pathlib.Path(tempfile.mkdtemp(dir=images.folder(), prefix="run-"))
    try:
        registers, addresses, answers, seconds = _subject(folder)
        rows = [_tool(tool, folder, addresses, answers)]
        rows += _library(program, folder, registers)
        return rows + [_row(QEMU, seconds / ASKED * 1e9, None)]
    finally:
        shutil.rmtree(folder)


def _subject(folder):
    """Boot the guest, stop it, dump it, and ask QEMU: registers, addresses, what the first lead to, and how long that took."""
    kind = dataclasses.replace(natives.KINDS["amd64"], processors=1, memory=sizes.parse(MEMORY))
    with natives.booted(kind) as machine:
        machine.stop([natives.KERNEL])
        registers = witness.registers(machine.registers())
        machine.dump(folder / "core.elf")
        machine.dump(folder / "memory.raw", "raw")
        addresses = _drawn(witness.ranges(machine.monitor.ask("info mem"), registers.width))
        start = time.monotonic()
        answers = machine.monitor.ask_all([f"gva2gpa {address:#x}" for address in addresses[:ASKED]])
        seconds = time.monotonic() - start
    (folder / "addresses").write_text("".join(f"{address:x}\n" for address in addresses), encoding="ascii")
    return registers, addresses, [witness.translation(answer) for answer in answers], seconds


def _drawn(ranges):
    """COUNT addresses, the same each time for the same ranges."""
    chosen = random.Random(1)
    mapped = [(each.first, each.last + 1 - each.first) for each in ranges if each.first >= KERNEL_HALF]
    ends, total = [], 0
    for _, size in mapped:
        total += size
        ends.append(total)
    drawn = []
    for _ in range(COUNT):
        offset = chosen.randrange(total)
        first, size = mapped[at := bisect.bisect_right(ends, offset)]
        drawn.append(first + size - (ends[at] - offset))
    return drawn


def _tool(tool, folder, addresses, answers):
    """The tool, as a process, from its start to its end."""
    best, processor = None, None
    for _ in range(ROUNDS):
        before, start = os.times(), time.monotonic()
        with open(folder / "translations", "wb") as output:
            ended = subprocess.run([tool, "walk", folder / "core.elf", "--batch", folder / "addresses"], stdout=output, check=False,
                                   timeout=600)
        took, after = time.monotonic() - start, os.times()
        if ended.returncode != 0:
            sys.exit(f"bench: {tool} walk --batch ended with status {ended.returncode}")
        worked = after.children_user + after.children_system - before.children_user - before.children_system
        best, processor = min(took, best or took), min(worked, processor or worked)
    _compare(folder / "translations", addresses, answers)
    return _row(TOOL, best / COUNT * 1e9, processor / COUNT * 1e9)


def _compare(path, addresses, answers):
    """The tool's answers with QEMU's, and their number with that of the questions."""
    lines = path.read_text(encoding="ascii").splitlines()
    if len(lines) != len(addresses):
        sys.exit(f"bench: {len(lines)} answers to {len(addresses)} addresses")
    for line, address, physical in zip(lines, addresses, answers):
        said, leads, *_ = line.split()
        if int(said, 16) != address or physical is None or leads == "fault" or int(leads, 16) != physical:
            sys.exit(f"bench: of {address:x} QEMU says {physical}, and the tool: {line}")


def _library(program, folder, registers):
    """What bench/batch/main.c measures."""
    with open(folder / "addresses", "rb") as addresses:
        words = [f"{value:x}" for value in (registers.cr0, registers.cr3, registers.cr4, registers.efer)]
        ended = subprocess.run([program, folder / "memory.raw", *words], stdin=addresses, stdout=subprocess.PIPE, timeout=600,
                               check=False, text=True)
    if ended.returncode != 0:
        sys.exit(f"bench: batch ended with status {ended.returncode}")
    return [_row(_NAMES[name], float(clock), float(processor))
            for name, clock, processor in (line.split() for line in ended.stdout.splitlines())]


def _row(name, nanoseconds, processor):
    return {"technique": "batch", "workload": name, "nanoseconds": round(nanoseconds, 2),
            "processor_nanoseconds": None if processor is None else round(processor, 2),
            "millions_per_second": round(1e3 / nanoseconds, 4)}


def render(rows):
    """The table as text, and how the goal stands."""
    lines = [HEADINGS] + [_cells(row) for row in rows]
    reached = next(row["millions_per_second"] for row in rows if row["workload"] == TOOL)
    verdict = "reached" if reached >= GOAL_MILLIONS else "missed"
    return table.align(lines, left=2) + f"\ngoal: {GOAL_MILLIONS} M/s of {TOOL}: {verdict} ({reached:.1f} M/s)"


def _cells(row):
    processor = row["processor_nanoseconds"]
    return (row["workload"], _SAYS[row["workload"]], f"{row['millions_per_second']:.3g}", f"{row['nanoseconds']:.0f}",
            "-" if processor is None else f"{processor:.0f}")
