"""Images that Debian's packages hold beside Linux: whole programs that boot by themselves.

An image lies under build/guests/NAME/image, as the package has it but for compression: multiboot loaders unpack what they
load, and the hypervisor is given what they would give it.
"""

import dataclasses
import gzip

from . import debian, hosts, places, progress
from .status import refuse

GZIP_MAGIC = b"\x1f\x8b"


@dataclasses.dataclass(frozen=True)
class Image:
    """One file of a Debian package, and how it is entered."""

    name: str
    package: str  # name:architecture
    version: str  # a pattern of the package on which it depends and that holds the file, or "": it holds the file itself
    files: str  # a pattern of names in the package
    protocol: str
    words: str  # of its command line, before the user's
    says: str
    family: str = hosts.PC
    prompt: str = ""  # where it takes commands on its console, if it does

    @property
    def folder(self):
        """Where it lies once it is fetched."""
        return places.GUESTS / self.name

    @property
    def path(self):
        """The file itself."""
        return self.folder / "image"


# Xen takes the first word of a multiboot command line for its own name. COM1 is told without an interrupt: Xen polls it,
# and the fourth line stays free for a guest's COM3.
XEN_WORDS = "xen no-real-mode com1=115200,8n1,0x3f8,0 console=com1"

IMAGES = {
    image.name: image
    for image in (
        Image("memtest86+", "memtest86+:amd64", "", "boot/memtest86+x64.bin", "linux", "console=ttyS0,115200",
              "64-bit; tests all memory; Esc leaves"),
        Image("memtest86+ia32", "memtest86+:amd64", "", "boot/memtest86+ia32.bin", "linux", "console=ttyS0,115200",
              "the same, of 32 bits"),
        Image("xen", "xen-system-amd64:amd64", r"xen-hypervisor-[0-9.]+-amd64", "boot/xen-*.gz", "multiboot", XEN_WORDS,
              "4-level; --initrd gives it its first domain: kernel and command line, initrd"),
        Image("u-boot", "u-boot-qemu:amd64", "", "usr/lib/u-boot/qemu-ppce500/uboot.elf", "", "",
              "a boot loader with a prompt, for an e500; --payload gives it what to boot", hosts.E500, "=> "),
    )
}


def find(name):
    """The image of that name."""
    if name not in IMAGES:
        raise refuse(f"there is no image {name}; the images are {', '.join(IMAGES)}")
    return IMAGES[name]


def installed(image):
    """Whether it is here."""
    return image.path.exists()


def prepare(image, packages=None):
    """Fetch @image if it is missing, and return its path."""
    packages = packages or debian.Packages()
    with packages.alone():
        if not image.path.exists():
            progress.say(f"preparing image {image.name}")
            places.write_whole(image.path, _file(image, packages))
    return image.path


def _file(image, packages):
    """The bytes of the image, unpacked."""
    package = packages.dependency(image.package, image.version) if image.version else image.package
    found = sorted(packages.tree(package, keep=(f"{image.files.split('/')[0]}/",)).glob(image.files))
    if not found:
        raise refuse(f"Debian's {package} holds no {image.files}")
    data = found[0].read_bytes()
    return gzip.decompress(data) if data.startswith(GZIP_MAGIC) else data
