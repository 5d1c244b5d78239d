"""Host ppc: what a trap costs by its kind, and Linux under the hypervisor beside Linux natively, with its traps by kind.
bench/ppc/count.c counts."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from vmlib import cpio, guests, loads, places

from . import images, table

PPC = images.BENCH / "ppc"
EMULATOR = ["qemu-system-ppc", "-M", "ppce500", "-cpu", "e500v2", "-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01,clock=vm",
            "-seed", "1", "-nic", "none", "-display", "none", "-monitor", "none", "-no-reboot"]
HYPERVISOR = places.BUILD / "vmmu-ppc.elf"

# As bench/ppc/traps.c has them: what is done, and whether that is trivial: a register is read or written, and no translation
# depends on it.
KINDS = (("nop", False), ("mfmsr", True), ("wrteei", True), ("mfmsr, wrtee", True), ("mfmsr, mtmsr", True), ("mfspr SRR0", True),
         ("mtspr SRR0", True), ("mfspr SPRG0", True), ("mtspr MAS1", True), ("tlbsync", False), ("mfspr PID0, mtspr PID0", False),
         ("tlbre", False), ("system call, its handler", False))
TIMES = 1000
FIRST_MARK = 100
TRAP_GOAL = 150

GUEST = "linux-e500"
APPEND = "console=ttyS0 quiet loglevel=3 panic=-1 rdinit=/bin/mark -- 1 /init"
INIT, WORK = 1, 10
ROUND_LINES = 9  # that each round of the workload says
GOALS = {"boot": 1.6, "work": 5.0}  # times what it takes natively
# Traps that are told apart in the hypervisor's report, most frequent first, as many as a table bears.
KINDS_SHOWN = 16


def traps():
    """The rows of kinds of traps."""
    with _folder() as folder:
        marks = _run(folder, _inside(folder, places.BUILD / "bench" / "traps-ppc.elf", None, "", "memory=64M"), 120)
    rows = []
    for index, (kind, trivial) in enumerate(KINDS):
        first, last = marks[FIRST_MARK + 2 * index], marks[FIRST_MARK + 2 * index + 1]
        rows.append({"host": "ppc", "technique": "booke", "workload": "trap", "kind": kind, "operations": TIMES,
                     "hv_instructions": last["hv"] - first["hv"], "exits": last["traps"] - first["traps"],
                     "goal": TRAP_GOAL if trivial else None})
    return rows


def render_traps(rows):
    """Their table."""
    lines = [("instruction", "traps", "hv instructions", "a trap", "goal", "")]
    for row in rows:
        each = row["hv_instructions"] / row["exits"] if row["exits"] else 0
        lines.append((row["kind"], str(row["exits"]), str(row["hv_instructions"]), f"{each:.1f}" if row["exits"] else "-",
                      str(row["goal"] or "-"), "" if not row["goal"] else "reached" if each < row["goal"] else "missed"))
    return table.align(lines, left=1)


# --- Linux ---

def linux():
    """The rows of Linux: to user space, and the checked workload, natively and inside."""
    rows = []
    with _folder() as folder:
        kernel, initrd = _linux_images(folder)
        native = _run(folder, _native(kernel, initrd, APPEND), 900)
        said = _said(folder)
    with _folder() as folder:
        kernel, initrd = _linux_images(folder)
        inside = _run(folder, _inside(folder, kernel, initrd, APPEND, "memory=256M"), 1500)
        if _said(folder) != said:
            images.die("the workload's output is not the same inside and natively")
        kinds = _kinds(_report(folder))
    for name, first, last in (("boot", None, INIT), ("work", WORK, WORK + 1)):
        for technique, marks in (("native", native), ("booke", inside)):
            counts = {key: marks[last][key] - (marks[first][key] if first else 0) for key in marks[last]}
            rows.append({"host": "ppc", "technique": technique, "workload": f"linux-{name}", "instructions": counts["all"],
                         "hv_instructions": counts["hv"], "exits": counts["traps"], "goal": GOALS[name],
                         "native": native[last]["all"] - (native[first]["all"] if first else 0)})
    rows[-1]["traps_by_kind"] = kinds
    return rows


def render_linux(rows):
    """Their tables: what they took, and the traps of the whole run by kind."""
    lines = [("Linux", "technique", "M instr", "x native", "goal", "hv M instr", "traps", "hv/trap", "")]
    for row in rows:
        times = row["instructions"] / row["native"]
        inside = row["technique"] != "native"
        lines.append((row["workload"], row["technique"], f"{row['instructions'] / 1e6:.1f}", f"{times:.2f}" if inside else "-",
                      f"{row['goal']:.1f}" if inside else "-", f"{row['hv_instructions'] / 1e6:.1f}" if inside else "-",
                      str(row["exits"]) if inside else "-",
                      f"{row['hv_instructions'] / row['exits']:.0f}" if row["exits"] else "-",
                      ("reached" if times <= row["goal"] else "missed") if inside else ""))
    kinds = sorted(rows[-1]["traps_by_kind"].items(), key=lambda item: -item[1])[:KINDS_SHOWN]
    return [table.align(lines, left=2), table.align([("what the whole run counted", ""), *((name, str(count)) for name, count in kinds)],
                                                    left=1)]


def _linux_images(folder):
    """The kernel, and an initrd with the workload in it."""
    made = guests.prepare(guests.find(GUEST))
    mark = images.built("mark-ppc", [PPC / "mark.S"], [], ["powerpc-linux-gnu-gcc", "-nostdlib", "-static"])
    work = loads.run_work(["/root/workload"], "ttyS0 ttyS0")
    loads.add_file(work, f"{PPC / 'workload'}", "")
    loads.add_file(work, f"{mark}:/bin/mark", "")
    base = made.initrd.read_bytes()
    (folder / "linux-initrd").write_bytes(base + bytes(-len(base) % 4) + work.bytes())
    return made.kernel, folder / "linux-initrd"


def _said(folder):
    """What the workload said on the console: from its first round on, without what comes of the way out."""
    lines = (folder / "console").read_text(errors="replace").replace("\r", "").splitlines()
    rounds = [at for at, line in enumerate(lines) if line.startswith("round ")]
    if not rounds or len(lines) < rounds[-1] + ROUND_LINES:
        images.die("the workload did not say all that it has to")
    return lines[rounds[0]:rounds[-1] + ROUND_LINES]


def _kinds(report):
    """What the hypervisor counted, by its names."""
    vp = report.get("partitions", [report])[0]["vps"][0]
    return {name: count for name, count in vp.items() if isinstance(count, int) and name != "index" and count}


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
    bundle = cpio.Archive()
    bundle.member(f"kernel -- {append}" if append else "kernel", pathlib.Path(kernel).read_bytes())
    if initrd:
        bundle.member("initrd", pathlib.Path(initrd).read_bytes())
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
