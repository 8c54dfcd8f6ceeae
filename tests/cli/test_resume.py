"""--resume: whatever moment a run is killed at, going on gives the bytes of an uninterrupted run."""

import itertools
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import BINARY, TINY, Run, error_line


def write_reviews(path: Path, count: int) -> None:
    """CSV with commas, quotes and line breaks in what is carried through, bad rows, and some reviews of many tokens."""
    rng = random.Random(5)
    words = "a good bad film plot and the of was not really ever better worse ending scene".split()
    with path.open("w", newline="") as file:
        file.write("id,text,note\n")
        for i in range(count):
            text = " ".join(rng.choices(words, k=rng.choice([1, 5, 30, 80])))
            if i % 97 == 5:
                text *= 40
            if i % 50 == 7:
                file.write(f"bad{i}\n")
            else:
                file.write(f'r{i},{text},"one, ""two""\nthree {i}"\n')


def size(path: Path) -> int:
    """Bytes of the file; 0 when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def command(folder: Path, *arguments: str) -> list[str]:
    return [BINARY, "-m", str(TINY), "-q", "--pass", "note", "--long-text", "windows", "reviews.csv", *arguments]


@pytest.mark.parametrize("output_format", ["jsonl", "csv", "tsv"])
def test_killed_at_any_moment(output_format: str, tmp_path: Path) -> None:
    write_reviews(tmp_path / "reviews.csv", 1500)
    arguments = ["-f", output_format, "-o"]
    whole = subprocess.run(command(tmp_path, *arguments, "whole"), cwd=tmp_path, timeout=120, check=False)
    assert whole.returncode == 1  # some rows are bad
    expected = (tmp_path / "whole").read_bytes()
    rng = random.Random(output_format)
    unfinished = 0
    for attempt in itertools.count():
        if unfinished == 17:
            break
        assert attempt < 100, "it is hardly ever caught at work"
        for name in ("out", "out.resume"):
            (tmp_path / name).unlink(missing_ok=True)
        process = subprocess.Popen(command(tmp_path, *arguments, "out"), cwd=tmp_path)
        # Moments are counted in bytes written, not in seconds, so that a fast machine is caught at work as well.
        written = rng.uniform(-0.1, 0.9) * len(expected)
        while size(tmp_path / "out") < written and process.poll() is None:
            pass
        time.sleep(rng.uniform(0, 0.01))
        process.kill()
        process.wait()
        if (tmp_path / "out.resume").exists():
            unfinished += 1
            if rng.random() < 0.3 and (tmp_path / "out").exists():  # what a full disk or a lost page may leave
                os.truncate(tmp_path / "out", rng.randrange(size(tmp_path / "out") + 1))
        again = subprocess.run(command(tmp_path, *arguments, "out", "--resume"), cwd=tmp_path, timeout=120, check=False)
        assert again.returncode == 1
        assert (tmp_path / "out").read_bytes() == expected
        assert not (tmp_path / "out.resume").exists()


def test_every_cut_of_the_output_is_mended(run: Run, tmp_path: Path) -> None:
    """A file that ends after any byte is completed to the same bytes."""
    write_reviews(tmp_path / "reviews.csv", 12)
    for output_format in ("jsonl", "csv"):
        arguments = command(tmp_path, "-f", output_format, "-o", "out")[3:]
        (tmp_path / "out").unlink(missing_ok=True)
        assert run(*arguments, cwd=tmp_path).returncode == 1
        expected = (tmp_path / "out").read_bytes()
        note = make_note(tmp_path, output_format)
        for cut in range(0, len(expected), 97):
            (tmp_path / "out").write_bytes(expected[:cut])
            (tmp_path / "out.resume").write_bytes(note)
            result = run(*arguments, "--resume", cwd=tmp_path)
            assert result.returncode == 1, result.stderr
            assert (tmp_path / "out").read_bytes() == expected


def make_note(folder: Path, output_format: str) -> bytes:
    """The note of a run that is stopped while it runs."""
    (folder / "out").unlink(missing_ok=True)
    process = subprocess.Popen(command(folder, "-f", output_format, "-o", "out"), cwd=folder)
    while True:
        try:
            note = (folder / "out.resume").read_bytes()
        except FileNotFoundError:
            note = b""
        if b'"running"' in note:
            process.kill()
            process.wait()
            return note
        assert process.poll() is None, "it ended before its note was seen"


def interrupt(folder: Path) -> None:
    process = subprocess.Popen(command(folder, "-o", "out"), cwd=folder)
    while not (folder / "out").exists() or (folder / "out").stat().st_size == 0:
        assert process.poll() is None, "it ended before it wrote anything"
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130


def test_a_finished_file_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("good\nbad\n")
    assert run("-q", "a.txt", "-o", "out", "--resume", cwd=tmp_path).returncode == 0
    before = (tmp_path / "out").read_bytes()
    result = run("a.txt", "-o", "out", "--resume", cwd=tmp_path)
    assert result.returncode == 0
    assert "complete: nothing to do" in error_line(result)
    assert (tmp_path / "out").read_bytes() == before


def test_an_interrupted_run_goes_on_and_counts_what_was_there(run: Run, tmp_path: Path) -> None:
    write_reviews(tmp_path / "reviews.csv", 3000)
    interrupt(tmp_path)
    written = len((tmp_path / "out").read_bytes().splitlines())
    result = run(*command(tmp_path, "-o", "out", "--resume", "--summary", "summary.json")[4:], cwd=tmp_path)
    assert result.returncode == 1
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["resumed"] == written
    assert summary["resumed"] + summary["records"] == 3000
    assert summary["failures"] == 60


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (["--threshold", "0.4"], "--threshold"),
        (["-f", "csv"], "output format"),
        (["--long-text", "head"], "--long-text"),
        (["extra.txt"], "inputs"),
    ],
)
def test_another_run_is_refused(change: list[str], complaint: str, run: Run, tmp_path: Path) -> None:
    write_reviews(tmp_path / "reviews.csv", 3000)
    interrupt(tmp_path)
    before = (tmp_path / "out").read_bytes()
    usual = [] if change[0] == "--long-text" else ["--long-text", "windows"]
    result = run("--pass", "note", *usual, "reviews.csv", "-o", "out", "--resume", *change, cwd=tmp_path)
    assert result.returncode == 3
    assert complaint in error_line(result)
    assert (tmp_path / "out").read_bytes() == before


def test_a_changed_input_is_refused(run: Run, tmp_path: Path) -> None:
    write_reviews(tmp_path / "reviews.csv", 3000)
    interrupt(tmp_path)
    with (tmp_path / "reviews.csv").open("a") as file:
        file.write("more,good,x\n")
    result = run(*command(tmp_path, "-o", "out", "--resume")[3:], cwd=tmp_path)
    assert result.returncode == 3
    assert "inputs" in error_line(result)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--resume", "a.txt"], "needs --output"),
        (["--resume", "-o", "/dev/null", "a.txt"], "needs --output"),
        (["--resume", "-o", "out", "-f", "text", "a.txt"], "text"),
        (["--resume", "-o", "out", "-"], "stdin"),
        (["--resume", "-o", "out"], "stdin"),
    ],
)
def test_what_cannot_be_resumed_is_a_usage_error(
    arguments: list[str], complaint: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("good\n")
    result = run(*arguments, stdin="x\n", cwd=tmp_path)
    assert result.returncode == 2
    assert complaint in error_line(result)
