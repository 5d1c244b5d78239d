"""What the textbooks say of walks, tags and large pages, in the numbers of a real program's trace."""

from simulated import runs, sim, trace
from tap import case, expect, expect_equal


def references_of(run):
    """Memory references for walks: everybody's."""
    return sum(run["references"].values())


@case("a cold walk takes 4 references natively and under shadow paging, and 24 under nested paging")
def _():
    found = runs("--upper", "off", "--vpid", "off", trace())
    for technique, depth in (("native", 4), ("shadow", 4), ("nested", 24)):
        run = found[f"{technique} upper off"]
        expect(run["walks"]["user"] > 100, f"walks under {technique}: {run['walks']}")
        expect_equal(run["references"]["user"], depth * run["walks"]["user"], f"references under {technique}")


@case("with five levels on five it takes 5 and 35")
def _():
    found = runs("--upper", "off", "--vpid", "off", "--levels", 5, "--nested-levels", 5, "--technique", "native,nested", trace())
    for technique, depth in (("native", 5), ("nested", 35)):
        expect_equal(found[f"{technique} upper off"]["user_references_per_walk"], depth, technique)


@case("cached upper levels bring a native walk near one reference, and a nested one below four")
def _():
    found = runs("--vpid", "on", "--tlb", "tiny", "--technique", "native,nested", trace())
    expect(found["native"]["user_references_per_walk"] < 1.5, f"native: {found['native']}")
    found = runs("--vpid", "on", "--technique", "nested", trace())
    expect(1 <= found["nested vpid"]["user_references_per_walk"] < 4, f"nested: {found['nested vpid']}")


@case("VPID saves tens of walks at each exit, the guest's and the hypervisor's, under both techniques")
def _():
    found = runs("--exit", 5000, trace())
    for technique in ("shadow", "nested"):
        on, off = found[f"{technique} vpid"], found[technique]
        expect_equal(on["against"], technique, "compared with")
        expect_equal(on["exits"], off["exits"], "exits with VPID and without")
        expect(20 < on["saved_walks"] < 200, f"saved at each exit under {technique}: {on['saved_walks']}")
        expect(on["walks"]["hypervisor"] <= 24, f"the hypervisor's walks with VPID: {on['walks']}")
        expect(off["walks"]["hypervisor"] == 24 * sum(off["exits"].values()), f"and without: {off['walks']}")


@case("what VPID saves grows with exits, and a machine without exits needs none")
def _():
    found = runs("--exit", "0,1000,10000", "--technique", "nested", trace())
    saved = {every: references_of(found[f"nested exit {every}"]) - references_of(found[f"nested vpid exit {every}"])
             for every in (0, 1000, 10000)}
    expect(saved[1000] > 4 * saved[10000] > 0, f"saved references: {saved}")
    expect_equal(saved[0], 0, "saved without exits")


@case("pages of 2 MiB save nearly all walks, and a level of each that is left")
def _():
    found = runs("--page", "4k,2m", "--upper", "off", "--vpid", "on", "--exit", 0, trace())
    for technique, depth in (("native", 3), ("shadow vpid", 3), ("nested vpid", 15)):
        small, large = (found[f"{technique} {page} pages upper off"] for page in ("4k", "2m"))
        expect(large["walks"]["user"] * 5 < small["walks"]["user"], f"walks under {technique}: {large['walks']} {small['walks']}")
        expect_equal(large["references"]["user"], depth * large["walks"]["user"], f"references under {technique}")
        expect(large["page_faults"] * 5 < small["page_faults"], f"page faults under {technique}")


@case("small pages of the machine behind large ones of the guest are cached as small ones")
def _():
    found = runs("--page", "2m", "--host-page", "same,4k", "--vpid", "on", "--exit", 0, "--technique", "nested", trace())
    large, small = found["nested vpid"], found["nested vpid on 4k"]
    expect_equal(large["page_faults"], small["page_faults"], "the guest's faults")
    expect(small["walks"]["user"] > 5 * large["walks"]["user"], f"walks: {small['walks']} {large['walks']}")


@case("shadow paging exits for faults, fills and switches, nested paging for none of them")
def _():
    found = runs("--processes", 2, "--switch", 20000, "--exit", 0, trace())
    shadow, nested, native = found["shadow"], found["nested"], found["native"]
    for run in (shadow, nested):
        expect_equal(run["page_faults"], native["page_faults"], "the guest's faults")
        expect_equal(run["switches"], native["switches"], "switches")
        expect_equal(run["guest_table_pages"], native["guest_table_pages"], "the guest's tables")
    expect_equal(sum(nested["exits"].values()), 0, "exits under nested paging")
    expect_equal(shadow["exits"]["root"], shadow["switches"], "exits for MOV to CR3")
    expect_equal(shadow["exits"]["fault"], shadow["page_faults"], "exits for the guest's faults")
    expect(shadow["exits"]["fill"] > 0, "no fills")


@case("PCIDs keep translations over switches, and so does a VPID for each root of shadow paging")
def _():
    words = ("--processes", 4, "--switch", 5000, "--exit", 0, trace())
    found = runs("--pcid", "off,on", "--vpid", "on", "--technique", "native,nested", *words)
    for technique in ("native", "nested vpid"):
        expect(found[f"{technique} pcid"]["walks"]["user"] * 2 < found[technique]["walks"]["user"], f"walks under {technique}")
    found = runs("--vpid", "on,roots", "--technique", "shadow", *words)
    expect(found["shadow vpid a root"]["walks"]["user"] * 2 < found["shadow vpid"]["walks"]["user"], "walks under shadow")


@case("silent faults spare shadow paging the exits of the guest's own")
def _():
    found = runs("--faults", "exit,silent", "--vpid", "on", "--technique", "shadow", trace())
    loud, silent = found["shadow vpid"], found["shadow vpid silent faults"]
    expect_equal(loud["page_faults"], silent["page_faults"], "the guest's faults")
    expect(sum(silent["exits"].values()) < sum(loud["exits"].values()), f"exits: {silent['exits']} {loud['exits']}")


@case("a smaller TLB misses more, and the numbers are the same each time")
def _():
    found = runs("--tlb", "skylake", "--tlb", "tiny", "--tlb", "code=64/4,second=512/4", "--technique", "native", trace())
    walks = [found[f"native {name}"]["walks"]["user"] for name in ("skylake", "code=64/4,second=512/4", "tiny")]
    expect(walks[0] <= walks[1] < walks[2], f"walks: {walks}")
    expect_equal(sim("--json", trace()).stdout, sim("--json", trace()).stdout, "a second run")
