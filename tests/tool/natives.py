"""Debian guests that stand on the emulated machine itself, without a hypervisor of ours, for dumps of them to be taken.

In each, two processes of guest/memory.c work: one in the kernel, one in user mode. With one processor they take turns on it; of
two, the first has the first.
"""

import contextlib
import ctypes
import dataclasses
import pathlib
import random
import re
import signal
import socket
import subprocess
import tempfile
import time

import qmp
from vmlib import cpio, guests, places, sizes

PROGRAMS = places.BUILD / "tests" / "tool"
EMULATOR = "qemu-system-x86_64"

# A boot takes ten seconds of one processor; a machine that is busy otherwise may need many times that.
BOOT_SECONDS = 300
ANSWER_SECONDS = 120
STOPS_MOST = 400

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)

USER, KERNEL = 3, 0  # CPL
# Each at one stop: the levels of all processors.
BOTH, TOGETHER, ONE = ((KERNEL,), (USER,)), ((KERNEL, USER),), ((KERNEL,),)
FORMS = ("elf", "kdump", "raw")


@dataclasses.dataclass(frozen=True)
class Kind:
    """A guest, and the machine under it."""

    guest: str  # of scripts/vmlib/guests.py
    processor: str = "max,-la57"
    processors: int = 1
    memory: int = 192 * sizes.MIB
    words: str = ""  # more for the kernel's command line
    stops: tuple = BOTH  # of the tests, in order
    forms: tuple = FORMS  # of its dumps

    @property
    def bits(self):
        """The width of its programs."""
        return 64 if guests.find(self.guest).architecture == "amd64" else 32


# KPTI is off on AMD's processors, which the emulator's is one of.
KPTI = "pti=on"

KINDS = {  # in this order the tests boot them
    "amd64": Kind("debian-amd64", processors=2, words=KPTI, stops=TOGETHER),
    # The kernel maps its memory by pages of 1 GiB where one lies within it. Its dumps are not copied.
    "amd64-2g": Kind("debian-amd64", memory=2304 * sizes.MIB, stops=ONE, forms=("elf",)),
    "la57": Kind("debian-amd64", processor="max"),
    "i386-pae": Kind("debian-i386-pae", words=KPTI),
    "i386": Kind("debian-i386"),
}
# For long runs: memory on both sides of 4 GiB, and other ways to boot the same kernels.
MORE_KINDS = {
    "amd64-6g": Kind("debian-amd64", memory=6144 * sizes.MIB, stops=ONE, forms=("elf", "kdump")),
    "amd64-kaslr": Kind("debian-amd64", words="kaslr"),
    "la57-pti": Kind("debian-amd64", processor="max", processors=2, words=KPTI, stops=TOGETHER),
    "qemu64-la57": Kind("debian-amd64", processor="qemu64,+la57"),
    "i386-pae-6g": Kind("debian-i386-pae", memory=6144 * sizes.MIB, stops=ONE, forms=("elf",)),
    "i386-pae-smp": Kind("debian-i386-pae", processors=2, stops=TOGETHER),
    "i386-pentium3": Kind("debian-i386", processor="pentium3"),
}


class NotStopped(Exception):
    """The machine never stood where it was wanted."""


class Native:
    """A machine that runs. Use booted() for one."""

    def __init__(self, kind, monitor):
        self.kind = kind
        self.monitor = monitor
        self._random = random.Random(1)

    def stop(self, levels):
        """Stop it where the processors, in order, are at the privilege @levels: 0 in the kernel, 3 in user mode."""
        for _ in range(STOPS_MOST):
            self.monitor.execute("stop")
            seen = tuple(self.level(processor) for processor in range(self.kind.processors))
            if seen == tuple(levels):
                return
            self.monitor.execute("cont")
            time.sleep(self._random.uniform(0.001, 0.05))
        raise NotStopped(f"no stop of {STOPS_MOST} was at the levels {levels}")

    @property
    def version(self):
        """QEMU's own: (major, minor)."""
        found = self.monitor.execute("query-version")["qemu"]
        return found["major"], found["minor"]

    def go(self):
        """Let it run on."""
        self.monitor.execute("cont")

    def level(self, processor):
        """The privilege level that @processor is at."""
        return int(re.search(r"CPL=(\d)", self.registers(processor))[1])

    def registers(self, processor=0):
        """`info registers`."""
        return self.monitor.ask("info registers", processor)

    def dump(self, path, form="elf"):
        """Write its memory to @path: an `elf` core, a compressed `kdump`, or `raw`, from address 0 on."""
        path = pathlib.Path(path).absolute()
        if form == "raw":
            self.monitor.execute("pmemsave", val=0, size=self.kind.memory, filename=str(path))
        else:
            words = {"format": "kdump-zlib"} if form == "kdump" else {}
            self.monitor.execute("dump-guest-memory", paging=False, protocol=f"file:{path}", **words)
        return path


@contextlib.contextmanager
def booted(kind):
    """A Native of @kind whose processes work, until the end of the with statement."""
    with tempfile.TemporaryDirectory(dir=_parent(), prefix="native-") as name:
        folder = pathlib.Path(name)
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
            # The path of a socket has a hundred letters at most; of where the tree lies nobody knows how many.
            listener.bind("")
            listener.listen(1)
            process = _start(kind, folder, listener)
            try:
                monitor = qmp.Monitor(listener, ANSWER_SECONDS)
                with contextlib.closing(monitor):
                    _wait_until_ready(kind, folder, process)
                    yield Native(kind, monitor)
            finally:
                process.kill()
                process.wait()


def _parent():
    parent = places.BUILD / "test"
    parent.mkdir(parents=True, exist_ok=True)
    return parent


def _start(kind, folder, listener):
    """The emulator, which connects to @listener for its monitor."""
    guest = guests.find(kind.guest)
    made = guests.prepare(guest)
    initrd = folder / "initrd"
    initrd.write_bytes(made.initrd.read_bytes() + _work(kind).bytes())
    line = f"{guests.COMMAND_LINE} {guests.QUIET} {kind.words}".strip()
    words = [EMULATOR, "-accel", "tcg", "-cpu", kind.processor, "-smp", str(kind.processors), "-m", f"{kind.memory >> 20}M",
             "-display", "none", "-monitor", "none", "-no-reboot", "-nic", "none",
             "-kernel", str(made.kernel), "-initrd", "initrd", "-append", line,
             "-serial", "file:console", "-serial", "file:output", "-serial", "file:errors",
             "-chardev", f"socket,id=qmp,abstract=on,tight=on,path={listener.getsockname()[1:].decode()}",
             "-mon", "chardev=qmp,mode=control"]
    with open(folder / "complaints", "wb") as complaints:
        return subprocess.Popen(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=complaints, stderr=complaints,
                                preexec_fn=_die_with_parent)


def _die_with_parent():
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _work(kind):
    """What the guest is given: the program, and the line of shell that starts it."""
    last = kind.processors - 1
    program = PROGRAMS / f"memory{kind.bits}"
    if not program.exists():
        subprocess.run(["make", "-s", "--no-print-directory", "tool-guests"], cwd=places.TREE, check=True)
    work = cpio.Archive()
    work.file("etc/vmmu/mode", b"run\n")
    work.file("etc/vmmu/command", f"/root/memory call 0 & /root/memory spin {last}\n".encode())
    work.file("root/memory", program.read_bytes(), 0o755)
    return work


def _wait_until_ready(kind, folder, process):
    """Wait until both processes have said that they have their memory."""
    deadline = time.monotonic() + BOOT_SECONDS
    while places.text(folder / "output").count("ready") < 2:
        if process.poll() is not None or time.monotonic() > deadline:
            said = (places.text(folder / "complaints") + places.text(folder / "console"))[-2000:]
            raise qmp.MonitorError(f"{kind.guest} did not come up: {said}")
        time.sleep(0.1)
