"""The hypervisor started by hand: processors and configurations that it refuses, and the report that says so."""

import byhand
import front
from tap import cases, case, expect_equal, expect_match

LEFT_REFUSED = 3  # the emulator's status for the hypervisor's 1

# By the name of the host: a processor, the technique that is asked for, and what the hypervisor says of it.
PROCESSORS = {
    "amd": {
        "without SVM": ("max,-la57,-svm", "nested", "the processor has no SVM"),
        "whose SVM has no nested paging": ("max,-la57,-npt", "nested", "has no nested paging"),
    },
    "intel": {
        "without VT-x": ("p4_prescott_celeron_336", "nested", "the processor has no VT-x"),
        "whose VT-x is too old": ("core2_penryn_t9600", "shadow", "VT-x lacks "),
        "whose EPT takes no guest without paging": ("corei5_lynnfield_750", "nested", "unrestricted guest"),
    },
    "amd-bochs": {},
}

LINES = {
    "an unknown word": ("memory=64M wat=1", "does not know this word: wat=1"),
    "a technique that is not there": ("memory=64M mmu=magic", "no such technique: magic"),
    "memory that the machine lacks": ("memory=8G", "not enough memory"),
    "memory that is no amount": ("memory=lots", "wants a size"),
    "more processors than there may be": ("memory=64M cpus=9", "a number of processors from 1 to 8: cpus=9"),
    "a policy that is not there": ("memory=64M policy=pat=both", "wants settings .*: policy=pat=both"),
    "messages to nobody": ("memory=64M policy=cr0.cd=message", "wants a parent"),
    "a parent that is not the first": ("memory=64M partition memory=16M parent=on", "only the first .*: parent=on"),
    "a partition without a kernel": ("memory=64M partition memory=16M", "no module is the kernel of one of the partitions"),
    "partitions that the machine has no memory for": ("memory=64M partition memory=1G", "not enough memory"),
}

MODULES = {
    "no module": ([], "no module is a kernel"),
    "two kernels": (["kernel", "kernel"], "two modules call themselves the kernel"),
    "two kernels of one partition": (["kernel", "kernel partition=0"], "two modules call themselves the kernel"),
    "a module of nobody": (["kernel", "initrd partition=1"], "a module is for a partition that there is not"),
    "a module of a partition that cannot be": (["kernel partition=8"], "the number of a partition, from 0 to 7"),
    "a word that no module knows": (["kernel fast"], "a module does not know this word"),
    "a protocol that is not there": (["kernel protocol=chain"], "protocol= wants linux, multiboot or epapr"),
}


def refused(processor, line, modules, sentence):
    """The hypervisor refuses, with @sentence on the console, a report that says it, and a status of its own."""
    ended = byhand.start(processor, line, modules)
    expect_match(f"refused: .*{sentence}", ended.console, "console")
    expect_equal(ended.status, LEFT_REFUSED, "the emulator's exit status")
    expect_equal(ended.report["outcome"]["kind"], "refused", "outcome")
    expect_match(sentence.split(":", maxsplit=1)[0], ended.report["outcome"]["message"], "the report's message")


@cases("a processor {} is refused with a sentence", PROCESSORS[front.host])
def _(name):
    processor, technique, sentence = PROCESSORS[front.host][name]
    refused(processor, f"memory=64M mmu={technique}", ["kernel"], sentence)


@cases("a command line with {} is refused with a sentence", LINES)
def _(name):
    line, sentence = LINES[name]
    modules = ["kernel"] + (["kernel partition=1"] if "1G" in line else [])
    refused(byhand.usual_processor(), line, modules, sentence)


@cases("{} is refused with a sentence", MODULES)
def _(name):
    modules, sentence = MODULES[name]
    refused(byhand.usual_processor(), "memory=64M", modules, sentence)


@case("a partition that ends well leaves a report with every room's counters")
def _():
    ended = byhand.start(byhand.usual_processor(), f"memory=64M mmu={front.mmu}", ["kernel protocol=multiboot"])
    report = ended.report
    expect_equal(ended.status, 1, "the emulator's exit status")
    expect_equal(report["outcome"]["kind"], "debug-exit", "outcome")
    for room in ("mmu", "host", "devices", "vps"):
        expect_equal(room in report, True, f"the report has {room}")
    expect_equal(report["vps"][0]["counters"]["exits"]["port"], 1, "exits for ports")
    expect_equal(len(report["vps"][0]["trace"]), report["vps"][0]["counters"]["entries"], "the trace's length")
