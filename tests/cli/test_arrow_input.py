"""Parquet and Arrow files as inputs: the same rows and values as pyarrow reads, whoever wrote them, and one clear
record for what is damaged."""

import base64
import datetime
import decimal
import gzip
import io
import json
import math
import os
import random
import shutil
import signal
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from conftest import BINARY, PATIENCE, TINY, Result, Run, error_line, records

TEXTS = ["a good film", "a bad film, really", "", "Ein schöner Film — «très bien» 🎬", "two\nlines"]
UTC = datetime.UTC


def well(result: Result) -> list[dict[str, Any]]:
    assert result.returncode == 0, result.stderr.decode()
    return records(result)


def parquet(table: pa.Table, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def stream(table: pa.Table, batch: int = 2, **options: Any) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=batch)
    return out.getvalue()


def file(table: pa.Table, batch: int = 2, **options: Any) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_file(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=batch)
    return out.getvalue()


FORMS = {"reviews.parquet": parquet, "reviews.arrows": stream, "reviews.arrow": file}


def shown(value: Any, kind: pa.DataType) -> Any:
    """A value of to_pylist() as JSON has it; what JSON has no type for as Arrow prints it."""
    if pa.types.is_dictionary(kind):
        return shown(value, kind.value_type)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if pa.types.is_struct(kind):
        return {field.name: shown(value[field.name], field.type) for field in kind}
    if pa.types.is_map(kind):
        return [[shown(key, kind.key_type), shown(item, kind.item_type)] for key, item in value]
    if pa.types.is_nested(kind):
        return [shown(item, kind.value_type) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
        zone = pa.types.is_timestamp(kind) and kind.tz is not None
        plain = pa.timestamp(kind.unit) if zone else kind
        moment = value.astimezone(UTC).replace(tzinfo=None) if zone else value
        return pc.cast(pa.scalar(moment, plain), pa.string()).as_py() + ("Z" if zone else "")
    return value


def rows(table: pa.Table) -> list[dict[str, Any]]:
    kinds = {field.name: field.type for field in table.schema}
    return [{name: shown(value, kinds[name]) for name, value in row.items()} for row in table.to_pylist()]


def all_types() -> pa.Table:
    day = datetime.date(2024, 2, 29)
    moment = datetime.datetime(2024, 2, 29, 23, 59, 58, 123456)
    point = pa.struct([("x", pa.int32()), ("name", pa.string())])
    columns = {
        "id": pa.array([10, 11, 12, 13, 14], pa.int64()),
        "text": pa.array(TEXTS),
        "large": pa.array(TEXTS, pa.large_string()),
        "category": pa.array(["a", None, "b", "a", "a"]).dictionary_encode(),
        "flag": pa.array([True, False, None, True, False]),
        "int8": pa.array([-128, 127, None, 0, 1], pa.int8()),
        "uint64": pa.array([0, 2**64 - 1, None, 1, 2], pa.uint64()),
        "float": pa.array([0.5, -2.25, None, 1e30, 1.0], pa.float32()),
        "double": pa.array([0.1, math.nan, None, math.inf, 1e300]),
        "decimal": pa.array(
            [decimal.Decimal("12.50"), None, decimal.Decimal("-0.01"), None, None], pa.decimal128(9, 2)
        ),
        "date": pa.array([day, None, day, day, day]),
        "time": pa.array([moment.time(), None, None, None, None], pa.time64("us")),
        "when": pa.array([moment, None, None, None, None], pa.timestamp("us")),
        "zoned": pa.array([moment, None, None, None, None], pa.timestamp("us", "Europe/Berlin")),
        "bytes": pa.array([b"plain", b"\xff\x00\xfe", None, b"", b"\xc3\xa4"]),
        "fixed": pa.array([b"abcd", b"\xff\xff\xff\xff", None, b"abcd", b"abcd"], pa.binary(4)),
        "list": pa.array([[1, None, 3], [], None, [4], [5, 6]], pa.list_(pa.int32())),
        "words": pa.array([['a "quoted" word', "ü"], None, [], [None], ["\n"]], pa.list_(pa.string())),
        "struct": pa.array(
            [{"x": 1, "name": "one"}, None, {"x": None, "name": None}, {"x": 4, "name": "four"}, None], point
        ),
        "deep": pa.array([[{"x": 1, "name": "one"}], None, [], [None], [{"x": 2, "name": "two"}]], pa.list_(point)),
        "map": pa.array([[("k", 1)], None, [], [("a", None), ("b", 2)], []], pa.map_(pa.string(), pa.int32())),
        "nothing": pa.nulls(5),
    }
    return pa.table(columns)


def passed(record: dict[str, Any], table: pa.Table) -> dict[str, Any]:
    """The record's fields of the table, by their names there."""
    return {name: record.get(f"input_{name}", record.get(name)) for name in table.column_names if name != "text"}


@pytest.mark.parametrize("form", FORMS)
def test_every_type_is_as_pyarrow_shows_it(run: Run, tmp_path: Path, form: str) -> None:
    table = all_types()
    (tmp_path / form).write_bytes(FORMS[form](table))
    found = well(run(tmp_path / form, "--pass", "*"))
    assert [record["id"] for record in found] == [10, 11, 12, 13, 14]
    for record, row in zip(found, rows(table), strict=True):
        del row["text"]
        assert passed(record, table) == row
    annotated = well(run(tmp_path / form, "--annotate"))
    for record, row in zip(annotated, rows(table), strict=True):
        assert list(record)[: len(row)] == list(row)
        assert {name: record[name] for name in row} == row


def test_types_that_only_arrow_has(run: Run) -> None:
    table = pa.table(
        {
            "text": pa.array(TEXTS, pa.string_view()),
            "view": pa.array([b"a", None, b"\xff", b"", b"b"], pa.binary_view()),
            "half": pa.array([0.5, None, 2.0, 1.0, -1.0], pa.float16()),
            "runs": pa.RunEndEncodedArray.from_arrays(pa.array([2, 5], pa.int32()), pa.array(["a", None])),
            "wait": pa.array([1, None, 3, 4, 5], pa.duration("s")),
            "fixed": pa.array([[1, 2], None, [3, None], [5, 6], [7, 8]], pa.list_(pa.int8(), 2)),
        }
    )
    found = well(run("--pass", "*", stdin=stream(table, batch=5)))
    assert [record["view"] for record in found] == ["a", None, "/w==", "", "b"]
    assert [record["half"] for record in found] == [0.5, None, 2.0, 1.0, -1.0]
    assert [record["runs"] for record in found] == ["a", "a", None, None, None]
    assert [record["wait"] for record in found] == [1, None, 3, 4, 5]
    assert [record["fixed"] for record in found] == [[1, 2], None, [3, None], [5, 6], [7, 8]]
    assert [record["tokens"] for record in found] == [
        record["tokens"] for record in well(run(*[word for text in TEXTS for word in ("-t", text)]))
    ]


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_every_codec(run: Run, tmp_path: Path, codec: str, version: str, dictionary: bool) -> None:
    table = pa.table({"text": TEXTS * 200, "n": list(range(1000))})
    (tmp_path / "x.parquet").write_bytes(
        parquet(
            table,
            compression=codec,
            data_page_version=version,
            use_dictionary=dictionary,
            row_group_size=300,
            data_page_size=500,
            write_page_checksum=True,
        )
    )
    found = well(run(tmp_path / "x.parquet", "--pass", "n,text"))
    assert [(record["n"], record["text"]) for record in found] == list(enumerate(TEXTS * 200))
    assert [record["id"] for record in found[:2]] == [f"{tmp_path}/x.parquet:1", f"{tmp_path}/x.parquet:2"]


@pytest.mark.parametrize(
    ("encoding", "kind"),
    [
        ("PLAIN", pa.string()),
        ("DELTA_LENGTH_BYTE_ARRAY", pa.string()),
        ("DELTA_BYTE_ARRAY", pa.string()),
        ("PLAIN", pa.int64()),
        ("DELTA_BINARY_PACKED", pa.int64()),
        ("BYTE_STREAM_SPLIT", pa.int64()),
        ("BYTE_STREAM_SPLIT", pa.float64()),
        ("RLE", pa.bool_()),
    ],
)
def test_every_encoding(run: Run, tmp_path: Path, encoding: str, kind: pa.DataType) -> None:
    values: list[Any] = [f"{i:05} some words" for i in range(1000)]
    if kind == pa.bool_():
        values = [i % 3 == 0 for i in range(1000)]
    elif kind != pa.string():
        values = [kind.to_pandas_dtype()(i * 7 % 991).item() for i in range(1000)]
    table = pa.table({"text": TEXTS * 200, "value": pa.array(values, kind)})
    pq.write_table(table, tmp_path / "x.parquet", use_dictionary=False, column_encoding={"value": encoding})
    used = pq.ParquetFile(tmp_path / "x.parquet").metadata.row_group(0).column(1).encodings
    assert encoding in used
    assert [record["value"] for record in well(run(tmp_path / "x.parquet", "--pass", "value"))] == values


@pytest.mark.parametrize("codec", [None, "lz4", "zstd"])
def test_compressed_arrow(run: Run, codec: str | None) -> None:
    table = pa.table({"text": TEXTS * 200, "n": list(range(1000))})
    for data in (stream(table, 64, compression=codec), file(table, 64, compression=codec)):
        found = well(run("--pass", "n,text", stdin=data))
        assert [(record["n"], record["text"]) for record in found] == list(enumerate(TEXTS * 200))


@pytest.mark.parametrize("codec", ["uncompressed", "snappy", "gzip", "zstd", "brotli", "lz4_raw"])
def test_files_of_duckdb(run: Run, tmp_path: Path, codec: str) -> None:
    for version in ("V1", "V2"):
        path = tmp_path / f"{version}.parquet"
        relation = duckdb.sql(
            "SELECT 'film ' || i AS text, i AS n, i / 4 AS part, DATE '2024-01-01' + i::INT AS day, "
            "[i, i + 1] AS pair, "
            "{'a': i, 'b': 'x'} AS inner_, (i % 3)::DECIMAL(9, 2) AS price, i % 5 = 0 AS flag FROM range(1000) t(i)"
        )
        assert relation
        relation.write_parquet(str(path), compression=codec)
        if version == "V2":
            duckdb.sql(f"COPY (FROM '{tmp_path}/V1.parquet') TO '{path}' (PARQUET_VERSION V2, ROW_GROUP_SIZE 2048)")
        table = pq.read_table(path)
        found = well(run(path, "--pass", "*"))
        assert [passed(record, table) for record in found] == [
            {name: value for name, value in row.items() if name != "text"} for row in rows(table)
        ]


@pytest.mark.parametrize("codec", ["uncompressed", "snappy", "gzip", "brotli", "zstd", "lz4"])
def test_files_of_polars(run: Run, tmp_path: Path, codec: Any) -> None:
    frame = polars.DataFrame(
        {
            "text": [f"film {i}" for i in range(1000)],
            "n": range(1000),
            "part": [i / 4 for i in range(1000)],
            "list": [[i, None] for i in range(1000)],
            "struct": [{"a": i, "b": "x"} for i in range(1000)],
        }
    ).with_columns(kind=polars.Series(["a", "b"] * 500, dtype=polars.Categorical))
    frame.write_parquet(tmp_path / "x.parquet", compression=codec, row_group_size=300)
    frame.write_ipc(tmp_path / "x.arrow")
    frame.write_ipc_stream(tmp_path / "x.arrows")
    expected = [{name: value for name, value in row.items() if name != "text"} for row in frame.to_dicts()]
    for path in sorted(tmp_path.iterdir()):
        found = well(run(path, "--pass", "*"))
        assert [{name: record[name] for name in expected[0]} for record in found] == expected, path


def test_files_as_spark_and_older_writers_have_them(run: Run, tmp_path: Path) -> None:
    moments = [datetime.datetime(2024, 2, 29, 12, i) for i in range(5)]
    table = pa.table(
        {"text": TEXTS, "when": pa.array(moments, pa.timestamp("ns")), "list": [[1, 2], [], None, [3], [None]]}
    )
    pq.write_table(
        table,
        tmp_path / "x.parquet",
        flavor="spark",
        use_deprecated_int96_timestamps=True,
        use_compliant_nested_type=False,
        store_schema=False,
        version="1.0",
    )
    found = well(run(tmp_path / "x.parquet", "--pass", "when,list"))
    assert [record["list"] for record in found] == [[1, 2], [], None, [3], [None]]
    assert [record["when"] for record in found] == [f"2024-02-29 12:0{i}:00.000000000" for i in range(5)]


@pytest.mark.parametrize("options", [["--where", "n=-1"], ["--sample", "5"]], ids=" ".join)
def test_an_interruption_ends_the_search_for_rows(tmp_path: Path, options: list[str]) -> None:
    """The file is named so often that the search takes minutes, however fast the machine."""
    count = 1_000_000
    table = pa.table({"text": ["a good film"] * count, "n": pa.array(range(count))})
    pq.write_table(table, tmp_path / "x.parquet")
    command = [BINARY, "-m", str(TINY), *options, *[str(tmp_path / "x.parquet")] * 2000]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        time.sleep(2)
        assert program.poll() is None
        program.send_signal(signal.SIGINT)
        assert program.wait(PATIENCE) == 130


def test_whatever_way_they_come(run: Run, tmp_path: Path) -> None:
    table = pa.table({"text": TEXTS})
    expected = [record["p_positive"] for record in well(run(*[word for text in TEXTS for word in ("-t", text)]))]
    for name, write in FORMS.items():
        data = write(table)
        folder = tmp_path / name
        folder.mkdir()
        (folder / "plain").write_bytes(data)
        (folder / "compressed.gz").write_bytes(gzip.compress(data))
        with zipfile.ZipFile(folder / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, data)
            archive.writestr("other.txt", "a good film")
        assert [record["p_positive"] for record in well(run(stdin=data))] == expected
        assert [record["p_positive"] for record in well(run(folder / "plain"))] == expected
        assert [record["p_positive"] for record in well(run(folder / "compressed.gz"))] == expected
        found = well(run(folder / "archive.zip"))
        assert [record["p_positive"] for record in found[:5]] == expected and len(found) == 6
        assert len(well(run(folder))) == 16
        with (folder / "plain").open("rb") as opened:
            opened.seek(0)
            result = subprocess.run(
                [BINARY, "-m", str(TINY)], stdin=opened, capture_output=True, check=True, timeout=PATIENCE
            )
            assert [record["p_positive"] for record in records(result)] == expected


def test_fields_are_chosen_as_of_other_records(run: Run, tmp_path: Path) -> None:
    table = pa.table(
        {
            "item": [{"body": "a good film", "stars": 9}, None, {"body": None, "stars": 1}],
            "title": ["good", "bad", "so so"],
            "key": ["a", None, ""],
        }
    )
    path = tmp_path / "x.parquet"
    path.write_bytes(parquet(table))
    found = records(run(path, "--text-field", "item.body", "--id-field", "key", "--pass", "item.stars,title"))
    assert [record["id"] for record in found] == ["a", f"{path}:2", f"{path}:3"]
    assert [record.get("item.stars") for record in found] == [9, None, 1]
    assert found[0]["label"] and "there is no field" in found[1]["error"]["message"]
    assert "is null and not a string" in found[2]["error"]["message"]
    chosen = well(run(path, "--text-field", "title", "--where", "item.stars>5"))
    assert [record["id"] for record in chosen] == [f"{path}:1"]
    both = well(run(path, "--text-field", "title,key", "--limit", "1"))
    assert both[0]["tokens"] == well(run("-t", "good\na"))[0]["tokens"]
    columns = '"item", "title", "key" (--text-field names one)'
    assert error_of(run(path)) == f'{path}: there is no column "text"; the columns are: {columns}'


def error_of(result: Result) -> str:
    """The one error record's message."""
    assert result.returncode == 1, result.stderr.decode()
    failed = [record for record in records(result) if "error" in record]
    assert len(failed) == 1
    message = failed[0]["error"]["message"]
    assert isinstance(message, str)
    return message


def test_the_usual_name_of_the_text_is_found(run: Run) -> None:
    result = run(stdin=parquet(pa.table({"n": [1], "reviewText": ["a good film"]})))
    assert well(result)[0]["label"]
    assert b'the text is taken from "reviewText"' in result.stderr


def test_values_that_are_no_text(run: Run) -> None:
    found = records(run(stdin=parquet(pa.table({"text": [b"good", b"\xff\xfe"]}))))
    assert found[0]["label"]
    assert 'the field "text" is binary data and not a string' in found[1]["error"]["message"]
    numbers = records(run(stdin=parquet(pa.table({"text": [1, 2]}))))
    assert "is a number and not a string" in numbers[0]["error"]["message"]


def test_strings_that_are_not_utf8_are_repaired(run: Run) -> None:
    array = pa.Array.from_buffers(pa.string(), 2, pa.array([b"caf\xe9", b"good"]).buffers())
    table = pa.table({"text": array, "n": [1, 2]})
    for data in (parquet(table), stream(table), file(table)):
        found = well(run(stdin=data))
        assert [record.get("repaired") for record in found] == [1, None]


def test_a_stream_is_answered_as_it_comes(run: Run) -> None:
    table = pa.table({"text": ["a good film", "a bad film"]})
    command = [BINARY, "-m", str(TINY), "-q"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin and program.stdout
        with pa.ipc.new_stream(program.stdin, table.schema) as writer:
            for batch in range(3):
                writer.write_table(table)
                program.stdin.flush()
                got = [json.loads(program.stdout.readline())["id"] for _ in range(2)]
                assert got == [f"-:{2 * batch + 1}", f"-:{2 * batch + 2}"]
        program.stdin.close()
        assert program.wait(PATIENCE) == 0


def test_eval_tokenize_and_bench_read_them(run: Run, tmp_path: Path) -> None:
    table = pa.table({"text": ["a good film", "a bad film"], "label": [1, 0]})
    jsonl = tmp_path / "x.jsonl"
    jsonl.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    for name, write in FORMS.items():
        (tmp_path / name).write_bytes(write(table))
        for command in (["eval", "-q"], ["tokenize"]):
            here, there = run(*command, tmp_path / name), run(*command, jsonl)
            assert here.returncode == there.returncode == 0, here.stderr.decode()
            assert here.stdout.replace(name.encode(), b"x.jsonl") == there.stdout
        bench = run("bench", tmp_path / name, "--rounds", "1", "-j", "2", "--json", "-")
        assert bench.returncode == 0 and json.loads(bench.stdout)["reviews"] == 2


def test_damage_is_told_and_what_stands_before_is_kept(run: Run, tmp_path: Path) -> None:
    table = pa.table({"text": [f"film {i}" for i in range(600)]})
    path = tmp_path / "x.parquet"
    whole = parquet(table, row_group_size=300, compression="none", use_dictionary=False)
    path.write_bytes(whole[:-10])
    assert error_of(run(path)).startswith(f"{path}: damaged, and not read any further: ")
    path.write_bytes(b"PAR1")
    assert error_of(run(path)).startswith(f"{path}: damaged, and not read any further: ")
    path.write_bytes(b"")
    assert error_of(run(path)) == f"{path}: has the name of a Parquet file, but does not begin as one"
    path.write_text('{"text": "a good film"}\n')
    assert error_of(run(path)) == f"{path}: has the name of a Parquet file, but does not begin as one"
    cut = run(stdin=stream(table, 100)[:-3000])
    assert error_of(cut) == "-: damaged, and not read any further: it ends too early"
    assert [record["id"] for record in records(cut)[:-1]] == [f"-:{i + 1}" for i in range(len(records(cut)) - 1)]
    assert len(records(cut)) > 300
    assert error_of(run(stdin=file(table, 100)[:-100])).startswith("-: damaged, and not read any further: ")
    assert "other data follows" in error_of(run(stdin=stream(table) + b"and more"))
    odd = pa.table({"text": TEXTS, "stars": [1] * len(TEXTS)})
    assert error_of(run(stdin=stream(odd).replace(b"stars", b"st\xe4rs"))) == "-: a column's name is not UTF-8"
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    assert error_of(run(stdin=parquet(twice))) == '-: the column "text" comes twice'


def test_damaged_files_never_crash(run: Run, tmp_path: Path) -> None:
    """Bytes changed, cut out and put in at random places; each is rated, or is an error record."""
    chance = random.Random(1)
    table = all_types()
    seeds = [
        parquet(table, compression="none"),
        parquet(table, compression="snappy", data_page_version="2.0", use_dictionary=False),
        parquet(table, compression="zstd"),
        stream(table),
        file(table, compression="zstd"),
    ]
    for number in range(400):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.choice([1, 1, 2, 5])):
            at = 8 + chance.randrange(len(data) - 8)
            change = chance.randrange(4)
            if change == 0:
                data[at] = chance.randrange(256)
            elif change == 1:
                data[at : at + chance.randrange(64)] = b""
            elif change == 2:
                data[at : at + 8] = chance.choice([b"\xff" * 8, b"\0" * 8, b"\x7f" + b"\xff" * 7])
            else:
                data[at:at] = data[: chance.randrange(64)]
        (tmp_path / f"{number:03}").write_bytes(bytes(data))
    result = run(tmp_path, "--pass", "*")
    assert result.returncode == 1, result.stderr.decode()
    failed = [record for record in records(result) if "error" in record]
    assert {record["error"]["kind"] for record in failed} <= {"damaged", "field", "type", "size", "format"}
    assert len(failed) > 100


def test_without_the_module_all_else_works(run: Run, tmp_path: Path) -> None:
    program = tmp_path / "reviewrate"
    shutil.copy(BINARY, program)
    (tmp_path / "x.parquet").write_bytes(parquet(pa.table({"text": TEXTS})))
    (tmp_path / "x.txt").write_text("a good film\n")
    command = [str(program), "-m", str(TINY), "x.parquet", "x.txt"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=PATIENCE)
    assert "pip install pyarrow" in error_of(result)
    assert records(result)[1]["label"]


def test_formats_can_be_forced(run: Run) -> None:
    table = pa.table({"text": TEXTS})
    assert len(well(run("--input-format", "parquet", stdin=parquet(table)))) == 5
    assert len(well(run("--input-format", "arrow", stdin=stream(table)))) == 5
    assert error_of(run("--input-format", "arrow", stdin=b"a good film\n")) == (
        "-: is read as an Arrow file, but does not begin as one"
    )
    assert "is no text but a Parquet file" in error_of(run("--input-format", "jsonl", stdin=parquet(table)))


@pytest.mark.slow
def test_a_million_columns(run: Run, tmp_path: Path) -> None:
    names = ["text", *(f"c{number}" for number in range(999_999))]
    table = pa.Table.from_arrays([pa.array(["a film"]), *[pa.array([1], pa.int8())] * 999_999], names=names)
    with pa.ipc.new_stream(tmp_path / "wide.arrows", table.schema) as file:
        file.write_table(table)
    result = run(tmp_path / "wide.arrows", "--pass", "c999998")
    assert result.returncode == 0 and records(result)[0]["c999998"] == 1
    pq.write_table(table, tmp_path / "wide.parquet", compression=None, write_statistics=False, use_dictionary=False)
    result = run("-q", tmp_path / "wide.parquet", tmp_path / "wide.arrows")
    assert [one.get("error", {}).get("kind") for one in records(result)] == ["size", None]
    assert "too many columns" in error_line(result)


@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_only_what_cannot_be_read_in_place_is_copied(run: Run, tmp_path: Path, suffix: str) -> None:
    table = pa.table({"text": [f"film {number}" for number in range(50)]})
    path = tmp_path / f"in.{suffix}"
    path.write_bytes(parquet(table) if suffix == "parquet" else file(table))
    nowhere = {**os.environ, "TMPDIR": str(tmp_path / "gone"), "REVIEWRATE_MODEL": str(TINY)}

    def program(*words: str | Path, data: bytes | None = None) -> Result:
        return subprocess.run(
            [BINARY, *words], input=data, capture_output=True, env=nowhere, timeout=PATIENCE, check=False
        )

    assert len(records(program("-q", path))) == 50
    (tmp_path / "folder").mkdir()
    shutil.copy(path, tmp_path / "folder" / path.name)
    assert len(records(program("-q", tmp_path / "folder"))) == 50
    refused = program("-q", data=path.read_bytes())
    assert refused.returncode == 1 and str(tmp_path / "gone") in refused.stderr.decode()
    with path.open("rb") as stdin:  # not from the file's beginning
        stdin.seek(len(path.read_bytes()) // 2)
        assert subprocess.run([BINARY, "-q"], stdin=stdin, capture_output=True, check=False).returncode == 1
