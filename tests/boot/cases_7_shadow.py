"""Shadow paging, whatever technique the suite is run for: each kernel, the least pool, and every table lost at random."""

import json
import os

import front
from tap import Skipped, case, cases, expect, expect_equal, expect_match
from vmlib import status

# By name: the options, a line of the guest's shell, and what it prints.
KERNELS = {
    "debian-amd64": (["--guest", "debian-amd64"], "uname -r; dmesg", r"^6\.1\.0-\d+-amd64$"),
    "debian-amd64 with two address spaces each (pti=on)":
        (["--guest", "debian-amd64", "--append", "pti=on"], "dmesg", r"Kernel/User page tables isolation: enabled"),
    "debian-amd64 with five-level paging": (["--la57"], "grep -o -m1 -w la57 /proc/cpuinfo", r"^la57$"),
    "debian-i386-pae": (["--guest", "debian-i386-pae"], "uname -r", r"^6\.1\.0-\d+-686-pae$"),
    "debian-i386": (["--guest", "debian-i386"], "uname -r", r"^6\.1\.0-\d+-686$"),
}
# Processes that come and go, pages that are mapped and taken away, and pipes: each line says what is right.
WORK = """\
i=0; while [ $i -lt 40 ]; do /bin/true || exit 1; i=$((i+1)); done
seq 1 20000 | sort -rn | head -n 1
dd if=/dev/zero of=/tmp/zeros bs=1M count=32 2>/dev/null && md5sum </tmp/zeros && rm /tmp/zeros
"""
WORK_SAYS = "20000\n58f06dd588d8ffb3beb46ada6309436b  -\n"
# One of each kind that works tables hard; what each finds wrong, --verify says.
STRESSORS = ("vm", "fork", "mmap", "mremap", "remap", "munmap", "brk", "mprotect", "fault", "pageswap", "pagemove", "mmapfork",
             "mmapfixed", "shm")
STRESS = "stress-ng --timeout {} --verify --oomable --vm-bytes 32M --mmap-bytes 8M --mremap-bytes 4M " + \
         " ".join(f"--{name} 1" for name in STRESSORS)


def shadow(*words):
    """scripts/vm run under shadow paging: how it ended, and the report's part about the MMU."""
    if front.mmu == "none":
        raise Skipped("there is no hypervisor")
    with front.scratch() as folder:
        stats = os.path.join(folder, "stats.json")
        ended = front.vm("run", *front.place("shadow"), "-q", "--stats", stats, *words)
        if not os.path.exists(stats):
            return ended, None
        with open(stats, encoding="utf-8") as text:
            return ended, json.load(text).get("mmu")


def expect_shadows(ended, mmu):
    """The guest ran to its end on shadow tables, and none of them ever led out of its memory."""
    expect_equal(ended.status, 0, f"exit status ({ended})")
    expect(mmu is not None, "no report was written")
    expect_equal((mmu["technique"], mmu["violations"]), ("shadow", 0), "technique, violations of isolation")
    expect(mmu["fills"] > 0, f"no entry was ever made: {mmu}")


@cases("{} reaches user space on shadow tables", KERNELS)
def _(name):
    options, line, wanted = KERNELS[name]
    if "--la57" in options:
        front.five_levels()
    ended, mmu = shadow(*options, "--", line)
    expect_shadows(ended, mmu)
    expect_match(wanted, ended.out, "output")


@cases("{} works with the fewest shadow pages that there may be", ("debian-amd64", "debian-i386-pae"))
def _(guest):
    ended, mmu = shadow("--guest", guest, "--shadow-pool", "96", "--", WORK)
    expect_shadows(ended, mmu)
    expect_equal(ended.out, WORK_SAYS, "output")
    expect_equal(mmu["pool_pages"], 96, "pages of the pool")
    expect(mmu["peak_pages"] <= 96, f"more pages than the pool has: {mmu}")


@cases("{} works while every shadow page is dropped at random", ("debian-amd64", "debian-i386"))
def _(guest):
    ended, mmu = shadow("--guest", guest, "--shadow-drop", "300,11", "--", WORK)
    expect_shadows(ended, mmu)
    expect_equal(ended.out, WORK_SAYS, "output")
    expect(mmu["all_dropped"] > 20, f"they were hardly ever dropped: {mmu}")


@case("a pool below its floor is refused, with a sentence that says what the floor is")
def _():
    ended, _ = shadow("--shadow-pool", "95", "--", "true")
    expect_equal(ended.status, status.REFUSED, "exit status")
    expect_match("wants 96 shadow pages or more", ended.err, "errors")


@cases("{} is refused where there are no shadow pages", ("--shadow-pool", "--shadow-drop"))
def _(option):
    for technique in ("nested", "none"):
        ended = front.vm("run", *front.place(technique), option, "1000", "--", "true")
        expect_equal(ended.status, status.REFUSED, "exit status")
        expect_match("are for --mmu shadow", ended.err, "errors")


@cases("{} is no number of shadow pages", ("0", "-1", "96K", "many", "4294967296", "1e3", "", "²"))
def _(text):
    ended = front.vm("run", *front.place("shadow"), f"--shadow-pool={text}", "--", "true")
    expect_equal(ended.status, status.REFUSED, "exit status")
    expect_match("is not a number from 1 to", ended.err, "errors")


@case("stress-ng's workers on memory and page tables find what they wrote, on shadow tables")
def _():
    ended, mmu = shadow("--memory", "1G", "--packages", "stress-ng", "--", STRESS.format(15))
    expect_shadows(ended, mmu)
    expect_match("successful run completed", ended.out + ended.err, "what stress-ng says")
