"""What bench/ppc/workload prints, told beforehand: the same numbers, by Python's own means."""

import hashlib
import itertools
import pathlib
import re

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "bench" / "ppc" / "workload"
LINES, SHELLS = (int(re.search(rf"{name}=([0-9]+)", PROGRAM.read_text(encoding="ascii"))[1]) for name in ("LINES", "SHELLS"))


def expected(rounds):
    """Its output in so many rounds."""
    return "".join(f"round {number}\n" + "".join(f"{line}\n" for line in _round(number)) for number in range(1, rounds + 1))


def _round(number):
    lines = _numbers(number)
    data = _text(lines)
    letters = "".join(chr(ord("a") + int(digit)) if digit.isdigit() else digit for digit in data.decode())
    bracketed = [re.sub(r"a(.*)b", r"<\1>", line, count=1) for line in letters.splitlines() if re.search(r"a.*b", line)]
    squares = _text(shell * shell for shell in range(1, SHELLS + 1))
    return (f"{hashlib.md5(data).hexdigest()}  -", f"{hashlib.sha256(data).hexdigest()}  -", f"{_cksum(data)} {len(data)}",
            f"{hashlib.sha1(_text(sorted(lines))).hexdigest()}  -",
            str(len(list(itertools.groupby(sorted((str(line) for line in lines), reverse=True), key=lambda line: line[:3])))),
            f"{hashlib.sha1(_text(bracketed)).hexdigest()}  -", f"{hashlib.md5(data).hexdigest()}  -", f"{hashlib.md5(squares).hexdigest()}  -")


def _numbers(value):
    lines = []
    for _ in range(LINES):
        value = (value * 1103515245 + 12345) & 0x7FFFFFFF
        lines.append(value)
    return lines


def _text(lines):
    return "".join(f"{line}\n" for line in lines).encode()


def _cksum(data):
    """As POSIX has it: the length behind the data, lowest byte first, as few as it takes."""
    length, crc = len(data), 0
    for byte in data + length.to_bytes((length.bit_length() + 7) // 8, "little"):
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc ^ 0xFFFFFFFF
