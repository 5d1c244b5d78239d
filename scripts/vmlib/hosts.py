"""The hosts and techniques that the front door knows, as data. A host is an emulated machine that runs the hypervisor.

A technique that a host lacks is not listed with it. `none` is no technique: the guest stands on the emulated machine
itself, without the hypervisor, as the measure of what is right.
"""

import dataclasses
import os
import shutil

from .status import refuse

NATIVE = "none"
SHADOW = "shadow"


@dataclasses.dataclass(frozen=True)
class Host:
    """An emulated machine."""

    name: str
    kind: str  # the emulator's name here: vmlib/qemu.py, vmlib/bochs.py
    emulator: str  # its program
    files: tuple  # that it needs beside its program
    packages: tuple  # of Debian, that hold all of it
    processors: tuple  # that it can be; the first is what it is
    techniques: tuple
    says: str
    five_levels: bool = False
    # A kernel that unpacks itself takes most of a minute there: guests get it unpacked, and without tests of its ciphers.
    slow: bool = False

    @property
    def installed(self):
        """Whether its emulator is on this machine."""
        return shutil.which(self.emulator) is not None and all(map(os.path.exists, self.files))


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
    )
}

TECHNIQUES = {
    "nested": "the processor walks the guest's tables and ours (AMD NPT, Intel EPT)",
    SHADOW: "the processor walks tables of ours in place of the guest's (AMD SVM without NPT, Intel VT-x)",
    NATIVE: "no hypervisor: the same guest straight on the emulated machine, for comparison",
}

DEFAULT_HOST = "amd"
DEFAULT_TECHNIQUE = "nested"


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
