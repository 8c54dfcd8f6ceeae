"""Memory that does not grow with the input, and that the measure of it finds growth."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import BINARY, PATIENCE, TINY, TOP, Result


def compare(binary: str | Path) -> Result:
    """By a program of its own, so that nothing of pytest's own memory is counted."""
    command: list[str | Path] = [
        sys.executable,
        TOP / "tests/compare_memory.py",
        binary,
        "--model",
        TINY,
        "--megabytes",
        "4",
        "40",
    ]
    return subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)


def test_memory_does_not_grow_with_the_input() -> None:
    result = compare(BINARY)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_tenth_of_the_input_kept_is_found(tmp_path: Path) -> None:
    leak = tmp_path / "leak"
    leak.write_text(
        f"#!{sys.executable}\nimport sys\nkept = []\n"
        "while block := sys.stdin.buffer.read(100_000):\n    kept.append(block[:10_000])\n"
    )
    leak.chmod(0o755)
    result = compare(leak)
    assert result.returncode == 1, result.stdout + result.stderr


def many_texts(form: str) -> bytes:
    """Two hundred records whose texts are too large: 600 MB, or 50 MB each by way of a dictionary."""
    if form == "jsonl":
        return (json.dumps({"text": "x" * 3_000_000}) + "\n").encode() * 200
    if form == "csv":
        return b"text\n" + (b"y" * 1_900_000 + b"\n") * 300
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 200, pa.int32()), pa.array(["x" * 50_000_000]))
    out = io.BytesIO()
    pq.write_table(pa.table({"text": text}), out, compression="zstd")
    assert out.tell() < 100_000
    return out.getvalue()


# A child's peak is at least what its parent holds, which has to be little.
MEASURE = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(usage.ru_maxrss, file=sys.stderr)
os._exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.slow
@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_failed_records_that_wait_hold_no_text(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"x.{form}"
    path.write_bytes(many_texts(form))
    with open(tmp_path / "out", "wb") as out:
        command: list[str | Path] = [sys.executable, "-c", MEASURE, BINARY, "-m", TINY, "-q", path]
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    errors = [json.loads(line)["error"]["kind"] for line in (tmp_path / "out").read_text().splitlines()]
    assert errors == ["size"] * (300 if form == "csv" else 200)
    # In kilobytes. The dictionary's value is there a few times.
    assert int(done.stderr) < (700_000 if form == "parquet" else 300_000)
