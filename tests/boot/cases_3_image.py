"""scripts/vm boot: any image, the debug-exit port as QEMU has it, guests that die, images that are broken."""

import json
import os
import struct

import front
import images
from tap import Skipped, case, cases, expect, expect_equal, expect_match
from vmlib import cpio, guests, hosts, status

VALUES = (0, 1, 5, 127, 128, 255)
MULTIBOOT = ("--protocol", "multiboot", "--memory", "64M")


def boot_code(code, *words, name="kernel.elf", **shape):
    """Boot a multiboot kernel of these instructions."""
    return boot_bytes(images.kernel(code, **shape), *MULTIBOOT, *words, name=name)


def boot_bytes(image, *words, name="kernel"):
    """Boot an image of these bytes."""
    with front.scratch() as folder:
        path = os.path.join(folder, name)
        with open(path, "wb") as out:
            out.write(image)
        return front.boot("--kernel", path, *words)


def hypervisor_only():
    """Skip where the case is about the hypervisor and there is none."""
    if front.mmu == "none":
        raise Skipped("there is no hypervisor")


@cases("the value {} at the debug-exit port becomes the exit status that QEMU's device gives", VALUES)
def _(value):
    ended = boot_code(images.debug_exit(value))
    expect_equal(ended.status, (value << 1 | 1) & 0xFF, f"exit status ({ended})")


@case("what the image says on its first serial port is the output")
def _():
    ended = boot_code(images.say("hello, vmmu\n") + images.debug_exit(3))
    expect_equal(ended.status, 7, "exit status")
    expect_match(r"^hello, vmmu$", ended.out, "output")


@case("file names and module strings with spaces and commas reach the guest as they are")
def _():
    # Print the string of module 0 (the information structure is at EBX), then leave.
    code = bytes.fromhex("8B7318 8B7608 AC 84C0 7407 66BAF803 EE EBF4") + images.debug_exit(0)
    code = images.say("<") + code
    with front.scratch() as folder:
        module = os.path.join(folder, "a module, of sorts")
        with open(module, "wb") as out:
            out.write(b"content")
        os.symlink(module, os.path.join(folder, "plain"))
        words = ("--initrd", os.path.join(folder, "plain") + " one, two and -- three")
        ended = boot_code(code, *words, name="kernel, or so.elf")
        expect_equal(ended.status, 1, f"exit status ({ended})")
        expect_match(r"<(\w+ )?one, two and -- three", ended.out, "module string")
        ended = boot_code(code, "--initrd", module)
        expect_equal(ended.status, 1, f"exit status ({ended})")


@case("a guest with a triple fault is reported as dead, with its own status")
def _():
    ended = boot_code(images.TRIPLE_FAULT)
    expect_equal(ended.status, status.GUEST_DIED, f"exit status ({ended})")
    expect_match("^vm: the guest died: .*triple fault", ended.err, "errors")


@case("the report of a triple fault holds the outcome, the registers and the last exits")
def _():
    hypervisor_only()
    with front.scratch() as folder:
        path = os.path.join(folder, "stats.json")
        ended = boot_code(images.TRIPLE_FAULT, "--stats", path)
        expect_equal(ended.status, status.GUEST_DIED, f"exit status ({ended})")
        with open(path, encoding="utf-8") as text:
            report = json.load(text)
    expect_equal(report["outcome"]["kind"], "stopped", "outcome")
    processor = report["vps"][0]
    expect(len(processor["trace"]) > 0, "the trace is empty")
    rip = int(processor["registers"]["rip"], 16)
    expect(images.LOAD_ADDRESS <= rip < images.LOAD_ADDRESS + 0x100, f"RIP {rip:#x} is not in the image")


@case("--timeout ends an image that hangs")
def _():
    ended = boot_code(images.HANG, "--timeout", "5")
    expect_equal(ended.status, status.TIMED_OUT, f"exit status ({ended})")


@case("a guest that halts with interrupts off, which nothing can wake, has died")
def _():
    hypervisor_only()
    ended = boot_code(images.HALT, "--timeout", "60")
    expect_equal(ended.status, status.GUEST_DIED, f"exit status ({ended})")


@case("Linux boots as any other image, with two initrds behind each other")
def _():
    work = cpio.Archive()
    work.file("etc/vmmu/mode", b"run\n")
    work.file("etc/vmmu/command", b"test -x /bin/busybox && exit 41\n")
    slow = hosts.HOSTS[front.host].slow
    built = guests.prepare(guests.find("debian-amd64"), unpacked=slow)
    with front.scratch() as folder:
        path = os.path.join(folder, "work.cpio")
        with open(path, "wb") as out:
            out.write(work.bytes())
        ended = front.boot("--kernel", built.kernel, "--initrd", built.initrd, "--initrd", path,
                           "--append", guests.COMMAND_LINE + (f" {guests.SLOW}" if slow else ""))
    expect_equal(ended.status, 41 << 1 | 1, f"exit status ({ended})")
    expect_match(r"Kernel command line: .*console=ttyS0,115200", ended.out, "console")


GOOD = images.kernel(images.debug_exit(0))
BROKEN = {
    "an empty file": b"",
    "a text": b"not a kernel\n" * 100,
    "half of its headers": GOOD[:60],
    "the half of its segment": GOOD[:len(GOOD) - 20],
    "no multiboot header": GOOD.replace(struct.pack("<I", images.MULTIBOOT_MAGIC), bytes(4)),
    "a wrong checksum": GOOD.replace(struct.pack("<I", -images.MULTIBOOT_MAGIC & 0xFFFFFFFF), bytes(4)),
    "a segment past the guest's memory": images.kernel(images.debug_exit(0), load=0xF0000000),
    "a segment in the hole below 1 MiB": images.kernel(images.debug_exit(0), load=0xF0000),
    "a program for another processor": images.kernel(images.debug_exit(0), machine=8),
    "program headers outside the file": GOOD[:28] + struct.pack("<I", 0x7FFFFFFF) + GOOD[32:],
    "more program headers than it holds": GOOD[:44] + struct.pack("<H", 0xFFFF) + GOOD[46:],
}


@cases("a multiboot image that is {} is refused with a sentence", BROKEN)
def _(name):
    hypervisor_only()
    ended = boot_bytes(BROKEN[name], *MULTIBOOT)
    expect_equal(ended.status, status.REFUSED, f"exit status ({ended})")
    expect_match(r"^vm: the hypervisor refused: .*\w", ended.err, "errors")


LINUX_BROKEN = {
    "an empty file": lambda kernel: b"",
    "a text": lambda kernel: b"not a kernel\n" * 200,
    "cut off in its setup": lambda kernel: kernel[:0x210],
    "cut off behind its setup": lambda kernel: kernel[:(kernel[0x1F1] + 1) * 512],
    "of a protocol from before 2.00": lambda kernel: kernel[:0x206] + b"\x00\x01" + kernel[0x208:],
    "without its signature": lambda kernel: kernel[:0x202] + b"XXXX" + kernel[0x206:],
    "a liar about the size of its setup": lambda kernel: kernel[:0x1F1] + b"\xff" + kernel[0x1F2:0x4000],
}


@cases("a Linux image that is {} is refused with a sentence", LINUX_BROKEN)
def _(name):
    hypervisor_only()
    kernel = guests.prepare(guests.find("debian-amd64")).kernel.read_bytes()
    ended = boot_bytes(LINUX_BROKEN[name](kernel), "--memory", "128M")
    expect_equal(ended.status, status.REFUSED, f"exit status ({ended})")
    expect_match(r"^vm: the hypervisor refused: .*\w", ended.err, "errors")
