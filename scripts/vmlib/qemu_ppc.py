"""QEMU's e500 board: the command line that a machine becomes, and how to read its end.

The board has two serial ports: the console, and one for all else. On that go the hypervisor's reports, and what its guest says
on further ports, as vmlib/letters.py tells. The hypervisor gets its modules as one archive (cpio, "newc"), each under its words
for a name, where the board has a place for an initrd.
"""

import pathlib

from . import cpio, places, qemu, sizes
from . import machine as machines
from .status import refuse

OWN_TERMINAL = True
ENVIRONMENT = {}
# What the second port carries is for several.
LETTERS = True

BOARD = "ppce500"
# The hypervisor maps memory by the few entries of its processor's TLB, each of a power of 4 KiB: a GiB is one.
MEMORY_STEP, MEMORY_MOST = 1 << 30, 2 << 30
# The emulator has memory for the board by the module.
NATIVE_STEP = 64 * sizes.MIB
# Memory is given to guests by whole entries, too.
PARTITION_STEP = 256 * sizes.MIB


def command(machine, folder, wires, terminal, typed):
    """QEMU's arguments. It runs in @folder, where this lays links to the images; @wires get a line for each port. The console
    is on the standard streams."""
    words = [machine.host.emulator, "-accel", "tcg", "-cpu", machine.processor]
    words += ["-display", "none", "-no-reboot", "-nic", "none"]
    if machine.log:
        (folder / "log").symlink_to(machine.log)
        words += ["-d", "guest_errors,unimp,cpu_reset", "-D", "log"]
    words += _native(machine, folder) if machine.native else _hypervisor(machine, folder, wires)
    channels = {"console": "stdio,signal=off" + (",mux=on" if terminal else ""),
                "control": f"socket,host=127.0.0.1,port={wires.listen('control')}" if machine.monitor else
                           f"file,path={wires.pipe('control')}"}
    for port in ("console", "control"):
        words += ["-chardev", f"{channels[port]},id={port}", "-serial", f"chardev:{port}"]
    if terminal:
        words += ["-mon", "chardev=console,mode=readline"]
    if machine.monitor:
        # What the emulator itself knows of the processor, its TLB above all: for tests, which ask in JSON.
        path = f"{pathlib.Path(machine.monitor).absolute()}.emulator".replace(",", ",,")
        words += ["-chardev", f"socket,id=emulator,path={path},server=on,wait=off", "-mon", "chardev=emulator,mode=control"]
    return words


def interrogate(machine, folder, process):
    """The machine is about to be stopped: nothing of it is asked for."""


def ending(folder, exit_status):
    """How the machine in @folder ended: QEMU's exit status, its complaint; there is no triple fault."""
    return exit_status, qemu.complaint(places.text(folder / "complaints")), False


def _native(machine, folder):
    guest = machine.first
    if guest.memory % NATIVE_STEP:
        raise refuse(f"without the hypervisor the board's memory is a multiple of {sizes.name(NATIVE_STEP)}")
    words = ["-M", BOARD, "-m", qemu.mebibytes(guest.memory)]
    if guest.payload:
        # The boot loader stands where firmware does, and is told of the payload as the hypervisor tells it.
        words += ["-bios", _link(folder, guest.kernel, "loader"), "-kernel", _link(folder, guest.payload, "payload")]
    else:
        words += ["-kernel", _link(folder, guest.kernel, "kernel")]
    words += ["-append", guest.command_line]
    carried = machines.carried(guest, folder)
    if len(carried) > 1:
        raise refuse("this machine takes one initrd without the hypervisor")
    return words + (["-initrd", _link(folder, carried[0][0], "initrd")] if carried else [])


def _hypervisor(machine, folder, wires):
    bundle = cpio.Archive()
    modules = machines.hypervisor_modules(machine, folder)
    for path, words in modules:
        bundle.member(words, path.read_bytes())
    (folder / "bundle").write_bytes(bundle.bytes())
    size = qemu.mebibytes(_memory(machine, modules))
    shared = ["-object", f"memory-backend-file,id=memory,size={size},mem-path={wires.share_memory()},share=on",
              "-M", f"{BOARD},memory-backend=memory"] if machine.monitor else ["-M", BOARD]
    return [*shared, "-m", size, "-kernel", str(places.HYPERVISOR_PPC), "-append", machines.hypervisor_words(machine),
            "-initrd", "bundle"]


def _memory(machine, modules):
    """The memory of the board: enough for all, and such that it takes few entries of a TLB."""
    spread = sum(-partition.memory % PARTITION_STEP for partition in machine.partitions)
    size = _rounded(machines.memory_bytes(machine, modules) + spread, PARTITION_STEP)
    if size > MEMORY_MOST:
        raise refuse(f"the guests' memory is too much: with the hypervisor's it is {sizes.name(size)}, and the board has "
                     f"{sizes.name(MEMORY_MOST)} at most")
    return size if size <= MEMORY_STEP // 4 else _rounded(size, MEMORY_STEP)


def _rounded(size, step):
    return -(-size // step) * step


def _link(folder, path, name):
    (folder / name).symlink_to(path.resolve())
    return name
