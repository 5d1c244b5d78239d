"""The machines that are measured, as data: how the emulator is called, and what rows their counts make."""

import dataclasses
import json
from typing import Callable

from . import counts, memory

MEMORY = "256"

# Virtual time goes by instructions; nothing from outside comes in. A run repeats bit for bit.
EXACT = ["-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01,clock=vm", "-seed", "1", "-nic", "none",
         "-display", "none", "-no-reboot"]
EMULATOR = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max,-la57"]

# Where Debian's kernel begins to run its own code, once it is decompressed.
KERNEL_ENTRY = "0x1000000"

GUEST_WORDS = "console=ttyS0 nokaslr reboot=t panic=-1 pci=off quiet"


def guest_words(workload):
    """The guest's command line: it runs all workloads, or that one, or (boot) none."""
    if workload is None:
        return f"{GUEST_WORDS} bench.workload"
    return GUEST_WORDS if workload == counts.BOOT else f"{GUEST_WORDS} bench.workload={workload}"


@dataclasses.dataclass(frozen=True)
class Machine:
    """One machine under measurement."""

    technique: str
    says: str
    build: Callable
    kvm: bool = False
    words: str = ""
    guest: str = "debian-amd64"
    workload: str = None  # that it runs alone; then its page tables are all that is wanted of it

    def command(self, images, folder, asked=""):
        """The emulator's arguments; it runs in @folder and writes the counts there. @asked: more for the plugin."""
        plugin = ["-plugin", f"{images.plugin},out=counts,entry={KERNEL_ENTRY}{asked}"]
        return EMULATOR + EXACT + plugin + self.build(self, images, folder)

    @property
    def ours(self):
        """Whether our own hypervisor runs there."""
        return self.build is _hypervisor

    @property
    def shadows(self):
        """Whether our own hypervisor runs there with shadow paging."""
        return self.ours and "mmu=shadow" in self.words

    def rows(self, marks, folder):
        """The rows of a run whose marks are @marks."""
        rows = []
        if self.workload is None:
            pages = _table_pages(folder / "control")
            rows = [_row(self, phase, pages) for phase in counts.phases(marks)]
        if self.shadows and counts.passed(marks, counts.TABLES):
            rows.append(memory.row(self.guest, marks, (folder / "console").read_bytes().decode(errors="replace")))
        return rows


def _row(machine, phase, pages):
    workload, operations, first, last = phase
    instructions = last.all - first.all
    guest = last.guest - first.guest
    native = machine.technique == "native"
    return {"host": "amd", "technique": machine.technique, "workload": workload, "instructions": instructions,
            "hv_instructions": 0 if native else instructions - guest, "exits": last.entries - first.entries,
            "operations": operations, "table_pages_peak": pages}


def _table_pages(path):
    """The peak of table pages that our hypervisor reports; None for others."""
    if not path.exists():
        return None
    return json.loads(path.read_text().splitlines()[-1])["mmu"]["table_pages_peak"]


def _native(machine, images, folder):
    del machine, folder
    return ["-M", "microvm,pit=on,pic=on,rtc=on,isa-serial=on,acpi=off,auto-kernel-cmdline=off", "-m", MEMORY,
            "-serial", "stdio", "-kernel", str(images.kernel), "-initrd", str(images.initrd), "-append",
            images.guest_words]


def _hypervisor(machine, images, folder):
    for name, target in (("kernel", images.kernel), ("initrd", images.initrd)):
        (folder / name).symlink_to(target.resolve())
    modules = f"kernel kernel protocol=linux -- {images.guest_words}".replace(",", ",,") + ",initrd initrd"
    return ["-m", "512", "-object", "memory-backend-memfd,id=memory,size=512M", "-machine", "memory-backend=memory",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-serial", "stdio", "-serial",
            "file:control", "-kernel", str(images.hypervisor), "-append",
            f"memory={MEMORY}M firmware=mp {machine.words}", "-initrd", modules]


def _kvm(machine, images, folder):
    del folder
    return ["-m", "1024", "-serial", "stdio", "-kernel", str(images.kernel), "-initrd", str(images.kvm_initrd),
            "-append", f"console=ttyS0 nokaslr reboot=t panic=-1 quiet {machine.words}"]


MACHINES = {
    "native": Machine("native", "the guest straight on the emulated machine", _native),
    "nested": Machine("nested", "under the hypervisor, nested paging", _hypervisor, words="mmu=nested"),
    "shadow": Machine("shadow", "under the hypervisor, shadow paging", _hypervisor, words="mmu=shadow"),
    "shadow-pae": Machine("shadow", "page tables of a 32-bit guest with PAE, shadow paging", _hypervisor,
                          words="mmu=shadow", guest="debian-i386-pae", workload="memory"),
    "shadow-32bit": Machine("shadow", "page tables of a 32-bit guest without PAE, shadow paging", _hypervisor,
                            words="mmu=shadow", guest="debian-i386", workload="memory"),
    "nested-plain": Machine("nested-plain", "the same without the Hyper-V interface", _hypervisor,
                            words="mmu=nested enlightenments=off"),
    "kvm-nested": Machine("kvm-nested", "under KVM, nested paging, its own clock (some minutes)", _kvm, kvm=True,
                          words="kvm.npt=1"),
    "kvm-shadow": Machine("kvm-shadow", "under KVM, shadow paging, its own clock (some minutes)", _kvm, kvm=True,
                          words="kvm.npt=0"),
}
