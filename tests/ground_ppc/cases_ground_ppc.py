"""The ground of the hypervisor on an emulated e500 machine.

What is booted is build/ground-ppc/vmmu-ppc.elf: the ground and tests/ground_ppc/main.c, whose probes the command line names.
"""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time

from tap import case, cases, expect, expect_equal, expect_match, shared

TREE = pathlib.Path(__file__).resolve().parent.parent.parent

IMAGE = TREE / "build" / "ground-ppc" / "vmmu-ppc.elf"
DONE, REFUSED, PANIC = 0, 1, 3
QEMU = ["qemu-system-ppc", "-M", "ppce500", "-cpu", "e500v2", "-display", "none", "-monitor", "none", "-no-reboot"]
# One instruction is one nanosecond.
EXACT_TIME = ["-icount", "shift=0,sleep=off"]
MIB = 1 << 20


@contextlib.contextmanager
def scratch():
    """A folder for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="vmmu-ground-") as folder:
        yield pathlib.Path(folder)


def leave_status(control):
    """The status that the control port's last line tells of."""
    lines = control.strip().splitlines()
    expect(lines, "nothing came on the control port")
    return json.loads(lines[-1])["vmmu_leave"]


def boot(*words, memory=64, seconds=60):
    """Boot with these words; the status that it left with, what the console said, and what the control port did."""
    with scratch() as folder:
        control = folder / "control"
        command = [*QEMU, "-m", str(memory), "-serial", "stdio", "-serial", f"file:{control}", "-kernel", str(IMAGE),
                   *map(str, words)]
        ended = subprocess.run(["timeout", "-k", "5", str(seconds), *command], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        text = ended.stdout.decode("utf-8", "replace").replace("\r", "")
        expect_equal(ended.returncode, 0, f"QEMU's exit status ({text[-1500:]})")
        said = control.read_text()
    return leave_status(said), text, said


def probe(name, *words, **machine):
    """Run a probe that must end well; what it said."""
    status, text, _ = boot("-append", name, *words, **machine)
    expect_equal(status, DONE, f"status ({text[-1500:]})")
    expect_match("^ground: done$", text, "console")
    return text


def value(name, text):
    """The number behind @name= in what a probe said."""
    return int(expect_match(rf"\b{name}=(-?\d+)", text, name)[1])


def sum_of(data):
    """The probe's own checksum."""
    total = 0
    for byte in data:
        total = (total * 31 + byte) & 0xFFFFFFFF
    return total


def bundle(folder, members):
    """A cpio archive of (name, content), made by cpio."""
    for name, content in members:
        (folder / name).write_bytes(content)
    names = "\n".join(name for name, _ in members)
    made = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=folder, input=names.encode(), check=True,
                          stdout=subprocess.PIPE)
    path = folder / "bundle.cpio"
    path.write_bytes(made.stdout)
    return path


# --- what the loader says ---------------------------------------------------------------------------------------------

# Of 16 entries of TLB1 three are code, data and devices; the direct map has one for each 1 GiB, or 256 MiB where that will do.
SIZES = {64: 12, 256: 12, 320: 12, 640: 12, 1024: 12, 1088: 11, 1536: 11, 2048: 11, 2560: 9}


@cases("a machine with {} MiB: all of it is found, by few translations", SIZES)
def _(mebibytes):
    text = probe("info", memory=mebibytes)
    found = value("total", text) / MIB
    expect(mebibytes - 4 <= found <= mebibytes, f"{found} MiB found of {mebibytes}")
    expect(0 < value("free", text) < value("total", text), "free memory")
    expect_equal(value("entries", text), SIZES[mebibytes], "large translations for guests")


@case("memory beyond what the hypervisor reaches is left alone")
def _():
    text = probe("info", memory=3072)
    expect(2560 - 4 <= value("total", text) / MIB <= 2560, "memory")


@case("modules come with their words, in order and whole")
def _():
    members = [("kernel partition=0 -- console=ttyS0", b"a"), ("initrd", bytes(range(256)) * 400), ("x -- y", b"")]
    with scratch() as folder:
        text = probe("info", "-initrd", bundle(folder, members), memory=128)
    expected = [f"module={len(content)} {sum_of(content):08x} [{name}]" for name, content in members]
    expect_equal(re.findall("^module=.*", text, re.M), expected, "modules")


@case("the machine's two serial ports are found, and its channels go by the second")
def _():
    text = probe("info")
    expect_equal(re.findall(r"port(\d)=(\d)", text), [(str(port), "1") for port in (1, 2, 3, 4)], "ports")


@case("a machine with one serial port will do: nothing is told of the end then")
def _():
    command = [*QEMU, "-m", "64", "-serial", "stdio", "-serial", "none", "-kernel", str(IMAGE), "-append", "info"]
    ended = subprocess.run(["timeout", "-k", "5", "60", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, check=False)
    text = ended.stdout.decode().replace("\r", "")
    expect_equal(ended.returncode, 0, "QEMU's exit status")
    expect_equal(re.findall(r"port(\d)=(\d)", text), [("1", "1"), ("2", "0"), ("3", "0"), ("4", "0")], "ports")
    expect_match("^ground: done$", text, "console")


@case("processors beside the one that boots are left asleep")
def _():
    probe("timer", "-smp", "2")


@case("an unknown probe is refused, so that a test cannot pass by a slip of the pen")
def _():
    expect_equal(boot("-append", "nothing")[0], REFUSED, "status")


# --- what it refuses --------------------------------------------------------------------------------------------------

def refused(sentence, *words, **machine):
    """It must be refused with this sentence."""
    status, text, _ = boot(*words, **machine)
    expect_equal(status, REFUSED, f"status ({text[-500:]})")
    expect_match(f"^vmmu: refused: {sentence}", text, "console")


@cases("a bundle that is {} is refused with a sentence", ("no archive", "cut short", "too many modules"))
def _(kind):
    with scratch() as folder:
        if kind == "no archive":
            path = folder / "noise"
            path.write_bytes(b"\x7fELF" * 1000)
        elif kind == "cut short":
            path = bundle(folder, [("kernel", b"k" * 5000)])
            path.write_bytes(path.read_bytes()[:3000])
        else:
            path = bundle(folder, [(f"initrd{number}", b"") for number in range(40)])
        refused("the bundle ", "-append", "info", "-initrd", path, memory=128)


@shared
def machine_tree():
    """The tree that the emulator makes for its machine, as text."""
    with scratch() as folder:
        blob = folder / "machine.dtb"
        subprocess.run([*QEMU, "-M", f"ppce500,dumpdtb={blob}", "-m", "64", "-kernel", str(IMAGE), "-append", "info"],
                       check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        made = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", str(blob)], check=True, stdout=subprocess.PIPE)
    return made.stdout.decode()


WRONG_TREES = {
    "memory": (r"\n\tmemory \{.*?\};", "the device tree does not say what memory there is"),
    "the time base": (r"timebase-frequency = [^;]*;", "the device tree does not say how fast the time base counts"),
}


@cases("a machine whose device tree does not tell of {} is refused", WRONG_TREES)
def _(what):
    pattern, sentence = WRONG_TREES[what]
    text, changes = re.subn(pattern, "", machine_tree(), flags=re.S)
    expect(changes >= 1, "nothing was taken out")
    with scratch() as folder:
        blob = folder / "changed.dtb"
        subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", str(blob)], input=text.encode(), check=True)
        refused(sentence, "-dtb", blob, "-append", "info")


# --- faults of its own ------------------------------------------------------------------------------------------------

FAULTS = {
    "null": r"data TLB error \(IVOR13\) in the hypervisor, ESR 0\n.*dear 00000008",
    "loader": r"data TLB error \(IVOR13\) in the hypervisor, ESR 0\n.*dear 00300000",
    "text": r"data storage interrupt \(IVOR2\) in the hypervisor, ESR 800000\n.*dear f0300000",
    "constants": r"data storage interrupt \(IVOR2\) in the hypervisor, ESR 800000\n.*dear f03",
    "execute": r"instruction storage interrupt \(IVOR3\) in the hypervisor.*\n  at 4",
    "data": r"instruction storage interrupt \(IVOR3\) in the hypervisor.*\n  at f0400000",
    "stack": r"data storage interrupt \(IVOR2\) in the hypervisor(.|\n)*the stack has overflown",
    "opcode": r"program interrupt \(IVOR6\) in the hypervisor, ESR 8000000\n",
    "trap": r"program interrupt \(IVOR6\) in the hypervisor, ESR 2000000\n",
    "panic": r"^vmmu: a panic of 0 modules\n  stopped at f03",
}


@cases("the defect '{}' is reported with registers, and ends the hypervisor", FAULTS)
def _(name):
    status, text, _ = boot("-append", name)
    expect_equal(status, PANIC, f"status ({text[-500:]})")
    expect_match(FAULTS[name], text, "report")
    expect_match(r"called from:( f03\w+)*\n", text, "where it came from")
    expect("ground: done" not in text, "it went on")


@case("an instruction with a fixup goes on after its exception")
def _():
    text = probe("fixup")
    expect_equal(tuple(value(name, text) for name in ("absent", "present", "same")), (0, 1, 1), "absent, present, same")


@case("it runs in supervisor state of address space 0, with interrupts held back")
def _():
    text = probe("registers")
    expect_match("msr=1000 pid=0 ivpr=f0300000 tlb1cfg=101cc010", text, "registers")


# --- memory, time, arithmetic -----------------------------------------------------------------------------------------

@cases("every page of {} MiB can be taken, written, read and given back", (64, 320, 1088))
def _(mebibytes):
    text = probe("memory", memory=mebibytes)
    expect_match("^all=1 empty=1 wrong=0 back=1$", text, "pages")


@case("copies, moves, fills and comparisons are right at all lengths and alignments")
def _():
    expect_equal(value("string_wrong", probe("string")), 0, "wrong ones")


@cases("the timer fires once for each deadline, never early ({})", ("exact time", "real time"))
def _(kind):
    text = probe("timer", *(EXACT_TIME if kind == "exact time" else []))
    expect_equal((value("early", text), value("taken_back", text)), (0, 0), "early, taken back")
    if kind == "exact time":
        expect_equal((value("interrupts", text), value("ms", text)), (5, 100), "interrupts, ms")
    expect(value("ms", text) >= 100, f"five times 20 ms took {value('ms', text)} ms")
    expect_equal(value("khz", text), 400_000, "the time base's frequency")
    expect_equal(value("ns", text), 100_000_000_000, "nanoseconds of a hundred seconds")
    expect(39_999_999_970 <= value("ticks", text) <= 40_000_000_000, f"{value('ticks', text)} ticks in a hundred seconds")


@case("a deadline further away than the decrementer counts is met")
def _():
    text = probe("far", *EXACT_TIME)
    expect_equal((value("early", text), value("late_ms", text)), (0, 0), "early, late")


# --- serial ports -----------------------------------------------------------------------------------------------------

def talk(name, send):
    """Run a probe while @send talks to its second serial port; what the console said, and what @send gave."""
    with scratch() as folder:
        path = str(folder / "port2")
        words = [*QEMU, "-m", "64", "-serial", "stdio", "-serial", f"unix:{path},server=on,wait=on", "-kernel", str(IMAGE),
                 "-append", name]
        with subprocess.Popen(["timeout", "-k", "5", "60", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as machine, socket.socket(socket.AF_UNIX) as port:
            for _ in range(200):
                if os.path.exists(path):
                    break
                time.sleep(0.05)
            port.settimeout(30)
            port.connect(path)
            expect_equal(port.recv(1), b"!", "the sign that the probe listens")
            given = send(port)
            text = machine.stdout.read().decode("utf-8", "replace")
        expect_equal(machine.returncode, 0, f"exit status ({text[-500:]})")
    return text, given


def exchange(port, data):
    """Send all of @data and receive as much."""
    port.setblocking(False)
    sent, received, end = 0, bytearray(), time.monotonic() + 30
    while len(received) < len(data) and time.monotonic() < end:
        with contextlib.suppress(BlockingIOError):
            sent += port.send(data[sent:sent + 4096]) if sent < len(data) else 0
        with contextlib.suppress(BlockingIOError):
            received += port.recv(65536)
        time.sleep(0.001)
    return bytes(received[:len(data)])


@case("50,000 bytes sent to the control port come back as they were")
def _():
    data = bytes(byte for number in range(50_000) if (byte := number * 7 % 251) != 4)[:49_000] + b"\x04"
    text, received = talk("echo", lambda port: exchange(port, data))
    expect_equal(value("echoed", text), len(data), "bytes")
    expect(received == data, "what came back is not what was sent")


@case("bytes that nobody reads wait in the port, and none is lost")
def _():
    data = bytes(number % 251 for number in range(10_000))
    text, _ = talk("flood", lambda port: port.sendall(data))
    expect_equal((value("received", text), value("wrong", text)), (10_000, 0), "received, wrong")
    expect_equal(value("spurious", text), 0, "interrupts that nothing asked for")


@case("the channels' bytes are lines of the control port between the monitor's")
def _():
    status, text, control = boot("-append", "channel")
    expect_equal(status, DONE, "status")
    expect_equal((value("read", text), value("pending", text)), (-1, 0), "nothing is ever read from a channel")
    lines = [json.loads(line) for line in control.splitlines() if line]
    expect_equal(lines, [{"a": 1}, {"vmmu_channel": 1, "bytes": b"one\n".hex()}, {"vmmu_channel": 2, "bytes": b"two".hex()},
                         {"vmmu_channel": 2, "bytes": b"rest".hex()}, {"vmmu_leave": 0}], "lines")
