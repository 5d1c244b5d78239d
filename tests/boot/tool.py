"""The tool, with sanitizers, on a machine that runs."""

import subprocess

import front
from sanitizers import ENVIRONMENT
from tap import expect_equal

TOOL = str(front.TREE / "build" / "san" / "vmmu")
TOOL_SECONDS = 120


def tool(*words, status=0):
    """What vmmu says with @words, which must end with @status: (output, errors)."""
    ended = subprocess.run([TOOL, *(str(word) for word in words)], stdin=subprocess.DEVNULL, capture_output=True, check=False,
                           env=ENVIRONMENT, timeout=front.seconds(TOOL_SECONDS))
    out, err = ended.stdout.decode(), ended.stderr.decode()
    expect_equal(ended.returncode, status, f"status of vmmu {' '.join(map(str, words))} ({out[-500:]!r}, {err[-1500:]!r})")
    return out, err
