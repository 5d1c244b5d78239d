"""A running QEMU's monitor: QMP over a Unix socket, and through it the monitor that people use.

Requests that belong together are sent together, and their answers read in order: ten thousand take a second or two.
"""

import json


class MonitorError(Exception):
    """QEMU refused, or is gone."""


class Monitor:
    """The monitor of the QEMU that connects to @listener, a listening socket. Close it when done."""

    # So many requests are on their way at a time: more would fill the buffers of both ends, each waiting for the other.
    WINDOW = 64

    def __init__(self, listener, seconds):
        listener.settimeout(seconds)
        self._connection, _ = listener.accept()
        self._connection.settimeout(seconds)
        self._lines = self._connection.makefile("rb")
        self._answer("greeting")
        self.execute("qmp_capabilities")

    def close(self):
        """Let go of the monitor; the machine runs on."""
        self._lines.close()
        self._connection.close()

    def execute(self, command, **arguments):
        """One QMP command; what it returns."""
        return self._execute_all([(command, arguments)])[0]

    def ask(self, line, processor=0):
        """What the people's monitor says to @line, with @processor for the one that it is about."""
        return self.ask_all([line], processor)[0]

    def ask_all(self, lines, processor=0):
        """The same for each of @lines, quickly."""
        return self._execute_all([("human-monitor-command", {"command-line": line, "cpu-index": processor})
                                  for line in lines])

    def _execute_all(self, requests):
        answers = []
        for at in range(0, len(requests), self.WINDOW):
            window = requests[at:at + self.WINDOW]
            self._connection.sendall(b"".join(
                json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n" for command, arguments in window))
            answers += [self._answer(command) for command, _ in window]
        return answers

    def _answer(self, what):
        """The next answer; events that come between are not wanted."""
        while True:
            line = self._lines.readline()
            if not line:
                raise MonitorError(f"{what}: the emulator is gone")
            document = json.loads(line)
            if "error" in document:
                raise MonitorError(f"{what}: {document['error'].get('desc')}")
            if "return" in document:
                return document["return"]
            if "QMP" in document:
                return document
