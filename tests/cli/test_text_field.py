"""The text's field finds itself, and may be several together."""

import json
from pathlib import Path

import pytest

from conftest import Run, error_line, records

USUAL = ["review", "Review", "reviewText", "REVIEW_TEXT", "content", "body", "Comment", "Text"]


def tokens(run: Run, *words: str | Path, **options: object) -> list[int]:
    result = run(*words, "-q", **options)
    assert result.returncode == 0, result.stdout.decode()
    return [record["tokens"] for record in records(result)]


@pytest.mark.parametrize("name", USUAL)
@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
def test_the_only_usual_name_is_taken_and_told_once(run: Run, tmp_path: Path, name: str, form: str) -> None:
    delimiter = "\t" if form == "tsv" else ","
    data = f"stars{delimiter} {name} \n5{delimiter}a good film\n" * (form != "jsonl")
    data = data or (json.dumps({"stars": 5, name: "a good film"}) + "\n") * 2
    for file in ("a", "b"):
        (tmp_path / f"{file}.{form}").write_text(data)
    result = run(f"a.{form}", f"b.{form}", cwd=tmp_path)
    assert result.returncode == 0 and {record["tokens"] for record in records(result)} == {5}
    assert result.stderr.decode().count(f'the text is taken from "{name}"; --text-field says otherwise') == 1


def test_text_wins_and_nothing_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("review,text\na,a good film\n")
    result = run("a.csv", cwd=tmp_path)
    assert records(result)[0]["tokens"] == 5 and b"is taken from" not in result.stderr


@pytest.mark.parametrize("names", [["review", "comment"], ["Text", "body"], ["summary", "stars"]], ids=str)
def test_what_cannot_be_told_lists_the_names_and_the_option(run: Run, tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "a.csv").write_text(",".join(names) + "\na,b\n")
    (tmp_path / "a.jsonl").write_text(json.dumps(dict.fromkeys(names, "a")) + "\n")
    for file in ("a.csv", "a.jsonl"):
        result = run(file, "-q", cwd=tmp_path)
        message = records(result)[0]["error"]["message"]
        assert result.returncode == 1
        assert "--text-field" in message and all(f'"{name}"' in message for name in names)


def test_a_name_that_was_asked_for_is_not_replaced(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("review,stars\na,b\n")
    result = run("a.csv", "--text-field", "comment", "-q", cwd=tmp_path)
    assert 'no column "comment"; the columns are: "review", "stars"' in error_line(result)


def test_it_is_decided_once_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"review": "a good film"}\n{"body": "so"}\n{"review": "so"}\n')
    (tmp_path / "b.jsonl").write_text('{"body": "so"}\n')
    result = run("a.jsonl", "b.jsonl", "-q", cwd=tmp_path)
    assert [record.get("tokens") for record in records(result)] == [5, None, 3, 3]
    message = records(result)[1]["error"]["message"]
    assert 'no field "review", which the text is taken from; the fields are: "body"' in message


@pytest.mark.parametrize("other", ["text", "body"])
def test_a_later_record_with_another_usual_name_is_not_rated(run: Run, tmp_path: Path, other: str) -> None:
    own = {"comment": "staff: refund issued"}
    (tmp_path / "a.jsonl").write_text(json.dumps(own) + "\n" + json.dumps(own | {other: "a good film"}) + "\n")
    result = run("a.jsonl", "-q", cwd=tmp_path)
    first, second = records(result)
    assert result.returncode == 1 and "label" in first and second["error"]["kind"] == "field"
    assert f'has a field "{other}", but the text is taken from "comment"' in second["error"]["message"]
    assert run("a.jsonl", "-q", "--text-field", "comment", cwd=tmp_path).returncode == 0


def test_by_content_as_well(run: Run) -> None:
    assert tokens(run, stdin='{"review": "a good film", "n": 1}\n') == [5]
    assert tokens(run, stdin="stars;review\n5;a good film\n") == [5]


def test_eval_reads_labels_beside_it(run: Run, tmp_path: Path) -> None:
    rows = "".join(json.dumps({"review": f"a good film {i}", "label": i % 2}) + "\n" for i in range(6))
    (tmp_path / "a.jsonl").write_text(rows)
    assert run("eval", "a.jsonl", "--json", "e.json", cwd=tmp_path).returncode == 0
    assert json.loads((tmp_path / "e.json").read_text())["input"]["labelled"] == 6


def test_several_fields_together(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("title,stars,body\ngood,5,a film\n,5,a film\n")
    (tmp_path / "a.jsonl").write_text(
        '{"title": "good", "body": "a film"}\n{"body": "a film"}\n{"title": null, "body": "a film"}\n{"n": 1}\n'
    )
    assert tokens(run, "a.csv", "--text-field", "title,body", cwd=tmp_path) == [5, 4]
    result = run("tokenize", "a.csv", "--text-field", "body,title", cwd=tmp_path)
    assert records(result)[0]["tokens"][1:-1] == ["a", "film", "good"]  # in the order asked for
    result = run("a.jsonl", "--text-field", "title,body", cwd=tmp_path)
    assert [record.get("tokens") for record in records(result)] == [5, 4, 4, None]
    (tmp_path / "b.csv").write_text('"title,body",title,body\nso,good,a film\n')
    assert tokens(run, "b.csv", "--text-field", "title,body", cwd=tmp_path) == [3]  # a field of that very name
    result = run("a.csv", "--text-field", "title,text", "-q", cwd=tmp_path)
    assert 'no column "title,text"; the columns are: "title", "stars", "body"' in error_line(result)
    (tmp_path / "c.jsonl").write_text('{"title": 5, "body": "a film"}\n')
    assert records(run("c.jsonl", "--text-field", "title,body", cwd=tmp_path))[0]["error"]["kind"] == "type"


def test_annotated_with_the_text_that_was_found(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("stars,review\n5,a good film\n")
    assert run("a.csv", "--annotate", "-o", "b.csv", cwd=tmp_path).returncode == 0
    assert run("b.csv", "--annotate", "--prefix", "m_", "-o", "c.csv", cwd=tmp_path).returncode == 0
    assert (tmp_path / "c.csv").read_text().startswith("stars,review,id,label,")
