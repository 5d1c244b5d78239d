"""scripts/vm shell: on a terminal as a person uses it, and with standard input from elsewhere."""

import contextlib
import os
import pty
import select
import signal
import subprocess
import termios
import time

import front
from tap import case, expect, expect_equal, expect_match

PROMPT = b":~# "


class Terminal:
    """A pseudo-terminal with scripts/vm shell on it."""

    def __init__(self, *words):
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (33, 101))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen([front.VM, "shell", "--mmu", front.mmu, *words], stdin=slave, stdout=slave,
                                        stderr=subprocess.PIPE, start_new_session=True)
        self.seen = b""

    def type(self, text):
        """Type @text, as a person does: what was seen before no longer counts."""
        self.seen = b""
        os.write(self.master, text.encode())

    def wait(self, wanted, seconds=front.BOOT_SECONDS):
        """Read until @wanted is seen."""
        deadline = time.monotonic() + seconds
        while wanted not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
            expect(ready, f"no {wanted!r} in {seconds} s: {self.seen[-1500:]!r}")
            data = os.read(self.master, 4096)
            expect(data, f"the terminal is gone before {wanted!r}")
            self.seen += data
        return self.seen.decode("utf-8", "replace")

    def command(self, text):
        """Type a command, and what it said up to the next prompt."""
        self.type(text + "\n")
        return self.wait(PROMPT, 60)

    def end(self, seconds=60):
        """The exit status of scripts/vm, once it is over."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 4096)
        expect(self.process.poll() is not None, f"still running after {seconds} s: {self.seen[-500:]!r}")
        return self.process.returncode


@contextlib.contextmanager
def terminal(*words):
    """A Terminal that leaves nothing behind."""
    opened = Terminal(*words)
    try:
        yield opened
    finally:
        if opened.process.poll() is None:
            os.killpg(opened.process.pid, signal.SIGTERM)
            opened.process.wait(10)
        opened.process.stderr.close()
        os.close(opened.master)
        os.close(opened.slave)


@case("a shell on a terminal: Ctrl-C, job control, the window's size; poweroff leaves with 0 and restores the terminal")
def _():
    with terminal() as shell:
        shell.wait(PROMPT)
        expect_match(r"\b33 101\b", shell.command("stty size"), "size of the window")
        shell.type("sleep 1000\n")
        time.sleep(2)
        shell.type("\x03")
        shell.wait(PROMPT, 60)
        expect_match(r"status 130", shell.command('echo "status $?"'), "status after Ctrl-C")
        shell.command("sleep 1000 &")
        expect_match(r"\[1\]\+? +Running +sleep 1000", shell.command("jobs"), "jobs")
        expect("job control turned off" not in shell.command("kill %1"), "no job control")
        expect_match(r"/usr/sbin", shell.command("echo $PATH"), "PATH")
        for folder in ("proc", "sys", "dev"):
            expect_match(rf" /{folder} ", shell.command(f"grep ' /{folder} ' /proc/mounts"), "mounts")
        shell.type("poweroff\n")
        expect_equal(shell.end(), 0, "exit status")
        expect_equal(termios.tcgetattr(shell.slave), shell.before, "terminal settings")


@case("leaving the shell leaves the machine, with 0")
def _():
    with terminal() as shell:
        shell.wait(PROMPT)
        shell.type("exit\n")
        expect_equal(shell.end(), 0, "exit status")


@case("Ctrl-A x ends the machine at once and restores the terminal")
def _():
    with terminal("--guest", "debian-i386") as shell:
        shell.wait(PROMPT)
        shell.type("\x01x")
        expect_equal(shell.end(20), 0, "exit status")
        expect_equal(termios.tcgetattr(shell.slave), shell.before, "terminal settings")


@case("a shell without a terminal runs what standard input says, and ends with it")
def _():
    ended = front.vm("shell", "--mmu", front.mmu, stdin=b"echo $((6 * 7)) is it\nuname -m\n")
    expect_equal(ended.status, 0, f"exit status ({ended})")
    expect_match(r"^42 is it\r?$", ended.out, "output")
    expect_match(r"^x86_64\r?$", ended.out, "output")


@case("a killed scripts/vm leaves no emulator behind")
def _():
    with front.scratch() as folder:
        marker = os.path.join(folder, "marker")
        with open(marker, "w", encoding="ascii") as out:
            out.write("x")
        process = subprocess.Popen([front.VM, "run", "--mmu", front.mmu, "-q", "--", "sleep 1000"],
                                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        children = wait_for_child(process.pid)
        process.kill()
        process.wait()
        time.sleep(1)
        alive = [child for child in children if os.path.exists(f"/proc/{child}/exe")]
    expect_equal(alive, [], "emulators that live on")


def wait_for_child(pid, seconds=60):
    """The child processes of @pid, once there is one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as text:
            children = text.read().split()
        if children:
            time.sleep(1)
            return children
        time.sleep(0.1)
    expect(False, "the emulator was not started")
    return []
