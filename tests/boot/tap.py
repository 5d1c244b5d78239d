"""Cases that boot machines, and the runner that speaks TAP of them.

A case is a function under @case("sentence"); it passes if it returns. expect() and its kin fail it with what was seen.
Cases run two at a time, in the order of their files, because most of their time is an emulator on one processor.
"""

import concurrent.futures
import functools
import re
import sys
import threading
import time
import traceback

_cases = []
_print_lock = threading.Lock()


class Failed(Exception):
    """The case fails: what was expected, and what was seen."""


class Skipped(Exception):
    """The case cannot run here, and why."""


def case(sentence):
    """Declare the function below as the case of that sentence."""
    def declare(function):
        _cases.append((sentence, function))
        return function
    return declare


def cases(pattern, values):
    """Declare one case for each of @values, which the function takes; @pattern says it with {} in place."""
    def declare(function):
        for value in values:
            _cases.append((pattern.format(value), functools.partial(function, value)))
        return function
    return declare


def shared(function):
    """Run @function once however many cases ask for it: one boot that many cases look at."""
    lock = threading.Lock()
    kept = {}

    @functools.wraps(function)
    def call(*arguments):
        with lock:
            entry = kept.setdefault(arguments, [threading.Lock(), None, None])
        with entry[0]:
            if entry[1] is None:
                try:
                    entry[1], entry[2] = True, function(*arguments)
                except (Failed, Skipped) as error:
                    entry[1], entry[2] = False, error
        if not entry[1]:
            raise entry[2]
        return entry[2]
    return call


def expect(condition, said):
    """The case fails with what was @said unless @condition holds."""
    if not condition:
        raise Failed(said)


def expect_equal(seen, wanted, what):
    """The case fails unless @seen equals @wanted."""
    expect(seen == wanted, f"{what}: expected {wanted!r}, saw {seen!r}")


def expect_match(pattern, text, what):
    """The case fails unless @text holds @pattern; the match."""
    match = re.search(pattern, text, re.MULTILINE)
    expect(match is not None, f"{what}: expected /{pattern}/, saw {text[-2000:]!r}")
    return match


def run(words, jobs):
    """Run the cases whose sentence or file holds one of @words, or all; whether all passed."""
    chosen = [entry for entry in _cases if not words or any(word in _title(entry) for word in words)]
    print(f"1..{len(chosen)}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(_run_one, number, entry) for number, entry in enumerate(chosen, 1)]
        return all([future.result() for future in futures]) and bool(chosen)


def _title(entry):
    sentence, function = entry
    function = getattr(function, "func", function)
    return f"{function.__module__.removeprefix('cases_')}: {sentence}"


def _run_one(number, entry):
    start = time.monotonic()
    verdict, note, details = "ok", "", ""
    try:
        entry[1]()
    except Skipped as reason:
        note = f" # SKIP {reason}"
    except Failed as failure:
        verdict, details = "not ok", str(failure)
    except Exception:  # a mistake in the case itself is a failure as well, with its place
        verdict, details = "not ok", traceback.format_exc()
    with _print_lock:
        print(f"{verdict} {number} - {_title(entry)} ({time.monotonic() - start:.1f} s){note}")
        for line in details.splitlines():
            print(f"# {line}")
        sys.stdout.flush()
    return verdict == "ok"
