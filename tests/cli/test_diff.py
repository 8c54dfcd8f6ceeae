"""reviewrate diff: two files of predictions, by id."""

import bz2
import fcntl
import gzip
import json
import lzma
import os
import random
import signal
import struct
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import BINARY, PATIENCE, Run, error_line


def prediction(i: Any, p: float) -> dict[str, Any]:
    return {"id": i, "label": "POSITIVE" if p >= 0.5 else "NEGATIVE", "score": max(p, 1 - p), "p_positive": p}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


OLD = [prediction(i, i / 10) for i in range(10)]


def compare(run: Run, tmp_path: Path, new: list[dict[str, Any]], *options: str, old: list[dict[str, Any]] = OLD) -> tuple[int, list[str]]:
    result = run("diff", write(tmp_path / "a.jsonl", old), write(tmp_path / "b.jsonl", new), *options)
    assert result.stderr == b""
    return result.returncode, result.stdout.decode().splitlines()


def test_the_same_predictions_in_any_order(run: Run, tmp_path: Path) -> None:
    same = "10 compared, 0 missing, 0 added, 0 labels flipped, largest change of probability 0 (tolerance 1e-06)"
    assert compare(run, tmp_path, OLD) == (0, [same])
    shuffled = OLD.copy()
    random.Random(1).shuffle(shuffled)
    assert compare(run, tmp_path, shuffled) == (0, [same])


def test_changes_against_the_tolerance(run: Run, tmp_path: Path) -> None:
    new = [prediction(i, i / 10 + (0.01 if i == 3 else 0.002 if i == 7 else 0)) for i in range(10)]
    status, lines = compare(run, tmp_path, new)
    assert status == 4
    assert lines[1:] == ["change 3: NEGATIVE 0.3 -> NEGATIVE 0.31", "change 7: POSITIVE 0.7 -> POSITIVE 0.702"]
    status, lines = compare(run, tmp_path, new, "--tolerance", "0.005")
    assert (status, lines[1:]) == (4, ["change 3: NEGATIVE 0.3 -> NEGATIVE 0.31"])
    status, lines = compare(run, tmp_path, new, "--tolerance", "0.02")
    assert (status, len(lines)) == (0, 1)
    assert "largest change of probability 0.01" in lines[0]


def test_a_flip_counts_whatever_the_tolerance(run: Run, tmp_path: Path) -> None:
    status, lines = compare(run, tmp_path, [prediction(i, 0.4999 if i == 5 else i / 10) for i in range(10)], "--tolerance", "1")
    assert status == 4
    assert "1 labels flipped" in lines[0]
    assert lines[1:] == ["flip 5: POSITIVE 0.5 -> NEGATIVE 0.4999"]


def test_missing_and_added_ids(run: Run, tmp_path: Path) -> None:
    new = [*OLD[:4], *OLD[5:], prediction("4", 0.4), prediction("n\u001b", 0.5)]
    status, lines = compare(run, tmp_path, new, "--tolerance", "1")
    assert status == 4
    assert lines[0].startswith("9 compared, 1 missing, 2 added, 0 labels flipped")
    assert lines[1:] == ["missing 4", 'added "4"', 'added "n\\u001b"']
    assert compare(run, tmp_path, OLD[:9])[0] == 4
    assert compare(run, tmp_path, [*OLD, prediction(10, 1)])[0] == 4
    assert compare(run, tmp_path, [], old=[])[0] == 0


def test_the_same_id_twice_goes_by_occurrence(run: Run, tmp_path: Path) -> None:
    old = [prediction("a", 0.1), prediction("b", 0.9), prediction("a", 0.2), prediction("a", 0.3)]
    assert compare(run, tmp_path, [old[1], old[0], old[2], old[3]], old=old)[0] == 0
    status, lines = compare(run, tmp_path, [old[0], old[3], old[1]], old=old)
    assert (status, lines[1:]) == (4, ['missing "a"', 'change "a": NEGATIVE 0.2 -> NEGATIVE 0.3'])


def test_an_error_record_is_no_prediction(run: Run, tmp_path: Path) -> None:
    error = {"id": 2, "error": {"kind": "json", "message": "x"}}
    new = [error if i == 2 else row for i, row in enumerate(OLD)]
    status, lines = compare(run, tmp_path, new)
    assert (status, lines[1:]) == (4, ["flip 2: NEGATIVE 0.2 -> ERROR json"])
    assert compare(run, tmp_path, new, old=new)[0] == 0


def test_without_p_positive_the_score_is_compared(run: Run, tmp_path: Path) -> None:
    old = [{"id": 1, "label": "LABEL_2", "score": 0.8}]
    assert compare(run, tmp_path, old, old=old)[0] == 0
    assert compare(run, tmp_path, [old[0] | {"score": 0.7}], old=old)[0] == 4


@pytest.mark.parametrize("line", ["", "{", "5", "[]", "{}", '{"id": 1}', '{"id": 1, "label": "x"}', '{"id": 1, "label": "x", "score": "y"}', "\xff"])
def test_a_line_that_is_no_record_is_named(run: Run, tmp_path: Path, line: str) -> None:
    old = write(tmp_path / "a.jsonl", OLD)
    new = tmp_path / "b.jsonl"
    new.write_bytes(old.read_bytes() + line.encode("latin-1") + b"\n")
    result = run("diff", old, new)
    assert result.returncode == 1
    assert f"{new}:11: is no prediction record" in result.stderr.decode()
    assert result.stdout.startswith(b"10 compared")


def test_a_file_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    result = run("diff", write(tmp_path / "a.jsonl", OLD), tmp_path / "gone.jsonl")
    assert (result.returncode, result.stdout) == (3, b"")
    assert "gone.jsonl" in error_line(result)
    result = run("diff", tmp_path, tmp_path / "a.jsonl")
    assert result.returncode == 3
    assert f"{tmp_path}: is a folder" in error_line(result)


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.parametrize(("name", "pack"), [("gz", gzip.compress), ("xz", lzma.compress), ("bz2", bz2.compress), ("zst", zstd)])
def test_compressed_predictions(run: Run, tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    old = write(tmp_path / "a.jsonl", OLD)
    new = tmp_path / f"b.jsonl.{name}"
    new.write_bytes(pack(write(tmp_path / "b.jsonl", [*OLD, prediction("new", 0.25)]).read_bytes()))
    for result in (run("diff", old, new), run("diff", old, "-", stdin=new.read_bytes())):
        assert (result.returncode, result.stderr) == (4, b"")
        assert result.stdout.splitlines()[1:] == [b'added "new"']
    new.write_bytes(new.read_bytes()[:-5])
    result = run("diff", old, new)
    assert (result.returncode, result.stdout) == (3, b"")
    assert f"{new}" in error_line(result) and "damaged" in error_line(result)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("idle", ["stdin", "pipe"])
def test_a_signal_ends_it_while_its_input_is_idle(tmp_path: Path, idle: str, number: signal.Signals) -> None:
    old = write(tmp_path / "a.jsonl", OLD)
    os.mkfifo(tmp_path / "pipe")
    end = os.open(tmp_path / "pipe", os.O_RDWR)  # open at both ends, and nothing in it
    command = [BINARY, "diff", old, "-" if idle == "stdin" else tmp_path / "pipe"]
    process = subprocess.Popen(command, stdin=end, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.write(end, old.read_bytes() + b'{"id": ')
    while unread(end) > 0:
        assert process.poll() is None, "it ended at a pipe that did not"
    process.send_signal(number)
    assert process.communicate(timeout=PATIENCE) == (b"", b"")
    assert process.returncode == 128 + number
    os.close(end)


def unread(pipe: int) -> int:
    """Bytes that wait in a pipe."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


@pytest.mark.parametrize("arguments", [[], ["a"], ["a", "b", "c"], ["a", "b", "--tolerance", "-1"], ["a", "b", "--tolerance", "x"], ["-", "-"]])
def test_usage(run: Run, arguments: list[str]) -> None:
    assert run("diff", *arguments).returncode == 2


def test_what_classify_writes(run: Run, tmp_path: Path) -> None:
    reviews = "\n".join(f"a film {'good ' * i}" for i in range(20))
    (tmp_path / "a.jsonl").write_bytes(run(stdin=reviews).stdout)
    result = run("diff", tmp_path / "a.jsonl", "-", stdin=run("-j", "1", stdin=reviews).stdout)
    assert (result.returncode, result.stdout[:11]) == (0, b"20 compared")
