"""What test guests say on their console, and how they are run."""

import dataclasses
import pathlib
import re
import subprocess

TREE = pathlib.Path(__file__).resolve().parents[2]

RESULT = re.compile(r"^(not ok|ok) \d+ - (.*)$")
PLAN = re.compile(r"^1\.\.(\d+)(.*)$")
SKIP = re.compile(r"\s+# skip\b\s*(.*)$")


@dataclasses.dataclass
class Said:
    """What a guest said: its results in order, each as (holds, sentence, reason to skip or None)."""

    results: list
    planned: int
    status: int
    tail: str

    def trouble(self, dies, status):
        """Why the run as a whole cannot be believed, or None: whether it @dies, else with which @status it is to end."""
        if dies:
            return None if self.results and self.planned is None else "it was not stopped"
        if self.status != status and not any(not holds for holds, _, _ in self.results):
            return f"exit status {self.status}: {self.tail}"
        if self.planned != len(self.results):
            return f"{len(self.results)} results of {self.planned} planned: {self.tail}"
        return None


def understand(text, status):
    """The results in a guest's output, which other lines may surround."""
    results, planned = [], None
    lines = text.replace("\r", "").split("\n")
    for line in lines:
        result, plan = RESULT.match(line), PLAN.match(line)
        if result:
            skip = SKIP.search(result[2])
            sentence = result[2][:skip.start()] if skip else result[2]
            results.append((result[1] == "ok", sentence, skip[1] if skip else None))
        elif plan:
            planned = int(plan[1])
    return Said(results, planned, status, next((line for line in reversed(lines) if line.strip()), "it said nothing"))


def execute(command, seconds):
    """Run a command to its end: its output, and its exit status."""
    ended = subprocess.run(["timeout", "-k", "5", str(seconds), *command], cwd=TREE, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return ended.stdout.decode("utf-8", "replace"), ended.returncode


def difference(outside, within):
    """The first sentence that the bare guest says and the other does not, in order; None if it says them all."""
    theirs = iter(sentence for _, sentence, _ in within.results)
    for holds, sentence, _ in outside.results:
        if holds and not any(sentence == other for other in theirs):
            return sentence
    return None
