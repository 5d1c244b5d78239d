"""Host ppc: Linux in a partition of a board with an e500 does what it does on the board itself. By `make test-long`, which gives
the time that it takes to build that kernel: suite --host ppc --mmu booke 10_booke.
"""

import json
import os
import shlex

import front
import workload
from tap import Skipped, case, cases, expect, expect_equal, expect_match, shared
from terminal import terminal
from vmlib import status

HERE = front.host == "ppc"
PLACES = ("booke", "none") if front.mmu == "booke" else (front.mmu,)
WORK = ["--file", str(workload.PROGRAM), "--memory", "128M"]
# On a machine that is busy otherwise, a round may take minutes.
SECONDS = 1200
PROBE = """\
/root/workload 1
uname -m
cat /proc/cpuinfo
echo to the errors >&2
read begun rest </proc/uptime; sleep 2; read ended rest </proc/uptime
echo "slept $((${ended%.*} - ${begun%.*}))"
sleep 1000 &
exit 37
"""


def here(declare):
    """@declare, which makes a function a case, where these are wanted; else nothing."""
    return declare if HERE else lambda function: function


def run(place, *words):
    """scripts/vm run on host ppc with the technique @place."""
    return front.vm("run", "--host", "ppc", "--mmu", place, "-q", *words, limit=SECONDS)


@shared
def probe(guest, place):
    """One boot that many cases look at: how it ended, and the hypervisor's report."""
    with front.scratch() as folder:
        stats = os.path.join(folder, "stats.json")
        words = ["--stats", stats] if place != "none" else []
        ended = run(place, *WORK, *words, "--guest", guest, "--", PROBE)
        report = None
        if os.path.exists(stats):
            with open(stats, encoding="utf-8") as text:
                report = json.load(text)
    return ended, report


BOOTS = [(guest, place) for guest in ("linux-e500", "linux-e500-u-boot") for place in PLACES]


@here(cases("{0[0]} under {0[1]} does its work: checksums, sorts, processes, pipes; and leaves with its status", BOOTS))
def _(boot):
    ended, _ = probe(*boot)
    expect_equal((ended.status, ended.err), (37, "to the errors\n"), f"status and errors ({ended})")
    expect_equal(ended.out.splitlines()[:9], workload.expected(1).splitlines(), "the work")
    expect_equal(ended.out.splitlines()[9], "ppc", "uname -m")
    expect_match(r"^cpu\s+: e500v2$", ended.out, "cpu")
    expect_match(r"^revision\s+: 2\.2 \(pvr 8021 0022\)$", ended.out, "revision")
    expect(1 < int(expect_match(r"^slept ([0-9]+)$", ended.out, "seconds")[1]) < 60, f"a sleep of two seconds: {ended.out[-50:]}")


@here(cases("the report of {0[0]} under {0[1]} tells how it ended, and of its traps", [boot for boot in BOOTS if boot[1] != "none"]))
def _(boot):
    ended, report = probe(*boot)
    expect(report is not None, f"no report was written ({ended})")
    expect_equal((report["outcome"]["kind"], report["outcome"]["value"]), ("debug-exit", 37), "outcome")
    expect_equal((report["mmu"]["technique"], report["memory_bytes"]), ("booke", 128 << 20), "technique and memory")
    expect(report["mmu"]["filled_tlb0"] > 1000, f"hardly any entry was made: {report['mmu']}")
    exits = report["vps"][0]["counters"]["exits"]
    expect(exits["memory"] > 100, f"hardly any access to a device: {exits}")


@here(cases("it ends as it is told to: {}", ("poweroff", "reboot -f")))
def _(command):
    ended = run(PLACES[0], "--", command + "; sleep 1000")
    expect_equal((ended.status, ended.out), (status.NO_STATUS, ""), f"status and output ({ended})")
    if PLACES[0] != "none":
        expect_match({"poweroff": r"\(power-off\)", "reboot -f": r"\(reset\)"}[command], ended.err, "errors")


@here(case("a kernel that panics is a guest that died"))
def _():
    ended = run(PLACES[0], "--append", "rdinit=/bin/busybox -- false", "--", "true")
    expect_equal(ended.status, status.GUEST_DIED, f"status ({ended})")
    expect_match("its kernel panicked", ended.err, "errors")


@here(cases("a shell under {}: what is typed is done, and the end of it powers off", PLACES))
def _(place):
    ended = front.vm("shell", "--host", "ppc", "--mmu", place, "-q", "--guest", "linux-e500",
                     stdin=b"echo $((6 * 7)) it is\nls -d /proc/device-tree/cpus\n")
    expect_equal(ended.status, 0, f"status ({ended})")
    expect_match(r"^42 it is", ended.out, "output")
    expect_match(r"^/proc/device-tree/cpus", ended.out, "output")


@here(case("a person's Ctrl-C ends a command, and the shell goes on"))
def _():
    with terminal("shell", "--host", "ppc", "-q", "--mmu", PLACES[0], "--guest", "linux-e500") as shell:
        shell.wait(b"# ")
        shell.type("sleep 1000\r")
        shell.wait(b"sleep 1000")
        shell.type("\x03")
        shell.wait(b"# ")
        shell.type("echo still $((40 + 2))\r")
        shell.wait(b"still 42")
        shell.type("poweroff\r")
        expect_equal(shell.end(), 0, "status")


@here(case("the work comes out right with every entry of the TLB lost at random"))
def _():
    if PLACES[0] == "none":
        raise Skipped("there is no hypervisor")
    ended = run("booke", *WORK, "--shadow-drop", "500,7", "--", "/root/workload 1")
    expect_equal((ended.status, ended.out), (0, workload.expected(1)), f"status and output ({ended})")


def side_by_side(first, second, second_words="guest=linux-e500"):
    """How scripts/vm ended with two guests on one board; what the second said on its console; and both reports."""
    if PLACES[0] == "none":
        raise Skipped("there is no hypervisor")
    other = f"{second_words} memory=128M file={workload.PROGRAM} run={shlex.quote(second)}"
    with front.scratch() as folder:
        stats = os.path.join(folder, "stats.json")
        ended = run("booke", *WORK, "--stats", stats, "--partition", other, "--", first)
        expect(os.path.exists(stats), f"no report was written ({ended})")
        with open(stats, encoding="utf-8") as text:
            reports = json.load(text)["partitions"]
    return ended, [line.removeprefix("vm: 1| ") for line in ended.err.splitlines() if line.startswith("vm: 1| ")], reports


@here(case("two at once come to their right results, one of them started by U-Boot"))
def _():
    ended, said, reports = side_by_side("/root/workload 1; uname -m", "/root/workload 1; uname -m", "guest=linux-e500-u-boot")
    right = workload.expected(1).splitlines() + ["ppc"]
    expect_equal((ended.status, ended.out.splitlines()), (0, right), f"status and output ({ended})")
    expect_equal(said[-len(right):], right, "what the second said")
    expect_equal([report["mmu"]["technique"] for report in reports], ["booke", "booke"], "techniques")


@here(case("one is killed midway, and the other comes to its right result"))
def _():
    ended, said, reports = side_by_side("/root/workload 1; uname -m", "/root/workload 100 & sleep 1; echo dying; reboot -f")
    expect_equal(ended.out.splitlines(), workload.expected(1).splitlines() + ["ppc"], f"output ({ended})")
    expect("dying" in said, f"what the second said: {said}")
    expect_equal(reports[1]["outcome"]["kind"], "reset", "how the second ended")
