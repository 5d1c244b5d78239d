"""What scripts/vm does: shell, run, boot, list."""

import json
import os
import pathlib
import subprocess
import sys

from . import (guests, hosts, images, loads, machine, options, outcome, partitions, places, progress, prompt, session,
               sizes, status)

CONSOLE_LINES = 20


def main(words):
    """Run scripts/vm with @words; its exit status."""
    try:
        chosen = options.parse(words)
        if getattr(chosen, "quiet", False):
            progress.silence()
        if chosen.job in ("shell", "run"):
            chosen.guest = chosen.guest or _default_guest(chosen)
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
    if chosen.guest in images.IMAGES:
        return _shell_of_loader(chosen, terminal)
    built = _guest_machine(chosen, loads.shell_work(terminal))
    progress.say(f"booting {_title(chosen)}; `poweroff` leaves" + (", Ctrl-A x ends all" if terminal else ""))
    if terminal:
        run_session = session.Session(built, terminal=True)
    else:
        typist = session.Typist(sys.stdin.fileno())
        sinks = {"console": _writer(sys.stdout), "output": lambda data: setattr(typist, "started", True)}
        run_session = session.Session(built, typist=typist, sinks=sinks)
    ended = _run(run_session, chosen)
    return outcome.together(outcome.shell_status(ended, run_session.console), ended, outcome.command_value)


def run(chosen):
    """One command in a guest."""
    if chosen.guest in images.IMAGES:
        return _run_in_loader(chosen)
    built = _guest_machine(chosen, loads.run_work(chosen.command, _lines(chosen)))
    built.record_status = built.native
    progress.say(f"booting {_title(chosen)}")
    sinks = {"output": _writer(sys.stdout), "errors": _writer(sys.stderr)}
    if chosen.verbose:
        sinks["console"] = _writer(sys.stderr)
    run_session = session.Session(built, sinks=sinks)
    ended = _run(run_session, chosen)
    try:
        own = outcome.command_status(ended, run_session.console)
    except status.Failure:
        if not chosen.verbose:
            _show_console(run_session.console)
        raise
    return outcome.together(own, ended, outcome.command_value)


def boot(chosen):
    """Any image of the user's, or one of Debian's."""
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if chosen.guest in guests.GUESTS:
        built = _guest_of_boot(chosen, terminal)
    else:
        built = _image_machine(chosen, _image_of_boot(chosen))
    if terminal:
        progress.say("Ctrl-A x ends the machine")
    run_session = session.Session(built, terminal=terminal, sinks={"console": _writer(sys.stdout)})
    ended = _run(run_session, chosen)
    return outcome.together(outcome.image_status(ended), ended, outcome.image_value)


def list_all(_):
    """Hosts, techniques and guests, and what of them is here."""
    rows = [("host", host.name, "installed" if host.installed else f"needs {' '.join(host.packages)}", host.says)
            for host in hosts.HOSTS.values()]
    rows += [("processor", processor, f"of {host.name}" + (", the usual one" if processor == host.processors[0] else ""), "")
             for host in hosts.HOSTS.values() for processor in host.processors]
    rows += [("technique", name, "on " + ", ".join(host.name for host in hosts.HOSTS.values() if name in host.techniques),
              says) for name, says in hosts.TECHNIQUES.items()]
    rows += [("guest", guest.name, _readiness(guest), guest.paging)
             for guest in guests.GUESTS.values()]
    rows += [("image", image.name, "prepared" if images.installed(image) else "not fetched yet", image.says)
             for image in images.IMAGES.values()]
    rows += [("hypervisor", str(path.relative_to(places.TREE)), "built" if path.exists() else f"not built: make {rule}", "")
             for path, rule in ((places.HYPERVISOR, "hv"), (places.HYPERVISOR_PPC, "hv-ppc"))]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join([cell.ljust(width) for cell, width in zip(row, widths)] + [row[3]]).rstrip())
    return 0


def _default_guest(chosen):
    """The guest for the host. What is yet to be built from sources gives way to a boot loader, which has a shell as well."""
    host = hosts.find(chosen.host, chosen.mmu)
    name = guests.DEFAULT_GUESTS[host.family]
    loader = next((image.name for image in images.IMAGES.values() if image.prompt and image.family == host.family), None)
    return loader if loader and chosen.job == "shell" and not guests.installed(guests.find(name)) else name


def _lines(chosen):
    """Over what a command's output and errors come, where that is not the usual."""
    host = hosts.find(chosen.host, chosen.mmu)
    return loads.LETTERS if chosen.mmu == hosts.NATIVE and host.family == hosts.E500 else ""


def _loader_machine(chosen):
    """A machine that boots an image with a prompt, and the prompt."""
    image = images.find(chosen.guest)
    if not image.prompt:
        raise status.refuse(f"{image.name} has no shell: boot it by scripts/vm boot --image {image.name}")
    for option, wanted in (("--file", chosen.file), ("--packages", chosen.packages)):
        if wanted:
            raise status.refuse(f"{option} is for guests with a file system: {image.name} has none")
    return _image_machine(chosen, image), image.prompt.encode()


def _shell_of_loader(chosen, terminal):
    """An interactive boot loader: on a terminal as it is, else with the lines of standard input typed in."""
    built, sign = _loader_machine(chosen)
    progress.say(f"booting {_title(chosen)}; `{prompt.LAST.decode()}` leaves" + (", Ctrl-A x ends all" if terminal else ""))
    if terminal:
        run_session = session.Session(built, terminal=True)
    else:
        typist = prompt.Typist(sign, prompt.lines_of(sys.stdin.fileno()))
        run_session = session.Session(built, typist=typist, sinks={"console": _both(_writer(sys.stdout), typist.hear)})
    ended = _run(run_session, chosen)
    return outcome.together(outcome.image_status(ended), ended, outcome.image_value)


def _run_in_loader(chosen):
    """One line of a boot loader's."""
    built, sign = _loader_machine(chosen)
    line = prompt.line_of(chosen.command)
    progress.say(f"booting {_title(chosen)}")
    typist = prompt.Typist(sign, iter((line, prompt.ASK_STATUS)))
    said = []
    hear = _both(said.append, typist.hear)
    run_session = session.Session(built, typist=typist, sinks={"console": _both(_writer(sys.stderr), hear) if chosen.verbose else hear})
    ended = _run(run_session, chosen)
    text, value = prompt.answer(b"".join(said), sign, line)
    _writer(sys.stdout)(text)
    own = outcome.image_status(ended)
    if value is None:
        raise status.Failure(status.NO_STATUS, f"the guest ended ({ended.kind}) before the command gave a status")
    return outcome.together(own or value & 0xFF, ended, outcome.command_value)


def _both(one, other):
    def write(data):
        one(data)
        other(data)
    return write


def _image_of_boot(chosen):
    """The image that is named; None: one of the user's."""
    if chosen.guest and chosen.guest not in images.IMAGES:
        guests.find(chosen.guest)  # which refuses it: the caller has asked for those that there are
    named = chosen.image or chosen.guest
    return images.find(named) if named else None


def _guest_of_boot(chosen, terminal):
    """A machine with a guest that is given nothing to do: it has a shell on its console."""
    for option, wanted in (("--initrd", chosen.initrd), ("--protocol", chosen.protocol), ("--payload", chosen.payload)):
        if wanted:
            raise status.refuse(f"{option} is for an image: {chosen.guest} has its own")
    chosen.file, chosen.packages = [], ""
    return _guest_machine(chosen, loads.shell_work(terminal))


def _image_machine(chosen, image):
    """A machine that boots @image, or with None, the user's."""
    kernel = None if image else loads.existing(chosen.kernel, "--kernel")
    built = _machine(chosen, loads.IMAGE_LEAST, loads.IMAGE_MOST)
    guest = built.first
    guest.kernel = images.prepare(loads.fitting(image, built.host)) if image else kernel
    guest.command_line = " ".join(word for word in (image.words if image else "", chosen.append) if word)
    guest.protocol = getattr(chosen, "protocol", None) or (image.protocol if image else hosts.PROTOCOLS[built.host.family][0])
    loads.check_protocol(guest.protocol, built.host)
    guest.payload = loads.payload(getattr(chosen, "payload", None), built.host)
    loads.add_initrds(guest, getattr(chosen, "initrd", []))
    return built


def _readiness(guest):
    if guests.installed(guest):
        return "prepared"
    return "not fetched yet" if guest.family == hosts.PC else "not built yet"


def _title(chosen):
    place = f"host {chosen.host}" + (f", {chosen.cpu}" if chosen.cpu else "")
    if chosen.mmu != hosts.NATIVE:
        place = f"{chosen.mmu} paging on {place}" if chosen.mmu != hosts.BOOKE else f"{chosen.mmu} on {place}"
    return f"{chosen.guest} with {chosen.memory} ({place})"


def _machine(chosen, least, most):
    """The machine that the options describe, without what its first partition boots."""
    host = hosts.find(chosen.host, chosen.mmu)
    processor = hosts.find_processor(host, chosen.cpu, chosen.la57)
    memory = sizes.check(chosen.memory, least, most)
    _check_together(chosen)
    _check_family(chosen, host)
    if chosen.mmu != hosts.NATIVE and not host.ready:
        _build_hypervisor(host)
    if not host.installed:
        raise status.refuse(f"{host.emulator} is not here: run scripts/install {' '.join(host.packages)}")
    first = machine.Partition(technique=chosen.mmu, memory=memory, cpus=chosen.cpus, policy=chosen.policy, parent=chosen.parent,
                              enlightenments=chosen.enlightenments, firmware=chosen.firmware or machine.FIRMWARE, pool=chosen.pool,
                              drop=chosen.drop, stop_port=chosen.stop_port)
    others = [partitions.understand(words, host, chosen.verbose) for words in chosen.partition]
    paths = {name: pathlib.Path(path).absolute() if path else None
             for name, path in (("log", chosen.log), ("record", chosen.record), ("monitor", chosen.monitor))}
    return machine.Machine(host=host, processor=processor, partitions=[first, *others], la57=chosen.la57, **paths)


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
        for option, wanted in (("--policy", chosen.policy), ("--parent", chosen.parent), ("--partition", chosen.partition)):
            if wanted:
                raise status.refuse(f"{option} is for the hypervisor: --mmu none has none")
        if not chosen.enlightenments or chosen.firmware:
            raise status.refuse("--mmu none has the emulator's own firmware and no Hyper-V interface to hide")
    if chosen.mmu != "shadow" and (chosen.pool or chosen.drop and chosen.mmu != "booke"):
        raise status.refuse(f"--shadow-pool and --shadow-drop are for --mmu shadow: {chosen.mmu} has no shadow pages")
    if chosen.stop_port and not chosen.monitor:
        raise status.refuse("--stop-port needs --monitor: nobody else could let the guest go on")
    if chosen.record and chosen.host != "intel":
        raise status.refuse(f"--record-entries is for host intel: host {chosen.host} does not print port 0xE9")


def _check_family(chosen, host):
    """Refuse options for what machines of another family have."""
    if host.family != hosts.E500:
        return
    for option, wanted in (("--cpus", chosen.cpus != 1), ("--firmware", chosen.firmware), ("--policy", chosen.policy),
                           ("--no-enlightenments", not chosen.enlightenments), ("--parent", chosen.parent),
                           ("--stop-port", chosen.stop_port)):
        if wanted:
            raise status.refuse(f"{option} is for guests of a PC: host {host.name} has none")


def _build_hypervisor(host):
    rule = "hypervisor" if host.family == hosts.PC else "hypervisor-ppc"
    progress.say(f"the hypervisor is not built yet: make {rule}")
    built = subprocess.run(["make", "-s", "--no-print-directory", rule], cwd=places.TREE, check=False,
                           stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno())
    if built.returncode != 0 or not host.hypervisor.exists():
        raise status.refuse("the hypervisor cannot be built: see above")


def _guest_machine(chosen, work):
    """A machine that boots a guest with Linux, which finds @work (an archive) in its file system."""
    guest = loads.fitting(guests.find(chosen.guest), hosts.find(chosen.host, chosen.mmu))
    for entry in chosen.file:
        loads.add_file(work, entry, "--file")
    built = _machine(chosen, loads.GUEST_LEAST, guest.most_memory)
    names = [name for name in chosen.packages.split(",") if name]
    loads.linux(built.first, guest, loads.Work(work, names, chosen.append, chosen.verbose), built.host.slow)
    return built


def _run(run_session, chosen):
    """Run the session, write the report that was asked for, and return the outcome."""
    ended = run_session.run(chosen.timeout)
    if chosen.stats:
        document = _all_documents(ended)
        if document is None:
            progress.warn(f"the hypervisor left no report: {chosen.stats} is not written")
        else:
            pathlib.Path(chosen.stats).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if ended.others:
        _tell_others(ended)
    return ended


def _all_documents(ended):
    """What --stats is to hold: a partition's report, or those of several in a list."""
    if not ended.others:
        return ended.document
    documents = [ended.document, *(other.document for other in ended.others.values())]
    return {"vmmu": 1, "partitions": [document for document in documents if document]}


def _tell_others(ended):
    """How each partition ended, and what those that had no console here have said since somebody read it."""
    for index, one in {0: ended, **ended.others}.items():
        for line in ((one.document or {}).get("console") or "").replace("\r", "").splitlines():
            sys.stderr.write(f"vm: {index}| {line}\n")
        progress.warn(f"partition {index}: {one}")


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
