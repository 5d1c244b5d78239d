"""Bochs: the configuration that a machine becomes, and how to read its end.

Bochs has no way of its own to load a multiboot image: vmlib/disk.py makes a disk that does. Its display is a pseudo-terminal
that it opens by itself; the session reads it empty, or Bochs would stop when nobody does.
"""

import re
import signal
import subprocess

from . import disk, hosts, machine as machines, places, sizes

# The session relays between the terminal and the console's line.
OWN_TERMINAL = False
LETTERS = False
# Of the screen.
ENVIRONMENT = {"TERM": "vt100"}

# Instructions in a second of the machine's time. Its clocks follow from it; the machine may run faster or slower than that.
SPEED = 50_000_000

# While entries are recorded, each takes the hypervisor some thousands of instructions more; short timers must not notice.
SPEED_RECORDING = 4 * SPEED

# Time passes as instructions do, and in no time while the machine is idle. With a person, no faster than on the wall.
UNHURRIED, HURRIED = "slowdown", "none"

CONFIGURATION = """\
config_interface: textconfig
display_library: term
memory: guest={memory}, host={memory}
romimage: file="{firmware[0]}", options=fastboot
vgaromimage: file="{firmware[1]}"
cpu: model={processor}, count=1, ips={speed}, reset_on_triple_fault=0
clock: sync={sync}, time0=utc, rtc_sync=0
vga: extension=vbe, update_freq=1, realtime=0
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: {drive}
boot: {boot}
sound: driver=dummy
speaker: enabled=0
port_e9_hack: enabled=1
log: {log}
panic: action=fatal
error: action={errors}
info: action=ignore
debug: action=ignore
"""
DISK = 'type=disk, mode=flat, path="disk", cylinders={cylinders}, heads={heads}, spt={sectors}'

# What Bochs's debugger, which Debian's build has, is told: to run the machine, and to leave; if it was interrupted, to say
# first where it stands.
SCRIPT = "continue\nregisters\nsreg\ncreg\nprint-stack 16\nquit\n"
INTERRUPTED_SECONDS = 5

# The hypervisor's status, on a line of its own among what the debugger says.
STATUS = re.compile(r"^([0-9])$", re.MULTILINE)
LAST_WORDS = re.compile(r"^Bochs is exiting with the following message:\n(.*)$", re.MULTILINE)
SHUTDOWN = "Shutdown port: shutdown requested"
POWER_OFF = "ACPI control: soft power off"
TRIPLE_FAULT = "exception with no resolution"
SCREEN = re.compile(rb'^Bochs connected to screen "([^"]+)"$', re.MULTILINE)


def command(machine, folder, wires, terminal, typed):
    """Bochs's arguments. It runs in @folder, where this writes its configuration and its disk; @wires get a line for each
    port."""
    carried = machines.hypervisor_modules(machine, folder)
    plan = disk.multiboot(places.HYPERVISOR, machines.hypervisor_words(machine), carried)
    disk_drive = drive(disk.write(folder / "disk", plan))
    text = configuration(machine.processor, machines.memory_bytes(machine, carried), disk_drive,
                         sync=UNHURRIED if terminal or typed else HURRIED, log=machine.log,
                         speed=SPEED_RECORDING if machine.record else SPEED)
    text += _socket("com1", wires.listen("console")) if terminal or typed else _file("com1", wires.pipe("console"))
    text += _socket("com2", wires.listen("control")) if machine.monitor else _file("com2", "control")
    text += _file("com3", wires.pipe("output")) + _file("com4", wires.pipe("errors"))
    (folder / "bochsrc").write_text(text, encoding="utf-8")
    (folder / "script").write_text(SCRIPT, encoding="ascii")
    return [machine.host.emulator, "-q", "-f", "bochsrc", "-rc", "script"]


def drive(cylinders):
    """The drive of a machine in whose folder vmlib/disk.py wrote a disk of @cylinders."""
    return DISK.format(cylinders=cylinders, heads=disk.HEADS, sectors=disk.SECTORS_PER_TRACK)


def configuration(processor, memory, first_drive, boot="disk", sync=HURRIED, log=None, speed=SPEED):
    """The configuration of a machine with @memory bytes and @first_drive, but for its serial ports."""
    return CONFIGURATION.format(processor=processor, memory=-(-memory // sizes.MIB), drive=first_drive, boot=boot, sync=sync,
                                speed=speed, firmware=hosts.FIRMWARE, log=log or "log", errors="report" if log else "ignore")


def interrogate(machine, folder, process):
    """The machine is about to be stopped: if its log is kept, let it say in there where it stands."""
    if machine.log:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(INTERRUPTED_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        with open(machine.log, "a", encoding="utf-8") as log:
            log.write(places.text(folder / "said"))


def ending(folder, exit_status):
    """How the machine in @folder ended: the exit status that QEMU would give, a complaint, and whether there was a triple
    fault."""
    status = STATUS.findall(places.text(folder / "said"))
    last = LAST_WORDS.search(places.text(folder / "complaints"))
    words = last[1] if last else ""
    if status:
        exit_status = int(status[-1]) << 1 | 1
    expected = any(word in words for word in (SHUTDOWN, POWER_OFF, TRIPLE_FAULT))
    return exit_status, "" if expected or not words else f"bochs: {words}", TRIPLE_FAULT in words


def screen(folder):
    """The pseudo-terminal of the machine's display, once Bochs has said its name, or None."""
    found = SCREEN.search((folder / "complaints").read_bytes())
    return found[1].decode() if found else None


def _file(port, path):
    return f"{port}: enabled=1, mode=file, dev={path}\n"


def _socket(port, number):
    return f"{port}: enabled=1, mode=socket-client, dev=127.0.0.1:{number}\n"
