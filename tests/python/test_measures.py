"""The measures of `reviewrate eval --json` against scikit-learn, SciPy and NumPy, on scores that classify prints."""

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, ks_2samp, spearmanr
from sklearn import metrics

from conftest import Run, records

WORDS = [
    "a",
    "good",
    "bad",
    "film",
    "plot",
    "and",
    "the",
    "was",
    "not",
    "really",
    "ever",
    "better",
    "worse",
    "ending",
    "!",
]
BINS = 15


def write_reviews(path: Path, count: int, seed: int, labels: tuple[int, ...] = (0, 1)) -> None:
    """Made-up labelled reviews, some of them twice (so that scores tie), some above the model's 512 tokens."""
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=rng.choice([0, 1, 3, 20, 60, 700]))) for _ in range(max(count * 2 // 3, 1))]
    with path.open("w") as file:
        for i in range(count):
            record = {
                "id": i,
                "text": rng.choice(texts),
                "label": rng.choice(labels),
                "stars": rng.choice([1, 2, 3, 4, 7, 8, 9.5, 10, None]),
            }
            file.write(json.dumps(record) + "\n")


def calibration_error(labels: np.ndarray, p: np.ndarray) -> float:
    confidence, right = np.maximum(p, 1 - p), (p >= 0.5) == (labels == 1)
    which = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return float(sum(abs(confidence[which == b].sum() - right[which == b].sum()) for b in range(BINS)) / len(p))


def accuracies_by_coverage(p: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Accuracy of the surest 1, 2, ... reviews; of equally sure ones each counts as their mean."""
    confidence = np.maximum(p, 1 - p)
    _, group = np.unique(confidence, return_inverse=True)
    mean = np.bincount(group, weights=right) / np.bincount(group)
    in_order = mean[group][np.argsort(-confidence, kind="stable")]
    return np.cumsum(in_order) / np.arange(1, len(p) + 1)


def expected(rows: list[dict[str, Any]], threshold: float) -> dict[str, float]:
    """Every measure, as others compute it; NaN where it is not defined."""
    labels = np.array([row["input_label"] for row in rows])
    p = np.array([row["p_positive"] for row in rows])
    called = p >= threshold
    accuracies = accuracies_by_coverage(p, called == labels)
    covered = {f"accuracy@{n}": accuracies[math.ceil(n * len(p) / 100) - 1] for n in (95, 90, 80, 50)}
    known = [row for row in rows if row["stars"] is not None]
    stars = np.array([row["stars"] for row in known])
    ratings = np.array([row["rating"] for row in known])
    thresholds = np.unique(p)
    f1 = np.array([metrics.f1_score(labels, p >= t) for t in thresholds])
    return {
        "accuracy": metrics.accuracy_score(labels, called),
        "precision": metrics.precision_score(labels, called, zero_division=math.nan),
        "recall": metrics.recall_score(labels, called, zero_division=math.nan),
        "f1": metrics.f1_score(labels, called, zero_division=math.nan),
        "roc_auc": metrics.roc_auc_score(labels, p),
        "average_precision": metrics.average_precision_score(labels, p),
        "log_loss": metrics.log_loss(labels, p),
        "brier": metrics.brier_score_loss(labels, p),
        "ece": calibration_error(labels, p),
        "mcc": metrics.matthews_corrcoef(labels, called) if 0 < called.sum() < len(called) else math.nan,
        "best_f1": f1.max(),
        "best_threshold": thresholds[np.argmax(f1)],
        **covered,
        "aurc": np.mean(1 - accuracies),
        "rating_mae": metrics.mean_absolute_error(stars, ratings),
        "rating_within_one": np.mean(np.abs(stars - ratings) <= 1),
        "rating_spearman": spearmanr(ratings, stars).statistic,
    }


def evaluate(run: Run, tmp_path: Path, name: str, *arguments: str | Path) -> dict[str, Any]:
    result = run("eval", tmp_path / name, "--stars-field", "stars", "--json", tmp_path / "eval.json", *arguments)
    assert result.returncode == 0, result.stderr.decode()
    return json.loads((tmp_path / "eval.json").read_text())


def quantile(run: Run, path: Path, share: float) -> float:
    """A threshold that calls about this share of the reviews negative."""
    return float(np.quantile([row["p_positive"] for row in records(run(path))], share))


@pytest.mark.parametrize(("count", "seed", "share"), [(300, 1, None), (150, 2, 0.3), (60, 3, 0.6)])
def test_every_measure_is_that_of_others(run: Run, tmp_path: Path, count: int, seed: int, share: float | None) -> None:
    write_reviews(tmp_path / "x.jsonl", count, seed)
    threshold = 0.5 if share is None else quantile(run, tmp_path / "x.jsonl", share)
    options = ("--threshold", str(threshold), "-j", "2")
    report = evaluate(run, tmp_path, "x.jsonl", *options)
    rows = records(run(tmp_path / "x.jsonl", "--pass", "label,stars", *options))
    assert len({row["p_positive"] for row in rows}) < count  # there are ties
    parts = {
        "all": rows,
        "short": [r for r in rows if r["tokens"] <= 512],
        "long": [r for r in rows if r["tokens"] > 512],
    }
    assert 0 < len(parts["long"]) < len(rows)
    for name, part in parts.items():
        assert report["parts"][name]["reviews"] == len(part)
        found = report["parts"][name]["measures"]
        for measure, value in expected(part, threshold).items():
            if math.isnan(value):
                assert found[measure] is None, (name, measure)
            else:
                assert found[measure] == pytest.approx(value, abs=1e-9), (name, measure)
        assert set(found) == set(expected(part, threshold))
        matrix = metrics.confusion_matrix(
            [r["input_label"] for r in part], [r["p_positive"] >= threshold for r in part], labels=[0, 1]
        )
        confusion = report["parts"][name]["confusion"]
        assert matrix.ravel().tolist() == [
            confusion[k] for k in ("true_negative", "false_positive", "false_negative", "true_positive")
        ]


def test_accuracy_by_coverage(run: Run, tmp_path: Path) -> None:
    write_reviews(tmp_path / "x.jsonl", 200, 5)
    curve = evaluate(run, tmp_path, "x.jsonl")["coverage"]
    rows = records(run(tmp_path / "x.jsonl", "--pass", "label"))
    p = np.array([row["p_positive"] for row in rows])
    accuracies = accuracies_by_coverage(p, (p >= 0.5) == [row["input_label"] == 1 for row in rows])
    # Between reviews that are equally sure there is no point.
    ends = np.flatnonzero(np.append(np.diff(-np.sort(-np.maximum(p, 1 - p))), -1) < 0)
    assert len(ends) < len(p)
    assert curve["coverage"] == pytest.approx((ends + 1) / len(p))
    assert curve["accuracy"] == pytest.approx(accuracies[ends])


def test_the_curve_is_that_of_others(run: Run, tmp_path: Path) -> None:
    write_reviews(tmp_path / "x.jsonl", 200, 4)
    curve = evaluate(run, tmp_path, "x.jsonl")["curve"]
    rows = records(run(tmp_path / "x.jsonl", "--pass", "label"))
    labels, p = [row["input_label"] for row in rows], [row["p_positive"] for row in rows]
    false, true, thresholds = metrics.roc_curve(labels, p, drop_intermediate=False)
    assert curve["threshold"][0] is None and curve["threshold"][1:] == pytest.approx(thresholds[1:])
    assert curve["true_positive_rate"] == pytest.approx(true)
    assert curve["false_positive_rate"] == pytest.approx(false)
    precision, _, _ = metrics.precision_recall_curve(labels, p)
    assert curve["precision"][0] is None and curve["precision"][1:] == pytest.approx(precision[-2::-1])


def test_a_long_curve_is_thinned_and_its_area_is_not(run: Run, tmp_path: Path) -> None:
    rng = random.Random(5)
    with (tmp_path / "x.jsonl").open("w") as file:
        for _ in range(1500):
            file.write(
                json.dumps({"text": " ".join(rng.choices(WORDS, k=8)), "label": rng.randrange(2), "stars": None}) + "\n"
            )
    report = evaluate(run, tmp_path, "x.jsonl")
    rows = records(run(tmp_path / "x.jsonl", "--pass", "label"))
    labels, p = [row["input_label"] for row in rows], [row["p_positive"] for row in rows]
    curve = report["curve"]
    assert len(set(p)) > 500 and len(curve["threshold"]) == 500
    assert (curve["true_positive_rate"][0], curve["true_positive_rate"][-1]) == (0, 1)
    assert (curve["false_positive_rate"][0], curve["false_positive_rate"][-1]) == (0, 1)
    assert report["parts"]["all"]["measures"]["roc_auc"] == pytest.approx(metrics.roc_auc_score(labels, p), abs=1e-9)
    assert metrics.auc(curve["false_positive_rate"], curve["true_positive_rate"]) == pytest.approx(
        metrics.roc_auc_score(labels, p), abs=5e-3
    )


def test_the_calibration_bins_add_up_to_the_error(run: Run, tmp_path: Path) -> None:
    write_reviews(tmp_path / "x.jsonl", 100, 6)
    report = evaluate(run, tmp_path, "x.jsonl")
    gaps = [abs(b["confidence"] - b["accuracy"]) * b["reviews"] for b in report["calibration"]]
    assert sum(b["reviews"] for b in report["calibration"]) == 100
    assert sum(gaps) / 100 == pytest.approx(report["parts"]["all"]["measures"]["ece"], abs=1e-12)
    assert all(b["from"] <= b["confidence"] < b["to"] for b in report["calibration"])


def test_intervals_hold_their_measure_and_come_out_the_same_again(run: Run, tmp_path: Path) -> None:
    write_reviews(tmp_path / "x.jsonl", 150, 7)
    first = evaluate(run, tmp_path, "x.jsonl", "-j", "1")
    second = evaluate(run, tmp_path, "x.jsonl", "-j", "3")
    assert first.pop("run") != second.pop("run")  # the command line
    assert first == second
    part = first["parts"]["all"]
    for measure in ("accuracy", "f1", "roc_auc", "log_loss", "rating_mae"):
        low, high = part["intervals"][measure]
        assert low < part["measures"][measure] < high


def test_mcnemar_is_the_binomial_test(run: Run, tmp_path: Path) -> None:
    write_reviews(tmp_path / "x.jsonl", 200, 8)
    low, high = (str(quantile(run, tmp_path / "x.jsonl", share)) for share in (0.3, 0.6))
    old = evaluate(run, tmp_path, "x.jsonl", "--threshold", low)
    (tmp_path / "eval.json").rename(tmp_path / "old.json")
    new = evaluate(run, tmp_path, "x.jsonl", "--threshold", high, "--baseline", tmp_path / "old.json")
    pairs = list(zip(old["outcomes"], new["outcomes"], strict=True))
    lost, won = pairs.count(("1", "0")), pairs.count(("0", "1"))
    assert lost + won > 5
    assert new["baseline"]["mcnemar_p"] == pytest.approx(binomtest(lost, lost + won).pvalue, rel=1e-9)
    assert new["baseline"]["changes"]["f1"] == {
        "old": old["parts"]["all"]["measures"]["f1"],
        "new": new["parts"]["all"]["measures"]["f1"],
    }


ENCODINGS: list[tuple[Any, Any, tuple[str, ...]]] = [
    (-1, 1, ()),
    (1, 2, ()),
    ("neg", "Positive", ()),
    (False, True, ()),
    (3, "four", ("--label-map", "3=NEGATIVE,four=POSITIVE")),
]


@pytest.mark.parametrize("stdin", [False, True], ids=["file", "stdin"])
@pytest.mark.parametrize(("negative", "positive", "options"), ENCODINGS, ids=str)
def test_measures_do_not_depend_on_how_labels_are_written(
    run: Run, tmp_path: Path, negative: Any, positive: Any, options: tuple[str, ...], stdin: bool
) -> None:
    write_reviews(tmp_path / "x.jsonl", 90, 9)
    rows = records(run(tmp_path / "x.jsonl", "--pass", "label,stars"))
    reviews = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    data = "".join(
        json.dumps(review | {"label": positive if review["label"] else negative}) + "\n" for review in reviews
    )
    (tmp_path / "y.jsonl").write_text(data)
    result = run(
        "eval",
        *options,
        "--stars-field",
        "stars",
        "--json",
        tmp_path / "eval.json",
        "-" if stdin else tmp_path / "y.jsonl",
        stdin=data if stdin else "",
    )
    assert result.returncode == 0, result.stderr.decode()
    part = json.loads((tmp_path / "eval.json").read_text())["parts"]["all"]
    for measure, value in expected(rows, 0.5).items():
        assert part["measures"][measure] == (None if math.isnan(value) else pytest.approx(value, abs=1e-9)), measure
    matrix = metrics.confusion_matrix(
        [r["input_label"] for r in rows], [r["p_positive"] >= 0.5 for r in rows], labels=[0, 1]
    )
    assert matrix.ravel().tolist() == [
        part["confusion"][k] for k in ("true_negative", "false_positive", "false_negative", "true_positive")
    ]


def test_stars_of_another_scale_are_measured_on_that_of_ratings(run: Run, tmp_path: Path) -> None:
    rng = random.Random(10)
    texts = [" ".join(rng.choices(WORDS, k=12)) for _ in range(80)]
    reviews = [
        {"text": text, "label": i % 2, "stars": rng.choice([1, 1.5, 2, 3, 4, 5, "bad", 6])}
        for i, text in enumerate(texts)
    ]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(review) + "\n" for review in reviews))
    result = run(
        "eval", tmp_path / "x.jsonl", "--stars-field", "stars", "--stars-scale", "1:5", "--json", tmp_path / "eval.json"
    )
    assert result.returncode == 1  # some are bad
    rows = [row for row in records(run(tmp_path / "x.jsonl", "--pass", "stars")) if row["stars"] not in ("bad", 6)]
    stars, ratings = (
        np.interp([row["stars"] for row in rows], [1, 5], [1, 10]),
        np.array([row["rating"] for row in rows]),
    )
    report = json.loads((tmp_path / "eval.json").read_text())
    assert report["stars"]["bad"] == len(reviews) - len(rows) > 0
    found = report["parts"]["all"]["measures"]
    assert found["rating_mae"] == pytest.approx(metrics.mean_absolute_error(stars, ratings), abs=1e-9)
    assert found["rating_within_one"] == pytest.approx(np.mean(np.abs(stars - ratings) <= 1), abs=1e-9)
    assert found["rating_spearman"] == pytest.approx(spearmanr(ratings, stars).statistic, abs=1e-9)


def test_unlabelled_reviews_of_a_stream_are_left_out_of_every_measure(run: Run, tmp_path: Path) -> None:
    write_reviews(tmp_path / "x.jsonl", 90, 11, labels=(0, 1, -1))
    rows = [row for row in records(run(tmp_path / "x.jsonl", "--pass", "label,stars")) if row["input_label"] != -1]
    result = run(
        "eval", "--stars-field", "stars", "--json", tmp_path / "eval.json", stdin=(tmp_path / "x.jsonl").read_bytes()
    )
    assert result.returncode == 0, result.stderr.decode()
    report = json.loads((tmp_path / "eval.json").read_text())
    assert report["input"]["unlabelled"] == 90 - len(rows) and len(report["outcomes"]) == len(rows)
    for measure, value in expected(rows, 0.5).items():
        assert report["parts"]["all"]["measures"][measure] == (
            None if math.isnan(value) else pytest.approx(value, abs=1e-9)
        ), measure


def population_stability(before: np.ndarray, after: np.ndarray) -> float:
    bounds = np.unique(np.percentile(before, np.arange(10, 100, 10)))
    bins = [np.searchsorted(bounds, values, side="right") for values in (before, after)]
    a, b = (np.maximum(np.bincount(which, minlength=len(bounds) + 1) / len(which), 1e-4) for which in bins)
    return float(np.sum((b - a) * np.log(b / a)))


@pytest.mark.parametrize(
    ("old_size", "new_size", "shift", "decimals"),
    [
        (7, 30, 0.1, 17),
        (100, 90, 0, 2),
        (300, 280, 0.02, 17),
        (300, 900, 0.2, 1),
        (4000, 5000, 0.005, 17),
        (6000, 3000, 0.02, 3),
        (6000, 5000, 0.3, 17),
    ],
)
def test_the_shift_between_two_runs_is_that_of_scipy_and_numpy(
    run: Run, tmp_path: Path, old_size: int, new_size: int, shift: float, decimals: int
) -> None:
    rng = np.random.default_rng(old_size + new_size)
    p, tokens = [], []
    for name, size, by in (("old", old_size, 0.0), ("new", new_size, shift)):
        p.append(np.round(rng.beta(0.5 + by, 0.5, size), decimals))
        tokens.append(rng.geometric(0.01 + by / 100, size) + 2)
        with (tmp_path / name).open("w") as file:
            for i, (score, count) in enumerate(zip(p[-1].tolist(), tokens[-1].tolist(), strict=True)):
                label = "POSITIVE" if score >= 0.5 else "NEGATIVE"
                record = {"id": f"{name}{i}", "label": label, "score": max(score, 1 - score), "p_positive": score}
                file.write(json.dumps(record | {"tokens": count, "truncated": count > 512}) + "\n")
    result = run("diff", "--distribution", tmp_path / "old", tmp_path / "new", "--json", "-")
    assert (result.returncode, result.stderr) == (0, b"")
    found = json.loads(result.stdout)
    for key, (before, after) in (("p_positive", p), ("tokens", tokens)):
        expected_test = ks_2samp(before, after, method="asymp")
        assert found[key]["psi"] == pytest.approx(population_stability(before, after), rel=1e-9)
        assert found[key]["ks"] == pytest.approx(expected_test.statistic, rel=1e-12)
        # Where n m / (n + m) is above 140, SciPy approximates p to about 1e-5 of it; ours is exact up to n d = 60.
        assert found[key]["ks_p"] == pytest.approx(expected_test.pvalue, rel=3e-5)
    for run_name, scores, counts in zip(("old", "new"), p, tokens, strict=True):
        assert found[run_name]["p_positive_mean"] == pytest.approx(np.mean(scores))
        assert found[run_name]["tokens_mean"] == pytest.approx(np.mean(counts))
        assert found[run_name]["truncated_share"] == pytest.approx(np.mean(counts > 512))
        assert found[run_name]["label_shares"]["POSITIVE"] == pytest.approx(np.mean(scores >= 0.5))
