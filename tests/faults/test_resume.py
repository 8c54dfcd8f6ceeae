"""--resume: whatever moment a run is killed at, going on gives the bytes of an uninterrupted run."""

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import BINARY, PATIENCE, TINY, Run, error_line


def write_reviews(path: Path, count: int) -> None:
    """CSV with commas, quotes and line breaks in what is carried through, bad rows, and some reviews of many tokens."""
    rng = random.Random(5)
    words = ["a", "good", "bad", "film", "plot", "and", "the", "of", "was", "not", "really", "ever", "better", "ending"]
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


def command(*arguments: str, model: Path = TINY) -> list[str]:
    return [BINARY, "-m", str(model), "-q", "--pass", "note", "--long-text", "windows", "reviews.csv", *arguments]


@contextlib.contextmanager
def held_up(folder: Path, *arguments: str, model: Path = TINY) -> Iterator[subprocess.Popen[bytes]]:
    """A run that comes to a pipe which neither gives anything nor ends, and so is at work however fast the machine.

    Behind the pipe, held.txt, comes more.csv. Later runs find held.txt empty.
    """
    held = folder / "held.txt"
    held.unlink(missing_ok=True)
    os.mkfifo(held)
    end = os.open(held, os.O_RDWR)
    process = subprocess.Popen(command("held.txt", "more.csv", *arguments, model=model), cwd=folder)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        os.close(end)
        held.unlink()
        held.symlink_to("/dev/null")  # it has no size, as a pipe has none


@pytest.mark.slow
@pytest.mark.parametrize("output_format", ["jsonl", "csv", "tsv"])
def test_killed_at_any_moment(output_format: str, tmp_path: Path) -> None:
    write_reviews(tmp_path / "reviews.csv", 1500)
    arguments = ["-f", output_format, "-o"]
    began = time.monotonic()
    whole = subprocess.run(command(*arguments, "whole"), cwd=tmp_path, timeout=PATIENCE, check=False)
    seconds = time.monotonic() - began
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
        process = subprocess.Popen(command(*arguments, "out"), cwd=tmp_path)
        # Moments are counted in bytes written and in parts of a run, so that a fast machine is caught at work as well.
        written = rng.uniform(-0.1, 0.9) * len(expected)
        while size(tmp_path / "out") < written and process.poll() is None:
            pass
        time.sleep(rng.uniform(0, 0.01) * seconds)
        process.kill()
        process.wait()
        noted = (tmp_path / "out.resume").exists()
        finished = not noted and size(tmp_path / "out") == len(expected)
        if noted:
            unfinished += 1
            if rng.random() < 0.3 and (tmp_path / "out").exists():  # what a full disk or a lost page may leave
                os.truncate(tmp_path / "out", rng.randrange(size(tmp_path / "out") + 1))
        again = subprocess.run(command(*arguments, "out", "--resume"), cwd=tmp_path, timeout=PATIENCE, check=False)
        assert (tmp_path / "out").read_bytes() == expected
        # A finished run without --resume leaves no note, so nothing shows what the file is; --resume leaves its own.
        assert again.returncode == (3 if finished else 1)
        assert (tmp_path / "out.resume").exists() == (not finished)


@pytest.mark.slow
def test_every_cut_of_the_output_is_mended(run: Run, tmp_path: Path) -> None:
    """A file that ends after any byte is completed to the same bytes."""
    write_reviews(tmp_path / "reviews.csv", 8)
    write_reviews(tmp_path / "more.csv", 4)
    for output_format in ("jsonl", "csv"):
        note = make_note(tmp_path, output_format)
        (tmp_path / "out.resume").unlink()
        arguments = command("held.txt", "more.csv", "-f", output_format, "-o", "out")[3:]
        assert run(*arguments, cwd=tmp_path).returncode == 1
        expected = (tmp_path / "out").read_bytes()
        for cut in range(0, len(expected), 97):
            (tmp_path / "out").write_bytes(expected[:cut])
            (tmp_path / "out.resume").write_bytes(note)
            result = run(*arguments, "--resume", cwd=tmp_path)
            assert result.returncode == 1, result.stderr
            assert (tmp_path / "out").read_bytes() == expected


def make_note(folder: Path, output_format: str, reviews: int | None = None) -> bytes:
    """The note of a run that is killed while it runs; with as many reviews as are given, or those that are there."""
    if reviews is not None:
        write_reviews(folder / "reviews.csv", reviews)
        write_reviews(folder / "more.csv", 4)
    with held_up(folder, "-f", output_format, "-o", "out") as process:
        while size(folder / "out.resume") == 0 or b'"running"' not in (folder / "out.resume").read_bytes():
            assert process.poll() is None, "it ended at a pipe that did not"
    return (folder / "out.resume").read_bytes()


def interrupt(folder: Path, model: Path = TINY) -> list[str]:
    """Stops a run that has written something, but not all. Returns its arguments."""
    write_reviews(folder / "reviews.csv", 1000)
    write_reviews(folder / "more.csv", 100)
    with held_up(folder, "-o", "out", model=model) as process:
        while size(folder / "out") == 0:
            assert process.poll() is None, "it ended before it wrote anything"
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE) == 130
    return command("held.txt", "more.csv", "-o", "out")[3:]


def test_a_finished_file_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("good\nbad\n")
    assert run("-q", "a.txt", "-o", "out", "--resume", cwd=tmp_path).returncode == 0
    before = (tmp_path / "out").read_bytes()
    result = run("a.txt", "-o", "out", "--resume", cwd=tmp_path)
    assert result.returncode == 0
    assert "complete: nothing to do" in error_line(result)
    assert (tmp_path / "out").read_bytes() == before


def test_an_interrupted_run_goes_on_and_counts_what_was_there(run: Run, tmp_path: Path) -> None:
    arguments = [word for word in interrupt(tmp_path) if word != "-q"]
    before = [json.loads(line) for line in (tmp_path / "out").read_bytes().splitlines()]
    failed_before = sum("error" in record for record in before)
    result = run(*arguments, "--resume", "--summary", "summary.json", cwd=tmp_path)
    assert result.returncode == 1
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["resumed"], summary["resumed_failures"]) == (len(before), failed_before)
    assert 0 < summary["resumed"] <= 1000 and summary["resumed"] + summary["records"] == 1100
    # All that is not called resumed is of one basis: the records that were written now.
    assert summary["failures"] == 22 - failed_before == sum(summary["failures_by_kind"].values())
    rated = sum(summary["labels"].values()) + summary["empty"]
    assert rated + summary["failures"] == summary["records"]
    told = f"{summary['records']} records after {len(before)} written before, 22 failed ("
    assert told in result.stderr.decode() and f"; of the {rated} rated now" in result.stderr.decode()
    kinds = f"{summary['failures']} columns" if summary["failures"] else ""
    earlier = f"{failed_before} in an earlier run" if failed_before else ""
    assert f"22 failed ({', '.join(filter(None, [kinds, earlier]))})" in result.stderr.decode()


def test_a_complete_file_has_a_summary_and_its_reason_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "good"}\n{"text": 5}\n')
    arguments = ["a.jsonl", "-o", "out", "--resume", "--summary", "s.json"]
    assert run(*arguments, cwd=tmp_path).returncode == 1
    first = json.loads((tmp_path / "s.json").read_text())
    assert (first["records"], first["failures"], first["resumed"], first["resumed_failures"]) == (2, 1, 0, 0)
    (tmp_path / "s.json").unlink()
    result = run(*arguments, "-q", cwd=tmp_path)
    assert result.returncode == 1
    assert error_line(result) == "reviewrate: 1 of 2 records failed (1 in an earlier run)"
    again = json.loads((tmp_path / "s.json").read_text())
    assert (again["records"], again["failures"], again["resumed"], again["resumed_failures"]) == (0, 0, 2, 1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (["--threshold", "0.4"], "--threshold"),
        (["-f", "csv"], "output format"),
        (["--long-text", "head"], "--long-text"),
        (["--delimiter", ";"], "--delimiter"),
        (["--escape", "\\"], "--escape"),
        (["extra.txt"], "inputs"),
    ],
)
def test_another_run_is_refused(change: list[str], complaint: str, run: Run, tmp_path: Path) -> None:
    arguments = interrupt(tmp_path)
    before = (tmp_path / "out").read_bytes()
    result = run(*arguments, "--resume", *change, cwd=tmp_path)
    assert result.returncode == 3
    assert complaint in error_line(result)
    assert (tmp_path / "out").read_bytes() == before


def interrupt_before_the_first_record(folder: Path) -> list[str]:
    make_note(folder, "jsonl", reviews=0)
    assert size(folder / "out") == 0
    return command("held.txt", "more.csv", "-f", "jsonl", "-o", "out")[3:]


@pytest.mark.parametrize("change", [[], ["--threshold", "0.4"], ["-f", "csv"], ["extra.txt"]], ids=" ".join)
def test_another_run_is_refused_before_the_first_record_too(change: list[str], run: Run, tmp_path: Path) -> None:
    """What --resume does never depends on how far the run had come."""
    arguments = interrupt_before_the_first_record(tmp_path)
    (tmp_path / "extra.txt").write_text("good\n")
    note = (tmp_path / "out.resume").read_bytes()
    result = run(*arguments, "--resume", *change, cwd=tmp_path)
    if not change:
        assert result.returncode == 0, result.stderr
        return
    assert result.returncode == 3
    assert error_line(result).startswith("reviewrate: --resume: ")
    assert (tmp_path / "out.resume").read_bytes() == note and size(tmp_path / "out") == 0


@pytest.mark.parametrize("what", ["out", "out.resume"])
def test_what_somebody_removed_is_begun_anew(what: str, run: Run, tmp_path: Path) -> None:
    """Nothing is left that could be of two runs."""
    arguments = interrupt_before_the_first_record(tmp_path)
    (tmp_path / what).unlink()
    assert run(*arguments, "--resume", "--threshold", "0.4", cwd=tmp_path).returncode == 0


def test_a_changed_input_is_refused(run: Run, tmp_path: Path) -> None:
    arguments = interrupt(tmp_path)
    with (tmp_path / "reviews.csv").open("a") as file:
        file.write("more,good,x\n")
    result = run(*arguments, "--resume", cwd=tmp_path)
    assert result.returncode == 3
    assert "inputs" in error_line(result)


def test_a_changed_package_is_refused(run: Run, tmp_path: Path) -> None:
    package = Path(shutil.copytree(TINY, tmp_path / "package"))
    arguments = [*interrupt(tmp_path, package), "--resume"]
    manifest = package / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"lowercase": true', '"lowercase": false'))
    result = run(*arguments, cwd=tmp_path, model=package)
    assert result.returncode == 3
    assert "manifest" in error_line(result)


def test_a_folder_is_resumed_whose_links_go_round(run: Run, tmp_path: Path) -> None:
    """The output lies in it, too; only what is read counts."""
    folder = tmp_path / "reviews"
    folder.mkdir()
    for name in ("round", "again"):
        (folder / name).symlink_to(".")
    write_reviews(folder / "reviews.csv", 3000)
    arguments = ["-q", "reviews", "-o", "reviews/out"]
    assert run(*arguments, cwd=tmp_path).returncode == 1
    expected = (folder / "out").read_bytes()
    for _ in range(100):
        (folder / "out").unlink()
        process = subprocess.Popen([BINARY, "-m", str(TINY), *arguments], cwd=tmp_path)
        while size(folder / "out") == 0:
            assert process.poll() is None, "it ended before it wrote anything"
            time.sleep(0.001)
        process.kill()
        process.wait()
        if (folder / "out.resume").exists():
            break
    assert (folder / "out.resume").exists(), "it is hardly ever caught at work"
    (folder / ".hidden").write_text("not read")
    assert run(*arguments, "--resume", cwd=tmp_path).returncode == 1
    assert (folder / "out").read_bytes() == expected


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
