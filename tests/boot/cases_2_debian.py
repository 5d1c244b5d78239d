"""Debian's three kernels in a partition: they reach user space, run commands, and end as they should."""

import json
import os
import re
import time

import front
from tap import Skipped, case, cases, expect, expect_equal, expect_match, shared
from vmlib import hosts, status

GUESTS = {
    "debian-amd64": (r"^Linux vmmu 6\.1\.0-\d+-amd64 .* x86_64 GNU/Linux$", r"NX \(Execute Disable\) protection: active"),
    "debian-i386-pae": (r"^Linux vmmu 6\.1\.0-\d+-686-pae .* i686 GNU/Linux$", r"NX \(Execute Disable\) protection: active"),
    "debian-i386": (r"^Linux vmmu 6\.1\.0-\d+-686 .* i686 GNU/Linux$", r"NX .* cannot be enabled: non-PAE kernel"),
}
# What a command leaves behind must not hold it up: the sleep at its end.
PROBE = """\
uname -a
dmesg
echo "clock source $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
echo "$(grep -c -w la57 /proc/cpuinfo) processors with la57"
./folder/program one 'two words'
echo to the errors >&2
sleep 1000 &
exit 37
"""
PROGRAM = "#!/bin/sh\nprintf '<%s>' \"$@\"\necho\n"


@shared
def probe(guest):
    """One boot that many cases look at: how it ended, and the hypervisor's report."""
    with front.scratch() as folder:
        os.mkdir(os.path.join(folder, "folder"))
        with open(os.path.join(folder, "folder", "program"), "w", encoding="ascii") as out:
            out.write(PROGRAM)
        os.chmod(out.name, 0o755)
        with open(os.path.join(folder, "list, of steps"), "w", encoding="ascii") as out:
            out.write(PROBE)
        words = ["--guest", guest, "--file", os.path.join(folder, "folder"), "--file", f"{out.name}:/tmp/steps"]
        stats = os.path.join(folder, "stats.json")
        if front.mmu != "none":
            words += ["--stats", stats]
        ended = front.run(*words, "--", "sh", "/tmp/steps")
        report = None
        if os.path.exists(stats):
            with open(stats, encoding="utf-8") as text:
                report = json.load(text)
    return ended, report


@cases("{} reaches user space and runs uname", GUESTS)
def _(guest):
    ended, _ = probe(guest)
    expect_match(GUESTS[guest][0], ended.out, "uname -a")


@cases("{} finds no-execute as its paging has it", GUESTS)
def _(guest):
    ended, _ = probe(guest)
    expect_match(GUESTS[guest][1], ended.out, "kernel log")


@cases("{}: the command's status is the exit status, whatever it leaves behind, and its output and errors stay apart", GUESTS)
def _(guest):
    ended, _ = probe(guest)
    expect_equal(ended.status, 37, "exit status")
    expect_equal(ended.err, "to the errors\n", "errors")
    expect("to the errors" not in ended.out, "errors stand in the output")


@cases("{} gets files and folders, to any place, with their mode", GUESTS)
def _(guest):
    ended, _ = probe(guest)
    expect_match(r"^<one><two words>$", ended.out, "what the program was given")


@cases("{}: --stats holds the outcome, counters that count and a trace", GUESTS)
def _(guest):
    if front.mmu == "none":
        raise Skipped("there is no hypervisor to report")
    _, report = probe(guest)
    expect(report is not None, "no report was written")
    expect_equal(report.get("vmmu"), 1, "version of the report")
    expect_equal((report["outcome"]["kind"], report["outcome"]["value"]), ("debug-exit", 37), "outcome")
    counters = report["vps"][0]["counters"]
    expect(counters["entries"] > 0, f"no entry was counted: {counters}")
    expect(0 < sum(counters["exits"].values()) <= counters["entries"], f"exits and entries disagree: {counters}")
    expect(counters["exits"]["cpuid"] > 0 and counters["exits"]["port"] > 0, f"a boot without CPUID or ports: {counters}")
    expect(len(report["vps"][0]["trace"]) > 0, "the trace is empty")


@case("false exits 1")
def _():
    ended = front.run("--", "false")
    expect_equal((ended.status, ended.out, ended.err), (1, "", ""), "status, output, errors")


@case("output of any bytes and of some length comes through unchanged, and so does a status above 127")
def _():
    line = ("printf '\\001\\003\\004\\021\\023\\r\\n\\t\\377 end'; i=0; "
            "while [ $i -lt 4000 ]; do echo line $i; i=$((i+1)); done; kill -SEGV $$")
    ended = front.run("--", line)
    wanted = "\x01\x03\x04\x11\x13\r\n\t\ufffd end" + "".join(f"line {number}\n" for number in range(4000))
    expect_equal(len(ended.out), len(wanted), "length")
    expect(ended.out == wanted, "the output differs")
    expect_equal(ended.status, 139, "exit status after a segmentation fault")


def expect_memory(kibibytes, wanted):
    """Linux takes a part of memory for itself before it counts."""
    expect(wanted * 0.5 < int(kibibytes) < wanted, f"{kibibytes} KiB of {wanted}")


MEMORY = "sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo"


@case("--memory 128M gives the guest that much")
def _():
    ended = front.run("--memory", "128M", "--", MEMORY)
    expect_equal(ended.status, 0, "exit status")
    expect_memory(ended.out, 128 << 10)


@case("--memory 2G gives the guest that much, and it can be written to its end")
def _():
    line = f"{MEMORY}; mount -t tmpfs -o size=1600m big /mnt && fallocate -l $((1500 << 20)) /mnt/x && stat -c %s /mnt/x"
    ended = front.run("--memory", "2G", "--", line)
    expect_equal(ended.status, 0, f"exit status ({ended})")
    kibibytes, size = ended.out.split()
    expect_memory(kibibytes, 2 << 20)
    expect_equal(int(size), 1500 << 20, "bytes that were written")


@case("--timeout ends a guest that does not end, with its own status and a sentence")
def _():
    start = time.monotonic()
    ended = front.vm("run", *front.place(), "--timeout", "3", "--", "sleep 1000")
    expect_equal(ended.status, status.TIMED_OUT, "exit status")
    expect_match("time given by --timeout", ended.err, "errors")
    expect(time.monotonic() - start < 60, "it took much longer")


@cases("a command that ends the machine by {} gave no status", ("poweroff", "reboot"))
def _(command):
    ended = front.run("--", command)
    expect_equal(ended.status, status.NO_STATUS, "exit status")
    expect_match("before the command gave a status", ended.err, "errors")


@case("a guest whose kernel panics has died, and its last words are shown")
def _():
    ended = front.run("--", "echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger; sleep 60")
    expect_equal(ended.status, status.GUEST_DIED, "exit status")
    expect_match("^vm: the guest died: ", ended.err, "errors")
    expect_match("console: .*Kernel panic - not syncing: sysrq", ended.err, "errors")


@case("five-level paging: offered LA57, Linux uses it")
def _():
    front.five_levels()
    ended = front.run("--la57", "--", "grep -o -m1 -w la57 /proc/cpuinfo; uname -m")
    expect_equal((ended.status, ended.out.split()), (0, ["la57", "x86_64"]), "status, output")


@case("without LA57 Linux sees none")
def _():
    ended, _ = probe("debian-amd64")
    expect_match("^0 processors with la57$", ended.out, "processors")


@case("the guest finds the Hyper-V interface, and need not calibrate its clock")
def _():
    hypervisor_only()
    ended, _ = probe("debian-amd64")
    expect_match("Hypervisor detected: Microsoft Hyper-V", ended.out, "kernel log")
    expect_match(r"^clock source (tsc|hyperv_clocksource_\w+)$", ended.out, "clock source")
    expect(not re.search(r"calibrat\w+ (failed|using PIT)", ended.out), "the clock was calibrated by hand")


@case("--no-enlightenments hides the Hyper-V interface, and --firmware both gives ACPI and the MP table")
def _():
    hypervisor_only()
    ended = front.run("--no-enlightenments", "--firmware", "both", "--", "dmesg; test -d /sys/firmware/acpi")
    expect_equal(ended.status, 0, "exit status")
    expect("Hyper-V" not in ended.out, "the guest found Hyper-V")
    expect_match("MP-table", ended.out, "kernel log")


@case("--firmware mp describes a machine that boots and ends, without ACPI")
def _():
    hypervisor_only()
    ended = front.run("--firmware", "mp", "--", "test -d /sys/firmware/acpi || exit 5")
    expect_equal(ended.status, 5, f"exit status ({ended})")


def hypervisor_only():
    """Skip where the case is about the hypervisor and there is none."""
    if front.mmu == "none":
        raise Skipped("there is no hypervisor")


# The guest's memory, and what the workers use of it: less where each store takes many times longer.
STRESSED, WORKED = ("384M", "60M") if hosts.HOSTS[front.host].slow else ("1G", "300M")
WORKERS = "for method in flip write64 rand-set incdec; do " \
          f"stress-ng --vm 2 --vm-bytes {WORKED} --vm-method $method --verify --vm-ops 2 --oomable || exit 1; done"


@case(f"memory workers of stress-ng find what they wrote, in a guest of {STRESSED}")
def _():
    ended = front.run("--memory", STRESSED, "--packages", "stress-ng", "--", WORKERS)
    expect_equal(ended.status, 0, f"exit status ({ended})")
    expect_equal((ended.out + ended.err).count("successful run completed"), 4, f"successful runs ({ended})")
