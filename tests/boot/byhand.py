"""The hypervisor started by hand on the host under test: any processor, command line and modules."""

import dataclasses
import json
import os
import pathlib
import subprocess

import front
import images
from tap import Failed, Skipped
from vmlib import bochs, disk, hosts, places

MEMORY_BYTES = 256 << 20
PORTS = ("console", "control", "output", "errors")


@dataclasses.dataclass
class Ended:
    """What it said on its console and on its control port, and the status that it left by."""

    console: str
    control: str
    status: int

    @property
    def report(self):
        """The only document on the control port, or None."""
        return json.loads(self.control or "null")


def usual_processor():
    """The emulator's name of the processor under test."""
    host = hosts.HOSTS[front.host]
    name = front.cpu or host.processors[0]
    return f"{name},-la57" if host.kind == "qemu" else name


def start(processor, line, modules):
    """Start the hypervisor with @modules: the words of each; all are one small kernel."""
    if front.mmu == "none":
        raise Skipped("there is no hypervisor")
    with front.scratch() as name:
        folder = pathlib.Path(name)
        (folder / "image").write_bytes(images.kernel(images.debug_exit(0)))
        words = {"qemu": _qemu, "bochs": _bochs}[hosts.HOSTS[front.host].kind](folder, processor, line, modules)
        return finish(folder, words)


def finish(folder, words, kind=None, seconds=None):
    """Run the emulator with @words in @folder, where its ports write to files of their names, to its end. It is that of the
    host under test, or one of @kind."""
    kind = kind or hosts.HOSTS[front.host].kind
    seconds = seconds or front.seconds()
    with open(folder / "said", "wb") as said, open(folder / "complaints", "wb") as complaints:
        try:
            ended = subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=complaints,
                                   env=dict(os.environ, TERM="vt100"), timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise Failed(f"not over in time; console: {places.text(folder / 'console')[-1500:]!r}") from None
    status = ended.returncode
    if kind == "bochs":
        status, _, _ = bochs.ending(folder, status)
    return Ended(places.text(folder / "console"), places.text(folder / "control"), status)


def bochs_words(folder, configuration):
    """The arguments of Bochs in @folder, once its @configuration is there, ports included."""
    ports = [f"com{at}: enabled=1, mode=file, dev={port}\n" for at, port in enumerate(PORTS, 1)]
    (folder / "bochsrc").write_text(configuration + "".join(ports))
    (folder / "script").write_text(bochs.SCRIPT)
    return ["bochs", "-q", "-f", "bochsrc", "-rc", "script"]


def _qemu(_, processor, line, modules):
    words = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", processor, "-m", str(MEMORY_BYTES >> 20), "-display", "none",
             "-no-reboot", "-nic", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-serial", "file:console",
             "-serial", "file:control", "-kernel", str(places.HYPERVISOR), "-append", line]
    return words + (["-initrd", ",".join(f"image {module}" for module in modules)] if modules else [])


def _bochs(folder, processor, line, modules):
    plan = disk.multiboot(places.HYPERVISOR, line, [(folder / "image", module) for module in modules])
    return bochs_words(folder, bochs.configuration(processor, MEMORY_BYTES, bochs.drive(disk.write(folder / "disk", plan))))
