"""Debian amd64 under nested paging and Debian i386 under shadow paging at once: each comes to what is right, whatever becomes of
the other."""

import hashlib
import json
import os
import shlex

import front
from tap import Skipped, case, cases, expect, expect_equal, expect_match
from vmlib import status

# One round: processes that come and go, files of numbers that are written and read, and a sort through pipes. Several workers
# do it at once, one for each processor; what a round comes to says whether all was well.
FILES, NUMBERS = 8, 2000
ROUND = f"""\
part() {{
    mkdir /tmp/part$1; i=0
    while [ $i -lt {FILES} ]; do i=$((i + 1)); /bin/true || echo lost; seq 1 {NUMBERS} >/tmp/part$1/$i; done
    cat /tmp/part$1/* | sort -n | md5sum >/tmp/sum$1; rm -r /tmp/part$1
}}
round() {{
    for worker in $(seq $(nproc)); do part $worker & done; wait
    for worker in $(seq $(nproc)); do echo "round $1: $(cat /tmp/sum$worker)"; done
}}
"""
SUM = hashlib.md5("".join(f"{number}\n" * FILES for number in range(1, NUMBERS + 1)).encode()).hexdigest()

# As many as come to about the same time; and as many as leave the other time to die first.
ROUNDS, MORE_ROUNDS = (4, 2), (16, 6)
# A kernel that is told to reboot by force and by a triple fault dies of one, whatever its processors are at.
KILLED_MIDWAY = ROUND + "round 1; (round 2; round 3; round 4) & sleep 0.3; reboot -f"
DIES = "reboot=t,force"


def to_the_end(rounds):
    """Work of so many rounds."""
    return ROUND + f"for turn in $(seq {rounds}); do round $turn; done; uname -m"


def side_by_side(first, second, vps=1):
    """How scripts/vm ended with amd64 at the work @first and i386 at the work @second; and the reports of both."""
    if front.mmu == "none":
        raise Skipped("there is no hypervisor")
    other = f"guest=debian-i386 mmu=shadow memory=192M cpus={vps} append={DIES} run={shlex.quote(second)}"
    with front.scratch() as folder:
        stats = os.path.join(folder, "stats.json")
        ended = front.vm("run", *front.place("nested"), "-q", "--memory", "256M", "--cpus", vps, "--append", DIES,
                         "--stats", stats, "--partition", other, "--", first, limit=2 * front.BOOT_SECONDS)
        expect(os.path.exists(stats), f"no report was written ({ended})")
        with open(stats, encoding="utf-8") as text:
            reports = json.load(text)["partitions"]
    expect_equal([report["mmu"]["technique"] for report in reports], ["nested", "shadow"], f"techniques ({ended})")
    expect_equal([len(report["vps"]) for report in reports], [vps, vps], "VPs")
    return ended, reports


def said(ended):
    """What each of the two guests printed, line by line."""
    return [ended.out.splitlines(), [line.removeprefix("vm: 1| ") for line in ended.err.splitlines() if line.startswith("vm: 1| ")]]


def right(rounds, vps=1):
    """What a guest prints in @rounds."""
    return [f"round {turn}: {SUM}  -" for turn in range(1, rounds + 1) for _ in range(vps)]


@cases("both do their work to the end, with {} each", ("one processor", "two processors"))
def _(processors):
    vps = 1 if processors == "one processor" else 2
    ended, reports = side_by_side(*[to_the_end(rounds) for rounds in ROUNDS], vps)
    expect_equal(ended.status, 0, str(ended))
    first, second = said(ended)
    expect_equal(first, right(ROUNDS[0], vps) + ["x86_64"], "what amd64 printed")
    expect_equal(second, right(ROUNDS[1], vps) + ["i686"], "what i386 printed")
    expect_equal(reports[1]["mmu"]["violations"], 0, "violations of isolation")
    for report in reports:
        expect(all(vp["counters"]["flushes_avoided"] > 100 for vp in report["vps"]), "translations were lost at each turn")


def expect_survived(ended, reports, dead):
    """The partition @dead died of a triple fault at its work, and the other went on to its end."""
    alive = 1 - dead
    expect_equal(ended.status, status.GUEST_DIED, str(ended))
    expect_equal(reports[dead]["outcome"]["kind"], "stopped", str(ended))
    expect_match("triple fault", reports[dead]["outcome"]["message"], "how it died")
    expect_equal((reports[alive]["outcome"]["kind"], reports[alive]["outcome"]["value"]), ("debug-exit", 0), str(ended))
    expect(reports[alive]["run_ns"] > reports[dead]["run_ns"] + 10**9, "the other was at its end already")
    lines = said(ended)
    vps = len(reports[dead]["vps"])
    expect_equal(lines[dead][:vps], right(1, vps), f"the first round of the one that died ({ended})")
    expect_equal(lines[alive], right(MORE_ROUNDS[alive], vps) + [("x86_64", "i686")[alive]], "what the other printed")
    expect_equal(reports[1]["mmu"]["violations"], 0, "violations of isolation")


@case("amd64 on two processors ends right though i386 on two dies of a triple fault midway")
def _():
    expect_survived(*side_by_side(to_the_end(MORE_ROUNDS[0]), KILLED_MIDWAY, vps=2), dead=1)


@case("i386 ends right though amd64 dies of a triple fault midway")
def _():
    expect_survived(*side_by_side(KILLED_MIDWAY, to_the_end(MORE_ROUNDS[1])), dead=0)
