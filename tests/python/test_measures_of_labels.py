"""The measures of models of any labels against scikit-learn, on the probabilities that the program gives."""

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn import metrics

from conftest import LABELS, Run, records

WORDS = ["a", "good", "bad", "film", "plot", "and", "the", "was", "not", "really", "ever", "better", "worse", "!"]
BINS = 15
SENTIMENT, STARS, TOPICS = LABELS["sentiment"], LABELS["stars"], LABELS["topics"]


def write_reviews(path: Path, count: int, seed: int, labels: list[str]) -> None:
    """Made-up labelled reviews, some of them twice (so that probabilities tie), some above the model's 512 tokens."""
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=rng.choice([0, 1, 3, 20, 60, 700]))) for _ in range(max(count * 2 // 3, 1))]
    rows = [
        {"id": i, "text": rng.choice(texts), "label": rng.choice(labels), "stars": rng.choice([1, 2, 4.5, 8, 10, None])}
        for i in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def probabilities(run: Run, model: Path, data: Path, labels: list[str]) -> np.ndarray:
    """Of each label, which classify prints for one: each in turn is made the positive one."""
    manifest = (model / "manifest.json").read_text()
    columns = []
    try:
        for label in labels:
            (model / "manifest.json").write_text(json.dumps(json.loads(manifest) | {"positive": label, "rating": {}}))
            columns.append([record["p_positive"] for record in records(run(data, model=model))])
    finally:
        (model / "manifest.json").write_text(manifest)
    return np.array(columns).T


def expected(labels: list[str], rows: list[dict[str, Any]], p: np.ndarray) -> dict[str, float]:
    """Every measure, as others compute it; NaN where it is not defined."""
    numbers = list(range(len(labels)))
    truth = np.array([labels.index(row["input_label"]) for row in rows])
    called = np.array([labels.index(row["label"]) for row in rows])
    assert (called == p.argmax(axis=1)).all()
    right, confidence = called == truth, p.max(axis=1)
    which = np.minimum((confidence * BINS).astype(int), BINS - 1)
    _, group = np.unique(confidence, return_inverse=True)
    mean_right = (np.bincount(group, weights=right) / np.bincount(group))[group]
    accuracies = np.cumsum(mean_right[np.argsort(-confidence, kind="stable")]) / np.arange(1, len(rows) + 1)
    rated = [row for row in rows if row["stars"] is not None and "rating" in row]
    stars, ratings = ([row[key] for row in rated] for key in ("stars", "rating"))
    one_hot = np.eye(len(labels))[truth]
    everywhere = all(0 < (truth == k).sum() < len(truth) for k in numbers)
    each = {"zero_division": math.nan, "average": None, "labels": numbers}
    out = {
        "accuracy": metrics.accuracy_score(truth, called),
        "macro_f1": metrics.f1_score(truth, called, average="macro"),
        "weighted_f1": metrics.f1_score(truth, called, average="weighted"),
        "roc_auc": metrics.roc_auc_score(one_hot, p, average="macro") if everywhere else math.nan,
        "average_precision": metrics.average_precision_score(one_hot, p, average="macro") if everywhere else math.nan,
        "log_loss": metrics.log_loss(truth, p, labels=numbers),
        "brier": metrics.brier_score_loss(truth, p, labels=numbers, scale_by_half=False)
        if len(labels) > 2
        else 2 * metrics.brier_score_loss(truth, p[:, 1], pos_label=1),
        "ece": sum(abs(confidence[which == b].sum() - right[which == b].sum()) for b in range(BINS)) / len(rows),
        "mcc": metrics.matthews_corrcoef(truth, called) if len(set(truth)) > 1 and len(set(called)) > 1 else math.nan,
        **{f"accuracy@{n}": accuracies[math.ceil(n * len(rows) / 100) - 1] for n in (95, 90, 80, 50)},
        "aurc": np.mean(1 - accuracies),
        "rating_mae": metrics.mean_absolute_error(stars, ratings) if rated else math.nan,
        "rating_within_one": np.mean(np.abs(np.subtract(stars, ratings)) <= 1) if rated else math.nan,
        "rating_spearman": spearmanr(ratings, stars).statistic if len(set(ratings)) > 1 else math.nan,
    }
    if everywhere and len(labels) > 2:
        assert out["roc_auc"] == pytest.approx(metrics.roc_auc_score(truth, p, multi_class="ovr", average="macro"))
    for name, function in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1", metrics.f1_score),
    ):
        for label, value in zip(labels, function(truth, called, **each), strict=True):
            out[f"{name}:{label}"] = value
    for k, label in enumerate(labels):
        there = 0 < (truth == k).sum() < len(truth)
        out[f"roc_auc:{label}"] = metrics.roc_auc_score(truth == k, p[:, k]) if there else math.nan
        out[f"average_precision:{label}"] = metrics.average_precision_score(truth == k, p[:, k]) if there else math.nan
    return out


def evaluate(run: Run, model: Path, data: Path, *arguments: str | Path) -> dict[str, Any]:
    result = run("eval", data, "--stars-field", "stars", "--json", "-", *arguments, model=model)
    assert result.returncode == 0, result.stderr.decode()
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def compare(found: dict[str, float | None], values: dict[str, float]) -> None:
    assert set(found) == set(values)
    for name, value in values.items():
        assert found[name] == (None if math.isnan(value) else pytest.approx(value, rel=1e-12, abs=1e-12)), name


CASES = [
    ("sentiment", 300, 1, SENTIMENT),
    ("sentiment", 90, 2, ["negative", "positive"]),  # no review is neutral
    ("sentiment", 30, 3, ["neutral"]),
    ("stars", 300, 4, STARS),
    ("stars", 24, 5, STARS[1:4]),
    ("topics", 200, 6, TOPICS),
]


@pytest.mark.parametrize(("model", "count", "seed", "labels"), CASES)
def test_every_measure_is_that_of_others(
    run: Run, models: dict[str, Path], tmp_path: Path, model: str, count: int, seed: int, labels: list[str]
) -> None:
    data, package = tmp_path / "x.jsonl", models[model]
    write_reviews(data, count, seed, labels)
    names: list[str] = json.loads((package / "manifest.json").read_text())["labels"]
    report = evaluate(run, package, data, "-j", "2")
    assert report["labels"] == names and "threshold" not in report and "curve" not in report
    rows = records(run(data, "--pass", "label,stars", model=package))
    p = probabilities(run, package, data, names)
    assert len(set(p[:, 0])) < count  # there are ties
    if len(names) > 2:
        assert [list(row["scores"]) for row in rows] == [names] * count
        assert (np.array([list(row["scores"].values()) for row in rows]) == p).all()
    else:
        assert not any("scores" in row for row in rows)
    long = np.array([row["tokens"] > 512 for row in rows])
    for part, chosen in (("all", long | True), ("short", ~long), ("long", long)):
        some = [row for row, is_in in zip(rows, chosen, strict=True) if is_in]
        found = report["parts"][part]
        assert found["reviews"] == len(some) > 0
        compare(found["measures"], expected(names, some, p[chosen]))
        truth, called = ([row[key] for row in some] for key in ("input_label", "label"))
        assert found["confusion"] == metrics.confusion_matrix(truth, called, labels=names).tolist()
    assert report["outcomes"] == "".join(str(int(row["label"] == row["input_label"])) for row in rows)


def test_intervals_hold_their_measures(run: Run, models: dict[str, Path], tmp_path: Path) -> None:
    write_reviews(tmp_path / "x.jsonl", 150, 7, SENTIMENT)
    first, second = (evaluate(run, models["sentiment"], tmp_path / "x.jsonl", "-j", str(n)) for n in (1, 3))
    assert first.pop("run") != second.pop("run")  # the command line
    assert first == second
    part = first["parts"]["all"]
    for measure in ("accuracy", "macro_f1", "roc_auc", "log_loss", "rating_mae", "f1:neutral", "roc_auc:positive"):
        low, high = part["intervals"][measure]
        assert low < part["measures"][measure] < high


def test_calibration_and_coverage_add_up(run: Run, models: dict[str, Path], tmp_path: Path) -> None:
    write_reviews(tmp_path / "x.jsonl", 100, 8, STARS)
    report = evaluate(run, models["stars"], tmp_path / "x.jsonl")
    gaps = [abs(b["confidence"] - b["accuracy"]) * b["reviews"] for b in report["calibration"]]
    assert sum(b["reviews"] for b in report["calibration"]) == 100
    assert sum(gaps) / 100 == pytest.approx(report["parts"]["all"]["measures"]["ece"], abs=1e-12)
    assert report["coverage"]["coverage"][-1] == 1
    assert report["coverage"]["accuracy"][-1] == report["parts"]["all"]["measures"]["accuracy"]


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv", "parquet", "arrows"])
@pytest.mark.parametrize("model", ["sentiment", "stars", "topics"])
def test_predictions_are_worth_what_the_model_is(
    run: Run, models: dict[str, Path], tmp_path: Path, model: str, form: str
) -> None:
    """Of records that tell the probability of each label every measure is that of running the model."""
    data, rated = tmp_path / "x.jsonl", tmp_path / f"rated.{form}"
    write_reviews(data, 120, 9, LABELS[model])
    assert run(data, "-q", "--pass", "label,stars", "-o", rated, model=models[model]).returncode == 0
    whole = evaluate(run, models[model], data)
    gates = ["--max", "log_loss=100", "--min", f"roc_auc:{LABELS[model][0]}=0"]
    for report in (
        evaluate(run, models[model], data, "--predictions", rated, *gates),
        json.loads(
            run("eval", "--predictions", rated, "--stars-field", "stars", "--json", "-", model=models[model]).stdout
        ),
    ):
        assert report["outcomes"] == whole["outcomes"]
        for part in ("all", "short", "long"):
            found, wanted = report["parts"][part], whole["parts"][part]
            assert found["confusion"] == wanted["confusion"]
            assert None not in [wanted["measures"][name] for name in ("log_loss", "brier", "roc_auc", "ece")]
            compare(found["measures"], {n: math.nan if v is None else v for n, v in wanted["measures"].items()})
            for name, interval in wanted["intervals"].items():
                assert found["intervals"][name] == (interval and pytest.approx(interval, rel=0, abs=1e-12)), name


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_predictions_tell_what_needs_no_other_probabilities(
    run: Run, models: dict[str, Path], tmp_path: Path, form: str
) -> None:
    """As records without scores do, be they of before there were any."""
    data, rated = tmp_path / "x.jsonl", tmp_path / f"rated.{form}"
    write_reviews(data, 120, 9, SENTIMENT)
    columns = ["--annotate", "--prefix", "m_", "--columns", "label,score,rating,tokens"]
    assert run(data, "-q", *columns, "-o", rated, model=models["sentiment"]).returncode == 0
    whole = evaluate(run, models["sentiment"], data)
    report = evaluate(run, models["sentiment"], data, "--predictions", rated, "--prefix", "m_")
    assert report["outcomes"] == whole["outcomes"] and report["input"] == whole["input"]
    hidden = ("roc_auc", "average_precision", "log_loss", "brier")
    for part in ("all", "short", "long"):
        for name, value in whole["parts"][part]["measures"].items():
            known = name.partition(":")[0] not in hidden
            # The bootstrap's draws differ, and not the measures: sums are of another order.
            assert report["parts"][part]["measures"][name] == (pytest.approx(value, abs=1e-12) if known else None), name
        assert report["parts"][part]["confusion"] == whole["parts"][part]["confusion"]
    words = ["--predictions", rated, "--prefix", "m_", "--max", "log_loss=1"]
    result = run("eval", data, *words, model=models["sentiment"])
    assert result.returncode == 2
    assert b"--max log_loss: needs the probabilities of all labels (scores), and not all --predict" in result.stderr
