"""What the benchmarks boot: built once into build/bench/ from Debian's packages and bench/'s sources."""

import dataclasses
import pathlib
import subprocess
import sys

from vmlib import cpio, debian, guests, places

BENCH = places.TREE / "bench"

# How the emulator's plugins are compiled.
PLUGIN = ["gcc", "-O2", "-shared", "-fPIC", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", f"-I{places.TREE}/include",
           f"-I{places.TREE}"]


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


def prepare(machine, guest_words):
    """Build what is missing or older than its source, for @machine; the guest is told @guest_words."""
    guest = guests.find(machine.guest)
    plugin = built("count.so", [BENCH / "count.c", BENCH / "hypervisor.c", BENCH / "guest_tables.c"], _headers(), PLUGIN)
    program = workload(guest.architecture)
    kernel = guests.prepare(guest).kernel
    initrd = folder() / f"initrd-{guest.architecture}.cpio"
    places.write_whole(initrd, _archive(program, guest.architecture).bytes())
    return Images(plugin, kernel, initrd, places.HYPERVISOR,
                  _kvm_initrd(kernel, initrd, guest_words) if machine.kvm else None, guest_words)


def recorder():
    """Build the plugin that writes traces for bench/vpid, if it is missing or older than its sources; returns its path."""
    vpid, library = BENCH / "vpid", places.TREE / "lib" / "x86"
    sources = [*(vpid / f"{name}.c" for name in ("record", "registers", "tables", "trace")),
               BENCH / "hypervisor.c", BENCH / "guest_tables.c",
               *(path for room in ("format", "insn", "mode", "walk") for path in sorted((library / room).glob("*.c")))]
    return built("record.so", sources, [*vpid.glob("*.h"), *_headers()], PLUGIN)


def _headers():
    """What a plugin may include."""
    return [path for pattern in ("bench/*.h", "include/vmmu/*.h", "hv/*/*.h", "hv/x86/*/*.h", "lib/x86/*/*.h")
            for path in places.TREE.glob(pattern)]


def built(name, sources, headers, compiler):
    out = folder() / name
    if not out.exists() or any(path.stat().st_mtime > out.stat().st_mtime for path in [*sources, *headers]):
        subprocess.run([*compiler, "-o", str(out), *map(str, sources)], check=True)
    return out


def workload(architecture):
    options = ["-O2", "-D_GNU_SOURCE", "-static", "-no-pie", "-s", "-Wall", "-Wextra", "-Werror"]
    source, headers = BENCH / "guest" / "workload.c", [BENCH / "mark.h"]
    if architecture == "amd64":
        return built("workload-amd64", [source], headers,
                      ["musl-gcc", *options, "-idirafter", "/usr/include",
                       "-idirafter", "/usr/include/x86_64-linux-gnu"])
    # Debian's compiler makes 32-bit code; what else that takes comes from packages of that architecture, unpacked only.
    packages = debian.Packages()
    with packages.alone():
        musl = packages.tree(f"musl-dev:{architecture}", keep=("usr/",)) / "usr"
        support = packages.tree(f"libgcc-12-dev:{architecture}", keep=("usr/lib/gcc/",))
    library = musl / "lib" / f"{architecture}-linux-musl"
    own = subprocess.run(["gcc", "-print-file-name=include"], check=True, text=True,
                         stdout=subprocess.PIPE).stdout.strip()
    return built(f"workload-{architecture}",
                  [library / "crt1.o", library / "crti.o", source, library / "libc.a",
                   next(support.rglob("libgcc.a")), library / "crtn.o"], headers,
                  ["gcc", "-m32", "-march=i686", "-fno-pie", "-fno-stack-protector", *options, "-nostdlib", "-nostdinc",
                   "-isystem", str(musl / "include" / f"{architecture}-linux-musl"), "-isystem", own,
                   "-idirafter", "/usr/include"])


def busybox(architecture):
    """Debian's static busybox, as bytes."""
    return (debian.Packages().tree(f"busybox-static:{architecture}", keep=("bin/",)) / "bin" / "busybox").read_bytes()


def _archive(workload, architecture):
    archive = cpio.Archive()
    for name in ("bin", "dev", "proc"):
        archive.folder(name)
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3)
    archive.file("bin/busybox", busybox(architecture), 0o755)
    archive.file("bin/workload", workload.read_bytes(), 0o755)
    archive.file("init", (BENCH / "guest" / "init").read_bytes(), 0o755)
    return archive


def _kvm_initrd(kernel, initrd, guest_words):
    from . import kvm  # only where it is asked for: it fetches the kernel's modules

    return kvm.initrd(folder(), kernel, initrd, guest_words)


def die(sentence):
    """Leave with a message."""
    sys.exit(f"bench: {sentence}")
