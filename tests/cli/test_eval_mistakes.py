"""eval --mistakes: the reviews where label and model disagree, the surest first."""

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conftest import BINARY, PATIENCE, TINY, Run, error_line, records


def write_reviews(path: Path, count: int = 60) -> None:
    with path.open("w") as file:
        for i in range(count):
            text = " ".join(
                ("good", "bad", "film", "plot", "not", "ever")[(i * k + k) % 6] for k in range(1, 4 + i % 9)
            )
            record = {"id": i if i % 2 else f"r{i}", "text": text + " ü" * (i % 3), "label": i % 2, "stars": 1 + i % 10}
            file.write(json.dumps(record) + "\n")


def expected(run: Run, path: Path, threshold: float = 0.5) -> list[dict[str, Any]]:
    """The mistakes by the records of classify."""
    found = []
    for row in records(run(path, "--pass", "label,text,stars", "--threshold", str(threshold))):
        label = "POSITIVE" if row["input_label"] else "NEGATIVE"
        if row["label"] != label:
            found.append(
                {
                    "id": row["id"],
                    "label": label,
                    "predicted": row["label"],
                    "p_positive": row["p_positive"],
                    "stars": row["stars"],
                    "tokens": row["tokens"],
                    "text": row["text"],
                }
            )
    return sorted(found, key=lambda m: -max(m["p_positive"], 1 - m["p_positive"]))


@pytest.mark.parametrize("threshold", [0.5, 0.52])
def test_all_mistakes_are_written_the_surest_first(run: Run, tmp_path: Path, threshold: float) -> None:
    write_reviews(tmp_path / "in.jsonl")
    options = ["--stars-field", "stars", "--threshold", str(threshold)]
    result = run("eval", tmp_path / "in.jsonl", *options, "--mistakes", tmp_path / "m.jsonl")
    assert result.returncode == 0, result.stderr.decode()
    found = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert len(found) > 20  # more than the report shows
    assert found == expected(run, tmp_path / "in.jsonl", threshold)
    assert b"surest" not in result.stdout  # that is for a terminal
    again = run("eval", tmp_path / "m.jsonl", "--json", "-", "--threshold", str(threshold))
    measures = json.loads(again.stdout)["parts"]["all"]["measures"]
    assert measures["accuracy"] == 0  # the file is one of labelled reviews
    plain = run("eval", tmp_path / "in.jsonl", *options, "--json", tmp_path / "plain.json")
    noted = run(
        "eval", tmp_path / "in.jsonl", *options, "--json", tmp_path / "noted.json", "--mistakes", tmp_path / "m.jsonl"
    )
    assert plain.returncode == noted.returncode == 0
    reports = [json.loads((tmp_path / name).read_text()) for name in ("plain.json", "noted.json")]
    assert reports[0]["mistakes"] == reports[1]["mistakes"] and len(reports[0]["mistakes"]) == 20


def test_mistakes_of_predictions_and_on_stdout(run: Run, tmp_path: Path) -> None:
    write_reviews(tmp_path / "in.jsonl")
    (tmp_path / "p.jsonl").write_bytes(run(tmp_path / "in.jsonl", "--pass", "label").stdout)
    options = ["--stars-field", "stars", "--predictions", tmp_path / "p.jsonl", "--mistakes", "-"]
    result = run("eval", tmp_path / "in.jsonl", *options)
    assert result.returncode == 0, result.stderr.decode()
    ours = records(result)
    assert ours == expected(run, tmp_path / "in.jsonl")
    result = run("eval", "--predictions", tmp_path / "p.jsonl", "--mistakes", "-")
    assert result.returncode == 2 and "texts are not taken from predictions" in error_line(result)


def test_what_cannot_be_written_is_refused(run: Run, tmp_path: Path) -> None:
    write_reviews(tmp_path / "in.jsonl", 4)
    for name in ("m.csv", "m.jsonl.gz"):
        result = run("eval", tmp_path / "in.jsonl", "--mistakes", tmp_path / name)
        assert result.returncode == 2 and "is written as plain jsonl" in error_line(result)
    result = run("eval", "--mistakes", tmp_path / "m.jsonl", stdin=(tmp_path / "in.jsonl").read_bytes())
    assert result.returncode == 2 and "--mistakes: stdin cannot be read a second time" in error_line(result)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.jsonl"]


def test_a_terminal_shows_the_first_five(run: Run, tmp_path: Path) -> None:
    write_reviews(tmp_path / "in.jsonl")
    with (tmp_path / "in.jsonl").open("a") as file:
        file.write(
            json.dumps({"id": "evil\x1b[2J", "text": "bad \x1b[31m " + "film " * 300, "label": 1, "stars": 2}) + "\n"
        )
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [BINARY, "eval", "-q", "-m", TINY, tmp_path / "in.jsonl", "--stars-field", "stars"],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    ) as program:
        os.close(theirs)
        said = b""
        while True:
            try:
                more = os.read(ours, 65536)
            except OSError:
                break
            if not more:
                break
            said += more
        assert program.wait(PATIENCE) == 0
    os.close(ours)
    shown = said.decode().replace("\r", "").partition("The surest of ")[2]
    mistakes = expected(run, tmp_path / "in.jsonl")
    heads = [line for line in shown.splitlines()[1:] if line and not line.startswith(" ")]
    assert shown.startswith(f"{len(mistakes)} mistakes") and "\x1b" not in shown
    assert len(heads) == 5
    for head, mistake in zip(heads, mistakes, strict=False):
        p = mistake["p_positive"] if mistake["predicted"] == "POSITIVE" else 1 - mistake["p_positive"]
        stars = "" if mistake["stars"] is None else f", stars {mistake['stars']}"
        if "\x1b" not in str(mistake["id"]):
            assert head == f"{mistake['id']}  label {mistake['label']}{stars}; model {mistake['predicted']} {p:.4f}"


@pytest.mark.parametrize("unit", ["sentences", "words"])
def test_mistakes_are_explained_as_classify_does(run: Run, tmp_path: Path, unit: str) -> None:
    write_reviews(tmp_path / "in.jsonl")
    result = run("eval", tmp_path / "in.jsonl", "--explain", unit, "--mistakes", tmp_path / "m.jsonl")
    assert result.returncode == 0, result.stderr.decode()
    found = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    rows = {row["id"]: row for row in records(run(tmp_path / "in.jsonl", "--explain", unit))}
    assert len(found) > 20
    assert [m["explanation"] for m in found] == [rows[m["id"]]["explanation"] for m in found]
    again = run("eval", tmp_path / "m.jsonl", "--json", "-")
    assert json.loads(again.stdout)["parts"]["all"]["measures"]["accuracy"] == 0


def test_only_mistakes_are_explained(run: Run, tmp_path: Path) -> None:
    write_reviews(tmp_path / "in.jsonl")
    assert "--mistakes" in error_line(run("eval", tmp_path / "in.jsonl", "--explain", "words"))
