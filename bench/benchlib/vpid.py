"""What tags of translations (VPIDs, ASIDs) are worth: docs/vpid.md.

A guest runs its workloads under the hypervisor on QEMU; bench/vpid/record.c tells world switches, flushes and the pages that
are accessed, and bench/vpid/replay.c replays that, while it comes, on models of a processor's TLB: without tags, with one tag for
a virtual processor, with one for each of its latest roots, and with the tags that the emulated processor was given.
"""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from . import counts, images, machines, table

PROCESSORS = ("skylake", "haswell")
TECHNIQUES = ("nested", "shadow")
UNTAGGED, TAG_A_VP, TAG_A_ROOT, UNFLUSHED, AS_TOLD = "untagged", "tag-a-vp", "tag-a-root", "unflushed", "as-told"

# Of a run that the figures may be taken from: all went where the tables say, and nothing was left in the dark.
_SOUND = re.compile(r"vpid-record: compared=(\d+) differed=0 unmapped=0 lost=0")

_PAIRS = ("walks", "loads", "second", "alive", "survived", "stale")


@dataclasses.dataclass(frozen=True)
class _Mark:
    """What had been counted when the workload passed a mark."""

    kind: str
    number: int
    common: dict
    models: dict


def run(replay, workload, words):
    """A row for each technique, workload and way to tag; the guest's command line has @words, too."""
    guest_words = " ".join([machines.guest_words(workload), *words])
    return [row for technique in TECHNIQUES for row in _rows(technique, _replayed(replay, technique, guest_words))]


def _replayed(replay, technique, guest_words):
    """The marks of a run, as @replay, a program and the processor that it models, counted up to them."""
    machine = machines.MACHINES[technique]
    print(f"bench: vpid: {machine.says}, replayed as {replay[1]}", file=sys.stderr, flush=True)
    parts = images.prepare(machine, guest_words)
    folder = pathlib.Path(tempfile.mkdtemp(dir=images.folder(), prefix="run-"))
    try:
        return _recorded(machine, dataclasses.replace(parts, plugin=images.recorder()), folder, replay)
    finally:
        shutil.rmtree(folder)


def _recorded(machine, parts, folder, replay):
    """The marks of one run: the plugin writes its trace into a pipe, so that the replay ends where the emulator does."""
    reading, writing = os.pipe()
    (folder / "counts").symlink_to(f"/dev/fd/{writing}")
    with open(folder / "console", "wb+") as console, open(folder / "marks", "w+") as marks:
        with subprocess.Popen(machine.command(parts, folder), cwd=folder, stdin=subprocess.DEVNULL, stdout=console,
                              stderr=console, pass_fds=[writing]) as emulator:
            os.close(writing)
            try:
                replayed = subprocess.run(replay, stdin=reading, stdout=marks, timeout=3000, check=False)
            finally:
                os.close(reading)
                emulator.kill()
        console.seek(0)
        said = console.read().decode(errors="replace")
        if replayed.returncode != 0 or not _SOUND.search(said):
            sys.stderr.write(said[-4000:])
            sys.exit(f"bench: vpid: the trace of {machine.technique} is not sound")
        marks.seek(0)
        return _read(marks)


def _read(lines):
    marks = []
    for line in lines:
        kind, name, *fields = line.split()
        values = {key: [int(part) for part in value.split(",")] for key, value in (field.split("=") for field in fields)}
        if kind == "model":
            marks[-1].models[name] = values
        else:
            marks.append(_Mark(kind, int(name), values, {}))
    return marks


def _phases(marks):
    """(workload, operations, first mark, last mark) of everything that ran between two marks."""
    def passed(number):
        return next((mark for mark in marks if mark.kind == "mark" and mark.number == number), None)

    yield counts.BOOT, 1, passed(0), passed(counts.INIT)
    for name, (number, operations) in counts.WORKLOADS.items():
        if passed(number + 1):
            yield name, operations, passed(number), passed(number + 1)


def _rows(technique, marks):
    rows = []
    for workload, operations, first, last in _phases(marks):
        common = {name: [now - was for now, was in zip(last.common[name], first.common[name])] for name in last.common}
        for model in last.models:
            row = {"technique": technique, "workload": workload, "operations": operations, "tags": model,
                   "exits": common["entries"][0], "roots": common["roots"][0], "flushes": common["asked"][0],
                   "accesses_hv": common["accesses"][0], "accesses_guest": common["accesses"][1]}
            for name in _PAIRS:
                hypervisor, guest = (now - was for now, was in zip(last.models[model][name], first.models[model][name]))
                row[f"{name}_hv"], row[f"{name}_guest"] = hypervisor, guest
            rows.append(row)
    return rows


def render(rows):
    """The tables as text: what tags save at exits, and what changes of root cost."""
    found = {(row["technique"], row["workload"], row["tags"]): row for row in rows}
    runs = list(dict.fromkeys((row["technique"], row["workload"]) for row in rows))
    return [_exits(found, runs), _switches(found, runs), _stale(rows)]


def _each(amount, of):
    if not of:
        return "-"
    return f"{amount / of:.2f}" if amount / of < 10 else f"{amount / of:.1f}"


def _exits(found, runs):
    lines = [("at exits", "", "exits", "guest alive", "used again", "hv used again", "walks off", "on", "hv off", "hv on",
              "saved/exit", "references", "saved/exit")]
    for technique, workload in runs:
        off = found[technique, workload, UNTAGGED]
        on = found[technique, workload, TAG_A_ROOT]
        exits = off["exits"]
        saved = {what: sum(off[f"{what}_{world}"] - on[f"{what}_{world}"] for world in ("hv", "guest"))
                 for what in ("walks", "loads")}
        lines.append((workload, technique, str(exits), _each(on["alive_guest"], exits), _each(on["survived_guest"], exits),
                      _each(on["survived_hv"], exits), str(off["walks_guest"]), str(on["walks_guest"]),
                      str(off["walks_hv"]), str(on["walks_hv"]), _each(saved["walks"], exits),
                      f"{(off['loads_hv'] + off['loads_guest']) / 1e3:.0f}k", _each(saved["loads"], exits)))
    return table.align(lines, left=2)


def _switches(found, runs):
    lines = [("at changes of root", "", "changes", "flushes", "walks untagged", "tag a VP", "tag a root", "each untagged",
              "tag a VP", "tag a root", "references: tag a VP", "tag a root")]
    for technique, workload in runs:
        of = [found[technique, workload, tags] for tags in (UNTAGGED, TAG_A_VP, TAG_A_ROOT)]
        changes = of[0]["roots"]
        lines.append((workload, technique, str(changes), str(of[0]["flushes"]),
                      *(str(row["walks_guest"]) for row in of), *(_each(row["walks_guest"], changes) for row in of),
                      *(_each(row["loads_guest"], changes) for row in of[1:])))
    return table.align(lines, left=2)


def _stale(rows):
    """Whether the hypervisor forgot a flush: uses of translations that lead elsewhere than the tables."""
    lines = [("of uses, led elsewhere", *TECHNIQUES)]
    for tags in (UNTAGGED, TAG_A_VP, TAG_A_ROOT, AS_TOLD, UNFLUSHED):
        lines.append((tags, *(str(sum(row["stale_hv"] + row["stale_guest"] for row in rows
                                      if row["technique"] == technique and row["tags"] == tags))
                              for technique in TECHNIQUES)))
    return table.align(lines, left=1)
