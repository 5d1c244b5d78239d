#!/usr/bin/python3
"""seeds.py FILE: print a binary input as the text of a seed. As a module: what the committed seeds come to.

A seed is words: pairs of hexadecimal digits; "text", with \\n, \\t, \\", \\\\ and \\xNN; u8=, u16=, u32= and u64= with a
number of Python's, which may be negative, little-endian. A word and *N is that word N times; # starts a comment.
"""

import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent.parent

WORD = re.compile(r"""(?: (?P<hex>(?:[0-9a-fA-F]{2})+) | "(?P<text>(?:[^"\\]|\\.)*)"
                        | u(?P<width>8|16|32|64)=(?P<number>-?\w+) )
                      (?:\*(?P<times>\d+))? (?=\s|$|\#)""", re.VERBOSE)
BLANK = re.compile(r"(?:\s|#.*)+")
ESCAPE = re.compile(rb'\\(?:x([0-9a-fA-F]{2})|(.))')
ESCAPED = {b"n": b"\n", b"t": b"\t", b'"': b'"', b"\\": b"\\", b"0": b"\0"}


def value(word):
    """The bytes of one word."""
    times = int(word["times"] or 1)
    if word["hex"] is not None:
        return bytes.fromhex(word["hex"]) * times
    if word["text"] is not None:
        return ESCAPE.sub(lambda m: bytes.fromhex(m[1].decode()) if m[1] else ESCAPED[m[2]],
                          word["text"].encode()) * times
    bits = int(word["width"])
    return (int(word["number"], 0) % (1 << bits)).to_bytes(bits // 8, "little") * times


def parse(text, name):
    """The bytes of a seed's text; ValueError says where it is not one."""
    out, at = bytearray(), 0
    while at < len(text):
        blank = BLANK.match(text, at)
        at = blank.end() if blank else at
        if at == len(text):
            break
        word = WORD.match(text, at)
        line = text.count("\n", 0, at) + 1
        if not word:
            raise ValueError(f"{name}:{line}: not a word of a seed: {text[at:at + 20].split()[0]}")
        try:
            out += value(word)
        except (KeyError, ValueError) as error:
            raise ValueError(f"{name}:{line}: {word[0]}: {error}") from error
        at = word.end()
    return bytes(out)


def write(target, folder):
    """Write the seeds of @target, as bytes, to @folder, which then holds nothing else; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for path in sorted((HERE / "seeds" / target).glob("*.txt")):
        made.append(folder / path.stem)
        made[-1].write_bytes(parse(path.read_text(encoding="utf-8"), path.relative_to(TREE)))
    for path in set(folder.iterdir()) - set(made):
        path.unlink()
    return made


def main(words):
    """Print one file as a seed."""
    if len(words) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    data = pathlib.Path(words[0]).read_bytes()
    for start in range(0, len(data), 16):
        print(data[start:start + 16].hex(" "))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
