"""bench: counts what it ran, takes the time apart, and says what it cannot time."""

import json
from pathlib import Path

from conftest import Run, error_line


def test_counts_and_parts(run: Run, tmp_path: Path) -> None:
    reviews = tmp_path / "reviews.txt"
    reviews.write_text("It is very nice film\nnot good\n" * 50)
    result = run("bench", str(reviews), "--rounds", "2", "-j", "1", "--json", str(tmp_path / "bench.json"))
    assert result.returncode == 0, result.stderr
    assert b"reviews/s" in result.stdout and b"p99" in result.stdout
    bench = json.loads((tmp_path / "bench.json").read_text())
    tokens = [json.loads(line)["tokens"] for line in run(str(reviews), "-f", "jsonl", "-q").stdout.splitlines()]
    assert (bench["reviews"], bench["failures"], bench["tokens"]) == (100, 0, sum(tokens))
    assert len(bench["seconds"]["rounds"]) == 2
    assert set(bench["breakdown"]) == {"read", "tokenize", "model", "write"}
    assert all(seconds > 0 for seconds in bench["breakdown"].values())
    assert bench["batch_seconds"]["p50"] <= bench["batch_seconds"]["p99"] <= bench["batch_seconds"]["max"]


def test_bad_records_are_counted(run: Run, tmp_path: Path) -> None:
    reviews = tmp_path / "reviews.jsonl"
    reviews.write_text('{"text": "good"}\n{"text": 1}\n')
    result = run("bench", str(reviews), "--rounds", "1")
    assert result.returncode == 1
    assert b"2 reviews (1 failed)" in result.stdout


def test_what_cannot_be_timed(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    result = run("bench", str(empty))
    assert (result.returncode, result.stdout) == (2, b"")
    assert "there are no reviews" in error_line(result)
    result = run("bench", "-", stdin="good\n")
    assert result.returncode == 2
    assert "stdin cannot be read a second time" in error_line(result)
