"""The front door where nothing boots: what it refuses, what it lists, the archives that it writes."""

import itertools
import os
import pathlib
import shutil
import struct
import subprocess

import front
import images
from tap import case, cases, expect, expect_equal, expect_match
from vmlib import cpio, disk, guests, hosts, machine, outcome, qemu, session, sizes, status, wires

REFUSED_MEMORY = ("0", "1K", "100T", "-5", "", "garbage", "12.5M", "512Q", "64M", "99999999999999999999", "0x200")
REFUSED_WORDS = {
    "shell --guest debian-m68k": "no guest debian-m68k",
    "shell --host vax": "no host vax",
    "shell --host intel --cpu max": "host intel has no processor max; it has corei7_haswell_4770, corei7_skylake_x",
    "shell --cpu corei7_skylake_x": "host amd has no processor corei7_skylake_x",
    "shell --host intel --la57": "no processor with five-level paging",
    "run --mmu none --monitor m -- true": "needs the hypervisor",
    "run --monitor /nonexistent/m -- true": "cannot be written there",
    "run --stop-port -- true": "needs --monitor",
    "run --log /nonexistent/l -- true": "cannot be written there",
    "run --record-entries r -- true": "is for host intel",
    "shell --mmu telepathy": "no technique telepathy",
    "run": "needs a command behind --",
    "run --": "needs a command behind --",
    "shell -- true": "takes no command",
    "run --timeout soon -- true": "soon is not a number of seconds",
    "run --timeout -1 -- true": "-1 is not a number of seconds",
    "run --file /nonexistent/file -- true": "no such file",
    "run --file /etc/hostname:../../etc/x -- true": "leads out",
    "run --file /dev/null:/x -- true": "neither a file",
    "run --mmu none --stats s.json -- true": "needs the hypervisor",
    "run --mmu none --no-enlightenments -- true": "no Hyper-V interface to hide",
    "run --stats /nonexistent/s.json -- true": "cannot be written there",
    "run --file /proc/1/mem -- true": "/proc/1/mem",
    "boot": "--kernel",
    "boot --kernel /nonexistent/kernel": "no such file",
    "boot --image doom": "no image doom",
    "boot --image xen --kernel /etc/hostname": "not allowed with",
    "boot --kernel /etc/hostname --protocol chain": "invalid choice: 'chain'",
    "run --cpus 9 -- true": "9 processors are too many: 8 is the most",
    "run --cpus 0 -- true": "0 is not a number",
    "run --policy cr0.cd=honor;pat=vp -- true": "is no list of settings",
    "run --mmu none --policy pat=vp -- true": "--policy is for the hypervisor",
    "run --mmu none --parent -- true": "--parent is for the hypervisor",
    "run --mmu none --partition guest=debian-i386 -- true": "--partition is for the hypervisor",
    "run --partition memory=64M -- true": "wants one of guest=, kernel= and image=",
    "run --partition kernel=/nonexistent/k -- true": "no such file",
    "run --partition kernel=/etc/hostname,mmu=none -- true": "no such file",
    "run --partition guest=debian-m68k -- true": "no guest debian-m68k",
    "run --partition color=blue -- true": "does not know color=blue",
    "fly": "invalid choice: 'fly'",
    "": "required",
}


@cases("--memory '{}' is refused with a sentence", REFUSED_MEMORY)
def _(memory):
    ended = front.vm("run", f"--memory={memory}", "--", "true")
    expect_equal(ended.status, status.REFUSED, "exit status")
    expect_match(r"^vm: --memory .* (is not an amount|is too (little|much)|is not a whole)", ended.err, "errors")
    expect_equal(len(ended.err.splitlines()), 1, "lines on standard error")


@case("a negative amount as a word of its own is an amount too, and refused")
def _():
    ended = front.vm("run", "--memory", "-5", "--", "true")
    expect_equal(ended.status, status.REFUSED, "exit status")
    expect_match("-5 is not an amount of memory", ended.err, "errors")


@cases("'scripts/vm {}' is refused with a sentence", REFUSED_WORDS)
def _(words):
    ended = front.vm(*words.split())
    expect_equal(ended.status, status.REFUSED, "exit status")
    expect_match(f"^vm: .*{REFUSED_WORDS[words]}", ended.err, "errors")
    expect("Traceback" not in ended.err, f"a traceback: {ended.err}")


@case("more files than the guest's memory can hold are refused with the amount that would do")
def _():
    with front.scratch() as folder:
        path = os.path.join(folder, "large")
        with open(path, "wb") as out:
            out.truncate(100 << 20)
        ended = front.vm("run", *front.place(), "--memory", "128M", "--file", path, "--", "true")
    expect_equal(ended.status, status.REFUSED, "exit status")
    expect_match(r"give it \d+M or more", ended.err, "errors")


@case("list names the hosts, their processors, the techniques, the guests and the images")
def _():
    ended = front.vm("list")
    expect_equal(ended.status, 0, "exit status")
    for pattern in (r"^host +amd +installed", r"^host +intel +installed", r"^host +amd-bochs +installed",
                    r"^processor +corei7_haswell_4770 +of intel, the usual one", r"^processor +corei7_skylake_x +of intel",
                    r"^technique +nested +on amd, intel, amd-bochs", r"^guest +debian-amd64 ",
                    r"^guest +debian-i386-pae ", r"^guest +debian-i386 ", r"^guest +debian-xen ", r"^image +memtest86\+ ",
                    r"^image +memtest86\+ia32 ", r"^image +xen ", r"^hypervisor +build/vmmu.elf"):
        expect_match(pattern, ended.out, "list")


@case("a machine under shadow paging has room for a shadow page and its account for each 64 pages of a large guest")
def _():
    memory = 16 << 30
    # vmmu_shadow_memory_bytes() comes to 8.9 KiB for a page of the pool at most, and the page itself is one of 4 KiB.
    needed = memory // (64 * 4096) * (9 + 4) << 10
    with front.scratch() as folder:
        kernel = pathlib.Path(folder, "image")
        kernel.write_bytes(b"image")
        for technique, least in (("shadow", memory + needed), ("nested", memory)):
            guest = machine.Partition(technique=technique, memory=memory, kernel=kernel)
            built = machine.Machine(host=hosts.find("amd", technique), processor="max", partitions=[guest])
            place = pathlib.Path(folder, technique)
            place.mkdir()
            with wires.Wires() as lines:
                words = qemu.command(built, place, lines, terminal=False, typed=False)
            size = sizes.parse(words[words.index("-m") + 1])
            expect(size > least, f"{technique}: {size >> 20} MiB are too few")


@case("a disk's list names where each byte of the image, its modules and their strings goes, and leaves out zeros")
def _():
    with front.scratch() as folder:
        image, module, path = (pathlib.Path(folder, name) for name in ("image", "module", "disk"))
        image.write_bytes(images.kernel(images.HALT))
        module.write_bytes(b"start" + bytes(1 << 20) + b"end")
        plan = disk.multiboot(image, "words of the image", [(module, "words, of the module")])
        cylinders = disk.write(path, plan)
        expect_equal(path.stat().st_size, cylinders * disk.CYLINDER_BYTES, "size of the disk")
        memory = loaded(path.read_bytes())
    expect_equal(sum(map(len, memory.values())) < 1 << 20, True, "zeros are left out")
    for address, data in plan.pieces:
        for at in (address, address + len(data) - 1):
            expect_equal(byte_at(memory, at), data[at - address], f"the byte at {at:#x}")
    text = string_at(memory, struct.unpack("<I", bytes(byte_at(memory, plan.info + 16 + at) for at in range(4)))[0])
    expect_equal(text, "words of the image", "command line")
    first, end, words = struct.unpack("<3I", bytes(byte_at(memory, table_of(memory, plan.info) + at) for at in range(12)))
    expect_equal((end - first, string_at(memory, words)), ((1 << 20) + 8, "words, of the module"), "module")


def loaded(data):
    """What the loader of the disk @data puts into memory: bytes by address."""
    sector, pieces, at = disk.SECTOR_BYTES, {}, disk.SECTOR_BYTES + 12
    while True:
        start, count, address = struct.unpack_from("<3I", data, at)
        if not count:
            return pieces
        pieces[address] = data[start * sector:(start + count) * sector]
        at += 12


def byte_at(memory, address):
    """The byte at @address, which is zero where nothing was put."""
    return next((data[address - start] for start, data in memory.items() if 0 <= address - start < len(data)), 0)


def string_at(memory, address):
    """The string at @address."""
    return bytes(itertools.takewhile(bool, (byte_at(memory, at) for at in itertools.count(address)))).decode()


def table_of(memory, info):
    """Where the table of modules of the multiboot information @info lies."""
    return struct.unpack("<I", bytes(byte_at(memory, info + 24 + at) for at in range(4)))[0]


@case("a disk of many pieces between zeros keeps to the room of its list")
def _():
    with front.scratch() as folder:
        path = pathlib.Path(folder, "disk")
        data = b"".join(b"x" + bytes((128 << 10) - 1) for _ in range(1000))
        disk.write(path, disk.Plan([(0x500000, data)], 0, 0, 0))
        memory = loaded(path.read_bytes())
    for at in range(0, len(data), 128 << 10):
        expect_equal(byte_at(memory, 0x500000 + at), ord("x"), f"the byte at {at:#x}")


@case("Ctrl-A x asks for the end, Ctrl-A Ctrl-A types one, in pieces or whole; all else passes")
def _():
    for typed, passed, left in ((b"ls\x03\n", b"ls\x03\n", False), (b"\x01\x01x", b"\x01x", False), (b"a\x01x", b"a", True),
                                (b"\x01qx", b"x", False)):
        for whole in (True, False):
            keys = session.Keys()
            pieces = [typed] if whole else [bytes([byte]) for byte in typed]
            expect_equal((b"".join(map(keys.typed, pieces)), keys.left), (passed, left), f"{typed} typed")


@cases("the kernel of {} is unpacked to what its loader takes", ("debian-amd64", "debian-i386-pae", "debian-i386"))
def _(name):
    made = guests.prepare(guests.find(name), unpacked=True).kernel.read_bytes()
    if name == "debian-amd64":
        expect_equal((made[:5], struct.unpack_from("<Q", made, 24)[0]), (b"\x7fELF\x02", 0x1000000), "class, entry")
        return
    start = (made[0x1F1] + 1) * 512
    preferred, needed = struct.unpack_from("<QI", made, 0x258)
    expect_equal((made[0x202:0x206], preferred, made[0x234]), (b"HdrS", 0x1000000, 0), "signature, place, whether it can move")
    expect(len(made) - start <= needed < 64 << 20, f"{needed} bytes are needed for {len(made) - start}")


@case("--help tells every exit status")
def _():
    ended = front.vm("--help")
    expect_equal(ended.status, 0, "exit status")
    for number in (status.NO_STATUS, status.TIMED_OUT, status.REFUSED, status.GUEST_DIED, status.HOST_DIED):
        expect_match(rf"^  {number} ", ended.out, "help")


@case("amounts of memory are read as people write them")
def _():
    for text, wanted in (("512", 512 << 20), ("512M", 512 << 20), ("512MiB", 512 << 20), ("2g", 2 << 30), ("131072K", 128 << 20)):
        expect_equal(sizes.parse(text), wanted, text)


@case("an archive holds what was put into it, as cpio reads it")
def _():
    with front.scratch() as folder:
        source = os.path.join(folder, "source")
        os.makedirs(os.path.join(source, "deep"))
        with open(os.path.join(source, "deep", "run.sh"), "w", encoding="ascii") as out:
            out.write("#!/bin/sh\n")
        os.chmod(out.name, 0o755)
        os.symlink("deep/run.sh", os.path.join(source, "link"))
        archive = cpio.Archive()
        archive.tree(source, "/root/copy")
        listing = subprocess.run(["cpio", "-itv", "--quiet"], input=archive.bytes(), check=True,
                                 stdout=subprocess.PIPE).stdout.decode()
    for pattern in (r"^drwx.* root$", r"^drwx.* root/copy/deep$", r"^-rwxr-xr-x .* 10 .* root/copy/deep/run.sh$",
                    r"^l.* root/copy/link -> deep/run.sh$"):
        expect_match(pattern, listing, "listing")


@case("an archive made twice from the same tree is the same")
def _():
    def make():
        archive = cpio.Archive()
        archive.tree(front.TREE / "scripts" / "guest", "")
        return archive.bytes()
    expect(make() == make(), "two archives differ")


@case("a hypervisor that leaves no report, or half of one, has died")
def _():
    for text in ("", "{", '{"vmmu":1}', '{"vmmu":1,"outcome":7}', "[]", '{"outcome":{"kind":"debug-exit"}}'):
        expect_equal(outcome.of_hypervisor(outcome.ORDERLY, text, False, "").kind, "host-died", repr(text))
    report = '{"vmmu":1,"outcome":{"kind":"power-off"}}'
    for number in (2, 7, 9, -11):
        expect_equal(outcome.of_hypervisor(number, report, False, "").kind, "host-died", f"exit status {number}")
    expect_equal(outcome.of_hypervisor(0, report, True, "").kind, "host-died", "triple fault")


@case("the last report of several is the one that counts")
def _():
    text = '{"vmmu":1,"counters":{}}\nnoise\n{"vmmu":1,"outcome":{"kind":"debug-exit","value":3}}\n'
    ended = outcome.of_hypervisor(outcome.ORDERLY, text, False, "")
    expect_equal((ended.kind, ended.value), ("debug-exit", 3), "outcome")


@case("install does nothing and says nothing when all is there")
def _():
    ended = subprocess.run([front.TREE / "scripts" / "install", "python3", "dpkg"], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, check=False)
    expect_equal((ended.returncode, ended.stdout), (0, ""), "install python3 dpkg")


@case("install without root and sudo names what is missing")
def _():
    with front.scratch() as folder:
        for tool in ("sh", "dpkg-query", "sed", "grep"):
            os.symlink(shutil.which(tool), os.path.join(folder, tool))
        with open(os.path.join(folder, "id"), "w", encoding="ascii") as out:
            out.write("#!/bin/sh\necho 1000\n")
        os.chmod(out.name, 0o755)
        ended = subprocess.run([front.TREE / "scripts" / "install", "python3", "no-such-package"], text=True, check=False,
                               env={"PATH": folder}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    expect_equal(ended.returncode, 1, "exit status")
    expect_match(r"^install: .*neither root nor sudo.*: no-such-package$", ended.stdout, "what it says")
