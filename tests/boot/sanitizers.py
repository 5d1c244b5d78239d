"""Where a program with sanitizers runs: what they complain of ends it with a status that no program of ours has."""

import os

STATUS = 99
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": f"exitcode={STATUS}", "UBSAN_OPTIONS": f"exitcode={STATUS}"}
