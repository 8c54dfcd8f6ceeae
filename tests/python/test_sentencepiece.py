"""Packages with SentencePiece tokenizers and traced models: ids and probabilities are those of transformers."""

import contextlib
import io
import json
import math
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertTokenizerFast,
)

import compare_tokenizer
import export
import make_sentencepiece_models
import make_tiny_model
import tiny_models
from conftest import BINARY, PATIENCE, TOP
from export_model import rounded

SPECIALS = [
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "[UNK]",
    "<pad>",
    "<unk>",
    "<s>",
    "</s>",
    "<mask>",
    "<MASK>",
    "\uff1cmask\uff1e",
]
TEMPLATES = ["{}", "good{}film", " good  {} film", "\t{}\u00a0{}", "{", "x \u3000{}", "{}{} "]


def run(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [BINARY, *map(str, arguments)]
    # A program that hangs, as one that links SentencePiece and libtorch would, is ended.
    done = subprocess.run(command, check=False, input=stdin, capture_output=True, encoding="utf-8", timeout=PATIENCE)
    if "sanitizer build" in done.stderr:
        pytest.skip("a sanitizer build cannot keep SentencePiece and libtorch apart")
    return done


def exported(source: Path, package: Path, *options: str) -> str:
    """Exports, and returns what was said on stderr."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        status = export.main([str(source), "-o", str(package), "--license", "MIT", *options])
    if "sanitizer build" in said.getvalue():
        pytest.skip("a sanitizer build cannot keep SentencePiece and libtorch apart")
    assert status == 0, said.getvalue()
    return said.getvalue()


def make_bert(folder: Path) -> None:
    """A BERT of three labels, its vocabulary that of the tiny model."""
    entries = make_tiny_model.vocabulary()
    (folder / "vocab.txt").write_text("".join(f"{entry}\n" for entry in entries))
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=512).save_pretrained(folder)
    torch.manual_seed(6)
    config = BertConfig(
        vocab_size=len(entries),
        **tiny_models.WIDTHS,
        max_position_embeddings=64,
        num_labels=3,
    )
    model = BertForSequenceClassification(config).eval()
    tiny_models.randomize(model)
    model.save_pretrained(folder)


TEXTS = make_sentencepiece_models.training_texts()
MAKERS: dict[str, Callable[[Path], None]] = {
    "albert": lambda folder: make_sentencepiece_models.make_albert(folder, TEXTS),
    "albert-cased": lambda folder: make_sentencepiece_models.make_albert(
        folder, TEXTS, do_lower_case=False, keep_accents=True
    ),
    "xlm-roberta": lambda folder: make_sentencepiece_models.make_xlm_roberta(folder, TEXTS),
    "bert": make_bert,
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Hugging Face folders."""
    folders = {name: tmp_path_factory.mktemp(name) for name in MAKERS}
    for name, make in MAKERS.items():
        make(folders[name])
    return folders


@pytest.fixture(scope="module")
def packages(sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("packages")
    for name, source in sources.items():
        options = ["--positive", "good"] if name == "xlm-roberta" else []
        exported(source, folder / name, *options)
    return {name: folder / name for name in sources}


def compare(source: Path, package: Path, texts: list[str]) -> None:
    assert run("tokenize", "-m", package, "-", stdin="skip or go\n").returncode == 0
    reference = AutoTokenizer.from_pretrained(source).backend_tokenizer
    reference.no_truncation()
    differences = compare_tokenizer.compare(compare_tokenizer.tokenize_command(Path(BINARY), package), reference, texts)
    assert differences == []


@pytest.mark.parametrize("name", ["albert", "albert-cased", "xlm-roberta"])
def test_ids(name: str, sources: dict[str, Path], packages: dict[str, Path]) -> None:
    texts = [*TEXTS, *compare_tokenizer.random_texts(4000, seed=2), *compare_tokenizer.random_texts(300, 3, 400)]
    texts += [template.replace("{}", special) for template in TEMPLATES for special in SPECIALS]
    texts += [char * count for char in "!.a9, \u2581\u3000'`" for count in range(12)]
    compare(sources[name], packages[name], texts)


def test_every_code_point_but_ideographs(sources: dict[str, Path], packages: dict[str, Path]) -> None:
    spans = (range(0x3400), range(0xA000, 0xAD00), range(0xF900, 0x20000), range(0xE0000, 0xE0200))
    chars = [chr(c) for span in spans for c in span if not 0xD800 <= c < 0xE000]
    # Among others one that follows makes the cluster; many in a text, so that the processes have little to do.
    texts = [" ".join(f"{char} a{char}b x{char}" for char in chars[i : i + 50]) for i in range(0, len(chars), 50)]
    for name in ("albert", "xlm-roberta"):
        compare(sources[name], packages[name], texts)


def test_tokenizer_json_that_splits_white_space(sources: dict[str, Path], tmp_path: Path) -> None:
    """The form that the hub's older files have."""
    source = shutil.copytree(sources["xlm-roberta"], tmp_path / "source")
    path = source / "tokenizer.json"
    content = json.loads(path.read_text())
    metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]}
    content["normalizer"] = next(n for n in content["normalizer"]["normalizers"] if n["type"] == "Precompiled")
    path.write_text(json.dumps(content))
    exported(source, tmp_path / "package")
    assert json.loads((tmp_path / "package" / "manifest.json").read_text())["tokenizer"]["split_white_space"] is True
    compare(source, tmp_path / "package", [*TEXTS, *compare_tokenizer.random_texts(2000, seed=4)])


@pytest.mark.parametrize("name", list(MAKERS))
def test_probabilities(name: str, sources: dict[str, Path], packages: dict[str, Path]) -> None:
    """SentencePiece and libtorch work in one process, and give what transformers gives."""
    tokenizer = AutoTokenizer.from_pretrained(sources[name])
    model = rounded(AutoModelForSequenceClassification.from_pretrained(sources[name]).eval())
    manifest = json.loads((packages[name] / "manifest.json").read_text())
    assert manifest["max_tokens"] == 64
    assert manifest["model"]["interface"] == "padded"
    texts = [*TEXTS, *compare_tokenizer.random_texts(200, seed=5)]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    done = run("-m", packages[name], "--input-format", "jsonl", "-f", "jsonl", "--long-text", "head", "-", stdin=lines)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.split("\n") if line]
    labels = manifest["labels"]
    for text, record in zip(texts, records, strict=True):
        ids = tokenizer(text, truncation=True, max_length=64, return_tensors="pt").input_ids
        with torch.inference_mode():
            p = model(ids).logits.double().softmax(-1)[0].tolist()
        assert record["score"] == pytest.approx(p[labels.index(record["label"])], abs=1e-5)
        if manifest["positive"] is not None:
            assert record["p_positive"] == pytest.approx(p[labels.index(manifest["positive"])], abs=1e-5)
        if len(labels) > 2:
            assert p[labels.index(record["label"])] >= max(p) - 1e-5
    assert run("verify", "-m", packages[name]).returncode == 0
    assert run("info", "-m", packages[name]).returncode == 0


@pytest.mark.parametrize("name", ["albert", "albert-cased", "xlm-roberta"])
@pytest.mark.parametrize("unit", ["sentences", "words"])
def test_explanations(name: str, unit: str, packages: dict[str, Path]) -> None:
    """Their parts stand in code points of the text as it was read, whatever normalization makes of it."""
    pairs = [
        ("The \ufb01lm is good\u2026", "But \uff47\uff4f\uff4f\uff44 actors, cafe\u0301!"),
        ("\U0001f44d\U0001f3fd good  film.", "\u2460 bad\u00a0plot?"),
    ]
    texts = [f" {first}  {second}" for first, second in pairs]  # a blank at the end can be a token
    variants = ["", *(part for pair in pairs for part in pair)]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in [*variants, *texts])
    plain = run("-m", packages[name], "--input-format", "jsonl", "-f", "jsonl", "-", stdin=lines)
    value = [math.log(p / (1 - p)) for p in (json.loads(line)["p_positive"] for line in plain.stdout.splitlines())]
    done = run("-m", packages[name], "--input-format", "jsonl", "-f", "jsonl", "--explain", unit, "-", stdin=lines)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()][len(variants) :]
    for i, (text, record) in enumerate(zip(texts, records, strict=True)):
        parts = record["explanation"]["parts"]
        assert [part["text"] for part in parts] == list(pairs[i])
        empty, first, second, both = value[0], value[1 + 2 * i], value[2 + 2 * i], value[len(variants) + i]
        # Shapley values of two players.
        assert parts[0]["contribution"] == pytest.approx((first - empty + both - second) / 2, abs=1e-4)
        assert parts[1]["contribution"] == pytest.approx((second - empty + both - first) / 2, abs=1e-4)
        for part in parts:
            words = part.get("words", [])
            assert [word["text"] for word in words] == (part["text"].split() if unit == "words" else [])
            for each in [part, *words]:
                assert text[each["start"] : each["end"]] == each["text"]


def test_labels_and_positive(packages: dict[str, Path]) -> None:
    found = {name: json.loads((package / "manifest.json").read_text()) for name, package in packages.items()}
    assert [found[name]["positive"] for name in MAKERS] == ["POSITIVE", "POSITIVE", "good", None]
    assert found["bert"]["labels"] == ["LABEL_0", "LABEL_1", "LABEL_2"]
    assert found["bert"]["tokenizer"]["kind"] == "wordpiece"
    done = run("-m", packages["bert"], "-f", "jsonl", "-t", "good film")
    record = json.loads(done.stdout)
    assert "rating" not in record or record["rating"] is None


def test_weights_are_fp16_unless_too_large(sources: dict[str, Path], packages: dict[str, Path], tmp_path: Path) -> None:
    kept = torch.jit.load(packages["bert"] / "model.pt")
    assert {weight.dtype for weight in kept.parameters()} == {torch.float16}
    assert str(TOP).encode() not in (packages["bert"] / "model.pt").read_bytes()
    source = shutil.copytree(sources["bert"], tmp_path / "source")
    model = BertForSequenceClassification.from_pretrained(source)
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[0, 0] = 1e5
    model.save_pretrained(source)
    assert "stay in fp32" in exported(source, tmp_path / "package")
    assert {w.dtype for w in torch.jit.load(tmp_path / "package" / "model.pt").parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t["normalizer"]["normalizers"].insert(0, {"type": "NFC"}), "no normalizer"),
        (lambda t: t["pre_tokenizer"].update(prepend_scheme="first"), "prepend_scheme first"),
        (lambda t: t.update(pre_tokenizer={"type": "Whitespace"}), "pre-tokenizer Whitespace"),
        (lambda t: t["model"].update(byte_fallback=True), "byte fallback"),
        (lambda t: t["added_tokens"][-1].update(single_word=True), "matched in a way"),
        (lambda t: t.update(post_processor=None), "between one special token and another"),
    ],
)
def test_tokenizers_refused(
    change: Callable[[dict[str, Any]], None],
    reason: str,
    sources: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = shutil.copytree(sources["xlm-roberta"], tmp_path / "source")
    content = json.loads((source / "tokenizer.json").read_text())
    change(content)
    (source / "tokenizer.json").write_text(json.dumps(content))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64}
    (source / "tokenizer_config.json").write_text(json.dumps(config))
    assert export.main([str(source), "-o", str(tmp_path / "out")]) == 3
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize("key", ["model", "charsmap"])
def test_damaged_files_are_one_line(key: str, packages: dict[str, Path], tmp_path: Path) -> None:
    package = shutil.copytree(packages["albert"], tmp_path / "package")
    manifest = json.loads((package / "manifest.json").read_text())
    file = package / manifest["tokenizer"]["files"][key]["file"]
    for damaged in (b"", file.read_bytes()[:1001], b"\xff" * 1000):
        file.write_bytes(damaged)
        for digest in (manifest["tokenizer"]["files"][key]["sha256"], export.sha256(file)):
            changed = json.loads(json.dumps(manifest))
            changed["tokenizer"]["files"][key]["sha256"] = digest
            (package / "manifest.json").write_text(json.dumps(changed))
            done = run("tokenize", "-m", package, "-", stdin="good\n")
            assert done.returncode == 3
            assert len(done.stderr.splitlines()) == 1, done.stderr
            assert file.name in done.stderr
