"""Boot loaders that take commands at a prompt: what types into one, and what reads the answers."""

import os
import re
import selectors

from . import status

# Whatever ends it: behind the last line, the machine is switched off.
LAST = b"poweroff"
# How a loader with a shell of the Bourne kind tells how the last command ended.
ASK_STATUS = b"echo status=$?"
CHUNK = 4096


class Typist:
    """Types the lines of @lines, an iterator, one at each prompt, and LAST behind them; None stands for none yet."""

    def __init__(self, prompt, lines):
        self._prompt = prompt
        self._lines = lines
        self._seen = b""
        self._ended = False

    def hear(self, data):
        """The console said @data."""
        self._seen = (self._seen + data)[-len(self._prompt):]

    def type(self, target):
        """Type a line, if there is a prompt for it and one to type. Never waits."""
        if self._ended or self._seen != self._prompt:
            return
        line = next(self._lines, LAST)
        if line is None:
            return
        self._seen, self._ended = b"", line == LAST
        try:
            os.write(target, line + b"\r")
        except (BrokenPipeError, ConnectionResetError):
            self._ended = True


def lines_of(descriptor):
    """The lines that @descriptor gives, None wherever the next one is not there yet."""
    begun, ended = b"", False
    while not ended:
        if not _readable(descriptor):
            yield None
            continue
        data = os.read(descriptor, CHUNK)
        ended = not data
        *lines, begun = (begun + data).split(b"\n")
        yield from lines
    if begun:
        yield begun


def answer(console, prompt, command):
    """What @console, all that a console said, holds of the answer to @command, and the status that was asked for behind it."""
    text = console.replace(b"\r", b"")
    begun = text.find(prompt + command + b"\n")
    asked = text.find(prompt + ASK_STATUS + b"\n", begun)
    told = re.match(rb"status=([0-9]+)\n", text[asked + len(prompt + ASK_STATUS) + 1:]) if begun >= 0 <= asked else None
    if not told:
        return text[begun + len(prompt + command) + 1:] if begun >= 0 else b"", None
    return text[begun + len(prompt + command) + 1:asked], int(told[1])


def line_of(command):
    """The words of @command as one line."""
    line = " ".join(command).encode()
    if b"\n" in line or b"\r" in line:
        raise status.refuse("a boot loader takes one line")
    return line


def _readable(descriptor):
    with selectors.DefaultSelector() as selector:
        try:
            selector.register(descriptor, selectors.EVENT_READ)
        except PermissionError:
            return True  # a plain file: always ready, and unknown to epoll
        return bool(selector.select(0))
