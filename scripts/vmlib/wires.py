"""What the serial ports of an emulated machine lead to: pipes, a socket, or the standard streams."""

import os
import socket


class Wires:
    """The lines of one run, by the names of their ports. Use it in a with statement: it leaves nothing open."""

    def __init__(self):
        self.readers = {}  # port: the descriptor that what it says is read from
        self.listeners = {}  # port: the socket to which the emulator will connect
        self.writers = {}  # port: the descriptor that takes what is said to it
        self.inherited = []  # the emulator's ends
        self.memory = None  # the descriptor of the machine's memory, if it is a file that others may look at
        self._sockets = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.let_go()
        for descriptor in [*self.readers.values(), *([] if self.memory is None else [self.memory])]:
            os.close(descriptor)
        for opened in [*self.listeners.values(), *self._sockets]:
            opened.close()

    def pipe(self, port):
        """A line that only the machine speaks on; the name of the emulator's end, which it opens like a file."""
        reader, writer = os.pipe()
        self.readers[port] = reader
        self.inherited.append(writer)
        return f"/dev/fd/{writer}"

    def listen(self, port):
        """A line that both speak on; the number of a TCP port of this machine's own, to which the emulator connects."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self.listeners[port] = listener
        return listener.getsockname()[1]

    def share_memory(self):
        """Memory for the machine, which shows in a file of no place; the name of that file, which the emulator opens."""
        self.memory = os.memfd_create("machine")
        self.inherited.append(os.dup(self.memory))
        return f"/dev/fd/{self.inherited[-1]}"

    def let_go(self):
        """Close the emulator's ends, which it has by now: its own end then ends the lines."""
        while self.inherited:
            os.close(self.inherited.pop())

    def any_of(self, ports):
        """Whether one of @ports is a line to the emulator that stands, which its end would have closed."""
        return any(port in self.readers or port in self.writers for port in ports)

    def accept(self, port):
        """The emulator has connected to @port: the descriptor of the line. Nobody else can connect from now on."""
        listener = self.listeners.pop(port)
        connection, _ = listener.accept()
        listener.close()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets.append(connection)
        self.writers[port] = connection.fileno()
        return connection.fileno()
