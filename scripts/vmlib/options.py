"""The command line of scripts/vm."""

import argparse
import re

from . import guests, hosts, status

CPUS_MOST = 8
FIRMWARE = ("acpi", "mp", "both")
PROTOCOLS = hosts.PROTOCOLS[hosts.PC]

DESCRIPTION = "Boot guests in partitions whose memory is virtualized by vmmu."

EPILOGUE = f"""\
exit status:
  run     the command's own; shell: 0; boot: (value << 1 | 1) of the value that the guest wrote to port 0xF4, as QEMU's
          isa-debug-exit gives it, or 0 if the guest powered off or reset
  {status.NO_STATUS}     run: the guest powered off or reset before the command gave a status
  {status.TIMED_OUT}     --timeout passed
  {status.REFUSED}     the command line, or what it asks for, is refused
  {status.GUEST_DIED}     the guest died: triple fault, impossible state, kernel panic
  {status.HOST_DIED}     the hypervisor or the emulator died
  A command may itself end with one of these numbers; then nothing is said on standard error.

in a run:
  The command's standard input is empty: give it files by --file. One word is a line of the guest's shell (quote in it as
  there); several words are a program and its arguments. Output travels over an emulated serial port, an exit for each
  byte: a megabyte takes a minute. SIGINT and SIGTERM end the machine, with status 130 and 143.

in a shell:
  Ctrl-C goes to the guest. `poweroff` or `exit` leaves. Ctrl-A x ends the machine at once; Ctrl-A Ctrl-A types a Ctrl-A.

several partitions:
  Each --partition 'WORDS' adds one, with memory of its own: guest=NAME [run='COMMAND'] [file=HOST[:GUEST]] [packages=P[,P]],
  or kernel=FILE [protocol=linux|multiboot] [initrd='FILE WORDS'] [payload=FILE], or image=NAME; and mmu= memory= cpus= policy= append=
  firmware= pool= drop= enlightenments=on|off, as the options of these names, but for channel=on: its command's output and
  errors come out here in place of the first guest's. Without that they stand on its console. The console of the first is
  shown; `console N` on the control port shows another's. How each ended is said on standard error; what the others had on
  their consoles then, too. The exit status is the first's, unless that is good and another's is not.

policies of the virtual MMU (the first of each is the default, but under nested paging `honor` for the first two):
  cr3.cache=ignore|honor   table.cache=write-back|message|honor   cr0.cd=ignore|message|honor
  pat=vp|partition         sharing=on|off                         flush.empty=all|error

the control port:
  With --monitor SOCKET the running hypervisor takes requests on that Unix socket, a line each: `stats` (the report as it is
  now), `counters` (a tenth of it), `shadow` (counters of shadow tables), `walk ADDRESS [VP]` (both tables, level by level),
  `stop` and `go`, `partitions`, `console N` and `console-read N`, and what programs ask for: docs/dump.md. nc -U SOCKET will do; `vmmu live SOCKET` and `vmmu top SOCKET` are more comfortable.
  On host amd the machine's memory stands in SOCKET.memory meanwhile.

on host ppc:
  The guests are linux-e500, linux-e500-u-boot (the same, loaded and started by U-Boot) and the image u-boot. Linux is built from
  Debian's sources when it is first asked for, which takes some minutes. In a run or shell with --guest u-boot the lines are
  U-Boot's own commands, and the status is that of the last one. A guest ends with a status by the register at CCSR + 0xF4000.

on hosts intel and amd-bochs:
  Bochs is slow: a boot takes half a minute of a processor. Time passes as instructions do, so `sleep 1000` is over at once;
  in a shell it passes as on the wall. With --log FILE its own log is kept, where it says why it refuses to enter a guest; if
  --timeout ends the run, the log's end says where the machine stood.

examples:
  scripts/vm shell
  scripts/vm run -- uname -a
  scripts/vm run --guest debian-i386 --file ./program --stats counters.json -- ./program --its-option
  scripts/vm run -- 'cd /proc && grep -c . meminfo'       one word is a line of shell, several are taken as they are
  scripts/vm run --mmu shadow --shadow-pool 96 -- dmesg             with as few shadow pages as there may be
  scripts/vm run --mmu shadow --shadow-drop 1000,7 -- dmesg         and with all of them lost at random, by seed 7
  scripts/vm shell --host intel --cpu corei7_skylake_x              VT-x, on a processor with SMAP
  scripts/vm run --host intel --mmu shadow --memory 192M --timeout 300 --log bochs.log -- dmesg
  scripts/vm run --host amd-bochs -- uname -a                       SVM by another emulator
  scripts/vm run --monitor /tmp/m -- sleep 1000                     then: echo stats | nc -U -q 1 /tmp/m
  scripts/vm boot --image memtest86+ --memory 64M                   Esc leaves
  scripts/vm run --guest debian-xen -- cat /sys/hypervisor/type     a kernel in Xen's first domain
  scripts/vm boot --protocol multiboot --kernel build/tests/guests/paging.elf
  scripts/vm run --host ppc -- cat /proc/cpuinfo                    Linux on a PowerPC e500v2
  scripts/vm run --host ppc --guest u-boot -- bdinfo                a line of U-Boot's
"""


class _Parser(argparse.ArgumentParser):
    """argparse, with our own status for a command line that is refused."""

    def error(self, message):
        raise status.refuse(f"{message} ({self.prog} --help tells more)")


def parse(words):
    """The options in @words."""
    words, command = _split(words)
    parser = _Parser(prog="scripts/vm", description=DESCRIPTION, epilog=EPILOGUE,
                     formatter_class=argparse.RawDescriptionHelpFormatter)
    jobs = parser.add_subparsers(dest="job", metavar="shell | run | boot | list", required=True, parser_class=_Parser)
    _shell(jobs)
    _run(jobs)
    _boot(jobs)
    jobs.add_parser("list", help="hosts, techniques, guests, and what is installed")
    options = parser.parse_args(words)
    options.command = command
    options.timeout = _seconds(getattr(options, "timeout", None))
    if options.job != "list":
        options.mmu = options.mmu or hosts.default_technique(options.host)
    if options.job == "run" and not command:
        raise status.refuse("run needs a command behind --, as in: scripts/vm run -- uname -a")
    if options.job != "run" and command is not None:
        raise status.refuse(f"{options.job} takes no command behind --")
    return options


def _split(words):
    """The words before the first "--", and those behind it (None without one)."""
    if "--" not in words:
        return words, None
    at = words.index("--")
    return words[:at], words[at + 1:]


def _seconds(text):
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise status.refuse(f"--timeout {text} is not a number of seconds")
    return seconds


def count(text):
    """A number from 1."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 32:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to {(1 << 32) - 1}")
    return int(text)


def drop(text):
    """What is behind --shadow-drop: the mean number of exits, and the seed of the intervals."""
    exits, comma, seed = text.partition(",")
    return count(exits), count(seed) if comma else 1


def cpus(text):
    """A number of processors."""
    if count(text) > CPUS_MOST:
        raise argparse.ArgumentTypeError(f"{text} processors are too many: {CPUS_MOST} is the most")
    return int(text)


def policy(text):
    """Settings of the virtual MMU, which the hypervisor itself judges; but they must be one word."""
    if not re.fullmatch(r"[a-z0-9.,=-]*", text):
        raise argparse.ArgumentTypeError(f"{text} is no list of settings such as cr0.cd=honor,pat=partition")
    return text


def understand(kind, text):
    """@text by @kind, one of the above, where no command line's parser does it."""
    try:
        return kind(text)
    except argparse.ArgumentTypeError as error:
        raise status.refuse(str(error)) from None


def _shell(jobs):
    parser = jobs.add_parser("shell", help="an interactive guest", epilog=EPILOGUE,
                             formatter_class=argparse.RawDescriptionHelpFormatter)
    _add_machine(parser)
    _add_guest(parser)


def _run(jobs):
    parser = jobs.add_parser("run", help="run one command in a guest", epilog=EPILOGUE,
                             formatter_class=argparse.RawDescriptionHelpFormatter,
                             usage="scripts/vm run [options] -- COMMAND...")
    _add_machine(parser)
    _add_guest(parser)


def _boot(jobs):
    parser = jobs.add_parser("boot", help="boot any image", epilog=EPILOGUE,
                             formatter_class=argparse.RawDescriptionHelpFormatter)
    _add_machine(parser)
    image = parser.add_mutually_exclusive_group(required=True)
    image.add_argument("--kernel", metavar="F", help="the image")
    image.add_argument("--image", metavar="NAME",
                       help="one that Debian's packages hold: memtest86+, xen, u-boot; see scripts/vm list")
    image.add_argument("--guest", metavar="G", help="such an image, or a guest with a shell on its console")
    parser.add_argument("--initrd", action="append", default=[], metavar="F[ WORDS]",
                        help="an initrd, or a multiboot module and its string; may be repeated")
    parser.add_argument("--payload", metavar="F", help="on host ppc: a uImage that the image, U-Boot, finds in memory and boots")
    parser.add_argument("--protocol", choices=PROTOCOLS,
                        help="how the image is entered (default linux, or the one of --image)")


def _add_machine(parser):
    add = parser.add_argument
    add("--host", default=hosts.DEFAULT_HOST, metavar="H", help="default %(default)s; see scripts/vm list")
    add("--cpu", metavar="P", help="the host's processor, where it has several; see scripts/vm list")
    add("--mmu", metavar="T", help="the technique (default nested, on host ppc booke); none boots without the hypervisor")
    add("--memory", default="512M", metavar="SIZE", help="the guest's memory (default %(default)s)")
    add("--cpus", default=1, metavar="N", type=cpus,
        help="the guest's processors, 1 to 8 (default 1), which take turns on the machine's one")
    add("--append", default="", metavar="S", help="more words for the guest's command line")
    add("--la57", action="store_true", help="a processor with five-level paging, for the host and so for the guest")
    add("--no-enlightenments", dest="enlightenments", action="store_false",
        help="hide the Hyper-V interface from the guest")
    add("--policy", default="", metavar="SETTING[,SETTING]", type=policy,
        help="what the guest's virtual MMU does where the specification leaves it open: see below")
    add("--parent", action="store_true", help="make the guest the parent of the other partitions, with the privileges of one")
    add("--partition", action="append", default=[], metavar="WORDS", help="one more partition beside the guest's: see below")
    add("--firmware", choices=FIRMWARE, help="the tables that describe the guest's machine (default acpi)")
    add("--shadow-pool", metavar="PAGES", dest="pool", type=count,
        help="shadow pages at most, with --mmu shadow (default: a 64th of the guest's memory; the floor is 96)")
    add("--shadow-drop", metavar="N[,SEED]", dest="drop", type=drop,
        help="a test of --mmu shadow: drop every shadow page about every N exits, at random; of --mmu booke: every entry of the TLB")
    add("--log", metavar="FILE", help="keep the emulator's own log, for whoever works on the hypervisor")
    add("--record-entries", metavar="FILE", dest="record",
        help="a test of host intel: record each entry into the guest, for build/model/entries to judge")
    add("--monitor", metavar="SOCKET",
        help="a Unix socket on which the running hypervisor takes requests: stats, counters, shadow, walk ADDRESS [VP], stop, go, state, "
             "read ADDRESS COUNT")
    add("--stop-port", action="store_true",
        help="with --monitor: a guest that writes to port 0xF8 is held right behind that instruction, until `go`")
    add("--stats", metavar="OUT.json", help="write the hypervisor's report of the partition")
    add("--timeout", metavar="S", help="seconds after which all is stopped")
    add("-v", "--verbose", action="store_true", help="show the guest's console, and let its kernel speak")
    add("-q", "--quiet", action="store_true", help="no progress lines")


def _add_guest(parser):
    add = parser.add_argument
    add("--guest", metavar="G", help="default " + ", ".join(f"{name} on a {kind}" if kind == hosts.PC else f"{name} on an {kind}"
                                                             for kind, name in guests.DEFAULT_GUESTS.items()) +
        "; see scripts/vm list")
    add("--file", action="append", default=[], metavar="HOST[:GUEST]",
        help="put a file or folder into the guest, under /root by its own name or at GUEST; may be repeated")
    add("--packages", default="", metavar="P[,P]", help="Debian packages to unpack in the guest, with what they need")
