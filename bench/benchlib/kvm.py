"""The Linux that hosts KVM: Debian's kernel, KVM's modules from its package, busybox, and bench/kvm/vmm.c."""

import subprocess

from vmlib import cpio, debian, guests, places

from . import images

MODULES = ("virt/lib/irqbypass", "arch/x86/kvm/kvm", "drivers/crypto/ccp/ccp", "arch/x86/kvm/kvm-amd")


def initrd(folder, kernel, guest_initrd, guest_words):
    """Build the archive into @folder: inside it a guest boots @kernel with @guest_initrd. Returns its path."""
    vmm = folder / "vmm"
    subprocess.run(["gcc", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o", str(vmm),
                    str(images.BENCH / "kvm" / "vmm.c")], check=True)
    archive = cpio.Archive()
    for name in ("bin", "dev", "guest", "lib", "proc", "sys"):
        archive.folder(name)
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3)
    archive.file("bin/busybox", images.busybox("amd64"), 0o755)
    archive.file("bin/vmm", vmm.read_bytes(), 0o755)
    archive.file("init", (images.BENCH / "kvm" / "init").read_bytes(), 0o755)
    archive.file("guest/vmlinuz", kernel.read_bytes())
    archive.file("guest/initrd", guest_initrd.read_bytes())
    archive.file("guest/command-line", guest_words.encode())
    for name, data in _modules(folder):
        archive.file(f"lib/{name}", data)
    path = folder / "kvm.cpio"
    places.write_whole(path, archive.bytes())
    return path


def _modules(folder):
    packages = debian.Packages()
    guest = guests.find("debian-amd64")
    package = packages.dependency(f"{guest.metapackage}:{guest.architecture}", guest.kernel_pattern)
    tree = packages.tree(package, keep=("boot/", "lib/modules/"))
    root = next((tree / "lib" / "modules").iterdir()) / "kernel"
    for module in MODULES:
        source = root / f"{module}.ko"
        stripped = folder / source.name
        subprocess.run(["strip", "-g", "-R", ".BTF", "-o", str(stripped), str(source)], check=True)
        yield source.name, stripped.read_bytes()
