"""What build/model/entries says of records of VM entries.

triple64.entries was recorded on host intel: tests/guests/triple.c under nested paging, from its first entry to its last.
"""

import pathlib
import subprocess
import tempfile

import tap

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent.parent
ENTRIES = TREE / "build" / "model" / "entries"
RECORD = (HERE / "triple64.entries").read_text(encoding="ascii")


def judge(text):
    """The exit status of the judge of a record, and what it says."""
    with tempfile.NamedTemporaryFile("w", encoding="ascii") as record:
        record.write(text)
        record.flush()
        ended = subprocess.run([ENTRIES, record.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return ended.returncode, ended.stdout


@tap.case("a record of entries that a processor must make is judged to the last of them")
def _():
    status, said = judge(RECORD)
    tap.expect(status == 0, said)
    tap.expect(said.startswith(f"{RECORD.count('~')} entries, ") and " 0 refused\n" in said, said)
    tap.expect("3 in protected mode without paging" in said, said)


@tap.case("what others print between entries does not count")
def _():
    plain, mixed = judge(RECORD), judge("00000000i[] hello\n" + RECORD.replace("\n", "\n\n(0) Next at t=0\n"))
    tap.expect(plain == mixed, f"{plain} and {mixed}")


@tap.case("an entry that breaks a rule is told with the rule and the fields that break it")
def _():
    status, said = judge(RECORD + "~0 6820:46 6822:10 .\n")
    tap.expect(status == 1, f"status {status}: {said}")
    tap.expect("Checks on Guest Non-Register State: the pending debug exceptions set reserved bits" in said, said)
    tap.expect("GUEST_PENDING_DEBUG (6822) = 10\n" in said and " 1 refused\n" in said, said)


@tap.case("an image that was judged before is not judged again")
def _():
    once, again = judge(RECORD), judge(RECORD + "~0 .\n~0 .\n")
    tap.expect(again[0] == 0 and once[1].split()[2] == again[1].split()[2], f"{once} and {again}")


@tap.case("a line that is cut short makes the record unreadable, unless it is the last and has no end")
def _():
    cut = RECORD.rstrip("\n")[:-20]
    for text, expected in ((cut + "\n", 2), (cut, 0), (RECORD.replace(" .\n", "\n", 1), 2)):
        status, said = judge(text)
        tap.expect(status == expected, f"status {status}, expected {expected}: {said}")


@tap.case("a record without an entry is none")
def _():
    for text in ("", "hello\n"):
        status, said = judge(text)
        tap.expect(status == 2, f"status {status}: {said}")


@tap.case("a record that begins in the middle lacks what rules want")
def _():
    status, said = judge("".join(RECORD.splitlines(keepends=True)[1:]))
    tap.expect(status == 1 and "a rule wants what the image lacks" in said, f"status {status}: {said}")
