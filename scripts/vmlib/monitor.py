"""The way to a running hypervisor's control port for others: a Unix socket, to which several may connect.

Requests are lines, and each has one answer, a line of JSON or lines of text that end in an empty one; they come in the order of
the requests. So whose an answer is is known without understanding it. What the hypervisor says there, its last report above
all, is kept whether anybody asks or not.
"""

import collections
import contextlib
import os
import selectors
import socket

from .status import refuse

CHUNK = 64 * 1024
# Longer than any request; the hypervisor refuses it as a whole.
LETTERS = 100
# Requests that the hypervisor has not answered yet, of all together: they wait where it listens, which has little room.
AHEAD = 64
# An asker that does not listen gets no more answers than that.
UNHEARD = 1 << 20
# Connections at a time: each is a descriptor of this process, and the machine needs some itself. Others wait at the socket.
ASKERS = 64
# How long one may take for its last answers once the machine has ended.
PATIENCE_SECONDS = 1.0
# How the line begins that tells of the end of one partition among several, whatever has been asked.
UNASKED = b'{"vmmu_ended":'


def _may_become(data, whole):
    return len(data) < len(whole) and whole.startswith(data)


class Asker:
    """Somebody who is connected."""

    def __init__(self, connection):
        self.connection = connection
        self.requests = collections.deque()
        self.answers = b""  # that it has yet to take
        self.speaks = True  # or has said all that it will
        self._line = b""

    def hear(self):
        """Take in what it says. False: it has gone."""
        try:
            data = self.connection.recv(CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.speaks = bool(data)
        *lines, self._line = (self._line + data).split(b"\n")
        self._line = self._line[:CHUNK]
        # One request, one answer: to a blank line there is none, and a strange one may pass for blank.
        lines = [bytes(byte if 0x20 <= byte < 0x7F else 0x3F for byte in line.strip()[:LETTERS]) for line in lines]
        self.requests.extend(line for line in lines if line)
        return True

    def tell(self):
        """Have it take what it can. False: it has gone."""
        try:
            self.answers = self.answers[self.connection.send(self.answers):]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    @property
    def events(self):
        """What is waited for at the connection."""
        reads = self.speaks and len(self.requests) < AHEAD
        return (selectors.EVENT_READ if reads else 0) | (selectors.EVENT_WRITE if self.answers else 0)


class Monitor:
    """The socket at @path. What is asked goes to the hypervisor, and what that says to who asks, and to @record. @memory, a
    descriptor, if there is one, can be opened beside it."""

    def __init__(self, path, record, memory=None):
        self._path = path
        self._link = None if memory is None else f"{path}.memory"
        self._record = open(record, "wb", buffering=0)
        self._selector = None
        self._askers = []
        self._owed = collections.deque()  # who waits for an answer, in the order of the requests
        self._ready = False  # the hypervisor hears requests, which it says by its first line
        self._first = b""  # letter of the line that it is at
        self._begun = b""  # of a line of which it is not known yet whether it is an answer
        self._unasked = False  # it is none: a partition has ended beside others
        self._in_text = False
        self._listener = socket.socket(socket.AF_UNIX)
        try:
            self._listener.bind(str(path))
            if self._link:
                os.symlink(f"/proc/{os.getpid()}/fd/{memory}", self._link)
        except OSError as error:
            self._record.close()
            self._listener.close()
            raise refuse(f"--monitor {path}: {error.strerror or error}") from None
        self._listener.listen()
        self._listener.setblocking(False)

    def attach(self, selector):
        """Have @selector wait for what concerns this one: its keys have "monitor" for data."""
        self._selector = selector
        selector.register(self._listener, selectors.EVENT_READ, "monitor")

    def close(self):
        """Nobody can ask any more, and nothing is left at the path."""
        for path in (self._path, self._link, f"{self._path}.emulator"):
            if path:
                with contextlib.suppress(OSError):  # somebody else has tidied up, which is no matter
                    os.unlink(path)
        for asker in self._askers:
            asker.connection.settimeout(PATIENCE_SECONDS)
            try:
                asker.connection.sendall(asker.answers)
            except OSError:
                pass
            asker.connection.close()
        self._listener.close()
        self._record.close()

    def ready(self, key, events):
        """Something has happened at @key: what is to be sent to the hypervisor."""
        if key.fileobj is self._listener:
            self._accept()
            return b""
        for asker in [asker for asker in self._askers if asker.connection is key.fileobj]:
            if events & selectors.EVENT_READ and not asker.hear():
                self._forget(asker)
        return self._requests()

    def said(self, data):
        """The hypervisor said @data: what is to be sent to it now."""
        self._record.write(data)
        if not self._ready:
            _, end, data = data.partition(b"\n")
            self._ready = bool(end)
        data, self._begun = self._begun + data, b""
        while data:
            end = data.find(b"\n") + 1 or len(data)
            if not self._first and _may_become(data[:end], UNASKED):
                self._begun = data
                break
            self._unasked = self._unasked or not self._first and data.startswith(UNASKED)
            self._first = self._first or data[:1]
            self._give(data[:end])
            if data[end - 1:end] == b"\n":
                self._end_line()
            data = data[end:]
        return self._requests()

    def _accept(self):
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # who wanted to ask has gone already
        connection.setblocking(False)
        self._askers.append(Asker(connection))
        self._watch(self._askers[-1])
        if len(self._askers) == ASKERS:
            self._selector.unregister(self._listener)

    def _watch(self, asker):
        """Have the selector wait for what @asker does next, if that is anything."""
        known = self._selector.get_map().get(asker.connection) is not None
        if known and asker.events:
            self._selector.modify(asker.connection, asker.events, "monitor")
        elif known:
            self._selector.unregister(asker.connection)
        elif asker.events:
            self._selector.register(asker.connection, asker.events, "monitor")

    def _forget(self, asker):
        """It has gone. What it asked will be answered all the same, to nobody."""
        if self._selector.get_map().get(asker.connection) is not None:
            self._selector.unregister(asker.connection)
        asker.connection.close()
        self._askers.remove(asker)
        if len(self._askers) == ASKERS - 1:
            self.attach(self._selector)

    def _attend(self):
        """Tell everybody what there is to be told; let those go who have all that they asked for, and ask no more."""
        for asker in list(self._askers):
            there = not asker.answers or asker.tell()
            served = not (asker.speaks or asker.requests or asker.answers or asker in self._owed)
            if served or not there:
                self._forget(asker)
            else:
                self._watch(asker)

    def _requests(self):
        """As many requests as may be under way, of all askers in turn."""
        lines = []
        waiting = collections.deque(self._askers if self._ready else ())
        while waiting and len(self._owed) < AHEAD:
            asker = waiting.popleft()
            if asker.requests and len(asker.answers) < UNHEARD:
                lines.append(asker.requests.popleft() + b"\n")
                self._owed.append(asker)
                waiting.append(asker)
        self._attend()
        return b"".join(lines)

    def _give(self, data):
        """To whose answer it is; what nobody asked for, a partition's end, to all."""
        for asker in [self._owed[0]] if self._owed and not self._unasked else self._askers:
            if asker in self._askers:
                asker.answers += data

    def _end_line(self):
        if self._unasked:
            self._first, self._unasked = b"", False
            return
        ends = self._first == (b"\n" if self._in_text else b"{")
        self._in_text = not ends and (self._in_text or self._first != b"\n")
        self._first = b""
        if ends and self._owed:
            self._owed.popleft()
