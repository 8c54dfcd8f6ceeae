"""What people see: text, colors and the bar on a terminal, and what an interruption says."""

import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import termios
import time
import unicodedata
from pathlib import Path

import pytest

from conftest import BINARY, PATIENCE, TINY, Run, error_line, records


def on_a_terminal(
    words: list[str], status: int = 0, stderr: bool = False, columns: int = 80, **environment: str
) -> bytes:
    """What the program writes to stdout (or stderr) where that is a terminal; the other is a pipe."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    variables = {**os.environ, "REVIEWRATE_MODEL": str(TINY), "TERM": "xterm", "NO_COLOR": "", **environment}
    process = subprocess.Popen(
        [BINARY, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if stderr else theirs,
        stderr=theirs if stderr else subprocess.PIPE,
        env=variables,
    )
    os.close(theirs)
    written = shown_on(ours)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == status
    return written


def shown_on(terminal: int) -> bytes:
    """All that comes until nobody has the other end of the terminal any more; closes it."""
    shown = b""
    try:
        while block := os.read(terminal, 4096):
            shown += block
    except OSError:  # as Linux ends a terminal
        pass
    os.close(terminal)
    return shown


def test_color_on_a_terminal() -> None:
    words = ["-t", "a good film"]
    assert b"\x1b[" in on_a_terminal(words)
    assert b"\x1b" not in on_a_terminal(words, NO_COLOR="1")
    assert b"\x1b" not in on_a_terminal(words, TERM="dumb")
    assert b"\x1b" not in on_a_terminal([*words, "--color", "never"])
    assert b"\x1b[" in on_a_terminal([*words, "--color", "always"], NO_COLOR="1")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [("1", "a good film " * 20), ("a/very/long/path/to/some/review.txt", "so"), ("three", "  ")]
    path = tmp_path / "in.csv"
    path.write_text("id,text,stars\n" + "".join(f"{name},{text},{len(name)}\n" for name, text in rows))
    return path


def test_lines_on_a_terminal_are_aligned_and_no_wider(table: Path) -> None:
    lines = on_a_terminal([str(table), "--color", "never"]).decode().splitlines()
    assert all(len(line) <= 80 for line in lines) and len(lines[0]) == 80 and lines[0].endswith("\u2026")
    assert len({lines[0].index("a good"), lines[1].rindex("so"), lines[2].index("(empty)")}) == 1
    assert re.search(r"  a/very/\S*\u2026\S*review.txt|  a/very/\u2026\S+\.txt", lines[1])
    colored = on_a_terminal([str(table)]).decode()
    assert re.sub(r"\x1b\[\d+m", "", colored).splitlines() == lines
    passed = on_a_terminal([str(table), "--pass", "stars", "--color", "never"]).decode().splitlines()
    assert [re.search(r"stars=(\d+)", line).group(1) for line in passed] == ["1", "35", "5"]  # type: ignore[union-attr]


def test_in_a_pipe_nothing_is_cut(run: Run, table: Path) -> None:
    lines = run(table, "-f", "text").stdout.decode().splitlines()
    assert lines[0].count("a good film") == 20 and "  a/very/long/path/to/some/review.txt  so" in lines[1]


def test_whole_texts_are_wrapped(run: Run, table: Path) -> None:
    for lines in (
        on_a_terminal([str(table), "--wrap"], NO_COLOR="1").decode().splitlines(),
        run(table, "-f", "text", "--wrap").stdout.decode().splitlines(),
    ):
        assert all(len(line) <= 80 for line in lines)
        below = " ".join(line.strip() for line in lines if line.startswith("       "))
        assert below == "a good film " * 20 + "so"
    result = run(table, "--wrap", "-f", "csv")
    assert result.returncode == 2 and "-f text" in error_line(result)


def width(line: str) -> int:
    """Columns on a terminal."""
    plain = re.sub(r"\x1b\[\d*m", "", line)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in plain)


WIDE = "The café was \u4f60\u597d\u4e16\u754c \u4f60\u597d\u4e16\u754c \u4f60\u597d\u4e16\u754c"
SHAPES = {
    "lines": ["in.csv"],
    "passed": ["in.csv", "--pass", "stars,shop"],
    "whole texts": ["in.csv", "--wrap"],
    "explained": ["in.csv", "--explain", "words", "--explain-budget", "8"],
    "unsure": ["in.csv", "--unsure", "0:1"],
    "failed": ["bad.csv"],
    "tokens of another": ["-t", WIDE],
    "help": ["--help"],
    "help of eval": ["eval", "--help"],
    "eval": ["eval", "labelled.csv"],
    "diff": ["diff", "old.jsonl", "new.jsonl"],
    "verify": ["verify"],
}


@pytest.mark.parametrize("columns", [80, 45, 30])
@pytest.mark.parametrize("shape", SHAPES)
def test_no_line_is_wider_than_the_terminal(run: Run, tmp_path: Path, shape: str, columns: int) -> None:
    texts = ["a good film and a fine evening, with friends, at the cinema", WIDE, "so", " "]
    rows = "".join(
        f'a/very/long/path/to/review{i}.txt,"{text}",{i},the shop at the corner\n' for i, text in enumerate(texts)
    )
    (tmp_path / "in.csv").write_text(f"id,text,stars,shop\n{rows}")
    (tmp_path / "bad.csv").write_text('text,more\na good film and more of it,1,2,3\n"it never closes,1\n')
    (tmp_path / "labelled.csv").write_text("text,label\na good film,1\na bad film,0\n")
    for name in ("old", "new"):
        (tmp_path / f"{name}.jsonl").write_bytes(run("-t", "a good film").stdout)
    words = [str(tmp_path / word) if (tmp_path / word).exists() else word for word in SHAPES[shape]]
    shown = on_a_terminal(words, status=1 if shape == "failed" else 0, columns=columns).decode()
    lines = shown.splitlines()
    assert [line for line in lines if width(line) > columns] == []
    if shape == "whole texts":
        words = shown.split()
        assert all(word in words for text in texts for word in text.split())  # none is broken
    if shape == "failed":
        assert " ".join(shown.split()).count("ERROR") == 2


@pytest.mark.parametrize("columns", [80, 45, 30])
def test_the_closing_line_is_broken_at_blanks(tmp_path: Path, columns: int) -> None:
    (tmp_path / "in.txt").write_text("a good film\na bad film\n\n")
    lines = on_a_terminal([str(tmp_path / "in.txt")], stderr=True, columns=columns).decode().splitlines()
    assert all(width(line) <= columns for line in lines)
    line = " ".join(" ".join(lines).split())
    assert "3 records, 1 empty; of the other 2:" in line and "mean rating" in line and "reviews/s" in line


def test_a_terminal_that_is_read_is_told_how_to_end(tmp_path: Path) -> None:
    def said(*words: str, on_stderr: bool = True) -> bytes:
        ours, theirs = os.openpty()
        process = subprocess.Popen(
            [BINARY, "-m", str(TINY), "-", *words],
            cwd=tmp_path,
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=theirs if on_stderr else subprocess.PIPE,
        )
        os.close(theirs)
        os.write(ours, b"a good film\n\x04")
        shown = shown_on(ours)
        _, piped = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        return shown if on_stderr else piped

    hint = b"reviewrate: reads reviews, one a line, from the terminal; Ctrl-D ends them"
    assert said().count(hint) == 1
    assert hint not in said("-q")
    assert said(on_stderr=False) == b""


def test_empty_reviews_are_rated_and_marked(run: Run, table: Path, tmp_path: Path) -> None:
    first, second, third = records(run(table))
    assert "empty" not in first and "empty" not in second and third["empty"] is True and third["rating"]
    assert b"empty" not in run(table, "-f", "csv").stdout  # its columns stay as they are
    chosen = run(table, "-f", "csv", "--annotate", "--columns", "empty").stdout.decode().splitlines()
    assert chosen[0] == "id,text,stars,empty,error_kind,error_message" and chosen[3].endswith(",true,,")
    labels = [record["label"] for record in (first, second)]
    share = 100 * labels.count("POSITIVE") / 2
    # What is empty says nothing of what people think, and is no part of the shares.
    told = run(table, "--summary", tmp_path / "s.json").stderr.decode()
    assert f"3 records, 1 empty; of the other 2: {share:.1f} % POSITIVE" in told
    assert "|; 0 truncated" in told  # which counts the empty one, too
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["labels"] == {name: labels.count(name) for name in ("NEGATIVE", "POSITIVE")}
    assert (sum(summary["ratings"]), summary["empty"]) == (2, 1)
    assert summary["mean_rating"] == (first["rating"] + second["rating"]) / 2


def interrupted(folder: Path, *words: str) -> str:
    """What a run says that reads in.jsonl and a pipe that stays open, and is interrupted at its first records."""
    os.mkfifo(folder / "pipe")
    process = subprocess.Popen(
        [BINARY, "-m", str(TINY), "in.jsonl", "pipe", *words],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    writer = os.open(folder / "pipe", os.O_WRONLY)
    end = time.monotonic() + PATIENCE
    while not (folder / "out.jsonl").exists() or (folder / "out.jsonl").stat().st_size == 0:
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    os.close(writer)
    (folder / "pipe").unlink()
    assert process.returncode == 130
    return said.decode()


def test_an_interruption_says_a_command_that_goes_on(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a good film"}\n' * 50)
    words = ["-o", "out.jsonl", "--explain", "sentences", "--explain-budget", "2"]
    said = interrupted(tmp_path, *words, "--explain-html", "out.html")
    assert "the same command without --explain-html and with --resume goes on with out.jsonl" in said


def test_an_interruption_says_how_to_go_on_and_is_not_forgotten(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a good film"}\n' * 50)
    said = interrupted(tmp_path, "-o", "out.jsonl")
    assert "interrupted: the same command with --resume goes on with out.jsonl" in said
    kept = (tmp_path / "out.jsonl").read_bytes()
    words = [str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "out.jsonl")]
    shown = on_a_terminal(words, status=2, stderr=True)  # a person may not know
    assert b"--resume goes on with it, --force begins anew" in shown
    assert (tmp_path / "out.jsonl").read_bytes() == kept
    result = run(*words)  # a script is told
    assert result.returncode == 0
    assert f"an interrupted run has written ({len(kept)} bytes), which is discarded" in result.stderr.decode()
    assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) == 50
    assert b"discarded" not in run(*words).stderr  # a finished one is replaced as ever


def test_force_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a good film"}\n' * 50)
    interrupted(tmp_path, "-o", "out.jsonl")
    words = [str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "out.jsonl")]
    assert b"discarded" not in on_a_terminal([*words, "--force"], stderr=True)
    assert [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()][0].endswith(":1")
