"""Every count that a person needs to trust a run stands in the closing line and in --summary."""

import json
from pathlib import Path

from conftest import Run, error_line, records


def test_every_count_is_told(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(
        b'{"text": "fine film"}\n{"text": "  "}\n{"text": "caf\xe9 noir"}\n{"text": 5}\n{"no": "text"}\n{"text": \n'
        b'{"text": "' + b"word " * 600 + b'", "extra": NaN}\n'
    )
    (folder / ".hidden.txt").write_text("not read")
    (folder / "_SUCCESS").write_text("")
    result = run("in", "--pass", "extra", "-o", "out.jsonl", "--summary", "s.json", cwd=tmp_path)
    assert result.returncode == 1
    summary = json.loads((tmp_path / "s.json").read_text())
    assert (summary["records"], summary["failures"]) == (7, 3)
    assert sum(summary["failures_by_kind"].values()) == 3 and summary["failures_by_kind"]["type"] == 1
    assert (summary["empty"], summary["repaired"], summary["truncated"], summary["not_finite"]) == (1, 1, 1, 1)
    assert sum(summary["skipped"].values()) == 2
    closing = next(line for line in result.stderr.decode().splitlines() if " records" in line)
    for words in ("7 records", "3 failed (", "1 type", "1 empty", "1 repaired", "1 truncated", "files skipped: "):
        assert words in closing


def test_what_is_not_there_is_not_told(run: Run, tmp_path: Path) -> None:
    result = run("--summary", "s.json", stdin="good\nbad\n", cwd=tmp_path)
    summary = json.loads((tmp_path / "s.json").read_text())
    assert (summary["failures_by_kind"], summary["skipped"], summary["empty"]) == ({}, {}, 0)
    closing = result.stderr.decode()
    for word in ("skipped", "empty", "failed", "repeated"):
        assert word not in closing


def test_texts_that_come_again_are_counted_and_get_the_same_bytes(run: Run, tmp_path: Path) -> None:
    texts = ["Great product.", "Broke after a day.", "Great  product. ", "great PRODUCT.", "Great product!"]
    (tmp_path / "in.txt").write_text("".join(f"{texts[i * 7 % 5]}\n" for i in range(200)))
    told = run("in.txt", "--summary", "s.json", cwd=tmp_path)
    # White space and case make no other tokens; the model sees each text once.
    assert json.loads((tmp_path / "s.json").read_text())["repeated"] == 200 - 3
    assert "197 repeated" in told.stderr.decode()
    alone = [run("-t", text).stdout.decode().split('"label"')[1].strip() for text in texts]
    got = [line.split('"label"')[1] for line in told.stdout.decode().splitlines()]
    assert got == [alone[i * 7 % 5] for i in range(200)]


def test_the_first_failures_are_told_with_file_and_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a good film"}\n' + '{"text": 5}\n' * 6 + '{"no": 1}\n')
    result = run("in.jsonl", cwd=tmp_path)
    lines = result.stderr.decode().splitlines()
    assert [line.split(": ")[1] for line in lines[:5]] == [f"in.jsonl:{number}" for number in range(2, 7)]
    assert len(lines) == 6 and "8 records, 7 failed (1 field, 6 type)" in lines[5]
    failed = [record["error"]["message"] for record in records(result) if "error" in record]
    assert [f"reviewrate: {message}" for message in failed[:5]] == lines[:5]


def test_quiet_leaves_the_reason_of_exit_1(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a good film"}\n' + '{"text": 5}\n' * 6 + '{"no": 1}\n')
    result = run("in.jsonl", "-q", cwd=tmp_path)
    assert result.returncode == 1
    assert "7 of 8 records failed (1 field, 6 type); the first: in.jsonl:2: the field" in error_line(result)
    assert run("-q", stdin="a good film\n").stderr == b""
    result = run("-q", "gone.jsonl", cwd=tmp_path)
    assert "1 of 1 record failed (1 open); the first: gone.jsonl: cannot be opened" in error_line(result)
