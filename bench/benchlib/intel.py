"""Exits of the workloads on host intel, an emulated processor with VT-x on which nothing counts instructions: those of a
run with the workload, less those of a run without."""

import json
import os
import subprocess
import sys

from . import counts, images, table

TECHNIQUES = ("nested", "shadow")
WORKLOADS = ("fork", "mmap", "pipe")

# Exits for each page that is touched first, and for each switch to another process.
GOALS = {"mmap": ("page", 1, 1.1), "pipe": ("switch", 2, 1.0)}

# The runs differ by chance by so many exits in a thousand: timers strike where they do.
NOISE = 0.01

HEADINGS = ("technique", "workload", "exits", "operations", "for each", "unit", "goal", "flushes", "")


def run(tree, workload):
    """The rows of @workload, or of all, under each technique: an emulator's run each, of a minute or so."""
    chosen = [workload] if workload in WORKLOADS else WORKLOADS
    program = images.workload("amd64")
    rows = []
    for technique in TECHNIQUES:
        without = _stats(tree, technique, program, "true")
        rows += [_row(technique, name, without, _stats(tree, technique, program, f"/root/{program.name} {name}"))
                 for name in chosen]
    return rows


def _stats(tree, technique, program, command):
    print(f"bench: intel, {technique}: {command}", file=sys.stderr, flush=True)
    path = images.folder() / f"intel-{os.getpid()}.json"
    try:
        subprocess.run([tree / "scripts" / "vm", "run", "-q", "--host", "intel", "--mmu", technique, "--timeout", "900",
                        "--stats", path, "--file", program, "--", command], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL)
        return json.loads(path.read_text())["vps"][0]["counters"]
    except subprocess.CalledProcessError as failed:
        sys.exit(f"bench: the guest on host intel did not come to its end (status {failed.returncode})")
    finally:
        path.unlink(missing_ok=True)


def _row(technique, workload, without, with_it):
    unit, units, goal = GOALS.get(workload, ("fork", 1, None))
    operations = counts.WORKLOADS[workload][1] * units
    exits = with_it["entries"] - without["entries"]
    each = exits / operations
    row = {"host": "intel", "technique": technique, "workload": workload, "exits": exits, "operations": operations,
           "unit": unit, "exits_each": round(each, 3), "flushes": with_it["tlb_flushes"] - without["tlb_flushes"]}
    if goal and technique == "shadow":
        row["exits_goal"] = goal
        row["missed"] = ["exits"] if each > goal + NOISE else []
    return row


def render(rows):
    """The table, as texts."""
    lines = [HEADINGS]
    for row in rows:
        verdict = "" if "missed" not in row else "missed" if row["missed"] else "reached"
        lines.append((row["technique"], row["workload"], str(row["exits"]), str(row["operations"]),
                      f"{row['exits_each']:g}", row["unit"], f"{row['exits_goal']:g}" if "exits_goal" in row else "-",
                      str(row["flushes"]), verdict))
    return [table.align(lines, left=2)]
