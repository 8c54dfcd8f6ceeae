"""Four times as much takes about four times as long, whatever stands in a line."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import BINARY, TINY

MEGABYTE = 1_000_000
AT_LEAST = 0.4  # seconds: as long as the program takes to start


def seconds_of(words: list[str], folder: Path) -> float:
    """What it computes for, whatever else the machine does."""
    process = subprocess.Popen(
        [BINARY, "-m", str(TINY), *words] if words[0] != "diff" else [BINARY, *words],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, 1, 4)
    return usage.ru_utime + usage.ru_stime


def line_of(unit: str, count: int) -> str:
    return unit * (count // len(unit))


def deep(count: int) -> str:
    return (
        '{"id": ' + "[" * (count // 2) + "]" * (count // 2) + ', "text": "good", "label": "POSITIVE", "score": 0.5}\n'
    )


def members(count: int) -> str:
    return "{" + "".join(f'"field {i}": {i}, ' for i in range(count // 16)) + '"text": "good"}\n'


def records(count: int) -> str:
    return "".join(f'{{"id": {i}, "label": "POSITIVE", "score": 0.5}}\n' for i in range(count // 45))


def reverse(text: str) -> str:
    return "".join(reversed(text.splitlines(keepends=True)))


# What is made of a number of bytes, how many those are, and what reads it.
CLASSIFY = ["--max-review-bytes", str(1 << 30)]
TOKENIZE = ["tokenize", *CLASSIFY]
CASES: dict[str, tuple[Callable[[int], str], float, list[str]]] = {
    "blanks": (lambda n: line_of(" ", n), 6.6, [*CLASSIFY, "in.txt"]),
    "blanks, tokenized": (lambda n: line_of(" ", n), 6.6, [*TOKENIZE, "in.txt"]),
    "one character": (lambda n: line_of("x", n), 12.5, [*TOKENIZE, "in.txt"]),
    "one mark": (lambda n: line_of("!", n), 10, [*TOKENIZE, "in.txt"]),
    "short words": (lambda n: line_of("a b ", n), 10, [*TOKENIZE, "in.txt"]),
    "short words, classified": (lambda n: line_of("a b ", n), 2, [*CLASSIFY, "in.txt"]),
    "accents": (lambda n: line_of("e\u0301\u0301\u0301", n), 2, [*TOKENIZE, "in.txt"]),
    "ideographs": (lambda n: line_of("\u4e00\u4e8c", n), 1, [*TOKENIZE, "in.txt"]),
    "invisible": (lambda n: line_of("\u200b\u202e", n), 4, [*CLASSIFY, "-f", "text", "in.txt"]),
    "line ends": (lambda n: line_of("\r", n), 0.05, [*CLASSIFY, "in.txt"]),
    "open quotes": (lambda n: "text,id\n" + line_of('"a,b\n', n), 0.7, [*CLASSIFY, "in.csv"]),
    "open brackets": (lambda n: line_of("[", n), 4, [*CLASSIFY, "in.jsonl"]),
    "open braces": (lambda n: line_of('{"a":', n), 4, [*CLASSIFY, "in.jsonl"]),
    "open braces, lines": (lambda n: line_of("{\n", n), 1, ["--input-format", "lines", "tokenize", "in.jsonl"]),
    "deep JSON": (deep, 4, [*TOKENIZE, "in.jsonl"]),
    "many members": (members, 2, [*CLASSIFY, "--pass", "*", "in.jsonl"]),
    "escapes": (lambda n: '{"text": "' + line_of("\\u0041", n) + '"}\n', 4, [*TOKENIZE, "in.jsonl"]),
    "deep ids": (deep, 4, ["diff", "in.jsonl", "in.jsonl"]),
    "many predictions": (records, 3, ["diff", "in.jsonl", "in.jsonl"]),
    "many predictions, other order": (records, 3, ["diff", "in.jsonl", "reversed.jsonl"]),
    "many small records": (lambda n: '{"text":""}\n' * (n // 12), 1.5, [*TOKENIZE, "in.jsonl"]),
    "many empty lines": (lambda n: "\n" * n, 0.1, [*TOKENIZE, "in.txt"]),
    "many columns": (lambda n: line_of("a,", n) + "text\n" + line_of("1,", n) + "good\n", 0.25, [*TOKENIZE, "in.csv"]),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("make", "megabytes", "words"), CASES.values(), ids=CASES)
def test_time_is_linear(make: Callable[[int], str], megabytes: float, words: list[str], tmp_path: Path) -> None:
    seconds = []
    for size in (int(megabytes * MEGABYTE), int(4 * megabytes * MEGABYTE)):
        text = make(size)
        (tmp_path / words[-1].replace("reversed", "in")).write_text(text)
        if words[-1].startswith("reversed"):
            (tmp_path / words[-1]).write_text(reverse(text))
        seconds.append(seconds_of(words, tmp_path))
    assert seconds[1] < 8 * max(seconds[0], AT_LEAST), seconds


def test_the_depth_of_ids_is_no_matter(tmp_path: Path) -> None:
    """Ids that are nested as deeply as a stack could hold calls."""
    record = json.dumps({"label": "POSITIVE", "score": 0.5})[1:]
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        deep_id = opening * 1_000_000 + "1" + closing * 1_000_000
        (tmp_path / "in.jsonl").write_text(f'{{"id": {deep_id}, {record}\n{{"id": 1, {record}\n')
        result = subprocess.run(
            [BINARY, "diff", "in.jsonl", "in.jsonl"], cwd=tmp_path, capture_output=True, check=False
        )
        assert result.returncode in (0, 1), result.stderr[:300]
        assert b"compared" in result.stdout
