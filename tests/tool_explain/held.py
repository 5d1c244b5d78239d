"""A guest that stops before and after each instruction under test, and the hypervisor that holds it meanwhile."""

import contextlib
import dataclasses
import json
import pathlib
import socket
import subprocess
import tempfile
import time

import tool
from tap import Failed, expect, expect_equal
from vmlib import hosts, places

HOST = "amd"
host = HOST

ANSWER_SECONDS = 60
BOOT_SECONDS = 240

# What the guest does at its stops, in order, in each paging mode (tests/guests/explain.c).
STAGES = ("a store", "the same store again", "a store across two pages", "a store to a large page",
          "a store where nothing is mapped", "a store to a read-only page", "a store to a page table of level 2",
          "a store to a page table of level 1")
LARGE = STAGES[3]


@dataclasses.dataclass
class Stage:
    """One instruction: what was foretold, and what the hypervisor counted meanwhile."""

    name: str
    foretold: dict
    counted: dict
    exits: dict


def stages_of(modes):
    """The names of all stages, by the paging modes that a guest goes through."""
    return [f"{mode}: {stage}" for mode, large in modes for stage in STAGES if large or stage != LARGE]


class Control:
    """The control port of a hypervisor. Each request is a connection of its own."""

    def __init__(self, path, running):
        self.path = path
        self.running = running

    def ask(self, request):
        """The first line that it answers to @request."""
        with socket.socket(socket.AF_UNIX) as port:
            port.settimeout(ANSWER_SECONDS)
            port.connect(str(self.path))
            port.sendall(request.encode() + b"\n")
            said = b""
            while b"\n" not in said:
                more = port.recv(1 << 20)
                expect(more, f"the control port is closed after {said!r}")
                said += more
        return said.split(b"\n", 1)[0].decode()

    def state_when_held(self):
        """The state of the partition, once the guest has stopped."""
        deadline = time.monotonic() + self.seconds()
        while time.monotonic() < deadline:
            expect(self.running.poll() is None, f"scripts/vm ended with status {self.running.returncode}")
            with contextlib.suppress(OSError, ValueError):
                state = json.loads(self.ask("state"))["partitions"][0]
                if state["held"]:
                    return state
            time.sleep(0.05)
        raise Failed("the guest does not stop")

    @staticmethod
    def seconds():
        """How long a guest may take to its next stop."""
        return BOOT_SECONDS * (4 if hosts.HOSTS[host].slow else 1)


@contextlib.contextmanager
def guest(image, technique, *words):
    """The control port of a hypervisor that runs @image of tests/guests under @technique."""
    # The path of a socket may not be long.
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "monitor"
        command = ["scripts/vm", "boot", "--host", host, "--mmu", technique, "--memory", "256M", "-q", "--protocol",
                   "multiboot", "--kernel", str(tool.build / "tests" / "guests" / f"{image}.elf"), "--monitor", str(path),
                   "--stop-port", *words]
        with open(pathlib.Path(folder) / "said", "w", encoding="utf-8") as said, \
                subprocess.Popen(command, cwd=places.TREE, stdin=subprocess.DEVNULL, stdout=said,
                                 stderr=subprocess.STDOUT) as running:
            try:
                yield Control(path, running)
            finally:
                running.terminate()


def explain(image, *words):
    """What vmmu explain says of @image, whether or not the instruction gets through."""
    ended = tool.run("explain", image, *words, "--json")
    expect(ended.status in (tool.OK, tool.NO), str(ended))
    document = json.loads(ended.out)
    expect_equal(ended.status == tool.NO, document["native"]["end"] != "goes-on", "whether the status says a fault")
    return document


def counters(state):
    """Those that an access may change."""
    mmu = state["stats"]["mmu"]
    return {name: mmu[name] for name in ("faults", "fills", "reflected", "write_traps", "opened", "pages", "evicted")
            if name in mmu}


def go_through(control, names):
    """Every stage of the guest."""
    stages = []
    for name in names:
        before = control.state_when_held()
        foretold = explain(control.path)
        expect(control.ask("go").startswith("running"), "the guest does not go on")
        after = control.state_when_held()
        exits = [state["stats"]["vps"][0]["counters"]["exits"] for state in (before, after)]
        seen, had = counters(after), counters(before)
        stages.append(Stage(name, foretold, {key: seen[key] - had[key] for key in seen},
                            {kind: count - exits[0].get(kind, 0) for kind, count in exits[1].items()
                             if count != exits[0].get(kind, 0)}))
        control.ask("go")
    return stages
