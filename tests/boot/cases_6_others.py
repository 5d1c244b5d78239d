"""Guests that are not Linux, or not Linux alone: memtest86+ and Xen, under every technique."""

import json
import os
import re

import front
from tap import case, cases, expect, expect_equal, expect_match
from terminal import terminal
from vmlib import images, places

# The suite's usual technique stands for all of them here: these guests are quick.
TECHNIQUES = ("nested", "shadow") if front.mmu == "nested" else (front.mmu,)

ESCAPE = "\x1b"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
ERRORS = re.compile(r"Errors: *([0-9]+)")

# Eight bytes of gzip's end would say how large a compressed kernel is; a text that ends in zeros says 0.
NO_KERNEL = b"this is not a kernel\n" + bytes(8)


def report_of(folder, technique):
    """What --stats asks for, and a function that reads it: None where there is no hypervisor."""
    path = os.path.join(folder, "stats.json")
    if technique == "none":
        return [], lambda: None

    def read():
        with open(path, encoding="utf-8") as text:
            return json.load(text)
    return ["--stats", path], read


def expect_technique(report, technique, kind):
    """The hypervisor's report tells of @technique at work, and of an end of that @kind."""
    if report is None:
        return
    expect_equal(report["outcome"]["kind"], kind, "outcome")
    expect_equal(report["mmu"]["technique"], technique, "technique")
    expect(report["mmu"]["table_pages_peak"] > 0, "no table of ours was ever used")
    expect_equal(report["mmu"].get("violations", 0), 0, "violations of isolation")


# The last test waits for memory to fade, for minutes: it is on the screen whenever one looks. The others are soon over.
FADE_TEST = b"#10 "


@cases("{0[0]} finds no error in all its tests but the slow last one, and leaves by Esc: {0[1]}",
       [(image, technique) for image in ("memtest86+", "memtest86+ia32") for technique in TECHNIQUES])
def _(pair):
    image, technique = pair
    with front.scratch() as folder:
        words, read = report_of(folder, technique)
        with terminal("boot", *front.place(technique), "--memory", "8M", "--image", image, *words) as running:
            text = COLOURS.sub("", running.wait(FADE_TEST))
            expect_match(r"Memtest86\+ v6", text, "title")
            expect_match(r"#0  \[Address test, walking ones", text, "the first test")
            errors = ERRORS.findall(text)
            expect(errors and set(errors) == {"0"}, f"errors: {errors}")
            running.type(ESCAPE)
            expect_equal(running.end(), 0, f"exit status ({running.seen[-500:]!r})")
        expect_technique(read(), technique, "reset")


def xen(technique, *words):
    """Boot Xen; its console, once it has ended by itself, and the report."""
    with front.scratch() as folder:
        stats, read = report_of(folder, technique)
        ended = front.vm("boot", "-q", *front.place(technique), "--memory", "64M", "--image", "xen", *stats, *words)
        expect_equal(ended.status, 0, f"exit status ({ended})")
        expect_technique(read(), technique, "reset")
    return ended.out


@cases("Xen without a module says that it has no dom0, and resets: {}", TECHNIQUES)
def _(technique):
    out = xen(technique)
    expect_match(r"^\(XEN\) Xen version 4\.17", out, "console")
    expect_match(r"^\(XEN\) dom0 kernel not specified", out, "console")


@cases("Xen prints the memory map that it was given, sets up all of itself, finds no dom0 in its module, resets: {}",
       TECHNIQUES)
def _(technique):
    with front.scratch() as folder:
        path = os.path.join(folder, "text")
        with open(path, "wb") as out:
            out.write(NO_KERNEL)
        out = xen(technique, "--initrd", path)
    for pattern in (r"^\(XEN\)  \[0000000000000000, 000000000009f[bf]ff\] \(usable\)",
                    r"^\(XEN\)  \[0000000000100000, 0000000003f[df]ffff\] \(usable\)",
                    r"^\(XEN\) ACPI: RSDP ", r"^\(XEN\) Brought up 1 CPUs", r"^\(XEN\) ELF: not an ELF binary",
                    r"^\(XEN\) Could not construct domain 0"):
        expect_match(pattern, out, "console")


WORK = r"""
set -e
cat /sys/hypervisor/type
# Address spaces that come and go, each with pages of its own: Xen checks every entry.
i=0
while [ $i -lt 20 ]; do
    (seq 1 2000 | sort -n | md5sum; dd if=/dev/zero bs=64k count=16 2>/dev/null | md5sum) | md5sum
    i=$((i + 1))
done | sort -u | wc -l
dmesg | grep -c 'BUG\|Oops\|Bad page' || true
exit 42
"""


@cases("Debian's kernel in Xen's first domain, whose tables Xen checks, reaches user space and works: {}", TECHNIQUES)
def _(technique):
    with front.scratch() as folder:
        stats, read = report_of(folder, technique)
        ended = front.vm("run", "-q", *front.place(technique), "--guest", "debian-xen", *stats, "--", WORK)
        expect_equal(ended.status, 42, f"exit status ({ended})")
        expect_equal(ended.out.split(), ["xen", "1", "0"], f"output ({ended})")
        expect_technique(read(), technique, "debug-exit")


@case("images are prepared once, unpacked")
def _():
    for image in images.IMAGES.values():
        path = images.prepare(image)
        expect_equal(path, places.GUESTS / image.name / "image", "place")
        expect(not path.read_bytes().startswith(images.GZIP_MAGIC), f"{image.name} is still packed")
