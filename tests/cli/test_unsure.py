"""--unsure: what is marked, why, and what is not."""

import json
import shutil
from pathlib import Path

import pytest

from conftest import TINY, Run, error_line, records

TEXTS = ["The film is good.", "\u4e00\u4e01\u4e02 film", "good " * 9, "good good good", ""]


def marked(run: Run, bounds: str) -> list[str]:
    found = records(run("-q", "-f", "jsonl", "--unsure", bounds, *(word for text in TEXTS for word in ("-t", text))))
    assert len(found) == len(TEXTS)
    assert all(record.get("unsure", False) == ("unsure_reason" in record) for record in found)
    return [record.get("unsure_reason", "") for record in found]


def test_reasons(run: Run) -> None:
    assert marked(run, "0:1") == ["probability", "unknown tokens", "repetition", "probability", "probability"]
    assert marked(run, "1:1") == ["", "unknown tokens", "repetition", "", ""]


def test_bounds_are_in_the_range(run: Run) -> None:
    p = records(run("-q", "-f", "jsonl", "-t", TEXTS[0]))[0]["p_positive"]
    assert marked(run, f"{p!r}:{p!r}")[0] == "probability"
    assert marked(run, f"0:{p / 2!r}")[0] == ""


def test_nothing_is_marked_unasked(run: Run) -> None:
    assert "unsure" not in records(run("-q", "-f", "jsonl", "-t", TEXTS[1]))[0]


def test_in_tables_and_text(run: Run) -> None:
    lines = run("-q", "-f", "csv", "--unsure", "1:1", "-t", TEXTS[0], "-t", TEXTS[1]).stdout.decode().splitlines()
    assert lines[0].endswith("unsure,unsure_reason")
    assert lines[1].endswith("false,") and lines[2].endswith("true,unknown tokens")
    people = run("-f", "text", "--unsure", "1:1", "-t", TEXTS[0], "-t", TEXTS[1])
    sure, unsure = people.stdout.decode().splitlines()
    assert "unsure" not in sure and f"  unsure: unknown tokens  {TEXTS[1]}" in unsure
    assert b", 1 unsure, " in people.stderr


def test_how_many_are_unsure(run: Run, tmp_path: Path) -> None:
    texts = [word for text in TEXTS for word in ("-t", text)]
    for bounds, count in (("1:1", 2), ("0:1", 5)):
        told = run("--unsure", bounds, "--summary", tmp_path / "s.json", *texts)
        assert json.loads((tmp_path / "s.json").read_text())["unsure"] == count
        assert f"; {count} unsure, ".encode() in told.stderr
    told = run("--unsure", "1:1", "-t", "a good film", "-t", "a bad film")
    assert b", 0 unsure, " in told.stderr
    assert b"unsure" not in run("--summary", tmp_path / "s.json", *texts).stderr
    assert json.loads((tmp_path / "s.json").read_text())["unsure"] is None


def with_percentiles(folder: Path, percentiles: object) -> Path:
    package = shutil.copytree(TINY, folder / "package", dirs_exist_ok=True)
    manifest = json.loads((TINY / "manifest.json").read_text())
    (package / "manifest.json").write_text(json.dumps(manifest | {"confidence_percentiles": percentiles}))
    return package


@pytest.mark.parametrize(
    ("rate", "confidence"), [("0.005", 0.505), ("0.01", 0.51), ("0.2", 0.7), ("0.205", 0.705), ("0.5", 1)]
)
def test_a_rate_is_a_range(run: Run, tmp_path: Path, rate: str, confidence: float) -> None:
    package = with_percentiles(tmp_path, [0.5 + percent / 100 for percent in range(1, 51)])
    texts = [word for text in [*TEXTS, *("good " * i for i in range(7))] for word in ("-t", text)]
    by_rate = records(run("-m", package, "-q", "-f", "jsonl", "--unsure-rate", rate, *texts))
    plain = records(run("-q", "-f", "jsonl", "--unsure", "1:1", *texts))
    marked = [record.get("unsure_reason") == "probability" for record in by_rate]
    assert marked == [
        r.get("unsure_reason", "probability") == "probability"
        and max(r["p_positive"], 1 - r["p_positive"]) <= confidence
        for r in plain
    ]
    assert any(marked) or confidence < 0.52


def test_rates_of_models_that_do_not_know(run: Run, tmp_path: Path) -> None:
    assert "--unsure LOW:HIGH" in error_line(run("--unsure-rate", "0.1", "-t", "x"))
    for rate in ("0", "0.51", "nan", "x"):
        assert run("--unsure-rate", rate, "-t", "x").returncode == 2
    assert run("--unsure-rate", "0.1", "--unsure", "0:1", "-t", "x").returncode == 2
    for wrong in ([0.5] * 49, [0.6] * 49 + [0.5], [0.4] + [0.5] * 49, [1.1] * 50, "x", [None] * 50):
        result = run("-m", with_percentiles(tmp_path, wrong), "-t", "x")
        assert result.returncode == 3 and "confidence_percentiles" in error_line(result)


def test_usage(run: Run) -> None:
    for bounds in ("0.5", "0.6:0.4", "a:b", "-1:0.5", "0:nan", ":"):
        result = run(f"--unsure={bounds}", "-t", "x")
        assert result.returncode == 2 and "LOW:HIGH" in error_line(result)
    assert run("--annotate", "--columns", "unsure", "-f", "csv", "-t", "x").returncode == 2
