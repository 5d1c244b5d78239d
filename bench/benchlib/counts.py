"""What bench/count.c printed: instructions executed in all, by the guest, and entries of the guest, mark by mark."""

import dataclasses

INIT = 1
GUEST_START = 50
BOOT = "boot"

# Where the guest's page tables are counted.
TABLES = 70

# Each workload's beginning and its operations; the end is the next number.
WORKLOADS = {"fork": (10, 500), "mmap": (20, 10 * 16384), "pipe": (30, 5000), "cpuid": (40, 10000), "inb": (60, 5000)}

# Those that want a machine of their own.
ALONE = {"flush": (80, 200)}


@dataclasses.dataclass(frozen=True)
class Mark:
    """The counts at one mark, and the lines behind it about the hypervisor, if they were asked for."""

    kind: str
    number: int
    all: int
    guest: int
    entries: int
    lines: list


def read(path):
    """The marks in @path, in the order in which they were passed."""
    marks = []
    for line in path.read_text().splitlines():
        kind, _, rest = line.partition(" ")
        if kind not in ("mark", "entry", "end"):
            marks[-1].lines.append(line)
            continue
        number, *fields = rest.split()
        values = dict(field.split("=") for field in fields)
        marks.append(Mark(kind, int(number), int(values["all"]), int(values["guest"]), int(values["entries"]), []))
    return marks


def complete(marks, only=None):
    """Whether the last workload ended, or the one of the name @only."""
    if only in (None, "memory"):
        last = TABLES
    else:
        last = INIT if only == BOOT else {**WORKLOADS, **ALONE}[only][0] + 1
    return passed(marks, last)


def passed(marks, number):
    """Whether the mark of that number was passed."""
    return any(mark.kind == "mark" and mark.number == number for mark in marks)


def phases(marks):
    """(workload, operations, first mark, last mark) of everything that ran between two marks."""
    # The guest's kernel enters its own code once it is decompressed. Under KVM the host's kernel did so before it.
    init = _position(marks, INIT)
    entry = max(at for at, mark in enumerate(marks[:init]) if mark.kind == "entry")
    result = [(BOOT, 1, marks[entry], marks[init])]
    for name, (number, operations) in WORKLOADS.items():
        if complete(marks, name):
            result.append((name, operations, marks[_position(marks, number)], marks[_position(marks, number + 1)]))
    return result


def alone(marks, name):
    """(operations, first mark, last mark) of a workload that ran on a machine of its own."""
    number, operations = ALONE[name]
    return operations, marks[_position(marks, number)], marks[_position(marks, number + 1)]


def _position(marks, number):
    return next(at for at, mark in enumerate(marks) if mark.kind == "mark" and mark.number == number)
