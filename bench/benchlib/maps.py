"""What `vmmu maps` takes of time and memory: of a whole address space of a Debian kernel, natively booted on QEMU with 1 GiB of
memory, in an ELF core and in a compressed one. Each is a process, from its start to its end; the file is in the page cache.
"""

import dataclasses
import pathlib
import shutil
import subprocess
import sys
import tempfile

from . import images, table

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent.parent / "tests" / "tool"))

# The path above must come first.
import natives  # noqa: E402
import witness  # noqa: E402
from vmlib import sizes  # noqa: E402

# What the first of the runs must keep within on this machine.
GOAL_SECONDS, GOAL_MIB = 0.2, 64

ROUNDS = 9
MEMORY = "1G"

# By name: the format of the dump, and the words behind it.
RANGES = "vmmu maps"
RUNS = {
    RANGES: ("elf", ()),
    "vmmu maps --all --json": ("elf", ("--all", "--json")),
    "vmmu maps --pages": ("elf", ("--pages",)),
    "vmmu maps, compressed": ("kdump", ()),
}

HEADINGS = ("maps", "ms", "ms of processor", "MiB at most")


def run(tool, measure):
    """A row for each of the runs."""
    print(f"bench: maps: a Debian kernel with {MEMORY} of memory", file=sys.stderr, flush=True)
    for path in (tool, measure):
        if not path.exists():
            sys.exit(f"bench: {path} is missing: make bench builds it")
    folder = pathlib.Path(tempfile.mkdtemp(dir=images.folder(), prefix="run-"))
    try:
        pages, ranges = _subject(folder)
        return [_row(measure, name, [tool, "maps", folder / f"core.{form}", *words], {"pages": pages, "ranges": ranges})
                for name, (form, words) in RUNS.items()]
    finally:
        shutil.rmtree(folder)


def _subject(folder):
    """Boot the guest, stop it and dump it. How many pages it maps, and how many ranges QEMU makes of them."""
    kind = dataclasses.replace(natives.KINDS["amd64"], processors=1, memory=sizes.parse(MEMORY))
    with natives.booted(kind) as machine:
        machine.stop([natives.KERNEL])
        for form in ("elf", "kdump"):
            machine.dump(folder / f"core.{form}", form)
        return len(witness.leaves(machine.monitor.ask("info tlb"))), machine.monitor.ask("info mem").count("\n")


def _row(measure, name, command, subject):
    ended = subprocess.run([measure, str(ROUNDS), *command], stdout=subprocess.PIPE, timeout=600, check=False, text=True)
    if ended.returncode != 0:
        sys.exit(f"bench: {name} failed: {' '.join(map(str, command))}")
    rounds = [tuple(map(float, line.split())) for line in ended.stdout.splitlines()]
    clock, processor, resident = zip(*rounds)
    return {"technique": "maps", "workload": name, "seconds": min(clock), "processor_seconds": min(processor),
            "peak_bytes": int(max(resident)) << 10, **subject}


def render(rows):
    """The table as text, and how the goals stand."""
    first = next(row for row in rows if row["workload"] == RANGES)
    took, peak = first["seconds"], first["peak_bytes"] / sizes.MIB
    verdicts = [f"goal: {RANGES} in {GOAL_SECONDS} s: {_verdict(took < GOAL_SECONDS)} ({took:.3f} s)",
                f"goal: {RANGES} in {GOAL_MIB} MiB: {_verdict(peak < GOAL_MIB)} ({peak:.1f} MiB)"]
    said = f"{first['pages']} pages, {first['ranges']} ranges by QEMU's info mem"
    return "\n".join([table.align([HEADINGS] + [_cells(row) for row in rows], left=1), said, *verdicts])


def _verdict(reached):
    return "reached" if reached else "missed"


def _cells(row):
    return (row["workload"], f"{row['seconds'] * 1e3:.0f}", f"{row['processor_seconds'] * 1e3:.0f}",
            f"{row['peak_bytes'] / sizes.MIB:.1f}")
