"""Host ppc: while guests run there, the processor's TLB holds what the hypervisor believes, and of guests only what stands to reason.

The processor's own account is the emulator's `info tlb`; the rules are in tests/e500/realtlb.py.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import front
from tap import Skipped, case, expect, expect_equal

sys.path.insert(0, str(front.TREE / "tests" / "e500"))

import realtlb  # noqa: E402 (the path must be set first)

IMAGES = pathlib.Path(os.environ.get("GUEST_IMAGES", front.TREE / "build" / "tests" / "guests-ppc"))
MEMORY = "64M"
SECONDS = 300
# A comparison holds the guests for as long as it takes to tell all entries. That they get on, too, there is a pause as long.

WORK = "i=0; while [ $i -lt 5 ]; do seq 1 500 | sort -r | md5sum; (ls -l / | cksum) & wait; i=$((i+1)); done"


@contextlib.contextmanager
def _running(folder, *words):
    """scripts/vm with @words; what it says goes to a file in @folder, for nobody here reads it meanwhile."""
    with open(os.path.join(folder, "said"), "wb") as said:
        process = subprocess.Popen([front.VM, *words], stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(10)


def _machine(path, process):
    """The machine with the control port @path, once it can be asked."""
    while True:
        try:
            return realtlb.Machine(path)
        except (OSError, realtlb.Gone):
            expect(process.poll() is None, f"scripts/vm ended with status {process.returncode}")
            time.sleep(0.02)


def _compare(machine):
    """Compare until the machine ends: how many of guests' entries there were, each time."""
    counts = []
    try:
        while True:
            started = time.monotonic()
            count, said = machine.compare()
            took = time.monotonic() - started
            expect(not said, f"after {len(counts)} comparisons, of {count} entries: " + "; ".join(said[:5]))
            counts.append(count)
            time.sleep(took)
    except realtlb.Gone:
        return counts
    finally:
        machine.close()


def _look(job, *words):
    """Compare all the while that scripts/vm @job runs with @words, to its end: (the counts, its exit status)."""
    if (front.host, front.mmu) not in (("amd", "nested"), ("ppc", "booke")):
        raise Skipped("it is of host ppc, and runs beside the usual host's cases")
    # The path of a socket may not be long.
    with tempfile.TemporaryDirectory() as short:
        path = os.path.join(short, "monitor")
        with _running(short, job, "--host", "ppc", "-q", "--timeout", str(SECONDS), "--monitor", path, *words) as process:
            counts = _compare(_machine(path, process))
            return counts, process.wait(60)


# --- the comparison itself ---

# A guest's page of 1 MiB and what was made of it, one of the hypervisor's own beside it; rights and attributes are all there.
OWN = "0x0000000040000000 0x0000000000000000   1G 0     0  SRW-U--- --M-- U----"
MADE = "0x0000000000100000 0x0000000008100000   1M 7     1  SR--URWX --M-- U----"
SMALL = "0x0000000000200000 0x0000000008200000   4K 7     1  SR--URWX --M-- U----"


def _row(**members):
    return {name: hex(value) if name.startswith("mas") else value for name, value in members.items()}


def _sample():
    """(state, what the emulator says), with nothing wrong."""
    virtual = [_row(index=512, mas1=0xC0000500, mas2=0x100004, mas3=0x100015, mas7=0),
               _row(index=513, mas1=0x80000200, mas2=0x200004, mas3=0x20002A, mas7=0)]
    real = [_row(**{"from": 512}, array=1, mas1=0x80071500, mas2=0x100004, mas3=0x810002B, mas7=0),
            _row(**{"from": 513}, array=0, mas1=0x80071100, mas2=0x200004, mas3=0x820002B, mas7=0)]
    memory = [{"gpa": "0x0", "hpa": "0x8000000", "bytes": "0x4000000", "rights": "rwx"}]
    partition = {"index": 0, "memory": memory, "tlbs": [{"vp": 0, "virtual": virtual, "real": real}]}
    return {"partitions": [partition]}, ["TLB0:", "Effective", SMALL, "TLB1:", "Effective", MADE, OWN]


def _row_of(state, which, at):
    return state["partitions"][0]["tlbs"][0][which][at]


# What goes wrong: the sentence it is found by, and how.
WRONG = {
    "an entry that nobody made": ("does not know", lambda state, text: text.append(MADE.replace("100000", "300000"))),
    "an entry that is gone": ("no such entry", lambda state, text: text.remove(SMALL)),
    "an entry somewhere else": ("does not know", lambda state, text: text.insert(2, text.pop(2).replace("8200000", "8201000"))),
    "another right": ("does not know", lambda state, text: text.insert(2, text.pop(2).replace("SR--", "SRW-"))),
    "an entry of the hypervisor's, open to guests": ("open to guests", lambda state, text: text.append(OWN.replace("U---", "UR--", 1))),
    "a guest's entry that is gone": ("no valid entry", lambda state, text: state["partitions"][0]["tlbs"][0]["virtual"].pop()),
    "a guest's smaller page": ("maps more", lambda state, text: _row_of(state, "virtual", 0).update(mas1="0xC0000400")),
    "a guest's page elsewhere": ("is at", lambda state, text: _row_of(state, "virtual", 0).update(mas3="0x300015")),
    "a guest's page outside its memory": ("not all memory", lambda state, text: _row_of(state, "virtual", 0).update(mas7="0x1")),
    "memory that ends in the page": ("not all memory", lambda state, text: state["partitions"][0]["memory"][0].update(bytes="0x180000")),
    "memory at its own address": ("is at", lambda state, text: _own_address(state, text)),
    "memory that may not be written": ("gives", lambda state, text: state["partitions"][0]["memory"][0].update(rights="r-x")),
    "a guest's right that is gone": ("gives", lambda state, text: _row_of(state, "virtual", 1).update(mas3="0x200022")),
    "another byte order": ("byte order", lambda state, text: _row_of(state, "virtual", 1).update(mas2="0x200005")),
    "a shadow PID of two": ("shadow PID", lambda state, text: _two(state, text)),
    "two entries for a byte": ("overlaps", lambda state, text: _over(state, text)),
}


def _own_address(state, text):
    state["partitions"][0]["memory"][0].update(hpa="0x0")
    for at, line in enumerate(text):
        text[at] = line.replace("0x00000000081", "0x00000000001").replace("0x00000000082", "0x00000000002")
    _row_of(state, "real", 0).update(mas3="0x10002B")
    _row_of(state, "real", 1).update(mas3="0x20002B")


def _two(state, text):
    tlb = state["partitions"][0]["tlbs"][0]
    state["partitions"][0]["tlbs"].append(dict(tlb, vp=1, real=[dict(tlb["real"][1], mas2="0x201004", mas3="0x820102B")]))
    text.insert(2, SMALL.replace("200000", "201000"))


def _over(state, text):
    _row_of(state, "real", 1).update(mas2="0x180004", mas3="0x818002B")
    _row_of(state, "virtual", 1).update(mas2="0x180004", mas3="0x18002A")
    text[2] = SMALL.replace("200000", "180000")


@case("the comparison finds nothing where nothing is wrong, and each of its rules where one is broken")
def _():
    state, text = _sample()
    expect_equal(realtlb.complaints(state, "\n".join(text)), [], "complaints of a good TLB")
    for name, (sentence, spoil) in WRONG.items():
        state, text = _sample()
        spoil(state, text)
        said = realtlb.complaints(state, "\n".join(text))
        expect(any(sentence in line for line in said), f"{name}: {said}")


# --- machines ---


def _kernel(name):
    return ["--memory", MEMORY, "--kernel", str(IMAGES / f"{name}.elf")]


def _beside(name):
    return ["--partition", f"memory={MEMORY} kernel={IMAGES / name}.elf"]


def _expect_many(counts, status, wanted, least):
    """It ended as it should, and at its best moment guests had at least so many entries."""
    expect(status == wanted and max(counts, default=0) >= least, f"status {status} after comparisons of {counts} entries")


@case("the real TLB is explained while a guest fills all of it")
def _():
    counts, status = _look("boot", *_kernel("neighbour"))
    _expect_many(counts, status, 1, 100)


@case("the real TLB is explained while several guests, a hostile one among them, run and end")
def _():
    counts, status = _look("boot", *_kernel("neighbour"), *_beside("hostile"), *_beside("tlb"), *_beside("rights"))
    _expect_many(counts, status, 1, 100)


@case("the real TLB is explained while U-Boot runs, and answers")
def _():
    counts, status = _look("run", "--guest", "u-boot", "--", "bdinfo; md 0 40; crc32 0 2000000; crc32 0 2000000")
    _expect_many(counts, status, 0, 1)


def _linux():
    counts, status = _look("run", "--guest", "linux-e500", "--memory", "128M", "--", WORK)
    _expect_many(counts, status, 0, 50)


# That kernel is built where its time is given: make test-long.
if front.host == "ppc":
    case("the real TLB is explained while Linux boots and works")(_linux)
