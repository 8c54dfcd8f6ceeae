"""Parquet as Spark itself writes it: the rows and values that pyarrow reads in the same files, with every codec and
encoding that Spark offers, and whole folders as a job leaves them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from conftest import TINY, Run, records

QUERY = """
SELECT concat('film ', id, ' é 🎬') AS text, concat('r', id) AS id, CAST(id AS INT) AS number, id / 4 AS part,
       id % 5 = 0 AS flag, CAST(id AS DECIMAL(12, 2)) AS price, array(id, NULL, id + 1) AS list,
       named_struct('a', id, 'b', IF(id % 3 = 0, NULL, 'x')) AS nested, map('k', id) AS pairs,
       DATE'2024-02-29' AS day, CAST(concat('bytes', id) AS BINARY) AS bytes, IF(id % 2 = 0, NULL, 'same') AS often
FROM range(3000)
"""


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    session: SparkSession = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    return spark.sql(QUERY).repartition(3)


def plain(value: Any) -> Any:
    """As the program shows it in JSON."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    return float(value) if hasattr(value, "quantize") else str(value)


def expected(folder: Path) -> list[dict[str, Any]]:
    """What pyarrow reads of the folder's files, in the order of their names."""
    tables = [pq.read_table(path) for path in sorted(folder.glob("part-*"))]
    return [plain(row) for row in pa.concat_tables(tables).to_pylist()]


def check_folder(run: Run, folder: Path) -> None:
    result = run(folder, "--pass", "*", model=TINY)
    assert result.returncode == 0, result.stderr.decode()
    names = ["id", "number", "part", "flag", "price", "list", "nested", "pairs", "day", "bytes", "often"]
    wanted = expected(folder)
    assert len(wanted) == 3000
    found = records(result)
    assert [{name: record[name] for name in names} for record in found] == [
        {name: row[name] for name in names} for row in wanted
    ]
    again = run("tokenize", folder, model=TINY)
    texts = run("tokenize", *[word for row in wanted[:50] for word in ("-t", row["text"])], model=TINY)
    assert [record["ids"] for record in records(again)][:50] == [record["ids"] for record in records(texts)]


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4", "lz4_raw"])
def test_every_codec(run: Run, rows: DataFrame, tmp_path: Path, codec: str) -> None:
    rows.write.option("compression", codec).parquet(str(tmp_path / "out"))
    check_folder(run, tmp_path / "out")


@pytest.mark.parametrize("version", ["PARQUET_1_0", "PARQUET_2_0"])
@pytest.mark.parametrize("dictionary", ["true", "false"])
def test_every_encoding(run: Run, rows: DataFrame, tmp_path: Path, version: str, dictionary: str) -> None:
    """Version 2 without dictionaries has delta encodings."""
    rows.write.option("parquet.writer.version", version).option("parquet.enable.dictionary", dictionary).option(
        "parquet.block.size", "65536"
    ).parquet(str(tmp_path / "out"))
    check_folder(run, tmp_path / "out")


def test_rows_written_the_old_way_and_times(run: Run, spark: SparkSession, tmp_path: Path) -> None:
    spark.conf.set("spark.sql.parquet.writeLegacyFormat", "true")
    spark.conf.set("spark.sql.parquet.outputTimestampType", "INT96")
    try:
        frame = spark.sql("SELECT 'a film' AS text, TIMESTAMP'2024-02-29 12:30:00' AS at, array(1, NULL) AS list")
        frame.write.parquet(str(tmp_path / "out"))
    finally:
        spark.conf.unset("spark.sql.parquet.writeLegacyFormat")
        spark.conf.unset("spark.sql.parquet.outputTimestampType")
    result = run(tmp_path / "out", "--pass", "at,list", model=TINY)
    (record,) = records(result)
    assert record["at"].startswith("2024-02-29 12:30:00")
    assert record["list"] == [1, None]


def test_what_we_write_is_read_by_spark(run: Run, rows: DataFrame, spark: SparkSession, tmp_path: Path) -> None:
    rows.write.parquet(str(tmp_path / "in"))
    result = run(tmp_path / "in", "--annotate", "-o", tmp_path / "rated.parquet", model=TINY)
    assert result.returncode == 0, result.stderr.decode()
    back = spark.read.parquet(str(tmp_path / "rated.parquet"))
    assert {"text", "pairs", "label", "score", "rating", "error"} <= set(back.columns)
    assert back.count() == 3000 and back.where("rating BETWEEN 1 AND 10").count() == 3000
    assert sorted(tuple(row) for row in back.select("id", "number").collect()) == sorted(
        tuple(row) for row in rows.select("id", "number").collect()
    )
