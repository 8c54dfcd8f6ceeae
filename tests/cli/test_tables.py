"""Tables as people have them: quotes that stray, other delimiters, headers with a twist. No row goes unsaid."""

import csv
import random
from pathlib import Path
from typing import Literal

import pytest

from conftest import Run, error_line, records

STRAY = (
    'id{0}text{0}stars\n1{0}a fine little film{0}9\n2{0}"far too long{0}2\n3{0}made with care{0}8\n4{0}flat{0}3\n'
    '5{0}a real "gem"{0}2\n6{0}again please{0}10\n'
)


@pytest.mark.parametrize(("name", "delimiter"), [("a.tsv", "\t"), ("a.csv", ",")])
def test_a_stray_quote_costs_one_row(name: str, delimiter: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / name).write_text(STRAY.format(delimiter))
    result = run(name, "--pass", "stars", cwd=tmp_path)
    assert result.returncode == 1
    found = records(result)
    assert [record["id"] for record in found] == ["1", f"{name}:3", "3", "4", "5", "6"]
    assert [record.get("stars") for record in found] == ["9", None, "8", "3", "2", "10"]
    assert found[1]["error"]["kind"] == "quote"
    assert "the quote in line 3 closes in line 6" in found[1]["error"]["message"]
    raw = run(name, "--pass", "stars", "--no-quoting", cwd=tmp_path)
    assert raw.returncode == 0
    assert [record["stars"] for record in records(raw)] == ["9", "2", "8", "3", "2", "10"]


def test_rows_that_quotes_may_have_joined_are_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,text,stars\n1,"small,2\n2,dull,3\n3,only 18",4\n4,fine,5\n')
    result = run("a.csv", "-q", cwd=tmp_path)
    assert [record["id"] for record in records(result)] == ["1", "4"]
    assert "lines 2 to 4" in error_line(result)


@pytest.mark.parametrize("beginning", ["", "\ufeff", "sep=;\r\n", "\ufeffsep=;\r\n", "\ufeff\ufeff"])
def test_semicolons_as_excel_writes_them(beginning: str, run: Run, tmp_path: Path) -> None:
    table = 'Day;Review Text;Stars\r\n3.5.;"Well done;\r\nso warm";4,5\r\n4.5.;Dull, sadly;2\r\n'
    (tmp_path / "a.csv").write_bytes((beginning + table).encode())
    arguments = ("a.csv", "--text-field", "Review Text", "--pass", "Stars", "-q")
    result = run(*arguments, cwd=tmp_path)
    assert (result.returncode, [record["Stars"] for record in records(result)]) == (0, ["4,5", "2"])
    if "sep" in beginning:
        assert result.stderr == b""
    else:
        assert "a semicolon separates the cells" in error_line(result)
    named = run(*arguments, "--delimiter", ";", cwd=tmp_path)
    assert (named.stdout, named.stderr) == (result.stdout, b"")


@pytest.mark.parametrize(
    ("word", "character"),
    [
        ("comma", ","),
        ("semicolon", ";"),
        ("tab", "\t"),
        (r"\t", "\t"),
        ("bar", "|"),
        ("pipe", "|"),
        ("space", " "),
        ("^", "^"),
        ("|", "|"),
        (",", ","),
        ("x", "x"),
        ("\t", "\t"),
    ],
)
def test_delimiter_words_and_characters(word: str, character: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(f"id{character}body\n1{character}fine\n")
    found = records(run("a.tsv", "--delimiter", word, "--text-field", "body", "--pass", "body", cwd=tmp_path))
    assert [(record["id"], record["body"]) for record in found] == [("1", "fine")]


@pytest.mark.parametrize("character", [",", ";", "\t", "|"])
def test_delimiter_auto(character: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"1{character}fine film{character}5\n")
    result = run("a.csv", "--no-header", "--text-field", "2", "--delimiter", "auto", "--pass", "3", cwd=tmp_path)
    assert [record["3"] for record in records(result)] == ["5"]


@pytest.mark.parametrize("option", ["--delimiter", "--escape"])
@pytest.mark.parametrize("value", ["", "ab", '"', "\n", "§", "semikolon"])
def test_what_can_be_no_delimiter(option: str, value: str, run: Run) -> None:
    result = run(f"{option}={value}", "-t", "x")
    assert result.returncode == 2
    assert f"{option}: " in result.stderr.decode()
    assert ("must be one ASCII character" if value else "is empty") in result.stderr.decode()


def test_escape_and_delimiter_differ(run: Run) -> None:
    for arguments in (["--escape", ";", "--delimiter", ";"], ["--delimiter", "semicolon", "--escape", ";"]):
        result = run(*arguments, "-t", "x")
        assert result.returncode == 2
        assert "is the delimiter, too" in result.stderr.decode()


def test_a_missing_column_shows_the_others_with_their_blanks(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id, Review ,stars\n1,x,2\n")
    result = run("a.csv", "--text-field", "body", cwd=tmp_path)
    assert result.returncode == 1
    assert records(result)[0]["error"]["message"] == (
        'a.csv: there is no column "body"; the columns are: "id", " Review ", "stars" (--text-field names one)'
    )
    assert [record["id"] for record in records(run("a.csv", "--text-field", "Review", cwd=tmp_path))] == ["1"]


def test_a_column_name_that_comes_twice(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text,stars,stars\n1,fine,2,3\n")
    result = run("a.csv", "--pass", "*", "-q", cwd=tmp_path)
    assert [(record["stars"], record["stars_2"]) for record in records(result)] == [("2", "3")]
    assert 'the column "stars" comes twice' in error_line(result)
    refused = run("a.csv", "--text-field", "stars", cwd=tmp_path)
    assert refused.returncode == 1
    assert 'the column "stars" comes twice' in records(refused)[0]["error"]["message"]


def test_a_header_that_comes_again(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,one\nid,text\n2,two\nid,text\n3,three\n")
    result = run("a.csv", "-q", cwd=tmp_path)
    assert (result.returncode, [record["id"] for record in records(result)]) == (0, ["1", "2", "3"])
    assert "the header comes again in line 3" in error_line(result)


def test_rows_of_another_length_are_errors(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text,stars\n1,one,1\n2,two\n3,three,3,three\n4,four,4\n")
    result = run("a.csv", cwd=tmp_path)
    assert result.returncode == 1
    found = [record.get("error", {}).get("message", record["id"]) for record in records(result)]
    assert found == [
        "1",
        "a.csv:3: the row has 2 cells, but there are 3 columns",
        "a.csv:4: the row has 4 cells, but there are 3 columns",
        "4",
    ]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE])
def test_escapes_as_python_reads_them(quoting: Literal[0, 1, 3], run: Run, tmp_path: Path) -> None:
    rng = random.Random(quoting)
    alphabet = ["a", " ", ",", ";", '"', "\\", "\n", "é"]
    path = tmp_path / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=quoting, escapechar="\\", doublequote=False, lineterminator="\n")
        writer.writerow(["id", "text"])
        for row in range(500):
            writer.writerow([row, "a" + "".join(rng.choice(alphabet) for _ in range(rng.randrange(12)))])
    with path.open(encoding="utf-8", newline="") as file:
        expected = list(csv.DictReader(file, quoting=quoting, escapechar="\\", doublequote=False))
    raw = ["--no-quoting"] if quoting == csv.QUOTE_NONE else []
    result = run(path, "--escape", "\\", "--pass", "text", *raw)
    assert result.returncode == 0
    assert [(record["id"], record["text"]) for record in records(result)] == [(r["id"], r["text"]) for r in expected]
