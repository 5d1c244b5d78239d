"""The ground of the hypervisor on emulated machines of many kinds, by every way in.

What is booted is build/ground/vmmu.elf: the ground and tests/ground/main.c, whose probes the command line names.
"""

import contextlib
import os
import pathlib
import re
import socket
import struct
import subprocess
import tempfile
import time

from tap import Skipped, case, cases, expect, expect_equal, expect_match, shared

TREE = pathlib.Path(__file__).resolve().parent.parent.parent

IMAGE = TREE / "build" / "ground" / "vmmu.elf"
UEFI = pathlib.Path("/usr/share/ovmf/OVMF.fd")
DONE, REFUSED, PANIC = 1, 3, 7
PROCESSOR = "max,-la57"
QEMU = ["qemu-system-x86_64", "-accel", "tcg", "-display", "none", "-monitor", "none", "-nic", "none", "-no-reboot",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
# The machine of the front door's measurements: one instruction is one nanosecond.
EXACT_TIME = ["-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01,clock=vm"]


@contextlib.contextmanager
def scratch():
    """A folder for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="vmmu-ground-") as folder:
        yield pathlib.Path(folder)


def boot(*words, processor=PROCESSOR, memory=64, seconds=60):
    """Boot with these words; the exit status and what the console said, without the firmware's part."""
    command = [*QEMU, "-cpu", processor, "-m", str(memory), "-serial", "stdio", *map(str, words)]
    ended = subprocess.run(["timeout", "-k", "5", str(seconds), *command], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = ended.stdout.decode("utf-8", "replace").replace("\r", "")
    return ended.returncode, text[max(text.find("vmmu:"), 0):]


def probe(name, *words, **machine):
    """Boot by multiboot 1 and run a probe that must end well; what it said."""
    status, text = boot("-kernel", IMAGE, "-append", name, *words, **machine)
    expect_equal(status, DONE, f"exit status ({text[-1500:]})")
    expect_match("^ground: done$", text, "console")
    return text


def value(name, text):
    """The number behind @name= in what a probe said."""
    return int(expect_match(rf"\b{name}=(\d+)", text, name)[1])


def sum_of(data):
    """The probe's own checksum."""
    total = 0
    for byte in data:
        total = (total * 31 + byte) & 0xFFFFFFFF
    return total


# --- what the loader says ---------------------------------------------------------------------------------------------

@cases("a machine with {} MiB: all of it is found but what the firmware keeps", (16, 64, 256, 1024, 3000, 6144, 20000))
def _(mebibytes):
    text = probe("info", memory=mebibytes)
    found = value("total", text) >> 20
    expect(mebibytes - 4 <= found <= mebibytes, f"{found} MiB found of {mebibytes}")
    free = value("free", text)
    expect(0 < free < value("total", text), f"{free} bytes are free")


@case("modules come with their words, without QEMU's file names, and whole")
def _():
    contents = [b"a", bytes(range(256)) * 40, b"x" * 4096]
    with scratch() as folder:
        names = []
        for number, content in enumerate(contents):
            path = folder / f"file{number}"
            path.write_bytes(content)
            names.append(f"{path} word{number} -- rest,,of it")
        text = probe("info", "-initrd", ",".join(names))
    for number, content in enumerate(contents):
        expect(f"module={len(content)} {sum_of(content):08x} [word{number} -- rest,of it]\n" in text, text)


@case("the serial ports of the machine are found, and no others")
def _():
    text = probe("info", "-serial", "null", "-serial", "none", "-serial", "null")
    expect_equal(re.findall(r"port(\d)=(\d)", text), [("1", "1"), ("2", "1"), ("3", "0"), ("4", "1")], "ports")


@case("an unknown probe is refused, so that a test cannot pass by a slip of the pen")
def _():
    expect_equal(boot("-kernel", IMAGE, "-append", "nothing")[0], REFUSED, "exit status")


# --- processors and machines --------------------------------------------------------------------------------------------

@cases("the processor {} will do", ("qemu64", "Opteron_G1", "EPYC", "Skylake-Server", "max"))
def _(processor):
    text = probe("registers", processor=processor)
    cr4 = int(expect_match(r"cr4=(\w+)", text, "CR4")[1], 16)
    expect_equal(cr4 & 1 << 12, 0, "CR4.LA57")
    expect_equal(cr4 & 0x6E8, 0x6E8, "CR4: DE, PAE, MCE, PGE, OSFXSR, OSXMMEXCPT")


@case("what a guest may want is on: SMEP and all of XCR0 where the processor has them")
def _():
    text = probe("registers")
    cr4 = int(expect_match(r"cr4=(\w+)", text, "CR4")[1], 16)
    expect_equal(cr4 & 0x140000, 0x140000, "CR4: OSXSAVE, SMEP")
    expect_match("xcr0=21f ", text, "XCR0: x87, SSE, AVX, MPX, PKRU")


REFUSALS = {
    "without long mode": ({"processor": "qemu64,-lm"}, "no 64-bit mode"),
    "without no-execute pages": ({"processor": "qemu64,-nx"}, "no 64-bit mode with no-execute"),
    "of the last century": ({"processor": "486"}, "no 64-bit mode"),
    "without a local APIC": ({"processor": "qemu64,-apic"}, "no local APIC"),
    "with 4 MiB": ({"memory": 4}, "not enough memory"),
    "with 8 MiB": ({"memory": 8}, "not enough memory"),
}


@cases("a machine {} is refused with a sentence", REFUSALS)
def _(name):
    machine, sentence = REFUSALS[name]
    status, text = boot("-kernel", IMAGE, "-append", "info", **machine)
    expect_equal(status, REFUSED, f"exit status ({text[-500:]})")
    expect_match(f"^vmmu: refused: .*{sentence}", text, "console")


# --- faults of its own ------------------------------------------------------------------------------------------------

FAULTS = {
    "null": r"#PF page fault in the hypervisor, error code 0\b",
    "text": r"#PF page fault in the hypervisor, error code 3\b",
    "constants": r"#PF page fault in the hypervisor, error code 3\b",
    "alias": r"#PF page fault in the hypervisor, error code 3\b",
    "execute": r"#PF page fault in the hypervisor, error code 11\b",
    "stack": r"#DF double fault in the hypervisor(.|\n)*the stack has overflown",
    "opcode": r"#UD invalid opcode in the hypervisor",
    "panic": r"^vmmu: a panic of 0 modules\n  stopped at ffffffffffe",
}


@cases("the defect '{}' is reported with registers, and ends the hypervisor", FAULTS)
def _(name):
    status, text = boot("-kernel", IMAGE, "-append", name)
    expect_equal(status, PANIC, f"exit status ({text[-500:]})")
    expect_match(FAULTS[name], text, "report")
    expect_match(r"cr0 0000000080010033  cr2 ", text, "registers")
    expect("ground: done" not in text, "it went on")


@case("an instruction with a fixup goes on after its exception")
def _():
    text = probe("fixup")
    expect_equal((value("read", text), value("written", text)), (1, 0), "read, written")
    expect_equal(int(expect_match(r"efer=(\w+)", text, "EFER")[1], 16) & 0xD00, 0xD00, "EFER: LME, LMA, NXE")


@case("vectors that nothing asked for are counted and forgotten")
def _():
    text = probe("vectors")
    expect_equal((value("spurious", text), value("nmi", text)), (3, 1), "spurious, nmi")


# --- memory and time --------------------------------------------------------------------------------------------------

MACHINES = {
    "32 MiB": ([], {"memory": 32}),
    "512 MiB": ([], {"memory": 512}),
    "256 MiB below 4 GiB and 256 MiB above": (["-M", "pc,max-ram-below-4g=256M"], {"memory": 512}),
    "the same on a processor without pages of 1 GiB":
        (["-M", "pc,max-ram-below-4g=256M"], {"memory": 512, "processor": "max,-la57,-pdpe1gb"}),
}


@cases("every page of {} can be taken, written, read and given back", MACHINES)
def _(name):
    words, machine = MACHINES[name]
    text = probe("memory", *words, **machine)
    expect_match("^all=1 empty=1 wrong=0 back=1$", text, "pages")
    expect_match(f"^large={int(machine['memory'] > 100)} low=1$", text, "pieces")


@case("frequencies are measured to a thousandth")
def _():
    text = probe("timer", *EXACT_TIME)
    for name in ("tsc_khz", "apic_khz"):
        expect(999_000 <= value(name, text) <= 1_001_000, f"{name} is {value(name, text)}, and 1000000 is true")


@cases("the timer fires once for each deadline, never early ({})", ("exact time", "real time"))
def _(kind):
    text = probe("timer", *(EXACT_TIME if kind == "exact time" else []))
    expect_equal((value("early", text), value("taken_back", text)), (0, 0), "early, taken back")
    if kind == "exact time":
        expect_equal((value("interrupts", text), value("ms", text)), (5, 100), "interrupts, ms")
    expect(value("ms", text) >= 100, f"five times 20 ms took {value('ms', text)} ms")


# --- serial ports -----------------------------------------------------------------------------------------------------

def talk(name, send):
    """Run a probe while @send talks to its second serial port; what the console said, and what @send gave."""
    with scratch() as folder:
        path = str(folder / "port2")
        words = [*QEMU, "-cpu", PROCESSOR, "-m", "64", "-serial", "stdio", "-serial", f"unix:{path},server=on,wait=off",
                 "-kernel", str(IMAGE), "-append", name]
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
        expect_equal(machine.returncode, DONE, f"exit status ({text[-500:]})")
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
    return bytes(received)


@case("50,000 bytes sent to a serial port come back as they were")
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


# --- discs ------------------------------------------------------------------------------------------------------------

def moved(image):
    """The image with a header that makes a multiboot 2 loader put it at 80 MiB or above."""
    tag = struct.pack("<HHIIIII", 10, 1, 24, 0x200000, 0xFFFFFFFF, 0x200000, 1)
    expect_equal(image.count(tag), 1, "relocation tags")
    return image.replace(tag, struct.pack("<HHIIIII", 10, 1, 24, 0x5000000, 0xFFFFFFFF, 0x200000, 1))


@shared
def disc(kind):
    """A disc image with the ground, where it is linked or moved, and two modules; made once."""
    folder = TREE / "build" / "ground"
    image, out = folder / f"{kind}.elf", folder / f"{kind}.iso"
    data = IMAGE.read_bytes()
    image.write_bytes(moved(data) if kind == "moved" else data)
    kernel, initrd = folder / "module0", folder / "module1"
    kernel.write_bytes(b"kernel" * 1000)
    initrd.write_bytes(b"initrd")
    names = {"ISO_HYPERVISOR": image, "ISO_KERNEL": kernel, "ISO_INITRD": initrd, "ISO_COMMAND": "info",
             "ISO_APPEND": "a b"}
    ended = subprocess.run([TREE / "scripts" / "iso", out], env=dict(os.environ, **{k: str(v) for k, v in names.items()}),
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    expect_equal(ended.returncode, 0, f"scripts/iso ({ended.stdout.decode()})")
    return out


def boot_disc(kind, *words, **machine):
    """Boot a disc and look at what GRUB gave."""
    status, text = boot("-cdrom", disc(kind), "-boot", "d", *words, seconds=120, **machine)
    expect_equal(status, DONE, f"exit status ({text[-1500:]})")
    expect_match("^loader=GRUB ", text, "loader")
    expect_match(r"\(multiboot 2\)", text, "protocol")
    for content, words_of in ((b"kernel" * 1000, "kernel protocol=linux -- a b"), (b"initrd", "initrd")):
        expect(f"module={len(content)} {sum_of(content):08x} [{words_of}]\n" in text, text)
    base = int(expect_match(r"^image=(\w+)", text, "image")[1], 16)
    expect(base >= 0x5000000 if kind == "moved" else base >= 0x200000, f"the image lies at {base:#x}")
    return text


@cases("GRUB boots it from a disc by BIOS, with {} MiB", (256, 6144))
def _(mebibytes):
    expect_equal(value("rsdp", boot_disc("linked", memory=mebibytes)), 20, "bytes of the ACPI pointer")


@cases("GRUB boots it from a disc by UEFI, with {} MiB", (256, 1024, 6144))
def _(mebibytes):
    if not UEFI.exists():
        raise Skipped(f"{UEFI} is not there")
    text = boot_disc("linked", "-bios", UEFI, memory=mebibytes)
    expect_equal(value("rsdp", text), 36, "bytes of the ACPI pointer")
    expect(mebibytes - 16 <= value("total", text) >> 20 <= mebibytes, "memory")


@cases("it runs where GRUB moved it to, by {}", ("BIOS", "UEFI"))
def _(firmware):
    if firmware == "UEFI" and not UEFI.exists():
        raise Skipped(f"{UEFI} is not there")
    boot_disc("moved", *(["-bios", UEFI] if firmware == "UEFI" else []), memory=512)
