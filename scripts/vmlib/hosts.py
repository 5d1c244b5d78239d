"""The hosts and techniques that the front door knows, as data. A host is an emulated machine that runs the hypervisor.

A technique that a host lacks is not listed with it. `none` is no technique: the guest stands on the emulated machine
itself, without the hypervisor, as the measure of what is right.
"""

import dataclasses
import shutil

from .status import refuse

NATIVE = "none"
SHADOW = "shadow"


@dataclasses.dataclass(frozen=True)
class Host:
    """An emulated machine."""

    name: str
    emulator: str
    package: str  # of Debian, that holds the emulator
    processor: str
    techniques: tuple
    says: str

    @property
    def installed(self):
        """Whether its emulator is on this machine."""
        return shutil.which(self.emulator) is not None


HOSTS = {
    host.name: host
    for host in (
        Host("amd", "qemu-system-x86_64", "qemu-system-x86", "max", ("nested", SHADOW, NATIVE),
             "AMD SVM, with nested paging and without, emulated by QEMU"),
    )
}

TECHNIQUES = {
    "nested": "the processor walks the guest's tables and ours (AMD NPT)",
    SHADOW: "the processor walks tables of ours in place of the guest's (AMD SVM without NPT)",
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
