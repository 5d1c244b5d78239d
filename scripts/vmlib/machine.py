"""One emulated machine, as data, and the command line of the emulator that it becomes.

The hypervisor's words, its modules and its four serial ports are an interface: docs/decisions/060 says which and why.
"""

import dataclasses
import pathlib

from . import hosts, places, sizes

# The hypervisor's own memory, its tables and its record of the partition, beside the guest's memory and the modules.
HYPERVISOR_BYTES = 128 * sizes.MIB

# For tables in place of the guest's own: a shadow page and its account, as a rule for each 256 KiB of the guest's memory.
SHADOW_BYTES = 16 << 10
SHADOW_SHARE = 256 << 10
# The largest pool that the hypervisor takes: it refuses more by a sentence.
SHADOW_PAGES_MOST = 1 << 20

DEBUG_EXIT_PORT = 0xF4

# Linux's unpacker looks for the next archive at a multiple of four; ours end at a block.
ARCHIVE_BOUNDARY = 512


@dataclasses.dataclass
class Machine:
    """What is booted, on what. Paths may hold any character: the emulator gets links with plain names."""

    host: hosts.Host
    technique: str
    memory: int
    kernel: pathlib.Path
    command_line: str = ""
    modules: list = dataclasses.field(default_factory=list)  # (path, the module's own words), one by one
    initrds: list = dataclasses.field(default_factory=list)  # (path, words): joined to one, behind the modules
    work: bytes = b""  # one more archive behind the initrds: what this run gives to the guest
    protocol: str = "linux"
    la57: bool = False
    enlightenments: bool = True
    firmware: str = "acpi"
    pool: int = None  # shadow pages at most
    drop: tuple = None  # exits between two losses of all shadow pages, on average, and the seed
    # Natively: whether a value written to the debug-exit port ends the machine, or is recorded until it powers off.
    # The emulator's exit status keeps seven bits of it, the record keeps eight.
    record_status: bool = False

    @property
    def native(self):
        """Whether the guest stands on the emulated machine itself."""
        return self.technique == hosts.NATIVE


def command(machine, folder, channels):
    """The emulator's arguments. It runs in @folder, where this lays links to the images; @channels are chardev
    options by port: console, control, output, errors."""
    words = [machine.host.emulator, "-accel", "tcg", "-cpu", _processor(machine)]
    words += ["-display", "none", "-no-reboot", "-nic", "none"]
    # A triple fault is a reset to the emulator; its log tells them apart.
    words += ["-d", "cpu_reset", "-D", "resets"]
    words += _native(machine, folder) if machine.native else _hypervisor(machine, folder)
    ports = ("console", "output", "errors") if machine.native else ("console", "control", "output", "errors")
    for port in ports:
        words += ["-chardev", f"{channels[port]},id={port}", "-serial", f"chardev:{port}"]
    if "mux=on" in channels["console"]:
        words += ["-mon", "chardev=console,mode=readline"]
    return words


def _processor(machine):
    return machine.host.processor if machine.la57 else f"{machine.host.processor},-la57"


def _native(machine, folder):
    words = ["-m", _mebibytes(machine.memory), "-kernel", str(machine.kernel), "-append", machine.command_line]
    if machine.record_status:
        words += ["-chardev", "file,id=status,path=status", "-device", f"isa-debugcon,iobase={DEBUG_EXIT_PORT},chardev=status"]
    else:
        words += ["-device", f"isa-debug-exit,iobase={DEBUG_EXIT_PORT},iosize=4"]
    modules = [_module(folder, path, f"module{at}", text) for at, (path, text) in enumerate(_carried(machine, folder))]
    return words + (["-initrd", ",".join(modules)] if modules else [])


def _hypervisor(machine, folder):
    modules = [_module(folder, machine.kernel, "kernel",
                       f"kernel protocol={machine.protocol} -- {machine.command_line}")]
    carried = _carried(machine, folder)
    for at, (path, text) in enumerate(carried):
        modules.append(_module(folder, path, f"module{at}", f"initrd -- {text}" if text else "initrd"))
    size = sum(path.stat().st_size for path in [machine.kernel] + [path for path, _ in carried])
    return ["-m", _mebibytes(machine.memory + HYPERVISOR_BYTES + _shadow_bytes(machine) + size),
            "-device", f"isa-debug-exit,iobase={DEBUG_EXIT_PORT},iosize=4",
            "-kernel", str(places.HYPERVISOR), "-append", hypervisor_words(machine), "-initrd", ",".join(modules)]


def _shadow_bytes(machine):
    if machine.technique != hosts.SHADOW:
        return 0
    return min(machine.pool or machine.memory // SHADOW_SHARE, SHADOW_PAGES_MOST) * SHADOW_BYTES


def hypervisor_words(machine):
    """The hypervisor's command line for @machine."""
    switch = "on" if machine.enlightenments else "off"
    words = [f"memory={machine.memory // sizes.MIB}M", f"mmu={machine.technique}", f"enlightenments={switch}",
             f"firmware={machine.firmware}"]
    words += [f"pool={machine.pool}"] if machine.pool else []
    words += [f"drop={machine.drop[0]} seed={machine.drop[1]}"] if machine.drop else []
    return " ".join(words)


def _mebibytes(size):
    return f"{-(-size // sizes.MIB)}M"


def _module(folder, path, name, text):
    """One element of the emulator's -initrd list: a plain name, and its words with each comma doubled."""
    link = folder / name
    link.symlink_to(pathlib.Path(path).resolve())
    return f"{name} {text}".strip().replace(",", ",,")


def _carried(machine, folder):
    """The files that follow the kernel, as (path, words). Linux takes one initrd: archives behind each other."""
    if not (machine.initrds or machine.work):
        return machine.modules
    joined = folder / "joined"
    with open(joined, "wb") as out:
        for data in [path.read_bytes() for path, _ in machine.initrds] + [machine.work]:
            out.write(data + bytes(-len(data) % ARCHIVE_BOUNDARY))
    return machine.modules + [(joined, "")]
