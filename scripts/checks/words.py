#!/usr/bin/env python3
"""words.py <LIST-OF-FILES: words that are no business of this tree: names of writing aids, and paths of our machines.

The words are kept as hashes, so that the list itself does not hold them. `words.py --hash WORD` gives one.
"""

import hashlib
import re
import sys

HASHES = set("""
c857d09db23e6822 c70eca6b0f88f44d 60965168ce762e94 7d3194f79e645c42 3ea125d0bff386e6 57de4cf40144bdf7
487b91042c7cf27a de2187af3fb01170 94a168d2da574b00 d298391b07433318
""".split())
PLACES = re.compile(r"[/]work[/](shared|main|home)\b|[/]tmp[/](brief|issue)|[.][.][/]shared[/]|[/]home[/]\w+")
WORD = re.compile(r"[A-Za-z]+")


def digest(word):
    return hashlib.sha256(word.lower().encode()).hexdigest()[:16]


def complaints(name):
    with open(name, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if PLACES.search(line):
                yield f"{name}:{number}: a path of one machine"
            for word in WORD.findall(line):
                if digest(word) in HASHES:
                    yield f"{name}:{number}: '{word}'"


def main():
    if sys.argv[1:2] == ["--hash"]:
        print("\n".join(digest(word) for word in sys.argv[2:]))
        return 0
    found = []
    for name in sys.stdin.read().split("\n"):
        try:
            found += complaints(name) if name else []
        except FileNotFoundError:
            continue
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
