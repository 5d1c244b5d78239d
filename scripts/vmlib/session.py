"""Runs one emulated machine: its streams, its time limit, the terminal. Nothing outlives the session."""

import ctypes
import os
import pathlib
import selectors
import signal
import subprocess
import sys
import termios
import time

from . import machine as machines
from . import outcome, places
from .status import HOST_DIED, TIMED_OUT, Failure

KEPT_CONSOLE = 64 * 1024
CHUNK = 64 * 1024
GATHER_SECONDS = 0.005
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class Typist:
    """Types what a file descriptor gives into the guest's console, no faster than a terminal's buffer takes it.

    Past the end of the input it types Ctrl-D, again and again: each reader in the guest takes one.
    """

    CHUNK = 256
    PERIOD_SECONDS = 0.05
    END = b"\x04"
    END_PERIOD_SECONDS = 1.0

    def __init__(self, source):
        self.source = source
        self.started = False
        self._due = 0.0
        self._ended = False

    def type(self, target):
        """Move what is due from the source to @target. Never waits."""
        now = time.monotonic()
        if not self.started or now < self._due:
            return
        data = self.END if self._ended else self._read()
        if data is None:
            return
        self._ended = self._ended or not data
        self._due = now + (self.END_PERIOD_SECONDS if self._ended else self.PERIOD_SECONDS)
        try:
            os.write(target, data or self.END)
        except BrokenPipeError:
            self.started = False

    def _read(self):
        selector = selectors.DefaultSelector()
        try:
            selector.register(self.source, selectors.EVENT_READ)
            if not selector.select(0):
                return None
        except PermissionError:
            pass  # a plain file: always ready, and unknown to epoll
        finally:
            selector.close()
        return os.read(self.source, self.CHUNK)


class Session:
    """One run of @machine. `sinks` maps a port (console, output, errors) to a function of the bytes that it says."""

    def __init__(self, machine, terminal=False, typist=None, sinks=None):
        self.machine = machine
        self.terminal = terminal
        self.typist = typist
        self.sinks = sinks or {}
        self.console = b""  # the last of what the console said, unless it is a terminal

    def run(self, seconds=None):
        """Boot, wait for the end, return the Outcome. Past @seconds all is stopped, and a Failure says so."""
        deadline = None if seconds is None else time.monotonic() + seconds
        saved = termios.tcgetattr(sys.stdin) if self.terminal else None
        with places.run_folder() as name:
            folder = pathlib.Path(name)
            try:
                return self._boot(folder, deadline)
            finally:
                if saved:
                    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)

    def _boot(self, folder, deadline):
        streams = {port: os.pipe() for port in ("output", "errors")}
        channels = {port: f"file,path=/dev/fd/{ends[1]}" for port, ends in streams.items()}
        channels["control"] = "file,path=control"
        channels["console"] = "stdio,signal=off" + (",mux=on" if self.terminal else "")
        command = machines.command(self.machine, folder, channels)
        process = self._start(command, folder, [ends[1] for ends in streams.values()])
        try:
            for ends in streams.values():
                os.close(ends[1])
            readers = {port: ends[0] for port, ends in streams.items()}
            if not self.terminal:
                readers["console"] = process.stdout.fileno()
            self._pump(readers, process, deadline)
            exit_status = process.wait(_left(deadline))
        except subprocess.TimeoutExpired:
            raise Failure(TIMED_OUT, "the time given by --timeout is over") from None
        finally:
            process.kill()
            process.wait()
            for ends in streams.values():
                os.close(ends[0])
        return self._outcome(folder, exit_status)

    def _start(self, command, folder, inherited):
        stdin = None if self.terminal else subprocess.PIPE if self.typist else subprocess.DEVNULL
        stdout = None if self.terminal else subprocess.PIPE
        with open(folder / "complaints", "wb") as complaints:
            try:
                return subprocess.Popen(command, cwd=folder, stdin=stdin, stdout=stdout, stderr=complaints, bufsize=0,
                                        pass_fds=inherited, preexec_fn=_die_with_parent)
            except FileNotFoundError:
                host = self.machine.host
                raise Failure(HOST_DIED, f"{host.emulator} is not here: scripts/install {host.package}") from None

    def _pump(self, readers, process, deadline):
        """Pass on what every port says until all are closed, which the end of the emulator does."""
        with selectors.DefaultSelector() as selector:
            for port, descriptor in readers.items():
                selector.register(descriptor, selectors.EVENT_READ, port)
            while selector.get_map():
                left = _left(deadline)
                period = left if self.typist is None else Typist.PERIOD_SECONDS
                for key, _ in selector.select(period):
                    data = os.read(key.fd, CHUNK)
                    if data:
                        self._said(key.data, data)
                    else:
                        selector.unregister(key.fd)
                if self.typist:
                    self.typist.type(process.stdin.fileno())
                # The ports speak byte by byte: gather what they say, and leave the processor to the emulator.
                time.sleep(GATHER_SECONDS)
                if left == 0:
                    raise subprocess.TimeoutExpired(process.args, 0)

    def _said(self, port, data):
        if port == "console":
            self.console = (self.console + data)[-KEPT_CONSOLE:]
        if port in self.sinks:
            self.sinks[port](data)

    def _outcome(self, folder, exit_status):
        complaint = _complaint(_text(folder / "complaints"), self.machine.host.emulator)
        resets = _text(folder / "resets")
        if self.machine.native:
            recorded = (folder / "status").read_bytes() if (folder / "status").exists() else b""
            return outcome.of_native(exit_status, recorded, resets, complaint)
        return outcome.of_hypervisor(exit_status, _text(folder / "control"), resets, complaint)


def _die_with_parent():
    """In the child: if this process is killed, so is the emulator; and."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _left(deadline):
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _complaint(text, emulator):
    """The emulator's first error in @text, which holds warnings too, or ''."""
    for line in text.splitlines():
        if line.startswith(f"{emulator}: ") and ": warning: " not in line and ": terminating on signal" not in line:
            return line
    return ""


def _text(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
