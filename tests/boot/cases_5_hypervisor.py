"""The hypervisor started by hand: processors and configurations that it refuses, and the report that says so."""

import json
import os
import subprocess

import front
import images
from tap import Skipped, cases, case, expect_equal, expect_match
from vmlib import places

LEFT_REFUSED = 3  # the emulator's status for the hypervisor's 1
GOOD = "max,-la57"

PROCESSORS = {
    "without SVM": ("max,-la57,-svm", "the processor has no SVM"),
    "whose SVM has no nested paging": ("max,-la57,-npt", "has no nested paging"),
}

LINES = {
    "an unknown word": ("memory=64M wat=1", "does not know this word: wat=1"),
    "a technique that is not there": ("memory=64M mmu=magic", "no such technique: magic"),
    "memory that the machine lacks": ("memory=8G", "not enough memory"),
    "memory that is no amount": ("memory=lots", "wants a size"),
}

MODULES = {
    "no module": ([], "no module is a kernel"),
    "two kernels": (["kernel", "kernel"], "two modules call themselves the kernel"),
    "a word that no module knows": (["kernel fast"], "a module does not know this word"),
    "a protocol that is not there": (["kernel protocol=chain"], "protocol= wants linux or multiboot"),
}


def start(processor, line, modules):
    """Start the hypervisor; its console, its report and the emulator's status."""
    if front.mmu == "none":
        raise Skipped("there is no hypervisor")
    with front.scratch() as folder:
        with open(os.path.join(folder, "image"), "wb") as out:
            out.write(images.kernel(images.debug_exit(0)))
        words = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", processor, "-m", "256", "-display", "none", "-no-reboot",
                 "-nic", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-serial", "stdio", "-serial",
                 "file:report", "-kernel", str(places.HYPERVISOR), "-append", line]
        if modules:
            words += ["-initrd", ",".join(f"image {module}" for module in modules)]
        ended = subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, timeout=front.BOOT_SECONDS, check=False)
        with open(os.path.join(folder, "report"), encoding="utf-8") as text:
            report = json.loads(text.read() or "null")
    return ended.stdout.decode(errors="replace"), report, ended.returncode


def refused(processor, line, modules, sentence):
    """The hypervisor refuses, with @sentence on the console, a report that says it, and a status of its own."""
    console, report, left = start(processor, line, modules)
    expect_match(f"refused: .*{sentence}", console, "console")
    expect_equal(left, LEFT_REFUSED, "the emulator's exit status")
    expect_equal(report["outcome"]["kind"], "refused", "outcome")
    expect_match(sentence.split(":")[0], report["outcome"]["message"], "the report's message")


@cases("a processor {} is refused with a sentence", PROCESSORS)
def _(name):
    processor, sentence = PROCESSORS[name]
    refused(processor, "memory=64M", ["kernel"], sentence)


@cases("a command line with {} is refused with a sentence", LINES)
def _(name):
    line, sentence = LINES[name]
    refused(GOOD, line, ["kernel"], sentence)


@cases("{} is refused with a sentence", MODULES)
def _(name):
    modules, sentence = MODULES[name]
    refused(GOOD, "memory=64M", modules, sentence)


@case("a partition that ends well leaves a report with every room's counters")
def _():
    _, report, left = start(GOOD, "memory=64M", ["kernel protocol=multiboot"])
    expect_equal(left, 1, "the emulator's exit status")
    expect_equal(report["outcome"]["kind"], "debug-exit", "outcome")
    for room in ("mmu", "host", "devices", "vps"):
        expect_equal(room in report, True, f"the report has {room}")
    expect_equal(report["vps"][0]["counters"]["exits"]["port"], 1, "exits for ports")
    expect_equal(len(report["vps"][0]["trace"]), report["vps"][0]["counters"]["entries"], "the trace's length")
