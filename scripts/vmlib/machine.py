"""One emulated machine, as data, and what every emulator makes of it.

The hypervisor's words, its modules and its serial ports are an interface: docs/decisions/060 says which and why.
"""

import dataclasses
import pathlib

from . import hosts, sizes

# The hypervisor's own memory, its tables and its record of the first partition, beside the guest's memory and the modules.
HYPERVISOR_BYTES = 128 * sizes.MIB
# The same for each partition but the first.
PARTITION_BYTES = 32 * sizes.MIB

# For tables in place of the guest's own: a shadow page and its account, as a rule for each 256 KiB of the guest's memory.
SHADOW_BYTES = 16 << 10
SHADOW_SHARE = 256 << 10
# The largest pool that the hypervisor takes: it refuses more by a sentence.
SHADOW_PAGES_MOST = 1 << 20

DEBUG_EXIT_PORT = 0xF4
# What describes a PC to its guest, where nobody says.
FIRMWARE = "acpi"

# Linux's unpacker looks for the next archive at a multiple of four; ours end at a block.
ARCHIVE_BOUNDARY = 512


@dataclasses.dataclass
class Partition:
    """One guest, and what it is given. Paths may hold any character: the emulator gets links with plain names."""

    technique: str
    memory: int
    kernel: pathlib.Path = None
    command_line: str = ""
    modules: list = dataclasses.field(default_factory=list)  # (path, the module's own words), one by one
    initrds: list = dataclasses.field(default_factory=list)  # (path, words): joined to one, behind the modules
    work: bytes = b""  # one more archive behind the initrds: what this run gives to the guest
    payload: pathlib.Path = None  # what the kernel, a boot loader, is to find in memory and boot
    protocol: str = "linux"
    cpus: int = 1
    policy: str = ""  # settings of the virtual MMU, as the hypervisor takes them
    parent: bool = False  # of all other partitions
    channel: bool = False  # whether the third and fourth serial ports are its own, if it is not the first
    enlightenments: bool = True
    firmware: str = FIRMWARE
    pool: int = None  # shadow pages at most
    drop: tuple = None  # exits between two losses of all shadow pages, on average, and the seed
    stop_port: bool = False  # whether the guest may have itself held, to be looked at


@dataclasses.dataclass
class Machine:
    """What is booted, on what."""

    host: hosts.Host
    processor: str
    partitions: list  # the first is the one that the console shows; natively there is no other
    la57: bool = False
    # Natively: whether a value written to the debug-exit port ends the machine, or is recorded until it powers off.
    # The emulator's exit status keeps seven bits of it, the record keeps eight.
    record_status: bool = False
    record: pathlib.Path = None  # where each entry into the first guest is to be recorded
    monitor: pathlib.Path = None  # where a socket to the control port is wanted
    log: pathlib.Path = None  # where the emulator's own log is to go

    @property
    def first(self):
        """The first partition; natively, what the emulated machine itself is."""
        return self.partitions[0]

    @property
    def native(self):
        """Whether the guest stands on the emulated machine itself."""
        return self.first.technique == hosts.NATIVE


def hypervisor_modules(machine, folder):
    """The modules that the hypervisor is given, as (path, words). This may write files to @folder."""
    modules = []
    for at, partition in enumerate(machine.partitions):
        whose = f" partition={at}" if at else ""
        how = f" protocol={partition.protocol}" if partition.protocol else ""
        modules.append((partition.kernel, f"kernel{whose}{how} -- {partition.command_line}"))
        if partition.payload:
            modules.append((partition.payload, f"payload{whose}"))
        modules += [(path, f"initrd{whose} -- {text}" if text else f"initrd{whose}")
                    for path, text in carried(partition, folder, f"joined{at}")]
    return modules


def memory_bytes(machine, modules):
    """The memory of the machine in which the hypervisor, @modules and the guests have room."""
    return (HYPERVISOR_BYTES + PARTITION_BYTES * (len(machine.partitions) - 1) +
            sum(partition.memory + _shadow_bytes(partition) for partition in machine.partitions) +
            sum(pathlib.Path(path).stat().st_size for path, _ in modules))


def hypervisor_words(machine):
    """The hypervisor's command line for @machine."""
    lines = [_words(partition, machine.host.family) for partition in machine.partitions]
    lines[0] += ["record=entries"] if machine.record else []
    return " partition ".join(" ".join(words) for words in lines)


def _words(partition, family):
    switch = "on" if partition.enlightenments else "off"
    words = [f"memory={partition.memory // sizes.MIB}M", f"mmu={partition.technique}"]
    words += [f"enlightenments={switch}", f"firmware={partition.firmware}"] if family == hosts.PC else []
    words += [f"cpus={partition.cpus}"] if partition.cpus != 1 else []
    words += [f"policy={partition.policy}"] if partition.policy else []
    words += ["parent=on"] if partition.parent else []
    words += ["channel=on"] if partition.channel else []
    words += [f"pool={partition.pool}"] if partition.pool else []
    words += [f"drop={partition.drop[0]} seed={partition.drop[1]}"] if partition.drop else []
    words += ["stop-port=on"] if partition.stop_port else []
    return words


def carried(partition, folder, name="joined"):
    """The files that follow the kernel, as (path, words). Linux takes one initrd: archives behind each other, @name in
    @folder."""
    if not (partition.initrds or partition.work):
        return partition.modules
    joined = folder / name
    with open(joined, "wb") as out:
        for data in [path.read_bytes() for path, _ in partition.initrds] + [partition.work]:
            out.write(data + bytes(-len(data) % ARCHIVE_BOUNDARY))
    return partition.modules + [(joined, "")]


def _shadow_bytes(partition):
    if partition.technique != hosts.SHADOW:
        return 0
    return min(partition.pool or partition.memory // SHADOW_SHARE, SHADOW_PAGES_MOST) * SHADOW_BYTES
