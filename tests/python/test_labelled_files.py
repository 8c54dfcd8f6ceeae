"""Labelled reviews as scripts/finetune.py reads them: the formats, the values, and what is said of bad ones."""

import argparse
import bz2
import csv
import gzip
import json
import lzma
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command_line import BadInput
from conftest import Run
from imdb import UNLABELLED, Review, hold_out_by_chance, read_reviews
from labelled_files import Fields
from labels import key_of, parse_map

ROWS = [
    {"text": 'A "grand" evening,\nall in all', "label": "positive", "split": "train"},
    {"text": "Slow, and then slower", "label": "NEG", "split": "train"},
    {"text": "Käse\u2028 \u4f60\u597d", "label": "1", "split": "test"},
    {"text": "", "label": "0.0", "split": "test"},
    {"text": "Anyone's guess", "label": "", "split": "train"},
]
LABELS = [1, 0, 1, 0, UNLABELLED]


def as_json(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_table(path: Path, rows: list[dict[str, Any]], delimiter: str) -> bytes:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path.read_bytes()


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-c"], input=data, capture_output=True, check=True).stdout


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd,
}


def read(path: Path, fields: Fields | None = None) -> list[tuple[str, int]]:
    return [(review.text, review.label) for review in read_reviews(path, None, fields)]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_every_format_gives_the_same_reviews(suffix: str, compression: str, mark: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"reviews{suffix}{compression}"
    data = as_json(ROWS) if suffix == ".jsonl" else as_table(path, ROWS, "\t" if suffix == ".tsv" else ",")
    path.write_bytes(COMPRESSIONS[compression](mark + data))
    assert read(path) == [(row["text"], label) for row, label in zip(ROWS, LABELS, strict=True)]
    assert [review.split for review in read_reviews(path, None)] == ["train", "train", "test", "test", "unsup"]


SETS: list[list[Any]] = [
    [0, 1],
    [1],
    [-1, 1],
    ["+1", "-1.0"],
    [1, 2],
    ["1.0", 2.0, " 2 "],
    [-1, 0, 1],
    [1, "1", "+1.00", 0],
    ["positive", "Negative", "NEG", " pos "],
    ["P", "n"],
    ["T", "F"],
    [True, False],
    [1, 0, "positive", "neg"],
    ["pos", "neg", -1],
    [1, None, "", 0, "unsup", "Unlabelled"],
    [-1, 1, None],
    [-1],
    [2],
    [1, 2, 3, 4, 5],
    [0, 1, 2],
    [-1, 1, 2],
    [0.5, 1],
    ["positive", "negative", "neutral"],
    [-1, 1, "pos", "neg"],
    [-1, "positive"],
    ["n"],
    ["p", "negative"],
    ["yes", "no"],
    [1, [1]],
    [1, "nan"],
]


@pytest.mark.parametrize("labels", SETS, ids=str)
def test_labels_mean_what_they_mean_to_eval(labels: list[Any], run: Run, tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    path.write_bytes(as_json([{"text": f"film {n}", "label": label} for n, label in enumerate(labels)]))
    result = run("eval", path, "--json", tmp_path / "eval.json")
    if result.returncode == 0:
        report = json.loads((tmp_path / "eval.json").read_text())
        meant = {value["value"]: value["label"] for value in report["label_values"]} | {"": None}
        names = {0: "NEGATIVE", 1: "POSITIVE", UNLABELLED: None}
        found = [names[review.label] for review in read_reviews(path, None)]
        assert found == [meant[key_of(label)] for label in labels]
    else:
        assert result.returncode == 1, result.stderr.decode()
        with pytest.raises(BadInput, match=r"--label-map A=NEGATIVE,B=POSITIVE"):
            read_reviews(path, None)


def test_what_labels_mean_can_be_said(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\nA,1\nB,3\nC,5\nD,5.0\n")
    fields = Fields(label_map=parse_map("1=negative,3=,5=POSITIVE"))
    assert [label for _, label in read(path, fields)] == [0, UNLABELLED, 1, 1]
    with pytest.raises(BadInput, match=r"reviews\.csv:3: the label is \"3\""):
        read(path, Fields(label_map=parse_map("1=neg,5=pos")))
    for ranges, labels in (("1:2=neg,3=,4:5=pos", [0, UNLABELLED, 1, 1]), ("3=pos,1:5=neg", [0, 1, 0, 0])):
        assert [label for _, label in read(path, Fields(label_map=parse_map(ranges)))] == labels
    for bad in ("1", "=POSITIVE", "1=good", "1=POSITIVE,1.0=NEGATIVE", "1:3=neg,2:5=pos", "5:1=neg,x"):
        with pytest.raises(argparse.ArgumentTypeError):
            parse_map(bad)


def test_a_guess_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\nA,1\nB,2\n")
    notes: list[str] = []
    read_reviews(path, None, None, notes)
    assert notes == [f"{path}: labels: 1 is NEGATIVE, 2 is POSITIVE"]


@pytest.mark.parametrize("begin", ["", "sep=;\n", '"sep=;"\r\n'])
def test_other_delimiters(begin: str, tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_text(begin + 'label; text\n1;"a, b; c"\n0;d\n')
    assert read(path) == [("a, b; c", 1), ("d", 0)]
    path.write_text(begin + "label; text\n1;a;b\n")
    with pytest.raises(BadInput, match=f"excel.csv:{3 if begin else 2}: has 3 cells"):
        read(path)


def test_fields_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("id,verdict,comment,label\n7,pos,Sturdy,ignored\n8,neg,Wobbly,ignored\n")
    assert read(path, Fields("comment", "verdict")) == [("Sturdy", 1), ("Wobbly", 0)]
    assert [review.id for review in read_reviews(path, None, Fields("comment", "verdict"))] == ["7", "8"]


BAD: dict[str, tuple[str, bytes, str]] = {
    "word": ("a.jsonl", b'{"text": "x", "label": 1}\n{"text": "y", "label": "meh"}\n', 'a.jsonl:2: the label is "meh"'),
    "nan": ("a.jsonl", b'{"text": "x", "label": NaN}\n', "a.jsonl:1: the label is NaN"),
    "third": ("a.csv", b"text,label\nx,0\ny,2\n", 'a.csv:3: the label is "2", and must be NEGATIVE (0), POSITIVE (1)'),
    "list": ("a.jsonl", b'{"text": "x", "label": [1]}\n', "a.jsonl:1: the label is [1]"),
    "behind a break": ("a.csv", b'text,label\n"x\ny",1\nz,bad?\n', 'a.csv:4: the label is "bad?"'),
    "minus one": (
        "a.csv",
        b"text,label\nx,pos\ny,-1\n",
        'a.csv: the labels are "pos", "-1": which are POSITIVE cannot',
    ),
    "no text": ("a.jsonl", b'{"review": "x", "label": 1}\n', "a.jsonl:1: there is no field 'text'; --text-field"),
    "number": ("a.jsonl", b'{"text": 5, "label": 1}\n', "a.jsonl:1: the field 'text' is 5, and must be a string"),
    "surrogate": ("a.jsonl", b'{"text": "\\ud800", "label": 1}\n', "a.jsonl:1: the field 'text' is not Unicode"),
    "not json": ("a.jsonl", b'{"text": "x", "label": 1}\n{"text": \n', "a.jsonl:2: is not JSON"),
    "array": ("a.jsonl", b"[1]\n", "a.jsonl:1: is not a JSON object"),
    "latin-1": ("a.jsonl", b'{"text": "x", "label": 1}\n{"text": "\xe9", "label": 1}\n', "a.jsonl:2: is not UTF-8"),
    "utf-16": ("a.csv", "text,label\nx,1\n".encode("utf-16"), "a.csv:1: is not UTF-8, and seems to be UTF-16"),
    "cells": ("a.csv", b"text,label\nx,1\ny,1,more\n", "a.csv:3: has 3 cells, and the columns are 'text', 'label'"),
    "twice": ("a.csv", b"text,label,text\nx,1,y\n", "a.csv:1: the column 'text' comes twice"),
    "open quote": ("a.csv", b'text,label\n"x,1\n', "a.csv:2: unexpected end of data"),
    "stars": ("a.csv", b"text,label,stars\nx,1,many\n", 'a.csv:2: the stars are "many"'),
    "half a split": (
        "a.jsonl",
        b'{"text": "x", "label": 1, "split": "test"}\n{"text": "y", "label": 1}\n',
        "a.jsonl:2: there is no field 'split', which other records have",
    ),
    "cut gz": ("a.csv.gz", gzip.compress(b"text,label\n" + b"x,1\n" * 999)[:-20], "a.csv.gz: damaged"),
    "cut bz2": ("a.csv.bz2", bz2.compress(b"text,label\n" + b"x,1\n" * 999)[:-20], "a.csv.bz2: damaged"),
    "cut xz": ("a.csv.xz", lzma.compress(b"text,label\n" + b"x,1\n" * 999)[:-20], "a.csv.xz: damaged"),
    "cut zst": ("a.csv.zst", zstd(bytes(range(256)) * 99)[:-20], "a.csv.zst: damaged"),
    "empty": ("a.csv", b"", "a.csv: holds no review"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_values_are_named(name: str, tmp_path: Path) -> None:
    file, data, expected = BAD[name]
    (tmp_path / file).write_bytes(data)
    with pytest.raises(BadInput) as caught:
        read_reviews(tmp_path / file, None)
    assert str(caught.value).startswith(f"{tmp_path}/{expected}")


def test_held_out_by_chance() -> None:
    reviews = [Review(f"a.csv:{n}", "train", n % 3 // 2, 0, f"text {n // 3}") for n in range(300)]
    reviews += [Review(f"b.csv:{n}", "train", 1, 0, f"praise {n}") for n in range(100)]
    ids = hold_out_by_chance(reviews, 40, 5)
    assert 38 <= len(ids) <= 46 and ids == hold_out_by_chance(reviews, 40, 5) != hold_out_by_chance(reviews, 40, 6)
    held = [review for review in reviews if review.id in ids]
    assert {review.label for review in held} == {0, 1}
    assert not {review.text for review in held} & {review.text for review in reviews if review.id not in ids}
    numbers = sorted(int(review.id.split(":")[1]) for review in held)
    assert numbers[0] < 100 and numbers[-1] > 200  # from all over
    two = [Review(str(n), "train", 1, 0, str(n)) for n in range(2)]
    assert len(hold_out_by_chance(two, 1, 1)) == 1 and hold_out_by_chance(two[:1], 1, 1) == set()
