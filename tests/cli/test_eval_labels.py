"""reviewrate eval with models of any labels: what labels are taken for, gates, reports, and what there is not."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from conftest import LABELS, PATIENCE, TOP, Run, error_line, records
from html_page import Page

SENTIMENT, STARS = LABELS["sentiment"], LABELS["stars"]
GOOD, BAD = "a good film with a good plot", "not a good film and a bad ending"


def labelled(labels: list[Any], **more: Any) -> str:
    """A review for each label, all of different texts."""
    return "".join(
        json.dumps({"id": i, "text": (GOOD if i % 3 else BAD) + " ever" * i, "label": label} | more) + "\n"
        for i, label in enumerate(labels)
    )


def report_of(run: Run, model: Path, data: str, *arguments: str | Path, status: int = 0) -> dict[str, Any]:
    result = run("eval", *arguments, "--json", "-", stdin=data, model=model)
    assert result.returncode == status, result.stderr.decode()
    return json.loads(result.stdout)


def taken(report: dict[str, Any]) -> dict[str, str | None]:
    return {value["value"]: value["label"] for value in report["label_values"]}


READ: list[tuple[str, list[Any], list[Any]]] = [
    ("sentiment", ["Neutral", "positive ", "NEGATIVE"], ["neutral", "positive", "negative"]),
    ("sentiment", ["neu", "pos", "neg"], ["neutral", "positive", "negative"]),
    ("sentiment", ["neutral", "unsup", ""], ["neutral", None, None]),
    ("sentiment", [0, 1, 2], SENTIMENT),
    ("sentiment", ["2.0", 0], ["positive", "negative"]),
    ("sentiment", [1, 2, 3], SENTIMENT),
    ("sentiment", [-1, 0, 2], [None, "negative", "positive"]),
    ("sentiment", [0, "neutral"], ["negative", "neutral"]),
    ("stars", [1, 2, 3, 4, 5], STARS),
    ("stars", [0, 1, 2, 3, 4], STARS),
    ("stars", [5], ["5 stars"]),
    ("stars", ["1 star", 5, "4 STARS"], ["1 star", "5 stars", "4 stars"]),
    ("topics", [0, 1], ["drama", "comedy"]),
    ("topics", ["comedy", "drama"], ["comedy", "drama"]),
    ("topics", [-1, 0, 1], [None, "drama", "comedy"]),
    ("stars", [-1, 0, 2], [None, "1 star", "3 stars"]),
    ("numbers", [1, 2], ["1", "2"]),
    ("reversed", [1, 2, 3], ["1 star", "2 stars", "3 stars"]),
]


@pytest.fixture(scope="module")
def named(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Those models, and some whose labels have numbers in their names."""
    out = dict(models)
    for name, labels in (("numbers", ["1", "2", "3"]), ("reversed", ["3 stars", "2 stars", "1 star"])):
        out[name] = with_labels(models["sentiment"], tmp_path_factory.mktemp("named") / name, labels)
    return out


def with_labels(model: Path, to: Path, labels: list[str], **changes: Any) -> Path:
    """The same model whose labels are called otherwise."""
    to.mkdir()
    for file in model.iterdir():
        (to / file.name).symlink_to(file)
    manifest = json.loads((model / "manifest.json").read_text()) | {"name": to.name, "labels": labels} | changes
    (to / "manifest.json").unlink()
    (to / "manifest.json").write_text(json.dumps(manifest))
    return to


@pytest.mark.parametrize(("model", "labels", "meanings"), READ, ids=str)
def test_labels_by_name_and_number(
    run: Run, named: dict[str, Path], model: str, labels: list[Any], meanings: list[str | None]
) -> None:
    report = report_of(run, named[model], labelled(labels))
    values = [value for value, label in zip(labels, meanings, strict=True) if value != ""]
    assert sorted(map(str, taken(report).values())) == sorted(
        str(meaning) for value, meaning in zip(labels, meanings, strict=True) if value in values
    )
    called = [row["label"] for row in records(run(stdin=labelled(labels), model=named[model]))]
    right = [str(int(a == b)) for a, b in zip(called, meanings, strict=True) if b is not None]
    assert report["outcomes"] == "".join(right)
    assert report["input"]["unlabelled"] == meanings.count(None)


@pytest.mark.parametrize(
    ("model", "labels"),
    [
        ("sentiment", [1, 2]),  # the last two, or the first two from 1
        ("sentiment", [-1, 0, 1]),  # three labels, or none and the first two
        ("sentiment", [-1, 0]),
        ("sentiment", [0, 1]),  # as the labels of two are called
        ("stars", [-1, 0, 1]),
        ("stars", [0]),
        ("numbers", [0, 2]),  # the third, or the one that is called 2
        ("numbers", [0, 1, 2]),
        ("sentiment", [0, 3]),
        ("sentiment", ["negative", "mixed"]),
        ("sentiment", ["true", "false"]),
        ("stars", [1, 2, 3, 4]),
        ("stars", [0, 5]),
        ("reversed", [0, 3]),
    ],
    ids=str,
)
def test_labels_that_say_nothing_or_two_things_are_refused(
    run: Run, named: dict[str, Path], model: str, labels: list[Any]
) -> None:
    result = run("eval", stdin=labelled(labels), model=named[model])
    assert (result.returncode, result.stdout) == (1, b"")
    assert "each of them is cannot be told, so nothing was measured" in error_line(result)


def test_a_map_says_what_labels_mean(run: Run, models: dict[str, Path]) -> None:
    data = labelled([1, 3, 5, 6, 9, "x"])
    report = report_of(run, models["sentiment"], data, "--label-map", "1:4=negative,5:6=Neutral,7:10=pos,x=")
    assert taken(report) == {
        "1": "negative", "3": "negative", "5": "neutral", "6": "neutral", "9": "positive", "x": None
    }  # fmt: skip
    result = run("eval", "--label-map", "1=mixed", stdin=data, model=models["sentiment"])
    assert result.returncode == 2
    assert "the labels of the model are negative, neutral and positive; nothing behind" in error_line(result)


def test_folders_that_are_called_like_labels(run: Run, models: dict[str, Path], tmp_path: Path) -> None:
    for i, name in enumerate(("neg", "neutral", "positive", "neutral")):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / f"{i}_{3 * i + 1}.txt").write_text(f"{GOOD} {i}")
    report = report_of(run, models["sentiment"], "", tmp_path)
    assert taken(report) == {"neg": "negative", "neutral": "neutral", "positive": "positive"}
    assert [sum(row) for row in report["parts"]["all"]["confusion"]] == [1, 2, 1]
    assert report["stars"]["reviews"] == 4


DATA = labelled([SENTIMENT[i % 3] for i in range(30)], stars=7)


@pytest.mark.parametrize(
    ("gates", "status"),
    [
        (["--min", "macro_f1=0", "--max", "log_loss=100"], 0),
        (["--min", "f1:neutral=0", "--min", "recall:Positive=0", "--min", "roc_auc:negative=0"], 0),
        (["--min", "f1:neutral=1.01"], 4),
        (["--min", "weighted_f1=0", "--max", "average_precision:neutral=-1"], 4),
        (["--min", "reviews=30", "--min", "accuracy@90=0"], 0),
    ],
)
def test_gates(run: Run, models: dict[str, Path], gates: list[str], status: int) -> None:
    report = report_of(run, models["sentiment"], DATA, *gates, status=status)
    assert len(report["gates"]) == len(gates) // 2
    assert all(gate["holds"] for gate in report["gates"]) == (status == 0)
    assert not any("Positive" in gate["name"] for gate in report["gates"])  # as the model has it


WRONG = [
    ("sentiment", ["--min", "f1=0.5"], "--min f1: is for models of two labels, one of them positive"),
    ("sentiment", ["--min", "f1=0.5"], "as in f1:negative, or use macro_f1 or weighted_f1"),
    ("sentiment", ["--max", "best_threshold=0.5"], "--max best_threshold: is for models of two labels"),
    ("sentiment", ["--min", "f1:mixed=0.5"], "has the labels negative, neutral and positive"),
    ("sentiment", ["--min", "ece:neutral=0.5"], "--min ece:neutral: is no measure of one label"),
    ("sentiment", ["--min", "f2:neutral=0.5"], '"f2" is none of the measures'),
    ("sentiment", ["--threshold", "0.4"], "--threshold: model sentiment has more than two labels"),
    ("sentiment", ["--fit-threshold", "x.jsonl"], "--fit-threshold: model sentiment has no threshold"),
    ("sentiment", ["--against", "{stars}"], "--against: model stars has the labels 1 star, "),
    ("sentiment", ["--against", "{tiny}"], "--against: model tiny has the labels NEGATIVE and POSITIVE"),
    ("topics", ["--max", "rating_mae=1"], "--max rating_mae: model topics gives no rating"),
    ("topics", ["--threshold", "0.4"], "no label that is the positive one"),
    ("topics", ["--mistakes", "m.jsonl", "--explain", "words"], "--explain: the model names no positive label"),
    ("tiny", ["--min", "macro_f1=0.5"], "--min macro_f1: model tiny has the labels NEGATIVE and POSITIVE"),
    ("tiny", ["--min", "f1:POSITIVE=0.5"], "are for models of more: use f1"),
    ("tiny", ["--against", "{sentiment}"], "--against: model sentiment has the labels negative, neutral and positive"),
]


@pytest.mark.parametrize(("model", "arguments", "said"), WRONG)
def test_what_a_model_does_not_have_is_a_usage_error(
    run: Run, models: dict[str, Path], tmp_path: Path, model: str, arguments: list[str], said: str
) -> None:
    every = models | {"tiny": TOP / "tests" / "data" / "tiny"}
    (tmp_path / "x.jsonl").write_text(DATA if model == "sentiment" else labelled([0, 1]))
    words = [word.format(**every) for word in arguments]
    result = run("eval", "-q", "x.jsonl", *words, model=every[model], cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert said in error_line(result)
    assert [path.name for path in tmp_path.iterdir()] == ["x.jsonl"]


def test_the_tables(run: Run, models: dict[str, Path]) -> None:
    result = run("eval", "-q", stdin=DATA, model=models["sentiment"])
    assert (result.returncode, result.stderr) == (0, b"")
    report = report_of(run, models["sentiment"], DATA)["parts"]["all"]
    lines = [line.split() for line in result.stdout.decode().splitlines()]
    assert ["macro_f1", f"{report['measures']['macro_f1']:.4f}"] in [line[:2] for line in lines]
    names = ("precision", "recall", "f1", "roc_auc", "average_precision")
    labels = lines[lines.index(["label", "reviews", *names]) + 1 :]
    for line, label in zip(labels, SENTIMENT, strict=False):
        values = [report["measures"][f"{name}:{label}"] for name in names]
        assert line == [label, "10", *("-" if value is None else f"{value:.4f}" for value in values)]
    matrix = lines[lines.index(["label,", "called", *SENTIMENT]) + 1 :]
    assert matrix == [[label, *map(str, row)] for label, row in zip(SENTIMENT, report["confusion"], strict=True)]
    assert max(map(len, result.stdout.decode().splitlines()[1:])) <= 80


def test_many_labels_of_long_names_are_numbered(run: Run, models: dict[str, Path], tmp_path: Path) -> None:
    names = ["Films, television & other moving pictures", "電子書籍とオーディオブックの売り場", "c", "d", "e"]
    model = with_labels(models["stars"], tmp_path / "long", names)
    result = run("eval", "-q", stdin=labelled(list(range(5)) * 3), model=model)
    said = result.stdout.decode()
    assert "\n1 Films, televisi…        3" in said and "\n2 電子書籍とオー…         3" in said
    assert "\nlabel, called       1  2  3  4  5\n" in said
    assert not [line for line in said.splitlines()[1:] if len(line) > 80]


def test_a_model_beside_a_baseline_and_another(run: Run, models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(DATA)
    base = report_of(run, models["sentiment"], DATA)
    (tmp_path / "base.json").write_text(json.dumps(base))
    drops: list[Any] = ["--baseline", tmp_path / "base.json", "--max-drop", "f1:neutral=0", "--max-drop", "log_loss=0"]
    report = report_of(run, models["sentiment"], DATA, *drops)
    assert report["baseline"]["mcnemar_p"] == 1 and len(report["gates"]) == 2
    assert report["baseline"]["changes"]["f1:neutral"]["old"] == base["parts"]["all"]["measures"]["f1:neutral"]
    result = run("eval", *drops[:2], stdin=labelled(STARS), model=models["stars"])
    assert result.returncode == 2 and "is of a model with the labels negative, neutral and positive" in error_line(
        result
    )
    result = run("eval", "--baseline", tmp_path / "base.json", stdin=labelled([0, 1]))
    assert result.returncode == 2 and "and this one's are NEGATIVE and POSITIVE" in error_line(result)

    # The same model whose labels have another order and case: the others' probabilities move along.
    names = ["POSITIVE", "Negative", "neutral"]
    other = with_labels(models["sentiment"], tmp_path / "other", names, rating={"values": [10, 1, 5.5]})
    compared = report_of(run, models["sentiment"], "", tmp_path / "x.jsonl", "--against", other)["baseline"]
    alone = report_of(run, other, DATA)["parts"]["all"]["measures"]
    for label, name in zip(SENTIMENT, ("Negative", "neutral", "POSITIVE"), strict=True):
        assert compared["changes"][f"roc_auc:{label}"]["old"] == alone[f"roc_auc:{name}"]
    assert compared["changes"]["accuracy"]["old"] == alone["accuracy"] != base["parts"]["all"]["measures"]["accuracy"]
    assert compared["changes"]["log_loss"]["difference_interval"][0] < compared["changes"]["log_loss"]["new"]

    # So does an earlier report of it.
    (tmp_path / "theirs.json").write_text(json.dumps(report_of(run, other, DATA)))
    earlier = report_of(run, models["sentiment"], DATA, "--baseline", tmp_path / "theirs.json")["baseline"]
    assert earlier["mcnemar_p"] == compared["mcnemar_p"]
    for name, change in compared["changes"].items():
        assert earlier["changes"][name]["old"] == pytest.approx(change["old"], abs=1e-12), name  # another order of sums


def test_mistakes(run: Run, models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(DATA)
    report = report_of(run, models["sentiment"], "", tmp_path / "x.jsonl", "--mistakes", tmp_path / "m.jsonl")
    rows = records(run(tmp_path / "x.jsonl", "--pass", "label,text", model=models["sentiment"]))
    wrong = sorted((row for row in rows if row["label"] != row["input_label"]), key=lambda row: -row["score"])
    found = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert 5 < len(found) == len(wrong) == report["outcomes"].count("0")
    for mistake, row in zip(found, wrong, strict=True):
        assert mistake == {
            "id": row["id"], "label": row["input_label"], "predicted": row["label"], "score": row["score"],
            "stars": None, "tokens": row["tokens"], "text": row["text"],
        }  # fmt: skip
    assert [m["id"] for m in report["mistakes"]] == [str(m["id"]) for m in found[:20]]
    again = run("eval", tmp_path / "m.jsonl", "--json", "-", model=models["sentiment"])
    assert json.loads(again.stdout)["outcomes"] == "0" * len(found)


def test_mistakes_are_explained_where_a_label_is_the_positive_one(
    run: Run, models: dict[str, Path], tmp_path: Path
) -> None:
    model = with_labels(models["sentiment"], tmp_path / "m", SENTIMENT, positive="positive")
    (tmp_path / "x.jsonl").write_text(labelled(SENTIMENT))
    result = run(
        "eval", tmp_path / "x.jsonl", "--mistakes", "-", "--explain", "sentences", "--stars-field", "x", model=model
    )
    assert all("parts" in mistake["explanation"] for mistake in records(result)) and records(result)


def test_every_form_of_the_report(run: Run, models: dict[str, Path], tmp_path: Path) -> None:
    names = ["<b>bad</b>", "so|so", "good"]
    model = with_labels(models["sentiment"], tmp_path / "model", names)
    forms: list[Any] = ["--report", tmp_path / "x.html", "--junit", tmp_path / "x.xml", "--markdown", tmp_path / "x.md"]
    data = labelled([i % 3 for i in range(30)], stars=7)
    report = report_of(
        run, model, data, *forms, "--stars-field", "stars", "--min", "f1:<b>bad</b>=0", "--min", "mcc=2", status=4
    )
    page = Page((tmp_path / "x.html").read_text())
    assert page.tags.count("svg") == 3 and "b" not in page.tags and page.links == []
    for title in (
        "Labels, each against the rest",
        "Confusion matrix",
        "Accuracy by coverage",
        "Reliability",
        "Rating by",
    ):
        assert title in page.text
    assert "ROC curve" not in page.text and page.text.count("<b>bad</b>") > 3
    suite = ElementTree.parse(tmp_path / "x.xml").getroot()
    assert [case.get("name") for case in suite][-2:] == ["f1:<b>bad</b> >= 0", "mcc >= 2"]
    assert suite.get("failures") == "1"
    markdown = (tmp_path / "x.md").read_text()
    assert f"| f1:so\\|so | {report['parts']['all']['measures']['f1:so|so']:.4f} |" in markdown


def test_a_model_without_ratings_has_no_measures_of_stars(run: Run, models: dict[str, Path]) -> None:
    data = labelled([0, 1, 0, 1], stars=7)
    result = run("eval", "-q", "--stars-field", "stars", "--json", "-", stdin=data, model=models["topics"])
    assert result.returncode == 0 and "eval: model topics gives no rating" in error_line(result)
    report = json.loads(result.stdout)
    assert report["rating"] == "none" and report["ratings_by_stars"] == []
    assert report["parts"]["all"]["measures"]["rating_mae"] is None


def test_predictions_with_labels_of_another_model(run: Run, models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(labelled(SENTIMENT))
    assert run(tmp_path / "x.jsonl", "-q", "-o", tmp_path / "p.jsonl", model=models["stars"]).returncode == 0
    result = run("eval", "-q", tmp_path / "x.jsonl", "--predictions", tmp_path / "p.jsonl", model=models["sentiment"])
    assert result.returncode == 2
    said = error_line(result)
    assert "and those of model sentiment (-m) are negative, neutral and positive: name the model" in said

    # Nor do their labels go through what the default model's labels may mean.
    (tmp_path / "x.jsonl").write_text(labelled(SENTIMENT))
    run(tmp_path / "x.jsonl", "--pass", "label", "-q", "-o", tmp_path / "p.jsonl", model=models["sentiment"])
    result = run("eval", "--predictions", tmp_path / "p.jsonl")
    assert result.returncode == 2 and "name the model that they are of with -m" in error_line(result)


@pytest.mark.slow
def test_pictures(run: Run, models: dict[str, Path], tmp_path: Path) -> None:
    report = report_of(run, models["stars"], labelled(STARS * 4))
    (tmp_path / "eval.json").write_text(json.dumps(report))
    command: list[Any] = [sys.executable, TOP / "scripts/plot_eval.py", tmp_path / "eval.json", tmp_path / "x.svg"]
    result = subprocess.run(command, check=False, capture_output=True, timeout=PATIENCE)
    assert result.returncode == 0, result.stderr.decode()
    assert b"</svg>" in (tmp_path / "x.svg").read_bytes()


def test_the_name_of_a_label_may_hold_anything(run: Run, models: dict[str, Path], tmp_path: Path) -> None:
    odd = with_labels(models["sentiment"], tmp_path / "odd", ["x=1", "a:b", "r&amp;d"])
    markdown = tmp_path / "a.md"
    data = labelled(["x=1", "a:b", "r&amp;d"])
    report = report_of(run, odd, data, "--min", "f1:x=1=0", "--min", "recall:a:b=0", "--markdown", markdown)
    assert [gate["name"] for gate in report["gates"]] == ["f1:x=1 >= 0", "recall:a:b >= 0"]
    assert "r&amp;amp;d" in markdown.read_text() and "r&amp;d" not in markdown.read_text()


def test_a_label_is_no_text_of_a_review(run: Run, models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(labelled(["negative", "neutral", "positive"]))
    rated = tmp_path / "rated.jsonl"
    assert run(tmp_path / "a.jsonl", "--pass", "label", "-o", rated, model=models["sentiment"]).returncode == 0
    report = report_of(run, models["sentiment"], "", "--predictions", rated)
    assert report["mistakes"] and {mistake["text"] for mistake in report["mistakes"]} == {""}


def test_a_bare_file_is_asked_for_its_labels(run: Run, models: dict[str, Path], tmp_path: Path) -> None:
    """Three logits are LABEL_0, LABEL_1 and LABEL_2 where nothing is said."""
    import torch

    class Words(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = torch.nn.Parameter(torch.randn(1000, 3))

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return (self.words[ids] * mask.unsqueeze(-1)).sum(1)

    bare, ids = tmp_path / "bare.pt", torch.arange(5, 17).unsqueeze(0)
    torch.jit.save(torch.jit.trace(Words(), (ids, torch.ones_like(ids))), bare)
    vocab = models["sentiment"] / "vocab.txt"
    for labels in (["LABEL_0", "label_1", "LABEL_2"], [0, 1, 2]):
        result = run("eval", "--vocab", vocab, "--json", "-", stdin=labelled(labels), model=bare)
        assert result.returncode == 0, result.stderr.decode()
        assert sorted(map(str, taken(json.loads(result.stdout)).values())) == ["LABEL_0", "LABEL_1", "LABEL_2"]
