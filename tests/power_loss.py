"""What a disk may hold after power was lost, from the calls of a run as record_calls.c writes them down.

Only what was synced is certain. Of the rest any part may be there: each change of a folder or not, a file's end
missing, and each page of what was written or zeros in its place.
"""

import itertools
import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from conftest import BINARY, PATIENCE, TINY

PAGE = 4096
Content = dict[str, bytes]  # what a folder holds


def build_recorder(folder: Path) -> Path:
    """Compiles the library that is preloaded."""
    library = folder / "record_calls.so"
    source = Path(__file__).with_name("record_calls.c")
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def record(recorder: Path, command: list[str], folder: Path) -> tuple[int, list[str]]:
    """Runs a command in a folder. Gives its status and its calls."""
    path = recorder.with_name("record")
    environment = os.environ | {"LD_PRELOAD": str(recorder), "RECORD": str(path)}
    result = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False
    )
    return result.returncode, path.read_text().splitlines()


@dataclass
class File:
    """A file, whatever its name: what is certain to be on the disk, and what should be there."""

    synced: bytes = b""
    written: bytes = b""

    def versions(self, rng: random.Random) -> list[bytes]:
        """Some of what may be found of it."""
        if self.synced == self.written:
            return [self.synced]
        cut = rng.randrange(len(self.written) + 1)
        pages = bytearray(self.written)
        for begin in range(0, len(pages), PAGE):
            end = min(begin + PAGE, len(pages))
            if pages[begin:end] != self.synced[begin:end] and rng.random() < 0.4:
                pages[begin:end] = self.synced[begin:end].ljust(end - begin, b"\0")
        return [self.synced, self.written, self.written[:cut], bytes(pages)]


@dataclass
class Disk:
    """A folder while calls change it."""

    names: dict[str, File]
    pending: list[dict[str, File | None]] = field(default_factory=list)  # changes of names that are not synced
    open: dict[str, File | None] = field(default_factory=dict)  # by descriptor; a folder is None

    def live(self) -> dict[str, File]:
        return self.with_changes(self.pending)

    def with_changes(self, changes: list[dict[str, File | None]]) -> dict[str, File]:
        names = dict(self.names)
        for change in changes:
            for name, file in change.items():
                names.pop(name, None)
                if file:
                    names[name] = file
        return names

    def apply(self, call: str) -> None:
        name, _, rest = call.partition(" ")
        if name == "rename":
            old, new = rest.split("\t")
            self.pending.append({new: self.live()[old], old: None})
        elif name == "link":
            old, new = rest.split("\t")
            self.pending.append({new: self.live()[old]})
        elif name == "unlink":
            self.pending.append({rest: None})
        elif name == "open":
            fd, created, _, path = rest.split(" ", 3)
            if created == "1":
                self.pending.append({path: File()})
            self.open[fd] = None if path in (".", "") else self.live()[path]
        else:
            self.apply_to_file(name, *rest.split(" "))

    def apply_to_file(self, name: str, fd: str, argument: str = "") -> None:
        file = self.open[fd]
        if name == "close":
            del self.open[fd]
        elif name == "sync" and file is None:
            self.names, self.pending = self.live(), []
        elif file is None:
            raise AssertionError(f"{name} of a folder")
        elif name == "sync":
            file.synced = file.written
        elif name == "write":
            file.written += bytes.fromhex(argument)  # all is written at the end
        elif name == "truncate":
            file.written = file.written[: int(argument)].ljust(int(argument), b"\0")
        else:
            raise AssertionError(f"an unknown call: {name}")

    def versions(self, rng: random.Random) -> Iterator[Content]:
        """Some of what the folder may hold if power is lost now."""
        subsets = list(itertools.product([False, True], repeat=len(self.pending)))
        for kept in rng.sample(subsets, min(8, len(subsets))):
            names = self.with_changes(list(itertools.compress(self.pending, kept)))
            several = {name: file.versions(rng) for name, file in names.items()}
            for i in range(max(map(len, several.values()), default=1)):
                yield {name: versions[i % len(versions)] for name, versions in several.items()}


def cuts(before: Content, calls: list[str], rng: random.Random) -> list[Content]:
    """What may be found after power was lost behind any call, each once; temporary files are left out."""
    disk = Disk({name: File(content, content) for name, content in before.items()})
    found: dict[str, Content] = {}
    for call in ["", *calls]:
        if call:
            disk.apply(call)
        for version in disk.versions(rng):
            kept = {name: content for name, content in version.items() if not name.startswith(".")}
            found.setdefault(repr(sorted(kept.items())), kept)
    return list(found.values())


def command(*arguments: str) -> list[str]:
    return [BINARY, "-m", str(TINY), "-q", *arguments]


def write_reviews(path: Path) -> None:
    """Some bad; what is carried through is longer than a page of the disk, and quoted in tables."""
    with path.open("w") as file:
        for i in range(300):
            note = f'{i}, "quoted" ' + "and long " * (700 if i % 60 == 5 else 3)
            file.write(json.dumps({"text": 5 if i % 50 == 7 else "a good film " * (i % 7), "note": note}) + "\n")


def content(folder: Path) -> Content:
    return {path.name: path.read_bytes() for path in folder.glob("out*")}


def fill(folder: Path, found: Content) -> None:
    for path in folder.glob("out*"):
        path.unlink()
    for name, data in found.items():
        (folder / name).write_bytes(data)


def check_cut(folder: Path, found: Content, arguments: list[str], expected: bytes) -> None:
    """Goes on after power was lost."""
    fill(folder, found)
    result = subprocess.run(
        command(*arguments, "--resume"), cwd=folder, capture_output=True, timeout=PATIENCE, check=False
    )
    # Whose file it is shows the note alone.
    refused = "out.resume" not in found and found.get("out", b"") != b""
    if refused:
        assert result.returncode == 3 and len(result.stderr.splitlines()) == 1, result.stderr
        assert content(folder) == found
    else:
        assert result.returncode == 1, result.stderr
        assert (folder / "out").read_bytes() == expected


def check_cuts(recorder: Path, folder: Path, arguments: list[str], before: Content, expected: bytes, most: int) -> None:
    """Runs the program on what there was before, and goes on after each of at most so many losses of power."""
    fill(folder, before)
    status, calls = record(recorder, command(*arguments), folder)
    assert status == 1
    assert (folder / "out").read_bytes() == expected
    rng = random.Random(7)
    found = cuts(before, calls, rng)
    assert len(found) >= 12
    found = rng.sample(found, min(most, len(found)))
    folders = []
    for i in range(2):
        folders.append(folder / f"worker{i}")
        folders[i].mkdir(exist_ok=True)
        shutil.copy2(folder / "reviews.jsonl", folders[i])

    def check_all(i: int) -> None:
        for each in found[i::2]:
            check_cut(folders[i], each, arguments, expected)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(check_all, range(2)))


def run_to_end(folder: Path, arguments: list[str]) -> bytes:
    assert subprocess.run(command(*arguments), cwd=folder, timeout=PATIENCE, check=False).returncode == 1
    return (folder / "out").read_bytes()


def make_folder(folder: Path) -> Path:
    folder.mkdir()
    shutil.copy2(folder.parent / "reviews.jsonl", folder)
    return folder


CASES = ["new", "new, to be resumed", "replaced", "gone on with"]


def check_power_loss(case: str, output_format: str, recorder: Path, folder: Path, most: int) -> None:
    """One of CASES: whatever is left of a run is gone on with, or refused."""
    write_reviews(folder / "reviews.jsonl")
    arguments = ["reviews.jsonl", "--pass", "note", "-f", output_format, "-o", "out"]
    expected = run_to_end(folder, arguments)
    before: Content = {}
    if case == "replaced":
        before = {"out": b"somebody's\n" * 1000}
    if case == "gone on with":
        _, calls = record(recorder, command(*arguments, "--resume"), make_folder(folder / "first"))
        notes = [bytes.fromhex(call.split(" ")[2]) for call in calls if call.startswith("write ")]
        before = {"out": expected[: len(expected) // 3], "out.resume": notes[0]}
        assert b'"running"' in notes[0]
    if case in ("new, to be resumed", "gone on with"):
        arguments.append("--resume")
    check_cuts(recorder, folder, arguments, before, expected, most)
