"""scripts/vm shell: on a terminal as a person uses it, and with standard input from elsewhere."""

import os
import subprocess
import termios
import time

import front
from tap import case, expect, expect_equal, expect_match
from terminal import terminal

PROMPT = b":~# "


def shell_on_terminal(*words):
    """scripts/vm shell with the technique under test."""
    return terminal("shell", *front.place(), *words)


def command(shell, text):
    """Type a command, and what it said up to the next prompt."""
    shell.type(text + "\n")
    return shell.wait(PROMPT, 60)


@case("a shell on a terminal: Ctrl-C, job control, the window's size; poweroff leaves with 0 and restores the terminal")
def _():
    with shell_on_terminal() as shell:
        shell.wait(PROMPT)
        expect_match(r"\b33 101\b", command(shell, "stty size"), "size of the window")
        # The quotes keep the terminal's echo of the line from being taken for what it says.
        shell.type("sh -c 'echo as\"\"leep; exec sleep 1000'\n")
        shell.wait(b"asleep", 60)
        shell.type("\x03")
        shell.wait(PROMPT, 60)
        expect_match(r"status 130", command(shell, 'echo "status $?"'), "status after Ctrl-C")
        command(shell, "sleep 1000 &")
        expect_match(r"\[1\]\+? +Running +sleep 1000", command(shell, "jobs"), "jobs")
        expect("job control turned off" not in command(shell, "kill %1"), "no job control")
        expect_match(r"/usr/sbin", command(shell, "echo $PATH"), "PATH")
        for folder in ("proc", "sys", "dev"):
            expect_match(rf" /{folder} ", command(shell, f"grep ' /{folder} ' /proc/mounts"), "mounts")
        shell.type("poweroff\n")
        expect_equal(shell.end(), 0, "exit status")
        expect_equal(termios.tcgetattr(shell.slave), shell.before, "terminal settings")


@case("leaving the shell leaves the machine, with 0")
def _():
    with shell_on_terminal() as shell:
        shell.wait(PROMPT)
        shell.type("exit\n")
        expect_equal(shell.end(), 0, "exit status")


@case("Ctrl-A x ends the machine at once and restores the terminal")
def _():
    with shell_on_terminal("--guest", "debian-i386") as shell:
        shell.wait(PROMPT)
        shell.type("\x01x")
        expect_equal(shell.end(20), 0, "exit status")
        expect_equal(termios.tcgetattr(shell.slave), shell.before, "terminal settings")


@case("a shell without a terminal runs what standard input says, and ends with it")
def _():
    ended = front.vm("shell", *front.place(), stdin=b"echo $((6 * 7)) is it\nuname -m\n")
    expect_equal(ended.status, 0, f"exit status ({ended})")
    expect_match(r"^42 is it\r?$", ended.out, "output")
    expect_match(r"^x86_64\r?$", ended.out, "output")


@case("a killed scripts/vm leaves no emulator behind")
def _():
    with front.scratch() as folder:
        marker = os.path.join(folder, "marker")
        with open(marker, "w", encoding="ascii") as out:
            out.write("x")
        process = subprocess.Popen([front.VM, "run", *front.place(), "-q", "--", "sleep 1000"],
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
