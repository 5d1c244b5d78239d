"""Each instruction of the guest: what is foretold from the hypervisor's memory is what its counters then show."""

import tempfile

import held
import tool
from held import LARGE, STAGES, explain, go_through, guest, stages_of
from tap import Skipped, case, cases, expect, expect_equal, shared
from vmlib import hosts

# The paging modes that each run of the guest goes through, and whether they have large pages; further words of scripts/vm.
RUNS = {
    "explain64": ((("4-level", True),), ()),
    "explain64 with five levels": ((("4-level", True), ("5-level", True)), ("--la57",)),
    "explain32": ((("32-bit", True), ("32-bit without PSE", False), ("PAE", True)), ()),
}
TECHNIQUES = ("shadow", "nested")


@shared
def gone_through(run, technique):
    """All stages of one run."""
    modes, words = RUNS[run]
    if "--la57" in words and not hosts.HOSTS[held.host].five_levels:
        raise Skipped(f"no processor of host {held.host} has five-level paging")
    with guest(run.split()[0], technique, *words) as control:
        return {stage.name: stage for stage in go_through(control, stages_of(modes))}


def declared(technique):
    """Every stage of every run under @technique: (run, stage, technique)."""
    return [(run, stage, technique) for run, (modes, _) in RUNS.items() for stage in stages_of(modes)]


def expect_port_alone(stage):
    """Of other exits there is one: the second write to the stop port. The machine's own interrupts come when they come."""
    others = {kind: count for kind, count in stage.exits.items() if kind not in ("page-fault", "host-interrupt")}
    expect_equal(others, {"port": 1}, "exits but page faults")


@cases("under shadow paging the counters follow what was foretold of {0[0]}, {0[1]}", declared("shadow"))
def _(entry):
    run, name, technique = entry
    stage = gone_through(run, technique)[name]
    total = stage.foretold["here"]["total"]
    expect_port_alone(stage)
    expect_equal(stage.exits.get("page-fault", 0), total["page_fault_exits"], "page faults that exited")
    expect_equal(stage.counted["faults"], total["page_fault_exits"], "page faults that were resolved")
    expect_equal(stage.counted["fills"], total["fills"], "fills")
    expect_equal(stage.counted["pages"] + stage.counted["evicted"], total["new_pages"], "new shadow pages")
    expect_equal(stage.counted["write_traps"], total["write_traps"], "writes to protected tables")
    expect_equal(stage.counted["opened"], total["opened"], "tables opened")
    expect_equal(stage.counted["reflected"], total["reflected"], "faults given to the guest")


@cases("under nested paging nothing exits, as was foretold of {0[0]}, {0[1]}", declared("nested"))
def _(entry):
    run, name, technique = entry
    stage = gone_through(run, technique)[name]
    own = stage.foretold["nested"]["own"]
    expect_port_alone(stage)
    expect_equal(stage.exits.get("page-fault", 0), 0, "page faults that exited")
    expect_equal(stage.counted["faults"], 0, "faults of the second stage")
    expect("refused_gpa" not in str(own), f"the second stage refuses: {own}")


@cases("the references of the nested walks of {0[0]}, {0[1]}, add up", declared("nested"))
def _(entry):
    run, name, technique = entry
    nested = gone_through(run, technique)[name].foretold["nested"]
    own = nested["own"]
    expect_equal(own["references"], sum(walk["references"] for walk in own["walks"]), "references of all walks")
    expect_equal([walk["references"] - walk["of_guest"] for walk in own["walks"]],
                 [references_behind(walk, nested["4k"]["walks"][i], own["levels"])
                  for i, walk in enumerate(own["walks"])], "references of the second stage")


def references_behind(own, small, levels):
    """How many entries of the second stage a walk uses whose pages are of 2 MiB, for the 4 KiB ones each uses one more."""
    steps = (small["references"] - small["of_guest"]) // levels
    expect_equal(steps * levels + small["of_guest"], small["references"], "references with 4 KiB pages")
    expect("page_bytes" not in own or own["page_bytes"] == 0x200000, f"the second stage's page has {own}")
    return steps * (levels - 1)


@case("a fault is foretold in full: vector, error code, address and the entry that refuses")
def _():
    stages = gone_through("explain64", "shadow")
    absent = stages[f"4-level: {STAGES[4]}"].foretold["native"]["walks"][-1]
    expect_equal(absent["fault"], {"vector": 14, "error_code": 2, "cr2": "0x5678"}, "the fault")
    expect(any("not present" in cause for cause in absent["causes"]), f"causes {absent['causes']}")
    read_only = stages[f"4-level: {STAGES[5]}"].foretold["native"]["walks"][-1]
    expect_equal(read_only["fault"], {"vector": 14, "error_code": 3, "cr2": "0x6abc"}, "the fault")


@case("of MOV [0x1234], EAX the fetch and the store are told, with the references that manuals give")
def _():
    document = gone_through("explain64", "nested")[f"4-level: {STAGES[0]}"].foretold
    expect_equal(document["instruction"]["text"], "mov [0x1234], eax", "the instruction")
    expect_equal([(access["kind"], access["linear"]) for access in document["accesses"]],
                 [("fetch", document["instruction"]["rip"]), ("write", "0x1234")], "accesses")
    expect_equal([walk["references"] for walk in document["native"]["walks"]], [3, 4], "references natively")
    expect_equal(document["native"]["walks"][1]["physical"], "0x2000234", "where the tables lead to")
    expect_equal([document["nested"][key]["walks"][1]["references"] for key in ("4k", "2m")], [24, 19], "references nested")


@case("a store to a large page is told with the large page")
def _():
    document = gone_through("explain64", "shadow")[f"4-level: {LARGE}"].foretold
    expect_equal(document["native"]["walks"][-1]["page_bytes"], 0x200000, "the page's size")


@case("a dump file of a held guest tells what its hypervisor told, under both techniques")
def _():
    for technique in TECHNIQUES:
        with guest("explain64", technique) as control, tempfile.TemporaryDirectory() as folder:
            control.state_when_held()
            path = f"{folder}/dump"
            ended = tool.run("live", control.path, "dump", path)
            expect_equal(ended.status, tool.OK, str(ended))
            expect_equal(explain(path), explain(control.path), f"what is told under {technique}")
