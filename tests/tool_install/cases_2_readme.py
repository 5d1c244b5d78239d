"""The programs of the README, built against the installed library and nothing else."""

from installed import TREE, debian, program, run, small_image
from tap import Failed, case, cases, expect, expect_equal

GUEST_AT = 1 << 32
SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@case("translate.c says where an address of an image leads, and through how many entries")
def _():
    expect_equal(run(program("translate"), small_image(), "1000", "1234"), "0x7234, through 4 entries\n", "the output")


@case("shadow.c takes the same access to the machine through tables of the library's")
def _():
    before = small_image().read_bytes()
    expect_equal(run(program("shadow"), small_image(), "1000", "1234"), "0x100007234, through 4 tables of ours\n", "the output")
    expect_equal(small_image().read_bytes(), before, "the image")


@cases("{}.c fails where nothing is mapped, and without an image", ["translate", "shadow"])
def _(name):
    expect_equal(run(program(name), small_image(), "1000", "5000", expected=1), "", "output for an address that is not mapped")
    expect_equal(run(program(name), small_image(), "9000", "1000", expected=1), "", "output for tables outside the image")
    expect_equal(run(program(name), "nowhere", "1000", "1000", expected=1), "", "output without an image")
    run(program(name), expected=1)


@case("shadow.c fails where the guest may not write: the fault is the guest's own")
def _():
    expect_equal(run(program("translate"), small_image(), "1000", "2234"), "0x7234, through 4 entries\n", "a read")
    run(program("shadow"), small_image(), "1000", "2234", expected=1)


@cases("{}.c is clean under the sanitizers", ["translate", "shadow"])
def _(name):
    expect(run(program(name, *SANITIZERS), small_image(), "1000", "1234").startswith("0x"), "no address")


@case("translate.c agrees with QEMU on addresses of a Debian guest")
def _():
    image, cr3, answers = debian()
    expect(len(answers) >= 200, f"{len(answers)} addresses")
    for gva, gpa in answers:
        said = run(program("translate"), image, f"{cr3:x}", f"{gva:x}")
        expect_equal(said.partition(",")[0], f"{gpa:#x}", f"{gva:#x}")


@case("shadow.c takes a Debian guest's writes 4 GiB further than QEMU's physical addresses")
def _():
    image, cr3, answers = debian()
    written = 0
    for gva, gpa in answers:
        try:
            said = run(program("shadow"), image, f"{cr3:x}", f"{gva:x}")
        except Failed:  # the page is for reading: see the case above
            continue
        expect_equal(said.partition(",")[0], f"{gpa + GUEST_AT:#x}", f"{gva:#x}")
        written += 1
    expect(written >= 10, f"only {written} of {len(answers)} addresses can be written")


@case("README.md shows the output that the programs have")
def _():
    text = (TREE / "README.md").read_text(encoding="utf-8")
    for name in ("translate", "shadow"):
        said = run(program(name), small_image(), "1000", "1234")
        expect(f"    $ ./{name} memory.raw 1000 1234\n    {said}" in text, f"README.md does not show {said!r}")
