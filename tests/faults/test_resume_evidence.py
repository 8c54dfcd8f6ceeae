"""--resume goes on, or says that all is done, only where the note and the bytes show it; else exit 3."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import BINARY, PATIENCE, TINY, Run, error_line
from resuming import ARGUMENTS, kill_and_resume, outputs, write_inputs
from waiting import wait_until_idle

Change = Callable[[Path], object]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is finished, with its note, and what it had written when a third was done."""
    folder = tmp_path_factory.mktemp("finished")
    write_inputs(folder)
    subprocess.run([BINARY, "-m", TINY, *ARGUMENTS], cwd=folder, timeout=PATIENCE, check=True)
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "folder", copy_function=shutil.copy2))


def interrupt(folder: Path) -> bytes:
    """Makes the finished run one that was interrupted within a record. Gives the bytes of the finished one."""
    whole = (folder / "out").read_bytes()
    (folder / "out").write_bytes(whole[: len(whole) // 3])
    note = json.loads((folder / "out.resume").read_text())
    assert note["state"] == "complete"
    (folder / "out.resume").write_text(json.dumps(note | {"state": "running", "output": None}))
    return whole


def touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def edit(path: Path, keep_times: bool = False) -> None:
    """Changes a byte in the middle; neither the size nor the first and last block."""
    times = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    if keep_times:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def rename_two(folder: Path) -> None:
    """Two files of one folder change their names."""
    reviews = folder / "reviews"
    (reviews / "0001.txt").rename(reviews / "x")
    (reviews / "0002.txt").rename(reviews / "0001.txt")
    (reviews / "x").rename(reviews / "0002.txt")


def write_note(folder: Path, text: str) -> None:
    (folder / "out.resume").write_text(text)


CHANGES: dict[str, Change] = {
    "a file renamed": lambda folder: (folder / "reviews" / "0003.txt").rename(folder / "reviews" / "3.txt"),
    "a file moved": lambda folder: (folder / "reviews" / "0003.txt").rename(folder / "reviews" / "deep" / "3.txt"),
    "a folder renamed": lambda folder: (folder / "reviews" / "deep").rename(folder / "reviews" / "low"),
    "two files that change names": rename_two,
    "a file more": lambda folder: (folder / "reviews" / "more.txt").write_text("one more"),
    "a file less": lambda folder: (folder / "reviews" / "deep" / "0000.txt").unlink(),
    "a file emptied": lambda folder: (folder / "reviews" / "0007.txt").write_text(""),
    "a file edited": lambda folder: edit(folder / "reviews" / "0008.txt"),
    "an input edited": lambda folder: edit(folder / "more.jsonl"),
    "an input grown": lambda folder: (folder / "more.jsonl").open("a").write('{"text": "more"}\n'),
    "an input gone": lambda folder: (folder / "more.jsonl").unlink(),
    "another file in its place": lambda folder: (folder / "more.jsonl").write_text("other\n"),
    "no note": lambda folder: (folder / "out.resume").unlink(),
    "an empty note": lambda folder: write_note(folder, ""),
    "half a note": lambda folder: os.truncate(folder / "out.resume", 300),
    "somebody's note": lambda folder: write_note(folder, "not to be forgotten: milk\n"),
    "somebody's JSON": lambda folder: write_note(folder, "{}\n"),
    "a note of another format": lambda folder: write_note(folder, '{"reviewrate_note": 1}\n'),
    "a note that says nothing": lambda folder: write_note(folder, '{"reviewrate_note": 2}\n'),
    "a note of other kinds": lambda folder: write_note(folder, '{"reviewrate_note": 2, "run": [], "inputs": 5}\n'),
    "junk before the records": lambda folder: (folder / "out").write_bytes(b"junk\n" + (folder / "out").read_bytes()),
    "junk behind the records": lambda folder: (folder / "out").open("ab").write(b'"}\njunk\n'),
    "other records": lambda folder: (folder / "out").open("ab").write(b'"}\n{"text": "good"}\n'),
}
# What is known to be harmless: the same bytes at another time.
HARMLESS: dict[str, Change] = {
    "a touched file": lambda folder: touch(folder / "reviews" / "0003.txt"),
    "a touched input": lambda folder: touch(folder / "more.jsonl"),
    "a hidden file": lambda folder: (folder / "reviews" / ".more").write_text("not read"),
    "nothing": lambda folder: None,
}


@pytest.mark.parametrize("state", ["interrupted", "finished"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_not_shown_is_refused(change: Change, state: str, run: Run, folder: Path) -> None:
    if state == "interrupted":
        interrupt(folder)
    change(folder)
    before = outputs(folder)
    result = run(*ARGUMENTS, cwd=folder)
    assert result.returncode == 3, result.stderr
    assert error_line(result)
    assert outputs(folder) == before


@pytest.mark.parametrize("state", ["interrupted", "finished"])
@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_what_is_shown_is_gone_on_with(change: Change, state: str, run: Run, folder: Path) -> None:
    expected = interrupt(folder) if state == "interrupted" else (folder / "out").read_bytes()
    change(folder)
    result = run(*ARGUMENTS[1:], cwd=folder)
    assert result.returncode == 0, result.stderr
    assert ("complete: nothing to do" in error_line(result)) == (state == "finished")
    assert (folder / "out").read_bytes() == expected


@pytest.mark.parametrize("state", ["interrupted", "finished"])
@pytest.mark.parametrize(
    "words",
    [
        ["--threshold", "0.4"],
        ["-f", "csv"],
        ["--rating", "fitted", "-m", "package"],
        ["--pass", "rest"],
        ["--include", "*.txt"],
        ["--max-review-bytes", "30"],
        ["-m", "package"],
        ["-t", "one more"],
        ["out.resume.bak"],
    ],
    ids=" ".join,
)
def test_another_run_is_another(words: list[str], state: str, run: Run, folder: Path) -> None:
    package = Path(shutil.copytree(TINY, folder / "package"))
    manifest = json.loads((package / "manifest.json").read_text())
    manifest["rating"] = {"thresholds": [0.1 * i for i in range(1, 10)]}
    (package / "manifest.json").write_text(json.dumps(manifest))
    (folder / "out.resume.bak").write_text("one more\n")
    if state == "interrupted":
        interrupt(folder)
    before = outputs(folder)
    result = run(*ARGUMENTS, *words, cwd=folder)
    assert result.returncode in (2, 3), result.stderr
    assert error_line(result)
    assert outputs(folder) == before


def test_an_edited_output_is_not_complete(run: Run, folder: Path) -> None:
    edit(folder / "out", keep_times=True)
    before = outputs(folder)
    result = run(*ARGUMENTS, cwd=folder)
    assert result.returncode == 3 and "was changed after a run had finished it" in error_line(result)
    assert outputs(folder) == before


def test_without_resume_anything_is_replaced(run: Run, folder: Path) -> None:
    expected = (folder / "out").read_bytes()
    for content in (b"junk\n", expected[:1000], b""):
        (folder / "out").write_bytes(content)
        assert run(*ARGUMENTS[:-1], cwd=folder).returncode == 0
        assert outputs(folder) == {"out": expected}


def test_two_runs_at_once(run: Run, folder: Path) -> None:
    """The second is refused, with --resume and without, by any name of the file."""
    os.mkfifo(folder / "held.txt")
    (folder / "link").symlink_to("new")
    first = subprocess.Popen([BINARY, "-m", TINY, "-q", "more.jsonl", "held.txt", "-o", "new"], cwd=folder)
    try:
        wait_until_idle(first)
        before = (folder / "new").read_bytes()
        assert len(before.splitlines()) == 200
        for name in ("new", "link", "reviews/../new"):
            for more in ([], ["--resume"]):
                result = run("more.jsonl", "-o", name, *more, cwd=folder)
                assert result.returncode == 3
                assert "is being written by another run" in error_line(result)
                assert (folder / "new").read_bytes() == before
        first.send_signal(signal.SIGINT)
        assert first.wait(timeout=PATIENCE) == 130
    finally:
        first.kill()
        first.wait()
    assert (folder / "new.resume").exists()
    (folder / "held.txt").unlink()


def test_a_folder_is_resumed_whenever_it_was_killed(tmp_path: Path) -> None:
    write_inputs(tmp_path, 400)
    kill_and_resume(tmp_path, 6, 1)
