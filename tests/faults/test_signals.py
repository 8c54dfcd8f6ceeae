"""One SIGINT, SIGTERM or SIGHUP ends the program within a second, whatever it waits for or computes."""

import fcntl
import itertools
import json
import os
import shutil
import signal
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import BINARY, PATIENCE, TINY
from waiting import tolerated_seconds, wait_until_computed, wait_until_idle

SIGNALS = itertools.cycle([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
REVIEWS = "".join(json.dumps({"id": i, "text": "a good film", "label": "pos"}) + "\n" for i in range(100))


def start(folder: Path, *words: str, model: Path = TINY, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    environment = os.environ | {"REVIEWRATE_MODEL": str(model)}
    return subprocess.Popen(
        [BINARY, *words], cwd=folder, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, env=environment
    )


def end(process: subprocess.Popen[bytes], tolerated: float) -> None:
    """Sends one signal, which ends it in time and in order."""
    number = next(SIGNALS)
    begin = time.monotonic()
    process.send_signal(number)
    try:
        status = process.wait(timeout=PATIENCE)
        seconds = time.monotonic() - begin
        assert process.stderr
        said = process.stderr.read().decode()
    finally:
        process.kill()
        process.wait()
    assert status == 128 + number, said
    assert seconds < tolerated
    assert all(line.startswith("reviewrate: ") for line in said.splitlines())


@pytest.mark.parametrize(
    "words",
    [
        ["fifo"],
        ["reviews.jsonl", "fifo"],
        ["tokenize", "fifo"],
        ["eval", "fifo"],
        ["bench", "fifo"],
        ["diff", "fifo", "predictions.jsonl"],
        ["diff", "predictions.jsonl", "fifo"],
        ["reviews.jsonl", "-o", "fifo"],
        ["reviews.jsonl", "-o", "/dev/null", "--summary", "fifo"],
        ["eval", "reviews.jsonl", "--json", "fifo"],
        ["eval", "reviews.jsonl", "--report", "fifo"],
        ["eval", "reviews.jsonl", "--junit", "fifo"],
        ["bench", "--rounds", "1", "reviews.jsonl", "--json", "fifo"],
    ],
    ids=" ".join,
)
def test_a_pipe_that_nobody_has_open_at_its_other_end(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "reviews.jsonl").write_text(REVIEWS)
    record = {"label": "POSITIVE", "score": 0.9, "p_positive": 0.9}
    (tmp_path / "predictions.jsonl").write_text(json.dumps({"id": 1} | record) + "\n")
    os.mkfifo(tmp_path / "fifo")
    tolerated = tolerated_seconds()
    process = start(tmp_path, *words)
    wait_until_idle(process)
    end(process, tolerated)


@pytest.mark.parametrize("words", [["many.txt"], ["tokenize", "many.txt"], ["many.txt", "-o", "/dev/stdout"]])
def test_a_full_pipe_that_nobody_reads(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "many.txt").write_text("a good film and a bad ending\n" * 100_000)
    tolerated = tolerated_seconds()
    process = start(tmp_path, *words, stdout=subprocess.PIPE)
    assert process.stdout
    waiting = b""
    while len(waiting) < 4 or int.from_bytes(waiting, "little") < 32768:
        assert process.poll() is None
        waiting = fcntl.ioctl(process.stdout, termios.FIONREAD, b"\0\0\0\0")
        time.sleep(0.01)
    wait_until_idle(process)
    end(process, tolerated)
    process.stdout.close()


@pytest.mark.parametrize("file", ["manifest.json", "vocab.txt", "model.pt", "baseline"])
def test_a_pipe_in_the_place_of_a_file_is_refused(file: str, tmp_path: Path) -> None:
    """What is read as a whole and checked is a file; nothing is waited for."""
    package = Path(shutil.copytree(TINY, tmp_path / "package"))
    (package / file).unlink(missing_ok=True)
    os.mkfifo(package / file)
    (tmp_path / "reviews.jsonl").write_text(REVIEWS)
    words = ["eval", "reviews.jsonl", "--baseline", "package/baseline"] if file == "baseline" else ["-t", "x"]
    process = start(tmp_path, *words, model=TINY if file == "baseline" else package)
    assert process.wait(timeout=PATIENCE) == 3
    assert process.stderr
    said = process.stderr.read()
    assert len(said.splitlines()) == 1 and b"is not a regular file" in said


def many_reviews(folder: Path) -> list[str]:
    (folder / "many.jsonl").write_text(REVIEWS * 2000)
    return ["many.jsonl"] * 50


def a_huge_review(folder: Path) -> list[str]:
    (folder / "huge.txt").write_text("a good film and a bad ending " * 2_000_000)
    return ["--max-review-bytes", str(1 << 30), "--long-text", "windows", "huge.txt"]


def a_huge_line(folder: Path) -> list[str]:
    (folder / "line.txt").write_text("a b " * 50_000_000)
    return ["tokenize", "--max-tokens", "0", "--max-review-bytes", str(1 << 30), "line.txt"]


def large_predictions(folder: Path) -> list[str]:
    with (folder / "old.jsonl").open("w") as file:
        for i in range(1_000_000):
            file.write(f'{{"id": {i}, "label": "POSITIVE", "score": 0.9, "p_positive": 0.9}}\n')
    return ["diff", "old.jsonl", "old.jsonl"]


COMPUTING: dict[str, Callable[[Path], list[str]]] = {
    "classify": many_reviews,
    "classify to a file": lambda folder: [*many_reviews(folder), "-o", "out", "--resume"],
    "one review in windows": a_huge_review,
    "eval": lambda folder: ["eval", "-q", *many_reviews(folder)],
    "bench": lambda folder: ["bench", *many_reviews(folder)],
    "tokenize": a_huge_line,
    "diff": large_predictions,
}


@pytest.mark.parametrize("make", COMPUTING.values(), ids=COMPUTING)
@pytest.mark.parametrize("seconds", [0.3, 1.2])
def test_it_ends_while_it_computes(make: Callable[[Path], list[str]], seconds: float, tmp_path: Path) -> None:
    words = make(tmp_path)
    tolerated = tolerated_seconds()
    process = start(tmp_path, *words)
    wait_until_computed(process, seconds)
    end(process, tolerated)


@pytest.mark.parametrize("words", [["verify"], ["info"], ["-t", "good"]])
def test_it_ends_while_it_begins(words: list[str], tmp_path: Path) -> None:
    """Wherever in its start the signal comes, while libraries or the model are loaded."""
    tolerated = tolerated_seconds()
    for part in range(12):
        process = start(tmp_path, *words)
        time.sleep(part * 0.03)
        number = next(SIGNALS)
        begin = time.monotonic()
        process.send_signal(number)
        status = process.wait(timeout=PATIENCE)
        assert time.monotonic() - begin < tolerated
        assert status in (0, 128 + number, -number)
        said = process.stderr.read() if process.stderr else b""
        assert said == b"" or (status == 128 + number and said.startswith(b"reviewrate: 0 records"))  # the closing line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_no_unfinished_file_is_left_behind(number: signal.Signals, tmp_path: Path) -> None:
    """Parquet becomes a file only once it is whole."""
    (tmp_path / "reviews.jsonl").write_text(REVIEWS)
    os.mkfifo(tmp_path / "fifo")
    process = start(tmp_path, "reviews.jsonl", "fifo", "-o", "rated.parquet")
    wait_until_idle(process)
    assert len(list(tmp_path.glob(".reviewrate-*"))) == 1
    process.send_signal(number)
    assert process.wait(timeout=PATIENCE) == 128 + number
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "reviews.jsonl"]


def test_a_terminal_that_goes_is_nothing_to_nohup(tmp_path: Path) -> None:
    (tmp_path / "reviews.jsonl").write_text(REVIEWS)
    os.mkfifo(tmp_path / "fifo")
    command = [BINARY, "-m", str(TINY), "reviews.jsonl", "fifo", "-o", "rated.jsonl"]
    process = subprocess.Popen(["nohup", *command], cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_until_idle(process)
    process.send_signal(signal.SIGHUP)
    (tmp_path / "fifo").write_text("a good film\n")
    assert process.wait(timeout=PATIENCE) == 0
    assert len((tmp_path / "rated.jsonl").read_text().splitlines()) == 101
