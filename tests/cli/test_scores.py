"""The field scores: the probability of each label, in records of models of more than two labels."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from conftest import LABELS, Run, error_line, records
from server import NDJSON, serving

SENTIMENT = LABELS["sentiment"]
DATA = "".join(
    json.dumps({"id": f"r{n}", "text": "a good film" + " and not a bad plot" * n, "label": SENTIMENT[n % 3]}) + "\n"
    for n in range(9)
)


def test_every_form_of_a_record(run: Run, models: dict[str, Path], tmp_path: Path) -> None:
    rows = records(run(stdin=DATA, model=models["sentiment"]))
    for row in rows:
        assert list(row["scores"]) == SENTIMENT and list(row)[-1] == "scores"
        assert row["scores"][row["label"]] == row["score"] == max(row["scores"].values())
        assert sum(row["scores"].values()) == pytest.approx(1, abs=1e-12)
    for form, delimiter in (("csv", ","), ("tsv", "\t")):
        text = run("-f", form, stdin=DATA, model=models["sentiment"]).stdout.decode()
        table = csv.DictReader(io.StringIO(text), delimiter=delimiter)
        assert [json.loads(row["scores"]) for row in table] == [row["scores"] for row in rows]
    run("-o", tmp_path / "x.parquet", stdin=DATA, model=models["sentiment"])
    column = pyarrow.parquet.read_table(tmp_path / "x.parquet")["scores"]
    assert str(column.type) == "string"
    assert [json.loads(cell) for cell in column.to_pylist()] == [row["scores"] for row in rows]


def test_an_error_record_has_none(run: Run, models: dict[str, Path]) -> None:
    good, bad = records(run(stdin=DATA.splitlines()[0] + "\n{broken\n", model=models["sentiment"]))
    assert "scores" in good and "scores" not in bad
    text = run("-f", "csv", stdin=DATA.splitlines()[0] + "\n{broken\n", model=models["sentiment"]).stdout.decode()
    assert [row["scores"] == "" for row in csv.DictReader(io.StringIO(text))] == [False, True]


def test_two_labels_have_none(run: Run, models: dict[str, Path]) -> None:
    for model in ({}, {"model": models["topics"]}):
        assert not any("scores" in row for row in records(run(stdin=DATA, **model)))
        assert b"scores" not in run("-f", "csv", stdin=DATA, **model).stdout
        result = run("--annotate", "--prefix", "m_", "--columns", "label,scores", stdin=DATA, **model)
        assert result.returncode == 2
        assert "--columns scores: there is one of a model of more than two labels" in error_line(result)


def test_a_passed_field_of_this_name_makes_way(run: Run, models: dict[str, Path]) -> None:
    data = json.dumps({"text": "a film", "scores": [1, 2]}) + "\n"
    for model in ({}, {"model": models["sentiment"]}):
        (row,) = records(run("--pass", "scores", stdin=data, **model))
        assert row["input_scores"] == [1, 2]
    result = run("--annotate", stdin=data, model=models["sentiment"])
    assert result.returncode == 2 and 'the input has a field "scores" already' in error_line(result)
    (row,) = records(run("--annotate", "--prefix", "m_", "--columns", "scores", stdin=data, model=models["sentiment"]))
    assert row["scores"] == [1, 2] and list(row["m_scores"]) == SENTIMENT


def test_the_server_gives_them_too(run: Run, models: dict[str, Path]) -> None:
    rows = records(run(stdin=DATA, model=models["sentiment"]))
    with serving("--log", "none", model=models["sentiment"]) as server:
        status, _, body = server.ask("POST", "/classify", DATA, NDJSON)
        assert status == 200
        assert [json.loads(line)["scores"] for line in body.splitlines()] == [row["scores"] for row in rows]
        record = json.loads(server.ask("GET", "/openapi.json")[2])["components"]["schemas"]["Record"]
        assert record["properties"]["scores"]["additionalProperties"] == {"type": "number"}


IMPOSSIBLE: list[tuple[Any, str]] = [
    ({"negative": 0.5, "neutral": 0.5, "positive": 0.5}, "its scores add up to 1.5, and must to 1"),
    ({"negative": 0.5, "neutral": 0.25, "positive": 0.250002}, "its scores add up to 1.000002, and must to 1"),
    ({"negative": 0.5, "neutral": 0.5}, 'its scores lack the label "positive"'),
    ({"negative": 1, "neutral": 0, "positive": 0, "mixed": 0}, 'its scores have the label "mixed", and there are neg'),
    (
        {"negative": 1.5, "neutral": -0.5, "positive": 0},
        'its score of "negative" is 1.5, and a probability is a number',
    ),
    ({"negative": "1", "neutral": 0, "positive": 0}, 'its score of "negative" is "1", and a probability is a number'),
    ([0.5, 0.25, 0.25], "its scores are no object with a probability for each label"),
    ("high", "its scores are no object with a probability for each label"),
]


@pytest.mark.parametrize(("scores", "said"), IMPOSSIBLE, ids=str)
def test_impossible_scores_are_told(run: Run, models: dict[str, Path], tmp_path: Path, scores: Any, said: str) -> None:
    rows = records(run("--pass", "label", stdin=DATA, model=models["sentiment"]))
    rows[4]["scores"] = scores
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words: list[str | Path] = ["--predictions", tmp_path / "p.jsonl", "-q", "--json", tmp_path / "e.json"]
    result = run("eval", *words, model=models["sentiment"])
    assert result.returncode == 1 and f"r4: {said}" in error_line(result)
    report = json.loads((tmp_path / "e.json").read_text())
    assert report["outcomes"].count("x") == 1 and report["outcomes"][4] == "x"
    assert report["parts"]["all"]["measures"]["log_loss"] is not None


def test_what_rounding_leaves_is_possible(run: Run, models: dict[str, Path], tmp_path: Path) -> None:
    rows = records(run("--pass", "label", stdin=DATA, model=models["sentiment"]))
    rows[4]["scores"] = {"POSITIVE": 0.25, "negative": 0.5, "Neutral": 0.2500005}
    rows[4] |= {"label": "negative", "score": 0.5}
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = run("eval", "--predictions", tmp_path / "p.jsonl", "-q", model=models["sentiment"])
    assert (result.returncode, result.stderr) == (0, b"")


def test_some_records_without_scores(run: Run, models: dict[str, Path], tmp_path: Path) -> None:
    """What needs all probabilities is not measured then, and that is said; all else is."""
    rows = records(run("--pass", "label", stdin=DATA, model=models["sentiment"]))
    del rows[4]["scores"], rows[5]["scores"]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words: list[str | Path] = ["eval", "--predictions", tmp_path / "p.jsonl", "-q"]
    result = run(*words, "--json", "-", model=models["sentiment"])
    assert result.returncode == 0 and "2 of 9 predictions have no scores: what needs" in error_line(result)
    measures = json.loads(result.stdout)["parts"]["all"]["measures"]
    assert measures["log_loss"] is measures["roc_auc:neutral"] is None and measures["ece"] is not None
    result = run(*words, "--max", "brier=2", model=models["sentiment"])
    assert result.returncode == 2 and b"--max brier: needs the probabilities of all labels (scores)" in result.stderr
