"""Every entry into a guest that a run on host intel makes: recorded, and judged by the model of what a processor checks.

Emulated processors are lenient; what they entered need not be what a processor enters (tests/model/vmx/entry.h).
"""

import pathlib
import subprocess

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
JUDGE = TREE / "build" / "model" / "entries"

# The judge's exit statuses.
GOOD, REFUSED = 0, 1


def words(host, record):
    """The words of scripts/vm that have entries on @host recorded in the file @record."""
    return ["--record-entries", str(record)] if host == "intel" else []


def complaint(record):
    """What is wrong with the entries in the file @record, or None. A machine that entered no guest is not to blame."""
    if not record.exists():
        return None
    judged = subprocess.run([JUDGE, record], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if judged.returncode == GOOD or judged.stdout.startswith("0 entries"):
        return None
    return ("an entry that a processor would refuse: " if judged.returncode == REFUSED else "") + judged.stdout
