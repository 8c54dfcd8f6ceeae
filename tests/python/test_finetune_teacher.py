"""The teacher's fine-tuning on a tiny random MPNet and own, generated reviews: it learns, goes on, and stores."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_finetune import BAD, GOOD, PLAIN, command, generated, handlers, interrupting, write_jsonl  # noqa: F401
from transformers import MPNetConfig, MPNetModel, MPNetTokenizerFast

import finetune_teacher
import imdb

STEPS = 10  # in one epoch: 160 reviews learnt from in batches of 16


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny, random MPNet with its own vocabulary."""
    folder = tmp_path_factory.mktemp("mpnet")
    words = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>", *GOOD, *BAD, *PLAIN, "."]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    torch.manual_seed(3)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    MPNetModel(MPNetConfig(vocab_size=len(words), **shape), add_pooling_layer=False).save_pretrained(folder)
    MPNetTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def options(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """200 train reviews, 40 of which are held out in blocks, and a test half with the same texts."""
    train = generated("train", 200, 1)
    test = [imdb.Review(r.id.replace("train", "test"), "test", r.label, r.stars, r.text) for r in train]
    data = write_jsonl(tmp_path_factory.mktemp("data") / "reviews.jsonl.xz", train + test)
    shape = ("--layers", 1, "--rank", 2, "--tokens", 32, "--batch", 16, "--hold-out", 40)
    return ("--base", tiny, "--data", data, *shape, "--warmup", 2, "--rate", 5e-3, "--horizon", 5, "--no-bf16")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetune_teacher, "BLOCK", 10)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    options: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two steps, a SIGTERM in the third and a second sitting give exactly what one sitting gives."""
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    end = ("--epochs", 1.5, "--judge-every", 7)
    command(monkeypatch, finetune_teacher, *options, "-o", whole, *end)
    output = capsys.readouterr().out
    assert "160 train reviews, 40 held out, from step 0" in output and "step 14, mean weights" in output

    command(monkeypatch, finetune_teacher, *options, "-o", parted, "--epochs", 2 / STEPS)
    with monkeypatch.context() as patch:
        patch.setattr(finetune_teacher.Run, "learn", interrupting(finetune_teacher.Run.learn))
        assert command(patch, finetune_teacher, *options, "-o", parted, *end, "--resume") == 128 + signal.SIGTERM
    assert "stopped at step 3;" in capsys.readouterr().err
    command(monkeypatch, finetune_teacher, *options, "-o", parted, *end, "--resume")
    assert "from step 3" in capsys.readouterr().out
    expected, found = (torch.load(folder / "checkpoint.pt", weights_only=True) for folder in (whole, parted))
    assert found["step"] == expected["step"] == 1.5 * STEPS
    for part in ("learnt", "mean"):
        assert expected[part] and all(torch.equal(expected[part][name], found[part][name]) for name in expected[part])


def test_what_is_stored_has_learnt_and_starts_another_run(
    options: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, stored = tmp_path / "run", tmp_path / "stored"
    command(monkeypatch, finetune_teacher, *options, "-o", run, "--epochs", 12)
    command(monkeypatch, finetune_teacher, *options, "-o", run, "--store", stored)
    state, adapter = json.loads((stored / "adapter.json").read_text()), load_file(stored / "adapter.safetensors")
    assert state["step"] == 12 * STEPS and state["held_out"] == 40 and state["scores"]["accuracy"] > 0.9
    assert {value.dtype for value in adapter.values()} == {torch.float16}
    assert all("layer.1." in name for name in adapter if not name.startswith("head."))
    ids = (stored / "hold_out.txt").read_text().split()
    blocks = {int(name.split("/")[2].split("_")[0]) // 10 for name in ids}
    assert len(ids) == 40 and len(blocks) == 2  # ten ids of each class from each block

    again, same = ("-o", tmp_path / "again"), tmp_path / "same"
    command(monkeypatch, finetune_teacher, *options, *again, "--adapter", stored, "--epochs", 12)
    assert f"from step {12 * STEPS}" in capsys.readouterr().out
    command(monkeypatch, finetune_teacher, *options, *again, "--store", same)
    assert json.loads((same / "adapter.json").read_text()) == state
    assert (same / "adapter.safetensors").read_bytes() == (stored / "adapter.safetensors").read_bytes()
    command(monkeypatch, finetune_teacher, *options, *again, "--resume", "--epochs", 12.1)
    assert f"ended at step {12 * STEPS + 1}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "status", "message"),
    [
        (("--base", "nowhere"), 3, "nowhere: no config.json: name the folder of an MPNet encoder"),
        (("--data", "nowhere.jsonl"), 3, "nowhere.jsonl: No such file or directory"),
        (("--hold-out", 1000), 3, "200 train reviews are too few for a hold-out of 1000"),
        (("--layers", 3), 3, "has 2 layers, --layers asks for 3"),
        (("--batch", 0), 2, "--batch: '0' is not a whole number of at least 1"),
        (("--resume",), 3, "checkpoint.pt: no checkpoint to go on from"),
        (("--adapter", "nowhere"), 3, "nowhere: no adapter for these options"),
    ],
)
def test_bad_input_is_named(
    changed: tuple[object, ...],
    status: int,
    message: str,
    options: tuple[object, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        ended: object = command(monkeypatch, finetune_teacher, *options, "-o", tmp_path / "run", *changed)
    except SystemExit as usage:
        ended = usage.code
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("finetune_teacher: ")]
    assert ended == status and len(errors) == 1 and message in errors[0]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_checkpoint_is_not_overwritten_nor_taken_for_another_run(
    options: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = (*options, "-o", tmp_path / "run", "--epochs", 1 / STEPS)
    command(monkeypatch, finetune_teacher, *mine)
    before = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    for more, message in (
        ((), "is there already: go on with --resume"),
        (("--resume", "--seed", 2), "had another seed"),
    ):
        assert command(monkeypatch, finetune_teacher, *mine, *more) == 3
        assert message in capsys.readouterr().err
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == before
