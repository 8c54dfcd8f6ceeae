"""Power may be lost behind any call: what is on the disk then is gone on with to the same bytes, or refused."""

import json
import os
import random
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import BINARY, PATIENCE, TINY
from power_loss import Content, build_recorder, cuts, record

CUTS = 20  # of each case; tests/full has more


@pytest.fixture(scope="session")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_recorder(tmp_path_factory.mktemp("recorder"))


def command(*arguments: str) -> list[str]:
    return [BINARY, "-m", str(TINY), "-q", *arguments]


def write_reviews(path: Path) -> None:
    """Some bad; what is carried through is longer than a page of the disk, and quoted in tables."""
    with path.open("w") as file:
        for i in range(300):
            note = f'{i}, "quoted" ' + "and long " * (700 if i % 60 == 5 else 3)
            file.write(json.dumps({"text": 5 if i % 50 == 7 else "a good film " * (i % 7), "note": note}) + "\n")


def content(folder: Path) -> Content:
    return {path.name: path.read_bytes() for path in folder.glob("out*")}


def fill(folder: Path, found: Content) -> None:
    for path in folder.glob("out*"):
        path.unlink()
    for name, data in found.items():
        (folder / name).write_bytes(data)


def check_cut(folder: Path, found: Content, arguments: list[str], expected: bytes) -> None:
    """Goes on after power was lost."""
    fill(folder, found)
    result = subprocess.run(
        command(*arguments, "--resume"), cwd=folder, capture_output=True, timeout=PATIENCE, check=False
    )
    # Whose file it is shows the note alone.
    refused = "out.resume" not in found and found.get("out", b"") != b""
    if refused:
        assert result.returncode == 3 and len(result.stderr.splitlines()) == 1, result.stderr
        assert content(folder) == found
    else:
        assert result.returncode == 1, result.stderr
        assert (folder / "out").read_bytes() == expected


def check_cuts(recorder: Path, folder: Path, arguments: list[str], before: Content, expected: bytes, most: int) -> None:
    """Runs the program on what there was before, and goes on after each of at most so many losses of power."""
    fill(folder, before)
    status, calls = record(recorder, command(*arguments), folder)
    assert status == 1
    assert (folder / "out").read_bytes() == expected
    rng = random.Random(7)
    found = cuts(before, calls, rng)
    assert len(found) >= 12
    found = rng.sample(found, min(most, len(found)))
    folders = []
    for i in range(2):
        folders.append(folder / f"worker{i}")
        folders[i].mkdir(exist_ok=True)
        shutil.copy2(folder / "reviews.jsonl", folders[i])

    def check_all(i: int) -> None:
        for each in found[i::2]:
            check_cut(folders[i], each, arguments, expected)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(check_all, range(2)))


def run_to_end(folder: Path, arguments: list[str]) -> bytes:
    assert subprocess.run(command(*arguments), cwd=folder, timeout=PATIENCE, check=False).returncode == 1
    return (folder / "out").read_bytes()


@pytest.mark.parametrize("output_format", ["jsonl", "csv"])
@pytest.mark.parametrize("case", ["new", "new, to be resumed", "replaced", "gone on with"])
def test_power_loss(case: str, output_format: str, recorder: Path, tmp_path: Path, most: int = CUTS) -> None:
    write_reviews(tmp_path / "reviews.jsonl")
    arguments = ["reviews.jsonl", "--pass", "note", "-f", output_format, "-o", "out"]
    expected = run_to_end(tmp_path, arguments)
    before: Content = {}
    if case == "replaced":
        before = {"out": b"somebody's\n" * 1000}
    if case == "gone on with":
        _, calls = record(recorder, command(*arguments, "--resume"), make_folder(tmp_path / "first"))
        notes = [bytes.fromhex(call.split(" ")[2]) for call in calls if call.startswith("write ")]
        before = {"out": expected[: len(expected) // 3], "out.resume": notes[0]}
        assert b'"running"' in notes[0]
    if case in ("new, to be resumed", "gone on with"):
        arguments.append("--resume")
    check_cuts(recorder, tmp_path, arguments, before, expected, most)


def make_folder(folder: Path) -> Path:
    folder.mkdir()
    shutil.copy2(folder.parent / "reviews.jsonl", folder)
    return folder


def test_an_older_note_vouches_for_nothing(recorder: Path, tmp_path: Path) -> None:
    """A finished file with its note is written anew with other options: neither run is ever taken for the other."""
    write_reviews(tmp_path / "reviews.jsonl")
    old = ["reviews.jsonl", "-o", "out", "--resume"]
    new = ["reviews.jsonl", "-o", "out", "--threshold", "0.9"]
    expected = {"old": run_to_end(tmp_path, old)}
    before = content(tmp_path)
    status, calls = record(recorder, command(*new), tmp_path)
    assert status == 1
    expected["new"] = (tmp_path / "out").read_bytes()
    assert expected["old"] != expected["new"]
    rng = random.Random(8)
    found = cuts(before, calls, rng)
    resumed = set()
    for each in [found[0], *rng.sample(found, min(10, len(found)))]:  # the first is the one before any call
        for run, arguments in (("old", old), ("new", [*new, "--resume"])):
            fill(tmp_path, each)
            result = subprocess.run(
                command(*arguments), cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=False
            )
            if result.returncode == 1:
                assert (tmp_path / "out").read_bytes() == expected[run]
                resumed.add(run)
            else:
                assert result.returncode == 3
                assert content(tmp_path) == each
    assert resumed == {"old", "new"}


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("option", ["--json", "--report", "--junit", "--summary"])
def test_a_report_is_the_earlier_one_or_the_new_one(option: str, there: bool, recorder: Path, tmp_path: Path) -> None:
    (tmp_path / "reviews.jsonl").write_text('{"text": "good", "label": "pos"}\n{"text": "bad", "label": "neg"}\n')
    before: Content = {"out": b"an earlier one\n" * 1000} if there else {}
    fill(tmp_path, before)
    words = ["-o", "/dev/null"] if option == "--summary" else []
    arguments = [BINARY, *(["eval"] if not words else []), *command()[1:], *words, "reviews.jsonl", option, "out"]
    status, calls = record(recorder, arguments, tmp_path)
    assert status == 0
    assert {call.split(" ")[0] for call in calls} >= {"open", "write", "sync", "rename"}
    made = [call for call in calls if call.startswith("open ") and call.split(" ")[2] == "1"]
    assert made and all(call.split(" ")[3] == "1" for call in made)  # with O_EXCL and O_NOFOLLOW
    after = content(tmp_path)
    assert after["out"].endswith(b"\n") and after != before
    found = cuts(before, calls, random.Random(9))
    assert len(found) == 2 and all(each in (before, after) for each in found)
    assert os.listdir(tmp_path).count("out") == 1 and not [n for n in os.listdir(tmp_path) if n.startswith(".")]
