"""scripts/vm on a pseudo-terminal, as a person uses it."""

import contextlib
import os
import pty
import select
import signal
import subprocess
import termios
import time

import front
from tap import expect


class Terminal:
    """A pseudo-terminal with scripts/vm on it, run with @words."""

    def __init__(self, *words):
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (33, 101))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen([front.VM, *(str(word) for word in words)], stdin=slave, stdout=slave,
                                        stderr=subprocess.PIPE, start_new_session=True)
        self.seen = b""

    def type(self, text):
        """Type @text, as a person does: what was seen before no longer counts."""
        self.seen = b""
        os.write(self.master, text.encode())

    def wait(self, wanted, seconds=front.BOOT_SECONDS):
        """Read until @wanted is seen, which may take @seconds on the quickest host."""
        seconds = front.seconds(seconds)
        deadline = time.monotonic() + seconds
        while wanted not in self.seen:
            over = self.process.poll() is not None or time.monotonic() > deadline
            if select.select([self.master], [], [], 0.2)[0]:
                self.seen += os.read(self.master, 4096)
            else:
                expect(not over, f"no {wanted!r} in {seconds} s, or before the end: {self.seen[-1500:]!r}")
        return self.seen.decode("utf-8", "replace")

    def end(self, seconds=60):
        """The exit status of scripts/vm, once it is over."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 4096)
        expect(self.process.poll() is not None, f"still running after {seconds} s: {self.seen[-500:]!r}")
        return self.process.returncode


@contextlib.contextmanager
def terminal(*words):
    """A Terminal that leaves nothing behind."""
    opened = Terminal(*words)
    try:
        yield opened
    finally:
        if opened.process.poll() is None:
            os.killpg(opened.process.pid, signal.SIGTERM)
            opened.process.wait(10)
        opened.process.stderr.close()
        os.close(opened.master)
        os.close(opened.slave)
