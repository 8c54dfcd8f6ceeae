"""reviewrate eval: labels and where they come from, counts, gates, reports, exit codes."""

import csv
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from conftest import PATIENCE, TINY, TOP, Result, Run, error_line
from html_page import Page

GOOD, BAD = "a good film with a good plot", "not a good film and a bad ending"


def report_of(run: Run, tmp_path: Path, *arguments: str | Path, status: int = 0, **options: Any) -> dict[str, Any]:
    """The --json of a run that ended with `status`."""
    result = run("eval", *arguments, "--json", tmp_path / "eval.json", **options)
    assert result.returncode == status, result.stderr.decode()
    return json.loads((tmp_path / "eval.json").read_text())


def jsonl(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def positives(report: dict[str, Any]) -> tuple[int, int]:
    """How many reviews are labelled positive, and negative."""
    c = report["parts"]["all"]["confusion"]
    return c["true_positive"] + c["false_negative"], c["true_negative"] + c["false_positive"]


def balanced(count: int = 20) -> str:
    return jsonl(*({"text": (GOOD if i % 3 else BAD) + " ever" * i, "label": i % 2} for i in range(count)))


def member(folder: str, i: int, stars: int) -> tuple[str, str]:
    return f"{folder}/{i}_{stars}.txt", f"{GOOD if stars > 5 else BAD} {'really ' * i}"


MEMBERS = dict(
    [member("imdb/test/pos", i, 7 + i) for i in range(4)]
    + [member("imdb/test/neg", i, 1 + i) for i in range(3)]
    + [member("imdb/train/pos", 0, 9)]
    + [member("imdb/train/unsup", i, 0) for i in range(5)]
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small folder in the layout of aclImdb."""
    for name, text in MEMBERS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path / "imdb"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The same as a .tar.gz."""
    path = tmp_path / "imdb.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in MEMBERS.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


@pytest.mark.parametrize(
    ("label", "meaning"),
    [
        (1, 1),
        (0, 0),
        ("1", 1),
        (1.0, 1),
        ("positive", 1),
        ("NEGATIVE", 0),
        ("Neg", 0),
        ("pos", 1),
        (-1, None),
        ("", None),
        (None, None),
        ("unsup", None),
    ],
)
def test_labels_by_name_and_number(run: Run, tmp_path: Path, label: Any, meaning: int | None) -> None:
    report = report_of(run, tmp_path, stdin=jsonl({"text": GOOD, "label": label}, {"text": GOOD, "label": 0}))
    assert positives(report) == (1 if meaning == 1 else 0, 2 if meaning == 0 else 1)
    assert report["input"]["unlabelled"] == (1 if meaning is None else 0)


def test_csv_columns(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "x.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["review", "truth", "rated"], [GOOD, "positive", 8], [BAD, "negative", 2], [BAD, "", 3]]
        )
    report = report_of(
        run, tmp_path, tmp_path / "x.csv", "--text-field", "review", "--label-field", "truth", "--stars-field", "rated"
    )
    assert positives(report) == (1, 1)
    assert report["input"]["unlabelled"] == 1
    assert [row["stars"] for row in report["ratings_by_stars"]] == [2, 8]


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_the_imdb_layout(run: Run, tmp_path: Path, form: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(form)
    report = report_of(run, tmp_path, path, "--label-field", "label")
    assert positives(report) == (5, 3)
    assert report["input"] | {"sha256": ""} == {"sha256": "", "labelled": 8, "failed": 0, "unlabelled": 5}
    assert [row["stars"] for row in report["ratings_by_stars"]] == [1, 2, 3, 7, 8, 9, 10]
    assert positives(report_of(run, tmp_path, path, "--include", "*test/*")) == (4, 3)


def test_a_folder_that_is_asked_for_is_itself_a_label(run: Run, tmp_path: Path, folder: Path) -> None:
    report = report_of(run, tmp_path, "imdb/test/pos", "imdb/test/neg/", "imdb/train/unsup", cwd=tmp_path)
    assert positives(report) == (4, 3)
    assert report["input"]["unlabelled"] == 5
    assert [row["stars"] for row in report["ratings_by_stars"]] == [1, 2, 3, 7, 8, 9, 10]
    assert positives(report_of(run, tmp_path, folder / "test" / "neg")) == (0, 3)
    (tmp_path / "neg").symlink_to(folder)  # the innermost label counts
    assert positives(report_of(run, tmp_path, "neg", cwd=tmp_path)) == (5, 3)


def test_where_chooses_records(run: Run, tmp_path: Path) -> None:
    rows = [{"text": GOOD, "label": i % 2, "split": "test" if i < 3 else "train"} for i in range(8)]
    assert positives(report_of(run, tmp_path, "--where", "split=test", stdin=jsonl(*rows))) == (1, 2)


def test_the_outcomes_are_in_input_order(run: Run, tmp_path: Path) -> None:
    data = balanced(30) + "{broken\n" + balanced(10)
    report = report_of(run, tmp_path, "-j", "3", stdin=data, status=1)
    predictions = [json.loads(line) for line in run("--pass", "label", stdin=data).stdout.splitlines()]
    expected = [
        "x" if "error" in p else str(int((p["label"] == "POSITIVE") == (p["input_label"] == 1))) for p in predictions
    ]
    assert report["outcomes"] == "".join(expected)
    assert report["input"] | {"sha256": ""} == {"sha256": "", "labelled": 41, "failed": 1, "unlabelled": 0}
    assert report["parts"]["all"]["reviews"] == 40


def test_failed_reviews_are_told_and_end_in_1(run: Run, tmp_path: Path) -> None:
    result = run("eval", "-", tmp_path / "gone.jsonl", stdin=balanced() + '{"text": 5, "label": 1}\n' * 15)
    assert result.returncode == 1
    said = result.stderr.decode()
    assert "36 labelled reviews, 16 failed" in result.stdout.decode()
    assert '-:21: the field "text" is a number' in said and "and 6 more failed" in said
    quiet = run("eval", "-q", "-", tmp_path / "gone.jsonl", stdin=balanced() + '{"text": 5, "label": 1}\n' * 15)
    assert quiet.returncode == 1
    assert error_line(quiet).startswith('reviewrate: eval: 16 failed; the first: -:21: the field "text" is a number')


def test_the_input_checksum_is_of_ids_labels_and_texts(run: Run, tmp_path: Path) -> None:
    def checksum(**changes: Any) -> str:
        rows = [{"id": "a", "text": GOOD, "label": 0}, {"id": "b", "text": BAD, "label": 1, "more": 1} | changes]
        return report_of(run, tmp_path, stdin=jsonl(*rows))["input"]["sha256"]

    assert checksum() == checksum(more=2)
    assert len({checksum(), checksum(id="c"), checksum(text=GOOD), checksum(label=0)}) == 4


def test_the_report_names_what_ran(run: Run, tmp_path: Path) -> None:
    manifest = json.loads((TINY / "manifest.json").read_text())
    report = report_of(run, tmp_path, "--long-text", "windows", "--threshold", "0.25", stdin=balanced())
    assert report["model"] == {"name": "tiny", "sha256": manifest["model"]["sha256"], "max_tokens": 512}
    assert (report["precision"], report["long_text"], report["threshold"]) == ("fp32", "windows", 0.25)


GATES = [
    (["--min", "accuracy=0"], 0),
    (["--min", "accuracy=1.01"], 4),
    (["--max", "log_loss=100", "--min", "roc_auc=0"], 0),
    (["--min", "roc_auc=0", "--max", "log_loss=0.0001"], 4),
    (["--min", "accuracy@90=0", "--max", "aurc=1"], 0),
    (["--min", "accuracy@50=1.01"], 4),
    (["--max", "rating_mae=100"], 4),  # without stars it is not defined
]


@pytest.mark.parametrize(("gates", "status"), GATES)
def test_gates(run: Run, tmp_path: Path, gates: list[str], status: int) -> None:
    report = report_of(run, tmp_path, *gates, stdin=balanced(), status=status)
    assert all(gate["holds"] for gate in report["gates"]) == (status == 0)
    assert len(report["gates"]) == len(gates) // 2


def test_a_gate_at_the_very_value_holds(run: Run, tmp_path: Path) -> None:
    value = report_of(run, tmp_path, stdin=balanced())["parts"]["all"]["measures"]["brier"]
    report_of(run, tmp_path, "--min", f"brier={value!r}", "--max", f"brier={value!r}", stdin=balanced())


@pytest.mark.parametrize("measure", ["roc_auc", "average_precision", "mcc", "best_f1"])
def test_one_label_alone_fails_the_gate(run: Run, tmp_path: Path, measure: str) -> None:
    data = jsonl(*({"text": GOOD + " ever" * i, "label": 1} for i in range(5)))
    report = report_of(run, tmp_path, "--min", f"{measure}=-1", "--max", f"{measure}=2", stdin=data, status=4)
    assert [gate["found"] for gate in report["gates"]] == ["it is not defined for these reviews"] * 2


def test_no_labelled_review_is_never_well(run: Run, tmp_path: Path) -> None:
    data = jsonl({"text": GOOD, "label": None})
    assert run("eval", stdin=data).returncode == 1
    result = run("eval", "-q", stdin=data)
    assert "no review has a label" in error_line(result) and result.stdout == b""
    assert run("eval", "--max", "ece=1", stdin="").returncode == 4
    report = report_of(run, tmp_path, "--report", tmp_path / "x.html", stdin=data, status=1)
    assert set(report["parts"]["all"]["measures"].values()) == {None}


def test_a_failed_gate_comes_before_failed_records(run: Run) -> None:
    assert run("eval", "--min", "f1=2", stdin=balanced() + "{broken\n").returncode == 4
    assert run("eval", "--min", "accuracy=0", stdin=balanced() + "{broken\n").returncode == 1


@pytest.fixture
def baseline(run: Run, tmp_path: Path) -> Path:
    report_of(run, tmp_path, stdin=balanced())
    return (tmp_path / "eval.json").rename(tmp_path / "old.json")


def changed(baseline: Path, measure: str, by: float) -> Path:
    report = json.loads(baseline.read_text())
    report["parts"]["all"]["measures"][measure] += by
    baseline.write_text(json.dumps(report))
    return baseline


DROPS = [
    ("accuracy", 0.01, "0.02", 0),
    ("accuracy", 0.03, "0.02", 4),
    ("accuracy", -0.5, "0", 0),
    ("accuracy", 0.02, "0.02", 0),
    ("ece", -0.01, "0.02", 0),
    ("ece", -0.03, "0.02", 4),
    ("ece", 0.5, "0", 0),
]


@pytest.mark.parametrize(("measure", "by", "drop", "status"), DROPS)
def test_max_drop_goes_by_which_way_is_worse(
    run: Run, baseline: Path, measure: str, by: float, drop: str, status: int
) -> None:
    result = run(
        "eval", "--baseline", changed(baseline, measure, by), "--max-drop", f"{measure}={drop}", stdin=balanced()
    )
    assert result.returncode == status, result.stderr.decode()


def test_a_baseline_of_the_same_reviews_is_tested_for_chance(run: Run, tmp_path: Path, baseline: Path) -> None:
    report = report_of(run, tmp_path, "--baseline", baseline, stdin=balanced())
    assert report["baseline"]["mcnemar_p"] == 1
    assert "no more than chance" in report["baseline"]["verdict"]
    old = json.loads(baseline.read_text())
    baseline.write_text(json.dumps(old | {"outcomes": "1" * 20}))
    wrong = old["outcomes"].count("0")
    report = report_of(run, tmp_path, "--baseline", baseline, stdin=balanced())
    assert report["baseline"]["mcnemar_p"] == pytest.approx(min(1, 2 * 0.5**wrong))
    assert f"Right before and wrong now: {wrong} reviews" in report["baseline"]["verdict"]


def test_a_baseline_of_other_reviews_cannot_tell_chance(run: Run, tmp_path: Path, baseline: Path) -> None:
    report = report_of(run, tmp_path, "--baseline", baseline, "--max-drop", "accuracy=1", stdin=balanced(22))
    assert report["baseline"]["mcnemar_p"] is None
    assert "cannot be told" in report["baseline"]["verdict"]


def test_a_measure_that_the_baseline_lacks_fails_its_gate(run: Run, baseline: Path) -> None:
    report = json.loads(baseline.read_text())
    report["parts"]["all"]["measures"]["f1"] = None
    baseline.write_text(json.dumps(report))
    assert run("eval", "--baseline", baseline, "--max-drop", "f1=1", stdin=balanced()).returncode == 4


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"parts": {"all": {"measures": {"f1": "x"}}}}'])
def test_a_broken_baseline_is_told_before_anything_runs(run: Run, tmp_path: Path, content: str) -> None:
    (tmp_path / "old.json").write_text(content)
    result = run("eval", "--baseline", tmp_path / "old.json", "--max-drop", "f1=0", stdin=balanced())
    assert result.returncode == 3
    assert "is no report of reviewrate eval" in error_line(result)


USAGE = [
    ["--min", "f2=1"],
    ["--min", "f1"],
    ["--min", "f1="],
    ["--max", "f1=nan"],
    ["--max", "f1=0.5x"],
    ["--max-drop", "f1=0.1"],
    ["--min", "=1"],
]


@pytest.mark.parametrize("arguments", USAGE)
def test_gates_that_cannot_be_read_are_usage_errors(run: Run, arguments: list[str]) -> None:
    result = run("eval", *arguments, stdin=balanced())
    assert result.returncode == 2
    error_line(result)


def test_a_threshold_has_no_better_or_worse(run: Run, baseline: Path) -> None:
    result = run("eval", "--baseline", baseline, "--max-drop", "best_threshold=0.1", stdin=balanced())
    assert result.returncode == 2
    assert "is none of the measures accuracy" in error_line(result)


@pytest.mark.parametrize("option", ["--json", "--report", "--junit"])
def test_a_report_that_cannot_be_written_is_told(run: Run, tmp_path: Path, option: str) -> None:
    for path in (tmp_path / "no" / "x", Path("/dev/full")):
        result = run("eval", "-q", option, path, stdin=balanced())
        assert result.returncode == 3
        assert str(path) in error_line(result)


def test_the_table_is_the_result(run: Run, tmp_path: Path) -> None:
    result = run("eval", "-q", "--json", tmp_path / "eval.json", stdin=balanced())
    assert (result.returncode, result.stderr) == (0, b"")
    table = result.stdout.decode().splitlines()
    accuracy = json.loads((tmp_path / "eval.json").read_text())["parts"]["all"]["measures"]["accuracy"]
    assert table[0].startswith("tiny, fp32") and ["accuracy", f"{accuracy:.4f}"] in [row.split()[:2] for row in table]
    result = run("eval", "--report", "-", stdin=balanced())
    assert result.returncode == 2 and "the table (stdout)" in error_line(result)


def test_the_json_goes_to_stdout_for_a_dash(run: Run) -> None:
    result = run("eval", "-q", "--json", "-", stdin=balanced())
    assert (result.returncode, result.stderr) == (0, b"")
    assert json.loads(result.stdout)["format"] == 1


def test_junit(run: Run, tmp_path: Path) -> None:
    run(
        "eval",
        "--junit",
        tmp_path / "x.xml",
        "--min",
        "accuracy=0",
        "--max",
        "ece=0",
        stdin=balanced() + '{"id": "<\\u0001&\\">", "text": 1}\n',
    )
    suite = ElementTree.parse(tmp_path / "x.xml").getroot()
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert (suite.get("tests"), suite.get("failures"), len(suite)) == ("4", "2", 4)
    assert failed == ["every review is classified", "ece <= 0"]


def test_the_page_is_whole_and_escaped(run: Run, tmp_path: Path) -> None:
    nasty = "</td><script>alert('1')</script><img src=x onerror=\"alert(2)\"> & done"
    rows = [
        {"id": f"{i}<b>", "text": nasty + " bad" * i, "label": label, "stars": 1 + i}
        for i in range(9)
        for label in (0, 1)
    ]
    result = run(
        "eval", "--stars-field", "stars", "--report", tmp_path / "x.html", "--max", "ece=2", stdin=jsonl(*rows)
    )
    assert result.returncode == 0
    page = Page((tmp_path / "x.html").read_text())
    assert page.tags.count("svg") == 6
    assert not {"script", "img", "b", "link", "iframe"} & set(page.tags) and page.links == []
    assert nasty in page.text and "0<b>" in page.text
    for title in (
        "ROC curve",
        "Precision-recall",
        "Accuracy by coverage",
        "Reliability",
        "Confusion matrix",
        "Rating by stars",
        "most confident mistakes",
    ):
        assert title in page.text


def test_the_twenty_most_confident_mistakes(run: Run, tmp_path: Path) -> None:
    long = "ü" * 1000
    data = jsonl(
        *({"text": f"film {'bad ' * (i % 7)}{'good ' * (i % 11)}{long}", "label": i % 2, "id": i} for i in range(60))
    )
    mistakes = report_of(run, tmp_path, stdin=data)["mistakes"]
    assert len(mistakes) == 20
    sure = [max(m["p_positive"], 1 - m["p_positive"]) for m in mistakes]
    assert sure == sorted(sure, reverse=True)
    wrong = [json.loads(line) for line in run("--pass", "label", stdin=data).stdout.splitlines()]
    all_sure = sorted(
        (p["score"] for p in wrong if (p["label"] == "POSITIVE") != (p["input_label"] == 1)), reverse=True
    )
    assert sure == pytest.approx(all_sure[:20], abs=1e-12)
    assert all(m["text"].endswith("ü…") and len(m["text"].encode()) <= 603 for m in mistakes)


@pytest.mark.slow
def test_pictures(run: Run, tmp_path: Path) -> None:
    for i, data in enumerate((balanced(), jsonl({"text": GOOD, "label": 1}))):
        report_of(run, tmp_path, stdin=data)
        pictures = [tmp_path / f"{i}.png", tmp_path / f"{i}.svg"]
        command: list[Any] = [sys.executable, TOP / "scripts/plot_eval.py", tmp_path / "eval.json", *pictures]
        result: Result = subprocess.run(command, check=False, capture_output=True, timeout=PATIENCE)
        assert result.returncode == 0, result.stderr.decode()
        assert pictures[0].read_bytes().startswith(b"\x89PNG") and b"</svg>" in pictures[1].read_bytes()
