"""What happens when something goes wrong: damaged packages, full disks, closed pipes, signals, slow streams."""

import contextlib
import hashlib
import json
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import BINARY, PATIENCE, TINY, TOP, Run, error_line


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the tiny package, to be damaged."""
    return Path(shutil.copytree(TINY, tmp_path / "package"))


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def edit_manifest(package: Path, change: Callable[[dict], None]) -> None:
    path = package / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize("file", ["model.pt", "vocab.txt", "reference.jsonl"])
def test_a_changed_file_is_named(run: Run, package: Path, file: str) -> None:
    flip_byte(package / file)
    result = run("verify", model=package)
    assert (result.returncode, result.stdout) == (3, b"")
    line = error_line(result)
    assert file in line and "damaged or was changed" in line


@pytest.mark.parametrize("file", ["manifest.json", "model.pt", "vocab.txt", "reference.jsonl"])
def test_a_missing_file_is_named(run: Run, package: Path, file: str) -> None:
    (package / file).unlink()
    result = run("verify", model=package)
    assert (result.returncode, result.stdout) == (3, b"")
    assert file in error_line(result)


@pytest.mark.parametrize("size", [0, 1, 100, 1000])
def test_a_truncated_model_is_one_line(run: Run, package: Path, size: int) -> None:
    os.truncate(package / "model.pt", size)
    result = run("-t", "x", model=package)
    assert (result.returncode, result.stdout) == (3, b"")
    assert "model.pt" in error_line(result)


def test_a_damaged_bare_model_is_one_line(run: Run, tmp_path: Path) -> None:
    bare = tmp_path / "bare.pt"
    shutil.copy(TOP / "tests/data/tiny_plain.pt", bare)
    os.truncate(bare, bare.stat().st_size // 2)
    result = run("-m", bare, "--vocab", TINY / "vocab.txt", "-t", "x", model=None)
    assert (result.returncode, result.stdout) == (3, b"")
    assert "bare.pt: cannot be loaded" in error_line(result)


def test_a_newer_format_is_refused(run: Run, package: Path) -> None:
    edit_manifest(package, lambda manifest: manifest.update(format=2))
    result = run("verify", model=package)
    assert result.returncode == 3
    assert "format: is 2, but this program reads format 1" in error_line(result)


def test_more_labels_than_the_model_has_are_noticed(run: Run, package: Path) -> None:
    edit_manifest(package, lambda manifest: manifest["labels"].append("NEUTRAL"))
    result = run("-t", "x", model=package)
    assert result.returncode == 3
    assert "the manifest has 3 labels, the model 2" in error_line(result)


def test_verify_passes_and_notices_other_probabilities(run: Run, package: Path) -> None:
    result = run("verify", model=package)
    assert (result.returncode, result.stderr) == (0, b"")
    reference = package / "reference.jsonl"
    lines = [json.loads(line) for line in reference.read_text().split("\n") if line]
    lines[3]["p"] = [p + 2e-5 * sign for p, sign in zip(lines[3]["p"], (1, -1), strict=True)]
    lines[5]["tokens"] += 1
    reference.write_text("".join(json.dumps(line) + "\n" for line in lines))
    restate_checksum(package, "reference.jsonl", "reference")
    result = run("verify", model=package)
    assert result.returncode == 4
    assert b"2 differ" in result.stdout
    assert len(result.stderr.splitlines()) == 2


def test_verify_notices_label_names_that_changed_places(run: Run, package: Path) -> None:
    edit_manifest(package, lambda manifest: manifest["labels"].reverse())
    result = run("verify", model=package)
    assert result.returncode == 3
    line = error_line(result)
    assert "the label of its largest probability was " in line and " when the model was exported, and is " in line


def test_the_default_model_verifies(run: Run) -> None:
    result = run("verify", model=None)
    assert (result.returncode, result.stderr) == (0, b"")


def test_a_full_disk_is_told(run: Run) -> None:
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [BINARY, "-m", TINY, "-t", "x"], stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE, check=False
        )
    assert result.returncode == 3
    assert b"stdout: cannot be written: No space left on device" in result.stderr
    result = run("-o", "/dev/full", "-t", "x")
    assert result.returncode == 3
    assert "/dev/full: cannot be written" in error_line(result)
    with open("/dev/full", "wb") as full:
        for command in (["verify"], ["info"], ["tokenize", __file__], ["--help"]):
            result = subprocess.run(
                [BINARY, *command],
                stdout=full,
                stderr=subprocess.PIPE,
                timeout=PATIENCE,
                check=False,
                env=os.environ | {"REVIEWRATE_MODEL": str(TINY)},
            )
            assert result.returncode == 3, command


class Stream:
    """The program on two pipes, to be fed and read piece by piece."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [BINARY, "-m", str(TINY), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,  # what select() cannot see must not be held back here
        )

    def send(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def receive(self, seconds: float) -> bytes:
        """The next line, or nothing if none comes in time."""
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        return self.process.stdout.readline() if ready else b""

    def end(self) -> int:
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_slow_stream_is_answered_record_by_record(workers: str) -> None:
    stream = Stream("-j", workers)
    for i in range(1, 6):
        stream.send(b"good film\nhalf a rev")
        assert json.loads(stream.receive(PATIENCE))["id"] == f"-:{2 * i - 1}"
        assert stream.receive(0.05) == b""  # the half one has to wait
        stream.send(b"iew\n")
        assert json.loads(stream.receive(PATIENCE))["id"] == f"-:{2 * i}"
    assert stream.end() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_idle_stream_and_keeps_what_was_finished(number: signal.Signals) -> None:
    stream = Stream()
    stream.send(b"good film\nhalf")
    first = stream.receive(PATIENCE)
    stream.process.send_signal(number)
    assert stream.process.wait(timeout=PATIENCE) == 128 + number
    assert json.loads(first)["id"] == "-:1"
    assert stream.end() == 128 + number


def test_a_signal_in_the_middle_of_a_file_leaves_whole_records(tmp_path: Path) -> None:
    (tmp_path / "many.txt").write_text("a good film and a bad ending\n" * 300_000)
    stream = Stream(str(tmp_path / "many.txt"))
    assert stream.receive(PATIENCE)
    stream.process.send_signal(signal.SIGINT)
    out, _ = stream.process.communicate(timeout=PATIENCE)
    assert stream.process.returncode == 130
    assert out.endswith(b"\n")
    ids = [json.loads(line)["id"] for line in out.splitlines()]
    assert [int(i.rsplit(":", 1)[1]) for i in ids] == list(range(2, len(ids) + 2))


def test_a_second_signal_of_either_kind_ends_it_at_once(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("a good film and a bad ending " * 30_000)
    stream = Stream("--long-text", "windows", "-j", "1", *[str(tmp_path / "long.txt")] * 200)
    assert stream.receive(PATIENCE)
    # Stopped meanwhile, so that it cannot end between the two.
    for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
        stream.process.send_signal(number)
    assert stream.process.wait(timeout=PATIENCE) in (-signal.SIGINT, -signal.SIGTERM)
    stream.end()


def reads(process: subprocess.Popen[bytes], path: Path) -> bool:
    """Whether it has the file open."""
    for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            if os.readlink(descriptor) == str(path.resolve()):
                return True
    return False


def test_a_signal_while_nothing_is_found_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "endless.jsonl"
    path.write_text('{"text": "' + "fine " * 40_000)
    os.truncate(path, 1 << 43)  # a hole: a line that takes hours to read
    stream = Stream(str(path), "--where", "split=test")
    try:
        while not reads(stream.process, path):
            assert stream.process.poll() is None
        stream.process.send_signal(signal.SIGTERM)
        assert stream.process.wait(timeout=PATIENCE) == 143
    finally:
        stream.process.kill()
        stream.end()


@pytest.mark.parametrize(
    ("closed", "status", "complaint"),
    [
        ("<&-", 1, b"-: cannot be read: Bad file descriptor"),
        ("<<< good >&-", 3, b"stdout: cannot be written: Bad file descriptor"),
        ("<&- >&-", 3, b"stdout: cannot be written: Bad file descriptor"),
        ("<<< good 2>&-", 0, b'"label"'),
    ],
)
def test_closed_descriptors_are_told(closed: str, status: int, complaint: bytes) -> None:
    command = f"'{BINARY}' -m '{TINY}' {closed}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, timeout=PATIENCE, check=False)
    assert result.returncode == status
    assert complaint in result.stdout + result.stderr


def test_a_closed_stdout_ends_it_while_it_is_idle() -> None:
    stream = Stream()
    stream.send(b"good film\n")
    assert stream.receive(PATIENCE)
    assert stream.process.stdout
    stream.process.stdout.close()
    assert stream.process.wait(timeout=PATIENCE) == -signal.SIGPIPE
    assert stream.process.stderr and stream.process.stderr.read() == b""


@pytest.mark.parametrize("source", ["many.txt", "<(yes a good film)", "- < <(yes a good film)"])
def test_head_ends_it_silently(source: str, tmp_path: Path) -> None:
    """Where the input never ends, nothing else can end it; a file may be read to its end, but not written out."""
    (tmp_path / "many.txt").write_text("a good film\n" * 300_000)
    command = f"'{BINARY}' -m '{TINY}' {source} | head -n 3"
    result = subprocess.run(
        ["bash", "-c", command + '; echo "${PIPESTATUS[0]}"'],
        cwd=tmp_path,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert result.stdout.splitlines()[-1] == b"141"
    assert len(result.stdout.splitlines()) == 4
    assert result.stderr == b""


def test_a_file_that_cannot_be_opened_is_a_record(run: Run, tmp_path: Path) -> None:
    (tmp_path / "there.txt").write_text("good\n")
    result = run("there.txt", "gone.txt", "there.txt", cwd=tmp_path)
    assert result.returncode == 1
    first, gone, last = map(json.loads, result.stdout.splitlines())
    assert first["id"] == last["id"] == "there.txt:1"
    assert gone["id"] == "gone.txt"
    assert gone["error"] == {"kind": "open", "message": "gone.txt: cannot be opened: No such file or directory"}
    told, closing = result.stderr.decode().splitlines()
    assert told == f"reviewrate: {gone['error']['message']}" and "3 records, 1 failed" in closing


def test_fail_fast_stops_at_the_first_bad_record(run: Run) -> None:
    source = '{"text": "good"}\n{"text": 5}\n' + '{"text": "good"}\n' * 1000
    result = run("--fail-fast", stdin=source)
    assert result.returncode == 1
    assert len(result.stdout.splitlines()) == 2
    assert json.loads(result.stdout.splitlines()[1])["error"]["kind"] == "type"


def restate_checksum(package: Path, file: str, *keys: str) -> None:
    """Makes the manifest's checksum of `file`, which stands under `keys`, that of the file as it is."""

    def restate(manifest: dict[str, Any]) -> None:
        entry: Any = manifest
        for key in keys:
            entry = entry[key]
        entry["sha256"] = hashlib.sha256((package / file).read_bytes()).hexdigest()

    edit_manifest(package, restate)


def test_verify_compares_every_label(run: Run, package: Path) -> None:
    lines = [json.loads(line) for line in (package / "reference.jsonl").read_text().split("\n") if line]
    lines[0]["p"][0] += 0.25  # the label that is not the positive one
    (package / "reference.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    restate_checksum(package, "reference.jsonl", "reference")
    result = run("verify", model=package)
    assert result.returncode == 4
    assert b"p of label 0" in result.stderr and b"1 differ" in result.stdout


def test_a_package_whose_parts_do_not_fit_is_refused_when_it_is_loaded(run: Run, package: Path) -> None:
    edit_manifest(package, lambda manifest: manifest.update(max_tokens=4096))
    result = run("-t", "short", model=package)
    assert (result.returncode, result.stdout) == (3, b"") and "max_tokens is 4096" in error_line(result)
    edit_manifest(package, lambda manifest: manifest.update(max_tokens=16))
    with (package / "vocab.txt").open("a") as vocab:
        vocab.write("onetokentoomany\n")
    restate_checksum(package, "vocab.txt", "tokenizer", "files", "vocab")
    result = run("-t", "short", model=package)
    assert (result.returncode, result.stdout) == (3, b"") and "vocabulary" in error_line(result)


def test_an_input_that_shrinks_is_told(tmp_path: Path) -> None:
    """It is held up, with its records unread, while somebody cuts its input off."""
    path = tmp_path / "many.txt"
    path.write_text("a good film and a bad ending\n" * 200_000)
    stream = Stream(str(path))
    assert stream.receive(PATIENCE)
    os.truncate(path, 29 * 1000)
    assert stream.process.stdout
    last = stream.process.stdout.read().splitlines()[-1]
    assert stream.process.wait(timeout=PATIENCE) == 1
    error = json.loads(last)["error"]
    assert error["kind"] == "read" and "became shorter while it was read" in error["message"]
    stream.end()


@pytest.mark.parametrize("output_format", ["jsonl", "csv", "tsv"])
def test_no_name_comes_twice(run: Run, output_format: str) -> None:
    """Neither by --pass, nor beside the program's own, nor where one that is made up is there already."""
    record = {"text": "good", "a": 1, "label": 2, "input_label": 3, "error": 4, "score": 5, "windows": 6}
    names = "a,a,label,error,a,input_label,score,windows,label"
    result = run("-q", "--pass", names, "-f", output_format, stdin=json.dumps(record) + "\n")
    assert result.returncode == 0, result.stderr
    head = result.stdout.decode().splitlines()[0]
    if output_format == "jsonl":
        found = [name for name, _ in json.loads(head, object_pairs_hook=list)]
    else:
        found = head.split("," if output_format == "csv" else "\t")
    assert len(found) == len(set(found))
    own, passed = found[: found.index("a")], found[found.index("a") :]
    assert passed == ["a", "input_input_label", "input_error", "input_label", "input_score", "input_windows"]
    assert own[:2] == ["id", "label"]


@pytest.mark.parametrize("words", [["-o", "/dev/full"], []])
def test_a_full_disk_is_told_while_the_input_waits(words: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        process = subprocess.Popen(
            [BINARY, "-m", TINY, *words], stdin=subprocess.PIPE, stdout=full, stderr=subprocess.PIPE
        )
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(b"a film\n")
        process.stdin.flush()
        assert process.wait(timeout=60) == 3  # though stdin is still open
        assert b"cannot be written: No space left on device" in process.stderr.read()
        process.stdin.close()
