"""Reads labelled reviews from jsonl, csv and tsv files, compressed or not, by the rules of `reviewrate eval`.

A bad value is BadInput "FILE:LINE: the value, and what it must be".
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import itertools
import json
import lzma
import math
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from command_line import BadInput, reason, require
from labels import ADVICE, key_of, meanings, number_of, shown

TABLES = {".csv": ",", ".tsv": "\t"}
DELIMITERS = ",;\t|"
JSON_LINES = (".jsonl", ".ndjson", ".json")
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


@dataclass(frozen=True)
class Fields:
    """The fields' names and the labels' meanings that the user can choose."""

    text: str = "text"
    label: str = "label"
    label_map: dict[str, int] = field(default_factory=dict)  # what labels mean, by their key, if the user says it


def suffix_of(path: Path) -> str:
    """What the name says of the format, compression aside: ".csv" of reviews.csv.gz."""
    name = Path(path.name.lower())
    return (name.with_suffix("") if name.suffix in COMPRESSED else name).suffix


def is_labelled_file(path: Path) -> bool:
    return suffix_of(path) in (*TABLES, *JSON_LINES)


def read_records(path: Path, fields: Fields | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each record after its FILE:LINE; values are strings in a table, and what JSON has in a jsonl file."""
    suffix = suffix_of(path)
    if suffix in TABLES:
        yield from read_table(path, TABLES[suffix], fields or Fields())
    else:
        yield from read_json_lines(path)


def labels_of(path: Path, values: list[tuple[str, Any]], fields: Fields) -> dict[str, int]:
    """What the labels mean, by their keys; `values` has each with its FILE:LINE."""
    keys = {key_of(value) for _, value in values}
    found = meanings(keys, fields.label_map)
    if found is not None:
        return found
    for where, value in values:
        # A label that means nothing beside the usual ones is the culprit.
        usual = {"0", "1", "negative", "positive"} if not fields.label_map else set()
        if meanings({key_of(value), *usual}, fields.label_map) is None:
            must = "must be NEGATIVE (0), POSITIVE (1) or, for none, empty or -1"
            raise BadInput(f"{where}: the label is {shown(value)}, and {must}; or {ADVICE}")
    listed = ", ".join(shown(value) for value in {key_of(value): value for _, value in values}.values())
    raise BadInput(f"{path}: the labels are {listed}: which are POSITIVE cannot be told; {ADVICE}")


def stars_of(record: dict[str, Any], where: str) -> int:
    """The field stars, 0 where there is none."""
    value = record.get("stars")
    text = "" if value is None else str(value).strip()
    stars = number_of(text or "0")
    require(not math.isnan(stars), f"{where}: the stars are {json.dumps(value)[:80]}, and must be a number")
    return round(stars)


def text_of(record: dict[str, Any], fields: Fields, where: str) -> str:
    require(fields.text in record, f"{where}: there is no field {fields.text!r}; --text-field names another")
    text = record[fields.text]
    shown = json.dumps(text)[:80]
    require(isinstance(text, str), f"{where}: the field {fields.text!r} is {shown}, and must be a string")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"{where}: the field {fields.text!r} is not Unicode: it has half a surrogate pair") from error
    return text


def read_table(path: Path, delimiter: str, fields: Fields) -> Iterator[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(sys.maxsize)
    lines = lines_of(path)
    skipped, header = 0, next(lines, "")
    if match := re.fullmatch(r'"?sep=([^\w"])"?\s*', header, re.IGNORECASE):  # as Excel writes it
        skipped, delimiter, header = 1, match[1], next(lines, "")
    else:
        delimiter = best_delimiter(header, delimiter, fields)
    rows = csv.reader(itertools.chain([header], lines), delimiter=delimiter, strict=True)
    names: list[str] = []
    line = 1 + skipped
    while True:
        where = f"{path}:{line}"
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise BadInput(f"{path}:{rows.line_num + skipped}: {reason(error)}") from error
        line = rows.line_num + 1 + skipped
        if row is None:
            return
        if not row:
            continue
        if not names:
            names = [name.strip() for name in row]
            twice = sorted({name for name in names if names.count(name) > 1})
            require(not twice, f"{where}: the column {', '.join(map(repr, twice))} comes twice")
            continue
        columns = ", ".join(map(repr, names))
        require(len(row) == len(names), f"{where}: has {len(row)} cells, and the columns are {columns}")
        yield where, dict(zip(names, row, strict=True))


def best_delimiter(header: str, usual: str, fields: Fields) -> str:
    """What separates the cells: the usual of such files, unless only another one gives a column of the text's name."""
    for delimiter in (usual, *DELIMITERS):
        cells = next(csv.reader([header], delimiter=delimiter), [])
        if fields.text in [cell.strip() for cell in cells]:
            return delimiter
    return usual


def read_json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(lines_of(path), 1):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise BadInput(f"{where}: is not JSON: {reason(error)}") from error
        require(isinstance(record, dict), f"{where}: is not a JSON object")
        yield where, record


def lines_of(path: Path) -> Iterator[str]:
    """The lines with their ends, without the mark that a file of Windows may begin with."""
    try:
        with open_decompressed(path) as file:
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    hint = ", and seems to be UTF-16" if line.startswith((b"\xff\xfe", b"\xfe\xff")) else ""
                    raise BadInput(f"{path}:{number}: is not UTF-8{hint}") from error
                yield text
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise BadInput(f"{path}: damaged: {reason(error)}") from error


def open_decompressed(path: Path) -> IO[bytes]:
    """The file's bytes, decompressed if they begin as compressed ones do, whatever its name."""
    openers: dict[bytes, Callable[[Path], Any]] = {
        b"\x1f\x8b": gzip.open,
        b"BZh": bz2.open,
        b"\xfd7zXZ\x00": lzma.open,
        b"\x28\xb5\x2f\xfd": open_zstd,
    }
    with path.open("rb") as file:
        begin = file.read(8)
    opener = next((found for magic, found in openers.items() if begin.startswith(magic)), None)
    return opener(path) if opener else path.open("rb")


def open_zstd(path: Path) -> IO[bytes]:
    try:
        import pyarrow  # Python has no zstd of its own before 3.14; the package datasets brings this one
    except ImportError as error:
        raise BadInput(f"{path}: zstd needs the Python package pyarrow, or decompress it first") from error
    return io.BufferedReader(pyarrow.CompressedInputStream(str(path), "zstd"))
