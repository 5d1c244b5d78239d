"""What a world switch between two partitions loses, by how translations are tagged: bench/partitions/main.c counts it in the
library's TLB model, shaped like a processor's.
"""

import subprocess
import sys

from . import table

# How partitions' translations are told apart: not at all, by one tag that is flushed when it changes hands, by a tag for each.
NONE, SHARED, OWN = "none", "shared", "own"

_COUNTS = ("alive", "lost", "walks", "hv_walks")
_HEADINGS = ("two partitions: pages of each", "alive when left", "lost: no tags", "one tag", "own tags",
             "walks: no tags", "one tag", "own tags", "hv walks: no tags", "own tags")


def run(program, processor):
    """A row for each number of pages and way to tag."""
    print(f"bench: partitions: world switches on the TLB of {processor}", file=sys.stderr, flush=True)
    if not program.exists():
        sys.exit(f"bench: {program} is missing: make bench builds it")
    ended = subprocess.run([program, processor], stdout=subprocess.PIPE, timeout=600, check=False, text=True)
    if ended.returncode != 0:
        sys.exit(f"bench: partitions ended with status {ended.returncode}")
    return [_row(*line.split()) for line in ended.stdout.splitlines()]


def _row(pages, tags, *counts):
    return {"technique": "partitions", "workload": "world-switch", "pages": int(pages), "tags": tags} | \
           dict(zip(_COUNTS, map(float, counts)))


def render(rows):
    """The table as text, each number for one switch on average."""
    found = {(row["pages"], row["tags"]): row for row in rows}
    lines = [_HEADINGS]
    for pages in dict.fromkeys(row["pages"] for row in rows):
        of = {tags: found[pages, tags] for tags in (NONE, SHARED, OWN)}
        cells = [of[OWN]["alive"], *(of[tags]["lost"] for tags in of), *(of[tags]["walks"] for tags in of),
                 of[NONE]["hv_walks"], of[OWN]["hv_walks"]]
        lines.append((str(pages), *(f"{cell:.0f}" for cell in cells)))
    return table.align(lines, left=1)
