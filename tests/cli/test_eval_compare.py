"""eval beside a baseline, another model, earlier predictions, and a threshold fitted elsewhere; diff as JSON."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from sklearn import metrics

from conftest import TINY, TOP, Run, error_line

OTHER = TOP / "models" / "imdb-small"
GOOD, BAD = "a good film with a good plot", "not a good film and a bad ending"


def jsonl(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def reviews(count: int = 24, start: int = 0) -> str:
    return jsonl(
        *(
            {"id": f"r{i}", "text": (GOOD if i % 3 else BAD) + " ever" * i, "label": i % 2}
            for i in range(start, start + count)
        )
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in.jsonl").write_text(reviews())
    (tmp_path / "more.jsonl").write_text(reviews(30, start=24))
    return tmp_path


def report_of(run: Run, folder: Path, *words: str | Path, status: int = 0) -> dict[str, Any]:
    result = run("eval", *words, "--json", "e.json", cwd=folder)
    assert result.returncode == status, result.stderr.decode()
    return json.loads((folder / "e.json").read_text())


@pytest.mark.parametrize(("gate", "status"), [("reviews=24", 0), ("reviews=25", 4), ("reviews=0", 0)])
def test_data_that_shrinks_fails_a_gate(run: Run, folder: Path, gate: str, status: int) -> None:
    report = report_of(run, folder, "in.jsonl", "--min", gate, status=status)
    assert report["gates"] == [{"name": gate.replace("=", " >= "), "holds": status == 0, "found": "it is 24"}]
    assert run("eval", "in.jsonl", "--max-drop", gate, "--baseline", "e.json", cwd=folder).returncode == 2


def test_a_first_run_has_no_baseline(run: Run, folder: Path) -> None:
    words = ["eval", "in.jsonl", "-q", "--baseline", "gone.json", "--max-drop", "f1=0", "--min", "f1=0"]
    assert run(*words, cwd=folder).returncode == 3
    result = run(*words, "--allow-missing-baseline", cwd=folder)
    assert result.returncode == 0 and "gone.json: is no baseline yet" in error_line(result)
    (folder / "gone.json").write_text("{}")  # there, but none
    assert run(*words, "--allow-missing-baseline", cwd=folder).returncode == 3


def test_another_model_is_named_and_compared(run: Run, folder: Path) -> None:
    report_of(run, folder, "in.jsonl")
    (folder / "e.json").rename(folder / "base.json")
    verdict = report_of(run, folder, "in.jsonl", "--baseline", "base.json")["baseline"]["verdict"]
    assert "model was" not in verdict and "precision was" not in verdict
    report = report_of(run, folder, "in.jsonl", "--baseline", "base.json", "-m", OTHER)
    assert re.search(
        r"The baseline's model was tiny \([0-9a-f]{12}\), this one's is imdb-small \([0-9a-f]{12}\)\.",
        report["baseline"]["verdict"],
    )
    assert report["baseline"]["mcnemar_p"] is not None


def test_the_report_names_command_files_and_date(run: Run, folder: Path) -> None:
    report = report_of(run, folder, "in.jsonl", "--report", "my page.html")
    assert report["run"]["files"] == ["in.jsonl"] and "my page.html" in report["run"]["command"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", report["run"]["date"])
    page = (folder / "my page.html").read_text()
    assert "&#39;my page.html&#39;" in page and report["run"]["date"] in page


def test_the_markdown_summary(run: Run, folder: Path) -> None:
    report_of(run, folder, "in.jsonl")
    (folder / "e.json").rename(folder / "base|.json")
    report = report_of(
        run, folder, "in.jsonl", "--baseline", "base|.json", "--min", "f1=0", "--max", "ece=0", "--markdown", "s.md",
        status=4,
    )  # fmt: skip
    summary = (folder / "s.md").read_text()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in summary.splitlines() if line.startswith("|")]
    gates, measures = rows[:4], rows[4:]
    assert [row[1].strip() for row in gates] == ["", "---", "holds", "**does not hold**"]
    assert len(measures) == 2 + len(report["parts"]["all"]["measures"]) and {len(row) for row in measures} == {5}
    accuracy = f"{report['parts']['all']['measures']['accuracy']:.4f}"
    assert [cell.strip() for cell in measures[2]][:2] == ["accuracy", accuracy]
    assert "A GATE DOES NOT HOLD" in summary and "base\\|.json" in summary


def test_two_models_on_the_same_reviews(run: Run, folder: Path) -> None:
    alone = report_of(run, folder, "in.jsonl", "-m", OTHER)
    (folder / "e.json").rename(folder / "base.json")
    ours = report_of(run, folder, "in.jsonl", "--baseline", "base.json")
    report = report_of(run, folder, "in.jsonl", "--against", OTHER, "--max-drop", "f1=1")
    assert report["parts"] == ours["parts"] and report["outcomes"] == ours["outcomes"]
    compared = report["baseline"]
    assert (compared["old"], compared["new"]) == ("imdb-small", "tiny")
    assert compared["mcnemar_p"] == ours["baseline"]["mcnemar_p"]
    for name, change in compared["changes"].items():
        assert change["old"] == alone["parts"]["all"]["measures"][name]
        assert change["new"] == ours["parts"]["all"]["measures"][name]
        low, high = change.get("difference_interval", (0, 0))
        assert low <= high
    low, high = compared["changes"]["log_loss"]["difference_interval"]
    assert low <= compared["changes"]["log_loss"]["new"] - compared["changes"]["log_loss"]["old"] <= high
    assert "alone" in compared["verdict"]


def test_a_model_against_itself_does_not_differ(run: Run, folder: Path) -> None:
    compared = report_of(run, folder, "in.jsonl", "--against", TINY)["baseline"]
    assert compared["mcnemar_p"] == 1 and "no more than chance" in compared["verdict"]
    assert all(change.get("difference_interval", [0, 0]) == [0, 0] for change in compared["changes"].values())
    assert run("eval", "--against", TINY, stdin=reviews()).returncode == 2


@pytest.mark.slow
@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv", "csv.gz"])
def test_predictions_are_measured_without_a_model(run: Run, folder: Path, form: str) -> None:
    ours = report_of(run, folder, "in.jsonl")["parts"]["all"]
    assert run("in.jsonl", "--pass", "label", "-o", f"rated.{form}", cwd=folder).returncode == 0
    report = report_of(run, folder, "--predictions", f"rated.{form}")
    assert report["parts"]["all"]["measures"] == ours["measures"] and report["parts"]["all"]["reviews"] == 24
    assert run("in.jsonl", "--annotate", "--prefix", "m_", "-o", f"kept.{form}", cwd=folder).returncode == 0
    kept = report_of(run, folder, "--predictions", f"kept.{form}", "--prefix", "m_")
    assert kept["parts"]["all"]["measures"] == ours["measures"]
    joined = report_of(run, folder, "in.jsonl", "--predictions", f"rated.{form}", "--threshold", "0.9")
    assert joined["parts"]["all"]["measures"]["roc_auc"] == ours["measures"]["roc_auc"]
    assert joined["outcomes"] == report_of(run, folder, "in.jsonl", "--threshold", "0.9")["outcomes"]


def test_predictions_that_do_not_fit(run: Run, folder: Path) -> None:
    run("in.jsonl", "-o", "rated.jsonl", cwd=folder)
    lines = (folder / "rated.jsonl").read_text().splitlines(keepends=True)
    failed = '{"id": "r0", "error": {"kind": "type", "message": "m"}}\n'
    (folder / "part.jsonl").write_text(failed + "".join(lines[1:-1]))
    result = run("eval", "in.jsonl", "--predictions", "part.jsonl", "--json", "e.json", cwd=folder)
    said = result.stderr.decode()
    assert result.returncode == 1
    assert "r0: is an error record (type) in part.jsonl" in said and "r23: there is no prediction of this id" in said
    outcomes = json.loads((folder / "e.json").read_text())["outcomes"]
    assert outcomes[0] == outcomes[-1] == "x" and outcomes.count("x") == 2
    rows = [json.loads(line) | {"input_label": 1} for line in (failed, *lines[1:])]
    (folder / "alone.jsonl").write_text(jsonl(*rows))
    result = run("eval", "--predictions", "alone.jsonl", "-q", cwd=folder)
    assert result.returncode == 1 and b"r0: is an error record (type) in alone.jsonl" in result.stderr
    (folder / "scores.jsonl").write_text('{"id": "r0", "label": "NEGATIVE", "score": 0.9}\n')
    assert b"r0: has no p_positive" in run("eval", "in.jsonl", "--predictions", "scores.jsonl", cwd=folder).stderr
    for other in ("in.jsonl", "e.json"):
        assert run("eval", "in.jsonl", "--predictions", other, cwd=folder).returncode == 3


def test_a_threshold_is_fitted_on_other_reviews(run: Run, folder: Path) -> None:
    best = report_of(run, folder, "more.jsonl")["parts"]["all"]["measures"]["best_threshold"]
    report = report_of(run, folder, "in.jsonl", "--fit-threshold", "more.jsonl")
    rated = run("more.jsonl", "-f", "jsonl", cwd=folder).stdout.splitlines()
    lower = max(p for p in (json.loads(line)["p_positive"] for line in rated) if p < best)
    assert report["threshold"] == pytest.approx((lower + best) / 2, abs=1e-12)
    fitted = repr(report["threshold"])
    assert report["outcomes"] == report_of(run, folder, "in.jsonl", "--threshold", fitted)["outcomes"]
    result = run("eval", "in.jsonl", "--fit-threshold", "./in.jsonl", cwd=folder)
    assert result.returncode == 2 and "would look better than it is" in error_line(result)
    (folder / "one.jsonl").write_text(jsonl({"text": GOOD, "label": 1}, {"text": BAD, "label": 1}))
    result = run("eval", "in.jsonl", "-q", "--fit-threshold", "one.jsonl", cwd=folder)
    assert result.returncode == 2 and "reviews of both labels" in result.stderr.decode()


def test_a_threshold_fitted_on_reviews_that_are_also_measured_is_told(run: Run, folder: Path) -> None:
    mixed = (folder / "more.jsonl").read_text().splitlines()[:8] + (folder / "in.jsonl").read_text().splitlines()[:6]
    shared = {json.loads(line)["text"] for line in (folder / "in.jsonl").read_text().splitlines()}
    count = len(shared & {json.loads(line)["text"] for line in mixed})
    (folder / "mixed.jsonl").write_text("\n".join(mixed) + "\n")
    said = run("eval", "in.jsonl", "-q", "--fit-threshold", "mixed.jsonl", cwd=folder).stderr.decode()
    assert count > 0
    assert f"--fit-threshold mixed.jsonl: {count} text" in said and "looks better than it is" in said


def test_each_model_is_judged_by_a_threshold_of_its_own(run: Run, folder: Path) -> None:
    others = [json.loads(line) for line in reviews(30, start=24).splitlines()]
    (folder / "more.jsonl").write_text(jsonl(*(row | {"label": int(row["text"].startswith(GOOD))} for row in others)))
    fitted = ["in.jsonl", "--fit-threshold", "more.jsonl"]
    alone = report_of(run, folder, *fitted)
    result = run("eval", *fitted, "-m", OTHER, "--against", TINY, "--json", "e.json", cwd=folder)
    report = json.loads((folder / "e.json").read_text())
    assert f"eval: --against {TINY}: --threshold {alone['threshold']!r}: gives" in result.stderr.decode()
    compared = report["baseline"]
    assert compared["old_threshold"] == alone["threshold"] != report["threshold"]
    measures = alone["parts"]["all"]["measures"]
    assert {name: change["old"] for name, change in compared["changes"].items()} == measures
    same = report_of(run, folder, "in.jsonl", "--threshold", repr(report["threshold"]))
    assert same["parts"]["all"]["measures"]["accuracy"] != measures["accuracy"]  # so that the threshold counts
    assert "old_threshold" not in report_of(run, folder, "in.jsonl", "--against", TINY)["baseline"]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_predictions_count_as_they_were_written(run: Run, folder: Path, form: str) -> None:
    """Label and rating are those of the records, as scikit-learn measures them; with --threshold p_positive decides."""
    rows = [json.loads(line) | {"stars": 1 + n % 10} for n, line in enumerate(reviews().splitlines())]
    (folder / "in.jsonl").write_text(jsonl(*rows))
    how: list[str | Path] = ["--rating", "fitted", "--threshold", "0.94", "-m", OTHER]
    assert run("in.jsonl", "--pass", "label,stars", "-o", f"p.{form}", *how, cwd=folder).returncode == 0
    measured: list[str | Path] = ["--stars-field", "stars", "-m", OTHER]
    report = report_of(run, folder, "--predictions", f"p.{form}", *measured)
    written = [
        json.loads(line) for line in run("in.jsonl", "--pass", "label,stars", *how, cwd=folder).stdout.splitlines()
    ]
    truth, called = [row["input_label"] for row in written], [int(row["label"] == "POSITIVE") for row in written]
    assert report["outcomes"] == "".join(str(int(a == b)) for a, b in zip(truth, called, strict=True))
    measures = report["parts"]["all"]["measures"]
    assert measures["f1"] == pytest.approx(metrics.f1_score(truth, called), abs=1e-12)
    stars, ratings = ([row[name] for row in written] for name in ("stars", "rating"))
    assert measures["rating_mae"] == pytest.approx(metrics.mean_absolute_error(stars, ratings), abs=1e-12)
    assert (report["threshold"], report["rating"]) == (None, "as they are")
    assert report["parts"] == report_of(run, folder, "in.jsonl", "--stars-field", "stars", *how)["parts"]
    plain = report_of(run, folder, "in.jsonl", *measured)
    assert plain["outcomes"] != report["outcomes"]
    assert plain["parts"]["all"]["measures"]["rating_mae"] != measures["rating_mae"]
    other = report_of(run, folder, "--predictions", f"p.{form}", *measured, "--threshold", "0.5")
    assert other["outcomes"] == plain["outcomes"] and other["threshold"] == 0.5
    assert other["parts"]["all"]["measures"]["rating_mae"] == measures["rating_mae"]


@pytest.mark.parametrize(
    "words",
    ["--rating fitted", "-j 2", "--precision fp32", "--effort full", "--long-text head", "--stride 8", "--cased"],
)
def test_what_a_model_is_run_by_is_for_nothing_beside_predictions(run: Run, folder: Path, words: str) -> None:
    result = run("eval", "in.jsonl", "--predictions", "p.jsonl", *words.split(), cwd=folder)
    said = error_line(result)
    assert result.returncode == 2 and "excludes" in said and "--predictions" in said


def test_predictions_alone_bring_no_texts(run: Run, folder: Path) -> None:
    run("in.jsonl", "--pass", "label,text", "-o", "p.jsonl", cwd=folder)
    result = run("eval", "--predictions", "p.jsonl", "--text-field", "review", cwd=folder)
    assert result.returncode == 2 and "--text-field: texts are not taken from predictions" in error_line(result)


def test_what_predictions_do_not_say_is_not_made_up(run: Run, folder: Path) -> None:
    rows = [json.loads(line) for line in run("in.jsonl", "--pass", "label", cwd=folder).stdout.splitlines()]
    kept = [{name: row[name] for name in ("id", "label", "p_positive", "input_label")} | {"stars": 7} for row in rows]
    (folder / "p.jsonl").write_text(jsonl(*kept))
    report = report_of(run, folder, "--predictions", "p.jsonl", "--stars-field", "stars", "--report", "e.html")
    assert [report["parts"][part]["reviews"] for part in ("all", "short", "long")] == [24, 0, 0]
    assert report["parts"]["all"]["measures"]["rating_mae"] is None
    assert report["mistakes"] and {mistake["tokens"] for mistake in report["mistakes"]} == {None}
    result = run("eval", "in.jsonl", "--predictions", "p.jsonl", "--mistakes", "-", "-q", cwd=folder)
    assert {json.loads(line)["tokens"] for line in result.stdout.splitlines()} == {None}


def test_predictions_of_another_model_are_told_by_their_labels(run: Run, folder: Path) -> None:
    rows = [json.loads(line) for line in run("in.jsonl", "--pass", "label", cwd=folder).stdout.splitlines()]
    (folder / "p.jsonl").write_text(jsonl(*(row | {"label": f"LABEL_{row['label']}"} for row in rows)))
    result = run("eval", "--predictions", "p.jsonl", cwd=folder)
    said = error_line(result)
    assert result.returncode == 2 and "those of model tiny (-m) are NEGATIVE and POSITIVE: name the model" in said
    assert '"LABEL_' in said
    decided = report_of(run, folder, "--predictions", "p.jsonl", "--threshold", "0.5")
    assert decided["outcomes"] == report_of(run, folder, "in.jsonl")["outcomes"]
    (folder / "p.jsonl").write_text(jsonl(rows[0] | {"label": "neutral"}, *rows[1:]))
    result = run("eval", "--predictions", "p.jsonl", "-q", cwd=folder)
    assert result.returncode == 1 and 'has the label "neutral" in p.jsonl' in result.stderr.decode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"p_positive": 1.5}, "its p_positive is 1.5, and a probability is a number from 0 to 1"),
        ({"score": -0.5}, "its score is -0.5, and a probability"),
        ({"p_positive": "0.5"}, 'its p_positive is "0.5", and a probability'),
    ],
    ids=str,
)
def test_an_impossible_probability_is_told_as_one(run: Run, folder: Path, change: dict[str, Any], said: str) -> None:
    rows = [json.loads(line) for line in run("in.jsonl", "--pass", "label", cwd=folder).stdout.splitlines()]
    (folder / "p.jsonl").write_text(jsonl(rows[0] | change, *rows[1:]))
    (folder / "old.jsonl").write_text(jsonl(*rows))
    for files in (["in.jsonl"], []):
        result = run("eval", *files, "--predictions", "p.jsonl", "-q", "--json", "e.json", cwd=folder)
        assert result.returncode == 1 and f"r0: {said}" in result.stderr.decode()
        outcomes = json.loads((folder / "e.json").read_text())["outcomes"]
        assert outcomes[0] == "x" and outcomes.count("x") == 1
    result = run("diff", "old.jsonl", "p.jsonl", cwd=folder)
    assert result.returncode == 4 and f"p.jsonl:1: is no prediction record: {said}" in result.stderr.decode()
    (folder / "p.jsonl").write_text(jsonl(rows[0] | change))
    result = run("eval", "in.jsonl", "--predictions", "p.jsonl", cwd=folder)
    assert result.returncode == 3 and said in error_line(result)


def test_lines_that_are_no_predictions_are_told(run: Run, folder: Path) -> None:
    run("in.jsonl", "-o", "p.jsonl", cwd=folder)
    with (folder / "p.jsonl").open("a") as file:
        file.write('{"id": "r99"}\nbroken\n')
    result = run("eval", "in.jsonl", "--predictions", "p.jsonl", "-q", cwd=folder)
    assert result.returncode == 1
    assert "p.jsonl: 2 lines could not be read; the first: p.jsonl:25: is no prediction record" in error_line(result)


def test_diff_as_json(run: Run, folder: Path) -> None:
    run("in.jsonl", "-o", "old.jsonl", cwd=folder)
    rows = [json.loads(line) for line in (folder / "old.jsonl").read_text().splitlines()]
    rows[3]["label"] = "OTHER"
    rows[4]["p_positive"] = min(1, rows[4]["p_positive"] + 0.001)
    rows[5]["id"] = "new"
    (folder / "new.jsonl").write_text(jsonl(*rows))
    result = run("diff", "old.jsonl", "new.jsonl", "--json", "d.json", cwd=folder)
    found = json.loads((folder / "d.json").read_text())
    assert result.returncode == 4 and b"1 label flipped" in result.stdout
    assert (found["compared"], found["missing"], found["added"], found["flips"], found["same"]) == (23, 1, 1, 1, False)
    assert found["missing_ids"] == ['"r5"'] and found["added_ids"] == ['"new"']
    assert [one["id"] for one in found["flipped"]] == ['"r3"'] and [one["id"] for one in found["changed"]] == ['"r4"']
    result = run("diff", "old.jsonl", "old.jsonl", "--json", "-", cwd=folder)
    assert result.returncode == 0 and json.loads(result.stdout)["same"] is True
