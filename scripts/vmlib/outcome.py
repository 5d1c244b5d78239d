"""How a machine ended, whichever machine it was, and what that means as an exit status."""

import dataclasses
import json

from . import status

# The emulator's exit statuses when the hypervisor leaves by isa-debug-exit with 0, 1, 2, 3.
ORDERLY, CONFIGURATION_REFUSED, PARTITION_STOPPED, HYPERVISOR_PANIC = 1, 3, 5, 7

# By its own command, or Ctrl-A x: the hypervisor never powers its machine off, where it can leave with a status.
LEFT = 0
# The machine ended as if somebody had told it to, but nobody had: no exit status of a process.
SILENT = 256

PANIC_WORDS = b"Kernel panic - not syncing"


@dataclasses.dataclass
class Outcome:
    """kind: debug-exit, power-off, reset, stopped, refused, left (by the user), host-died, or, of one partition among several,
    running; value: of debug-exit."""

    kind: str
    value: int = 0
    message: str = ""
    document: dict = None  # the hypervisor's, where there is one
    others: dict = dataclasses.field(default_factory=dict)  # how the partitions but the first ended, by their index

    @property
    def good(self):
        """Whether nothing went wrong, as far as the guest itself tells."""
        return self.kind in ("power-off", "reset") or self.kind == "debug-exit" and self.value == 0

    def __str__(self):
        said = f" {self.value}" if self.kind == "debug-exit" else f": {self.message}" if self.message else ""
        return self.kind + said


def by_word(left):
    """As the emulator's exit status would be: of a hypervisor that said that it leaves with @left, and powered its machine off;
    None: it said nothing."""
    return SILENT if left is None else left << 1 | 1


def last_document(text):
    """The last of the hypervisor's documents in what its control channel carried, or None."""
    for line in reversed(text.splitlines()):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict) and "vmmu" in document:
            return document
    return None


def ended_documents(text):
    """The last report of each partition that ended beside others, by its index."""
    documents = {}
    for line in text.splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict) and isinstance(document.get("vmmu_ended"), int):
            documents[document["vmmu_ended"]] = document.get("report")
    return documents


def of_partitions(exit_status, control, triple_fault, complaint, count):
    """The outcome of the first of @count partitions, with that of the others; as of_hypervisor()."""
    if count == 1:
        return of_hypervisor(exit_status, control, triple_fault, complaint)
    documents = ended_documents(control)
    refused = last_document(control) if exit_status == CONFIGURATION_REFUSED else None
    first = _of_document(documents.get(0) or refused, exit_status, triple_fault, complaint)
    for index in range(1, count):
        known = documents.get(index)
        first.others[index] = _report(known) if known else Outcome("running", message="when the machine ended")
    return first


def of_hypervisor(exit_status, control, triple_fault, complaint):
    """The outcome of a partition: from the emulator's exit status, the control channel, whether the machine (no guest of the
    hypervisor's) had a triple fault, and the emulator's own words."""
    return _of_document(last_document(control), exit_status, triple_fault, complaint)


def _of_document(document, exit_status, triple_fault, complaint):
    if complaint:
        return Outcome("host-died", message=complaint, document=document)
    if triple_fault:
        return Outcome("host-died", message="the hypervisor died of a triple fault", document=document)
    if exit_status == LEFT:
        return Outcome("left", message="the emulator was told to end", document=document)
    if exit_status == HYPERVISOR_PANIC:
        return Outcome("host-died", message="the hypervisor panicked", document=document)
    if exit_status not in (ORDERLY, CONFIGURATION_REFUSED, PARTITION_STOPPED):
        return Outcome("host-died", message=f"the emulated machine ended without a word ({_exit_name(exit_status)})",
                       document=document)
    return _report(document)


def _report(document):
    report = document.get("outcome") if isinstance(document, dict) else None
    if not isinstance(report, dict) or "kind" not in report:
        return Outcome("host-died", message="the hypervisor left no report of the partition", document=document)
    kind, message = str(report["kind"]), str(report.get("message", ""))
    value = report.get("value", 0)
    return Outcome(kind, value if isinstance(value, int) else 0, message, document)


def of_native(exit_status, recorded, triple_fault, complaint):
    """The outcome of a machine without the hypervisor. @recorded: bytes that the debug-exit port took, if it records."""
    if complaint:
        return Outcome("host-died", message=complaint)
    if exit_status < 0:
        return Outcome("host-died", message=f"the emulator ended by {_exit_name(exit_status)}")
    if recorded:
        return Outcome("debug-exit", recorded[0])
    if exit_status & 1:
        return Outcome("debug-exit", exit_status >> 1)
    if triple_fault:
        return Outcome("stopped", message="triple fault")
    return Outcome("power-off")


def _exit_name(exit_status):
    if exit_status == SILENT:
        return "switched off or reset"
    return f"signal {-exit_status}" if exit_status < 0 else f"exit status {exit_status}"


def command_value(value):
    """@value, which a guest wrote to its debug-exit port, as the exit status of a command."""
    return value & 0xFF


def image_value(value):
    """The same as the emulator's own device gives it."""
    return (value << 1 | 1) & 0xFF


def command_status(outcome, console):
    """Exit status of `vm run`: the command's own, or a Failure that says why there is none."""
    if outcome.kind == "debug-exit":
        return command_value(outcome.value)
    _raise_if_broken(outcome, console)
    raise status.Failure(status.NO_STATUS, f"the guest ended ({outcome.kind}) before the command gave a status")


def together(own, ended, form):
    """The exit status of a run of several partitions, the first of which comes to @own; @form makes a status of a value. If that
    one is well and another is not, the first such one's counts."""
    if not ended.good:
        return own
    for index, other in sorted(ended.others.items()):
        if other.kind == "stopped":
            raise status.Failure(status.GUEST_DIED, f"the guest of partition {index} died: {other.message}")
        if other.kind == "host-died":
            raise status.Failure(status.HOST_DIED, f"partition {index}: {other.message}")
        if not other.good and other.kind == "debug-exit":
            return form(other.value)
    return own


def shell_status(outcome, console):
    """Exit status of `vm shell`: leaving it, one way or another, is success."""
    _raise_if_broken(outcome, console)
    return outcome.value & 0xFF if outcome.kind == "debug-exit" else 0


def image_status(outcome):
    """Exit status of `vm boot`: as the emulator's own debug-exit device gives it; 0 for a power-off, a reset or Ctrl-A x."""
    if outcome.kind == "debug-exit":
        return image_value(outcome.value)
    _raise_if_broken(outcome, b"")
    return 0


def _raise_if_broken(outcome, console):
    if outcome.kind == "refused":
        raise status.refuse(f"the hypervisor refused: {outcome.message}")
    if outcome.kind == "host-died":
        raise status.Failure(status.HOST_DIED, outcome.message)
    if outcome.kind == "stopped":
        raise status.Failure(status.GUEST_DIED, f"the guest died: {outcome.message or 'no reason given'}")
    if PANIC_WORDS in console:
        raise status.Failure(status.GUEST_DIED, "the guest died: its kernel panicked")
