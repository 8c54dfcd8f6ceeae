"""Every count that a person needs to trust a run stands in the closing line and in --summary."""

import json
from pathlib import Path

from conftest import Run


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
    closing = result.stderr.decode().splitlines()[0]
    for words in ("7 records", "3 failed (", "1 type", "1 empty", "1 repaired", "1 truncated", "files skipped: "):
        assert words in closing


def test_what_is_not_there_is_not_told(run: Run, tmp_path: Path) -> None:
    result = run("--summary", "s.json", stdin="good\nbad\n", cwd=tmp_path)
    summary = json.loads((tmp_path / "s.json").read_text())
    assert (summary["failures_by_kind"], summary["skipped"], summary["empty"]) == ({}, {}, 0)
    closing = result.stderr.decode()
    assert "skipped" not in closing and "empty" not in closing and "failed" not in closing
