"""A short look at host intel beside the usual host: Debian's kernels under both techniques, a shell, a disc, and dead guests.

The whole suite runs there by `make test-long`.
"""

import json
import os
import pathlib
import subprocess

import byhand
import front
import images
from tap import Skipped, case, cases, expect, expect_equal, expect_match
from terminal import terminal
from vmlib import bochs, outcome, status

HOST = "intel"
TECHNIQUES = ("nested", "shadow")
# A boot there takes twenty to forty seconds of a processor.
SECONDS = 900

WORK = r"""
uname -a
i=0; while [ $i -lt 20 ]; do /bin/true || exit 1; i=$((i+1)); done
seq 1 3000
echo to the errors >&2
exit 37
"""
NUMBERS = "".join(f"{number}\n" for number in range(1, 3001))


def at(technique):
    """The words of scripts/vm for that technique there. Skips where another host is under test: it has the whole suite."""
    if front.host != "amd" or front.mmu != "nested":
        raise Skipped("the usual host under nested paging runs it")
    return ["--host", HOST, "--mmu", technique, "-q"]


# As in every run there, entries into the guest are judged as well (entries.py).
@cases("debian-amd64 on host intel under {}: output, errors, status, report", TECHNIQUES)
def _(technique):
    with front.scratch() as folder:
        stats = os.path.join(folder, "stats.json")
        ended = front.vm("run", *at(technique), "--memory", "160M", "--stats", stats, "--", WORK, limit=SECONDS)
        expect_equal((ended.status, ended.err), (37, "to the errors\n"), f"status, errors ({ended})")
        expect_match(r"^Linux vmmu 6\.1\.0-\d+-amd64 .* x86_64 GNU/Linux$", ended.out, "uname -a")
        expect_equal(ended.out.split("\n", 1)[1], NUMBERS, "output")
        with open(stats, encoding="utf-8") as text:
            report = json.load(text)
    expect_equal((report["outcome"]["kind"], report["mmu"]["technique"]), ("debug-exit", technique), "outcome, technique")
    expect_equal(report["mmu"].get("violations", 0), 0, "violations of isolation")
    expect(sum(report["vps"][0]["counters"]["exits"].values()) > 0, "no exit was counted")


@cases("a shell of {0[0]} on host intel under {0[1]}: a terminal, Ctrl-C, poweroff",
       [("debian-i386-pae", "nested"), ("debian-i386", "shadow")])
def _(pair):
    guest, technique = pair
    with terminal("shell", *at(technique), "--guest", guest, "--memory", "128M") as shell:
        shell.wait(b":~# ", SECONDS)
        shell.type("stty size\n")
        shell.wait(b"33 101", SECONDS)
        shell.wait(b":~# ", SECONDS)
        # The quotes keep the terminal's echo of the line from being taken for what it says.
        shell.type("sh -c 'echo as\"\"leep; exec sleep 1000'\n")
        shell.wait(b"asleep", SECONDS)
        shell.type("\x03")
        shell.wait(b":~# ", SECONDS)
        shell.type('echo "status $?"\n')
        shell.wait(b"status 130", SECONDS)
        shell.wait(b":~# ", SECONDS)
        shell.type("poweroff\n")
        expect_equal(shell.end(SECONDS), 0, "exit status")


@cases("Ctrl-A x ends the machine on host intel under {}, a value of the debug-exit port does, and so does a triple fault",
       TECHNIQUES)
def _(technique):
    with front.scratch() as folder:
        def boot(code, *words):
            path = os.path.join(folder, "image")
            pathlib.Path(path).write_bytes(images.kernel(code))
            return ["boot", *at(technique), "--memory", "32M", "--protocol", "multiboot", "--kernel", path, *words]
        with terminal(*boot(images.say("up") + images.HANG)) as running:
            running.wait(b"up", SECONDS)
            running.type("\x01x")
            expect_equal(running.end(60), 0, "exit status")
        ended = front.vm(*boot(images.say("hello\n") + images.debug_exit(21)), limit=SECONDS)
        expect_equal(ended.status, 43, f"exit status ({ended})")
        expect_match("^hello$", ended.out, "output")
        ended = front.vm(*boot(images.TRIPLE_FAULT), limit=SECONDS)
        expect_equal(ended.status, status.GUEST_DIED, f"exit status ({ended})")
        expect_match("^vm: the guest died: .*triple fault", ended.err, "errors")
        ended = front.vm(*boot(images.HANG, "--timeout", "5"), limit=SECONDS)
        expect_equal(ended.status, status.TIMED_OUT, f"exit status ({ended})")


@case("a processor that runs no guest without paging on EPT is refused nested paging on host intel, and runs one under shadow")
def _():
    with front.scratch() as folder:
        path = os.path.join(folder, "image")
        pathlib.Path(path).write_bytes(images.kernel(images.debug_exit(3)))
        words = ["--cpu", "corei5_lynnfield_750", "--memory", "32M", "--protocol", "multiboot", "--kernel", path]
        ended = front.vm("boot", *at("nested"), *words, limit=SECONDS)
        expect_equal(ended.status, status.REFUSED, f"exit status ({ended})")
        expect_match("unrestricted guest", ended.err, "errors")
        ended = front.vm("boot", *at("shadow"), *words, limit=SECONDS)
        expect_equal(ended.status, 7, f"exit status ({ended})")


@case("the disc image boots on host intel, through GRUB")
def _():
    at("nested")
    with front.scratch() as name:
        folder = pathlib.Path(name)
        (folder / "image").write_bytes(images.kernel(images.say("hello\n") + images.debug_exit(5)))
        disc = folder / "disc.iso"
        environment = dict(os.environ, ISO_KERNEL=str(folder / "image"), ISO_INITRD="", ISO_MEMORY="32M",
                           ISO_PROTOCOL="multiboot")
        made = subprocess.run(["scripts/iso", str(disc)], cwd=front.TREE, env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False)
        expect_equal(made.returncode, 0, f"scripts/iso ({made.stdout[-500:]})")
        drive = f'type=cdrom, path="{disc}", status=inserted'
        configuration = bochs.configuration("corei7_haswell_4770", byhand.MEMORY_BYTES, drive, boot="cdrom")
        words = byhand.bochs_words(folder, configuration)
        ended = byhand.finish(folder, words, kind="bochs", seconds=SECONDS)
    ending = outcome.of_hypervisor(ended.status, ended.control, False, "")
    expect_equal((ending.kind, ending.value), ("debug-exit", 5), f"outcome ({ended.console[-1500:]!r})")
    expect_match(r"GRUB [0-9.]+\S* \(multiboot 2\)", ended.console, "the loader")
