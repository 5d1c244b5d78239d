"""The disc image: GRUB loads the hypervisor by multiboot 2, under BIOS and under UEFI, and the guest runs."""

import os
import subprocess

import front
from tap import Failed, Skipped, cases, expect, expect_equal, expect_match, shared
from vmlib import cpio, guests, outcome

FIRMWARE = {"BIOS": [], "UEFI": ["-bios", "/usr/share/ovmf/OVMF.fd"]}
COMMAND = b"uname -a >/dev/ttyS1; exit 33\n"


@shared
def image():
    """An image whose guest runs COMMAND and leaves."""
    if front.mmu == "none":
        raise Skipped("there is no hypervisor")
    work = cpio.Archive()
    work.file("etc/vmmu/mode", b"run\n")
    work.file("etc/vmmu/command", COMMAND)
    built = guests.prepare(guests.find("debian-amd64"))
    folder = front.TREE / "build" / "test"
    initrd = folder / "iso-initrd.cpio"
    initrd.write_bytes(built.initrd.read_bytes() + work.bytes())
    path = folder / "test.iso"
    environment = dict(os.environ, ISO_KERNEL=str(built.kernel), ISO_INITRD=str(initrd), ISO_MEMORY="256M",
                       ISO_APPEND=f"{guests.COMMAND_LINE} quiet")
    made = subprocess.run(["scripts/iso", str(path)], cwd=front.TREE, env=environment, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    expect_equal(made.returncode, 0, f"scripts/iso ({made.stdout[-500:]})")
    return path


@cases("the disc image boots by {} and its guest runs", FIRMWARE)
def _(firmware):
    path = image()
    with front.scratch() as folder:
        files = {port: os.path.join(folder, port) for port in ("console", "control", "output", "errors")}
        words = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max,-la57", "-m", "1G", "-display", "none", "-no-reboot",
                 "-nic", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-cdrom", str(path), "-boot", "d"]
        for file in files.values():
            words += ["-serial", f"file:{file}"]
        try:
            ended = subprocess.run(words + FIRMWARE[firmware], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, timeout=front.BOOT_SECONDS, check=False)
            said = {port: _text(file) for port, file in files.items()}
        except subprocess.TimeoutExpired:
            raise Failed(f"not over in time; console: {_text(files['console'])[-1500:]!r}") from None
    ending = outcome.of_hypervisor(ended.returncode, said["control"], False, "")
    expect_equal((ending.kind, ending.value), ("debug-exit", 33), f"outcome ({ending.message}; {said['console'][-1500:]!r})")
    expect_match(r"^Linux vmmu 6\.1", said["output"], "the guest's output")
    expect("GRUB" in said["console"] or "GNU" in said["console"], "GRUB was not there")


def _text(path):
    with open(path, encoding="utf-8", errors="replace") as text:
        return text.read()
