#!/usr/bin/env python3
"""includes.py FILE...: includes point one way. The two tables below are the law; docs/overview.md draws them."""

import pathlib
import re
import sys

# The library: a room may include itself, and the rooms named here.
X86_BASE = {"base", "format", "mode"}
LIBRARY = {
    "base": set(),
    "tlb": {"base"},
    "format": {"base"},
    "mode": {"base", "format"},
    "insn": X86_BASE,
    "task": X86_BASE | {"insn"},
    "invalidate": X86_BASE | {"tlb"},
    "walk": X86_BASE | {"insn", "invalidate"},
    "scan": X86_BASE | {"walk"},
    "table": X86_BASE | {"insn", "invalidate", "walk"},
    "nested": X86_BASE | {"insn", "invalidate", "walk", "table"},
    "shadow": X86_BASE | {"insn", "invalidate", "walk", "table", "tlb"},
    "hyperv": X86_BASE | {"insn", "invalidate", "walk", "table", "nested", "shadow", "tlb"},
    "booke": {"base", "tlb"},
}

# Public headers that are not named after their room.
HEADER_ROOM = {"host": "base", "plan": "base", "flat": "base", "shadow_view": "shadow", "hyperv_policy": "hyperv"}

# The hypervisor: a folder may not include from these.
FORBIDDEN = {
    "hv/boot": ("hv/ppc",),
    "hv/dev": ("hv/x86", "hv/ppc", "hv/vp", "hv/mmu", "hv/monitor", "hv/boot"),
    "hv/guest": ("hv/x86", "hv/ppc", "hv/vp", "hv/mmu", "hv/monitor", "hv/boot"),
    "hv/mmu": ("hv/x86", "hv/ppc"),
    "hv/vp": ("hv/x86", "hv/ppc"),
    "hv/monitor": ("hv/x86", "hv/ppc"),
    "hv/x86/policy": ("hv/x86/svm", "hv/x86/vmx", "hv/ppc", "hv/vp", "hv/mmu", "hv/monitor", "hv/boot"),
    "hv/x86/svm": ("hv/x86/vmx", "hv/ppc"),
    "hv/x86/vmx": ("hv/x86/svm", "hv/ppc"),
    "hv/x86": ("hv/ppc",),
    "hv/ppc": ("hv/x86",),
}

LIBRARY_SYSTEM = {"stdint.h", "stdbool.h", "stddef.h"}
FREESTANDING_SYSTEM = LIBRARY_SYSTEM | {"stdarg.h", "stdatomic.h", "limits.h", "stdalign.h", "stdnoreturn.h"}

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def includes(path):
    """Each include as (line number, path from the tree's root, or the name of a system header)."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = INCLUDE.match(line)
        if found:
            yield number, resolve(path, found.group(1), found.group(2))


def resolve(path, quoted, angled):
    name = quoted or angled
    if quoted and (path.parent / name).exists():
        return normal(path.parent / name)
    for root in (pathlib.Path("include"), pathlib.Path(".")):
        if (root / name).exists():
            return normal(root / name)
    return name


def normal(path):
    return path.resolve().relative_to(pathlib.Path.cwd()).as_posix()


def room_of(name):
    """The library's room that a file belongs to, or None."""
    if name.startswith("include/vmmu/"):
        stem = pathlib.PurePosixPath(name).parts[2].removesuffix(".h")
        return HEADER_ROOM.get(stem, stem)
    parts = name.split("/")
    if parts[0] != "lib":
        return None
    return parts[2] if parts[1] == "x86" else parts[1]


def library_complaint(name, target):
    room, other = room_of(name), room_of(target)
    if room not in LIBRARY:
        return f"'{room}' is no room of the library"
    if other is None:
        return None if target in LIBRARY_SYSTEM else f"the library may not include {target}"
    if name.startswith("include/") and target.startswith("lib/"):
        return f"a public header may not include {target}"
    if other != room and other not in LIBRARY[room]:
        return f"{room} may not include {other} ({target})"
    return None


def hypervisor_complaint(name, target):
    if target.startswith("lib/"):
        return f"sees include/vmmu only, not {target}"
    if not target.startswith(("hv/", "include/vmmu/")):
        return None if target in FREESTANDING_SYSTEM else f"the hypervisor may not include {target}"
    rule = max((folder for folder in FORBIDDEN if name.startswith(folder + "/")), key=len, default=None)
    for folder in FORBIDDEN.get(rule, ()):
        if target.startswith(folder + "/"):
            return f"{rule} may not include {folder} ({target})"
    return None


def tool_complaint(_name, target):
    if target.startswith(("lib/", "hv/", "tests/")):
        return f"sees include/vmmu only, not {target}"
    return None


def guest_complaint(_name, target):
    if target.startswith("tests/guests/") or target in FREESTANDING_SYSTEM:
        return None
    return f"a test guest stands alone, it may not include {target}"


RULES = (("include/", library_complaint), ("lib/", library_complaint), ("hv/", hypervisor_complaint),
         ("tools/", tool_complaint), ("tests/guests/", guest_complaint))


def main(names):
    complaints = []
    for name in names:
        rule = next(rule for folder, rule in RULES if name.startswith(folder))
        for number, target in includes(pathlib.Path(name)):
            complaint = rule(name, target)
            if complaint:
                complaints.append(f"{name}:{number}: {complaint}")
    print("\n".join(complaints))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
