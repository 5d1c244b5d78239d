"""What the benchmarks boot: built once into build/bench/ from Debian's packages and bench/'s sources."""

import dataclasses
import pathlib
import subprocess
import sys

from vmlib import cpio, debian, guests, places

BENCH = places.TREE / "bench"


@dataclasses.dataclass(frozen=True)
class Images:
    """Paths of everything that a run may need."""

    plugin: pathlib.Path
    kernel: pathlib.Path
    initrd: pathlib.Path
    hypervisor: pathlib.Path
    kvm_initrd: pathlib.Path
    guest_words: str


def folder():
    """Where they lie."""
    path = places.BUILD / "bench"
    path.mkdir(parents=True, exist_ok=True)
    return path


def prepare(kvm, guest_words):
    """Build what is missing or older than its source; the guest is told @guest_words."""
    guest = guests.find("debian-amd64")
    plugin = _built("count.so", [BENCH / "count.c", BENCH / "hypervisor.c"],
                    [BENCH / "hypervisor.h", *places.TREE.glob("include/vmmu/*.h"), *places.TREE.glob("hv/*/*.h")],
                    ["gcc", "-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-I{places.TREE}/include",
                     f"-I{places.TREE}"])
    workload = _built("workload", [BENCH / "guest" / "workload.c"], [BENCH / "mark.h"],
                      ["musl-gcc", "-O2", "-static", "-no-pie", "-s", "-Wall", "-Wextra", "-Werror",
                       "-idirafter", "/usr/include", "-idirafter", "/usr/include/x86_64-linux-gnu"])
    kernel = guests.prepare(guest).kernel
    initrd = folder() / "initrd.cpio"
    places.write_whole(initrd, _archive(workload).bytes())
    return Images(plugin, kernel, initrd, places.HYPERVISOR,
                  _kvm_initrd(kernel, initrd, guest_words) if kvm else None, guest_words)


def _built(name, sources, headers, compiler):
    out = folder() / name
    if not out.exists() or any(path.stat().st_mtime > out.stat().st_mtime for path in [*sources, *headers]):
        subprocess.run([*compiler, "-o", str(out), *map(str, sources)], check=True)
    return out


def busybox():
    """Debian's static busybox, as bytes."""
    return (debian.Packages().tree("busybox-static:amd64", keep=("bin/",)) / "bin" / "busybox").read_bytes()


def _archive(workload):
    archive = cpio.Archive()
    for name in ("bin", "dev", "proc"):
        archive.folder(name)
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3)
    archive.file("bin/busybox", busybox(), 0o755)
    archive.file("bin/workload", workload.read_bytes(), 0o755)
    archive.file("init", (BENCH / "guest" / "init").read_bytes(), 0o755)
    return archive


def _kvm_initrd(kernel, initrd, guest_words):
    from . import kvm  # only where it is asked for: it fetches the kernel's modules

    return kvm.initrd(folder(), kernel, initrd, guest_words)


def die(sentence):
    """Leave with a message."""
    sys.exit(f"bench: {sentence}")
