"""Which functions of the hypervisor the instructions of a phase were spent in, inlined ones told apart."""

import subprocess

from vmlib import places

from . import table

SYMBOLS = places.BUILD / "vmmu64.elf"
WINDOW = 0xFFFFFFFFFFE00000
MOST = 40


def _executed(mark):
    return {int(line.split()[1], 16): int(line.split()[2]) for line in mark.lines if line.startswith("at ")}


def _places(offsets):
    """(function, the function that it is inlined in at last) of each offset."""
    told = subprocess.run(["addr2line", "-f", "-i", "-s", "-a", "-e", str(SYMBOLS)], check=True, text=True,
                          input="".join(f"{WINDOW + offset:#x}\n" for offset in offsets),
                          stdout=subprocess.PIPE).stdout
    found, names = [], None
    for line in told.splitlines():
        if line.startswith("0x"):
            names = []
            found.append(names)
        elif ":" not in line:
            names.append(line)
    return [(names[0], names[-1]) for names in found]


def render(phase):
    """A phase as text."""
    workload, operations, first, last = phase
    before = _executed(first)
    grown = {at: count - before.get(at, 0) for at, count in _executed(last).items() if count != before.get(at, 0)}
    own, outer = {}, {}
    for (name, outermost), count in zip(_places(grown), grown.values()):
        own[name, outermost] = own.get((name, outermost), 0) + count
        outer[outermost] = outer.get(outermost, 0) + count
    everything = sum(grown.values())
    return "\n".join([f"{workload}: {everything} instructions of the hypervisor",
                      _table("function, with what is inlined in it", outer.items(), everything, operations),
                      _table("function < inlined in", [(" < ".join(dict.fromkeys(names)), count)
                                                       for names, count in own.items()], everything, operations)])


def _table(title, counts, everything, operations):
    lines = [(title, "instr", "of all", "per op")]
    for name, count in sorted(counts, key=lambda pair: -pair[1])[:MOST]:
        lines.append((name, str(count), f"{count / everything:.1%}", f"{count / operations:.1f}"))
    return table.align(lines, left=1)
