"""reviewrate eval: what it takes labels and stars for, and what it refuses to guess."""

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from conftest import TINY, TOP, Result, Run, error_line

GOOD, BAD = "a fine film with a warm heart", "a dull film and a waste of time"


def jsonl(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def labelled(labels: list[Any], **more: list[Any]) -> str:
    """A review for each label, all of different texts, with the fields of `more`."""
    rows = [{"text": f"{GOOD if i % 2 else BAD}{' indeed' * i}", "label": label} for i, label in enumerate(labels)]
    for name, values in more.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return jsonl(*rows)


def report_of(
    run: Run, tmp_path: Path, data: str, *arguments: str | Path, status: int = 0, stdin: bool = False
) -> dict[str, Any]:
    """The --json of eval on `data`, from a file or through stdin."""
    (tmp_path / "in.jsonl").write_text(data)
    where: dict[str, Any] = {"stdin": data} if stdin else {}
    result = run(
        "eval", *arguments, *([] if stdin else ["in.jsonl"]), "--json", tmp_path / "eval.json", cwd=tmp_path, **where
    )
    assert result.returncode == status, result.stderr.decode()
    report: dict[str, Any] = json.loads((tmp_path / "eval.json").read_text())
    return report


def sides(run: Run, tmp_path: Path, labels: list[Any], *arguments: str, stdin: bool = False) -> str:
    """What each label was taken for: +, - or nothing where it is none. Told by the outcomes and what classify says."""
    report = report_of(run, tmp_path, labelled(labels), *arguments, stdin=stdin)
    called = [row["label"] for row in map(json.loads, run(stdin=labelled(labels)).stdout.splitlines())]
    outcomes, out = iter(report["outcomes"]), ""
    taken = {value["value"]: value["label"] for value in report["label_values"]}
    for label, call in zip(labels, called, strict=True):
        if label in (None, "") or taken[key(label)] is None:
            out += " "
            continue
        out += "+" if (next(outcomes) == "1") == (call == "POSITIVE") else "-"
    assert next(outcomes, None) is None
    return out


def key(label: Any) -> str:
    """How a label stands in the report: numbers in their shortest form, words in lower case."""
    text = json.dumps(label) if isinstance(label, bool) else str(label).strip().lower()
    try:
        return f"{float(text):g}"
    except ValueError:
        return text


READ = [
    ([0, 1, 1, 0], "-++-"),
    ([1, 1], "++"),
    ([0], "-"),
    ([-1, 1, 1, -1], "-++-"),
    (["+1", "-1", "-1.0", 1], "+--+"),
    ([1, 2, 2, 1], "-++-"),
    (["1.0", 2.0, " 2 "], "-++"),
    ([-1, 0, 1, -1], " -+ "),
    ([-1, 0], " -"),
    ([1, "1", 1.0, "+1.00", 0], "++++-"),
    (["positive", "Negative", "POSITIVE"], "+-+"),
    (["pos", "NEG", "Positive", " neg "], "+-+-"),
    (["P", "n", "p"], "+-+"),
    (["T", "F"], "+-"),
    ([True, False, "TRUE"], "+-+"),
    ([1, 0, "positive", "neg"], "+-+-"),
    (["pos", "neg", -1], "+- "),
    (["p", "n", -1], "+- "),
    ([1, None, "", 0, "unsup", "Unlabelled"], "+  -  "),
    ([-1, 1, None, "unsup"], "-+  "),
    ([1, 2, ""], "-+ "),
]


@pytest.mark.parametrize("stdin", [False, True], ids=["file", "stdin"])
@pytest.mark.parametrize(("labels", "meaning"), READ, ids=str)
def test_a_set_of_labels_is_read_as_a_whole(
    run: Run, tmp_path: Path, labels: list[Any], meaning: str, stdin: bool
) -> None:
    assert sides(run, tmp_path, labels, stdin=stdin) == meaning


REFUSED = [
    ([-1, -1], {"-1": 2}),
    ([2], {"2": 1}),
    ([1, 2, 3, 4, 5, 5], {"1": 1, "2": 1, "3": 1, "4": 1, "5": 2}),
    ([0, 4, 4], {"0": 1, "4": 2}),
    ([0, 1, 2], {"0": 1, "1": 1, "2": 1}),
    ([-1, 1, 2], {"-1": 1, "1": 1, "2": 1}),
    ([-1, 2], {"-1": 1, "2": 1}),
    ([0.5, 1], {"0.5": 1, "1": 1}),
    (["positive", "negative", "neutral"], {'"positive"': 1, '"negative"': 1, '"neutral"': 1}),
    ([1, 2, "positive"], {"1": 1, "2": 1, '"positive"': 1}),
    ([-1, 1, "pos", "neg"], {"-1": 1, "1": 1, '"pos"': 1, '"neg"': 1}),
    ([-1, "positive"], {"-1": 1, '"positive"': 1}),
    (["n", "n"], {'"n"': 2}),
    (["p", "negative"], {'"p"': 1, '"negative"': 1}),
    (["yes", "no"], {'"yes"': 1, '"no"': 1}),
    ([1, "maybe"], {"1": 1, '"maybe"': 1}),
    ([1, [1]], {"1": 1, '"[1]"': 1}),
    ([1, "nan"], {"1": 1, '"nan"': 1}),
]


@pytest.mark.parametrize("stdin", [False, True], ids=["file", "stdin"])
@pytest.mark.parametrize(("labels", "counts"), REFUSED, ids=str)
def test_a_set_that_can_be_read_in_no_way_or_two_is_refused(
    run: Run, tmp_path: Path, labels: list[Any], counts: dict[str, int], stdin: bool
) -> None:
    (tmp_path / "in.jsonl").write_text(labelled(labels))
    (tmp_path / "eval.json").write_text("of yesterday")
    where: dict[str, Any] = {"stdin": labelled(labels)} if stdin else {}
    files = [] if stdin else [tmp_path / "in.jsonl"]
    result = run(
        "eval",
        "-q",
        "--min",
        "accuracy=0",
        "--json",
        tmp_path / "eval.json",
        "--junit",
        tmp_path / "x.xml",
        *files,
        **where,
    )
    said = error_line(result)
    assert (result.returncode, result.stdout) == (1, b"")
    assert 'field "label"' in said and "--label-map" in said
    for value, count in counts.items():
        assert f"{value} ({count} review{'' if count == 1 else 's'})" in said
    assert (tmp_path / "eval.json").read_text() == "of yesterday" and not (tmp_path / "x.xml").exists()


@pytest.mark.parametrize(
    ("labels", "names", "unnamed"),
    [
        ([1, 2, 3, 4, 5], ["1:2=NEGATIVE"], ["3", "4", "5"]),
        ([1, 2, 3, 4, 5], ["1:2=NEGATIVE", "4:5=POSITIVE"], ["3"]),
        (["pos", "neg", "neutral", "mixed"], ["neutral="], ['"mixed"']),
        (["good", "bad", "so"], ["good=POSITIVE", "worse=NEGATIVE"], ['"bad"', '"so"']),
    ],
)
def test_a_map_that_does_not_name_all_is_told_which(
    run: Run, tmp_path: Path, labels: list[Any], names: list[str], unnamed: list[str]
) -> None:
    (tmp_path / "in.jsonl").write_text(labelled(labels))
    said = error_line(run("eval", tmp_path / "in.jsonl", "-q", "--label-map", ",".join(names)))
    listed = ", ".join(f"{value} (1 review)" for value in unnamed)
    assert f'the labels (field "label") that --label-map does not name are {listed}: ' in said


@pytest.mark.parametrize(
    ("stars", "example"),
    [
        ([1, 2, 3, 4, 5], "1:2=NEGATIVE,3=,4:5=POSITIVE"),
        ([1, 5, 5], "1:2=NEGATIVE,3=,4:5=POSITIVE"),
        ([2, 9, 10], "1:4=NEGATIVE,5:6=,7:10=POSITIVE"),
        ([0, 4, 4], "A=NEGATIVE"),
        ([1, 2.5, 3], "A=NEGATIVE"),
        ([1, 2, 11], "A=NEGATIVE"),
        ([1, 2, 3, "so"], "A=NEGATIVE"),
    ],
)
def test_stars_without_a_map_get_one_that_works(run: Run, tmp_path: Path, stars: list[Any], example: str) -> None:
    (tmp_path / "in.jsonl").write_text(labelled(stars))
    words = error_line(run("eval", tmp_path / "in.jsonl", "-q")).split("as in --label-map ")[1].split()[0]
    assert words.startswith(example)
    if not example.startswith("A="):
        assert run("eval", tmp_path / "in.jsonl", "-q", "--label-map", words).returncode == 0


def test_many_different_labels_are_refused_in_a_line_of_bounded_length(run: Run, tmp_path: Path) -> None:
    for count in (100, 3000):
        (tmp_path / "in.jsonl").write_text(jsonl(*({"text": GOOD, "label": f"{i} " + "ü" * 300} for i in range(count))))
        result = run("eval", tmp_path / "in.jsonl")
        assert result.returncode == 1
        assert len(error_line(result)) < 2000 and " more" in error_line(result) and "…" in error_line(result)


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A model package whose weights cannot be loaded."""
    folder = tmp_path / "damaged"
    shutil.copytree(TINY, folder)
    weights = folder / json.loads((folder / "manifest.json").read_text())["model"]["file"]
    weights.write_bytes(weights.read_bytes()[:1000])
    return folder


def test_labels_in_files_are_refused_before_the_model_is_loaded(run: Run, tmp_path: Path, damaged: Path) -> None:
    (tmp_path / "in.jsonl").write_text(labelled([1, 2, 3]))
    assert run("eval", "-m", damaged, tmp_path / "in.jsonl").returncode == 1
    (tmp_path / "in.jsonl").write_text(labelled([1, 2]))
    assert run("eval", "-m", damaged, tmp_path / "in.jsonl").returncode == 3


def test_files_and_streams_give_the_same_report(run: Run, tmp_path: Path) -> None:
    data = labelled([-1, 1, 1, -1, 1, "", -1], stars=[1, 9, 10, 2, 6, 5, 11]) + "{broken\n"
    whole = report_of(run, tmp_path, data, "--stars-field", "stars", status=1)
    (tmp_path / "in.jsonl").write_text(data)
    streamed = report_of(run, tmp_path, data, "--stars-field", "stars", status=1, stdin=True)
    streamed["failures"] = [{**f, "message": f["message"].replace("-:8", "in.jsonl:8")} for f in streamed["failures"]]
    for report in (whole, streamed):  # ids of records without one name their file
        report["input"].pop("sha256")
        report.pop("run")  # the command line
        for mistake in report["mistakes"]:
            mistake["id"] = mistake["id"].rsplit(":")[-1]
    assert whole == streamed
    assert whole["input"] == {"labelled": 7, "failed": 1, "unlabelled": 1}


def test_the_checksum_is_that_of_what_labels_mean(run: Run, tmp_path: Path) -> None:
    def checksum(labels: list[Any], *arguments: str) -> str:
        data = labelled(labels, id=[f"r{i}" for i in range(len(labels))])
        sums = {report_of(run, tmp_path, data, *arguments, stdin=stdin)["input"]["sha256"] for stdin in (False, True)}
        assert len(sums) == 1
        return sums.pop()

    same = {
        checksum([0, 1, 1]),
        checksum([-1, 1, 1]),
        checksum([1, 2, 2]),
        checksum(["neg", "pos", "Positive"]),
        checksum([5, 9, 9], "--label-map", "5=NEGATIVE,9=POSITIVE"),
    }
    assert len(same) == 1
    assert checksum([0, 1, 1, -1]) in same
    assert checksum([1, 0, 0]) not in same


def test_a_pipe_that_is_named_is_read_once(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    data = labelled([1, 2, 1])
    writer = threading.Thread(target=lambda: (tmp_path / "pipe.jsonl").write_text(data))
    writer.start()
    result = run("eval", tmp_path / "pipe.jsonl", "--json", tmp_path / "eval.json")
    writer.join()
    assert result.returncode == 0, result.stderr.decode()
    assert [value["label"] for value in json.loads((tmp_path / "eval.json").read_text())["label_values"]] == [
        "NEGATIVE",
        "POSITIVE",
    ]


SAID = [
    ([0, 1, 1], False, "0 is NEGATIVE (1 review), 1 is POSITIVE (2 reviews)"),
    (["pos", "neg"], False, '"pos" is POSITIVE (1 review), "neg" is NEGATIVE (1 review)'),
    ([-1, 1], True, "-1 is NEGATIVE (1 review), 1 is POSITIVE (1 review)"),
    ([1, 1], True, "1 is POSITIVE (2 reviews)"),
    ([2, 1, 1], True, "1 is NEGATIVE (2 reviews), 2 is POSITIVE (1 review)"),
    ([-1, 0, 1], True, "-1 is no label (1 review), 0 is NEGATIVE (1 review), 1 is POSITIVE (1 review)"),
]


@pytest.mark.parametrize("stdin", [False, True], ids=["file", "stdin"])
@pytest.mark.parametrize(("labels", "also_quiet", "words"), SAID, ids=str)
def test_what_labels_are_taken_for_is_said(
    run: Run, tmp_path: Path, labels: list[Any], also_quiet: bool, words: str, stdin: bool
) -> None:
    (tmp_path / "in.jsonl").write_text(labelled(labels))

    def said(*arguments: str) -> str:
        files = ["-"] if stdin else [tmp_path / "in.jsonl"]
        result = run(
            "eval", *arguments, *files, "--report", tmp_path / "x.html", stdin=labelled(labels) if stdin else ""
        )
        assert result.returncode == 0
        return result.stderr.decode()

    assert said().count(words) == 1
    assert said("-q") == (f"reviewrate: eval: labels: {words}\n" if also_quiet else "")
    assert words.replace('"', "&#34;") in (tmp_path / "x.html").read_text()


def test_the_report_lists_the_values(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pos").mkdir()
    (tmp_path / "pos" / "a_9.txt").write_text(GOOD)
    (tmp_path / "in.jsonl").write_text(labelled([1.0, "1", 0, -1, ""]))
    run("eval", tmp_path / "in.jsonl", tmp_path / "pos", "--json", tmp_path / "eval.json")
    assert json.loads((tmp_path / "eval.json").read_text())["label_values"] == [
        {"value": "1", "folder": False, "label": "POSITIVE", "reviews": 2},
        {"value": "0", "folder": False, "label": "NEGATIVE", "reviews": 1},
        {"value": "-1", "folder": False, "label": None, "reviews": 1},
        {"value": "pos", "folder": True, "label": "POSITIVE", "reviews": 1},
    ]


@pytest.mark.parametrize("stdin", [False, True], ids=["file", "stdin"])
@pytest.mark.parametrize(
    ("labels", "maps", "meaning"),
    [
        ([1, 2, 3, 4, 5], ["1=NEGATIVE,2=negative,3=,4=POSITIVE,5=pos"], "-- ++"),
        ([1, 2, 3], ["1=NEGATIVE", "2=unlabelled,3=Positive"], "- +"),
        ([1, 0], ["1=NEGATIVE,0=POSITIVE"], "-+"),
        (["1.0", "+2", 2], ["1=NEGATIVE,2.00=POSITIVE"], "-++"),
        ([-1, 1], ["-1=NEGATIVE,1=POSITIVE"], "-+"),
        (["yes", "No"], ["YES=POSITIVE,no=NEGATIVE"], "+-"),
        (["positive", "negative", "neutral"], ["neutral="], "+- "),
        (["a=b", "c"], ["a=b=POSITIVE", "c=NEGATIVE"], "+-"),
        (["unsup", 7], ["unsup=NEGATIVE,7=POSITIVE"], "-+"),
        ([1, 4, 5, 6, 7, "10"], ["1:4=NEGATIVE,5:6=,7:10=POSITIVE"], "--  ++"),
        ([1, 2.5, 3, "x:y"], ["1:3=NEGATIVE,2.5=POSITIVE", "x:y=POSITIVE"], "-+-+"),
    ],
    ids=str,
)
def test_a_label_map_says_what_labels_mean(
    run: Run, tmp_path: Path, labels: list[Any], maps: list[str], meaning: str, stdin: bool
) -> None:
    assert (
        sides(run, tmp_path, labels, *[word for item in maps for word in ("--label-map", item)], stdin=stdin) == meaning
    )


def test_numbers_that_a_label_map_leaves_out_are_not_guessed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(labelled([1, 5, 5]))
    result = run("eval", tmp_path / "in.jsonl", "--label-map", "5=POSITIVE")
    assert result.returncode == 1
    assert "that --label-map does not name are 1 (1 review): " in error_line(result)


def test_a_label_that_the_map_names_and_no_review_has_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(labelled([1, 2]))
    result = run("eval", "-q", tmp_path / "in.jsonl", "--label-map", "1=NEGATIVE,2=POSITIVE,3=POSITIVE,good=POSITIVE")
    assert result.returncode == 0
    assert '--label-map: no review has the label 3, "good"' in error_line(result)
    result = run("eval", "-q", tmp_path / "in.jsonl", "--label-map", "1=NEGATIVE,2:3=POSITIVE,4:5=,6:7=POSITIVE")
    assert result.returncode == 0
    assert error_line(result).endswith("--label-map: no review has the label 6:7")


@pytest.mark.parametrize(
    ("rows", "advice"),
    [
        (
            [{"text": GOOD, "Stars": 9}, {"text": BAD, "Stars": "2"}],
            'the field "Stars" can say it: --label-field Stars --label-map 1:4=NEGATIVE,5:6=,7:10=POSITIVE',
        ),
        (
            [{"text": GOOD, "rating": 5}, {"text": BAD, "rating": 1}],
            'the field "rating" can say it: --label-field rating --label-map 1:2=NEGATIVE,3=,4:5=POSITIVE',
        ),
        ([{"text": GOOD, "stars": "many", "user": 1}], 'the fields there are: "text", "stars", "user"'),
        ([{"text": GOOD, "lable": 1}], 'the fields there are: "text", "lable"'),
        ([{"text": GOOD, "label": ""}], "in the path"),
    ],
)
def test_without_labels_it_says_where_they_may_be(
    run: Run, tmp_path: Path, rows: list[dict[str, Any]], advice: str
) -> None:
    (tmp_path / "in.jsonl").write_text(jsonl(*rows))
    result = run("eval", "-q", tmp_path / "in.jsonl")
    assert result.returncode == 1
    assert error_line(result).endswith(advice)
    if "--label-map" in advice:
        words = advice.partition("can say it: ")[2].split()
        found = json.loads(run("eval", "-q", tmp_path / "in.jsonl", *words, "--json", "-").stdout)
        assert found["input"]["labelled"] == len(rows)


def test_the_examples_that_ship_can_be_evaluated(run: Run) -> None:
    examples = TOP / "models" / "imdb-small" / "examples.csv"
    told = run("eval", "-q", examples).stderr.decode().splitlines()[-1]
    words = told.partition("can say it: ")[2].split()
    result = run("eval", "-q", examples, *words, "--stars-field", "stars", "--json", "-")
    assert result.returncode == 0
    found = json.loads(result.stdout)["input"]
    assert (found["labelled"], found["failed"], found["unlabelled"]) == (13, 0, 3)


@pytest.mark.parametrize(
    "value",
    [
        "1",
        "=POSITIVE",
        "1=great",
        "1=1",
        "1=POSITIVE,1.0=NEGATIVE",
        "",
        "1:4=NEGATIVE,4:5=POSITIVE",
        "4:1=NEGATIVE",
        "1:2=great",
    ],
)
def test_a_label_map_that_cannot_be_read_is_a_usage_error(run: Run, tmp_path: Path, damaged: Path, value: str) -> None:
    result = run("eval", "-m", damaged, "--label-map", value, stdin=labelled([0, 1]))
    assert result.returncode == 2
    assert "--label-map" in error_line(result)


def test_labels_of_folders_are_their_own(run: Run, tmp_path: Path) -> None:
    """The labels of a field are judged by themselves, whatever folders lie beside."""
    for folder, count in (("pos", 2), ("neg", 1), ("1", 1)):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for i in range(count):
            (tmp_path / "data" / folder / f"{i}.txt").write_text(GOOD + " so" * i)
    (tmp_path / "in.jsonl").write_text(labelled([1, 2]))
    result = run("eval", tmp_path / "data", tmp_path / "in.jsonl", "--json", tmp_path / "eval.json")
    assert result.returncode == 0, result.stderr.decode()
    assert json.loads((tmp_path / "eval.json").read_text())["input"] | {"sha256": ""} == {
        "sha256": "",
        "labelled": 5,
        "failed": 0,
        "unlabelled": 1,
    }
    assert 'folder "pos" is POSITIVE (2 reviews)' in result.stderr.decode()


# Stars


def stars_of(report: dict[str, Any]) -> list[float]:
    return [row["stars"] for row in report["ratings_by_stars"]]


def rating_measures(report: dict[str, Any]) -> list[float | None]:
    return [report["parts"]["all"]["measures"][name] for name in ("rating_mae", "rating_within_one", "rating_spearman")]


def test_bad_stars_are_counted_and_leave_the_labels_alone(run: Run, tmp_path: Path) -> None:
    stars = [1, "10", 0, 11, "many", "8/10", True, -3, None, "", 7.5]
    data = labelled([i % 2 for i in range(11)], s=stars)
    plain = report_of(run, tmp_path, data)
    for stdin in (False, True):
        report = report_of(run, tmp_path, data, "--stars-field", "s", status=1, stdin=stdin)
        assert report["stars"] == {"reviews": 9, "bad": 6, "low": -3, "high": 11, "scale": None, "withheld": False}
        assert stars_of(report) == [1, 7.5, 10] and rating_measures(report)[0] is not None
        assert report["input"]["failed"] == 0 and report["outcomes"] == plain["outcomes"]
        names = set(report["parts"]["all"]["measures"]) - {"rating_mae", "rating_within_one", "rating_spearman"}
        assert all(
            report["parts"]["all"]["measures"][name] == plain["parts"]["all"]["measures"][name] for name in names
        )
    quiet = run("eval", "-q", tmp_path / "in.jsonl", "--stars-field", "s").stderr.decode()
    assert quiet.count(": the stars are ") == 1 and "6 bad stars; the first: " in quiet
    result = run("eval", tmp_path / "in.jsonl", "--stars-field", "s")
    said = result.stderr.decode()
    assert result.returncode == 1
    assert "stars of 9 reviews from -3 to 11; 6 are no number from 1 to 10" in said
    assert 'in.jsonl:5: the stars are "many", and must be a number from 1 to 10' in said
    assert said.count(": the stars are ") == 6
    assert (
        "11 labelled reviews, 0 failed, 0 without a label left out, 6 bad stars"
        in run("eval", tmp_path / "in.jsonl", "--stars-field", "s").stdout.decode()
    )


def test_only_the_first_bad_stars_are_told_one_by_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(labelled([i % 2 for i in range(30)], s=[9, *["?"] * 29]))
    said = run("eval", tmp_path / "in.jsonl", "--stars-field", "s").stderr.decode()
    assert said.count(": the stars are ") == 10 and "and 19 more bad stars" in said


def test_stars_of_reviews_without_a_label_do_not_count(run: Run, tmp_path: Path) -> None:
    data = labelled([1, 0, -1, None, "unsup"], s=[9, 2, 77, "x", 0])
    for stdin in (False, True):
        report = report_of(run, tmp_path, data, "--stars-field", "s", stdin=stdin)
        assert report["stars"] == {"reviews": 2, "bad": 0, "low": 2, "high": 9, "scale": None, "withheld": False}


@pytest.mark.parametrize("stdin", [False, True], ids=["file", "stdin"])
def test_stars_up_to_five_are_withheld_until_their_scale_is_known(run: Run, tmp_path: Path, stdin: bool) -> None:
    data = labelled([0, 0, 1, 1, 1, 0], s=[1, 2, 3, 4, "5", ""])

    def report_and_words(*arguments: str, status: int = 0) -> tuple[dict[str, Any], str]:
        report = report_of(run, tmp_path, data, "--stars-field", "s", *arguments, status=status, stdin=stdin)
        result = run(
            "eval",
            "-q",
            "--stars-field",
            "s",
            *arguments,
            "-" if stdin else tmp_path / "in.jsonl",
            stdin=data if stdin else "",
        )
        return report, result.stderr.decode()

    report, said = report_and_words()
    assert "no stars are above 5" in said and "--stars-scale 1:5" in said
    assert report["stars"] == {"reviews": 5, "bad": 0, "low": 1, "high": 5, "scale": None, "withheld": True}
    assert rating_measures(report) == [None] * 3 and stars_of(report) == []
    assert report["parts"]["all"]["measures"]["accuracy"] is not None
    report, said = report_and_words("--max", "rating_mae=10", status=4)
    assert "--stars-scale" in report["gates"][0]["found"]

    report, said = report_and_words("--stars-scale", "1:5")
    assert said == "" and rating_measures(report)[0] is not None
    assert stars_of(report) == [1, 3.25, 5.5, 7.75, 10]
    report, said = report_and_words("--stars-scale", "1:10")
    assert said == "" and stars_of(report) == [1, 2, 3, 4, 5]
    report, said = report_and_words("--stars-scale", "0:4", status=1)
    assert report["stars"]["bad"] == 1 and stars_of(report) == [3.25, 5.5, 7.75, 10]
    assert "read as 0 to 4; 1 are no number from 0 to 4" in said


def test_the_range_of_stars_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(labelled([1, 0, 1], s=[8, 2.5, 9]))
    result = run("eval", tmp_path / "in.jsonl", "--stars-field", "s", "--report", tmp_path / "x.html")
    assert "eval: stars of 3 reviews from 2.5 to 9\n" in result.stderr.decode()
    assert "Stars of 3 reviews from 2.5 to 9." in (tmp_path / "x.html").read_text()


@pytest.mark.parametrize("value", ["5", "5:1", "1:1", "a:b", "1:", ":5", "1:5:9", "nan:5", "-inf:5"])
def test_a_scale_that_is_none_is_a_usage_error(run: Run, value: str) -> None:
    result = run("eval", f"--stars-scale={value}", stdin=labelled([0, 1]))
    assert result.returncode == 2
    assert "--stars-scale" in error_line(result) and "LOW:HIGH" in error_line(result)


def folder_of(tmp_path: Path, names: list[str]) -> Path:
    for i, name in enumerate(names):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(GOOD + " so" * i)
    return tmp_path / "data"


def test_stars_in_names_that_are_none(run: Run, tmp_path: Path) -> None:
    """Most numbers are out of range: they mean something else. A single one that is, is a mistake."""
    data = folder_of(tmp_path, ["pos/cv01_29590.txt", "pos/cv02_3.txt", "neg/cv03_14200.txt", "neg/cv04.txt"])
    result = run("eval", data, "--json", tmp_path / "eval.json")
    report = json.loads((tmp_path / "eval.json").read_text())
    assert result.returncode == 0 and report["stars"]["reviews"] == 0 and rating_measures(report) == [None] * 3
    assert "most numbers in the file names (3 to 29590) are not on the scale of stars" in result.stderr.decode()
    shutil.rmtree(data)
    data = folder_of(tmp_path, ["pos/0_9.txt", "pos/1_11.txt", "neg/0_2.txt"])
    result = run("eval", data, "--json", tmp_path / "eval.json")
    report = json.loads((tmp_path / "eval.json").read_text())
    assert result.returncode == 1 and report["stars"]["bad"] == 1 and stars_of(report) == [2, 9]
    assert "pos/1_11.txt: the stars are 11" in result.stderr.decode()


def test_bad_stars_are_a_failed_case_of_junit(run: Run, tmp_path: Path) -> None:
    for stars, failures in (([9, 2], "0"), ([9, "x"], "1")):
        run("eval", "--stars-field", "s", "--junit", tmp_path / "x.xml", stdin=labelled([1, 0], s=stars))
        suite = ElementTree.parse(tmp_path / "x.xml").getroot()
        assert (suite.get("tests"), len(suite), suite.get("failures")) == ("3", 3, failures)
        assert [case.get("name") for case in suite if case.find("failure") is not None] == [
            "every review's stars are read"
        ] * int(failures)


def test_a_field_of_stars_that_no_record_has(run: Run, tmp_path: Path) -> None:
    result = run("eval", "-q", "--stars-field", "starz", stdin=labelled([1, 0], stars=[9, 2]))
    assert result.returncode == 1
    assert '"starz"' in result.stderr.decode()


# Other files than labelled reviews


@pytest.fixture
def predictions(run: Run, tmp_path: Path) -> dict[str, bytes]:
    data = labelled([1, 0, 1, 0])
    return {form: run("-f", form, stdin=data).stdout for form in ("jsonl", "csv", "tsv")} | {
        "full": run("--pass", "label,text", stdin=data).stdout
    }


def one_line(result: Result) -> str:
    assert (result.returncode, result.stdout) == (1, b"")
    return error_line(result)


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv"])
def test_predictions_without_reviews_are_refused_in_a_line(
    run: Run, tmp_path: Path, damaged: Path, predictions: dict[str, bytes], form: str
) -> None:
    path = tmp_path / f"out.{form}"
    path.write_bytes(predictions[form])
    assert "holds predictions" in one_line(run("eval", "-m", damaged, path)) or "are predictions" in one_line(
        run("eval", "-m", damaged, path)
    )


def test_predictions_through_stdin_are_refused_in_a_line(run: Run, predictions: dict[str, bytes]) -> None:
    assert "are predictions" in one_line(run("eval", "-q", stdin=predictions["jsonl"]))


@pytest.mark.parametrize("stdin", [False, True], ids=["file", "stdin"])
def test_the_label_of_a_prediction_is_not_taken_for_the_truth(
    run: Run, tmp_path: Path, predictions: dict[str, bytes], stdin: bool
) -> None:
    (tmp_path / "out.jsonl").write_bytes(predictions["full"])
    files = ["-"] if stdin else [tmp_path / "out.jsonl"]
    data = predictions["full"] if stdin else b""
    assert "--label-field, such as input_label" in one_line(run("eval", *files, stdin=data))
    assert run("eval", *files, "--label-field", "input_label", stdin=data).returncode == 0


def test_its_own_report_is_refused_in_a_line(run: Run, tmp_path: Path) -> None:
    report_of(run, tmp_path, labelled([1, 0]))
    assert "holds a report of eval --json" in one_line(run("eval", tmp_path / "eval.json"))


def test_a_baseline_that_holds_predictions_is_named_so(run: Run, tmp_path: Path, predictions: dict[str, bytes]) -> None:
    (tmp_path / "out.jsonl").write_bytes(predictions["jsonl"])
    result = run("eval", "--baseline", tmp_path / "out.jsonl", stdin=labelled([1, 0]))
    assert result.returncode == 3
    assert "is no report of reviewrate eval: it holds predictions" in error_line(result)


def test_that_most_reviews_failed_is_told(run: Run, tmp_path: Path) -> None:
    for broken, words in ((1, None), (3, "most reviews failed, 3 of 5"), (5, None)):
        result = run("eval", "-q", stdin=labelled([1, 0]) + "{broken\n" * broken)
        assert result.returncode == 1
        assert ("most reviews failed" in result.stderr.decode()) == (broken > 2)
        assert words is None or words in result.stderr.decode()
    assert "no review could be classified" in run("eval", "-q", stdin='{"text": 5, "label": 1}\n' * 3).stderr.decode()
