"""The blocks of scripts/FROM_PIPELINE.md run one after the other, and its ways give what the pipeline gives."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import make_tiny_model
from conftest import BINARY, PATIENCE, TOP

BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", (TOP / "scripts" / "FROM_PIPELINE.md").read_text(), re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the page names: a model, reviews, labelled reviews, and this project's scripts."""
    (tmp_path / "my-model").mkdir()
    make_tiny_model.make_source(tmp_path / "my-model")
    tokenizer = {"tokenizer_class": "DistilBertTokenizer", "model_max_length": 512}  # as save_pretrained() writes it
    (tmp_path / "my-model" / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    (tmp_path / "scripts").mkdir()
    for script in ("export.py", "plot_eval.py"):
        (tmp_path / "scripts" / script).symlink_to(TOP / "scripts" / script)
    (tmp_path / "scripts" / "run").symlink_to(BINARY)
    (tmp_path / "reviews.csv").write_text('review,user\n"A lovely film, really.",ann\nDull.,bob\n')
    labelled = [("A lovely film.", "POSITIVE"), ("A waste of time.", "NEGATIVE")]
    lines = [json.dumps({"text": text, "label": label}) + "\n" for text, label in labelled]
    (tmp_path / "labelled.jsonl").write_text("".join(lines))
    return tmp_path


def test_the_page(folder: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
    outputs = []
    for language, block in BLOCKS:
        command = ["bash", "-ec", block] if language == "sh" else [sys.executable, "-c", block]
        result = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert result.returncode == 0, block + result.stderr
        outputs.append(result.stdout)
    pipeline, once, co_process = (
        next(out for (_, block), out in zip(BLOCKS, outputs, strict=True) if part in block)
        for part in ("import pipeline", '-t "It is', "make_predictions")
    )
    [expected] = eval(pipeline)  # a list of dictionaries, as Python prints it
    for got in (json.loads(once), eval(co_process)):
        assert got["label"] == expected["label"]
        assert got["score"] == pytest.approx(expected["score"], abs=1e-3)  # the package's weights are fp16
    assert (folder / "rated.csv").read_text().count("\n") == 3
    assert (folder / "curves.png").stat().st_size > 1000
