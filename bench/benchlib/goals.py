"""Shadow paging beside its goals, and beside KVM's shadow MMU where that has been measured in the same run.

The guest's own instructions stand there, too: whether it did the same work. Its scheduler goes by time, and what an exit
takes is time: after a fork the parent may go on before the child has ended (some 156 M instructions) or wait for it (some
150 M). The first has two more pages copied each time, which cost about six exits.
"""

import dataclasses

from . import table


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a workload may cost at most."""

    hv_instructions: int  # a third of what KVM's shadow MMU takes
    exits: float          # for each unit
    unit: str
    units: int            # in each of the workload's operations


GOALS = {
    "boot": Goal(69_000_000, 25_000, "boot", 1),
    "fork": Goal(75_000_000, 22, "fork", 1),
    "mmap": Goal(416_000_000, 2.02, "page", 1),
    "pipe": Goal(12_000_000, 1.01, "switch", 2),
}

HEADINGS = ("shadow", "hv M instr", "goal", "KVM", "of KVM", "exits", "for each", "goal", "KVM", "unit", "guest's M",
            "KVM", "")


def add(rows):
    """Write the goals, and how they stand, into the rows of shadow paging."""
    for row in rows:
        goal = GOALS.get(row["workload"])
        if row["technique"] == "shadow" and goal:
            row["hv_goal"] = goal.hv_instructions
            row["exits_goal"] = goal.exits
            row["exits_each"] = _each(row, goal)
            row["missed"] = [what for what, missed in (("hv", row["hv_instructions"] > goal.hv_instructions),
                                                       ("exits", row["exits_each"] > goal.exits)) if missed]


def _each(row, goal):
    """Exits for each unit, to as many digits as the goals have."""
    return round(row["exits"] / (row["operations"] * goal.units), 2)


def _verdict(row):
    return "missed: " + ", ".join(row["missed"]) if row["missed"] else "reached"


def _guests(row):
    """The guest's own instructions."""
    return f"{(row['instructions'] - row['hv_instructions']) / 1e6:.1f}"


def render(rows):
    """The table as text; empty if shadow paging was not measured."""
    lines = [HEADINGS]
    for row in rows:
        if "hv_goal" not in row:
            continue
        goal = GOALS[row["workload"]]
        kvm = next((other for other in rows
                    if other["technique"] == "kvm-shadow" and other["workload"] == row["workload"]), None)
        lines.append((row["workload"], f"{row['hv_instructions'] / 1e6:.1f}", f"{row['hv_goal'] / 1e6:.0f}",
                      f"{kvm['hv_instructions'] / 1e6:.1f}" if kvm else "-",
                      f"{row['hv_instructions'] / kvm['hv_instructions']:.3f}" if kvm else "-", str(row["exits"]),
                      f"{row['exits_each']:g}", f"{row['exits_goal']:g}", f"{_each(kvm, goal):g}" if kvm else "-",
                      goal.unit, _guests(row), _guests(kvm) if kvm else "-", _verdict(row)))
    return table.align(lines, left=1) if len(lines) > 1 else ""
