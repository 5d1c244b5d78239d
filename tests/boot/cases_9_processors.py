"""Debian on four virtual processors: with the Hyper-V interface it flushes on others by hypercall, without it by interrupts."""

import itertools
import json
import os
import re

import front
from tap import Skipped, case, cases, expect, expect_equal, expect_match

PROCESSORS = 4
GUESTS = ("debian-amd64", "debian-i386-pae")
TECHNIQUES = ("nested", "shadow")
INTERFACES = {"with the Hyper-V interface": [], "without it": ["--no-enlightenments"]}

# Processes whose memory changes under their feet, for some time; then threads of one process on all processors, which flush on
# each other, for some work: what each finds wrong, --verify says. Not madvise: it declares pages of its own broken, and now and
# then dies of touching one.
STRESS = "grep -E 'CAL|TLB' /proc/interrupts; exec 2>&1; stress-ng --timeout 2 --verify --oomable --vm-bytes 16M --mmap-bytes 4M " \
         "--fork 1 --vm 1 --mmap 1 --mprotect 1 --fault 1 --remap 1 --mremap 1 --munmap 1 && " \
         "stress-ng --timeout 60 --verify --oomable --malloc 1 --malloc-pthreads 4 --malloc-bytes 8M --malloc-ops 200 && " \
         "cat /proc/interrupts && nproc"
# Flushes of other processors that this comes to at the least; ten times as many are usual.
FLUSHES_LEAST = 20


def run(*words, technique="nested", vps=PROCESSORS):
    """scripts/vm run on @vps processors: how it ended, and the report's VPs."""
    if front.mmu == "none":
        raise Skipped("there is no hypervisor")
    with front.scratch() as folder:
        stats = os.path.join(folder, "stats.json")
        ended = front.vm("run", *front.place(technique), "-q", "--cpus", vps, "--stats", stats, *words)
        if not os.path.exists(stats):
            return ended, []
        with open(stats, encoding="utf-8") as text:
            return ended, json.load(text)["vps"]


def interrupts(out, name):
    """How many the guest counted of @name in /proc/interrupts during the work, on all processors."""
    lines = re.findall(rf"^ *{name}:((?: +\d+)+)", out, re.M)
    expect_equal(len(lines), 2, f"lines of {name}")
    before, after = (sum(int(number) for number in line.split()) for line in lines)
    return after - before


def remote_flushes(vps):
    """Flush hypercalls that the VPs made."""
    return sum(vp["hypercalls"].get(name, 0) for vp in vps for name in
               ("flush-space", "flush-list", "flush-space-ex", "flush-list-ex"))


@cases("{}", [f"{guest} on {PROCESSORS} processors works, {interface}, under {technique}" for guest, technique, interface
              in itertools.product(GUESTS, TECHNIQUES, INTERFACES)])
def _(title):
    guest = next(name for name in GUESTS if title.startswith(name + " "))
    technique = next(name for name in TECHNIQUES if title.endswith(name))
    options = next(words for name, words in INTERFACES.items() if name in title)
    ended, vps = run("--guest", guest, "--memory", "768M", "--packages", "stress-ng", *options, "--", STRESS, technique=technique)
    expect_equal(ended.status, 0, f"exit status ({ended})")
    expect_equal(ended.out.count("successful run completed"), 2, f"runs of stress-ng that found all well ({ended})")
    expect_equal(ended.out.split()[-1], str(PROCESSORS), "processors that the guest has")
    expect_equal(len(vps), PROCESSORS, "VPs in the report")
    expect(all(vp["counters"]["entries"] > 1000 for vp in vps), "a VP hardly ran")
    if options:
        expect_equal(remote_flushes(vps), 0, "flush hypercalls without the interface")
        expect(interrupts(ended.out, "TLB") > FLUSHES_LEAST, "no interrupts for flushes")
    else:
        expect(remote_flushes(vps) > FLUSHES_LEAST, "no flush hypercalls")
        expect_equal(interrupts(ended.out, "TLB"), 0, "interrupts for flushes, with the interface")


@case("a guest of eight processors counts eight, each with an APIC ID and time in step with the others")
def _():
    ended, vps = run("--memory", "512M", "--", "nproc; grep ^apicid /proc/cpuinfo; "
                     "dmesg | grep -i 'tsc.*unstable\\|warp'; grep . /sys/devices/system/clocksource/clocksource0/current_clocksource",
                     vps=8)
    expect_equal(ended.status, 0, f"exit status ({ended})")
    expect_equal(len(vps), 8, "VPs in the report")
    lines = ended.out.splitlines()
    expect_equal(lines[0], "8", "processors")
    expect_equal(sorted(int(line.split(":")[1]) for line in lines[1:9]), list(range(8)), "APIC IDs")
    expect_match(r"clocksource_tsc_page|tsc", lines[-1], "clock source")
    expect_equal(len(lines), 10, "lines: no word of an unstable clock")
