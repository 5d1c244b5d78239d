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
import tty

from . import bochs, letters, monitor, outcome, places, qemu, qemu_ppc
from .status import HOST_DIED, TIMED_OUT, Failure
from .wires import Wires

EMULATORS = {"qemu": qemu, "qemu-ppc": qemu_ppc, "bochs": bochs}

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
        except (BrokenPipeError, ConnectionResetError):
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


class Keys:
    """What a person types, byte for byte, but for Ctrl-A: x behind it asks for the end, another Ctrl-A is one."""

    ESCAPE = 0x01

    def __init__(self):
        self._escaped = False
        self.left = False

    def typed(self, data):
        """The bytes of @data that are for the machine."""
        passed = bytearray()
        for byte in data:
            if self._escaped:
                self._escaped = False
                self.left = self.left or byte == ord("x")
                if byte == self.ESCAPE:
                    passed.append(byte)
            elif byte == self.ESCAPE:
                self._escaped = True
            else:
                passed.append(byte)
        return bytes(passed)


class Session:
    """One run of @machine. `sinks` maps a port (console, output, errors) to a function of the bytes that it says."""

    def __init__(self, machine, terminal=False, typist=None, sinks=None):
        self.machine = machine
        self.terminal = terminal
        self.typist = typist
        self.sinks = sinks or {}
        self.console = b""  # the last of what the console said, unless it is a terminal
        self._emulator = EMULATORS[machine.host.kind]
        self._keys = Keys() if terminal and not self._emulator.OWN_TERMINAL else None
        self._letters = letters.Letters() if self._emulator.LETTERS else None
        self._record = None  # of the control port, if that is nobody else's to keep
        self._screen = None
        self._monitor = None

    def run(self, seconds=None):
        """Boot, wait for the end, return the Outcome. Past @seconds all is stopped, and a Failure says so."""
        deadline = None if seconds is None else time.monotonic() + seconds
        saved = termios.tcgetattr(sys.stdin) if self.terminal else None
        with places.run_folder() as name, Wires() as wires:
            try:
                return self._boot(pathlib.Path(name), wires, deadline)
            finally:
                if self._screen is not None:
                    os.close(self._screen)
                if self._monitor:
                    self._monitor.close()
                if self._record:
                    self._record.close()
                if saved:
                    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)

    def _boot(self, folder, wires, deadline):
        command = self._emulator.command(self.machine, folder, wires, self.terminal, self.typist is not None)
        if self.machine.monitor:
            self._monitor = monitor.Monitor(self.machine.monitor, folder / "control", wires.memory)
        elif self._letters:
            self._record = open(folder / "control", "wb", buffering=0)
        process = self._start(command, folder, wires)
        try:
            wires.let_go()
            self._pump(folder, wires, process, deadline)
            exit_status = outcome.LEFT if self._left else process.wait(_left(deadline))
        except subprocess.TimeoutExpired:
            self._emulator.interrogate(self.machine, folder, process)
            raise Failure(TIMED_OUT, "the time given by --timeout is over") from None
        finally:
            process.kill()
            process.wait()
        return self._outcome(folder, exit_status)

    @property
    def _left(self):
        return self._keys is not None and self._keys.left

    def _start(self, command, folder, wires):
        own = self._emulator.OWN_TERMINAL
        stdin = None if self.terminal and own else subprocess.PIPE if self.typist and own else subprocess.DEVNULL
        stdout = None if self.terminal and own else subprocess.PIPE
        if self.machine.record:
            (folder / "said").symlink_to(self.machine.record)
        with open(folder / "complaints", "wb") as complaints, open(folder / "said", "wb") as said:
            try:
                process = subprocess.Popen(command, cwd=folder, stdin=stdin, stdout=stdout if own else said, stderr=complaints,
                                           bufsize=0, pass_fds=wires.inherited, preexec_fn=_die_with_parent,
                                           env={**os.environ, **self._emulator.ENVIRONMENT})
            except FileNotFoundError:
                host = self.machine.host
                raise Failure(HOST_DIED, f"{host.emulator} is not here: scripts/install {' '.join(host.packages)}") from None
        if own and not self.terminal:
            wires.readers["console"] = os.dup(process.stdout.fileno())
            process.stdout.close()
        if stdin == subprocess.PIPE:
            wires.writers["console"] = process.stdin.fileno()
        return process

    def _pump(self, folder, wires, process, deadline):
        """Pass on what every port says until all are closed, which the end of the emulator does, or a person leaves."""
        with selectors.DefaultSelector() as selector:
            for port, descriptor in wires.readers.items():
                selector.register(descriptor, selectors.EVENT_READ, port)
            for port, listener in wires.listeners.items():
                selector.register(listener, selectors.EVENT_READ, f"{port} connects")
            if self._keys:
                tty.setraw(sys.stdin)
                selector.register(sys.stdin, selectors.EVENT_READ, "keys")
            if self._monitor:
                self._monitor.attach(selector)
            while not self._left and _lives(wires, selector, process):
                left = _left(deadline)
                period = left if self.typist is None and not wires.listeners else Typist.PERIOD_SECONDS
                for key, events in selector.select(period):
                    self._ready(key, events, selector, wires)
                if self.typist and "console" in wires.writers:
                    self.typist.type(wires.writers["console"])
                self._watch_screen(folder, selector)
                # The ports speak byte by byte: gather what they say, and leave the processor to the emulator.
                time.sleep(GATHER_SECONDS)
                if left == 0:
                    raise subprocess.TimeoutExpired(process.args, 0)

    def _ready(self, key, events, selector, wires):
        """Take what the line of @key has, if it still stands: who asked before may be gone by now, and closed."""
        if not _stands(key, selector):
            return
        if key.data.endswith(" connects"):
            port = key.data.split()[0]
            selector.unregister(key.fileobj)
            selector.register(wires.accept(port), selectors.EVENT_READ, port)
            return
        if key.data == "monitor":
            self._ask(wires, self._monitor.ready(key, events))
            return
        try:
            data = os.read(key.fd, CHUNK)
        except OSError:  # a terminal or a connection whose other end is gone
            data = b""
        if not data:
            selector.unregister(key.fileobj)
            if key.data == "keys":
                self._keys.left = True  # the terminal is gone
        elif key.data == "keys":
            passed = self._keys.typed(data)
            if "console" in wires.writers:
                _write(wires.writers["console"], passed)
        elif key.data != "screen":
            self._said(key.data, data, wires)

    def _ask(self, wires, data):
        """Send @data to the hypervisor, if it still stands."""
        if data and "control" in wires.writers:
            _write(wires.writers["control"], data)

    def _watch_screen(self, folder, selector):
        """Read the emulator's screen empty, if it has one: what nobody reads would stop it."""
        name = None if self._emulator.OWN_TERMINAL or self._screen is not None else self._emulator.screen(folder)
        if name:
            self._screen = os.open(name, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
            selector.register(self._screen, selectors.EVENT_READ, "screen")

    def _said(self, port, data, wires):
        if port == "console":
            self.console = (self.console + data)[-KEPT_CONSOLE:]
        if port == "control" and self._letters:
            data, others = self._letters.take(data)
            for other, said in others:
                self._said(other, said, wires)
        if port == "control":
            self._control_said(data, wires)
        elif self._keys and port == "console":
            _write(sys.stdout.fileno(), data)
        elif port in self.sinks:
            self.sinks[port](data)

    def _control_said(self, data, wires):
        """The control port said @data, and nothing in it is another's; without the hypervisor, that is a guest's output."""
        if self._monitor:
            self._ask(wires, self._monitor.said(data))
        elif self.machine.native and data:
            self._said("output", data, wires)
        elif self._record:
            self._record.write(data)

    def _outcome(self, folder, exit_status):
        exit_status, complaint, triple_fault = self._emulator.ending(folder, exit_status)
        left = self._letters.left if self._letters else None
        if self.machine.native:
            recorded = (folder / "status").read_bytes() if (folder / "status").exists() else b""
            recorded = recorded if left is None else bytes([left & 0xFF])
            return outcome.of_native(exit_status, recorded, triple_fault, complaint)
        if self._letters and exit_status == 0 and not (self.terminal and left is None):
            exit_status = outcome.by_word(left)
        return outcome.of_partitions(exit_status, places.text(folder / "control"), triple_fault, complaint,
                                     len(self.machine.partitions))


def _die_with_parent():
    """In the child: if this process is killed, so is the emulator; and."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _lives(wires, selector, process):
    """Whether anything is to be heard of the machine: of a line that stands, or that the emulator has yet to connect to."""
    return wires.any_of(key.data for key in selector.get_map().values()) or bool(wires.listeners) and process.poll() is None


def _stands(key, selector):
    """Whether @selector still waits for @key. It cannot be asked about what is closed, and its descriptor may be another's."""
    known = selector.get_map().get(key.fd)
    return known is not None and known.fileobj == key.fileobj


def _left(deadline):
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _write(descriptor, data):
    """Write all of @data; nothing where nobody reads any more."""
    try:
        while data:
            data = data[os.write(descriptor, data):]
    except (BrokenPipeError, ConnectionResetError):
        pass
