"""Progress lines on standard error, for everything that may take more than a few seconds."""

import sys

_enabled = True


def silence():
    """Say nothing more (option --quiet)."""
    global _enabled
    _enabled = False


def say(sentence):
    """One line of progress."""
    if _enabled:
        sys.stderr.write(f"vm: {sentence}\n")
        sys.stderr.flush()


def warn(sentence):
    """One line that --quiet does not hide."""
    sys.stderr.write(f"vm: {sentence}\n")
    sys.stderr.flush()
