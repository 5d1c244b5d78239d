"""The tree as make install leaves it, and programs of the README built against nothing else."""

import os
import pathlib
import re
import struct
import subprocess
import tempfile

import tap
import witness

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
SECONDS = 600
WARNINGS = ["-O2", "-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes", "-Werror"]

_folder = tempfile.TemporaryDirectory(prefix="vmmu-install-")
FOLDER = pathlib.Path(_folder.name)
ROOT = FOLDER / "root"
PREFIX = "/usr"


def run(*words, expected=0, **more):
    """Run a program to its end; its output."""
    ended = subprocess.run([str(word) for word in words], check=False, timeout=SECONDS, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, **more)
    tap.expect_equal(ended.returncode, expected, f"exit status of {words[0]} ({ended.stdout[-1500:]!r}, {ended.stderr[-1500:]!r})")
    return ended.stdout


def make(*words):
    """Run make in the tree; with a BUILD of its own as somebody would who has only now fetched it."""
    return run("make", "-s", "--no-print-directory", *words, cwd=TREE)


@tap.shared
def installed():
    """What make install made, under ROOT: the files' paths below PREFIX."""
    make("-j2", "install", f"BUILD={FOLDER / 'build'}", f"DESTDIR={ROOT}", f"PREFIX={PREFIX}")
    return files(ROOT)


def files(root):
    """The files below a folder."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def place(path):
    """One of the installed files."""
    installed()
    return ROOT / PREFIX.strip("/") / path


def pkg_config(*words):
    """What pkg-config says of the installed library."""
    environment = dict(os.environ, PKG_CONFIG_LIBDIR=str(place("lib/pkgconfig")), PKG_CONFIG_SYSROOT_DIR=str(ROOT))
    return run("pkg-config", *words, "vmmu", env=environment).split()


@tap.shared
def program(name, *flags):
    """The program NAME.c of the README, as text there, compiled against the installed library alone."""
    text = (TREE / "README.md").read_text(encoding="utf-8")
    found = [block for block in re.findall(r"^```c\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
             if block.startswith(f"/* {name}.c: ")]
    tap.expect_equal(len(found), 1, f"programs {name}.c in README.md")
    folder = FOLDER / "-".join([name, *flags])
    folder.mkdir()
    (folder / f"{name}.c").write_text(found[0], encoding="utf-8")
    run("cc", *WARNINGS, *flags, f"{name}.c", *pkg_config("--cflags", "--libs"), "-o", name, cwd=folder)
    return folder / name


@tap.shared
def small_image():
    """A guest's memory of eight pages: linear 0x1000 is the page at 0x7000, 0x2000 the same for reading only. CR3 is 0x1000."""
    memory = bytearray(8 * 4096)
    for level in range(1, 4):
        struct.pack_into("<Q", memory, level * 4096, (level + 1) * 4096 | 0x27)
    struct.pack_into("<QQ", memory, 4 * 4096 + 8, 0x7067, 0x7025)
    path = FOLDER / "memory.raw"
    path.write_bytes(memory)
    return path


@tap.shared
def debian():
    """A dump of a Debian guest: its memory, CR3, and what QEMU says of some addresses: [(gva, gpa or None)]."""
    out = FOLDER / "debian"
    run(TREE / "tests" / "tool" / "dump_guest.py", "--cpus", "1", "--formats", "raw", "--addresses", "200", out)
    registers, addresses, answers = (pathlib.Path(f"{out}.{suffix}").read_text(encoding="ascii")
                                     for suffix in ("registers", "addresses", "gva2gpa"))
    gvas = [int(line, 16) for line in addresses.split()]
    gpas = [witness.translation(line) for line in answers.splitlines()]
    tap.expect_equal(len(gpas), len(gvas), "answers of QEMU")
    return pathlib.Path(f"{out}.raw"), witness.registers(registers).cr3, list(zip(gvas, gpas))
