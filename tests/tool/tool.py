"""The tool under test, as the cases run it."""

import dataclasses
import json
import resource
import subprocess
import tempfile

from sanitizers import ENVIRONMENT
from tap import Failed, expect
from vmlib import places

# Where the tool was built; and whether there is time for more.
build = places.BUILD
long = False
# It, and the same with the sanitizers of addresses and undefined behaviour.
PLAIN, SANITIZED = "vmmu", "san/vmmu"
SECONDS = 120

OK, NO, USAGE, INPUT = 0, 1, 2, 3


@dataclasses.dataclass
class Ended:
    """How a run of vmmu ended."""

    words: list
    status: int
    out: str
    err: str

    def __str__(self):
        return f"vmmu {' '.join(self.words)}: status {self.status}, output {self.out[-600:]!r}, errors {self.err[-600:]!r}"


def run(*words, program=PLAIN, limits=None):
    """Run vmmu with @words; @limits are its own, by resource.RLIMIT_*."""
    words = [str(word) for word in words]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        ended = subprocess.run(["timeout", str(SECONDS), str(build / program), *words], stdin=subprocess.DEVNULL, stdout=out,
                               stderr=err, env=ENVIRONMENT, preexec_fn=_limiter(limits or {}), check=False)
        out.seek(0)
        err.seek(0)
        return Ended(words, ended.returncode, out.read(), err.read())


def _limiter(limits):
    def limit():
        for which, value in limits.items():
            resource.setrlimit(which, (value, value))
    return limit


def answer(*words):
    """What vmmu with @words, which must succeed, says as JSON."""
    ended = run(*words, "--json")
    expect(ended.status == OK, str(ended))
    try:
        return json.loads(ended.out)
    except ValueError as error:
        raise Failed(f"{error}: {ended}") from None
