"""One emulated machine, as data, and what every emulator makes of it.

The hypervisor's words, its modules and its four serial ports are an interface: docs/decisions/060 says which and why.
"""

import dataclasses
import pathlib

from . import hosts, sizes

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
    processor: str
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
    record: pathlib.Path = None  # where each entry into the guest is to be recorded
    monitor: pathlib.Path = None  # where a socket to the control port is wanted
    stop_port: bool = False  # whether the guest may have itself held, to be looked at
    log: pathlib.Path = None  # where the emulator's own log is to go

    @property
    def native(self):
        """Whether the guest stands on the emulated machine itself."""
        return self.technique == hosts.NATIVE


def hypervisor_modules(machine, folder):
    """The modules that the hypervisor is given, as (path, words). This may write files to @folder."""
    modules = [(machine.kernel, f"kernel protocol={machine.protocol} -- {machine.command_line}")]
    return modules + [(path, f"initrd -- {text}" if text else "initrd") for path, text in carried(machine, folder)]


def memory_bytes(machine, modules):
    """The memory of the machine in which the hypervisor, @modules and the guest have room."""
    return (machine.memory + HYPERVISOR_BYTES + _shadow_bytes(machine) +
            sum(pathlib.Path(path).stat().st_size for path, _ in modules))


def hypervisor_words(machine):
    """The hypervisor's command line for @machine."""
    switch = "on" if machine.enlightenments else "off"
    words = [f"memory={machine.memory // sizes.MIB}M", f"mmu={machine.technique}", f"enlightenments={switch}",
             f"firmware={machine.firmware}"]
    words += [f"pool={machine.pool}"] if machine.pool else []
    words += [f"drop={machine.drop[0]} seed={machine.drop[1]}"] if machine.drop else []
    words += ["record=entries"] if machine.record else []
    words += ["stop-port=on"] if machine.stop_port else []
    return " ".join(words)


def carried(machine, folder):
    """The files that follow the kernel, as (path, words). Linux takes one initrd: archives behind each other, in @folder."""
    if not (machine.initrds or machine.work):
        return machine.modules
    joined = folder / "joined"
    with open(joined, "wb") as out:
        for data in [path.read_bytes() for path, _ in machine.initrds] + [machine.work]:
            out.write(data + bytes(-len(data) % ARCHIVE_BOUNDARY))
    return machine.modules + [(joined, "")]


def _shadow_bytes(machine):
    if machine.technique != hosts.SHADOW:
        return 0
    return min(machine.pool or machine.memory // SHADOW_SHARE, SHADOW_PAGES_MOST) * SHADOW_BYTES
