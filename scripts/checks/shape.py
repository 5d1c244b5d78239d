#!/usr/bin/env python3
"""shape.py FILE...: the sizes and the shape of what people read. docs/style.md has the reasons for the limits."""

import re
import sys

FILE_LINES = 800
FUNCTION_LINES = 60
PARAMETERS = 5
NESTING = 3
# A function that is one flat switch may be longer than FUNCTION_LINES, with this much around and inside.
LINES_AROUND_SWITCH = 20
NESTING_IN_SWITCH = 2

# The words are cut so that this file passes its own check.
LEFT_OVER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
IF_ZERO = re.compile(r"^\s*#\s*if\s+0\b")

COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
CONTROL = re.compile(r"\b(if|for|while|switch|do|else)\b")


def blank(match):
    """The same number of lines, with nothing on them that looks like code."""
    text = match.group(0)
    return '""' if text[0] in "\"'" else "\n" * text.count("\n")


def functions(lines):
    """Each function as (its first line's index, signature, body lines). The format check sees to the braces' places."""
    start = None
    for index, line in enumerate(lines):
        if line == "{":
            start = index
        elif line == "}" and start is not None:
            first = start
            while first > 0 and lines[first - 1].strip() and not lines[first - 1].rstrip().endswith((";", "}")) \
                    and not lines[first - 1].startswith("#"):
                first -= 1
            yield first, " ".join(lines[first:start]), lines[start + 1:index]
            start = None


def parameters(signature):
    inside = signature[signature.find("(") + 1:signature.rfind(")")]
    depth, count = 0, 1
    for character in inside:
        depth += {"(": 1, ")": -1}.get(character, 0)
        count += character == "," and depth == 0
    return count


def nesting(body):
    """How deep control statements lie in each other, by indentation: a line's depth is its blocks', labels apart."""
    blocks, deepest = [], 0
    for line in body:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        indent = len(line) - len(line.lstrip())
        while blocks and indent <= blocks[-1] and not text.startswith("{"):
            blocks.pop()
        if re.match(r"(\} )?(if|for|while|switch|do|else)\b", text) and not re.match(r"\} while\b", text):
            blocks.append(indent)
            deepest = max(deepest, len(blocks))
    return deepest


def is_flat_switch(body):
    """Whether the body is one switch with little around it."""
    start = next((i for i, line in enumerate(body) if line.startswith("    switch ")), None)
    if start is None:
        return False
    end = next((i for i in range(start, len(body)) if body[i] == "    }"), start)
    around = len(body) - (end - start + 1)
    return around <= LINES_AROUND_SWITCH and nesting(body[start + 1:end]) <= NESTING_IN_SWITCH


def c_complaints(text):
    lines = COMMENT_OR_STRING.sub(blank, text).split("\n")
    for first, signature, body in functions(lines):
        where = first + 1
        if len(body) > FUNCTION_LINES and not is_flat_switch(body):
            yield where, f"function of {len(body)} lines, {FUNCTION_LINES} at most unless one flat switch"
        if parameters(signature) > PARAMETERS:
            yield where, f"{parameters(signature)} parameters, {PARAMETERS} at most"
        if nesting(body) > NESTING:
            yield where, f"nested {nesting(body)} levels deep, {NESTING} at most"


def line_complaints(name, lines):
    makefile = name.endswith((".mk", "Makefile"))
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield number, "blanks at the end of the line"
        if "\t" in (line.lstrip("\t") if makefile else line):
            yield number, "a tab"
        if LEFT_OVER.search(line):
            yield number, "unfinished business belongs into an issue"
        if name.endswith((".c", ".h", ".S")) and IF_ZERO.match(line):
            yield number, "dead code"


def complaints(name):
    with open(name, encoding="utf-8") as file:
        text = file.read()
    lines = text.split("\n")
    yield from line_complaints(name, lines)
    if text and (not text.endswith("\n") or text.endswith("\n\n")):
        yield len(lines), "a file ends in one newline"
    if name.endswith((".c", ".h")):
        if len(lines) - 1 > FILE_LINES:
            yield FILE_LINES, f"{len(lines) - 1} lines, {FILE_LINES} at most"
        yield from c_complaints(text)


def main(names):
    found = [f"{name}:{number}: {what}" for name in names for number, what in complaints(name)]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
