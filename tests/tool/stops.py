"""Guests that are stopped and dumped, each once for all cases, with what QEMU says of them at that very stop."""

import atexit
import dataclasses
import functools
import pathlib
import random
import shutil
import tempfile

import natives
import tap
import tool
import witness
from vmlib import places

KINDS = {**natives.KINDS, **natives.MORE_KINDS} if tool.long else natives.KINDS
ADDRESSES = {natives.KERNEL: 10000, natives.USER: 10000 if tool.long else 2500}  # that are translated at each stop
# The last QEMU whose `info mem` is known to be wrong with five levels: see mem() of cases_1_maps.py.
WRONG_WITH_FIVE = (7, 2)
PAGE = witness.PAGE_BYTES


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a guest of KINDS is stopped: the number of the stop, the processor that is looked at, and its level."""

    kind: str
    stop: int
    processor: int
    level: int

    def __str__(self):
        return f"{self.kind} {'in the kernel' if self.level == natives.KERNEL else 'in user mode'}"


# Kinds by turns: two cases run at a time, and each kind has its own boot.
PLACES = [Place(kind, stop, processor, level) for wanted in (natives.KERNEL, natives.USER)
          for kind, entry in KINDS.items()
          for stop, levels in enumerate(entry.stops) for processor, level in enumerate(levels) if level == wanted]


@dataclasses.dataclass
class Stopped:
    """One processor at one stop."""

    place: Place
    dumps: dict  # by format
    registers: witness.Registers
    leaves: list
    mem: list  # witness.Range; None where `info mem` is of no use
    addresses: list
    gpas: list  # of the addresses: physical, or None

    def words(self, form="elf"):
        """The words of vmmu that name this image and processor. A raw image has no registers: they are given."""
        image = [str(self.dumps[form])]
        if form != "raw":
            return image + (["--cpu", str(self.place.processor)] if self.place.processor else [])
        return image + [f"--{name}={value:#x}" for name, value in dataclasses.asdict(self.registers).items()]


def with_forms(*forms):
    """The places whose dumps have all of @forms."""
    return [place for place in PLACES if set(forms) <= set(KINDS[place.kind].forms)]


def at(place):
    """The Stopped of @place; its guest is booted when it is first asked for."""
    return _taken(place.kind)[place]


@functools.cache
def folder():
    """Where the dumps lie until the suite ends."""
    parent = places.BUILD / "test"
    parent.mkdir(parents=True, exist_ok=True)
    atexit.register(remove)
    return pathlib.Path(tempfile.mkdtemp(dir=parent, prefix="stops-"))


def remove():
    """Remove the dumps: they are gigabytes."""
    shutil.rmtree(folder(), ignore_errors=True)


@tap.shared
def _taken(kind):
    taken = {}
    entry = KINDS[kind]
    with natives.booted(entry) as machine:
        for number, levels in enumerate(entry.stops):
            machine.stop(levels)
            dumps = {form: machine.dump(folder() / f"{kind}-{number}.{form}", form) for form in entry.forms}
            for processor, level in enumerate(levels):
                place = Place(kind, number, processor, level)
                taken[place] = _look(machine, place, dumps)
            machine.go()
    return taken


def _look(machine, place, dumps):
    registers = witness.registers(machine.registers(place.processor))
    leaves = witness.leaves(machine.monitor.ask("info tlb", place.processor))
    useful = registers.width != 57 or machine.version > WRONG_WITH_FIVE
    mem = witness.ranges(machine.monitor.ask("info mem", place.processor), registers.width) if useful else None
    addresses = choose(leaves, registers.width, ADDRESSES[place.level])
    answers = machine.monitor.ask_all([f"gva2gpa {address:#x}" for address in addresses], place.processor)
    return Stopped(place, dumps, registers, leaves, mem, addresses, [witness.translation(text) for text in answers])


def choose(leaves, width, count):
    """@count random addresses of @width bits: in pages that are mapped, at their edges, near them, anywhere, and, where there
    are such, some that are not canonical."""
    chosen = random.Random(width * 1000 + len(leaves))
    every = 1 << (32 if width == 32 else 64)
    return [_one(chosen, chosen.choice(leaves), width) % every for _ in range(count)]


def _one(chosen, leaf, width):
    span = PAGE << 9 if leaf.large else PAGE
    kinds = [
        lambda: leaf.address + chosen.randrange(span),
        lambda: leaf.address + chosen.choice((-1, 0, 1, PAGE - 1, PAGE, span - 1, span)),
        lambda: leaf.address + chosen.choice((-1, 1)) * chosen.getrandbits(chosen.randrange(12, width)),
        lambda: witness.canonical(chosen.getrandbits(width), width),
    ]
    if width > 32:
        half = 1 << width - 1
        kinds += [
            lambda: leaf.address ^ 1 << chosen.randrange(width - 1, 64),
            lambda: chosen.choice((half, -half)) + chosen.choice((-1, 1)) * chosen.getrandbits(chosen.randrange(1, 20)),
        ]
    return chosen.choice(kinds)()
