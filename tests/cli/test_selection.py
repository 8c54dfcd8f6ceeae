"""Which records and files are read: --limit, --sample, --files-from."""

import json
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import BINARY, PATIENCE, TINY, Run, error_line, records


def ids(run: Run, *words: str | Path, **options: object) -> list[str]:
    result = run(*words, "-q", **options)
    assert result.returncode == 0, result.stderr.decode()
    return [record["id"] for record in records(result)]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A file of 200 records."""
    (tmp_path / "in.jsonl").write_text(
        "".join(json.dumps({"id": f"r{i}", "text": "a good film"}) + "\n" for i in range(200))
    )
    return tmp_path


def test_limit_takes_the_first_records_of_all_files_together(run: Run, many: Path) -> None:
    (many / "a.txt").write_text("a good film\na bad film\n")
    assert ids(run, "a.txt", "in.jsonl", "--limit", "4", cwd=many) == ["a.txt:1", "a.txt:2", "r0", "r1"]
    assert ids(run, "-t", "film", "a.txt", "--limit", "2", cwd=many) == ["text:1", "a.txt:1"]
    assert len(ids(run, "in.jsonl", "--limit", "1000", cwd=many)) == 200
    assert ids(run, "in.jsonl", "--where", "id=r7", "--limit", "1", cwd=many) == ["r7"]
    assert len(records(run("tokenize", "in.jsonl", "--limit", "3", cwd=many))) == 3
    assert run("in.jsonl", "--limit", "0", cwd=many).returncode == 2


def test_limit_counts_error_records(run: Run, many: Path) -> None:
    result = run("gone.txt", "in.jsonl", "--limit", "2", cwd=many)
    assert result.returncode == 1 and [r["id"] for r in records(result)] == ["gone.txt", "r0"]


def test_a_field_that_was_met_before_the_limit_is_not_missed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a good film", "stars": 3}\n' * 5)
    assert run("in.jsonl", "--pass", "stars", "--limit", "2", cwd=tmp_path).returncode == 0
    assert run("in.jsonl", "--pass", "star", "--limit", "2", cwd=tmp_path).returncode == 1


def test_limit_ends_a_stream_that_goes_on() -> None:
    command = [BINARY, "-m", str(TINY), "--limit", "2"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"a good film\na bad film\n")
    process.stdin.flush()  # and it stays open
    assert process.wait(PATIENCE) == 0
    assert len(process.stdout.read().splitlines()) == 2
    process.communicate()


def test_a_sample_is_reproducible_and_in_order(run: Run, many: Path) -> None:
    words = ["in.jsonl", "--sample", "20"]
    one = ids(run, *words, cwd=many)
    numbers = [int(name[1:]) for name in one]
    assert len(one) == 20 and numbers == sorted(set(numbers)) and max(numbers) > 100
    assert ids(run, *words, "--seed", "1", "-j", "1", cwd=many) == one
    assert ids(run, *words, "--seed", "2", cwd=many) != one
    assert ids(run, "in.jsonl", "--sample", "300", cwd=many) == [f"r{i}" for i in range(200)]
    first = [int(name[1:]) for name in ids(run, *words, "--limit", "50", cwd=many)]
    assert len(first) == 20 and max(first) < 50  # of the first 50
    assert run("in.jsonl", "--seed", "2", cwd=many).returncode == 2


@pytest.mark.slow
def test_every_record_is_as_likely(run: Run, many: Path) -> None:
    times = {f"r{i}": 0 for i in range(200)}
    rounds = 40
    for seed in range(rounds):
        result = run("tokenize", "in.jsonl", "--sample", "50", "--seed", str(seed), cwd=many)
        for record in records(result):
            times[record["id"]] += 1
    # A quarter of 40 rounds, and each half of the file as often as the other: 6 standard deviations.
    assert abs(sum(times[f"r{i}"] for i in range(100)) - 1000) < 6 * (rounds * 50 * 0.25 * 0.75) ** 0.5
    assert max(times.values()) < 10 + 6 * (rounds * 0.25 * 0.75) ** 0.5


@pytest.mark.parametrize("null", [False, True])
def test_files_of_a_list(run: Run, tmp_path: Path, null: bool) -> None:
    names = ["b.txt", "a b.txt", "line\nbreak.txt"] if null else ["b.txt", "a b.txt"]
    for name in names:
        (tmp_path / name).write_text("a good film\n")
    listed = "".join(name + ("\0" if null else "\n") for name in names)
    (tmp_path / "list").write_text(listed)
    more = ["-0"] if null else []
    expected = [f"{name}:1" for name in names]
    assert ids(run, "--files-from", "list", *more, cwd=tmp_path) == expected
    assert ids(run, "--files-from", "-", *more, cwd=tmp_path, stdin=listed) == expected
    assert ids(run, "b.txt", "--files-from", "list", *more, cwd=tmp_path) == ["b.txt:1", *expected]


def test_a_list_is_no_reason_to_read_stdin_or_to_be_overwritten(run: Run, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("")
    assert ids(run, "--files-from", "list", cwd=tmp_path, stdin="a good film\n") == []
    result = run("--files-from", "list", "-o", "list", cwd=tmp_path)
    assert result.returncode == 2 and "list of --files-from" in error_line(result)
    for words in (["--files-from", "gone"], ["--files-from", "."], ["--files-from", "-", "-"], ["-0", "list"]):
        assert run(*words, cwd=tmp_path).returncode == 2


def test_what_became_null_before_the_limit_is_counted(run: Run, tmp_path: Path) -> None:
    table = pa.table({"text": ["a good film"] * 3, "x": [float("nan"), 1.0, float("inf")]})
    pq.write_table(table, tmp_path / "a.parquet")
    for limit, count in (("1", 1), ("2", 1), ("3", 2), ("9", 2)):
        run("a.parquet", "--pass", "x", "--limit", limit, "--summary", "s.json", cwd=tmp_path)
        assert json.loads((tmp_path / "s.json").read_text())["not_finite"] == count
    run("a.parquet", "--pass", "x", "--where", "x=1", "--summary", "s.json", cwd=tmp_path)
    assert json.loads((tmp_path / "s.json").read_text())["not_finite"] == 2


def test_letters_that_were_lost_before_the_end_are_told(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.txt").write_bytes("café noir".encode("latin-1"))
    for options in ([], ["--limit", "2"], ["--limit", "1"], ["--sample", "1"]):
        result = run("d", "-q", *options, cwd=tmp_path)
        assert result.returncode == 1 and "--encoding windows-1252" in error_line(result), options
    (folder / "1.txt").write_bytes(b"%PDF-1.7\n")
    result = run("d", "--fail-fast", cwd=tmp_path)
    assert result.returncode == 1 and b"1 of 1 reviews are not UTF-8" in result.stderr
