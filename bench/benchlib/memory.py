"""Shadow pages at their peak beside the guest's own page tables at theirs.

The guest's are counted while its processes have the most: three workloads have run, and 64 MiB are mapped by 4 KiB pages.
The tables of processes are what Linux says (VmPTE, and a root for each); its kernel's are counted by a walk from outside
(bench/guest_tables.c). PageTables of /proc/meminfo would leave out roots and the level below them.
"""

import re

from . import table

PAGE_KIB = 4

# Times the guest's own tables, pages that split a large one of the guest's aside.
GOALS = {"debian-amd64": 1.5, "debian-i386-pae": 2.5, "debian-i386": 2.5}

HEADINGS = ("memory", "shadow pages", "guest's tables", "of processes", "of the kernel", "ratio", "goal", "",
            "split pages")


def row(guest, marks, console):
    """The row of a guest whose workloads have come to their end."""
    walked = _fields(_line(marks, "tables "))
    told = _fields(re.search(r"workload tables (.*)", console).group(1))
    peak = _fields(_line(marks, "peak "))
    if abs(walked["user"] * PAGE_KIB - told["own_kib"]) > PAGE_KIB:
        raise ValueError(f"the guest says {told['own_kib']} KiB of tables where a walk finds {walked['user']} pages")
    processes = (told["kib"] + told["roots"] * walked["root_bytes"] / 1024) / PAGE_KIB
    pages = processes + walked["kernel"]
    return {"technique": "shadow", "workload": "memory", "guest": guest, "shadow_pages_peak": peak["pages"],
            "split_pages_peak": peak["split"], "process_table_pages": processes,
            "kernel_table_pages": walked["kernel"], "guest_table_pages": pages,
            "ratio": round(peak["pages"] / pages, 3), "ratio_goal": GOALS[guest]}


def _line(marks, word):
    return [line for mark in marks for line in mark.lines if line.startswith(word)][-1]


def _fields(line):
    return {name: int(value) for name, value in (field.split("=") for field in line.split() if "=" in field)}


def render(rows):
    """The table as text."""
    lines = [HEADINGS]
    for of_guest in rows:
        verdict = "reached" if of_guest["ratio"] <= of_guest["ratio_goal"] else "missed"
        lines.append((of_guest["guest"], str(of_guest["shadow_pages_peak"]), f"{of_guest['guest_table_pages']:.1f}",
                      f"{of_guest['process_table_pages']:.1f}", str(of_guest["kernel_table_pages"]),
                      f"{of_guest['ratio']:.2f}", f"{of_guest['ratio_goal']:.2f}", verdict,
                      str(of_guest["split_pages_peak"])))
    return table.align(lines, left=1)
