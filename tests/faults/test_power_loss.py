"""Power may be lost behind any call: what is on the disk then is gone on with to the same bytes, or refused."""

import os
import random
import subprocess
from pathlib import Path

import pytest

from conftest import BINARY, PATIENCE
from power_loss import (
    CASES,
    Content,
    build_recorder,
    check_power_loss,
    command,
    content,
    cuts,
    fill,
    record,
    run_to_end,
    write_reviews,
)


@pytest.fixture(scope="session")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_recorder(tmp_path_factory.mktemp("recorder"))


@pytest.mark.parametrize("output_format", ["jsonl", "csv"])
@pytest.mark.parametrize("case", CASES)
def test_power_loss(case: str, output_format: str, recorder: Path, tmp_path: Path) -> None:
    check_power_loss(case, output_format, recorder, tmp_path, most=20)


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
