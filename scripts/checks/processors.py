#!/usr/bin/env python3
"""processors.py FILE...: nothing is compiled for one processor alone but in hv/x86 and hv/ppc: the build chooses files, no condition does.

What an order of bytes decides, and what the assembler may see of a header, is no processor's.
"""

import re
import sys

OWN = ("hv/x86/", "hv/ppc/")
CONDITION = re.compile(r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b(.*)$")
GUARD = re.compile(r"^\s*#\s*ifndef\s+\w+_H$")
PROCESSOR = re.compile(
    r"x86|i[3-6]86|amd64|x64|ppc|powerpc|e500|spe__|_arch_|aarch|__arm|riscv|mips|s390|sparc|lp64|ilp32", re.IGNORECASE)


def conditions(name):
    """Each condition as (line number, text), with the lines that a backslash joins to it."""
    with open(name, encoding="utf-8") as file:
        lines = file.read().split("\n")
    for number, line in enumerate(lines, 1):
        behind = number
        while line.endswith("\\") and behind < len(lines):
            line = line[:-1] + lines[behind]
            behind += 1
        found = CONDITION.match(line)
        if found and not GUARD.match(line):
            yield number, found.group(1)


def main(names):
    found = [f"{name}:{number}: a condition on a processor:{text}"
             for name in names if not name.startswith(OWN)
             for number, text in conditions(name) if PROCESSOR.search(text)]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
