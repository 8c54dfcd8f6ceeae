"""--annotate: a table or a file of records comes back whole, with the program's own columns behind its own."""

import csv
import gzip
import io
import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from conftest import BINARY, PATIENCE, TINY, Result, Run, error_line

OURS = ["score", "p_positive", "rating", "tokens", "truncated", "windows", "repaired", "error_kind", "error_message"]
TABLE = 'user, review ,stars,note\nann,"a good film, really",9,\nbob,"not a\ngood film",02.50,"say ""no"""\n'


def rows(text: bytes | str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text if isinstance(text, str) else text.decode()), delimiter=delimiter))


def well(result: Result) -> bytes:
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout


def test_a_table_keeps_its_columns_and_cells(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(TABLE)
    well(run("in.csv", "--text-field", "review", "--annotate", "-o", "out.csv", cwd=tmp_path))
    before, after = rows(TABLE), rows((tmp_path / "out.csv").read_text())
    assert after[0] == [*before[0], "id", "label", *OURS]
    assert [row[:4] for row in after] == before
    plain = [json.loads(line) for line in well(run("in.csv", "--text-field", "review", cwd=tmp_path)).splitlines()]
    for row, record in zip(after[1:], plain, strict=True):
        assert row[4:6] == [record["id"], record["label"]] and float(row[7]) == record["p_positive"]


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_tables_in_both_forms(run: Run, tmp_path: Path, delimiter: str) -> None:
    name = "in.csv" if delimiter == "," else "in.tsv"
    (tmp_path / name).write_text(delimiter.join(["id", "text"]) + "\n" + delimiter.join(["7", "a good film"]) + "\n")
    for form, separator in (("csv", ","), ("tsv", "\t")):
        after = rows(well(run(name, "--annotate", "-f", form, cwd=tmp_path)), separator)
        assert after[0] == ["id", "text", "label", *OURS] and after[1][:2] == ["7", "a good film"]


def test_records_keep_their_fields_and_spellings(run: Run) -> None:
    line = '{"n": 1.50e2, "big": 12345678901234567890, "text": "a good film", "deep": {"a": [1.0, null]}, "id": "x"}'
    result = run("--annotate", stdin=line + "\n").stdout.decode()
    assert result.startswith(
        '{"n": 1.50e2, "big": 12345678901234567890, "text": "a good film", "deep": {"a":[1.0,null]}, "id": "x", '
        '"label": "'
    )
    assert list(json.loads(result)) == ["n", "big", "text", "deep", "id", "label", *OURS[:6]]
    lines = [json.loads(one) for one in run("--annotate", stdin="a good film\nso\n").stdout.splitlines()]
    assert [(one["text"], one["id"]) for one in lines] == [("a good film", "-:1"), ("so", "-:2")]


def test_columns_choose_and_order(run: Run) -> None:
    table = "text,stars\na good film,3\n"
    words = ["--annotate", "--input-format", "csv", "--columns", "rating,label"]
    after = rows(well(run(*words, "-f", "csv", stdin=table)))
    assert after[0] == ["text", "stars", "rating", "label", "error_kind", "error_message"]
    assert list(json.loads(run(*words, stdin=table).stdout)) == ["text", "stars", "rating", "label"]
    result = run("--annotate", "--columns", "rating,stars", stdin=table)
    assert result.returncode == 2 and "stars" in error_line(result)


@pytest.mark.parametrize("words", [["--columns", "label"], ["--prefix", "a_"], ["--annotate", "--pass", "x"]], ids=str)
def test_what_does_not_go_together(words: list[str], run: Run) -> None:
    assert run(*words, stdin="so\n").returncode == 2
    assert run("--annotate", "-f", "text", stdin="so\n").returncode == 2


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
def test_a_name_that_is_taken_is_told_before_anything_is_written(run: Run, tmp_path: Path, form: str) -> None:
    (tmp_path / "in.csv").write_text("text,label\na good film,1\n")
    (tmp_path / f"out.{form}").write_text("precious")
    result = run("in.csv", "--annotate", "-o", f"out.{form}", cwd=tmp_path)
    assert result.returncode == 2 and '"label"' in error_line(result) and "--prefix" in error_line(result)
    assert (tmp_path / f"out.{form}").read_text() == "precious"
    well(run("in.csv", "--annotate", "--prefix", "m_", "-o", f"out.{form}", cwd=tmp_path))
    assert "m_label" in (tmp_path / f"out.{form}").read_text()
    well(run("in.csv", "--annotate", "--columns", "rating", "-o", f"out.{form}", cwd=tmp_path))


def test_two_runs_in_a_row(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text,stars\na good film,3\n")
    well(run("in.csv", "--annotate", "-o", "one.csv", cwd=tmp_path))
    well(run("one.csv", "--annotate", "--prefix", "again_", "-o", "two.csv", cwd=tmp_path))
    one, two = rows((tmp_path / "one.csv").read_text()), rows((tmp_path / "two.csv").read_text())
    assert two[0] == one[0] + [f"again_{name}" for name in ["label", *OURS]]
    assert two[1][: len(one[0])] == one[1] and two[1][len(one[0]) :] == one[1][3:]
    assert run("diff", "one.csv", "one.csv", cwd=tmp_path).returncode == 0


def test_failed_rows_keep_their_cells(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,text\n1,a good film\n2,so,too many\n3,so\n")
    result = run("in.csv", "--annotate", "-f", "csv", "--max-review-bytes", "5", cwd=tmp_path)
    assert result.returncode == 1
    table = rows(result.stdout)
    kind = table[0].index("error_kind")
    assert [(row[0], row[1], row[kind]) for row in table[1:]] == [
        ("1", "a good film", "size"),
        ("", "", "columns"),
        ("3", "so", ""),
    ]
    record = json.loads(run("--annotate", "--prefix", "m_", stdin='{"text": 5, "x": 1}\n').stdout)
    assert list(record) == ["text", "x", "id", "m_error"] and record["m_error"]["kind"] == "type"


def test_later_tables_have_the_same_columns(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,stars\na good film,3\n")
    (tmp_path / "b.csv").write_text("stars,text\n4,so\n")  # another order
    (tmp_path / "c.csv").write_text("text,stars,more\nso,1,2\nso,1,2\n")
    (tmp_path / "d.csv").write_text("text\nso\n")
    result = run("a.csv", "b.csv", "c.csv", "d.csv", "--annotate", "-f", "csv", cwd=tmp_path)
    table = rows(result.stdout)
    assert result.returncode == 1
    assert [row[:2] for row in table[1:]] == [["a good film", "3"], ["so", "4"], ["", ""], ["", ""]]
    kind = table[0].index("error_kind")
    assert [row[kind] for row in table[1:]] == ["", "", "columns", "columns"]
    assert 'c.csv: "more" is none of' in table[3][kind + 1] and 'no column "stars"' in table[4][kind + 1]
    assert run("a.csv", "c.csv", "d.csv", "--annotate", cwd=tmp_path).returncode == 0  # records need not be alike


def test_records_that_become_a_table(run: Run) -> None:
    source = '{"text": "so", "a": 1}\n{"text": "so"}\n{"text": "so", "b": 2}\n{"a": null, "text": "so"}\n'
    table = rows(run("--annotate", "-f", "csv", stdin=source).stdout)
    kind = table[0].index("error_kind")
    assert table[0][:3] == ["text", "a", "id"]
    assert [(row[1], row[kind]) for row in table[1:]] == [("1", ""), ("", ""), ("", "columns"), ("", "")]


def test_a_later_record_with_a_taken_name_is_an_error_record(run: Run) -> None:
    result = run("--annotate", stdin='{"text": "so"}\n{"text": "so", "rating": 5}\n')
    first, second = map(json.loads, result.stdout.splitlines())
    assert result.returncode == 1 and first["rating"] and second["error"]["kind"] == "columns"
    assert "--prefix" in second["error"]["message"] and "rating" not in second


def test_a_table_without_rows_stays_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text,stars\n")
    table = rows(well(run("in.csv", "--annotate", "-f", "csv", cwd=tmp_path)))
    assert len(table) == 1 and table[0][:3] == ["text", "stars", "id"]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_interrupted_annotation_goes_on(run: Run, tmp_path: Path, form: str) -> None:
    lines = "".join(f'{i},"a good, film {"really " * (i % 7)}",x{i}\n' for i in range(3000))
    (tmp_path / "in.csv").write_text("id,text,more\n" + lines)
    command = ["in.csv", "--annotate", "--resume", "-j", "1", "-o"]
    well(run(*command, f"whole.{form}", cwd=tmp_path))
    process = subprocess.Popen([BINARY, "-m", str(TINY), *command, f"out.{form}"], cwd=tmp_path, stderr=subprocess.PIPE)
    out = tmp_path / f"out.{form}"
    while process.poll() is None and (not out.exists() or out.stat().st_size < 20000):
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    if process.returncode == 0:
        pytest.fail("it ended before it could be killed")
    cut = out.read_bytes()
    out.write_bytes(cut[: cut.rfind(b"\n") + 1] + (b'5,"half' if form == "csv" else b'{"id": "5", "te'))
    well(run(*command, f"out.{form}", cwd=tmp_path))
    assert out.read_bytes() == (tmp_path / f"whole.{form}").read_bytes()


# The form follows the name of the output


@pytest.mark.parametrize(
    ("name", "words", "form"),
    [
        ("a.csv", [], "csv"),
        ("a.TSV", [], "tsv"),
        ("a.jsonl", [], "jsonl"),
        ("a.txt", [], "jsonl"),
        ("a", [], "jsonl"),
        ("a.json", [], "jsonl"),
        ("a.csv", ["-f", "jsonl"], "jsonl"),
        ("a.jsonl", ["-f", "tsv"], "tsv"),
    ],
)
def test_the_form_of_a_name(run: Run, tmp_path: Path, name: str, words: list[str], form: str) -> None:
    well(run("-t", "a good film", "-o", name, *words, cwd=tmp_path))
    expected = well(run("-t", "a good film", "-f", form))
    assert (tmp_path / name).read_bytes() == expected


def decompressed(path: Path) -> bytes:
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    zstd = shutil.which("zstd")
    assert zstd, "needs zstd"
    return subprocess.run([zstd, "-dcq", path], check=True, capture_output=True).stdout


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz", "a.csv.zst", "a.gz"])
def test_compressed_output(run: Run, tmp_path: Path, name: str) -> None:
    lines = "".join(f"a good film {i}\n" for i in range(2000))
    well(run("-o", name, "-j", "1", stdin=lines, cwd=tmp_path))
    expected = well(run("-f", "csv" if ".csv" in name else "jsonl", "-j", "1", stdin=lines))
    assert decompressed(tmp_path / name) == expected
    assert (tmp_path / name).stat().st_size < len(expected) / 2
    assert run("diff", name, name, cwd=tmp_path).returncode == 0  # and it is read again
    assert list(tmp_path.glob("*.resume")) == []


def test_what_cannot_be_compressed_or_gone_on_with(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("so\n")
    result = run("in.txt", "-o", "a.csv.gz", "--resume", cwd=tmp_path)
    assert result.returncode == 2 and "compressed" in error_line(result)
    for name in ("a.csv.xz", "a.bz2", "a.zip"):
        result = run("in.txt", "-o", name, cwd=tmp_path)
        assert result.returncode == 2 and ".gz or .zst" in error_line(result)
        assert not (tmp_path / name).exists()


def test_an_interrupted_compressed_output_is_whole(tmp_path: Path) -> None:
    process: subprocess.Popen[Any] = subprocess.Popen(
        [BINARY, "-m", str(TINY), "-o", "a.jsonl.gz"], cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(b"a good film\nso\n")
    process.stdin.flush()
    while not (tmp_path / "a.jsonl.gz").exists():
        pass
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert len(decompressed(tmp_path / "a.jsonl.gz").splitlines()) == 2


def test_parquet_is_not_compressed_as_a_whole(run: Run, tmp_path: Path) -> None:
    result = run("-t", "a film", "-o", "rated.parquet.gz", cwd=tmp_path)
    assert result.returncode == 2 and "rated.parquet.gz: Parquet is compressed in itself" in error_line(result)
    assert list(tmp_path.iterdir()) == []
