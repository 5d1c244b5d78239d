"""The way to a running hypervisor's control port for somebody else: a Unix socket, one asker at a time.

What the hypervisor says there, its last report above all, is kept whether anybody asks or not.
"""

import os
import socket

from .status import refuse


class Monitor:
    """The socket at @path. What is asked goes to the hypervisor, and what that says to who asks, and to @record."""

    def __init__(self, path, record):
        self._path = path
        self._record = open(record, "wb", buffering=0)
        self._asker = None
        self.listener = socket.socket(socket.AF_UNIX)
        try:
            self.listener.bind(str(path))
        except OSError as error:
            self._record.close()
            self.listener.close()
            raise refuse(f"--monitor {path}: {error.strerror or error}") from None
        self.listener.listen(1)

    def close(self):
        """Nobody can ask any more, and nothing is left at the path."""
        os.unlink(self._path)
        self.hang_up()
        self.listener.close()
        self._record.close()

    def accept(self):
        """Somebody wants to ask, and takes the place of who asked before: the descriptor of the connection."""
        self.hang_up()
        self._asker, _ = self.listener.accept()
        return self._asker.fileno()

    def hang_up(self):
        """Who asked has gone, or has to."""
        if self._asker:
            self._asker.close()
            self._asker = None

    @property
    def asker(self):
        """The descriptor of who asks, or None."""
        return self._asker.fileno() if self._asker else None

    def said(self, data):
        """The hypervisor said @data."""
        self._record.write(data)
        if self._asker:
            try:
                self._asker.sendall(data)
            except OSError:
                pass  # who asked does not wait for the answer
