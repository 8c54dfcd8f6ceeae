"""Every shell block of the README and of the recipes runs, as a person would paste it, on files like those it names."""

import json
import lzma
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import BINARY, PATIENCE, TOP

DOCUMENTS = ["README.md", "scripts/recipes/README.md"]
BLOCKS = [
    pytest.param(block, id=f"{document}-{number}")
    for document in DOCUMENTS
    for number, block in enumerate(re.findall(r"```sh\n(.*?)```", (TOP / document).read_text(), re.DOTALL), 1)
]


def labelled() -> str:
    """Reviews that say enough for a sure answer, as gates on calibration want them."""
    reviews = (
        (
            "A wonderful film from beginning to end. The acting is superb, the music is beautiful, and I was moved to "
            "tears. I loved every minute of it. One of the best films I have ever seen, a perfect masterpiece.",
            "positive",
        ),
        (
            "A terrible film from beginning to end. The acting is awful, the plot makes no sense, and I was bored to "
            "tears. I hated every minute of it. One of the worst films I have ever seen. Avoid it.",
            "negative",
        ),
    )
    return "".join(json.dumps({"id": name, "text": text, "label": name}) + "\n" for text, name in reviews)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with scripts/run and every file that the documents' commands read."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "run").symlink_to(BINARY)
    (tmp_path / "build").symlink_to(Path(BINARY).parent)
    (tmp_path / "models").symlink_to(TOP / "models")
    (tmp_path / "reviews.txt").write_text("A lovely film.\nA waste of time.\n")
    lines = "".join(
        json.dumps({"id": f"r{i}", "text": text, "stars": stars, "user": "ann", "label": label}) + "\n"
        for i, (text, stars, label) in enumerate(
            [("A lovely film.", 9, "POSITIVE"), ("A waste of time.", 2, "NEGATIVE")]
        )
    )
    (tmp_path / "reviews.jsonl").write_text(lines)
    (tmp_path / "labelled.jsonl").write_text(labelled())
    (tmp_path / "held_out.jsonl").write_text(lines.replace("film", "book"))
    (tmp_path / "reviews.jsonl.xz").write_bytes(lzma.compress(lines.encode()))
    (tmp_path / "reviews.csv").write_text('id,review,user\n1,"A lovely film, really.",ann\n2,Dull.,bob\n')
    pq.write_table(pa.table({"text": ["A lovely film."], "stars": [9]}), tmp_path / "reviews.parquet")
    for part in ("pos", "neg"):
        (tmp_path / "aclImdb" / "test" / part).mkdir(parents=True)
        (tmp_path / "aclImdb" / "test" / part / "0_9.txt").write_text("A lovely film." if part == "pos" else "Dull.")
    for name in ("old.jsonl", "new.jsonl"):
        (tmp_path / name).write_text('{"id": "a", "label": "POSITIVE", "score": 0.75, "p_positive": 0.75}\n')
    with tarfile.open(tmp_path / "reviews.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "aclImdb", "aclImdb")
    return tmp_path


def test_the_documents_have_commands() -> None:
    assert len(BLOCKS) >= 5


@pytest.mark.parametrize("block", BLOCKS)
def test_block(block: str, folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "REVIEWRATE_MODEL"}
    environment["HOME"] = str(folder)
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"  # a python3 that has pandas
    result = subprocess.run(
        ["bash", "-ex", "-o", "pipefail", "-c", block],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert result.returncode == 0, result.stderr.decode()
