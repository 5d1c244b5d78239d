"""What it takes to flush a page on other processors, by hypercall and by interrupts between processors: a thread of one program on
each VP, all but one of which spin; that one takes a page's right to be written away, which is a flush, and gives it back. Who
waits for others waits for their turns of the one processor: the last column has what these execute meanwhile, too."""

import contextlib
import dataclasses
import pathlib
import shutil
import subprocess
import sys
import tempfile

from . import counts, images, machines, table

FLUSH = "flush"
ATTEMPTS = 3
HEADINGS = ("technique", "VPs", "flushes by", "flushes", "M instr", "exits", "exits/flush", "hv/flush", "all/flush")


def run():
    """The rows: both techniques, two and four VPs, by hypercall and by interrupts. An emulator's run each."""
    return [_row(technique, vps, by_hypercall) for technique in ("nested", "shadow") for vps in (2, 4)
            for by_hypercall in (True, False)]


def _row(technique, vps, by_hypercall):
    enlightenments = "on" if by_hypercall else "off"
    machine = dataclasses.replace(machines.MACHINES[technique],
                                  words=f"mmu={technique} cpus={vps} enlightenments={enlightenments}")
    by = "hypercall" if by_hypercall else "interrupts"
    print(f"bench: remote flushes by {by}, {technique}, {vps} VPs", file=sys.stderr, flush=True)
    for attempt in range(ATTEMPTS):
        marks, console = _run(machine, attempt)
        if counts.complete(marks, FLUSH):
            break
        print("bench: the guest did not come to its end; see docs/caveats.md about interrupts that QEMU delivers twice",
              file=sys.stderr, flush=True)
    else:
        sys.stderr.write(console[-4000:])
        images.die(f"the flushes by {by} under {technique} did not come to their end")
    flushes, first, last = counts.alone(marks, FLUSH)
    instructions = last.all - first.all
    return {"host": "amd", "technique": technique, "workload": FLUSH, "vps": vps, "by": by, "instructions": instructions,
            "hv_instructions": instructions - (last.guest - first.guest), "exits": last.entries - first.entries,
            "operations": flushes}


def _run(machine, attempt):
    """The marks of one run, and its console. Each attempt has a word more for the guest, which shifts everything in time."""
    words = machines.guest_words(FLUSH) + " attempt" * attempt
    with _folder() as folder:
        command = machine.command(images.prepare(machine, words), folder)
        with open(folder / "console", "wb") as console:
            subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=console, stderr=console, timeout=1500,
                           check=False)
        return counts.read(folder / "counts"), (folder / "console").read_bytes().decode(errors="replace")


@contextlib.contextmanager
def _folder():
    path = pathlib.Path(tempfile.mkdtemp(dir=images.folder(), prefix="run-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def render(rows):
    """The table, as text."""
    lines = [HEADINGS]
    for row in rows:
        flushes = row["operations"]
        lines.append((row["technique"], str(row["vps"]), row["by"], str(flushes), f"{row['instructions'] / 1e6:.1f}",
                      str(row["exits"]), f"{row['exits'] / flushes:.2f}", f"{row['hv_instructions'] / flushes:.0f}",
                      f"{row['instructions'] / flushes:.0f}"))
    return table.align(lines, left=3)
