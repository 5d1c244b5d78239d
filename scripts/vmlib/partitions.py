"""Further partitions, as the words of --partition."""

import shlex

from . import guests, hosts, images, loads, machine, options, sizes
from .status import refuse

DEFAULT_MEMORY = "256M"

# Where a guest without the channel, which is the first partition's as a rule, says what its command says.
ON_CONSOLE = "ttyS0 ttyS0"

# What each word is for; those that may come more than once.
KNOWN = ("mmu", "memory", "cpus", "policy", "enlightenments", "firmware", "pool", "drop", "channel",
         "guest", "run", "packages", "kernel", "image", "protocol", "payload", "append")
SEVERAL = ("file", "initrd")


def understand(text, host, verbose):
    """The partition that @text, words of --partition, describes, with all that it boots."""
    words = _words(text)
    partition = _partition(words, host)
    boots = [name for name in ("guest", "kernel", "image") if name in words]
    if len(boots) != 1:
        raise refuse(f"--partition '{text}' wants one of guest=, kernel= and image=")
    if boots == ["guest"]:
        _boot_guest(partition, words, host, verbose)
    else:
        _boot_image(partition, words, host)
    return partition


def _words(text):
    try:
        entries = shlex.split(text)
    except ValueError as error:
        raise refuse(f"--partition '{text}': {error}") from None
    words = {name: [] for name in SEVERAL}
    for entry in entries:
        name, sign, value = entry.partition("=")
        if not sign or name not in KNOWN + SEVERAL:
            raise refuse(f"--partition does not know {entry}; its words are {'=, '.join(KNOWN + SEVERAL)}=")
        if name in SEVERAL:
            words[name].append(value)
        elif name in words:
            raise refuse(f"--partition has {name}= twice")
        else:
            words[name] = value
    return words


def _partition(words, host):
    technique = words.get("mmu", host.techniques[0])
    hosts.find(host.name, technique)
    if technique == hosts.NATIVE:
        raise refuse("--partition is for the hypervisor: mmu=none has none")
    least, most = loads.IMAGE_LEAST, loads.IMAGE_MOST
    if "guest" in words:
        least, most = loads.GUEST_LEAST, guests.find(words["guest"]).most_memory
    return machine.Partition(
        technique=technique, memory=sizes.check(words.get("memory", DEFAULT_MEMORY), least, most),
        cpus=options.understand(options.cpus, words.get("cpus", "1")),
        policy=options.understand(options.policy, words.get("policy", "")),
        channel=_switch(words, "channel", False), enlightenments=_switch(words, "enlightenments", True),
        firmware=_firmware(words), pool=options.understand(options.count, words["pool"]) if "pool" in words else None,
        drop=options.understand(options.drop, words["drop"]) if "drop" in words else None)


def _switch(words, name, default):
    value = words.get(name, "on" if default else "off")
    if value not in ("on", "off"):
        raise refuse(f"--partition: {name}={value} is neither on nor off")
    return value == "on"


def _firmware(words):
    value = words.get("firmware", machine.FIRMWARE)
    if value not in options.FIRMWARE:
        raise refuse(f"--partition: firmware={value} is none of {', '.join(options.FIRMWARE)}")
    return value


def _boot_guest(partition, words, host, verbose):
    """Without a command it has a shell on its console, for whoever lets that be seen."""
    lines = "" if partition.channel else ON_CONSOLE
    work = loads.run_work([words["run"]], lines) if "run" in words else loads.shell_work(False)
    for entry in words["file"]:
        loads.add_file(work, entry, "--partition file")
    names = [name for name in words.get("packages", "").split(",") if name]
    loads.linux(partition, loads.fitting(guests.find(words["guest"]), host),
                loads.Work(work, names, words.get("append", ""), verbose), host.slow)


def _boot_image(partition, words, host):
    image = loads.fitting(images.find(words["image"]), host) if "image" in words else None
    partition.kernel = images.prepare(image) if image else loads.existing(words["kernel"], "--partition kernel")
    partition.command_line = " ".join(word for word in (image.words if image else "", words.get("append", "")) if word)
    partition.protocol = words.get("protocol", image.protocol if image else hosts.PROTOCOLS[host.family][0])
    loads.check_protocol(partition.protocol, host)
    partition.payload = loads.payload(words.get("payload"), host)
    loads.add_initrds(partition, words["initrd"])
