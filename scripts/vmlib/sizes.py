"""Amounts of memory, as people write them."""

import re

from .status import refuse

UNITS = {"": 1 << 20, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
MIB = 1 << 20
# What the emulator and the rest of this machine need beside the guest.
SPARE = 256 * MIB


def parse(text):
    """Bytes of @text: a whole number with K, M, G or T behind it; without a letter, MiB."""
    match = re.fullmatch(r"([0-9]{1,9})([KMGT]?)(i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise refuse(f"--memory {text} is not an amount of memory; write it as 512M or 2G")
    return int(match[1]) * UNITS[match[2].upper()]


def name(size):
    """@size bytes, as short as it can be said exactly enough."""
    for letter, unit in (("G", 1 << 30), ("M", MIB), ("K", 1 << 10)):
        if size >= unit and size % unit == 0:
            return f"{size // unit}{letter}"
    return f"{size} bytes"


def check(text, least, most):
    """Bytes of @text, if a guest that uses @least to @most bytes can have them on this machine."""
    size = parse(text)
    if size % MIB:
        raise refuse(f"--memory {text} is not a whole number of MiB")
    if size < least:
        raise refuse(f"--memory {text} is too little: this guest needs {name(least)} or more")
    if size > most:
        raise refuse(f"--memory {text} is too much: this guest can use {name(most)} at most")
    here = machine_memory()
    if size + SPARE > here:
        raise refuse(f"--memory {text} is too much: this machine has {here // MIB}M in all, and needs "
                     f"{name(SPARE)} beside the guest")
    return size


def machine_memory():
    """Bytes of memory of this machine."""
    with open("/proc/meminfo", encoding="ascii") as info:
        return int(re.search(r"MemTotal:\s+([0-9]+) kB", info.read())[1]) << 10
