"""scripts/vm as the cases use it."""

import dataclasses
import os
import pathlib
import subprocess
import tempfile

import entries
from tap import Failed, Skipped
from vmlib import hosts

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
VM = str(TREE / "scripts" / "vm")
# A boot takes ten to thirty seconds of one processor; a machine that is busy otherwise may need many times that.
BOOT_SECONDS = 300

# The host under test, its processor if it is not the usual one, and the technique; the suite's --mmu none checks the cases
# themselves, without the hypervisor.
host = "amd"
cpu = None
mmu = "nested"


def seconds(least=BOOT_SECONDS):
    """How long one run may take that takes @least on the quickest host."""
    return least * (4 if hosts.HOSTS[host].slow else 1)


def place(technique=None):
    """The words of scripts/vm that say where: the host under test, with @technique in place of the usual one."""
    return ["--host", host, *(["--cpu", cpu] if cpu else []), "--mmu", technique or mmu]


def five_levels():
    """Skip where no processor has five-level paging."""
    if not hosts.HOSTS[host].five_levels:
        raise Skipped(f"no processor of host {host} has five-level paging")


@dataclasses.dataclass
class Ended:
    """How scripts/vm ended."""

    status: int
    out: str
    err: str

    def __str__(self):
        return f"status {self.status}, output {self.out[-1500:]!r}, errors {self.err[-1500:]!r}"


def vm(*words, stdin=None, limit=BOOT_SECONDS):
    """Run scripts/vm with @words to its end, which may take @limit seconds on the quickest host. Entries into guests are
    judged where they can be recorded."""
    with scratch() as folder:
        record = pathlib.Path(folder) / "entries"
        ended = _vm(_recording(words, record), stdin, limit)
        complaint = entries.complaint(record)
    if complaint:
        raise Failed(f"scripts/vm {' '.join(str(word) for word in words)}: {complaint}")
    return ended


def _recording(words, record):
    """The words of scripts/vm, which begin with the job, with more that have entries recorded where that can be."""
    words = [str(word) for word in words]
    hosts_named = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "--host"]
    if not hosts_named or words[0] not in ("run", "boot", "shell") or "--record-entries" in words:
        return words
    return words[:1] + entries.words(hosts_named[0], record) + words[1:]


def _vm(words, stdin, limit):
    limit = seconds(limit)
    try:
        ended = subprocess.run([VM, *words], input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"scripts/vm {' '.join(words)}: not over after {limit} s") from None
    return Ended(ended.returncode, ended.stdout.decode("utf-8", "replace"), ended.stderr.decode("utf-8", "replace"))


def run(*words):
    """scripts/vm run with the technique under test. @words: options, --, and the command."""
    return vm("run", *place(), "-q", *words)


def boot(*words):
    """scripts/vm boot with the technique under test."""
    return vm("boot", *place(), "-q", *words)


def scratch():
    """A folder for one case; use it in a with statement."""
    parent = TREE / "build" / "test"
    os.makedirs(parent, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=parent, prefix="case-")
