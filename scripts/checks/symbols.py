#!/usr/bin/env python3
"""symbols.py FOLDER...: each folder holds the library's objects of one build. Together they may need four symbols of
the embedder, may define only names of ours, and may hold no writable data."""

import pathlib
import subprocess
import sys

FROM_EMBEDDER = {"memcpy", "memmove", "memset", "memcmp"}
PREFIX = "vmmu_"
WRITABLE = (".data", ".bss", ".tdata", ".tbss", ".sdata", ".sbss", "COMMON")
# Sections of such names that hold constants all the same.
CONSTANT = (".data.rel.ro",)


def lines_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def symbols(objects):
    """Two maps from a symbol to the objects that define it, or need it."""
    defined, needed = {}, {}
    for line in lines_of("nm", "-A", "-g", "-P", *objects):
        where, name, kind = line.split()[:3]
        table = needed if kind in "Uvw" else defined
        table.setdefault(name, []).append(where.rstrip(":"))
    return defined, needed


def writable_sections(objects):
    """Sections with writable content, as (object, section, bytes)."""
    where = ""
    for line in lines_of("size", "-A", *objects):
        words = line.split()
        if line.endswith(":"):
            where = words[0]
        elif len(words) == 3 and words[1].isdigit() and int(words[1]) > 0:
            section = words[0]
            if section.startswith(WRITABLE) and not section.startswith(CONSTANT):
                yield where, section, int(words[1])


def check(folder):
    # Objects of sources that are gone do not count.
    objects = sorted(str(path) for path in pathlib.Path(folder).rglob("*.o")
                     if path.relative_to(folder).with_suffix(".c").exists())
    if not objects:
        return []
    defined, needed = symbols(objects)
    complaints = [f"{name}: needed by {users[0]}, nobody defines it"
                  for name, users in sorted(needed.items()) if name not in defined and name not in FROM_EMBEDDER]
    complaints += [f"{name}: external in {users[0]}, but does not start with {PREFIX}"
                   for name, users in sorted(defined.items()) if not name.startswith(PREFIX)]
    complaints += [f"{name}: defined twice, in {' and '.join(users)}"
                   for name, users in sorted(defined.items()) if len(users) > 1]
    complaints += [f"{where}: {size} bytes of writable data in {section}"
                   for where, section, size in writable_sections(objects)]
    return complaints


def main(folders):
    complaints = [complaint for folder in folders for complaint in check(folder)]
    print("\n".join(complaints))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
