"""What reaches a terminal is clean, whatever it comes from; the bar keeps to itself."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import tarfile
import termios
import time
from pathlib import Path

import pytest

from conftest import BINARY, PATIENCE, TINY

# A title, a colour, C1 controls, DEL, directions, what is invisible, line ends that are none of the terminal's.
NASTY = "A\x1b]0;title\x07\x1b[31m\x85\x9b31m\x7f\u202e\u2066\u200b\u2060\u2028\u2029\ufeff\rB"
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nasty names and values of every kind."""
    folder = tmp_path_factory.mktemp("terminal")
    record = {"id": NASTY, "text": NASTY, "label": NASTY, NASTY: NASTY, "stars": NASTY}
    lines = json.dumps(record, ensure_ascii=False) + "\n" + json.dumps({"id": NASTY, "text": 5, NASTY: 1}) + "\n"
    for name in ("reviews.jsonl", f"{NASTY}.jsonl", f"folder {NASTY}/in {NASTY}.jsonl"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(lines)
    (folder / f"folder {NASTY}" / "missing").symlink_to(f"nowhere {NASTY}")
    (folder / f"{NASTY}.csv").write_text(f'id,{NASTY},label\n"{NASTY}",a,b\n')
    (folder / f"{NASTY}.gz").write_text("no gzip")
    with tarfile.open(folder / f"{NASTY}.tar", "w") as archive:
        archive.add(folder / "reviews.jsonl", f"{NASTY}.jsonl")
    for name, label in (("old.jsonl", NASTY), ("new.jsonl", "x" + NASTY)):
        prediction = {"id": NASTY, "label": label, "score": 0.5}
        failure = {"id": "b" + NASTY, "error": {"kind": label, "message": NASTY}}
        lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in (prediction, failure, {"id": label}))
        (folder / name).write_text(lines + NASTY + "\n")
    package = shutil.copytree(TINY, folder / "package")
    manifest = json.loads((package / "manifest.json").read_text())
    manifest |= {"name": NASTY, "license": NASTY, "labels": ["N" + NASTY, "P" + NASTY], "positive": 1}
    (package / "manifest.json").write_text(json.dumps(manifest))
    broken = shutil.copytree(TINY, folder / f"broken {NASTY}")
    (broken / "manifest.json").write_text(json.dumps(manifest | {NASTY: 1, "precision": NASTY, "tokenizer": NASTY}))
    return folder


CASES = [
    ["reviews.jsonl"],
    ["reviews.jsonl", "-f", "text", "-m", "package"],
    ["reviews.jsonl", "-f", "jsonl", "-m", "package", "--pass", "*"],
    ["reviews.jsonl", "-f", "csv", "-m", "package", "--pass", "label,text"],
    ["reviews.jsonl", "-f", "tsv", "-m", "package", "--annotate", "--prefix", NASTY],
    [f"{NASTY}.jsonl", f"folder {NASTY}", f"{NASTY}.csv", f"{NASTY}.gz", f"{NASTY}.tar", f"not there {NASTY}"],
    ["-t", NASTY, "-m", "package"],
    ["reviews.jsonl", "-o", f"not there/{NASTY}"],
    ["reviews.jsonl", "-o", "reviews.jsonl", "--summary", NASTY],
    [f"{NASTY}.jsonl", "-o", f"{NASTY}.jsonl"],
    ["reviews.jsonl", "--summary", f"not there/{NASTY}", "-o", "/dev/null"],
    ["reviews.jsonl", "--text-field", NASTY + "x"],
    ["reviews.jsonl", "--pass", NASTY + "x"],
    ["reviews.jsonl", "--where", NASTY + "=1"],
    ["reviews.jsonl", "--where", NASTY],
    ["reviews.jsonl", "--encoding", NASTY],
    ["reviews.jsonl", "--precision", NASTY],
    ["reviews.jsonl", "--input-format", NASTY],
    ["reviews.jsonl", "--delimiter", NASTY],
    ["reviews.jsonl", "-j", NASTY],
    ["reviews.jsonl", f"--{NASTY}"],
    ["reviews.jsonl", "-m", NASTY],
    ["reviews.jsonl", "-m", f"broken {NASTY}"],
    ["reviews.jsonl", "-m", "old.jsonl", "--vocab", NASTY],
    ["eval", "reviews.jsonl", "-m", "package"],
    ["eval", "reviews.jsonl", "-m", "package", "--label-map", f"{NASTY}=P{NASTY},{NASTY}2=N{NASTY}"],
    ["eval", "reviews.jsonl", "-m", "package", "--label-map", f"{NASTY}=P{NASTY}", "--stars-field", "stars"],
    ["eval", "reviews.jsonl", "--label-map", f"{NASTY}=x{NASTY}"],
    ["eval", "reviews.jsonl", "--label-field", NASTY + "x"],
    ["eval", f"folder {NASTY}", "--label-map", f"{NASTY}=POSITIVE", "--stars-field", NASTY],
    ["eval", "reviews.jsonl", "--stars-scale", NASTY],
    ["eval", "reviews.jsonl", "--min", NASTY],
    ["eval", "reviews.jsonl", "--min", f"{NASTY}=1"],
    ["eval", "reviews.jsonl", "--min", f"f1={NASTY}"],
    ["eval", "reviews.jsonl", "--baseline", "old.jsonl"],
    ["eval", "reviews.jsonl", "--baseline", NASTY],
    ["eval", f"{NASTY}.jsonl", "old.jsonl"],
    ["diff", "old.jsonl", "new.jsonl"],
    ["diff", "old.jsonl", f"{NASTY}.jsonl"],
    ["diff", f"{NASTY}.csv", f"{NASTY}.gz"],
    ["diff", "old.jsonl", NASTY],
    ["verify", "-m", "package"],
    ["verify", "-m", f"broken {NASTY}"],
    ["bench", "--rounds", "1", f"{NASTY}.jsonl", "-m", "package"],
    ["bench", "--rounds", "1", f"{NASTY}.gz", NASTY],
    ["tokenize", f"{NASTY}.jsonl", f"{NASTY}.tar", f"{NASTY}.csv", NASTY],
    ["info", "-m", "package"],
    ["info", "-m", f"broken {NASTY}"],
    [f"help{NASTY}", "--help"],
]


def read_all(leader: int) -> bytes:
    chunks = []
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:  # Linux says EIO at the end of a terminal
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(leader)
    return b"".join(chunks)


@pytest.mark.parametrize("words", CASES, ids=range(len(CASES)))
def test_a_terminal_is_shown_nothing_that_it_obeys(words: list[str], world: Path) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [BINARY, *words], cwd=world, stdin=subprocess.DEVNULL, stdout=follower, stderr=follower,
        env=os.environ | {"REVIEWRATE_MODEL": str(TINY), "TERM": "dumb"},
    )  # fmt: skip
    os.close(follower)
    shown = read_all(leader).decode()
    assert process.wait(timeout=PATIENCE) in (0, 1, 2, 3, 4)
    assert shown
    assert not FORBIDDEN.search(shown.replace("\r\n", "\n")), ascii(shown)


class Terminal:
    """A run with a terminal for stderr, and what it has shown so far with the times."""

    def __init__(self, *words: str, stdout_too: bool = False) -> None:
        self.leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))  # the closing line fits
        self.begin = time.monotonic()
        self.process = subprocess.Popen(
            [BINARY, "-m", str(TINY), *words],
            stdin=subprocess.PIPE, stdout=follower if stdout_too else subprocess.DEVNULL, stderr=follower, bufsize=0,
            env=os.environ | {"TERM": "xterm"},
        )  # fmt: skip
        os.close(follower)
        self.shown = b""

    def send(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)

    def watch(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.leader], [], [], left)[0]:
                self.shown += os.read(self.leader, 65536)

    def end(self) -> str:
        assert self.process.stdin
        self.process.stdin.close()
        self.shown += read_all(self.leader)
        assert self.process.wait(timeout=PATIENCE) in (0, 1)
        return self.shown.decode()


def test_the_bar_waits_for_a_second(tmp_path: Path) -> None:
    terminal = Terminal("-o", str(tmp_path / "out"))
    bar = b" reviews  "
    while bar not in terminal.shown:
        assert time.monotonic() - terminal.begin < PATIENCE
        terminal.send(b"a good film\n")
        terminal.watch(0.02)
    assert time.monotonic() - terminal.begin >= 1
    shown = terminal.end()
    assert shown.splitlines()[-1].startswith("\x1b[Kreviewrate: ")  # behind the bar's \r
    assert shown.count("\n") == 1


def test_the_bar_never_shares_a_line_with_records() -> None:
    terminal = Terminal("-f", "jsonl", stdout_too=True)
    while time.monotonic() - terminal.begin < 2:
        terminal.send(b"a good film\n")
        terminal.watch(0.05)
    lines = terminal.end().replace("\r\n", "\n").splitlines()
    assert len(lines) > 5
    assert all(json.loads(line)["label"] for line in lines[:-1])
    assert lines[-1].startswith("reviewrate: ")
