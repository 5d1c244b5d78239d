"""The way to a running hypervisor's control port for somebody else: a Unix socket, one asker at a time.

What the hypervisor says there, its last report above all, is kept whether anybody asks or not.
"""

import os
import socket

from .status import refuse


class Monitor:
    """The socket at @path. What is asked goes to the hypervisor, and what that says to who asks, and to @record. @memory, a
    descriptor, if there is one, can be opened beside it."""

    def __init__(self, path, record, memory=None):
        self._path = path
        self._link = None if memory is None else f"{path}.memory"
        self._record = open(record, "wb", buffering=0)
        self._asker = None
        self._ready = False  # the hypervisor hears requests, which it says by its first line
        self._early = b""  # what was asked before
        self.listener = socket.socket(socket.AF_UNIX)
        try:
            self.listener.bind(str(path))
            if self._link:
                os.symlink(f"/proc/{os.getpid()}/fd/{memory}", self._link)
        except OSError as error:
            self._record.close()
            self.listener.close()
            raise refuse(f"--monitor {path}: {error.strerror or error}") from None
        self.listener.listen(1)

    def close(self):
        """Nobody can ask any more, and nothing is left at the path."""
        for path in (self._path, self._link):
            if path:
                os.unlink(path)
        self.hang_up()
        self.listener.close()
        self._record.close()

    def accept(self):
        """Somebody wants to ask, and takes the place of who asked before: the descriptor of the connection."""
        self.hang_up()
        self._asker, _ = self.listener.accept()
        return self._asker.fileno()

    def asked(self, data):
        """Somebody asks @data: what of it is to be sent now."""
        if self._ready:
            return data
        self._early += data
        return b""

    def hang_up(self):
        """Who asked has gone, or has to."""
        self._early = b""
        if self._asker:
            self._asker.close()
            self._asker = None

    @property
    def asker(self):
        """The descriptor of who asks, or None."""
        return self._asker.fileno() if self._asker else None

    def said(self, data):
        """The hypervisor said @data: what is to be sent now that was asked too early."""
        self._record.write(data)
        early = b""
        if not self._ready:
            _, end, data = data.partition(b"\n")
            if end:
                self._ready, early, self._early = True, self._early, b""
        if self._asker:
            try:
                self._asker.sendall(data)
            except OSError:
                pass  # who asked does not wait for the answer
        return early
