"""The disc image: GRUB loads the hypervisor by multiboot 2, under BIOS and under UEFI, and the guest runs."""

import os
import pathlib
import subprocess

import byhand
import front
from tap import Skipped, cases, expect, expect_equal, expect_match, shared
from vmlib import bochs, cpio, guests, hosts, outcome

FIRMWARE = {"BIOS": [], "UEFI": ["-bios", "/usr/share/ovmf/OVMF.fd"]} if hosts.HOSTS[front.host].kind == "qemu" else {"BIOS": []}
COMMAND = b"uname -a >/dev/ttyS1; exit 33\n"
MEMORY_BYTES = 1 << 30


@shared
def image():
    """An image whose guest runs COMMAND and leaves."""
    if front.mmu == "none":
        raise Skipped("there is no hypervisor")
    work = cpio.Archive()
    work.file("etc/vmmu/mode", b"run\n")
    work.file("etc/vmmu/command", COMMAND)
    built = guests.prepare(guests.find("debian-amd64"), unpacked=hosts.HOSTS[front.host].slow)
    folder = front.TREE / "build" / "test"
    initrd = folder / "iso-initrd.cpio"
    initrd.write_bytes(built.initrd.read_bytes() + work.bytes())
    path = folder / "test.iso"
    environment = dict(os.environ, ISO_KERNEL=str(built.kernel), ISO_INITRD=str(initrd), ISO_MEMORY="256M",
                       ISO_APPEND=f"{guests.COMMAND_LINE} {guests.SLOW} quiet",
                       ISO_COMMAND=f"memory=256M mmu={front.mmu}")
    made = subprocess.run(["scripts/iso", str(path)], cwd=front.TREE, env=environment, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    expect_equal(made.returncode, 0, f"scripts/iso ({made.stdout[-500:]})")
    return path


@cases("the disc image boots by {} and its guest runs", FIRMWARE)
def _(firmware):
    path = image()
    with front.scratch() as name:
        folder = pathlib.Path(name)
        words = _bochs(folder, path) if hosts.HOSTS[front.host].kind == "bochs" else _qemu(path) + FIRMWARE[firmware]
        ended = byhand.finish(folder, words)
        output = (folder / "output").read_text(encoding="utf-8", errors="replace")
    ending = outcome.of_hypervisor(ended.status, ended.control, False, "")
    expect_equal((ending.kind, ending.value), ("debug-exit", 33), f"outcome ({ending.message}; {ended.console[-1500:]!r})")
    expect_match(r"^Linux vmmu 6\.1", output, "the guest's output")
    expect("GRUB" in ended.console or "GNU" in ended.console, "GRUB was not there")


def _qemu(path):
    words = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max,-la57", "-m", str(MEMORY_BYTES >> 20), "-display", "none",
             "-no-reboot", "-nic", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-cdrom", str(path), "-boot", "d"]
    return words + [word for port in byhand.PORTS for word in ("-serial", f"file:{port}")]


def _bochs(folder, path):
    drive = f'type=cdrom, path="{path}", status=inserted'
    return byhand.bochs_words(folder, bochs.configuration(byhand.usual_processor(), MEMORY_BYTES, drive, boot="cdrom"))
