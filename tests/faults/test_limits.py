"""Short of threads, memory, open files, room, a home or a folder: all goes well, or exit 3 and one line."""

import json
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import BINARY, PATIENCE, TINY, Result

REVIEWS = "".join(json.dumps({"text": "a good film " * (i % 9), "label": "POSITIVE"}) + "\n" for i in range(200))
COMMANDS = [
    ["reviews.jsonl"],
    ["reviews.jsonl", "-j", "16"],
    ["eval", "-q", "reviews.jsonl"],
    ["tokenize", "reviews.jsonl"],
    ["verify"],
    ["bench", "--rounds", "1", "reviews.jsonl"],
    ["info"],
]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Open to other users, unlike pytest's own folders."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "reviews.jsonl").write_text(REVIEWS)
        shutil.copytree(TINY, folder / "package")
        shutil.copy(BINARY, folder / "reviewrate")
        yield folder


def start(folder: Path, words: list[str], **options: Any) -> Result:
    return subprocess.run(
        [BINARY, "-m", str(TINY), *words] if words != ["--version"] else [BINARY, *words],
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False, **options,
    )  # fmt: skip


def check(result: Result, words: list[str], what: object) -> bool:
    """Whether all went well; otherwise it has failed as it should."""
    told = (words, what, result.returncode, result.stderr)
    assert result.returncode in (0, 3), told
    if result.returncode == 0:
        if words[0] == "reviews.jsonl":
            assert len(result.stdout.splitlines()) == 200, told
        return True
    lines = result.stderr.decode().splitlines()
    assert [line for line in lines if line.startswith("reviewrate: ")] == lines[-1:] == lines, told
    assert "internal" not in lines[0] and "terminate" not in lines[0], told
    return False


def limit(kind: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (value, value))


def sweep(folder: Path, kind: int, values: list[int], words: list[str]) -> None:
    """Under ever wider limits; those that keep the system from loading the program's libraries are no matter of it."""
    outcomes = []
    for value in values:
        result = start(folder, words, preexec_fn=limit(kind, value))
        loader = b"error while loading shared libraries" in result.stderr or result.returncode == 127
        if not loader:
            outcomes.append(check(result, words, value))
    assert outcomes and outcomes[-1], "the widest limit is wide enough"


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_open_files(words: list[str], folder: Path) -> None:
    sweep(folder, resource.RLIMIT_NOFILE, [3, 4, 5, 6, 7, 8, 9, 10, 12, 64], words)


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_memory(words: list[str], folder: Path) -> None:
    values = [size << 20 for size in (420, 450, 480, 500, 520, 550, 600, 700, 1000, 64000)]
    sweep(folder, resource.RLIMIT_AS, values, words)
    sweep(folder, resource.RLIMIT_DATA, [size << 20 for size in (8, 16, 24, 40, 64, 100, 64000)], words)


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_threads(words: list[str], folder: Path) -> None:
    """Of a user who has no others; the superuser has no such limit."""
    user: dict[str, Any] = {"user": 61234, "group": 61234, "extra_groups": []} if os.geteuid() == 0 else {}
    program = str(folder / "reviewrate") if user else BINARY
    outcomes = []
    for threads in (1, 2, 3, 4, 6, 4096):
        result = subprocess.run(
            [program, "-m", str(folder / "package"), *words],
            cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False,
            preexec_fn=limit(resource.RLIMIT_NPROC, threads), **user,
        )  # fmt: skip
        outcomes.append(check(result, words, threads))
    assert outcomes[-1]
    assert outcomes[0], "without any other thread it computes by itself"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_environment(words: list[str], folder: Path) -> None:
    assert check(start(folder, words, env={}), words, "no environment")


@pytest.mark.parametrize("words", [*COMMANDS[2:], ["-t", "good"], ["--version"]], ids=" ".join)
def test_no_current_folder(words: list[str], folder: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()

    def leave() -> None:
        os.chdir(gone)
        os.rmdir(gone)

    words = [str(folder / word) if word == "reviews.jsonl" else word for word in words]
    result = subprocess.run(
        [BINARY, *words],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False, preexec_fn=leave,
        env=os.environ | {"REVIEWRATE_MODEL": str(TINY)},
    )  # fmt: skip
    if not check(result, words, "no folder"):
        assert b"the current folder: does not exist any more" in result.stderr


@pytest.mark.parametrize("size", [0, 1, 1000])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_file_size_limit(words: list[str], size: int, folder: Path, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        result = subprocess.run(
            [BINARY, "-m", str(TINY), *words],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, timeout=PATIENCE, check=False,
            preexec_fn=limit(resource.RLIMIT_FSIZE, size),
        )  # fmt: skip
    if result.returncode != 0:
        assert result.returncode == 3
        assert b"stdout: cannot be written: File too large" in result.stderr
    else:
        assert words[0] not in ("reviews.jsonl", "tokenize")  # which alone write much


@pytest.mark.parametrize("words", [*COMMANDS, ["diff", "reviews.jsonl", "-"], ["tokenize"], []], ids=" ".join)
def test_closed_descriptors(words: list[str], folder: Path) -> None:
    for closed in ([0], [1], [2], [0, 1], [1, 2], [0, 1, 2]):

        def close(closed: list[int] = closed) -> None:
            for fd in closed:
                os.close(fd)

        result = subprocess.run(
            [BINARY, "-m", str(TINY), *words] if words[:1] != ["diff"] else [BINARY, *words],
            cwd=folder, capture_output=True, timeout=PATIENCE, check=False,
            preexec_fn=close,
        )  # fmt: skip
        assert result.returncode in (0, 1, 2, 3), (words, closed, result.stderr)
        assert all(line.startswith(b"reviewrate: ") for line in result.stderr.splitlines() if line and line[:1] != b" ")
