"""Host ppc, a board with an e500: Debian's U-Boot in a partition says what it says on the board itself. And the front door's own
part of it: options that do not fit, the archive of modules, letters on a shared port, a kernel for U-Boot.

Linux there takes longer to come by: cases_10_booke_linux.py, by `make test-long`.
"""

import json
import os
import pathlib
import re
import struct
import subprocess
import tempfile
import zlib

import front
from asking import Monitor
from tap import case, cases, expect, expect_equal, expect_match
from terminal import terminal
from vmlib import cpio, crossbuilt, letters, outcome, prompt, status

HOST = ("--host", "ppc", "-q")
PLACES = {"inside": (*HOST, "--mmu", "booke"), "natively": (*HOST, "--mmu", "none")}
SIGN = b"=> "
MIB = 1 << 20

REFUSED = {
    "run --host ppc --mmu nested -- true": "host ppc has no nested; it has booke, none",
    "run --mmu booke -- true": "host amd has no booke",
    "run --host ppc --cpu max -- true": "host ppc has no processor max; it has e500v2",
    "run --host ppc --guest debian-amd64 -- true": "debian-amd64 does not boot on host ppc; it does on amd, intel, amd-bochs",
    "run --guest linux-e500 -- true": "linux-e500 does not boot on host amd; it does on ppc",
    "boot --image u-boot": "u-boot does not boot on host amd; it does on ppc",
    "boot --host ppc --image xen": "xen does not boot on host ppc",
    "boot --host ppc --protocol linux --image u-boot": "protocol linux is not for host ppc",
    "boot --image memtest86+ --payload /etc/hostname": "a payload is for U-Boot",
    "boot --host ppc --image u-boot --payload /nonexistent/f": "no such file",
    "run --host ppc --guest xen -- true": "xen has no shell",
    "run --host ppc --guest u-boot --file /etc/hostname -- true": "--file is for guests with a file system",
    "run --host ppc --guest u-boot --packages strace -- true": "--packages is for guests with a file system",
    "run --host ppc --cpus 2 -- true": "--cpus is for guests of a PC",
    "run --host ppc --la57 -- true": "no processor with five-level paging",
    "run --host ppc --policy pat=vp -- true": "--policy is for guests of a PC",
    "run --host ppc --parent -- true": "--parent is for guests of a PC",
    "run --host ppc --shadow-pool 96 -- true": "are for --mmu shadow",
    "boot --host ppc --guest minix": "no guest minix",
    "boot --host ppc --image u-boot --memory 3G": "the guests' memory is too much",
    "run --host ppc --guest u-boot --partition mmu=nested -- true": "host ppc has no nested",
    "run --host ppc --guest u-boot --partition image=xen -- true": "xen does not boot on host ppc",
}


def u_boot(place, *words, command):
    """How scripts/vm ended that ran one line in U-Boot."""
    return front.vm("run", *PLACES[place], "--guest", "u-boot", "--memory", "64M", *words, "--", command)


@cases("'scripts/vm {}' is refused with a sentence", REFUSED)
def _(words):
    ended = front.vm(*words.split())
    expect_equal(ended.status, status.REFUSED, "exit status")
    expect_match(f"^vm: .*{re.escape(REFUSED[words])}", ended.err, "errors")


@case("U-Boot comes to its prompt, and bdinfo tells of the same board as natively")
def _():
    ended = {place: u_boot(place, command="bdinfo") for place in PLACES}
    for place, one in ended.items():
        expect_equal((one.status, one.err), (0, ""), f"status and errors {place} ({one})")
    inside, natively = (_facts(ended[place].out) for place in PLACES)
    expect(len(inside) > 15, f"bdinfo said too little: {inside}")
    expect_equal(inside, natively, "what bdinfo says")
    expect_equal((inside["-> size"], inside["immr_base"], inside["addressing"]), ("0x04000000", "0xe0000000", "36-bit"), "the board")


def _facts(text):
    """What bdinfo says by name, without where the device tree was put, which has another size."""
    named = dict(re.split(r"\s*=\s*", line, maxsplit=1) for line in text.splitlines() if "=" in line)
    return {name: value for name, value in named.items() if not re.search(r"fdt|lmb|reserved", name)}


@cases("U-Boot writes memory, shows it and sums it up, {}", PLACES)
def _(place):
    lines = ["mw.l 100000 a5c3f00f 4", "md.l 100000 4", "mw.b 200000 5a 100000", "crc32 200000 100000", "cp.b 200000 300000 100000",
             "cmp.b 200000 300000 100000", "mw.b 3fffff 5b", "cmp.b 200000 300000 100000", "md.l 7fffff0 1"]
    ended = front.vm("shell", *PLACES[place], "--guest", "u-boot", "--memory", "128M", stdin="".join(f"{line}\n" for line in lines).encode())
    expect_equal(ended.status, 0, f"status ({ended})")
    expect_match(r"^00100000: a5c3f00f a5c3f00f a5c3f00f a5c3f00f", ended.out, "md")
    expect_match(f"==> {zlib.crc32(bytes([0x5A]) * MIB):08x}", ended.out, "crc32")
    expect_match(r"Total of 1048576 byte\(s\) were the same", ended.out, "cmp")
    expect_match(r"byte at 0x002fffff \(0x5a\) != byte at 0x003fffff \(0x5b\)", ended.out, "cmp of what differs")


@case("mtest, which Debian's U-Boot has not got, is answered as natively; so is a command that fails")
def _():
    for command in ("mtest 100000 200000 55 1", "itest 1 -eq 2", "crc32 -v 100000 10 0"):
        inside, natively = (u_boot(place, command=command) for place in PLACES)
        expect_equal((inside.status, inside.out), (natively.status, natively.out), command)
        expect(inside.status != 0, f"{command} did not fail")


@cases("U-Boot's {} ends the partition so", ("reset", "poweroff"))
def _(command):
    ended = u_boot("inside", command=command)
    kind = {"reset": "reset", "poweroff": "power-off"}[command]
    expect_equal(ended.status, status.NO_STATUS, f"status ({ended})")
    expect_match(f"the guest ended \\({kind}\\) before", ended.err, "errors")


@case("what is booted on a board by `boot` ends with 0 if it powers off, and a person can type on its console")
def _():
    with terminal("boot", *PLACES["inside"], "--guest", "u-boot", "--memory", "64M") as console:
        console.wait(SIGN)
        console.type("setexpr answer 21 + 21; echo <$answer>\r")
        console.wait(b"<42>")
        console.type("poweroff\r")
        expect_equal(console.end(), 0, "status")


@case("the memory of guests on a board never lies at its own address, nor in another's, and the report tells of traps")
def _():
    # The path of a socket may not be long.
    with tempfile.TemporaryDirectory() as short:
        path, stats = os.path.join(short, "m"), os.path.join(short, "stats.json")
        with terminal("boot", *PLACES["inside"], "--guest", "u-boot", "--memory", "64M", "--monitor", path, "--stats", stats,
                      "--partition", "image=u-boot memory=128M") as console:
            console.wait(SIGN)
            asking = Monitor(path)
            document = json.loads(asking.ask("state", b"\n"))
            asking.port.close()
            console.type("poweroff\r")
            # The other one stays at its prompt: the machine ends with the last, or by Ctrl-A x.
            console.type("\x01x")
            console.end()
    pieces = [(at, int(piece["gpa"], 16), int(piece["hpa"], 16), int(piece["bytes"], 16))
              for at, partition in enumerate(document["partitions"]) for piece in partition["memory"]]
    expect_equal({at: sum(size for which, _, _, size in pieces if which == at) for at in (0, 1)}, {0: 64 * MIB, 1: 128 * MIB},
                 "bytes of memory")
    for at, gpa, hpa, size in pieces:
        expect(gpa != hpa, f"partition {at} has memory at its own address {gpa:#x}")
        expect(not any(hpa < other + length and other < hpa + size for which, _, other, length in pieces if which != at),
               f"partition {at} shares memory at {hpa:#x}")


@case("what a boot loader is given to boot lies where its device tree says, and is what it was")
def _():
    payload = crossbuilt.uimage(_elf(b"\x60\0\0\0" * 4096))
    with front.scratch() as folder:
        path = os.path.join(folder, "payload")
        with open(path, "wb") as out:
            out.write(payload)
        answers = {}
        for place in PLACES:
            # Its own command would boot that at once: a key stops it.
            with terminal("boot", *PLACES[place], "--guest", "u-boot", "--memory", "64M", "--payload", path) as console:
                console.wait(b"stop autoboot")
                console.type(" ")
                console.wait(SIGN)
                console.type("iminfo $qemu_kernel_addr; fdt addr $fdtcontroladdr; fdt list /chosen\r")
                console.wait(b"};")
                answers[place] = console.seen.decode("utf-8", "replace")
                console.type("poweroff\r")
                expect_equal(console.end(), 0, f"status {place}")
    for place, text in answers.items():
        expect_match(r"Image Name:\s+Linux\b", text, f"iminfo {place}")
        expect_match(r"Verifying Checksum \.\.\. OK", text, f"iminfo {place}")
        expect_match(r"qemu,boot-kernel", text, f"/chosen {place}")


def _elf(code):
    """An ELF32 file with @code at address 0."""
    header = struct.pack(">4s5B7x2H5I6H", b"\x7fELF", 1, 2, 1, 0, 0, 2, 20, 1, 0, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    return header + struct.pack(">8I", 1, 84, 0, 0, len(code), len(code), 5, 4) + code


@case("a kernel for U-Boot is its memory from 0 on behind a header whose sums are right")
def _():
    code = bytes(range(256)) * 8
    image = crossbuilt.uimage(_elf(code))
    magic, head_sum, _, size, load, entry, sum_of_data = struct.unpack(">7I", image[:28])
    expect_equal((magic, size, load, entry, image[64:]), (0x27051956, len(code), 0, 0, code), "header and memory")
    expect_equal(sum_of_data, zlib.crc32(code), "sum of the data")
    expect_equal(head_sum, zlib.crc32(image[:4] + bytes(4) + image[8:64]), "sum of the header")


@case("a configuration that has not taken a line of what is wanted is refused, and says which")
def _():
    wanted = "# Why.\nCONFIG_A=y\nCONFIG_B=3\n# CONFIG_C is not set\n"
    taken = (("CONFIG_A=y\nCONFIG_B=3\n# CONFIG_C is not set\nCONFIG_D=y\n", ""), ("CONFIG_A=y\nCONFIG_B=3\n", ""),
             ("CONFIG_A=y\n", "CONFIG_B=3"), ("CONFIG_A=y\nCONFIG_B=4\n", "CONFIG_B=3"), ("CONFIG_B=3\n# CONFIG_A is not set\n", "CONFIG_A=y"),
             ("CONFIG_A=y\nCONFIG_B=3\nCONFIG_C=y\n", "# CONFIG_C is not set"))
    with front.scratch() as folder:
        fragment, whole = pathlib.Path(folder, "part"), pathlib.Path(folder, "whole")
        fragment.write_text(wanted, encoding="ascii")
        for text, missing in taken:
            whole.write_text(text, encoding="ascii")
            try:
                crossbuilt.check(fragment, whole)
                said = ""
            except status.Failure as failure:
                said = str(failure)
            expect(said.endswith(missing) and bool(said) == bool(missing), f"of {text!r} it said {said!r}")


@case("members of an archive keep names that are no paths, in order and more than once")
def _():
    archive = cpio.Archive()
    names = ["kernel -- init=/../bin/sh a//b", "initrd", "initrd partition=1", "initrd"]
    for at, name in enumerate(names):
        archive.member(name, bytes([at]) * at)
    listed = subprocess.run(["cpio", "-it", "--quiet"], input=archive.bytes(), stdout=subprocess.PIPE, check=True).stdout.decode()
    expect_equal(listed.splitlines(), names, "names")


@case("letters on a shared port go to whom they are for, in pieces or whole; all else passes")
def _():
    said = (b'{"vmmu": 1}\n{"vmmu_channel": 1, "bytes": "6869"}\n{"vmmu_channel": 2, "bytes": ""}\nfree text\n'
            b'{"vmmu_channel": 3, "bytes": "00"}\n{"vmmu_channel": 1, "bytes": "0"}\n{"vmmu_channel"\n{"vmmu_leave": 2}\n')
    rest = b'{"vmmu": 1}\nfree text\n{"vmmu_channel": 3, "bytes": "00"}\n{"vmmu_channel": 1, "bytes": "0"}\n{"vmmu_channel"\n'
    for size in (1, 7, len(said)):
        port = letters.Letters()
        taken = [port.take(said[at:at + size]) for at in range(0, len(said), size)]
        expect_equal(b"".join(one for one, _ in taken), rest, "what is no letter")
        expect_equal([entry for _, more in taken for entry in more], [("output", b"hi"), ("errors", b"")], "letters")
        expect_equal(port.left, 2, "status")
    expect_equal([outcome.by_word(left) for left in (0, 1, 2, 3)],
                 [outcome.ORDERLY, outcome.CONFIGURATION_REFUSED, outcome.PARTITION_STOPPED, outcome.HYPERVISOR_PANIC], "statuses")


@case("a hypervisor that powers its board off without a word has died")
def _():
    ended = outcome.of_hypervisor(outcome.by_word(None), '{"vmmu": 1, "outcome": {"kind": "power-off"}}', False, "")
    expect_equal(ended.kind, "host-died", "kind")


@case("a boot loader's answer is what stands between its echo of the line and its next prompt")
def _():
    console = b"U-Boot\r\n=> md 0 1\r\n00000000: 12\r\n=> echo status=$?\r\nstatus=3\r\n=> poweroff\r\n"
    expect_equal(prompt.answer(console, SIGN, b"md 0 1"), (b"00000000: 12\n", 3), "answer and status")
    expect_equal(prompt.answer(b"=> reset\r\nresetting\r\n", SIGN, b"reset"), (b"resetting\n", None), "an answer without status")
    expect_equal(prompt.answer(b"U-Boot\r\n", SIGN, b"reset"), (b"", None), "no answer")
