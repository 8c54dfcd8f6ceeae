"""What the program reads, against Python's own csv and json modules and the compression tools of the system.

Runs the program named by REVIEWRATE_BIN on generated files; needs no network and no real model.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import random
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from conftest import BINARY, PATIENCE

MODEL = Path(__file__).resolve().parents[1] / "data" / "tiny"

ALPHABET = [
    "a",
    "Z",
    " ",
    "  ",
    ",",
    ";",
    "|",
    "\t",
    '"',
    '""',
    "\n",
    "\r\n",
    "'",
    "\\",
    "é",
    "漢",
    "😀",
    "\u2028",
    "\x1f",
    "0",
]


def run(*arguments: str | Path, stdin: bytes | None = None) -> tuple[int, list[dict[str, Any]]]:
    """Returns the exit status and the records."""
    command = [BINARY, "-m", str(MODEL), "-f", "jsonl", *map(str, arguments)]
    # No input, and stdin is at its end.
    done = subprocess.run(command, input=stdin or b"", capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode in (0, 1), done.stderr.decode()
    return done.returncode, [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]


def random_text(rng: random.Random, longest: int = 12) -> str:
    return "".join(rng.choice(ALPHABET) for _ in range(rng.randrange(longest)))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_csv_as_python_reads_it(tmp_path: Path, seed: int, delimiter: str, ending: str, quoting: Any) -> None:
    rng = random.Random(seed)
    path = tmp_path / ("x.tsv" if delimiter == "\t" else "x.csv")
    with path.open("w", encoding="utf-8-sig" if seed % 2 else "utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=ending, quoting=quoting)
        writer.writerow(["c1", "text", "c, 2", "key"])
        for row in range(300):
            writer.writerow([random_text(rng), random_text(rng, 40), random_text(rng), f"k{row}"])
    with path.open(encoding="utf-8-sig", newline="") as file:
        expected = list(csv.DictReader(file, delimiter=delimiter))
    status, records = run("--id-field", "key", "--pass", "*", path)
    assert status == 0
    assert [record["id"] for record in records] == [row["key"] for row in expected]
    assert [(r["c1"], r["c, 2"]) for r in records] == [(row["c1"], row["c, 2"]) for row in expected]
    # The text as a passed column, so that it can be seen.
    _, texts = run("--id-field", "key", "--pass", "text", path)
    assert [record["text"] for record in texts] == [row["text"] for row in expected]


def random_value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(8 if depth < 3 else 6)
    if kind == 0:
        return None
    if kind == 1:
        return rng.random() < 0.5
    if kind == 2:
        return rng.choice([0, -1, 2**53 + 1, 2**64, -(2**63), 10**40])
    if kind == 3:
        return rng.choice([0.1, -0.0, 1e-300, 1.7976931348623157e308, rng.random()])
    if kind in (4, 5):
        return random_text(rng)
    if kind == 6:
        return [random_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {random_text(rng): random_value(rng, depth + 1) for _ in range(rng.randrange(4))}


@pytest.mark.parametrize("seed", range(10))
def test_json_as_python_reads_it(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    rows = []
    for row in range(300):
        fields = [
            ("text", random_text(rng, 40)),
            ("id", rng.choice([row, f"r{row}"])),
            ("x", random_value(rng)),
            ("y", random_value(rng)),
        ]
        rng.shuffle(fields)
        rows.append(dict(fields))
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=bool(seed % 2)) + "\n" for row in rows), encoding="utf-8")
    status, records = run("--pass", "*", path)
    assert status == 0
    assert [record["id"] for record in records] == [row["id"] for row in rows]
    # repr tells 0.0 from -0.0 and 1 from 1.0 and True.
    assert [repr((r["x"], r["y"])) for r in records] == [repr((r["x"], r["y"])) for r in rows]
    assert all("error" not in record for record in records)


def test_compressed_forms_of_the_usual_tools(tmp_path: Path) -> None:
    text = "".join(f"review number {n}\n" for n in range(5000))
    data = text.encode()
    plain = tmp_path / "x.txt"
    plain.write_bytes(data)
    _, expected = run(plain)
    forms = {"gz": gzip.compress(data), "xz": lzma.compress(data), "bz2": bz2.compress(data)}
    forms["zst"] = subprocess.run(["zstd", "-c", str(plain)], stdout=subprocess.PIPE, check=True).stdout
    for suffix, packed in forms.items():
        path = tmp_path / f"x.txt.{suffix}"
        path.write_bytes(packed)
        status, records = run(path)
        assert status == 0, suffix
        strip = [{**record, "id": record["id"].replace(f".{suffix}", "")} for record in records]
        assert strip == expected, suffix
        status, records = run("-", stdin=packed)
        assert (status, len(records)) == (0, 5000), suffix


def test_archives_of_the_usual_tools(tmp_path: Path) -> None:
    names = [f"pos/{n}_9.txt" for n in range(50)] + ["caf\u00e9/\u6f22.txt", "x" * 120 + "/long.txt"]
    for mode in ("w", "w:gz", "w:xz", "w:bz2"):
        for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            path = tmp_path / f"a.{mode[2:] or 'plain'}.{form}"
            with tarfile.open(path, mode, format=form) as archive:
                for name in names:
                    info = tarfile.TarInfo(name)
                    info.size = len(name.encode())
                    archive.addfile(info, io.BytesIO(name.encode()))
            status, records = run(path)
            assert (status, [record["id"] for record in records]) == (0, names), path
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = tmp_path / f"a.{method}.zip"
        with zipfile.ZipFile(path, "w", method) as archive:
            for name in names:
                archive.writestr(name, name)
        status, records = run(path)
        assert (status, [record["id"] for record in records]) == (0, names), path


def test_damage_is_one_bad_record_and_exit_1(tmp_path: Path) -> None:
    path = tmp_path / "x.txt.gz"
    path.write_bytes(gzip.compress("".join(f"{n * 7919 % 10007}\n" for n in range(3000)).encode())[:-1])
    after = tmp_path / "y.txt"
    after.write_text("fine\n")
    status, records = run(path, after)
    assert status == 1
    assert len(records) == 3002
    assert [r["error"]["kind"] for r in records if "error" in r] == ["damaged"]
    assert "error" in records[3000] and records[3001]["id"] == f"{after}:1"
