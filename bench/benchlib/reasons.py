"""Why guests left, and what the MMU did, between two marks: what bench/hypervisor.c printed there, told to people."""

import dataclasses
import re

from vmlib import places

from . import table

COUNTERS_HEADER = places.TREE / "include" / "vmmu" / "shadow.h"
KINDS_SOURCE = places.TREE / "hv" / "vp" / "run.c"
KINDS_HEADER = places.TREE / "hv" / "vp" / "exit.h"

# What is now, beside what is counted for ever.
GAUGES = ("pages", "peak_pages", "split_pages")

# What the engine did at an exit is named by the first of these that went up.
ANSWERS = ("reflected", "write_traps", "dropped", "fills", "spurious", "syncs", "roots_made", "roots_found")

PAGE_FAULT_BITS = ((1, "present"), (2, "write"), (4, "user"), (16, "fetch"))


@dataclasses.dataclass(frozen=True)
class Names:
    """What the numbers in the plugin's lines stand for, read from the sources that it was built from."""

    counters: list
    kinds: list


def names():
    """The names as the tree has them."""
    body = re.search(r"struct vmmu_shadow_counters \{(.*?)\n\};", COUNTERS_HEADER.read_text(), re.S).group(1)
    kinds = re.search(r"enum exit_kind \{(.*?)EXIT_KINDS", KINDS_HEADER.read_text(), re.S).group(1)
    spoken = dict(re.findall(r"\[(EXIT_\w+)\] = \"([\w-]+)\"", KINDS_SOURCE.read_text()))
    return Names(re.findall(r"uint64_t\s+(\w+);", body),
                 [spoken[kind] for kind in re.findall(r"^\s*(EXIT_\w+),", kinds, re.M)])


def _fields(line):
    return dict(field.split("=") for field in line.split() if "=" in field)


def _reasons(mark):
    found = {}
    for line in mark.lines:
        if line.startswith("exits "):
            fields = _fields(line)
            key = tuple(int(fields[name], 16) for name in ("code", "error", "counted"))
            found[(int(fields["kind"]), *key)] = (int(fields["exits"]), int(fields["instructions"]))
    return found


def _counters(mark):
    line = next(line for line in mark.lines if line.startswith("counters "))
    return [int(value) for value in line.split()[1].split(",")]


def _name(known, kind, code, error, counted):
    words = [known.kinds[kind]]
    if words[0] == "control-register":
        words.append(_control(code))
    elif words[0] == "page-fault":
        words += [name for bit, name in PAGE_FAULT_BITS if error & bit]
    elif words[0] in ("exception", "unoffered", "port"):
        words.append(f"{code:#x}")
    did = next((name for name in ANSWERS if name in known.counters and counted >> known.counters.index(name) & 1), None)
    return " ".join(words), did or "-"


def _control(code):
    if code == 0x65:
        return "write cr0 (selective)"
    return f"{'write' if code >= 0x10 else 'read'} cr{code & 15}"


def of_phase(phase):
    """The rows of a phase: exits by reason and answer, dearest first; and the counters' growth."""
    known = names()
    _, _, first, last = phase
    before = _reasons(first)
    sums = {}
    for key, (exits, instructions) in _reasons(last).items():
        was = before.get(key, (0, 0))
        total = sums.setdefault(_name(known, *key), [0, 0])
        total[0] += exits - was[0]
        total[1] += instructions - was[1]
    grown = {name: now if name in GAUGES else now - was
             for name, was, now in zip(known.counters, _counters(first), _counters(last))}
    rows = [{"reason": reason, "answer": answer, "exits": exits, "hv_instructions": instructions}
            for (reason, answer), (exits, instructions) in sums.items() if exits]
    return sorted(rows, key=lambda row: -row["hv_instructions"]), grown


def render(phase):
    """A phase as text."""
    workload, operations, _, _ = phase
    rows, grown = of_phase(phase)
    lines = [("exit", "answer", "exits", "per op", "hv M instr", "hv/exit")]
    for row in rows:
        exits, instructions = row["exits"], row["hv_instructions"]
        lines.append((row["reason"], row["answer"], str(exits), f"{exits / operations:.3f}",
                      f"{instructions / 1e6:.2f}", f"{instructions / exits:.0f}"))
    lines.append(("all", "", str(sum(row["exits"] for row in rows)),
                  f"{sum(row['exits'] for row in rows) / operations:.3f}",
                  f"{sum(row['hv_instructions'] for row in rows) / 1e6:.2f}", ""))
    counters = "  ".join(f"{name}={value}" for name, value in grown.items() if value)
    return f"{workload}, {operations} operations\n{table.align(lines, left=2)}\nMMU: {counters}"


def render_trace(marks):
    """The traced exits, one line each, in their order."""
    known = names()
    lines = [("exit", "answer", "address", "from ip", "hv", "guest", "counters")]
    for line in (line for mark in marks for line in mark.lines if line.startswith("exit ")):
        fields = _fields(line)
        changes = [int(value) for value in fields["counters"].split(",")]
        counted = sum((value > 0) << at for at, value in enumerate(changes))
        code, info1 = int(fields["code"], 16), int(fields["info1"], 16)
        reason, answer = _name(known, int(fields["kind"]), code, info1, counted)
        told = " ".join(f"{name}{value:+d}" for name, value in zip(known.counters, changes) if value)
        lines.append((reason, answer, fields["info2"], fields["ip"], fields["hv"], fields["guest"], told))
    return table.align(lines, left=2)
