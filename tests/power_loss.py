"""What a disk may hold after power was lost, from the calls of a run as record_calls.c writes them down.

Only what was synced is certain. Of the rest any part may be there: each change of a folder or not, a file's end
missing, and each page of what was written or zeros in its place.
"""

import itertools
import os
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from conftest import PATIENCE

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
