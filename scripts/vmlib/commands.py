"""What scripts/vm does: shell, run, boot, list."""

import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

from . import cpio, guests, hosts, images, machine, options, outcome, places, progress, session, sizes, status

GUEST_LEAST = 128 * sizes.MIB
IMAGE_LEAST = 4 * sizes.MIB
IMAGE_MOST = 1024 * guests.GIB
CONSOLE_LINES = 20

# An initramfs lies in memory twice while it is unpacked; the kernel needs the rest.
KERNEL_BYTES = 64 * sizes.MIB


def main(words):
    """Run scripts/vm with @words; its exit status."""
    try:
        chosen = options.parse(words)
        if getattr(chosen, "quiet", False):
            progress.silence()
        return {"shell": shell, "run": run, "boot": boot, "list": list_all}[chosen.job](chosen)
    except status.Failure as failure:
        progress.warn(str(failure))
        return failure.status
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            # Nobody reads our output any more: end as the other programs of a pipeline do.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        progress.warn(f"{error.filename or 'this machine'}: {error.strerror}")
        return status.REFUSED
    except KeyboardInterrupt:
        return 130


def shell(chosen):
    """An interactive guest: on a terminal as it is, else with standard input typed in."""
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    built = _guest_machine(chosen, _shell_work(terminal))
    progress.say(f"booting {_title(chosen)}; `poweroff` leaves" + (", Ctrl-A x ends all" if terminal else ""))
    if terminal:
        run_session = session.Session(built, terminal=True)
    else:
        typist = session.Typist(sys.stdin.fileno())
        sinks = {"console": _writer(sys.stdout), "output": lambda data: setattr(typist, "started", True)}
        run_session = session.Session(built, typist=typist, sinks=sinks)
    ended = _run(run_session, chosen)
    return outcome.shell_status(ended, run_session.console)


def run(chosen):
    """One command in a guest."""
    built = _guest_machine(chosen, _run_work(chosen.command))
    built.record_status = built.native
    progress.say(f"booting {_title(chosen)}")
    sinks = {"output": _writer(sys.stdout), "errors": _writer(sys.stderr)}
    if chosen.verbose:
        sinks["console"] = _writer(sys.stderr)
    run_session = session.Session(built, sinks=sinks)
    ended = _run(run_session, chosen)
    try:
        return outcome.command_status(ended, run_session.console)
    except status.Failure:
        if not chosen.verbose:
            _show_console(run_session.console)
        raise


def boot(chosen):
    """Any image of the user's, or one of Debian's."""
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    image = images.find(chosen.image) if chosen.image else None
    kernel = None if image else _existing(chosen.kernel, "--kernel")
    built = _machine(chosen, IMAGE_LEAST, IMAGE_MOST)
    built.kernel = images.prepare(image) if image else kernel
    built.command_line = " ".join(word for word in (image.words if image else "", chosen.append) if word)
    built.protocol = chosen.protocol or (image.protocol if image else "linux")
    carried = built.modules if built.protocol == "multiboot" else built.initrds
    for entry in chosen.initrd:
        path, _, text = (entry, "", "") if os.path.exists(entry) else entry.partition(" ")
        carried.append((_existing(path, "--initrd"), text))
    if terminal:
        progress.say("Ctrl-A x ends the machine")
    run_session = session.Session(built, terminal=terminal, sinks={"console": _writer(sys.stdout)})
    return outcome.image_status(_run(run_session, chosen))


def list_all(_):
    """Hosts, techniques and guests, and what of them is here."""
    rows = [("host", host.name, "installed" if host.installed else f"needs {' '.join(host.packages)}", host.says)
            for host in hosts.HOSTS.values()]
    rows += [("processor", processor, f"of {host.name}" + (", the usual one" if processor == host.processors[0] else ""), "")
             for host in hosts.HOSTS.values() for processor in host.processors]
    rows += [("technique", name, "on " + ", ".join(host.name for host in hosts.HOSTS.values() if name in host.techniques),
              says) for name, says in hosts.TECHNIQUES.items()]
    rows += [("guest", guest.name, "prepared" if guests.installed(guest) else "not fetched yet", guest.paging)
             for guest in guests.GUESTS.values()]
    rows += [("image", image.name, "prepared" if images.installed(image) else "not fetched yet", image.says)
             for image in images.IMAGES.values()]
    rows.append(("hypervisor", str(places.HYPERVISOR.relative_to(places.TREE)),
                 "built" if places.HYPERVISOR.exists() else "not built: make hv", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join([cell.ljust(width) for cell, width in zip(row, widths)] + [row[3]]).rstrip())
    return 0


def _title(chosen):
    place = f"host {chosen.host}" + (f", {chosen.cpu}" if chosen.cpu else "")
    if chosen.mmu != hosts.NATIVE:
        place = f"{chosen.mmu} paging on {place}"
    return f"{chosen.guest} with {chosen.memory} ({place})"


def _machine(chosen, least, most):
    """The machine that the options describe, without what it boots."""
    host = hosts.find(chosen.host, chosen.mmu)
    processor = hosts.find_processor(host, chosen.cpu, chosen.la57)
    memory = sizes.check(chosen.memory, least, most)
    _check_together(chosen)
    if chosen.mmu != hosts.NATIVE and not (places.HYPERVISOR.exists() and places.DISK_LOADER.exists()):
        _build_hypervisor()
    if not host.installed:
        raise status.refuse(f"{host.emulator} is not here: run scripts/install {' '.join(host.packages)}")
    paths = {name: pathlib.Path(path).absolute() if path else None
             for name, path in (("log", chosen.log), ("record", chosen.record), ("monitor", chosen.monitor))}
    return machine.Machine(host=host, processor=processor, technique=chosen.mmu, memory=memory, kernel=None, la57=chosen.la57,
                           enlightenments=chosen.enlightenments, firmware=chosen.firmware, pool=chosen.pool, drop=chosen.drop,
                           stop_port=chosen.stop_port, **paths)


def _check_together(chosen):
    """Refuse options that contradict each other, and files that cannot be written."""
    for option, path in (("--stats", chosen.stats), ("--log", chosen.log), ("--monitor", chosen.monitor),
                         ("--record-entries", chosen.record)):
        if path and not os.access(os.path.dirname(os.path.abspath(path)), os.W_OK):
            raise status.refuse(f"{option} {path} cannot be written there")
    if chosen.mmu == hosts.NATIVE:
        for option, wanted in (("--stats", chosen.stats), ("--monitor", chosen.monitor)):
            if wanted:
                raise status.refuse(f"{option} needs the hypervisor: --mmu none has none")
        if not chosen.enlightenments or chosen.firmware != "acpi":
            raise status.refuse("--mmu none has the emulator's own firmware and no Hyper-V interface to hide")
    if chosen.mmu != "shadow" and (chosen.pool or chosen.drop):
        raise status.refuse(f"--shadow-pool and --shadow-drop are for --mmu shadow: {chosen.mmu} has no shadow pages")
    if chosen.stop_port and not chosen.monitor:
        raise status.refuse("--stop-port needs --monitor: nobody else could let the guest go on")
    if chosen.record and chosen.host != "intel":
        raise status.refuse(f"--record-entries is for host intel: host {chosen.host} does not print port 0xE9")


def _build_hypervisor():
    progress.say("the hypervisor is not built yet: make hypervisor")
    built = subprocess.run(["make", "-s", "--no-print-directory", "hypervisor"], cwd=places.TREE, check=False,
                           stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno())
    if built.returncode != 0 or not places.HYPERVISOR.exists():
        raise status.refuse("the hypervisor cannot be built: see above")


def _guest_machine(chosen, work):
    """A machine that boots a Debian guest, which finds @work (an archive) in its file system."""
    guest = guests.find(chosen.guest)
    for entry in chosen.file:
        _add_file(work, entry)
    built = _machine(chosen, GUEST_LEAST, guest.most_memory)
    made = guests.prepare(guest, unpacked=built.host.slow)
    built.initrds = [(made.initrd, "")]
    names = [name for name in chosen.packages.split(",") if name]
    if names:
        built.initrds.append((guests.extras(guest, names), ""))
    built.work = work.bytes()
    _check_room(built)
    words = [guests.COMMAND_LINE, guests.SLOW if built.host.slow else "", guest.words,
             "" if chosen.verbose else guests.QUIET, chosen.append]
    _enter(built, guest, made, " ".join(word for word in words if word))
    return built


def _enter(built, guest, made, words):
    """Let @built boot the kernel with @words for its command line; or what it runs under, which starts it."""
    built.kernel, built.command_line = made.kernel, words
    if made.under:
        image = images.find(guest.under)
        built.kernel, built.command_line = made.under, f"{image.words} {guest.under_words}"
        built.protocol = image.protocol
        built.modules = [(made.kernel, words)]


def _check_room(built):
    size = len(built.work) + sum(path.stat().st_size for path, _ in built.initrds)
    if 2 * size + KERNEL_BYTES > built.memory:
        raise status.refuse(f"what the guest is given ({-(-size // sizes.MIB)}M) does not fit into its memory; "
                            f"give it {sizes.name(-(-(2 * size + KERNEL_BYTES) // sizes.MIB) * sizes.MIB)} or more")


def _shell_work(terminal):
    work = cpio.Archive()
    work.file("etc/vmmu/mode", b"shell\n")
    lines = []
    if terminal:
        size = shutil.get_terminal_size()
        term = os.environ.get("TERM", "linux")
        lines = [f"LINES={size.lines}", f"COLUMNS={size.columns}", f"export TERM={shlex.quote(term)}"]
    work.file("etc/vmmu/terminal", "".join(line + "\n" for line in lines).encode())
    return work


def _run_work(command):
    """One word is a line of shell; several are a program and its arguments, taken as they are."""
    line = command[0] if len(command) == 1 else shlex.join(command)
    work = cpio.Archive()
    work.file("etc/vmmu/mode", b"run\n")
    work.file("etc/vmmu/command", os.fsencode(line) + b"\n")
    return work


def _add_file(work, entry):
    source, _, target = (entry, "", "") if os.path.exists(entry) else entry.rpartition(":")
    if not source or not os.path.exists(source):
        raise status.refuse(f"--file {entry}: there is no such file")
    if not target or target.endswith("/"):
        target += os.path.basename(os.path.abspath(source))
    try:
        work.tree(os.path.realpath(source), target if target.startswith("/") else f"root/{target}")
    except OSError as error:
        raise status.refuse(f"--file {entry}: {error.strerror}") from None


def _run(run_session, chosen):
    """Run the session, write the report that was asked for, and return the outcome."""
    ended = run_session.run(chosen.timeout)
    if chosen.stats:
        if ended.document is None:
            progress.warn(f"the hypervisor left no report: {chosen.stats} is not written")
        else:
            pathlib.Path(chosen.stats).write_text(json.dumps(ended.document, indent=1) + "\n", encoding="utf-8")
    return ended


def _existing(path, option):
    if not os.path.isfile(path):
        raise status.refuse(f"{option} {path}: there is no such file")
    return pathlib.Path(path).absolute()


def _show_console(console):
    """The guest's last words: from its kernel's panic on, or the last lines."""
    lines = console.decode("utf-8", "replace").splitlines()
    panic = [at for at, line in enumerate(lines) if outcome.PANIC_WORDS.decode() in line]
    lines = lines[panic[0]:][:CONSOLE_LINES] if panic else lines[-CONSOLE_LINES:]
    sys.stderr.write("".join(f"vm: console: {line}\n" for line in lines))


def _writer(stream):
    """What writes to @stream, which Python has as None where the caller closed it: nobody reads then."""
    def write(data):
        if stream is None:
            return
        stream.buffer.write(data)
        stream.buffer.flush()
    return write
