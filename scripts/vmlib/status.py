"""How a run ends: the exit statuses of scripts/vm, and the one exception that carries them.

The statuses of the guest's own command and of the debug-exit port share the same numbers, as everywhere in Unix; the
sentence on standard error tells them apart.
"""

NO_STATUS = 123  # the guest powered off or reset before the command's status was known
TIMED_OUT = 124  # --timeout passed
REFUSED = 125  # the command line, or what it asks for, is not possible
GUEST_DIED = 126  # triple fault, impossible state, kernel panic
HOST_DIED = 127  # the hypervisor or the emulator ended out of order


class Failure(Exception):
    """Ends scripts/vm with @status and one sentence on standard error."""

    def __init__(self, status, sentence):
        super().__init__(sentence)
        self.status = status


def refuse(sentence):
    """The failure of a request that cannot be carried out."""
    return Failure(REFUSED, sentence)
