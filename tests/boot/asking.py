"""What asks a running hypervisor on its control port."""

import json
import socket
import time

import front
from tap import expect, expect_equal

ANSWER_SECONDS = 60


class Monitor:
    """The control port of a machine that runs."""

    def __init__(self, path):
        self.port = socket.socket(socket.AF_UNIX)
        self.port.settimeout(ANSWER_SECONDS)
        self.port.connect(path)
        self.said = b""

    def until(self, end):
        """What it says up to and with @end."""
        while end not in self.said:
            more = self.port.recv(65536)
            expect(more, f"the control port is closed after {self.said!r}")
            self.said += more
        text, self.said = self.said.split(end, 1)
        return text.decode()

    def ask(self, request, end=b"\n\n"):
        """What it answers to @request."""
        self.port.sendall(request.encode() + b"\n")
        return self.until(end)

    def state(self):
        """The state document of the only partition; what it says of the whole is checked."""
        document = json.loads(self.ask("state", b"\n"))
        expect_equal(document["vmmu_state"], 1, "version of the document")
        expect_equal(len(document["partitions"]), 1, "partitions")
        return document["partitions"][0]

    def held(self, seconds=ANSWER_SECONDS):
        """The same, once the partition is held, as it asks for."""
        deadline = time.monotonic() + front.seconds(seconds)
        while not json.loads(self.ask("counters", b"\n"))["held"]:
            expect(time.monotonic() < deadline, "the guest never asked to be stopped")
            time.sleep(0.1)
        return self.state()

    def read(self, address, count):
        """Bytes of the machine's memory, or None."""
        answer = self.ask(f"read {address:x} {count}")
        return None if answer == "absent" else bytes(count) if answer == "zero" else bytes.fromhex(answer)
