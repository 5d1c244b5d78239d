"""The bare-metal test guests (tests/guests): each, natively and in a partition, says the same of its processor.

What a guest reports is judged twice: by the guest, against the manuals, and here, against the same guest on the
emulated machine without the hypervisor.
"""

import re

import front
from tap import cases, expect, expect_equal, shared
from vmlib import hosts, status

IMAGES = front.TREE / "build" / "tests" / "guests"
SKIP = re.compile(r"#\s*skip\b", re.IGNORECASE)
CASE = re.compile(r"^(ok|not ok)\b[ \t]*\d*[ \t]*-?[ \t]*(.*?)\s*$", re.MULTILINE)


def manifest():
    """Lines of the manifest: the image's name, and what the run needs or expects."""
    path = IMAGES / "manifest"
    return [line for line in path.read_text(encoding="ascii").splitlines() if line] if path.exists() else []


@shared
def report(line, technique):
    """How the guest of this line of the manifest ended under @technique, and its cases as (verdict, name).

    A case that the guest skips, and says so, has the verdict skip.
    """
    name, *tags = line.split()
    words = ["--kernel", IMAGES / f"{name}.elf", "--protocol", "multiboot", "--memory", "256M", "--timeout", "200"]
    words += ["--la57"] if "la57" in tags else []
    ended = front.vm("boot", "--mmu", technique, "-q", *words)
    seen = [("skip", name[:SKIP.search(name).start()].strip()) if SKIP.search(name) else (verdict, name)
            for verdict, name in CASE.findall(ended.out.replace("\r", ""))]
    return ended, seen


def expected_status(line):
    """The exit status that the manifest asks for."""
    return status.GUEST_DIED if "triple-fault" in line else 1


@cases("guest {} ends as it should", manifest() or ["(no manifest: make guests)"])
def _(line):
    expect((IMAGES / "manifest").exists(), "the test guests are not built: make guests")
    ended, seen = report(line, front.mmu)
    failed = [name for verdict, name in seen if verdict == "not ok"]
    expect_equal(failed, [], "failed cases")
    expect_equal(ended.status, expected_status(line), f"exit status ({ended})")
    expect(seen or "triple-fault" in line, f"the guest reported no case: {ended}")


@cases("guest {} says the same in a partition as natively", [] if front.mmu == hosts.NATIVE else manifest())
def _(line):
    _, native = report(line, hosts.NATIVE)
    _, ours = report(line, front.mmu)
    skipped = {name for verdict, name in native + ours if verdict == "skip"}
    native, ours = ([entry for entry in seen if entry[1] not in skipped] for seen in (native, ours))
    differing = sorted(set(native) ^ set(ours))
    expect(not differing, f"only in one of the two: {differing[:10]}")
    expect_equal(len(ours), len(native), "cases")
