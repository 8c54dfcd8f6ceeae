"""Parquet and Arrow streams as outputs: columns with types, read back by pyarrow, DuckDB and Polars."""

import gzip
import io
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import BINARY, PATIENCE, TINY, Result, Run, error_line, records

INPUT = (
    '{"id": 7, "text": "a good film"}\n{"id": "x", "text": 5}\n{"text": "caf\u00e9"}\n'.encode()
    + b'{"text": "caf\xe9"}\n'
)
OWN = {
    "id": pa.string(),
    "label": pa.string(),
    "score": pa.float64(),
    "p_positive": pa.float64(),
    "rating": pa.int8(),
    "tokens": pa.int64(),
    "truncated": pa.bool_(),
    "windows": pa.int64(),
    "error": pa.struct([("kind", pa.string()), ("message", pa.string())]),
    "repaired": pa.int64(),
    "empty": pa.bool_(),
}


def stream_table(data: bytes) -> pa.Table:
    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()


def expected(lines: Result) -> list[dict[str, Any]]:
    """The jsonl records as rows with all columns."""
    absent = {"repaired": 0, "empty": False}
    return [
        {name: record.get(name, absent.get(name)) for name in OWN} | {"id": str(record["id"])}
        for record in records(lines)
    ]


def types(table: pa.Table) -> dict[str, pa.DataType]:
    return {field.name: field.type for field in table.schema}


def test_records_as_typed_columns(run: Run, tmp_path: Path) -> None:
    jsonl = run(stdin=INPUT)
    path = tmp_path / "rated.parquet"
    assert run("-o", path, stdin=INPUT).returncode == jsonl.returncode == 1
    table = pq.read_table(path)
    assert types(table) == OWN
    assert table.to_pylist() == expected(jsonl)
    assert sorted(tmp_path.iterdir()) == [path]
    assert duckdb.execute(f"SELECT id, rating FROM '{path}'").fetchall() == [
        (row["id"], row["rating"]) for row in expected(jsonl)
    ]
    assert polars.read_parquet(path).to_dicts() == expected(jsonl)
    piped = run("-f", "parquet", stdin=INPUT).stdout
    assert pq.read_table(io.BytesIO(piped)).equals(table)
    arrow = stream_table(run("-f", "arrow", stdin=INPUT).stdout)
    assert types(arrow) == OWN and arrow.to_pylist() == expected(jsonl)
    run("-o", tmp_path / "x.arrows", stdin=INPUT)
    assert stream_table((tmp_path / "x.arrows").read_bytes()).equals(arrow)


def test_an_input_without_records(run: Run) -> None:
    for form in ("parquet", "arrow"):
        result = run("-f", form, "--input-format", "csv", stdin="text\n")
        table = pq.read_table(io.BytesIO(result.stdout)) if form == "parquet" else stream_table(result.stdout)
        assert result.returncode == 0 and types(table) == OWN and table.num_rows == 0


@pytest.mark.parametrize("form", ["parquet", "arrows"])
def test_annotated_tables_keep_columns_and_types(run: Run, tmp_path: Path, form: str) -> None:
    point = pa.struct([("x", pa.float32()), ("when", pa.timestamp("ms", "UTC"))])
    table = pa.table(
        {
            "n": pa.array(range(1000), pa.uint16()),
            "text": pa.array([f"film {i}" if i % 7 else None for i in range(1000)], pa.large_string()),
            "kind": pa.array(["a", "b", None, "a"] * 250).dictionary_encode(),
            "point": pa.array([{"x": i / 3, "when": i * 1000} if i % 3 else None for i in range(1000)], point),
            "nan": pa.array([float("nan"), None] * 500),
            "bytes": pa.array([b"\xff\x00", None] * 500, pa.binary(2)),
            "list": pa.array([[i, None] for i in range(1000)], pa.list_(pa.int64())),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=300)
    out = tmp_path / f"out.{form}"
    assert run(tmp_path / "in.parquet", "--annotate", "-o", out).returncode == 1
    rated = pq.read_table(out) if form == "parquet" else stream_table(out.read_bytes())
    assert rated.column_names == [*table.column_names, *OWN]
    kept = rated.select(table.column_names)
    assert types(kept) == types(table)
    assert [repr(row) for row in kept.to_pylist()] == [repr(row) for row in table.to_pylist()]
    assert rated.column("rating").null_count == len([i for i in range(1000) if i % 7 == 0])
    only = run(tmp_path / "in.parquet", "--annotate", "--where", "n>990", "--columns", "rating", "-f", "arrow")
    assert stream_table(only.stdout).column("n").to_pylist() == list(range(991, 1000))


@pytest.mark.parametrize("form", ["parquet", "arrows"])
@pytest.mark.parametrize("source", ["in.parquet", "in.feather", "in.arrows"])
def test_an_input_without_rows_keeps_its_types(run: Run, tmp_path: Path, source: str, form: str) -> None:
    kind = pa.dictionary(pa.int8(), pa.string())
    schema = pa.schema(
        [("text", pa.large_string()), ("n", pa.uint16()), ("kind", kind), ("list", pa.list_(pa.date32()))]
    )
    path = tmp_path / source
    if source == "in.parquet":
        pq.write_table(schema.empty_table(), path)
    else:
        writer = pa.ipc.new_file if source == "in.feather" else pa.ipc.new_stream
        with writer(path, schema) as file:
            file.write_table(schema.empty_table())
    out = tmp_path / f"out.{form}"
    for options, kept in [
        (["--annotate"], ["text", "n", "kind", "list"]),
        (["--annotate", "--where", "n>3"], ["text", "n", "kind", "list"]),
        (["--pass", "list,n"], ["list", "n"]),
    ]:
        assert run(path, *options, "-o", out).returncode == 0
        rated = pq.read_table(out) if form == "parquet" else stream_table(out.read_bytes())
        assert rated.num_rows == 0
        for name in kept:
            assert rated.schema.field(name).type == schema.field(name).type, (options, name)


def test_rows_that_are_left_out_leave_their_types(run: Run, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a film"], "day": pa.array([1], pa.date32())}), tmp_path / "in.parquet")
    result = run(tmp_path / "in.parquet", "--annotate", "--where", "text=x", "-f", "arrow")
    table = stream_table(result.stdout)
    assert table.num_rows == 0 and table.schema.field("day").type == pa.date32()


def test_passed_columns_keep_their_types(run: Run, tmp_path: Path) -> None:
    table = pa.table(
        {"label": pa.array([1, 0], pa.int8()), "text": ["good", "bad"], "date": pa.array([1, 2], pa.date32())}
    )
    pq.write_table(table, tmp_path / "in.parquet")
    run(tmp_path / "in.parquet", "--pass", "label,date", "-o", tmp_path / "out.parquet")
    rated = pq.read_table(tmp_path / "out.parquet")
    assert rated.column("input_label").equals(table.column("label")) and rated.column("date").equals(
        table.column("date")
    )


def test_annotated_text_tables(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("n,text\n1,a good film\n2,a bad one\n")
    run(tmp_path / "in.csv", "--annotate", "-o", tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.select(["n", "text"]).to_pylist() == [
        {"n": "1", "text": "a good film"},
        {"n": "2", "text": "a bad one"},
    ]


def typed(path: Path, kind: pa.DataType, value: str = "1") -> Path:
    pq.write_table(pa.table({"text": ["good"], "n": pa.array([value]).cast(kind)}), path)
    return path


@pytest.mark.parametrize("how", [["--annotate"], ["--pass", "n"]], ids=" ".join)
@pytest.mark.parametrize("output", ["out.parquet", "out.arrows"])
def test_a_later_input_of_another_type_is_an_error_in_its_place(
    how: list[str], output: str, run: Run, tmp_path: Path
) -> None:
    typed(tmp_path / "a.parquet", pa.int64())
    typed(tmp_path / "b.parquet", pa.float64())
    typed(tmp_path / "c.parquet", pa.int64(), "3")
    (tmp_path / "d.csv").write_text("text,n\ngood,4\n")
    (tmp_path / "e.jsonl").write_text('{"text": "good", "n": 5}\n{"text": "good", "n": null}\n')
    files = ["a.parquet", "b.parquet", "c.parquet", "d.csv", "e.jsonl"]
    result = run(*files, *how, "-o", output, cwd=tmp_path)
    assert result.returncode == 1, result.stderr
    data = (tmp_path / output).read_bytes()
    table = pq.read_table(io.BytesIO(data)) if output == "out.parquet" else stream_table(data)
    assert types(table)["n"] == pa.int64()
    assert table.column("n").to_pylist() == [1, None, 3, None, None, None]
    messages = [error and error["message"] for error in table.column("error").to_pylist()]
    assert messages[1].startswith('b.parquet: the column "n" is double here and int64 in an earlier file')
    assert 'd.csv: record d.csv:2: the column "n" is text here' in messages[3]
    assert 'e.jsonl: record e.jsonl:1: the column "n" is text here' in messages[4]
    assert messages[0] is messages[2] is messages[5] is None


@pytest.mark.parametrize("first", ["s.parquet", "d.csv", "e.jsonl"])
def test_what_is_text_first_takes_all_that_comes(first: str, run: Run, tmp_path: Path) -> None:
    typed(tmp_path / "s.parquet", pa.string(), "0")
    (tmp_path / "d.csv").write_text("text,n\ngood,0\n")
    (tmp_path / "e.jsonl").write_text('{"text": "good", "n": 0}\n')
    typed(tmp_path / "a.parquet", pa.int64())
    typed(tmp_path / "b.parquet", pa.float64(), "2.5")
    result = run(first, "a.parquet", "b.parquet", "--pass", "n", "-o", "out.parquet", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert pq.read_table(tmp_path / "out.parquet").column("n").to_pylist() == ["0", "1", "2.5"]


@pytest.mark.parametrize("output", ["out.parquet", "out.arrows"])
@pytest.mark.parametrize("files", [["a.parquet", "b.jsonl"], ["b.jsonl", "a.parquet"]], ids=" ".join)
def test_null_in_json_has_every_type(run: Run, tmp_path: Path, files: list[str], output: str) -> None:
    typed(tmp_path / "a.parquet", pa.int64())
    (tmp_path / "b.jsonl").write_text('{"text": "good", "n": null}\n' * 2)
    result = run(*files, "--pass", "n", "-o", output, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    data = (tmp_path / output).read_bytes()
    table = pq.read_table(io.BytesIO(data)) if output == "out.parquet" else stream_table(data)
    assert types(table)["n"] == pa.int64()
    assert table.column("n").to_pylist() == ([1, None, None] if files[0] == "a.parquet" else [None, None, 1])


def test_what_has_no_value_decides_no_type(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "good"}\n{"text": 5}\n')
    typed(tmp_path / "b.parquet", pa.int64())
    result = run("gone.txt", "a.jsonl", "b.parquet", "--pass", "n", "-o", "out.parquet", cwd=tmp_path)
    assert result.returncode == 1
    table = pq.read_table(tmp_path / "out.parquet")
    assert types(table)["n"] == pa.int64() and table.column("n").to_pylist() == [None, None, None, 1]


def test_fields_of_structs_keep_their_types(run: Run, tmp_path: Path) -> None:
    kind = pa.struct([("a", pa.int64()), ("b", pa.struct([("c", pa.float32())]))])
    values = [{"a": 1, "b": {"c": 0.5}}, None, {"a": None, "b": None}, {"a": 4, "b": {"c": None}}]
    table = pa.table({"text": ["good"] * 4, "s": pa.array(values, kind), "x.y": [1, 2, 3, 4]})
    pq.write_table(table, tmp_path / "in.parquet")
    where = ["--where", "x.y!=3"]
    assert run("in.parquet", *where, "--pass", "s.a,s.b.c,x.y", "-o", "out.parquet", cwd=tmp_path).returncode == 0
    rated = pq.read_table(tmp_path / "out.parquet")
    assert [types(rated)[name] for name in ("s.a", "s.b.c", "x.y")] == [pa.int64(), pa.float32(), pa.int64()]
    assert rated.column("s.a").to_pylist() == [1, None, 4]
    assert rated.column("s.b.c").to_pylist() == [0.5, None, None]


def test_an_interrupted_file_is_not_there(tmp_path: Path) -> None:
    before = b"what was there before"
    for existing in (False, True):
        out = tmp_path / "out.parquet"
        if existing:
            out.write_bytes(before)
        command = [BINARY, "-m", str(TINY), "-o", str(out)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as program:
            assert program.stdin and program.stderr
            program.stdin.write(b"a good film\n")
            program.stdin.flush()
            time.sleep(1)
            program.send_signal(signal.SIGINT)
            told = program.stderr.read().decode()
            assert program.wait(PATIENCE) == 130
        assert f"{out}: nothing is kept, as Parquet cannot be read until its end is written" in told
        assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == (
            [("out.parquet", before)] if existing else []
        )


def test_a_stream_is_written_as_it_is_read() -> None:
    command = [BINARY, "-m", str(TINY), "-q", "-f", "arrow"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin and program.stdout
        program.stdin.write(b"a good film\n")
        program.stdin.flush()
        with pa.ipc.open_stream(program.stdout) as reader:
            assert reader.read_next_batch().column("id").to_pylist() == ["-:1"]
            program.stdin.write(b"a bad film\n")
            program.stdin.flush()
            assert reader.read_next_batch().column("id").to_pylist() == ["-:2"]
        program.stdin.close()
        assert program.wait(PATIENCE) == 0


def test_row_groups_are_bounded(run: Run, tmp_path: Path) -> None:
    count = 70_000
    (tmp_path / "in.txt").write_text("good\n" * count)
    run(tmp_path / "in.txt", "-o", tmp_path / "out.parquet")
    metadata = pq.ParquetFile(tmp_path / "out.parquet").metadata
    assert metadata.num_rows == count and metadata.num_row_groups == 2


def test_what_does_not_fit_is_refused(run: Run, tmp_path: Path) -> None:
    for arguments, said in (
        (["-o", "x.arrow"], "Arrow is written as a stream, .arrows"),
        (["-o", "x.parquet", "--resume", "in.csv"], "cannot go on with parquet"),
        (["-f", "arrow", "--pass", "*"], "arrow needs the columns by name"),
    ):
        result = run(*arguments, stdin="good\n", cwd=tmp_path)
        assert result.returncode == 2 and said in error_line(result)
    assert not list(tmp_path.iterdir())


def test_what_was_written_is_an_input_again(run: Run, tmp_path: Path) -> None:
    first = run("--annotate", "-f", "parquet", stdin='{"text": "a good film", "n": 1}\n').stdout
    again = json.loads(run("--pass", "rating,n", stdin=first).stdout)
    assert again["input_rating"] == again["rating"] and again["n"] == "1"


def test_diff_and_eval_read_what_was_written(run: Run, tmp_path: Path) -> None:
    for name in ("old.jsonl", "old.parquet"):
        assert run("-o", tmp_path / name, stdin=INPUT).returncode == 1
    (tmp_path / "old.arrows").write_bytes(run("-f", "arrow", stdin=INPUT).stdout)
    text = run("diff", tmp_path / "old.jsonl", tmp_path / "old.jsonl", "--json", "-")
    for name in ("old.parquet", "old.arrows"):
        same = run("diff", tmp_path / "old.jsonl", tmp_path / name, "--json", "-")
        assert (same.returncode, same.stdout) == (text.returncode, text.stdout), same.stderr.decode()
        data = (tmp_path / name).read_bytes()
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(data))
        ways = [("-", data), ("-", gzip.compress(data)), (tmp_path / f"{name}.gz", b"")]
        for path, stdin in ways:
            same = run("diff", tmp_path / "old.jsonl", path, "--json", "-", stdin=stdin)
            assert (same.returncode, same.stdout) == (text.returncode, text.stdout), (path, same.stderr.decode())
    other = run("diff", tmp_path / "old.parquet", tmp_path / "fewer.parquet")
    assert other.returncode == 3 and b"No such file" in other.stderr
    labelled = b"".join(
        json.dumps({"id": f"r{i}", "text": f"film {i}", "label": i % 2}).encode() + b"\n" for i in range(40)
    )
    (tmp_path / "labelled.jsonl").write_bytes(labelled)
    reports = []
    for name in ("rated.jsonl", "rated.parquet"):
        assert run(tmp_path / "labelled.jsonl", "-o", tmp_path / name).returncode == 0
        done = run("eval", tmp_path / "labelled.jsonl", "--predictions", tmp_path / name, "--json", "-")
        assert done.returncode == 0, done.stderr.decode()
        reports.append(json.loads(done.stdout)["parts"])
        data = (tmp_path / name).read_bytes()
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(data))
        done = run("eval", tmp_path / "labelled.jsonl", "--predictions", tmp_path / f"{name}.gz", "--json", "-")
        assert done.returncode == 0 and json.loads(done.stdout)["parts"] == reports[-1]
        done = run("eval", tmp_path / "labelled.jsonl", "--predictions", "-", stdin=data)
        assert done.returncode == 2 and "--predictions -: cannot be read twice: name a file" in error_line(done)
    assert reports[0] == reports[1]
