"""Host ppc: what a trap costs by its kind, and Linux under the hypervisor beside Linux natively. bench/ppc/count.c counts."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from vmlib import places

from . import images, table

PPC = images.BENCH / "ppc"
EMULATOR = ["qemu-system-ppc", "-M", "ppce500", "-cpu", "e500v2", "-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01,clock=vm",
            "-seed", "1", "-nic", "none", "-display", "none", "-monitor", "none", "-no-reboot"]
HYPERVISOR = places.BUILD / "vmmu-ppc.elf"

# As bench/ppc/traps.c has them: what is done, how many traps that is, and how many instructions of its own.
KINDS = (("nop", 0), ("mfmsr", 1), ("wrteei", 1), ("mfmsr, wrtee", 2), ("mfmsr, mtmsr", 2), ("mfspr SRR0", 1), ("mtspr SRR0", 1),
         ("mfspr SPRG0", 1), ("mtspr MAS1", 1), ("tlbsync", 1), ("mfspr PID0, mtspr PID0", 2), ("tlbre", 1), ("system call", 1))
TIMES = 1000
FIRST_MARK = 100
TRAP_GOAL = 150

INIT, WORK = 1, 10
GOALS = {"boot": 1.6, "work": 5.0}  # times what it takes natively


def traps():
    """The rows of kinds of traps."""
    with _folder() as folder:
        marks = _run(folder, _inside(folder, places.BUILD / "bench" / "traps-ppc.elf", None, "", "memory=64M"), 120)
    rows = []
    for index, (kind, count) in enumerate(KINDS):
        first, last = marks[FIRST_MARK + 2 * index], marks[FIRST_MARK + 2 * index + 1]
        rows.append({"host": "ppc", "technique": "booke", "workload": "trap", "kind": kind, "operations": TIMES,
                     "hv_instructions": last["hv"] - first["hv"], "exits": last["traps"] - first["traps"],
                     "traps_expected": count * TIMES})
    return rows


def render_traps(rows):
    """Their table."""
    lines = [("instruction", "traps", "hv instructions", "a trap", "goal", "")]
    for row in rows:
        each = row["hv_instructions"] / row["exits"] if row["exits"] else 0
        lines.append((row["kind"], str(row["exits"]), str(row["hv_instructions"]), f"{each:.1f}" if row["exits"] else "-",
                      str(TRAP_GOAL), "" if not row["exits"] else "reached" if each < TRAP_GOAL else "missed"))
    return table.align(lines, left=1)


# --- how a machine is called and its counts read ---

class _folder:
    """A folder of a run's own, gone afterwards."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(dir=images.folder(), prefix="run-"))
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path)


def _window():
    """The addresses of the hypervisor's text."""
    values = {name: int(value, 16) for name, value in
              re.findall(r"#define (LAYOUT_\w+)\s+(0x[0-9a-f]+)", (places.TREE / "hv/ppc/layout.h").read_text())}
    first = values["LAYOUT_WINDOW"] + values["LAYOUT_LOAD_BASE"]
    return f"first={first:#x},last={first + values['LAYOUT_TEXT_BYTES']:#x}"


def _plugin(words):
    plugin = images.built("count-ppc.so", [PPC / "count.c"], [PPC / "mark.h"], images.PLUGIN)
    return ["-plugin", f"{plugin},out=counts{',' + words if words else ''}"]


def _inside(folder, kernel, initrd, append, words):
    """A machine with the hypervisor and one guest."""
    from vmlib import cpio
    bundle = cpio.Archive()
    bundle.file(f"kernel -- {append}" if append else "kernel", pathlib.Path(kernel).read_bytes())
    if initrd:
        bundle.file("initrd", pathlib.Path(initrd).read_bytes())
    (folder / "bundle").write_bytes(bundle.bytes())
    return [*EMULATOR, *_plugin(_window()), "-m", "1024", "-kernel", str(HYPERVISOR), "-append", f"mmu=booke {words}", "-initrd", "bundle",
            "-serial", "file:console", "-serial", "file:control"]


def _native(kernel, initrd, append):
    """The same guest straight on the emulated machine."""
    return [*EMULATOR, *_plugin(""), "-m", "256", "-kernel", str(kernel), "-initrd", str(initrd), "-append", append,
            "-serial", "file:console"]


def _run(folder, command, seconds):
    """Each mark's counts, of the last time that it was passed."""
    with open(folder / "complaints", "wb") as complaints:
        ended = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=complaints, stderr=complaints, timeout=seconds,
                               check=False)
    marks = {}
    for line in (folder / "counts").read_text().splitlines():
        _, number, *fields = line.split()
        marks[int(number)] = {name: int(value) for name, value in (field.split("=") for field in fields)}
    if ended.returncode or not marks:
        sys.stderr.write((folder / "complaints").read_text(errors="replace")[-2000:])
        sys.stderr.write((folder / "console").read_text(errors="replace")[-2000:])
        images.die(f"the machine of host ppc did not come to its end (emulator's status {ended.returncode})")
    return marks


def _report(folder):
    """The hypervisor's last report."""
    for line in reversed((folder / "control").read_text(errors="replace").splitlines()):
        if line.startswith("{") and '"vmmu"' in line:
            return json.loads(line)
    return images.die("the hypervisor left no report")
