"""The software TLB of the library, configured as a processor: what bench/tlb/main.c measures on this machine."""

import subprocess
import sys

from . import table

# What it must do on one core, in the pattern that is all hits of the first level.
GOAL_PATTERN, GOAL_MILLIONS = "first-level-hits", 50

HEADINGS = ("tlb", "ns", "M/s", "hits 1st", "hits 2nd")


def run(program):
    """A row for each pattern."""
    print("bench: tlb: the software TLB, 64 entries before 512", file=sys.stderr, flush=True)
    if not program.exists():
        sys.exit(f"bench: {program} is missing: make bench builds it")
    ended = subprocess.run([program], stdout=subprocess.PIPE, timeout=600, check=False, text=True)
    if ended.returncode != 0:
        sys.exit(f"bench: tlb ended with status {ended.returncode}")
    return [_row(*line.split()) for line in ended.stdout.splitlines()]


def _row(pattern, nanoseconds, first, second):
    return {"technique": "tlb", "workload": pattern, "nanoseconds": float(nanoseconds),
            "millions_per_second": round(1e3 / float(nanoseconds), 1), "first_level": float(first),
            "second_level": float(second)}


def render(rows):
    """The table as text, and how the goal stands."""
    lines = [HEADINGS] + [_cells(row) for row in rows]
    reached = next(row["millions_per_second"] for row in rows if row["workload"] == GOAL_PATTERN)
    verdict = "reached" if reached >= GOAL_MILLIONS else "missed"
    return (table.align(lines, left=1) +
            f"\ngoal: {GOAL_MILLIONS} M/s of {GOAL_PATTERN}: {verdict} ({reached} M/s)")


def _cells(row):
    return (row["workload"], f"{row['nanoseconds']:.2f}", f"{row['millions_per_second']:.1f}",
            f"{row['first_level']:.0%}", f"{row['second_level']:.0%}")
