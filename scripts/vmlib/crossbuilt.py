"""Linux and its user space for e500v2, which Debian has no packages for: built from Debian's sources by its cross compiler.

The recipe is in scripts/guest-e500/: what is on in the kernel and in busybox; the rest is off. What is built lies in a folder as
`vmlinux` (ELF), `uImage` (the same as U-Boot boots it) and `busybox`, each beside the mark of the recipe it was built by: a
changed recipe builds anew.
"""

import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import zlib

from . import places, progress
from .status import refuse

PREFIX = "powerpc-linux-gnu-"
# What must be here, and Debian's packages that have it.
TOOLS = {f"{PREFIX}gcc": "gcc-powerpc-linux-gnu", "make": "make", "gcc": "gcc", "flex": "flex", "bison": "bison", "bc": "bc",
         "bzip2": "bzip2", "xz": "xz-utils", "/usr/powerpc-linux-gnu/include/stdio.h": "libc6-dev-powerpc-cross",
         "/usr/include/stdio.h": "libc6-dev"}

KERNEL_SOURCE = "linux-source-6.1"
KERNEL_ARCHIVE = "usr/src/linux-source-*.tar.xz"
BUSYBOX_SOURCE, BUSYBOX_ARCHIVE = "busybox", "busybox_*.orig.tar.*"

# Most of Linux is for other machines. What is configured is read whole (Kconfig), so only C stays where it is.
NOT_UNPACKED = ("*/Documentation/[!K]*", "*/arch/[!p]*/*.[chS]", "*/drivers/gpu/*.[ch]", "*/drivers/media/*.[ch]", "*/drivers/staging/*.[ch]",
                "*/drivers/net/ethernet/*.[ch]", "*/drivers/net/wireless/*.[ch]", "*/sound/*.[ch]", "*/tools/testing/*")

# An e500v2 has no floating-point registers: each access to one is a trap, which Linux emulates. With those fixed that calls
# preserve, functions that may use one need not save it each time.
BUSYBOX_FLAGS = " ".join(["-mcpu=8548", *(f"-ffixed-fr{number}" for number in range(14, 32))])

# So that the same sources make the same image.
KERNEL_WORDS = ("KBUILD_BUILD_TIMESTAMP=1970-01-01", "KBUILD_BUILD_USER=vmmu", "KBUILD_BUILD_HOST=vmmu")

PT_LOAD = 1
UIMAGE_MAGIC, UIMAGE_LINUX, UIMAGE_POWERPC, UIMAGE_KERNEL, UIMAGE_PLAIN = 0x27051956, 5, 7, 2, 0


def built(folder):
    """Whether all of it is in @folder, by the recipe as it is."""
    return (_made(folder / "vmlinux", _kernel_recipe()) and _made(folder / "busybox", _busybox_recipe())
            and (folder / "uImage").exists())


def build(folder, packages):
    """Build in @folder what is missing there."""
    if not _made(folder / "busybox", _busybox_recipe()):
        _need_tools()
        with _workshop(folder) as work:
            _keep(folder / "busybox", _busybox(work, packages), _busybox_recipe())
    if not _made(folder / "vmlinux", _kernel_recipe()):
        _need_tools()
        with _workshop(folder) as work:
            _keep(folder / "vmlinux", _kernel(work, packages), _kernel_recipe())
            (folder / "uImage").unlink(missing_ok=True)
    if not (folder / "uImage").exists():
        places.write_whole(folder / "uImage", uimage((folder / "vmlinux").read_bytes()))


def uimage(elf):
    """The kernel of the ELF32 file @elf (bytes) as U-Boot takes it: its memory from address 0 on, which is its entry.

    Spec: U-Boot "Legacy uImage format".
    """
    table, = struct.unpack_from(">I", elf, 28)
    size, count = struct.unpack_from(">HH", elf, 42)
    memory = bytearray()
    for at in range(count):
        kind, offset, _, address, length = struct.unpack_from(">5I", elf, table + at * size)
        if kind == PT_LOAD and length:
            memory += bytes(max(0, address + length - len(memory)))
            memory[address:address + length] = elf[offset:offset + length]
    head = struct.pack(">7I4B32s", UIMAGE_MAGIC, 0, 0, len(memory), 0, 0, zlib.crc32(memory),
                       UIMAGE_LINUX, UIMAGE_POWERPC, UIMAGE_KERNEL, UIMAGE_PLAIN, b"Linux")
    return head[:4] + struct.pack(">I", zlib.crc32(head)) + head[8:] + memory


def _kernel(work, packages):
    """The bytes of a kernel built in @work."""
    with packages.alone():
        package = packages.tree(f"{KERNEL_SOURCE}:amd64", keep=("usr/src/",))
    archives = sorted(package.glob(KERNEL_ARCHIVE))
    if not archives:
        raise refuse(f"Debian's {KERNEL_SOURCE} holds no sources")
    progress.say("building Linux for e500v2 from Debian's sources: some minutes")
    source = _unpacked(archives[0], work, NOT_UNPACKED)
    fragment = places.GUEST_E500 / "kernel.config"
    words = ["ARCH=powerpc", f"CROSS_COMPILE={PREFIX}", f"O={work}/out", *KERNEL_WORDS]
    _make(work, source, [*words, f"KCONFIG_ALLCONFIG={fragment}", "allnoconfig"])
    check(fragment, work / "out" / ".config")
    _make(work, source, [*words, "vmlinux"])
    return _stripped(work / "out" / "vmlinux")


def _busybox(work, packages):
    """The bytes of a busybox built in @work."""
    with packages.alone():
        archive = packages.source(BUSYBOX_SOURCE, BUSYBOX_ARCHIVE)
    progress.say("building busybox for e500v2 from Debian's sources: about a minute")
    source = _unpacked(archive, work)
    shutil.copy(places.GUEST_E500 / "setjmp.S", source / "libbb")
    with open(source / "libbb" / "Kbuild.src", "a", encoding="utf-8") as rules:
        rules.write("\nlib-y += setjmp.o\n")
    words = ["ARCH=powerpc", f"CROSS_COMPILE={PREFIX}", f"O={work}/out", "SKIP_STRIP=y", "KBUILD_BUILD_TIMESTAMP=",
             f"CONFIG_EXTRA_CFLAGS={BUSYBOX_FLAGS}"]
    # Its own configurator cannot be given a part: the part is laid over what it makes with all off, and completed by it.
    _make(work, source, [*words, "allnoconfig"])
    fragment, whole = places.GUEST_E500 / "busybox.config", work / "out" / ".config"
    whole.write_text("\n".join((_settings(whole) | _settings(fragment)).values()) + "\n", encoding="utf-8")
    _make(work, source, [*words, "oldconfig"], typed="\n" * 2000)
    check(fragment, whole)
    _make(work, source, [*words, "busybox_unstripped"])
    return _stripped(work / "out" / "busybox_unstripped")


def _settings(path):
    """The lines of a configuration that set something, by what they set."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [(re.match(r"(?:# )?(CONFIG_\w+)(?:=| is not set)", line), line) for line in lines]
    return {match[1]: line for match, line in found if match}


def check(fragment, whole):
    """Refuse a configuration that has not taken all of @fragment: what is misspelt or lacks something would be missed silently."""
    have = _settings(whole)
    missing = [line for name, line in _settings(fragment).items()
               if have.get(name) != line and (name in have or not line.endswith("is not set"))]
    if missing:
        raise refuse(f"{fragment}: the sources do not take {', '.join(missing)}")


def _unpacked(archive, work, without=()):
    command = ["tar", "-x", "-f", str(archive), "-C", str(work), "--no-same-owner", *(f"--exclude={name}" for name in without)]
    if subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode != 0:
        raise refuse(f"{archive} cannot be unpacked; remove it and try again")
    (work / "out").mkdir()
    return next(path for path in work.iterdir() if path.name != "out" and path.is_dir())


def _make(work, source, words, typed=""):
    """Run make in @source. What it says stays in a file, of which a failure shows the end."""
    log = work / "log"
    with open(log, "wb") as out:
        ended = subprocess.run(["make", "-s", f"-j{os.cpu_count()}", *words], cwd=source, check=False, input=typed.encode(),
                               stdout=out, stderr=subprocess.STDOUT)
    if ended.returncode != 0:
        said = places.text(log).splitlines()
        kept = work.parent / "failed.log"
        places.write_whole(kept, log.read_bytes())
        for line in [line for line in said if re.search(r"error|\*\*\*", line, re.IGNORECASE)][:5]:
            progress.warn(line)
        raise refuse(f"make {words[-1]} failed; {kept} has all that it said")


def _stripped(path):
    out = path.with_name("stripped")
    if subprocess.run([f"{PREFIX}strip", "-o", str(out), str(path)], check=False).returncode != 0:
        raise refuse(f"{path.name} cannot be stripped")
    return out.read_bytes()


def _need_tools():
    missing = sorted({package for tool, package in TOOLS.items() if not (shutil.which(tool) or os.path.isfile(tool))})
    if missing:
        raise refuse(f"to build it, run scripts/install {' '.join(missing)}")


@contextlib.contextmanager
def _workshop(folder):
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="work-") as name:
        yield pathlib.Path(name).absolute()


def _kernel_recipe():
    return _mark("kernel.config", *KERNEL_WORDS)


def _busybox_recipe():
    return _mark("busybox.config", BUSYBOX_FLAGS, (places.GUEST_E500 / "setjmp.S").read_text(encoding="utf-8"))


def _mark(fragment, *more):
    settings = _settings(places.GUEST_E500 / fragment).values()
    return hashlib.sha256("\0".join([*settings, *more]).encode()).hexdigest()


def _made(path, recipe):
    return path.exists() and places.text(_mark_path(path)) == recipe


def _keep(path, data, recipe):
    places.write_whole(path, data)
    places.write_whole(_mark_path(path), recipe.encode())


def _mark_path(path):
    return path.with_name(f"{path.name}.recipe")
