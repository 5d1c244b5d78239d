#!/usr/bin/python3
"""realtlb.py SOCKET [COUNT]: is the processor's TLB what the hypervisor believes, and does each guest's entry in it stand to reason?

SOCKET is what scripts/vm --monitor was given on host ppc. All partitions are held; then the emulator's `info tlb` is compared
with what the hypervisor tells (`state`), COUNT times (once, if it is not given), and each entry is judged by the rules below.

  same       the processor has of TS = 1 just the entries that the hypervisor believes to be there, with the same page, shadow PID,
             rights and attributes
  own        an entry of TS = 0 has no right for problem state; one of TS = 1 has a shadow PID, which one VP alone has
  virtual    a guest's entry was made from one that its guest holds valid now, and maps no byte that this does not map
  memory     it maps that virtual entry's guest-physical addresses to where the partition's memory is, and nothing beside that;
             never to the same address
  rights     problem state has no right there that the guest's entry does not give to the one or the other of the guest's states,
             or that its memory has not; the supervisor has none but to read what may be read or fetched
  once       no two entries of one shadow PID map the same byte: the processor would not know which to take
"""

import dataclasses
import json
import re
import socket
import sys
import time

SECONDS = 60
LINE = re.compile(r"0x([0-9a-f]{16}) 0x([0-9a-f]{16}) +(\d+)([KMGT]) +(\d+) +([01]) +S(...)U(...) (.....) U(....)$")
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

VALID, SPACE, LITTLE = 0x80000000, 0x1000, 0x1
EA_END = 1 << 32
# MAS3: the supervisor's right and that of problem state, as `info tlb` shows them.
RIGHTS = (("r", 0x1, 0x2), ("w", 0x4, 0x8), ("x", 0x10, 0x20))
ATTRIBUTES = (("W", 0x10), ("I", 0x8), ("M", 0x4), ("G", 0x2), ("E", 0x1))


class Gone(Exception):
    """The machine has ended, or the partition that was asked for."""


@dataclasses.dataclass(frozen=True, order=True)
class Entry:
    """An entry of the processor's TLB."""

    array: int
    ea: int
    pa: int
    size: int
    tid: int
    space: int
    supervisor: str  # "rwx", what is missing left out
    problem: str
    attributes: str

    def __str__(self):
        return (f"TLB{self.array} ea {self.ea:x} hpa {self.pa:x} size {self.size:x} shadow {self.tid} TS {self.space} "
                f"super {self.supervisor or '-'} user {self.problem or '-'} {self.attributes or '-'}")

    def overlaps(self, other):
        """Whether an access could find both."""
        return ((self.space, self.tid) == (other.space, other.tid) and self.ea < other.ea + other.size and
                other.ea < self.ea + self.size)


def _there(letters):
    return "".join(letter for letter in letters if letter != "-").lower()


def seen(text):
    """The entries in the emulator's `info tlb`. A line that is none of what it can be is an error of ours: nothing is skipped."""
    array, entries = None, []
    for line in filter(None, map(str.strip, text.splitlines())):
        head = re.fullmatch(r"TLB([01]):", line)
        found = LINE.match(line)
        if head:
            array = int(head[1])
        elif found:
            ea, pa, number, unit, tid, space, supervisor, problem, attributes, _ = found.groups()
            entries.append(Entry(array, int(ea, 16), int(pa, 16), int(number) * UNITS[unit], int(tid), int(space), _there(supervisor),
                                 _there(problem), _there(attributes).upper()))
        elif not line.startswith("Effective"):
            raise ValueError(f"info tlb says {line!r}")
    return entries


def _rights(mas3, column):
    return "".join(right[0] for right in RIGHTS if mas3 & right[column])


def _attributes(mas2):
    return "".join(letter for letter, bit in ATTRIBUTES if mas2 & bit)


def believed(row):
    """The same of a row of the hypervisor's `real`, by the registers that it wrote."""
    mas1, mas2, mas3, mas7 = (int(row[name], 16) for name in ("mas1", "mas2", "mas3", "mas7"))
    size = 1024 << 2 * (mas1 >> 8 & 15)
    return Entry(row["array"], (mas2 & ~0xFFF) & ~(size - 1), (mas7 << 32 | mas3 & ~0xFFF) & ~(size - 1), size, mas1 >> 16 & 0x3FFF,
                 int(bool(mas1 & SPACE)), _rights(mas3, 1), _rights(mas3, 2), _attributes(mas2))


@dataclasses.dataclass(frozen=True)
class Virtual:
    """What a guest wrote."""

    ea: int
    gpa: int
    size: int
    supervisor: str
    problem: str
    little: bool

    @staticmethod
    def of(row):
        """From a row of the hypervisor's `virtual`."""
        mas1, mas2, mas3, mas7 = (int(row[name], 16) for name in ("mas1", "mas2", "mas3", "mas7"))
        size = 1024 << 2 * (mas1 >> 8 & 15)
        return Virtual((mas2 & ~0xFFF) & ~(size - 1), (mas7 << 32 | mas3 & ~0xFFF) & ~(size - 1), size, _rights(mas3, 1),
                       _rights(mas3, 2), bool(mas2 & LITTLE))


def _piece(memory, gpa, size):
    """The piece of a partition's memory that has all of that, as (hpa of @gpa, rights), or None."""
    for piece in memory:
        start, length = int(piece["gpa"], 16), int(piece["bytes"], 16)
        if start <= gpa and gpa + size <= start + length:
            return int(piece["hpa"], 16) + gpa - start, piece["rights"]
    return None


def _judge(entry, virtual, memory):
    """What is wrong with one guest's @entry, made from @virtual."""
    if virtual is None:
        return "its guest holds no valid entry of the index that it came from"
    if not virtual.ea <= entry.ea or entry.ea + entry.size > min(virtual.ea + virtual.size, EA_END):
        return f"it maps more than its guest's entry of {virtual.size:x} at {virtual.ea:x}"
    gpa = virtual.gpa + entry.ea - virtual.ea
    piece = _piece(memory, gpa, entry.size)
    if piece is None:
        return f"guest-physical {gpa:x} is not all memory of the partition"
    if piece[0] != entry.pa or gpa == entry.pa:
        return f"guest-physical {gpa:x} is at {piece[0]:x}"
    allowed = max((set(rights) & set(piece[1]) for rights in (virtual.supervisor, virtual.problem)),
                  key=lambda rights: len(rights & set(entry.problem)))
    if not set(entry.problem) <= allowed:
        return f"the guest's entry gives {virtual.supervisor or '-'} and {virtual.problem or '-'}, its memory {piece[1]}"
    if entry.supervisor not in ("", "r") or entry.supervisor and not set(entry.problem) & {"r", "x"}:
        return "the supervisor's rights"
    if ("E" in entry.attributes) != virtual.little:
        return "its byte order is not the guest's"
    return None


def _of_guests(state):
    """Each entry that the hypervisor believes in: (entry, which VP, its virtual entry or None, the partition's memory)."""
    for partition in state["partitions"]:
        for tlb in partition.get("tlbs", ()):
            held = {row["index"]: row for row in tlb["virtual"]}
            for row in tlb["real"]:
                virtual = held.get(row["from"])
                yield (believed(row), (partition["index"], tlb["vp"]), Virtual.of(virtual) if virtual else None, partition["memory"])


def _differences(there, told):
    """Entries that the one has, and the other has not."""
    spare = list(told)
    for entry in there:
        if entry in spare:
            spare.remove(entry)
        else:
            yield f"{entry}: the hypervisor does not know of it"
    for entry in spare:
        yield f"{entry}: the processor has no such entry"


def complaints(state, text):
    """What is wrong, a sentence each, with a processor whose `info tlb` says @text while the hypervisor's `state` is @state."""
    entries = seen(text)
    guests = list(_of_guests(state))
    there = sorted(entry for entry in entries if entry.space)
    said = list(_differences(there, [entry for entry, _, _, _ in guests]))
    owner = {}
    for entry in entries:
        if not entry.space and entry.problem:
            said.append(f"{entry}: the hypervisor's, and open to guests")
    for entry, vp, virtual, memory in guests:
        wrong = _judge(entry, virtual, memory)
        if entry.tid == 0 or owner.setdefault(entry.tid, vp) != vp:
            wrong = f"its shadow PID is not that of partition {vp[0]}, VP {vp[1]}, alone"
        if wrong:
            said.append(f"{entry}: {wrong}")
    return said + [f"{one}: overlaps {other}" for one, other in _overlaps(there)]


def _overlaps(entries):
    """Pairs that overlap, of those that @entries are."""
    in_order = sorted(entries, key=lambda entry: (entry.tid, entry.ea))
    reach = None  # the one that ends last among those of its shadow PID
    for entry in in_order:
        if reach and reach.overlaps(entry):
            yield reach, entry
        if not reach or reach.tid != entry.tid or entry.ea + entry.size > reach.ea + reach.size:
            reach = entry


class Port:
    """A Unix socket that answers in lines."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(SECONDS)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rb")

    def close(self):
        """It is not needed any more."""
        self._file.close()
        self._socket.close()

    def say(self, text):
        """Send a line."""
        try:
            self._socket.sendall(text.encode() + b"\n")
        except OSError:
            raise Gone from None

    def line(self):
        """The next line that comes."""
        try:
            line = self._file.readline()
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            raise Gone
        return line.decode("utf-8", "replace").rstrip("\n")


class Machine:
    """A machine that runs, by its two sockets: the hypervisor's, and the emulator's own."""

    def __init__(self, path):
        self._hypervisor, self._emulator = Port(path), Port(f"{path}.emulator")
        self._emulator.line()  # its greeting
        self._command("qmp_capabilities")

    def close(self):
        """Nothing more is asked."""
        self._hypervisor.close()
        self._emulator.close()

    def _command(self, name, **arguments):
        self._emulator.say(json.dumps({"execute": name, "arguments": arguments}))
        while True:
            answer = json.loads(self._emulator.line())
            if "return" in answer:
                return answer["return"]

    def _ask(self, request):
        """A text, or a document. That a partition has ended may be said in between."""
        self._hypervisor.say(request)
        line = self._hypervisor.line()
        while line.startswith('{"vmmu_ended"'):
            line = self._hypervisor.line()
        if line.startswith("{"):
            document = json.loads(line)
            if "vmmu_state" not in document:
                raise Gone  # the last report
            return document
        while self._hypervisor.line():
            pass
        return line

    def compare(self):
        """(how many entries guests have in the processor's TLB, what is wrong there), all partitions being held meanwhile."""
        held = self._ask("stop")
        try:
            state, text = self._ask("state"), self._command("human-monitor-command", **{"command-line": "info tlb"})
        finally:
            if held == "stopped":
                self._ask("go")
        return sum(1 for entry in seen(text) if entry.space), complaints(state, text)


def main(words):
    """The number of comparisons that found something wrong."""
    machine, bad = Machine(words[0]), 0
    for _ in range(int(words[1]) if len(words) > 1 else 1):
        count, said = machine.compare()
        print("\n".join([f"{count} entries of guests, {len(said)} wrong", *said]), flush=True)
        bad += bool(said)
        time.sleep(0.02)
    machine.close()
    return bad


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Gone:
        sys.exit("the machine has ended")
