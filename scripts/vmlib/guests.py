"""The guests that the front door offers: Debian's own kernels, with a small file system that lives in memory.

A guest is a kernel and an initramfs under build/guests/NAME/. The kernel is Debian's package as it is, or built from its
sources where Debian has none for the processor; the initramfs is busybox of the same architecture and the programs of
scripts/guest/. Work for the guest (a command, files) comes as a second archive behind it, so that one initramfs serves all
runs.
"""

import dataclasses
import pathlib

from . import cpio, crossbuilt, debian, hosts, images, kernels, places, progress
from .status import refuse


@dataclasses.dataclass(frozen=True)
class Guest:
    """A Debian kernel, and how to find it."""

    name: str
    architecture: str
    metapackage: str
    kernel_pattern: str
    paging: str
    most_memory: int  # bytes that its paging can use
    # The image that boots in its place and starts it as its first domain; with words for the two command lines.
    under: str = ""
    under_words: str = ""
    words: str = ""
    words_of_several: str = ""  # more of them where it has more than one processor
    family: str = hosts.PC

    @property
    def folder(self):
        """Where its images lie once they are built."""
        return places.GUESTS / (self.name if self.family == hosts.PC else E500)


GIB = 1 << 30
# Linux for an e500, and where what is built of it lies; U-Boot's is the same.
E500 = "linux-e500"
# What its kernel maps at once: it is built without high memory.
E500_MOST = 768 << 20

# A kernel in a domain is entered at CPL 3, where the emulator's IRET stumbles over SMAP (docs/caveats.md).
XEN_WORDS = "smap=no loglvl=warning"

# Where retpolines are on, Debian's 32-bit kernels call the hypercall page wrongly when they flush on other processors
# (docs/caveats.md).
CALL_WORDS = "spectre_v2=off"

GUESTS = {
    guest.name: guest
    for guest in (
        Guest("debian-amd64", "amd64", "linux-image-amd64", r"linux-image-[0-9].*-amd64",
              "4-level, 5-level with --la57", 1024 * GIB),
        Guest("debian-i386-pae", "i386", "linux-image-686-pae", r"linux-image-[0-9].*-686-pae",
              "PAE with NX", 64 * GIB, words_of_several=CALL_WORDS),
        Guest("debian-i386", "i386", "linux-image-686", r"linux-image-[0-9].*-686",
              "32-bit with 4 MiB pages", 4 * GIB, words_of_several=CALL_WORDS),
        Guest("debian-xen", "amd64", "linux-image-amd64", r"linux-image-[0-9].*-amd64",
              "4-level, written by Xen for its first domain", 1024 * GIB, "xen", XEN_WORDS, "console=hvc0"),
        Guest(E500, "powerpc", "", "", "its own TLB, which the kernel writes", E500_MOST, family=hosts.E500),
        Guest("linux-e500-u-boot", "powerpc", "", "", "the same, loaded and started by U-Boot", E500_MOST, "u-boot",
              family=hosts.E500),
    )
}

DEFAULT_GUESTS = {hosts.PC: "debian-amd64", hosts.E500: E500}

# Word order is the order of the guest's command line; the user's --append comes last and wins.
COMMAND_LINE = "console=ttyS0,115200 nokaslr panic=-1 pci=off"
COMMAND_LINES = {hosts.PC: COMMAND_LINE, hosts.E500: "console=ttyS0,115200 panic=-1"}
# The second word silences what the kernel takes for errors: a machine without PCI, above all.
QUIET = "quiet loglevel=3"
# On a slow host, Bochs: what takes longest and shows least; and an instruction that its later models get wrong
# (docs/caveats.md).
SLOW = "cryptomgr.notests clearcpuid=xsavec"


@dataclasses.dataclass(frozen=True)
class Images:
    """What a partition boots from."""

    kernel: pathlib.Path
    initrd: pathlib.Path
    under: pathlib.Path = None  # what boots in place of the kernel


def find(name):
    """The guest of that name."""
    if name not in GUESTS:
        raise refuse(f"there is no guest {name}; the guests are {', '.join(GUESTS)}")
    return GUESTS[name]


def installed(guest):
    """Whether its images are built."""
    kernel = crossbuilt.built(guest.folder) if guest.family == hosts.E500 else (guest.folder / "vmlinuz").exists()
    return (kernel and (guest.folder / "initrd.cpio").exists()
            and (not guest.under or images.installed(images.find(guest.under))))


def prepare(guest, packages=None, unpacked=False):
    """Fetch and build what is missing of @guest, and return its images. The kernel may be wanted @unpacked."""
    packages = packages or debian.Packages()
    under = images.prepare(images.find(guest.under), packages) if guest.under else None
    if guest.family == hosts.E500:
        return _prepare_e500(guest, packages, under)
    packed = guest.folder / "vmlinuz"
    made = Images(guest.folder / "unpacked" if unpacked else packed, guest.folder / "initrd.cpio", under)
    with packages.alone():
        if not packed.exists():
            progress.say(f"preparing guest {guest.name}")
            places.write_whole(packed, _kernel(guest, packages).read_bytes())
        if unpacked and (not made.kernel.exists() or packed.stat().st_mtime > made.kernel.stat().st_mtime):
            progress.say(f"unpacking the kernel of guest {guest.name}")
            places.write_whole(made.kernel, kernels.unpacked(packed.read_bytes()))
        if not made.initrd.exists() or _newest_program() > made.initrd.stat().st_mtime:
            busybox = packages.tree(f"busybox-static:{guest.architecture}", keep=("bin/",)) / "bin" / "busybox"
            places.write_whole(made.initrd, base_archive(busybox.read_bytes()))
    return made


def _prepare_e500(guest, packages, under):
    made = Images(guest.folder / ("uImage" if under else "vmlinux"), guest.folder / "initrd.cpio", under)
    with packages.alone("building"):
        crossbuilt.build(guest.folder, packages)
        busybox = guest.folder / "busybox"
        if not made.initrd.exists() or max(_newest_program(), busybox.stat().st_mtime) > made.initrd.stat().st_mtime:
            places.write_whole(made.initrd, base_archive(busybox.read_bytes()))
    return made


def base_archive(busybox):
    """The initramfs that every guest starts from, around the program @busybox (bytes)."""
    archive = cpio.Archive()
    for folder in ("bin", "dev", "etc", "lib", "mnt", "proc", "root", "run", "sbin", "sys",
                   "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin"):
        archive.folder(folder)
    archive.folder("tmp", 0o1777)
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3)
    archive.file("bin/busybox", busybox, 0o755)
    archive.link("bin/sh", "busybox")
    archive.tree(places.GUEST_PROGRAMS, "")
    return archive.bytes()


def extras(guest, names, packages=None):
    """The path of an archive that holds Debian packages @names, with the libraries they need, for use as an initrd.

    Documentation, translations and the like stay out; maintainer scripts do not run.
    """
    if guest.family != hosts.PC:
        raise refuse(f"--packages is for Debian's guests: Debian has no packages for {guest.name}")
    packages = packages or debian.Packages()
    path = guest.folder / f"extras-{'-'.join(sorted(names))}.cpio"
    with packages.alone():
        if not path.exists():
            progress.say(f"preparing {', '.join(names)} for guest {guest.name}")
            archive = cpio.Archive()
            for package, _ in packages.closure([f"{name}:{guest.architecture}" for name in names]):
                _add_programs(archive, packages.tree(package))
            places.write_whole(path, archive.bytes())
    return path


def _add_programs(archive, tree):
    for part in ("bin", "sbin", "lib", "lib64", "usr/bin", "usr/sbin", "usr/lib", "usr/libexec"):
        if (tree / part).is_dir():
            archive.tree(tree / part, part)


def _kernel(guest, packages):
    metapackage = f"{guest.metapackage}:{guest.architecture}"
    package = packages.dependency(metapackage, guest.kernel_pattern)
    images = sorted((packages.tree(package, keep=("boot/",)) / "boot").glob("vmlinuz-*"))
    if not images:
        raise refuse(f"Debian's {package} holds no kernel")
    return images[0]


def _newest_program():
    return max(path.stat().st_mtime for path in places.GUEST_PROGRAMS.rglob("*"))
