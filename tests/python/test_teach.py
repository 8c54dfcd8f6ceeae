"""The default model's training on tiny random models and own, generated reviews: its parts, and the whole way."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from test_finetune import BAD, GOOD, PLAIN, generated, weights, write_jsonl
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertTokenizerFast,
    MPNetConfig,
    MPNetModel,
    MPNetTokenizerFast,
)

import calibrate
import encoder
import imdb
import teach
import teach_data
from teach_corpus import CLS, HELD_OUT, LIMIT, PAD, SENTENCE_ENDS, SEP, UNLABELLED, Corpus, Reviews, by_length
from teach_models import MPNet, Student

TOKENS = {PAD: "[PAD]", 100: "[UNK]", CLS: "[CLS]", SEP: "[SEP]", 103: "[MASK]", 999: "!", 1012: ".", 1029: "?"}
VOCABULARY = [TOKENS.get(n, f"[unused{n}]") for n in range(1030)] + [*GOOD, *BAD, *PLAIN]
SAME = {"[CLS]": "<s>", "[SEP]": "</s>", "[PAD]": "<pad>", "[MASK]": "<mask>"}
ENCODER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
BLOCK = 10


def distilbert(**settings: Any) -> Any:
    """A tiny random model with the vocabulary above."""
    torch.manual_seed(3)
    shape = {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4} | settings
    return DistilBertForSequenceClassification(DistilBertConfig(vocab_size=len(VOCABULARY), **shape)).eval()


def mpnet(**settings: Any) -> MPNetModel:
    torch.manual_seed(4)
    config = MPNetConfig(vocab_size=len(VOCABULARY), layer_norm_eps=1e-5, **ENCODER, **settings)
    return MPNetModel(config, add_pooling_layer=False).eval()


def random_batch(lengths: list[int], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random ids [rows, longest] and the mask of real tokens."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    ids = torch.randint(5, len(VOCABULARY), mask.shape, generator=torch.Generator().manual_seed(len(lengths)))
    return ids.where(mask, torch.tensor(pad)), mask


@torch.inference_mode()
def test_the_teacher_is_transformers_mpnet() -> None:
    """Long enough for all distances that the position bias tells apart."""
    reference = mpnet(initializer_range=0.2)
    model = MPNet(reference.state_dict(), 4).eval()
    torch.nn.init.normal_(model.head.weight)
    ids, mask = random_batch([200, 1, 2, 131, 60], pad=1)
    hidden = reference(ids, mask.long()).last_hidden_state
    pooled = torch.stack([row[: int(n)].mean(0) for row, n in zip(hidden, mask.sum(1), strict=True)])
    assert torch.allclose(model(ids, mask), model.head(pooled), atol=1e-5, rtol=0)


@torch.inference_mode()
def test_the_student_is_transformers_distilbert() -> None:
    reference = distilbert(initializer_range=0.2)
    model = Student(reference.state_dict(), 4).eval()
    ids, mask = random_batch([40, 1, 2, 17, 39], pad=PAD)
    assert torch.allclose(model(ids, mask)[:, :2], reference(ids, mask.long()).logits, atol=1e-5, rtol=0)


def expected_of(reference: Any, model: Student, row: torch.Tensor, keep: list[float]) -> tuple[torch.Tensor, float]:
    """What export.py has as the reference of a schedule, and how surely its tokens are chosen."""
    features, surely = encoder.pooled_by_schedule(reference, row, keep)
    return torch.cat([reference.classifier(features), model.star_head(features)]), surely


@pytest.mark.parametrize("keep", [[1.0, 1.0], [0.7, 0.4], [0.5, 0.05]])
@torch.inference_mode()
def test_schedules_are_those_of_the_exported_model(keep: list[float]) -> None:
    """Together and alone, on both sides of the 16 tokens that always go on."""
    reference = distilbert(n_layers=3, initializer_range=0.2)
    model = Student(reference.state_dict(), 4).eval()
    ids, mask = random_batch([*range(1, 41)], pad=PAD)
    together = model(ids, mask, keep)
    for n, row, found in zip(range(1, 41), ids, together, strict=True):
        expected, surely = expected_of(reference, model, row[:n], keep)
        assert surely > 1e-5  # so that rounding does not choose
        assert torch.allclose(found, expected, atol=1e-5, rtol=0), n
        assert torch.allclose(model(row[None, :n], mask[n - 1 : n, :n], keep)[0], found, atol=1e-5, rtol=0), n


@torch.inference_mode()
def test_of_equal_tokens_the_first_go_on() -> None:
    """All keys receive the same: exactly, as shares and sums are powers of two."""
    reference = distilbert(n_layers=3, initializer_range=0.2)
    for layer in reference.distilbert.transformer.layer:
        torch.nn.init.zeros_(layer.attention.q_lin.weight)
        torch.nn.init.zeros_(layer.attention.q_lin.bias)
    model, keep = Student(reference.state_dict(), 4).eval(), [0.5, 0.25]
    ids, mask = random_batch([90, 64], pad=PAD)
    expected, surely = expected_of(reference, model, ids[1, :64], keep)
    assert surely == 0
    assert torch.allclose(model(ids, mask, keep)[1], expected, atol=1e-5, rtol=0)


def corpus_of(folder: Path, rows: list[np.ndarray]) -> Corpus:
    nothing = np.zeros(len(rows), np.int8)
    np.savez(
        folder / "data.npz",
        ids=np.concatenate(rows).astype(np.uint16),
        lengths=np.array([len(row) for row in rows], np.int32),
        labels=nothing,
        stars=nothing.astype(np.float32),
        folds=nothing,
        teacher_ids=((np.arange(30522) * 7 + 3) % 30522).astype(np.uint16),
    )
    return Corpus(folder / "data.npz", "cpu")


@pytest.mark.parametrize("longest", [7, 505, 2000])
def test_batches_are_cut_head_tail(longest: int, tmp_path: Path) -> None:
    lengths = [n for n in (0, 1, 2, 7, 127, 128, 129, *range(505, 516), 640, 2000) if n <= longest]
    rows = [np.arange(2000, 2000 + n) + 100 * i for i, n in enumerate(lengths)]
    corpus = corpus_of(tmp_path, rows)
    order = np.random.default_rng(1).permutation(len(rows))
    ids, mask = corpus.batch(corpus.whole(order), 0.0, False)
    teachers, same = corpus.batch(corpus.whole(order), 0.0, True)
    assert ids.shape[1] % 8 == 0 and ids.shape[1] <= LIMIT and torch.equal(mask, same)
    for i, found, real, taught in zip(order, ids, mask, teachers, strict=True):
        expected = list(encoder.head_tail([CLS, *rows[i], SEP], LIMIT))
        assert found[real].tolist() == expected and bool(real[: len(expected)].all())
        assert (found[~real] == PAD).all()
        assert taught.tolist() == [(token * 7 + 3) % 30522 for token in found.tolist()]


def test_thinning_keeps_order_and_ends(tmp_path: Path) -> None:
    rows = [np.arange(2000, 2000 + n) for n in (0, 1, 30, 400, 510, 511, 2000)]
    corpus = corpus_of(tmp_path, rows)
    torch.manual_seed(1)
    shares = []
    for _ in range(20):
        ids, mask = corpus.batch(corpus.whole(np.arange(len(rows))), 0.4, False)
        for row, found, real in zip(rows, ids, mask, strict=True):
            whole = list(encoder.head_tail([CLS, *row, SEP], LIMIT))
            thinned = found[real].tolist()
            assert thinned[0] == CLS and thinned[-1] == SEP and (found[~real] == PAD).all()
            assert thinned[1:-1] == sorted(set(thinned[1:-1])) and set(thinned) <= set(whole)
            if len(row) > 300:
                shares.append(1 - len(thinned) / len(whole))
    assert min(shares) < 0.05 and 0.3 < max(shares) < 0.5 and np.mean(shares) == pytest.approx(0.2, abs=0.05)


def test_crops_are_whole_sentences() -> None:
    rng = np.random.default_rng(5)
    tokens = [*SENTENCE_ENDS, *range(2000, 2012)]
    rows = [rng.choice(tokens, n) for n in [*range(1, 80), 700]] + [np.arange(2000, 2600)]  # the last has no stop
    edges = []  # of the sentences of each, the end too
    for row in rows:
        stops = [token in SENTENCE_ENDS for token in row] + [False]
        edges.append(sorted({0, len(row), *(i + 1 for i in range(len(row)) if stops[i] and not stops[i + 1])}))
    reviews = Reviews(np.concatenate(rows), np.array([len(row) for row in rows]))
    bare, sentences = [], []
    for round_ in range(50):
        crops = reviews.crops(np.arange(len(rows)), np.random.default_rng(round_))
        for i, (start, length) in enumerate(zip(crops.start - reviews.starts, crops.length, strict=True)):
            stop = start + length
            assert start in edges[i] and start < stop <= len(rows[i]) and length <= LIMIT - 2
            if length < LIMIT - 2:
                assert stop in edges[i] or stop + 1 in edges[i]
                bare.append(stop not in edges[i])
                sentences.append(sum(start <= edge < stop for edge in edges[i]))
    assert 0.2 < np.mean(bare) < 0.35
    assert np.mean(np.array(sentences) <= 3) > 0.8 and 4 < max(sentences) <= 10


def test_an_epoch_has_each_piece_once_by_near_lengths() -> None:
    rng = np.random.default_rng(6)
    lengths = rng.integers(1, 500, 1000)
    pieces = Reviews(np.zeros(lengths.sum(), np.int64), lengths).whole(np.arange(1000))
    batches = list(by_length(pieces, 8, rng))
    assert sorted(np.concatenate([batch.review for batch in batches])) == list(range(1000))
    assert all(len(batch) == 8 and (batch.length == lengths[batch.review]).all() for batch in batches)
    assert np.mean([np.ptp(batch.length) for batch in batches]) < 20


def test_ranks_of_equal_values() -> None:
    rng = np.random.default_rng(7)
    labels, values = rng.integers(0, 2, 300), rng.integers(0, 9, 300)
    assert teach.auc(labels, values) == pytest.approx(roc_auc_score(labels, values), abs=1e-12)


def test_teachers_label_what_they_have_not_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Teachers that answer with their own number."""
    corpus = corpus_of(tmp_path, [np.arange(2000, 2010)] * 40)
    corpus.folds, corpus.labels = np.array([*range(3), UNLABELLED, HELD_OUT] * 8), np.array([0, 1] * 20)
    learnt: dict[int, np.ndarray] = {}

    def train(corpus: Corpus, base: object, which: np.ndarray, a: object, seed: int) -> int:
        learnt[seed] = which
        return seed

    monkeypatch.setattr(teach, "train_teacher", train)
    monkeypatch.setattr(teach, "answers", lambda model, corpus, pieces, teacher: np.full((len(pieces), 2), model))
    soft = teach.teach(corpus, ({}, 0), argparse.Namespace(crops=2))
    assert sorted(learnt) == [0, 1, 2]
    for i, fold in enumerate(corpus.folds):
        assert all((i in learnt[teacher]) == (fold >= 0 and fold != teacher) for teacher in learnt)
        assert soft["stars"][i] == (fold if fold >= 0 else 1)  # the mean of all three
        crops = soft["stars_crops"][:, i]
        assert (crops == fold).all() if fold >= 0 else fold == UNLABELLED or (crops == 1).all()
    assert np.isfinite(soft["p"]).all() and np.isfinite(soft["p_crops"]).all()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny MPNet whose vocabulary has the student's words elsewhere."""
    folder = tmp_path_factory.mktemp("mpnet")
    words = ["<s>", "<pad>", "</s>", "<unk>", *sorted(set(VOCABULARY) - set(SAME)), "<mask>"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    mpnet().save_pretrained(folder)
    MPNetTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distilbert")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    distilbert().save_pretrained(folder)
    DistilBertTokenizerFast(str(folder / "vocab.txt"), model_max_length=LIMIT).save_pretrained(folder)
    return folder


def unlabelled(reviews: list[imdb.Review], name: str) -> list[imdb.Review]:
    return [imdb.Review(f"train/unsup/{name}{n}_0", "unsup", -1, 0, r.text) for n, r in enumerate(reviews)]


@pytest.fixture(scope="module")
def reviews() -> list[imdb.Review]:
    """Train, test and unlabelled reviews of several sentences; texts of all three stand among the unlabelled too."""
    train, test, rest = (
        [
            imdb.Review(r.id, split, r.label, r.stars, r.text.replace(" it ", " it. ").replace(" very ", " very! "))
            for r in generated(split, count, seed)
        ]
        for split, count, seed in (("train", 240, 1), ("test", 40, 2), ("unsup", 60, 5))
    )
    again = unlabelled(train[::3], "1") + unlabelled(test[::3], "2") + unlabelled(rest[::2], "3")
    return train + test + unlabelled(rest, "") + again


@pytest.fixture(scope="module")
def sources(reviews: list[imdb.Review], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two files, as the labelled and the unlabelled reviews often are."""
    folder = tmp_path_factory.mktemp("reviews")
    labelled = [review for review in reviews if review.split != "unsup"]
    rest = [review for review in reviews if review.split == "unsup"]
    return [write_jsonl(folder / "labelled.jsonl.xz", labelled), write_jsonl(folder / "unlabelled.jsonl", rest)]


@pytest.fixture(scope="module")
def data(sources: list[Path], base: Path, init: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What teach_data.py writes of them."""
    folder = tmp_path_factory.mktemp("data")
    options = ["--base", base, "--init", init, "-o", folder, "--hold-out", 40, "--kept", 12]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teach_data, "BLOCK", BLOCK)
        assert teach_data.main(["--data", *map(str, sources), *map(str, options)]) == 0
    return folder


def test_what_is_learnt_from_is_nothing_else(data: Path, reviews: list[imdb.Review], base: Path, init: Path) -> None:
    held, kept = (set((data / name).read_text().split()) for name in ("hold_out.txt", "kept.txt"))
    assert len(held) == 40 and all(review_id.startswith(("train/pos", "train/neg")) for review_id in held)
    assert len(kept) == 12 and all(review_id.startswith("train/unsup") for review_id in kept)
    with np.load(data / "data.npz") as stored:
        rows = np.split(stored["ids"], np.cumsum(stored["lengths"])[:-1])
        labels, stars, folds = stored["labels"], stored["stars"], stored["folds"]
        teacher_ids = stored["teacher_ids"]

    barred = {review.text for review in reviews if review.split == "test" or review.id in held | kept}
    expected = [review for review in reviews if review.split != "test" and review.text not in barred]
    twice = Counter(review.text for review in reviews)
    for ids in (held, kept):
        assert any(twice[review.text] > 1 for review in reviews if review.id in ids)
    expected += [review for review in reviews if review.id in held]
    tokenizer = DistilBertTokenizerFast.from_pretrained(init)
    assert [row.tolist() for row in rows] == [
        tokenizer(review.text, add_special_tokens=False)["input_ids"] for review in expected
    ]
    assert not any(tokenizer.unk_token_id in row for row in rows)
    assert labels.tolist() == [review.label for review in expected]
    assert np.allclose(stars, [(review.stars - 5.5) / 4.5 if review.stars else 0 for review in expected])

    fold_of: dict[object, int] = {}
    for review, fold in zip(expected, folds.tolist(), strict=True):
        if review.split == "unsup":
            assert fold == UNLABELLED
        else:
            assert (fold == HELD_OUT) == (review.id in held)
            block = int(review.id.split("/")[2].split("_")[0]) // BLOCK
            assert fold_of.setdefault(block, fold) == fold
    assert set(fold_of.values()) == {HELD_OUT, 0, 1, 2}

    theirs = MPNetTokenizerFast.from_pretrained(base)
    words = [SAME.get(word, word) for word in tokenizer.convert_ids_to_tokens(range(len(VOCABULARY)))]
    assert theirs.convert_ids_to_tokens(teacher_ids.tolist()) == words
    text = expected[0].text
    assert theirs(text)["input_ids"] == teacher_ids[tokenizer(text)["input_ids"]].tolist()


def test_the_whole_way(data: Path, sources: list[Path], base: Path, reviews: list[imdb.Review], tmp_path: Path) -> None:
    """Teachers, their answers, the student, and calibration."""
    start = ["--data", data / "data.npz", "--base", base, "--student", data / "start", "--device", "cpu"]
    shape = ["--teacher-rows", 16, "--rows", 16, "--teacher-rate", 5e-3, "--rate", 5e-3, "--crops", 2, "--steps", 60]
    assert teach.main([*map(str, start + shape), "-o", str(tmp_path / "run")]) == 0
    with np.load(tmp_path / "run" / "soft.npz") as stored, np.load(data / "data.npz") as learnt:
        right = (stored["p"] > 0.5) == (learnt["labels"] == 1)
        assert np.isfinite(stored["p"]).all() and right[learnt["folds"] != UNLABELLED].mean() > 0.9

    rating, confidence, final = tmp_path / "rating.json", tmp_path / "confidence.json", tmp_path / "final"
    options = ["--data", *sources, "--hold-out", data / "hold_out.txt", "--kept", data / "kept.txt", "-o", final]
    options += ["--rating", rating, "--confidence", confidence]
    assert calibrate.main([str(tmp_path / "run" / "student"), *map(str, options)]) == 0
    thresholds = json.loads(rating.read_text())["thresholds"]
    assert thresholds == sorted(thresholds) and len(thresholds) == 9
    percentiles = json.loads(confidence.read_text())["percentiles"]
    assert percentiles == sorted(percentiles) and len(percentiles) == 50 and percentiles[0] >= 0.5

    held = set((data / "hold_out.txt").read_text().split())
    judged = [review for review in reviews if review.id in held]
    tokenizer = DistilBertTokenizerFast.from_pretrained(final)
    batch = tokenizer([review.text for review in judged], return_tensors="pt", padding=True)
    for folder in (final, tmp_path / "run" / "first"):
        assert {value.dtype for value in weights(folder).values()} == {torch.float16}
        model = DistilBertForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
        with torch.inference_mode():
            logits = model(batch["input_ids"], batch["attention_mask"]).logits
        right = (logits[:, 1] > logits[:, 0]).numpy() == [review.label == 1 for review in judged]
        assert right.mean() > 0.9
