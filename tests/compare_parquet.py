#!/usr/bin/env python3
"""Compares reading Parquet and Arrow with pyarrow: the texts, the rate, and the memory, over many reviews.

    tests/compare_parquet.py build/reviewrate --model tests/data/tiny --imdb IMDB.jsonl.xz --unsup UNSUP.tsv.xz

The reviews are written by pyarrow, as Parquet of each codec and as Arrow. Rate: bytes of text a second without rating
anything (`--where`), less the time of the same call on a file of one row; pyarrow reads the same columns in batches, in
one thread, and makes Python strings of them or not. Memory: the peak, beside that of the file of one row. With --texts:
every row's tokens (`tokenize`) against those of the same reviews as JSON Lines.
Exit codes: 0 every text is the same; 1 one is not; 2 usage or a broken run.
"""

import argparse
import csv
import json
import lzma
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

MEGABYTE = 1_000_000
CODECS = ["none", "snappy", "zstd", "gzip"]


def read_reviews(imdb: Path, unsup: Path | None) -> pa.Table:
    ids, texts = [], []
    with lzma.open(imdb, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            ids.append(record["id"])
            texts.append(record["text"])
    if unsup:
        csv.field_size_limit(1 << 24)
        with lzma.open(unsup, "rt", encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE):
                ids.append(row["id"])
                texts.append(row["text"])
    return pa.table({"id": ids, "text": texts})


def write_all(table: pa.Table, folder: Path) -> list[Path]:
    paths = []
    for codec in CODECS:
        paths.append(folder / f"{codec}.parquet")
        pq.write_table(table, paths[-1], compression=codec, row_group_size=10_000)
    paths.append(folder / "stream.arrows")
    with ipc.new_stream(paths[-1], table.schema) as writer:
        writer.write_table(table, max_chunksize=1_000)
    return paths


def timed_run(command: list[str]) -> tuple[float, int]:
    """Seconds and the peak of memory, in bytes, of a run that reads all and rates nothing."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit status {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024


def pyarrow_seconds(path: Path, as_strings: bool) -> float:
    start = time.perf_counter()
    if path.suffix == ".parquet":
        batches = pq.ParquetFile(path).iter_batches(columns=["id", "text"], use_threads=False)
    else:
        batches = ipc.open_stream(path)
    for batch in batches:
        for column in batch.columns:
            if as_strings:
                column.to_pylist()
    return time.perf_counter() - start


def token_counts(command: list[str], path: Path) -> list[tuple[str, str]]:
    done = subprocess.run([*command, str(path)], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return [(record["id"], str(record["ids"])) for record in map(json.loads, done.stdout.splitlines())]


def compare_texts(program: list[str], table: pa.Table, paths: list[Path], folder: Path) -> int:
    lines = folder / "reviews.jsonl"
    with lines.open("w") as out:
        out.writelines(json.dumps(row) + "\n" for row in table.to_pylist())
    expected = token_counts(program, lines)
    wrong = 0
    for path in paths:
        found = token_counts(program, path)
        differ = sum(a != b for a, b in zip(found, expected, strict=False)) + abs(len(found) - len(expected))
        print(f"{path.name}: {differ} of {len(expected)} texts differ", flush=True)
        wrong += differ
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reviewrate", help="the program")
    parser.add_argument("--model", required=True, help="a model package (its weights do not matter)")
    parser.add_argument("--imdb", type=Path, required=True, help="jsonl.xz of id and text")
    parser.add_argument("--unsup", type=Path, help="tsv.xz of id and text")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (default: %(default)s)")
    parser.add_argument("--texts", action="store_true", help="compare the texts too, which takes minutes")
    args = parser.parse_args()
    table = read_reviews(args.imdb, args.unsup)
    size = sum(len(text.as_py().encode()) for text in table["text"])
    print(f"{table.num_rows} reviews, {size / MEGABYTE:.1f} MB of text")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_all(table, folder)
        # A child's peak is at least its parent's memory, so that the parent must be a small one.
        small = multiprocessing.get_context("spawn").Pool(1)
        read = [args.reviewrate, "-m", args.model, "-q", "--where", "id=none"]
        for path in paths:
            one = folder / f"one{path.suffix}"
            write_one(table.slice(0, 1), one)
            start, little = min(small.apply(timed_run, ([*read, str(one)],)) for _ in range(args.rounds))
            runs = [small.apply(timed_run, ([*read, str(path)],)) for _ in range(args.rounds)]
            rates = [
                size / MEGABYTE / median(seconds)
                for seconds in (
                    [seconds - start for seconds, _ in runs],
                    [pyarrow_seconds(path, as_strings=False) for _ in range(args.rounds)],
                    [pyarrow_seconds(path, as_strings=True) for _ in range(args.rounds)],
                )
            ]
            print(
                f"{path.name}: {rates[0]:.0f} MB/s, pyarrow {rates[1]:.0f}, with Python strings {rates[2]:.0f}; "
                f"peak {max(peak for _, peak in runs) / MEGABYTE:.0f} MB, of one row {little / MEGABYTE:.0f}",
                flush=True,
            )
        small.terminate()
        tokenize = [args.reviewrate, "tokenize", "-m", args.model]
        return 1 if args.texts and compare_texts(tokenize, table, paths, folder) else 0


def write_one(table: pa.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path)
        return
    with ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        print(f"compare_parquet: {error}", file=sys.stderr)
        sys.exit(2)
