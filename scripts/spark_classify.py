#!/usr/bin/env python3
"""Rates reviews on a Spark cluster: every row comes back with its label, score and rating, in columns of their own.

    spark-submit --archives reviewrate-VERSION-linux-x86_64.tar.gz#reviewrate \\
        scripts/spark_classify.py reviews.parquet rated.parquet --text-field review --id-field id -- --precision auto

The archive is that of scripts/release: Spark unpacks it on each worker, and nothing need be installed there but Python,
pyarrow and pandas, which Spark itself asks for. Without it the workers' own reviewrate is taken. What stands behind --
are options of `reviewrate classify`; a --model must be where the workers can read it.

Each task runs one reviewrate with as many workers as the task has cores (spark.task.cpus). A review that cannot be
rated is a row with an error; a program that dies fails its task, which Spark tries again. Rows stay in the order in
which Spark reads them, and are told apart by --id-field; where there is none, and no column id, the column id is made.
The closing line tells the rows and the errors among them. Exit status 0 says that all rows are written, errors among
them too; 2 is bad usage, 3 anything else.
"""

from __future__ import annotations

import argparse
import json
import queue
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark import SparkFiles, TaskContext
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

AHEAD = 1  # batches whose texts are sent before the records of earlier ones are read, so that the program never waits
TEXT = "__reviewrate_text_"

FAILURE = T.StructType([T.StructField("kind", T.StringType()), T.StructField("message", T.StringType())])
# As `reviewrate -o FILE.parquet` has them.
OWN: dict[str, tuple[T.DataType, pa.DataType]] = {
    "label": (T.StringType(), pa.string()),
    "score": (T.DoubleType(), pa.float64()),
    "p_positive": (T.DoubleType(), pa.float64()),
    "rating": (T.ByteType(), pa.int8()),
    "tokens": (T.LongType(), pa.int64()),
    "truncated": (T.BooleanType(), pa.bool_()),
    "windows": (T.LongType(), pa.int64()),
    "error": (FAILURE, pa.struct([("kind", pa.string()), ("message", pa.string())])),
    "repaired": (T.LongType(), pa.int64()),
    "empty": (T.BooleanType(), pa.bool_()),
}


class Usage(Exception):
    """The arguments ask for what cannot be; says "what: why"."""


def find_program() -> str:
    """reviewrate on this worker: in an archive that Spark unpacked, else on the PATH."""
    for folder in (SparkFiles.getRootDirectory(), "."):
        for pattern in ("*/bin/reviewrate", "*/*/bin/reviewrate"):
            for path in sorted(Path(folder).glob(pattern)):
                return str(path.resolve())
    found = shutil.which("reviewrate")
    if not found:
        raise FileNotFoundError("reviewrate: neither in an archive (spark-submit --archives) nor on the worker's PATH")
    return found


class Program:
    """A running reviewrate: texts go in, and as many records come back, in order.

    One thread writes what is sent and one reads stderr, so that no full pipe stops the program or this one."""

    def __init__(self, command: list[str]) -> None:
        self._name = command[0]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1 << 16
        )
        self._unsent: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._last_words: deque[str] = deque(maxlen=1)
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._write, self._listen)]
        for thread in self._threads:
            thread.start()

    def _write(self) -> None:
        assert self._process.stdin
        try:
            while (data := self._unsent.get()) is not None:
                self._process.stdin.write(data)
                self._process.stdin.flush()
            self._process.stdin.close()
        except OSError:
            pass  # it has died, and the end of its records tells that

    def _listen(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            text = line.decode(errors="replace").strip()
            if text:
                self._last_words.append(text)
                print(text, file=sys.stderr, flush=True)  # the executor's log

    def send(self, lines: bytes) -> None:
        self._unsent.put(lines)

    def record(self, number: int) -> dict[str, Any]:
        """The next record, which must be that of the text with this number."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            self._fail()
        record: dict[str, Any] = json.loads(line)
        if record.get("id") != str(number):
            raise RuntimeError(f"{self._name}: text {number} was answered by the record {record.get('id')}")
        return record

    def finish(self) -> None:
        """Waits for its end, after the last record."""
        assert self._process.stdout
        self._unsent.put(None)
        rest = self._process.stdout.readline()
        if self._process.wait() not in (0, 1):  # 1: some records are errors
            self._fail()
        if rest:
            raise RuntimeError(f"{self._name}: there are more records than texts")

    def kill(self) -> None:
        self._process.kill()
        self._unsent.put(None)
        self._process.wait()

    def _fail(self) -> None:
        code = self._process.wait()
        self._threads[1].join()
        end = f"ended with exit code {code}" if code >= 0 else f"was killed by signal {-code}"
        raise RuntimeError(f"{self._name}: {end}: {self._last_words[0] if self._last_words else 'it said nothing'}")


def json_lines(batch: pa.RecordBatch, texts: list[str], first: int) -> bytes:
    """A JSON object for each row, with its number as the id. Bytes that are not UTF-8 stay as they are."""
    columns = [batch.column(f"{TEXT}{n}").cast(pa.binary()).to_pylist() for n in range(len(texts))]
    lines = []
    for number, cells in enumerate(zip(*columns, strict=True), first):
        fields = {
            name: None if cell is None else cell.decode("utf-8", "surrogateescape")
            for name, cell in zip(texts, cells, strict=True)
        }
        lines.append(json.dumps({"id": str(number), **fields}, ensure_ascii=False) + "\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


def rater(
    program: str | None, options: list[str], texts: list[str]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What a task does: batches of rows in, the same with the columns of OWN out."""

    def rate(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        running: Program | None = None
        waiting: deque[tuple[int, pa.RecordBatch]] = deque()
        rows = 0

        def rated() -> pa.RecordBatch:
            first, batch = waiting.popleft()
            assert running
            records = [running.record(number) for number in range(first, first + batch.num_rows)]
            for record in records:
                record.setdefault("repaired", 0)
                record.setdefault("empty", False)
            kept = batch.num_columns - len(texts)
            own = [pa.array([record.get(name) for record in records], kind) for name, (_, kind) in OWN.items()]
            return pa.RecordBatch.from_arrays([*batch.columns[:kept], *own], names=[*batch.schema.names[:kept], *OWN])

        try:
            for batch in batches:
                if running is None:  # a partition without rows starts nothing
                    cores = str(TaskContext.get().cpus())  # type: ignore[union-attr]
                    fixed = ["-", "-q", "-f", "jsonl", "--input-format", "jsonl", "--id-field", "id"]
                    running = Program(
                        [program or find_program(), *fixed, "--text-field", ",".join(texts), "-j", cores, *options]
                    )
                running.send(json_lines(batch, texts, rows))
                waiting.append((rows, batch))
                rows += batch.num_rows
                if len(waiting) > AHEAD:
                    yield rated()
            while waiting:
                yield rated()
            if running:
                running.finish()
                running = None
        finally:
            if running:
                running.kill()

    return rate


def classify(
    frame: DataFrame, texts: list[str], id_field: str | None, prefix: str, program: str | None, options: list[str]
) -> DataFrame:
    """The frame's columns and, behind them, those of OWN."""
    taken = {name.lower() for name in frame.columns}
    if id_field is None and "id" not in taken:
        frame = frame.select(F.monotonically_increasing_id().cast("string").alias("id"), "*")
    elif id_field is not None and id_field.lower() not in taken:
        raise Usage(f"--id-field {id_field}: is no column; there are {', '.join(frame.columns)}")
    for text in texts:
        if text.lower() not in taken:
            raise Usage(f"--text-field {text}: is no column; there are {', '.join(frame.columns)}")
    for name in OWN:
        if (prefix + name).lower() in taken:
            raise Usage(f"the column {prefix + name} is there already: give ours other names by --prefix")
    cells = [F.col(f"`{text}`").cast("string").alias(f"{TEXT}{n}") for n, text in enumerate(texts)]
    own = [T.StructField(name, kind) for name, (kind, _) in OWN.items()]
    rated = frame.select("*", *cells).mapInArrow(
        rater(program, options, texts), T.StructType([*frame.schema.fields, *own])
    )
    return rated.toDF(*frame.columns, *[prefix + name for name in OWN])


def settings(words: list[str]) -> dict[str, str]:
    """KEY=VALUE, as a dictionary."""
    for word in words:
        if "=" not in word:
            raise Usage(f"{word!r}: is not KEY=VALUE")
    return dict(word.split("=", 1) for word in words)


def run(arguments: argparse.Namespace, spark: SparkSession) -> None:
    read = settings(arguments.read_option)
    write = settings(arguments.write_option)
    if arguments.read_format == "table":
        frame = spark.read.options(**read).table(arguments.input)
    else:
        if arguments.read_format == "csv":  # a table has a header, and cells may hold quotes and line ends
            read = {"header": "true", "multiLine": "true", "escape": '"'} | read
        frame = spark.read.format(arguments.read_format).options(**read).load(arguments.input)
    seen = Observation("reviewrate")
    texts = arguments.text_field.split(",")
    rated = classify(frame, texts, arguments.id_field, arguments.prefix, arguments.program, arguments.options)
    error = arguments.prefix + "error"
    rated = rated.observe(seen, F.count(F.lit(1)).alias("rows"), F.count(F.col(f"`{error}`")).alias("errors"))
    if arguments.write_format == "csv":  # which has no structs
        write = {"header": "true", "escape": '"'} | write
        for part in ("kind", "message"):
            rated = rated.withColumn(f"{error}_{part}", F.col(f"`{error}`.{part}"))
        rated = rated.drop(error)
    writer = rated.write.mode(arguments.mode).options(**write)
    if arguments.write_format == "table":
        writer.saveAsTable(arguments.output)
    else:
        writer.format(arguments.write_format).save(arguments.output)
    counts = seen.get
    print(f"spark_classify: {counts['rows']} rows, {counts['errors']} of them errors", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="spark_classify",
        usage="spark-submit [OPTIONS OF SPARK] spark_classify.py INPUT OUTPUT [OPTIONS] [-- OPTIONS OF CLASSIFY]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("input", help="a path, or a table's name, as Spark reads it")
    parser.add_argument("output", help="where the rows go")
    parser.add_argument("--read-format", default="parquet", help="parquet, json, csv, orc, table, ... (%(default)s)")
    parser.add_argument("--write-format", default="parquet", help="the same for the output (%(default)s)")
    parser.add_argument("--read-option", action="append", default=[], metavar="KEY=VALUE", help="of Spark's reader")
    parser.add_argument("--write-option", action="append", default=[], metavar="KEY=VALUE", help="of Spark's writer")
    parser.add_argument(
        "--mode", default="errorifexists", choices=["errorifexists", "overwrite", "append"], help="(%(default)s)"
    )
    parser.add_argument("--text-field", default="text", metavar="A[,B]", help="the text's columns (%(default)s)")
    parser.add_argument("--id-field", metavar="COLUMN", help="what tells rows apart (default: id, which is made)")
    parser.add_argument("--prefix", default="", help="of the names of our columns")
    parser.add_argument("--program", help="reviewrate on the workers (default: the archive's, else the PATH's)")
    words = list(sys.argv[1:] if argv is None else argv)
    end = words.index("--") if "--" in words else len(words)
    arguments = parser.parse_args(words[:end])
    arguments.options = words[end + 1 :]
    spark = SparkSession.builder.appName("reviewrate").getOrCreate()
    try:
        run(arguments, spark)
    except Usage as error:
        print(f"spark_classify: {error}", file=sys.stderr)
        return 2
    except PySparkException as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        told = [line for line in lines if line.startswith("RuntimeError:")] or lines  # of a failed task's traceback
        print(f"spark_classify: {told[0]}", file=sys.stderr)
        return 3
    finally:
        spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
