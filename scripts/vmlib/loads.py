"""What a partition boots: a guest with work to do, or an image with its initrds."""

import dataclasses
import os
import pathlib
import shlex
import shutil

from . import cpio, guests, hosts, images, sizes, status

GUEST_LEAST = 128 * sizes.MIB
IMAGE_LEAST = 4 * sizes.MIB
IMAGE_MOST = 1024 * guests.GIB

# For a machine with two serial ports: output and errors go as letters over the second.
LETTERS = "letters letters"

# An initramfs lies in memory twice while it is unpacked; the kernel needs the rest.
KERNEL_BYTES = 64 * sizes.MIB


@dataclasses.dataclass
class Work:
    """What a guest is given to do."""

    archive: cpio.Archive
    packages: list
    append: str = ""  # more words for its command line
    verbose: bool = False  # whether its kernel speaks


def fitting(booted, host):
    """@booted, a guest or an image, once it is sure that @host is of its kind."""
    if booted.family != host.family:
        others = ", ".join(other.name for other in hosts.HOSTS.values() if other.family == booted.family)
        raise status.refuse(f"{booted.name} does not boot on host {host.name}; it does on {others}")
    return booted


def check_protocol(name, host):
    """Refuse a protocol that no image is entered by on @host."""
    known = hosts.PROTOCOLS[host.family]
    if name not in known:
        raise status.refuse(f"protocol {name} is not for host {host.name}" + (f": {', '.join(known)}" if known[0] else ""))


def payload(path, host):
    """The file at @path (None: nothing), which the image of a partition is to find in memory and boot."""
    if path and host.family != hosts.E500:
        raise status.refuse(f"a payload is for U-Boot: host {host.name} has initrds and modules")
    return existing(path, "--payload") if path else None


def linux(partition, guest, work, slow):
    """Have @partition boot Linux as @guest has it, which finds @work in its file system; @slow: on a host that is."""
    made = guests.prepare(guest, unpacked=slow)
    partition.initrds = [(made.initrd, "")]
    if work.packages:
        partition.initrds.append((guests.extras(guest, work.packages), ""))
    partition.work = work.archive.bytes()
    _check_room(partition)
    words = [guests.COMMAND_LINES[guest.family], guests.SLOW if slow else "", guest.words,
             guest.words_of_several if partition.cpus > 1 else "", "" if work.verbose else guests.QUIET, work.append]
    _enter(partition, guest, made, " ".join(word for word in words if word))


def _enter(partition, guest, made, words):
    """Let @partition boot the kernel with @words for its command line; or what it runs under, which starts it."""
    partition.kernel, partition.command_line = made.kernel, words
    partition.protocol = hosts.PROTOCOLS[guest.family][0]
    if made.under and guest.family == hosts.E500:
        partition.kernel, partition.payload = made.under, made.kernel
    elif made.under:
        image = images.find(guest.under)
        partition.kernel, partition.command_line = made.under, f"{image.words} {guest.under_words}"
        partition.protocol = image.protocol
        partition.modules = [(made.kernel, words)]


def _check_room(partition):
    size = len(partition.work) + sum(path.stat().st_size for path, _ in partition.initrds)
    if 2 * size + KERNEL_BYTES > partition.memory:
        raise status.refuse(f"what the guest is given ({-(-size // sizes.MIB)}M) does not fit into its memory; "
                            f"give it {sizes.name(-(-(2 * size + KERNEL_BYTES) // sizes.MIB) * sizes.MIB)} or more")


def shell_work(terminal):
    """The archive of a guest with a shell on its console, which is a @terminal of ours or is not."""
    work = cpio.Archive()
    work.file("etc/vmmu/mode", b"shell\n")
    lines = []
    if terminal:
        size = shutil.get_terminal_size()
        term = os.environ.get("TERM", "linux")
        lines = [f"LINES={size.lines}", f"COLUMNS={size.columns}", f"export TERM={shlex.quote(term)}"]
    work.file("etc/vmmu/terminal", "".join(line + "\n" for line in lines).encode())
    return work


def run_work(command, lines=""):
    """The archive of a guest that runs @command: one word is a line of shell; several are a program and its arguments, taken as
    they are. @lines: the devices of its output and its errors, if they are not the usual ones; or LETTERS."""
    line = command[0] if len(command) == 1 else shlex.join(command)
    work = cpio.Archive()
    work.file("etc/vmmu/mode", b"run\n")
    work.file("etc/vmmu/command", os.fsencode(line) + b"\n")
    if lines:
        work.file("etc/vmmu/lines", f"{lines}\n".encode())
    return work


def add_file(work, entry, option):
    """Add what @entry, HOST[:GUEST], names to the archive @work."""
    source, _, target = (entry, "", "") if os.path.exists(entry) else entry.rpartition(":")
    if not source or not os.path.exists(source):
        raise status.refuse(f"{option} {entry}: there is no such file")
    if not target or target.endswith("/"):
        target += os.path.basename(os.path.abspath(source))
    try:
        work.tree(os.path.realpath(source), target if target.startswith("/") else f"root/{target}")
    except OSError as error:
        raise status.refuse(f"{option} {entry}: {error.strerror}") from None


def add_initrds(partition, entries):
    """Have an image find @entries, each FILE[ WORDS]: multiboot modules, or archives that become one initrd."""
    carried = partition.modules if partition.protocol == "multiboot" else partition.initrds
    for entry in entries:
        path, _, text = (entry, "", "") if os.path.exists(entry) else entry.partition(" ")
        carried.append((existing(path, "--initrd"), text))


def existing(path, option):
    """The file at @path."""
    if not os.path.isfile(path):
        raise status.refuse(f"{option} {path}: there is no such file")
    return pathlib.Path(path).absolute()
