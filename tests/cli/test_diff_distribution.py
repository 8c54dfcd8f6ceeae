"""reviewrate diff --distribution: two runs whose records are of other reviews."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from conftest import Run, error_line

REVIEWS = "\n".join(f"a film {'good ' * (i % 7)}{'bad ' * (i % 5)}" for i in range(40)) + "\n"
ERROR = {"id": "e", "error": {"kind": "json", "message": "x"}}


def prediction(i: int, p: float, **more: Any) -> dict[str, Any]:
    label = "POSITIVE" if p >= 0.5 else "NEGATIVE"
    return {
        "id": i,
        "label": label,
        "score": max(p, 1 - p),
        "p_positive": p,
        "tokens": 10 + i,
        "truncated": False,
    } | more


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


OLD = [prediction(i, i / 20) for i in range(20)]
HIGH = [prediction(100 + i, 0.9 + i / 200, truncated=i < 5) for i in range(20)]


def test_what_is_told_of_two_runs(run: Run, tmp_path: Path) -> None:
    old, new = write(tmp_path / "a", OLD), write(tmp_path / "b", [*HIGH, *[ERROR] * 5])
    result = run("diff", "--distribution", old, new, "--json", tmp_path / "d.json")
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.decode().splitlines() == [
        "                              old          new",
        "records                        20           25",
        "error records              0.0000       0.2000",
        'label "NEGATIVE"           0.5000       0.0000',
        'label "POSITIVE"           0.5000       1.0000',
        "truncated                  0.0000       0.2500",
        "unsure                          -            -",
        "p_positive, mean           0.4750       0.9475",
        "tokens, mean                 19.5        119.5",
        "p_positive: population stability index 8.2831, Kolmogorov-Smirnov 0.9000 (p 2e-10)",
        "tokens: population stability index 8.2831, Kolmogorov-Smirnov 1.0000 (p 0)",
    ]
    found = json.loads((tmp_path / "d.json").read_text())
    assert found["old"] == {
        "records": 20,
        "error_share": 0,
        "truncated_share": 0,
        "unsure_share": None,
        "label_shares": {"NEGATIVE": 0.5, "POSITIVE": 0.5},
        "p_positive_mean": pytest.approx(0.475),
        "tokens_mean": 19.5,
    }
    assert found["new"]["error_share"] == 0.2 and found["new"]["truncated_share"] == 0.25
    assert found["p_positive"]["ks"] == pytest.approx(0.9)
    assert (found["max_psi"], found["holds"]) == (None, True)


def test_the_gate(run: Run, tmp_path: Path) -> None:
    old, new = write(tmp_path / "a", OLD), write(tmp_path / "b", HIGH)
    json_file = tmp_path / "d.json"
    result = run("diff", "--distribution", "--max-psi", "0.25", old, new, "--json", json_file)
    assert (result.returncode, result.stderr) == (4, b"")
    assert result.stdout.decode().endswith("population stability index of p_positive above 0.25 (--max-psi)\n")
    found = json.loads(json_file.read_text())
    assert (found["max_psi"], found["holds"]) == (0.25, False)
    psi = found["p_positive"]["psi"]
    assert run("diff", "--distribution", "--max-psi", repr(psi), old, new).returncode == 0
    assert run("diff", "--distribution", "--max-psi", "0", old, old).returncode == 0
    # Shifts of length alone do not count.
    longer = write(tmp_path / "c", [row | {"tokens": 400} for row in OLD])
    assert run("diff", "--distribution", "--max-psi", "0", old, longer).returncode == 0


def test_what_classify_writes_in_every_format(run: Run, tmp_path: Path) -> None:
    found = []
    for form in ("jsonl", "csv", "tsv", "parquet"):
        out = tmp_path / f"a.{form}"
        assert run("--unsure", "0:1", "-f", form, "-o", out, stdin=REVIEWS).returncode == 0
        if form == "csv":
            out.write_bytes(gzip.compress(out.read_bytes()))
        other = run("-f", "jsonl", stdin=REVIEWS.replace("film", "plot")).stdout
        result = run("diff", "--distribution", out, "-", "--json", "-", stdin=other)
        assert (result.returncode, result.stderr) == (0, b"")
        found.append(json.loads(result.stdout))
    assert found[0]["old"]["records"] == 40 and found[0]["old"]["unsure_share"] == 1
    assert found[0]["new"]["unsure_share"] is None
    assert all(other == found[0] for other in found)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "there are no records"),
        ([ERROR, ERROR], "all its records are error records: 2"),
        (
            [*OLD, {"id": 1, "label": "LABEL_2", "score": 0.8}],
            "1 of its 21 predictions have no p_positive, whose distribution is compared",
        ),
    ],
)
def test_what_cannot_be_compared(run: Run, tmp_path: Path, rows: list[dict[str, Any]], words: str) -> None:
    some, none = write(tmp_path / "a", OLD), write(tmp_path / "b", rows)
    for old, new in ((some, none), (none, some)):
        result = run("diff", "--distribution", old, new, "--json", tmp_path / "d.json")
        assert (result.returncode, result.stdout) == (1, b"")
        assert error_line(result) == f"reviewrate: diff: nothing was compared: {none}: {words}"
        assert not (tmp_path / "d.json").exists()


def test_fields_that_a_run_lacks_are_not_made_up(run: Run, tmp_path: Path) -> None:
    few = [{key: row[key] for key in ("id", "label", "score", "p_positive")} for row in OLD]
    # Tokens of some of the records tell of no run.
    result = run("diff", "--distribution", write(tmp_path / "a", OLD), write(tmp_path / "b", [*few, OLD[0]]))
    assert (result.returncode, result.stderr) == (0, b"")
    lines = result.stdout.decode().splitlines()
    assert lines[-1] == "tokens: not in all predictions of both runs"
    assert "tokens, mean                 19.5            -" in lines


def test_mostly_errors_and_broken_lines_are_told(run: Run, tmp_path: Path) -> None:
    old, errors = write(tmp_path / "a", OLD), write(tmp_path / "b", [*OLD[:4], *[ERROR] * 5])
    result = run("diff", "--distribution", old, errors)
    assert (result.returncode, result.stdout[-1:]) == (1, b"\n")
    assert error_line(result) == f"reviewrate: diff: {errors}: most of its records are error records: 5 of 9"
    assert run("diff", "--distribution", old, errors, "--max-psi", "0").returncode == 4
    broken = tmp_path / "c"
    broken.write_text(old.read_text() + "{\n")
    result = run("diff", "--distribution", old, broken)
    assert result.returncode == 1 and b"is no prediction record" in result.stderr
    (tmp_path / "d").write_text("a good film\n")
    result = run("diff", "--distribution", old, tmp_path / "d")
    assert (result.returncode, result.stdout) == (1, b"")
    assert "there is no prediction record in it" in error_line(result)


def test_labels_are_text_whatever_they_hold(run: Run, tmp_path: Path) -> None:
    rows = [prediction(i, 0.5, label=f"\u001b[31mé{i}" + "x" * 300) for i in range(30)]
    result = run("diff", "--distribution", write(tmp_path / "a", rows), write(tmp_path / "b", OLD))
    assert result.returncode == 0
    assert b"\x1b" not in result.stdout
    assert result.stdout.decode().count("\nlabel ") == 22  # the 20 most frequent of one, and the two of the other


@pytest.mark.parametrize(
    "options",
    [
        ["--distribution", "--tolerance", "0.1"],
        ["--max-psi", "0.1"],
        ["--distribution", "--max-psi", "-1"],
        ["--distribution", "--max-psi", "nan"],
        ["--distribution", "--max-psi", "x"],
        ["--distribution", "--max-psi", ""],
    ],
)
def test_usage(run: Run, tmp_path: Path, options: list[str]) -> None:
    old = write(tmp_path / "a", OLD)
    result = run("diff", old, old, *options)
    assert (result.returncode, result.stdout) == (2, b"")
    assert options[-2 if len(options) > 1 else 0] in error_line(result)
