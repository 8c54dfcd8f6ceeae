"""reviewrate diff: two files of predictions, by id."""

import bz2
import fcntl
import gzip
import json
import lzma
import os
import random
import signal
import struct
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import BINARY, PATIENCE, Run, error_line


def prediction(i: Any, p: float) -> dict[str, Any]:
    return {"id": i, "label": "POSITIVE" if p >= 0.5 else "NEGATIVE", "score": max(p, 1 - p), "p_positive": p}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


OLD = [prediction(i, i / 10) for i in range(10)]


def compare(
    run: Run, tmp_path: Path, new: list[dict[str, Any]], *options: str, old: list[dict[str, Any]] = OLD
) -> tuple[int, list[str]]:
    result = run("diff", write(tmp_path / "a.jsonl", old), write(tmp_path / "b.jsonl", new), *options)
    assert result.stderr == b""
    return result.returncode, result.stdout.decode().splitlines()


def test_the_same_predictions_in_any_order(run: Run, tmp_path: Path) -> None:
    same = "10 compared, 0 missing, 0 added, 0 labels flipped, largest change of probability 0 (tolerance 1e-06)"
    assert compare(run, tmp_path, OLD) == (0, [same])
    shuffled = OLD.copy()
    random.Random(1).shuffle(shuffled)
    assert compare(run, tmp_path, shuffled) == (0, [same])


def test_changes_against_the_tolerance(run: Run, tmp_path: Path) -> None:
    new = [prediction(i, i / 10 + (0.01 if i == 3 else 0.002 if i == 7 else 0)) for i in range(10)]
    status, lines = compare(run, tmp_path, new)
    assert status == 4
    assert lines[1:] == ["change 3: NEGATIVE 0.3 -> NEGATIVE 0.31", "change 7: POSITIVE 0.7 -> POSITIVE 0.702"]
    status, lines = compare(run, tmp_path, new, "--tolerance", "0.005")
    assert (status, lines[1:]) == (4, ["change 3: NEGATIVE 0.3 -> NEGATIVE 0.31"])
    status, lines = compare(run, tmp_path, new, "--tolerance", "0.02")
    assert (status, len(lines)) == (0, 1)
    assert "largest change of probability 0.01" in lines[0]


def test_a_flip_counts_whatever_the_tolerance(run: Run, tmp_path: Path) -> None:
    status, lines = compare(
        run, tmp_path, [prediction(i, 0.4999 if i == 5 else i / 10) for i in range(10)], "--tolerance", "1"
    )
    assert status == 4
    assert "1 label flipped" in lines[0]
    assert lines[1:] == ["flip 5: POSITIVE 0.5 -> NEGATIVE 0.4999"]


def test_different_efforts_are_told(run: Run, tmp_path: Path) -> None:
    fast = [row | {"effort": "fast"} for row in OLD]
    assert compare(run, tmp_path, fast)[1][1:] == ["effort full -> fast"]
    assert compare(run, tmp_path, fast, old=fast)[1][1:] == []
    mixed = [*fast[:5], *OLD[5:]]
    assert compare(run, tmp_path, mixed, "--json", str(tmp_path / "d.json"))[1][1:] == ["effort full -> fast, full"]
    assert json.loads((tmp_path / "d.json").read_text())["efforts"] == ["full", "fast, full"]
    table = tmp_path / "b.csv"
    table.write_text("id,label,score,p_positive,effort\n" + "".join(f"{i},NEGATIVE,1,0,fast\n" for i in range(3)))
    result = run("diff", "--distribution", tmp_path / "a.jsonl", table, "--json", tmp_path / "e.json")
    assert result.stdout.decode().splitlines()[-1] == "effort full -> fast"
    assert json.loads((tmp_path / "e.json").read_text())["efforts"] == ["full", "fast"]
    failed = [{"id": i, "error": {"kind": "x", "message": "y"}} for i in range(10)]  # made at no effort
    result = run("diff", write(tmp_path / "a.jsonl", failed), table)
    assert "effort" not in result.stdout.decode()


def test_missing_and_added_ids(run: Run, tmp_path: Path) -> None:
    new = [*OLD[:4], *OLD[5:], prediction("4", 0.4), prediction("n\u001b", 0.5)]
    status, lines = compare(run, tmp_path, new, "--tolerance", "1")
    assert status == 4
    assert lines[0].startswith("9 compared, 1 missing, 2 added, 0 labels flipped")
    assert lines[1:] == ["missing 4", 'added "4"', 'added "n\\u001b"']
    assert compare(run, tmp_path, OLD[:9])[0] == 4
    assert compare(run, tmp_path, [*OLD, prediction(10, 1)])[0] == 4


def test_the_same_id_twice_goes_by_occurrence(run: Run, tmp_path: Path) -> None:
    old = [prediction("a", 0.1), prediction("b", 0.9), prediction("a", 0.2), prediction("a", 0.3)]
    assert compare(run, tmp_path, [old[1], old[0], old[2], old[3]], old=old)[0] == 0
    status, lines = compare(run, tmp_path, [old[0], old[3], old[1]], old=old)
    assert (status, lines[1:]) == (4, ['missing "a"', 'change "a": NEGATIVE 0.2 -> NEGATIVE 0.3'])


def test_an_error_record_is_no_prediction(run: Run, tmp_path: Path) -> None:
    error = {"id": 2, "error": {"kind": "json", "message": "x"}}
    new = [error if i == 2 else row for i, row in enumerate(OLD)]
    status, lines = compare(run, tmp_path, new)
    assert (status, lines[1:]) == (4, ["flip 2: NEGATIVE 0.2 -> ERROR json"])
    status, lines = compare(run, tmp_path, new, old=new)
    assert status == 0
    assert lines[0].startswith("10 compared (1 of them error records), 0 missing")


def test_without_p_positive_the_score_is_compared(run: Run, tmp_path: Path) -> None:
    old = [{"id": 1, "label": "LABEL_2", "score": 0.8}]
    assert compare(run, tmp_path, old, old=old)[0] == 0
    assert compare(run, tmp_path, [old[0] | {"score": 0.7}], old=old)[0] == 4


@pytest.mark.parametrize(
    "line",
    ["", "{", "5", "[]", "{}", '{"id": 1}', '{"id": 1, "label": "x"}', '{"id": 1, "label": "x", "score": "y"}', "\xff"],
)
def test_a_line_that_is_no_record_is_named(run: Run, tmp_path: Path, line: str) -> None:
    old = write(tmp_path / "a.jsonl", OLD)
    new = tmp_path / "b.jsonl"
    new.write_bytes(old.read_bytes() + line.encode("latin-1") + b"\n")
    result = run("diff", old, new)
    assert result.returncode == 1
    assert f"{new}:11: is no prediction record" in result.stderr.decode()
    assert result.stdout.startswith(b"10 compared")


def test_a_file_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    result = run("diff", write(tmp_path / "a.jsonl", OLD), tmp_path / "gone.jsonl")
    assert (result.returncode, result.stdout) == (3, b"")
    assert "gone.jsonl" in error_line(result)
    result = run("diff", tmp_path, tmp_path / "a.jsonl")
    assert result.returncode == 3
    assert f"{tmp_path}: is a folder" in error_line(result)


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.parametrize(
    ("name", "pack"), [("gz", gzip.compress), ("xz", lzma.compress), ("bz2", bz2.compress), ("zst", zstd)]
)
def test_compressed_predictions(run: Run, tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    old = write(tmp_path / "a.jsonl", OLD)
    new = tmp_path / f"b.jsonl.{name}"
    new.write_bytes(pack(write(tmp_path / "b.jsonl", [*OLD, prediction("new", 0.25)]).read_bytes()))
    for result in (run("diff", old, new), run("diff", old, "-", stdin=new.read_bytes())):
        assert (result.returncode, result.stderr) == (4, b"")
        assert result.stdout.splitlines()[1:] == [b'added "new"']
    new.write_bytes(new.read_bytes()[:-5])
    result = run("diff", old, new)
    assert (result.returncode, result.stdout) == (3, b"")
    assert f"{new}" in error_line(result) and "damaged" in error_line(result)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("idle", ["stdin", "pipe"])
def test_a_signal_ends_it_while_its_input_is_idle(tmp_path: Path, idle: str, number: signal.Signals) -> None:
    old = write(tmp_path / "a.jsonl", OLD)
    os.mkfifo(tmp_path / "pipe")
    end = os.open(tmp_path / "pipe", os.O_RDWR)  # open at both ends, and nothing in it
    command: list[str | Path] = [BINARY, "diff", old, "-" if idle == "stdin" else tmp_path / "pipe"]
    process = subprocess.Popen(command, stdin=end, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.write(end, old.read_bytes() + b'{"id": ')
    while unread(end) > 0:
        assert process.poll() is None, "it ended at a pipe that did not"
    process.send_signal(number)
    assert process.communicate(timeout=PATIENCE) == (b"", b"")
    assert process.returncode == 128 + number
    os.close(end)


def unread(pipe: int) -> int:
    """Bytes that wait in a pipe."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


@pytest.mark.parametrize(
    "arguments",
    [[], ["a"], ["a", "b", "c"], ["a", "b", "--tolerance", "-1"], ["a", "b", "--tolerance", "x"], ["-", "-"]],
)
def test_usage(run: Run, arguments: list[str]) -> None:
    assert run("diff", *arguments).returncode == 2


def test_what_classify_writes(run: Run, tmp_path: Path) -> None:
    reviews = "\n".join(f"a film {'good ' * i}" for i in range(20))
    (tmp_path / "a.jsonl").write_bytes(run(stdin=reviews).stdout)
    result = run("diff", tmp_path / "a.jsonl", "-", stdin=run("-j", "1", stdin=reviews).stdout)
    assert (result.returncode, result.stdout[:11]) == (0, b"20 compared")


def refused(run: Run, old: Path, new: Path) -> str:
    """The line of a diff that ended in 1 without a comparison."""
    result = run("diff", old, new)
    assert (result.returncode, result.stdout) == (1, b"")
    return error_line(result)


def test_nothing_compared_is_never_well(run: Run, tmp_path: Path) -> None:
    some, none = write(tmp_path / "a.jsonl", OLD), write(tmp_path / "b.jsonl", [])
    others = write(tmp_path / "c.jsonl", [prediction(f"x{i}", i / 10) for i in range(10)])
    for old, new, status, words in (
        (none, none, 1, "there are no records"),
        (some, none, 4, "the new file holds no records"),
        (none, some, 4, "the old file holds no records"),
        (some, others, 4, "no id is in both files"),
    ):
        result = run("diff", old, new)
        assert result.returncode == status
        assert f"nothing was compared: {words}" in error_line(result)
        assert result.stdout.startswith(b"0 compared, ")
    result = run("diff", none, "-", stdin=b"")
    assert result.returncode == 1


@pytest.mark.parametrize(("failed", "status"), [(0, 0), (5, 0), (6, 1), (10, 1)])
def test_that_most_records_are_errors_is_told(run: Run, tmp_path: Path, failed: int, status: int) -> None:
    rows = [{"id": i, "error": {"kind": "field", "message": "x"}} if i < failed else row for i, row in enumerate(OLD)]
    path = write(tmp_path / "a.jsonl", rows)
    result = run("diff", path, path)
    assert result.returncode == status
    assert result.stdout.decode().startswith(
        f"10 compared ({failed} of them error records), " if failed else "10 compared, "
    )
    assert result.stderr.decode() == (
        f"reviewrate: diff: most of what was compared are error records: {failed} of 10\n" if status else ""
    )


REVIEWS = (
    '{"id": 7, "text": "a good film"}\n{"id": "x,\\"y\\"\\tz", "text": "not a good film"}\n'
    '{"id": "two\\nlines", "text": "so"}\n{"id": "é", "text": 5}\n'
)


@pytest.mark.slow
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("new", ["jsonl", "csv", "tsv"])
@pytest.mark.parametrize("old", ["jsonl", "csv", "tsv"])
def test_every_format_of_classify_is_read_by_its_content(
    run: Run, tmp_path: Path, old: str, new: str, pack: Callable[[bytes], bytes]
) -> None:
    for name, form, threshold in (("a", old, "0"), ("b", new, "0"), ("c", new, "1")):
        (tmp_path / name).write_bytes(
            pack(run("-f", form, "--threshold", threshold, "--pass", "text", stdin=REVIEWS).stdout)
        )
    result = run("diff", tmp_path / "a", tmp_path / "b")
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.startswith(
        b"4 compared (1 of them error records), 0 missing, 0 added, 0 labels flipped, largest change of probability 0 "
    )
    result = run("diff", tmp_path / "a", "-", stdin=(tmp_path / "c").read_bytes())
    assert (result.returncode, result.stderr) == (4, b"")
    assert "3 labels flipped" in result.stdout.decode()
    flipped = {line.split(": POSITIVE")[0] for line in result.stdout.decode().splitlines()[1:]}
    seven = "flip 7" if (old, new) == ("jsonl", "jsonl") else 'flip "7"'  # a table does not tell 7 and "7" apart
    assert flipped == {seven, 'flip "x,\\"y\\"\\tz"', 'flip "two\\nlines"'}


def test_rows_of_a_table_that_are_no_predictions_are_named(run: Run, tmp_path: Path) -> None:
    header = "id,label,score,p_positive,error_kind\n"
    (tmp_path / "a.csv").write_text(header + "a,POSITIVE,0.9,0.9,\nb,NEGATIVE,0.8,0.2,\nc,,,,json\n")
    for row in ("b,NEGATIVE,much,,", "b,NEGATIVE,,,", "b,NEGATIVE,7,7,", "b", "b,NEGATIVE,0.8,0.2,,more"):
        (tmp_path / "b.csv").write_text(header + f"a,POSITIVE,0.9,0.9,\n{row}\nc,,,,json\n")
        result = run("diff", tmp_path / "a.csv", tmp_path / "b.csv")
        assert result.returncode == 4
        assert f"{tmp_path}/b.csv:3: is no prediction record" in result.stderr.decode()
        assert "2 compared (1 of them error records), 1 missing" in result.stdout.decode()


def test_scores_are_compared_where_a_table_has_no_p_positive(run: Run, tmp_path: Path) -> None:
    for name, p in (("a", 0.75), ("b", 0.5)):
        (tmp_path / name).write_text(f"id\tlabel\tscore\tp_positive\tx\n1\tLABEL_2\t{p}\t\ty\n")
    result = run("diff", tmp_path / "a", tmp_path / "b")
    assert (result.returncode, result.stdout.splitlines()[1:]) == (4, [b'change "1": LABEL_2 0.75 -> LABEL_2 0.5'])


def test_the_report_of_eval_is_refused_in_a_line(run: Run, tmp_path: Path) -> None:
    run("eval", "--json", tmp_path / "eval.json", stdin='{"text": "a good film", "label": 1}\n')
    report = json.loads((tmp_path / "eval.json").read_text())
    (tmp_path / "small.json").write_text(json.dumps(report) + "\n")
    some = write(tmp_path / "a.jsonl", OLD)
    for name in ("eval.json", "small.json"):
        assert f"{name}: is a report of eval --json" in refused(run, tmp_path / name, some)
        assert f"{name}: is a report of eval --json" in refused(run, some, tmp_path / name)


@pytest.mark.parametrize(
    "content",
    [
        "\n",
        "a good film\na bad one\n" * 30,
        "id,text,label\n1,so,pos\n",
        "[\n1,\n2\n]\n",
        '{\n "id": 1\n}\n',
        '{"text": "so", "label": 1}\n' * 30,
    ],
    ids=["blank", "lines", "labelled table", "array", "pretty", "labelled"],
)
def test_a_file_without_any_record_is_refused_in_a_line(run: Run, tmp_path: Path, content: str) -> None:
    (tmp_path / "a").write_text(content)
    some = write(tmp_path / "b.jsonl", OLD)
    for old, new in ((tmp_path / "a", some), (some, tmp_path / "a")):
        assert "a: there is no prediction record in it" in refused(run, old, new)


def test_ids_of_any_depth_and_length_are_bounded(run: Run, tmp_path: Path) -> None:
    deep = "[" * 300_000 + "]" * 300_000
    (tmp_path / "a.jsonl").write_text(
        f'{{"id": {deep}, "label": "POSITIVE", "score": 0.9}}\n' + json.dumps(prediction("ü" * 100_000, 0.9)) + "\n"
    )
    (tmp_path / "b.jsonl").write_text(
        f'{{"id": 1, "error": {deep.replace("[", "{" + chr(34) + "a" + chr(34) + ":[").replace("]", "]}")}}}\n'
        + json.dumps(prediction("ü" * 100_000, 0.8))
        + "\n"
    )
    result = run("diff", tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert result.returncode == 4
    assert (
        "a.jsonl:1: is no prediction record" in result.stderr.decode()
        and "b.jsonl:1: is no prediction record" in result.stderr.decode()
    )
    assert result.stdout.startswith(b"1 compared, ") and len(result.stdout) < 500 and "ü…" in result.stdout.decode()


def test_nothing_that_a_terminal_obeys_is_written(run: Run, tmp_path: Path) -> None:
    nasty = "a\u001b[31m\u0085\u202e\u200b\u2028b"
    old = write(tmp_path / "a.jsonl", [prediction(nasty, 0.1), {"id": 1, "label": nasty, "score": 0.5}])
    new = write(tmp_path / "b.jsonl", [prediction(nasty, 0.2), {"id": 1, "label": nasty, "score": 0.6}])
    result = run("diff", old, new)
    assert result.returncode == 4 and len(result.stdout.decode().split("\n")) == 4
    assert not set("\x1b\x85\u202e\u200b\u2028") & set(result.stdout.decode())
