"""scripts/vm as the cases use it."""

import dataclasses
import os
import pathlib
import subprocess
import tempfile

from tap import Failed

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
VM = str(TREE / "scripts" / "vm")
# A boot takes ten to twenty seconds of one processor; a machine that is busy otherwise may need many times that.
BOOT_SECONDS = 300

# The technique under test; the suite's --mmu none checks the cases themselves, without the hypervisor.
mmu = "nested"


@dataclasses.dataclass
class Ended:
    """How scripts/vm ended."""

    status: int
    out: str
    err: str

    def __str__(self):
        return f"status {self.status}, output {self.out[-1500:]!r}, errors {self.err[-1500:]!r}"


def vm(*words, stdin=None, seconds=BOOT_SECONDS):
    """Run scripts/vm with @words to its end."""
    words = [str(word) for word in words]
    try:
        ended = subprocess.run([VM, *words], input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"scripts/vm {' '.join(words)}: not over after {seconds} s") from None
    return Ended(ended.returncode, ended.stdout.decode("utf-8", "replace"), ended.stderr.decode("utf-8", "replace"))


def run(*words):
    """scripts/vm run with the technique under test. @words: options, --, and the command."""
    return vm("run", "--mmu", mmu, "-q", *words)


def boot(*words):
    """scripts/vm boot with the technique under test."""
    return vm("boot", "--mmu", mmu, "-q", *words)


def scratch():
    """A folder for one case; use it in a with statement."""
    parent = TREE / "build" / "test"
    os.makedirs(parent, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=parent, prefix="case-")
