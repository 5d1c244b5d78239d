"""The hosts and techniques that the front door knows, as data. A host is an emulated machine that runs the hypervisor.

Hosts are of a family, which is what their guests see: a PC, or a board with an e500. Guests and images are of one, too.

A technique that a host lacks is not listed with it. `none` is no technique: the guest stands on the emulated machine
itself, without the hypervisor, as the measure of what is right.
"""

import dataclasses
import os
import shutil

from . import places
from .status import refuse

NATIVE = "none"
SHADOW = "shadow"
BOOKE = "booke"

PC, E500 = "pc", "e500"


@dataclasses.dataclass(frozen=True)
class Host:
    """An emulated machine."""

    name: str
    kind: str  # the emulator's name here: vmlib/qemu.py, vmlib/qemu_ppc.py, vmlib/bochs.py
    emulator: str  # its program
    files: tuple  # that it needs beside its program
    packages: tuple  # of Debian, that hold all of it
    processors: tuple  # that it can be; the first is what it is
    techniques: tuple  # the first is what it uses
    says: str
    family: str = PC
    five_levels: bool = False
    # A kernel that unpacks itself takes most of a minute there: guests get it unpacked, and without tests of its ciphers.
    slow: bool = False

    @property
    def installed(self):
        """Whether its emulator is on this machine."""
        return shutil.which(self.emulator) is not None and all(map(os.path.exists, self.files))

    @property
    def hypervisor(self):
        """The hypervisor that it runs."""
        return places.HYPERVISOR if self.family == PC else places.HYPERVISOR_PPC

    @property
    def ready(self):
        """Whether that is built, with what starts it."""
        return self.hypervisor.exists() and (self.family != PC or places.DISK_LOADER.exists())


FIRMWARE = ("/usr/share/bochs/BIOS-bochs-latest", "/usr/share/bochs/VGABIOS-lgpl-latest")
BOCHS_PACKAGES = ("bochs", "bochs-term", "bochsbios", "vgabios")
# The last one offers EPT, but no guest without paging on it: it is refused `nested`.
INTEL_PROCESSORS = ("corei7_haswell_4770", "corei7_skylake_x", "broadwell_ult", "corei3_cnl", "corei5_lynnfield_750")

HOSTS = {
    host.name: host
    for host in (
        Host("amd", "qemu", "qemu-system-x86_64", (), ("qemu-system-x86",), ("max",), ("nested", SHADOW, NATIVE),
             "AMD SVM, with nested paging and without, emulated by QEMU", five_levels=True),
        Host("intel", "bochs", "bochs", FIRMWARE, BOCHS_PACKAGES, INTEL_PROCESSORS, ("nested", SHADOW),
             "Intel VT-x, with EPT and without, emulated by Bochs", slow=True),
        Host("amd-bochs", "bochs", "bochs", FIRMWARE, BOCHS_PACKAGES, ("ryzen",), ("nested", SHADOW),
             "AMD SVM once more, emulated by Bochs", slow=True),
        Host("ppc", "qemu-ppc", "qemu-system-ppc", (), ("qemu-system-ppc",), ("e500v2",), (BOOKE, NATIVE),
             "PowerPC e500v2 (Book-E), emulated by QEMU", family=E500),
    )
}

TECHNIQUES = {
    "nested": "the processor walks the guest's tables and ours (AMD NPT, Intel EPT)",
    SHADOW: "the processor walks tables of ours in place of the guest's (AMD SVM without NPT, Intel VT-x)",
    BOOKE: "the processor has a TLB only, which the guest writes by instructions that trap (PowerPC Book-E)",
    NATIVE: "no hypervisor: the same guest straight on the emulated machine, for comparison",
}

# How an image is entered: by a protocol with a name, the usual one first; on a board, as ePAPR has it, whatever it is.
PROTOCOLS = {PC: ("linux", "multiboot"), E500: ("",)}

DEFAULT_HOST = "amd"


def default_technique(name):
    """The technique of the host @name that is taken if none is named; the usual one's where there is no such host."""
    return HOSTS.get(name, HOSTS[DEFAULT_HOST]).techniques[0]


def find(name, technique):
    """The host @name, once it is sure that it offers @technique."""
    if name not in HOSTS:
        raise refuse(f"there is no host {name}; the hosts are {', '.join(HOSTS)}")
    if technique not in TECHNIQUES:
        raise refuse(f"there is no technique {technique}; the techniques are {', '.join(TECHNIQUES)}")
    host = HOSTS[name]
    if technique not in host.techniques:
        raise refuse(f"host {name} has no {technique}; it has {', '.join(host.techniques)}")
    return host


def find_processor(host, name, la57):
    """The processor @name of @host, or its usual one for None; @la57 wants one with five-level paging."""
    if la57 and not host.five_levels:
        raise refuse(f"host {host.name} has no processor with five-level paging")
    if name is not None and name not in host.processors:
        raise refuse(f"host {host.name} has no processor {name}; it has {', '.join(host.processors)}")
    return name or host.processors[0]
