"""QEMU: the command line that a machine becomes, and how to read its end."""

import pathlib

from . import machine as machines
from . import places, sizes

# An own console of QEMU's, for Ctrl-A x, needs the terminal itself.
OWN_TERMINAL = True
ENVIRONMENT = {}
# Every port has a line of its own.
LETTERS = False


def command(machine, folder, wires, terminal, typed):
    """QEMU's arguments. It runs in @folder, where this lays links to the images; @wires get a line for each port. The console
    is on the standard streams."""
    words = [machine.host.emulator, "-accel", "tcg", "-cpu", _processor(machine)]
    words += ["-display", "none", "-no-reboot", "-nic", "none"]
    # A triple fault is a reset to the emulator; its log tells them apart.
    words += ["-d", "cpu_reset", "-D", "resets"]
    if machine.log:
        (folder / "resets").symlink_to(machine.log)
    words += _native(machine, folder) if machine.native else _hypervisor(machine, folder, wires)
    channels = {port: f"file,path={wires.pipe(port)}" for port in ("output", "errors")}
    channels["control"] = f"socket,host=127.0.0.1,port={wires.listen('control')}" if machine.monitor else "file,path=control"
    channels["console"] = "stdio,signal=off" + (",mux=on" if terminal else "")
    ports = ("console", "output", "errors") if machine.native else ("console", "control", "output", "errors")
    for port in ports:
        words += ["-chardev", f"{channels[port]},id={port}", "-serial", f"chardev:{port}"]
    if terminal:
        words += ["-mon", "chardev=console,mode=readline"]
    return words


def interrogate(machine, folder, process):
    """The machine is about to be stopped: nothing of it is asked for."""


def ending(folder, exit_status):
    """How the machine in @folder ended: QEMU's exit status, its complaint, and whether there was a triple fault."""
    return exit_status, complaint(places.text(folder / "complaints")), "Triple fault" in places.text(folder / "resets")


def _processor(machine):
    return machine.processor if machine.la57 else f"{machine.processor},-la57"


def _native(machine, folder):
    guest = machine.first
    words = ["-m", mebibytes(guest.memory), "-kernel", str(guest.kernel), "-append", guest.command_line]
    words += ["-smp", f"{guest.cpus},sockets={guest.cpus}"] if guest.cpus != 1 else []
    if machine.record_status:
        words += ["-chardev", "file,id=status,path=status", "-device",
                  f"isa-debugcon,iobase={machines.DEBUG_EXIT_PORT},chardev=status"]
    else:
        words += ["-device", f"isa-debug-exit,iobase={machines.DEBUG_EXIT_PORT},iosize=4"]
    carried = machines.carried(guest, folder)
    modules = [_module(folder, path, f"module{at}", text) for at, (path, text) in enumerate(carried)]
    return words + (["-initrd", ",".join(modules)] if modules else [])


def _hypervisor(machine, folder, wires):
    carried = machines.hypervisor_modules(machine, folder)
    modules = [_module(folder, path, f"module{at}", text) for at, (path, text) in enumerate(carried)]
    size = mebibytes(machines.memory_bytes(machine, carried))
    return ["-m", size, *(_shared_memory(size, wires) if machine.monitor else []),
            "-device", f"isa-debug-exit,iobase={machines.DEBUG_EXIT_PORT},iosize=4",
            "-kernel", str(places.HYPERVISOR), "-append", machines.hypervisor_words(machine), "-initrd", ",".join(modules)]


def _shared_memory(size, wires):
    """All memory in one file, in which others can look at it: docs/dump.md says where in it an address is."""
    return ["-object", f"memory-backend-file,id=memory,size={size},mem-path={wires.share_memory()},share=on",
            "-machine", "pc,memory-backend=memory"]


def mebibytes(size):
    """@size bytes as QEMU's options take them."""
    return f"{-(-size // sizes.MIB)}M"


def _module(folder, path, name, text):
    """One element of the emulator's -initrd list: a plain name, and its words with each comma doubled."""
    link = folder / name
    link.symlink_to(pathlib.Path(path).resolve())
    return f"{name} {text}".strip().replace(",", ",,")


def complaint(text):
    """QEMU's first error in @text, which holds warnings too, or ''."""
    for line in text.splitlines():
        if line.startswith("qemu-system-") and ": warning: " not in line and ": terminating on signal" not in line:
            return line
    return ""
