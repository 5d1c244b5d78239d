#!/usr/bin/python3
"""dump_guest.py [options] OUT: boot a Debian guest without a hypervisor, stop it, and write its memory to files.

OUT.elf        ELF core, of QEMU's dump-guest-memory
OUT.kdump      the same, compressed
OUT.raw        memory from address 0 on
OUT.registers  `info registers` of each processor, with `--maps` also OUT.mem and OUT.tlb
OUT.addresses  with --addresses N: N random addresses that the first processor's tables map, a line each
OUT.gva2gpa    what QEMU's gva2gpa says of them, a line each; how many a second is printed
"""

import argparse
import pathlib
import random
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "scripts")]

# The paths above must come first.
import dataclasses  # noqa: E402

import natives  # noqa: E402
import witness  # noqa: E402
from vmlib import sizes  # noqa: E402


KINDS = {**natives.KINDS, **natives.MORE_KINDS}


def main():
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS, default="amd64", help="the guest (default %(default)s)")
    parser.add_argument("--memory", default="192M", help="its memory (default %(default)s)")
    parser.add_argument("--cpus", type=int, choices=(1, 2), help="its processors: of two, the second is in user mode")
    parser.add_argument("--user", action="store_true", help="with one processor: stop it in user mode, not in the kernel")
    parser.add_argument("--formats", default="elf", metavar="F[,F]", help="elf, kdump, raw (default %(default)s)")
    parser.add_argument("--maps", action="store_true",
                        help="write what info mem and info tlb say (with la57 the former takes QEMU 7.2 minutes)")
    parser.add_argument("--addresses", type=int, default=0, metavar="N", help="ask QEMU for the translation of N addresses")
    parser.add_argument("out", type=pathlib.Path)
    options = parser.parse_args()
    kind = KINDS[options.kind]
    kind = dataclasses.replace(kind, memory=sizes.parse(options.memory), processors=options.cpus or kind.processors)
    with natives.booted(kind) as machine:
        machine.stop([natives.USER if options.user else natives.KERNEL, natives.USER][:kind.processors])
        for form in options.formats.split(","):
            if form not in natives.FORMS:
                parser.error(f"there is no format {form}")
            machine.dump(f"{options.out}.{form}", form)
        _write(options.out, "registers", (machine.registers(at) for at in range(kind.processors)))
        if options.maps:
            _write(options.out, "mem", [machine.monitor.ask("info mem")])
            _write(options.out, "tlb", [machine.monitor.ask("info tlb")])
        if options.addresses:
            _translate(machine, options.out, options.addresses)


def _write(out, suffix, texts):
    pathlib.Path(f"{out}.{suffix}").write_text("".join(text.replace("\r\n", "\n") for text in texts), encoding="ascii")


def _translate(machine, out, count):
    pages = witness.leaves(machine.monitor.ask("info tlb"))
    chosen = random.Random(1)
    addresses = [chosen.choice(pages).address + chosen.randrange(witness.PAGE_BYTES) for _ in range(count)]
    start = time.monotonic()
    answers = machine.monitor.ask_all([f"gva2gpa {address:#x}" for address in addresses])
    seconds = time.monotonic() - start
    _write(out, "addresses", (f"{address:#x}\n" for address in addresses))
    _write(out, "gva2gpa", answers)
    print(f"gva2gpa: {count / seconds:.0f} translations a second")


if __name__ == "__main__":
    main()
