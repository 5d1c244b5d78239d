"""Exits of the workloads on host intel, an emulated processor with VT-x on which nothing counts instructions: those of a
run with the workload, less those of a run in which the same program does nothing."""

import json
import os
import subprocess
import sys

from . import counts, images, table

# Name, technique, more for the guest's command line. The processor is one for which Linux gives user and kernel page tables
# of their own, and loads CR3 at each passage between the two.
GUESTS = (("nested", "nested", ""), ("shadow", "shadow", "pti=off"), ("shadow, PTI", "shadow", ""))
WORKLOADS = ("fork", "mmap", "pipe")

# What the MMU exits for: timers strike as often as the emulator's clock has them.
REASONS = ("page-fault", "control-register", "invlpg", "memory")

# Exits for each page that is touched first, and for each switch to another process.
GOALS = {"mmap": ("page", 1, 1.1), "pipe": ("switch", 2, 1.0)}

# The runs differ by chance by a few exits in a hundred.
NOISE = 0.02

HEADINGS = ("guest", "workload", "exits", "of the MMU", "operations", "for each", "unit", "goal", "flushes", "")


def run(tree, workload):
    """The rows of @workload, or of all, in each guest: an emulator's run each, of a minute or more."""
    chosen = [workload] if workload in WORKLOADS else WORKLOADS
    program = images.workload("amd64")
    rows = []
    for guest in GUESTS:
        without = _stats(tree, guest, program, f"/root/{program.name} mark")
        rows += [_row(guest, name, without, _stats(tree, guest, program, f"/root/{program.name} {name}"))
                 for name in chosen]
    return rows


def _stats(tree, guest, program, command):
    name, technique, words = guest
    print(f"bench: intel, {name}: {command}", file=sys.stderr, flush=True)
    path = images.folder() / f"intel-{os.getpid()}.json"
    try:
        subprocess.run([tree / "scripts" / "vm", "run", "-q", "--host", "intel", "--mmu", technique, f"--append={words}",
                        "--timeout", "1500", "--stats", path, "--file", program, "--", command], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return json.loads(path.read_text())["vps"][0]["counters"]
    except subprocess.CalledProcessError as failed:
        sys.exit(f"bench: the guest on host intel did not come to its end (status {failed.returncode})")
    finally:
        path.unlink(missing_ok=True)


def _row(guest, workload, without, with_it):
    unit, units, goal = GOALS.get(workload, ("fork", 1, None))
    operations = counts.WORKLOADS[workload][1] * units
    exits = sum(with_it["exits"][reason] - without["exits"][reason] for reason in REASONS)
    row = {"host": "intel", "technique": guest[1], "guest": guest[0], "workload": workload,
           "exits": with_it["entries"] - without["entries"], "mmu_exits": exits, "operations": operations, "unit": unit,
           "exits_each": round(exits / operations, 3), "flushes": with_it["tlb_flushes"] - without["tlb_flushes"]}
    if goal and guest[0] == "shadow":
        row["exits_goal"] = goal
        row["missed"] = ["exits"] if row["exits_each"] > goal + NOISE else []
    return row


def render(rows):
    """The table, as texts."""
    lines = [HEADINGS]
    for row in rows:
        verdict = "" if "missed" not in row else "missed" if row["missed"] else "reached"
        lines.append((row["guest"], row["workload"], str(row["exits"]), str(row["mmu_exits"]), str(row["operations"]),
                      f"{row['exits_each']:g}", row["unit"], f"{row['exits_goal']:g}" if "exits_goal" in row else "-",
                      str(row["flushes"]), verdict))
    return [table.align(lines, left=2)]
