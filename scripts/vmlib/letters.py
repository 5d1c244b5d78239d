"""One serial port that speaks for several: lines of JSON, of which some carry what another port says.

    {"vmmu_channel": 1, "bytes": "68656c6c6f0a"}      the command's output (2: its errors), in hexadecimal
    {"vmmu_leave": 0}                                 the machine ends with this status

The hypervisor speaks so where its machine lacks ports, and so does a guest on such a machine without the hypervisor.
"""

import json

PORTS = {1: "output", 2: "errors"}
# Longer than any line of either kind.
LONGEST = 1 << 16


class Letters:
    """What such a port has said so far."""

    def __init__(self):
        self.left = None  # the status with which the machine said that it ends
        self._begun = b""

    def take(self, data):
        """Hear @data. What is nothing of the kind, in whole lines, and a list of (port, bytes) for the other ports."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        rest, said = b"", []
        for line in lines:
            letter = _letter(line)
            if letter is None:
                rest += line + b"\n"
            elif "vmmu_leave" in letter:
                self.left = letter["vmmu_leave"]
            else:
                said.append((PORTS[letter["vmmu_channel"]], bytes.fromhex(letter["bytes"])))
        if len(self._begun) > LONGEST:
            rest, self._begun = rest + self._begun, b""
        return rest, said

    def end(self):
        """Nothing more comes: what there is of a last line."""
        rest, self._begun = self._begun, b""
        return rest


def _letter(line):
    """The letter that @line is, or None."""
    if not line.startswith((b'{"vmmu_channel"', b'{"vmmu_leave"')):
        return None
    try:
        letter = json.loads(line)
        if "vmmu_leave" in letter:
            return letter if isinstance(letter["vmmu_leave"], int) and 0 <= letter["vmmu_leave"] < 1 << 32 else None
        bytes.fromhex(letter["bytes"])
        return letter if letter["vmmu_channel"] in PORTS else None
    except (ValueError, KeyError, TypeError):
        return None
