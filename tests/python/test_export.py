"""scripts/export.py: a package gives what transformers gives, and what cannot be exported exactly is refused."""

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, DistilBertConfig, DistilBertForSequenceClassification, PreTrainedModel

import export
import export_labels
import make_tiny_model
from conftest import TOP, Run, error_line, records
from export_model import rounded, save_module
from export_reference import windows_of
from native_distilbert import NativeDistilBert, to_transformers

LENGTHS = [2, 3, 17, 18, 193, 511, 512]  # tokens, around the sizes at which the program works in parts


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder of the tiny model."""
    folder = tmp_path_factory.mktemp("source")
    make_tiny_model.make_source(folder)
    return folder


@pytest.fixture(scope="session")
def model(source: Path) -> DistilBertForSequenceClassification:
    return DistilBertForSequenceClassification.from_pretrained(source).eval()


@pytest.fixture(scope="session")
def package(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's package, freshly exported."""
    folder = tmp_path_factory.mktemp("package") / "tiny"
    assert export.main([str(source), "-o", str(folder), "--license", "MIT"]) == 0
    return folder


@pytest.fixture
def changed(source: Path, tmp_path: Path) -> Path:
    """A copy of the source that a test may spoil."""
    return shutil.copytree(source, tmp_path / "changed")


def random_texts(count: int) -> list[str]:
    """Words that are a token each: with both ends the texts have 2 to 512 tokens."""
    draw = random.Random(7)
    words = [entry for entry in make_tiny_model.vocabulary() if entry.isascii() and entry.isalpha() and len(entry) > 1]
    lengths = [*LENGTHS, *(draw.choice((draw.randint(2, 40), draw.randint(2, 512))) for _ in range(count))][:count]
    draw.shuffle(lengths)
    return [" ".join(draw.choices(words, k=length - 2)) for length in lengths]


def transformers_answer(source: Path, model: PreTrainedModel, texts: list[str]) -> torch.Tensor:
    """Probabilities [texts, labels] as transformers gives them."""
    tokenizer = AutoTokenizer.from_pretrained(source)
    with torch.inference_mode():
        logits = [model(tokenizer(text, return_tensors="pt").input_ids).logits[0].double() for text in texts]
    return torch.stack(logits).softmax(-1)


def program_answer(run: Run, package: Path, texts: list[str]) -> torch.Tensor:
    """The same of the program, which prints the probability of one label: each in turn is made the positive one."""
    manifest = json.loads((package / "manifest.json").read_text())
    stdin = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    columns = []
    try:
        for label in manifest["labels"]:
            edit(package / "manifest.json", partial(dict.update, positive=label))
            result = run("-f", "jsonl", "--input-format", "jsonl", "-", stdin=stdin, model=package)
            assert result.returncode == 0, result.stderr.decode()
            columns.append([record["p_positive"] for record in records(result)])
    finally:
        edit(package / "manifest.json", lambda content: content.update(positive=manifest["positive"]))
    return torch.tensor(columns, dtype=torch.float64).T


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def refusal(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What export says on refusing; it must be a single line, and nothing may be left behind."""
    output = folder.parent / "out" / "package"
    assert export.main([str(folder), "-o", str(output)]) == 3
    assert not output.parent.exists()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"export: {folder}: ")
    return line


def test_the_program_gives_what_transformers_gives(
    run: Run, package: Path, source: Path, model: DistilBertForSequenceClassification
) -> None:
    texts = random_texts(60)
    expected = transformers_answer(source, model, texts)
    assert (program_answer(run, package, texts) - expected).abs().max() <= 1e-5


def test_neighbours_do_not_matter(run: Run, package: Path) -> None:
    texts = random_texts(40)
    together = program_answer(run, package, texts)
    backwards = program_answer(run, package, texts[::-1]).flip(0)
    alone = torch.cat([program_answer(run, package, [text]) for text in texts[:8]])
    assert torch.equal(together, backwards)
    assert torch.equal(together[:8], alone)


SHAPES: dict[str, dict[str, Any]] = {
    "relu": {"activation": "relu"},
    "one layer": {"n_layers": 1},
    "one layer, relu": {"n_layers": 1, "activation": "relu"},
    "five labels": {"labels": ["awful", "bad", "fair", "good", "great"]},
    "three layers, three heads": {"n_layers": 3, "dim": 48, "n_heads": 3},
    "odd widths": {"dim": 42, "n_heads": 3, "hidden_dim": 50, "labels": ["no", "maybe", "yes"]},
    "few positions": {"max_position_embeddings": 24},
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_other_shapes(shape: str, run: Run, tmp_path: Path) -> None:
    options = dict(SHAPES[shape])
    labels = options.pop("labels", ["NEGATIVE", "POSITIVE"])
    numbered = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    (tmp_path / "source").mkdir()
    model = make_tiny_model.make_source(tmp_path / "source", 8, **numbered, **options)
    package = tmp_path / "package"
    assert export.main([str(tmp_path / "source"), "-o", str(package), "--license", "MIT"]) == 0
    assert run("verify", model=package).returncode == 0
    manifest = json.loads((package / "manifest.json").read_text())
    assert (manifest["labels"], manifest["model"]["interface"]) == (labels, "packed")
    longest = model.config.max_position_embeddings
    assert manifest["max_tokens"] == longest
    texts = [text for text in random_texts(20) if len(text.split()) + 2 <= longest]
    assert len(texts) >= 4
    expected = transformers_answer(tmp_path / "source", model, texts)
    found = program_answer(run, package, texts)
    assert found.shape == (len(texts), len(labels))
    assert (found - expected).abs().max() <= 1e-5


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("layers", [1, 3])
def test_to_transformers_gives_the_model_back(activation: str, layers: int, tmp_path: Path) -> None:
    torch.manual_seed(3)
    config = DistilBertConfig(
        vocab_size=50, dim=48, hidden_dim=64, n_layers=layers, n_heads=3, activation=activation, num_labels=5
    )
    model = rounded(DistilBertForSequenceClassification(config))
    save_module(torch.jit.script(NativeDistilBert(model)), tmp_path / "model.pt")
    found = to_transformers(torch.jit.load(tmp_path / "model.pt"), list("abcde"))
    ids = torch.arange(2, 50).view(4, 12)
    with torch.inference_mode():
        assert torch.equal(found(ids).logits, model(ids).logits)
    weights, expected = found.state_dict(), model.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert found.config.id2label == dict(enumerate("abcde"))


def test_weights_stand_once_in_fp16_and_no_path_of_this_machine(
    package: Path, model: DistilBertForSequenceClassification
) -> None:
    module = torch.jit.load(package / "model.pt")
    parameters = list(module.parameters())
    assert {parameter.dtype for parameter in parameters} == {torch.float16}
    assert sum(map(torch.numel, parameters)) == model.num_parameters()
    assert not list(module.buffers())
    assert str(TOP).encode() not in (package / "model.pt").read_bytes()


@pytest.mark.parametrize(
    "part",
    ["places", "norm.weight", "layers.0.qkv.weight", "layers.0.qkv.bias", "layers.0.heads", "layers.0.rest.up.weight"]
    + ["layers.0.rest.norm1.bias", "last.kv.weight", "last.q.bias", "last.rest.down.weight", "classifier.weight"],
)
def test_the_program_refuses_a_module_whose_parts_do_not_fit(
    part: str, package: Path, tmp_path: Path, run: Run
) -> None:
    copy = Path(shutil.copytree(package, tmp_path / "package"))
    module = torch.jit.load(copy / "model.pt")
    *names, last = part.split(".")
    owner = module
    for name in names:
        owner = getattr(owner, name)
    value = getattr(owner, last)
    setattr(owner, last, 5 if last == "heads" else torch.nn.Parameter(value[..., :-1].clone(), requires_grad=False))
    torch.jit.save(module, copy / "model.pt")
    digest = hashlib.sha256((copy / "model.pt").read_bytes()).hexdigest()
    edit(copy / "manifest.json", lambda manifest: manifest["model"].update(sha256=digest))
    for precision in ("fp32", "auto"):
        result = run("-t", "good film", "--precision", precision, model=copy)
        assert (result.returncode, result.stdout) == (3, b"")
        assert "model.pt: cannot be " in error_line(result)


def test_manifest(package: Path, source: Path) -> None:
    manifest = json.loads((package / "manifest.json").read_text())
    for entry in (manifest["model"], manifest["tokenizer"]["files"]["vocab"], manifest["reference"]):
        assert hashlib.sha256((package / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
    assert manifest["format"] == 1
    assert manifest["name"] == "tiny"
    assert manifest["license"] == "MIT"
    assert manifest["model"]["interface"] == "packed"
    assert manifest["tokenizer"]["lowercase"] is True
    assert manifest["labels"] == ["NEGATIVE", "POSITIVE"]
    assert manifest["positive"] == "POSITIVE"
    assert manifest["max_tokens"] == 512
    assert manifest["long_text"] == "head"
    assert manifest["precisions"] == ["fp32", "bf16", "int8"]
    assert (package / "vocab.txt").read_bytes() == (source / "vocab.txt").read_bytes()
    assert {file.name for file in package.iterdir()} == {
        "manifest.json",
        "model.pt",
        "vocab.txt",
        "reference.jsonl",
        "README.md",
    }


def test_export_is_reproducible(package: Path, source: Path, tmp_path: Path) -> None:
    assert export.main([str(source), "-o", str(tmp_path / "tiny"), "--license", "MIT"]) == 0
    assert (tmp_path / "tiny" / "model.pt").read_bytes() == (package / "model.pt").read_bytes()


def test_reference_covers_short_and_long(package: Path) -> None:
    lines = [json.loads(line) for line in (package / "reference.jsonl").read_text().split("\n") if line]
    assert len(lines) >= 40
    assert len({line["id"] for line in lines}) == len(lines)
    tokens = {line["tokens"] for line in lines}
    assert {2, 3, 511, 512, 513} <= tokens
    assert max(tokens) > 1000
    assert all(line["long_text"] == "head" and abs(sum(line["p"]) - 1) < 1e-12 for line in lines)


def test_the_committed_package_is_the_generated_one(
    run: Run, source: Path, model: DistilBertForSequenceClassification
) -> None:
    texts = random_texts(30)
    result = run(
        "-f", "jsonl", "--input-format", "jsonl", "-", stdin="".join(json.dumps({"text": t}) + "\n" for t in texts)
    )
    found = torch.tensor([record["p_positive"] for record in records(result)], dtype=torch.float64)
    assert (found - transformers_answer(source, model, texts)[:, 1]).abs().max() <= 1e-5


def test_the_committed_trace_is_the_generated_one(source: Path, model: DistilBertForSequenceClassification) -> None:
    texts = random_texts(30)
    plain = torch.jit.load(TOP / "tests" / "data" / "tiny_plain.pt")
    tokenizer = AutoTokenizer.from_pretrained(source)
    ids = [tokenizer(text, return_tensors="pt").input_ids for text in texts]
    with torch.inference_mode():
        logits = torch.cat([plain(i, torch.ones_like(i))["logits"] for i in ids])
    found = logits.double().softmax(-1)
    assert (found - transformers_answer(source, model, texts)).abs().max() <= 1e-5


def test_long_text_policies() -> None:
    content = list(range(1200))
    assert windows_of(content[:510], "head-tail", 510) == [content[:510]]
    assert windows_of(content, "head", 510) == [content[:510]]
    assert windows_of(content, "head-tail", 510) == [content[:128] + content[-382:]]
    assert windows_of(content, "windows", 510) == [content[:510], content[382:892], content[764:]]
    assert windows_of(content[:892], "windows", 510) == [content[:510], content[382:892]]


def test_vocabulary_from_tokenizer_json(package: Path, changed: Path, tmp_path: Path) -> None:
    (changed / "vocab.txt").unlink()
    assert export.main([str(changed), "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "vocab.txt").read_bytes() == (package / "vocab.txt").read_bytes()


def test_card_and_its_license_are_taken_over(changed: Path, tmp_path: Path) -> None:
    card = "---\nlicense: apache-2.0\n---\n# A card\n"
    (changed / "README.md").write_text(card)
    assert export.main([str(changed), "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "README.md").read_text() == card
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["license"] == "apache-2.0"


@pytest.mark.parametrize("policy", ["head-tail", "windows"])
def test_other_policies_are_recorded_and_verified(policy: str, run: Run, source: Path, tmp_path: Path) -> None:
    """Verified by the exporter, which the longest reference texts are for; here that the policy is what is used."""
    package = tmp_path / "package"
    assert export.main([str(source), "-o", str(package), "--license", "MIT", "--long-text", policy]) == 0
    lines = [json.loads(line) for line in (package / "reference.jsonl").read_text().split("\n") if line]
    assert {line["long_text"] for line in lines} == {policy}
    long = max(lines, key=lambda line: line["tokens"])
    stdin = json.dumps({"text": long["text"]}) + "\n"
    [by_default] = records(run("-f", "jsonl", "--input-format", "jsonl", "-", stdin=stdin, model=package))
    assert by_default["p_positive"] == pytest.approx(long["p"][1], abs=1e-5)
    [by_head] = records(
        run("-f", "jsonl", "--long-text", "head", "--input-format", "jsonl", "-", stdin=stdin, model=package)
    )
    assert by_head["p_positive"] != pytest.approx(long["p"][1], abs=1e-5)


def test_positive_label_can_be_named(changed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"id2label": {0: "LABEL_0", 1: "LABEL_1"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}}
    edit(changed / "config.json", lambda config: config.update(names))
    for options, positive in ([], None), (["--positive", "LABEL_1"], "LABEL_1"):
        assert export.main([str(changed), "-o", str(tmp_path / "out"), "--force", *options]) == 0
        assert json.loads((tmp_path / "out" / "manifest.json").read_text())["positive"] == positive
        said = [line for line in capsys.readouterr().err.splitlines() if "POSITIVE" in line]
        if positive:
            assert said == []
        else:
            (line,) = said
            assert line.endswith("--positive names one of LABEL_0, LABEL_1")
    assert export.main([str(changed), "-o", str(tmp_path / "other"), "--positive", "GOOD"]) == 3


def renamed(folder: Path, labels: list[str], seed: int = 5) -> Path:
    """A source of a tiny model with these labels."""
    folder.mkdir()
    make_tiny_model.make_source(
        folder,
        seed=seed,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        num_labels=len(labels),
    )
    return folder


@pytest.mark.parametrize(
    ("labels", "values"),
    [
        (["positive", "neutral", "negative"], [10, 5.5, 1]),
        (["Very Negative", "Negative", "Neutral", "Positive", "Very Positive"], [1, 3.25, 5.5, 7.75, 10]),
        (["1 star", "2 stars", "3 stars", "4 stars", "5 stars"], [1, 3.25, 5.5, 7.75, 10]),
        ([str(i) for i in range(1, 11)], list(range(1, 11))),
        (["LABEL_0", "LABEL_1", "LABEL_2"], None),
        (["0", "1", "2"], None),
        (["1", "2", "3", "4"], None),  # may be classes
        (["1 star", "2 stars", "5 stars"], None),
        (["positive", "neutral", "other"], None),
        (["neutral", "positive", "very positive"], None),
        (["NEGATIVE", "POSITIVE"], None),
    ],
)
def test_names_that_are_an_order_give_ratings(labels: list[str], values: list[float] | None) -> None:
    assert export_labels.label_values(labels, None) == values


def test_the_rating_of_three_labels_is_their_expected_value(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = renamed(tmp_path / "three", ["positive", "neutral", "negative"])
    package = tmp_path / "package"
    assert export.main([str(source), "-o", str(package), "--license", "MIT"]) == 0
    assert capsys.readouterr().err == ""
    assert json.loads((package / "manifest.json").read_text())["rating"] == {"values": [10, 5.5, 1]}
    texts = random_texts(40)
    model = DistilBertForSequenceClassification.from_pretrained(source).eval()
    expected = transformers_answer(source, model, texts) @ torch.tensor([10, 5.5, 1], dtype=torch.float64)
    stdin = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    found = records(run("-f", "jsonl", "--input-format", "jsonl", "-", stdin=stdin, model=package))
    ratings = torch.tensor([record["rating"] for record in found], dtype=torch.float64)
    assert len(found) == 40 and (ratings - expected).abs().max() <= 0.5 + 1e-4
    assert all(0 < record["p_positive"] < 1 for record in found)
    described = json.loads(run("info", model=package).stdout)
    assert described["rating"] == "linear" and described["label_values"] == [10, 5.5, 1]
    result = run("-t", "x", "--threshold", "0.7", model=package)
    assert result.returncode == 2 and "--threshold: model package has more than two labels" in error_line(result)
    result = run("-t", "x", "--rating", "fitted", model=package)
    assert result.returncode == 2 and "brings no thresholds" in error_line(result)


def test_confidence_percentiles(run: Run, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, package = tmp_path / "confidence.json", tmp_path / "package"
    values = [0.5 + percent / 100 for percent in range(1, 51)]
    file.write_text(json.dumps({"percentiles": values}))
    assert export.main([str(source), "-o", str(package), "--license", "MIT", "--confidence", str(file)]) == 0
    assert json.loads((package / "manifest.json").read_text())["confidence_percentiles"] == values
    (record,) = records(run("-f", "jsonl", "-t", "good", "--unsure-rate", "0.5", model=package))
    assert record["unsure_reason"] == "probability"
    capsys.readouterr()
    for wrong in (values[::-1], values[1:], [0.4, *values[1:]], "x"):
        file.write_text(json.dumps({"percentiles": wrong}))
        with pytest.raises(SystemExit) as exit:
            export.main([str(source), "-o", str(package), "--force", "--confidence", str(file)])
        assert exit.value.code == 2 and "50 rising probabilities" in capsys.readouterr().err


def test_labels_without_an_order_give_no_rating_and_that_is_said(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = renamed(tmp_path / "three", ["drama", "comedy", "horror"])
    package = tmp_path / "package"
    assert export.main([str(source), "-o", str(package), "--license", "MIT"]) == 0
    positive, rating = capsys.readouterr().err.splitlines()
    assert positive.endswith("records get no p_positive: --positive names one of drama, comedy, horror")
    assert "tell no order, so records get no rating: --label-values" in rating
    (record,) = records(run("-t", "x", "-f", "jsonl", model=package))
    assert "rating" not in record and "p_positive" not in record
    described = json.loads(run("info", model=package).stdout)
    assert described["rating"] is None and "--label-values" in described["no_rating"]
    for options in (["--rating", "linear"], ["--annotate", "--columns", "rating"]):
        result = run(*options, "-f", "jsonl", stdin='{"text": "x"}\n', model=package)
        assert result.returncode == 2 and "model package gives no rating: " in error_line(result)
    edit(package / "manifest.json", lambda manifest: manifest.update(positive="comedy"))
    (record,) = records(run("-t", "x", "-f", "jsonl", model=package))
    assert "rating" not in record and record["p_positive"] > 0  # what the other labels stand for is not known
    again = [str(source), "-o", str(package), "--force", "--license", "MIT", "--label-values"]
    assert export.main([*again, "3,2,1"]) == 0
    assert json.loads((package / "manifest.json").read_text())["rating"] == {"values": [10, 5.5, 1]}
    assert export.main([*again, "3,2"]) == 3
    assert "--label-values: 2 for 3 labels" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        export.main([*again, "1,x,2"])
    assert stopped.value.code == 2


def test_existing_package_needs_force(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "target"
    assert export.main([str(source), "-o", str(target)]) == 0
    (target / "README.md").write_text("old")
    with pytest.raises(SystemExit) as ended:
        export.main([str(source), "-o", str(target)])
    assert ended.value.code == 2
    assert (target / "README.md").read_text() == "old"
    assert export.main([str(source), "-o", str(target), "--force"]) == 0
    assert (target / "README.md").read_text() != "old"
    assert list(tmp_path.iterdir()) == [target]


def test_force_does_not_replace_what_is_no_package(source: Path, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mother.txt").write_text("dear")
    with pytest.raises(SystemExit) as ended:
        export.main([str(source), "-o", str(tmp_path / "letters"), "--force"])
    assert ended.value.code == 2
    assert (tmp_path / "letters" / "mother.txt").read_text() == "dear"


def test_a_package_that_is_not_verified_is_not_put_in_place(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(*arguments: Any) -> list[list[float]]:
        return [[low + 1e-3, high - 1e-3] for low, high in right(*arguments)]

    right = export.transformers_probabilities
    monkeypatch.setattr(export, "transformers_probabilities", wrong)
    output = tmp_path / "out" / "package"
    assert export.main([str(source), "-o", str(output), "--license", "MIT"]) == 3
    assert list(output.parent.iterdir()) == []
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"export: {output}: not made: `reviewrate verify` does not pass: ")
    assert "47 differ" in line


def test_a_program_that_breaks_off_verifies_nothing(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\necho "reviewrate: $3: cannot be loaded" >&2\nexit 3\n')
    program.chmod(0o755)
    output = tmp_path / "out" / "package"
    assert export.main([str(source), "-o", str(output), "--license", "MIT", "--reviewrate", str(program)]) == 3
    assert list(output.parent.iterdir()) == []
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"reviewrate: {output}: cannot be loaded")


def test_without_the_program_nothing_is_exported(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out" / "package"
    assert export.main([str(source), "-o", str(output), "--reviewrate", str(tmp_path / "none")]) == 3
    assert not output.parent.exists()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"export: {tmp_path / 'none'}: no such program") and "scripts/setup builds it" in line


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model_type": "bert", "architectures": ["BertForSequenceClassification"]}, "state dictionary"),
        ({"architectures": ["DistilBertForMaskedLM"]}, "DistilBertForMaskedLM"),
        ({"activation": "silu"}, "activation silu"),
        ({"problem_type": "multi_label_classification"}, "multi_label_classification"),
        ({"n_layers": 3}, "missing_keys"),
        ({"n_layers": 1}, "unexpected_keys"),
    ],
)
def test_models_refused(change: dict[str, Any], reason: str, changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(changed / "config.json", lambda config: config.update(change))
    assert reason in refusal(changed, capsys)


def test_weights_too_large_refused(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = DistilBertForSequenceClassification.from_pretrained(changed)
    with torch.no_grad():
        model.classifier.bias[0] = 1e5
    model.save_pretrained(changed)
    assert "too large for fp16" in refusal(changed, capsys)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t["normalizer"].update(strip_accents=False), "strip_accents False with lowercase True"),
        (lambda t: t["normalizer"].update(clean_text=False), "clean_text"),
        (lambda t: t["normalizer"].update(handle_chinese_chars=False), "handle_chinese_chars"),
        (lambda t: t.update(normalizer={"type": "Lowercase"}), "not BertNormalizer"),
        (lambda t: t.update(pre_tokenizer={"type": "Whitespace"}), "pre-tokenizer is Whitespace"),
        (lambda t: t["model"].update(max_input_chars_per_word=50), "max_input_chars_per_word"),
        (
            lambda t: t["added_tokens"].append(
                {**t["added_tokens"][0], "id": len(t["model"]["vocab"]), "content": "[X]"}
            ),
            "added tokens",
        ),
        (lambda t: t["added_tokens"][0].update(lstrip=True), "not matched as in BERT's own"),
        (lambda t: t.update(post_processor=None), "between [CLS] and [SEP]"),
    ],
)
def test_tokenizers_refused(
    change: Callable[[dict[str, Any]], None], reason: str, changed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(changed / "tokenizer.json", change)
    # The plain class takes tokenizer.json as it is; the others replace parts of it by their own settings.
    (changed / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512})
    )
    assert reason in refusal(changed, capsys)


def test_strip_accents_of_tokenizer_config_refused(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(changed / "tokenizer_config.json", lambda config: config.update(strip_accents=False))
    assert "strip_accents False with lowercase True" in refusal(changed, capsys)


def test_other_vocabulary_refused(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (changed / "vocab.txt").read_text().splitlines()
    (changed / "vocab.txt").write_text("\n".join([*lines[:-2], lines[-1], lines[-2]]) + "\n")
    assert "differ" in refusal(changed, capsys)


def test_no_tokenizer_refused(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("vocab.txt", "tokenizer.json"):
        (changed / name).unlink()
    assert "no vocab.txt" in refusal(changed, capsys)


def test_folder_without_model_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert "config.json" in refusal(tmp_path / "empty", capsys)


def test_damaged_weights_refused(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = changed / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "its weights cannot be loaded" in refusal(changed, capsys)


def bpe_tokenizer() -> str:
    """A tokenizer.json as GPT-2's, of single characters."""
    tokenizer = Tokenizer(models.BPE(vocab={chr(c): c - 33 for c in range(33, 127)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer.to_str()


NEWER = '{"version": "1.0", "normalizer": {"type": "Future"}}'
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0f" * 32 + "\nsize 1234567\n"
JAPANESE = {"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab"}
PLAIN_CLASS = json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512})
SPOILT: dict[str, tuple[dict[str, str | bytes | None], str]] = {
    "newer normalizer": (
        {"tokenizer.json": '{"version": "1.0", "normalizer": {"type": "Future"}}'},
        "tokenizer.json: ",
    ),
    "half a tokenizer": ({"tokenizer.json": '{"version": '}, "tokenizer.json: "),
    "no fast tokenizer": (
        {"tokenizer.json": None, "tokenizer_config.json": json.dumps(JAPANESE)},
        "BertJapaneseTokenizer (mecab) has no fast form",
    ),
    "BPE": (
        {"tokenizer.json": bpe_tokenizer(), "tokenizer_config.json": PLAIN_CLASS, "vocab.txt": None},
        "tokenizer model BPE: only WordPiece and Unigram",
    ),
    "tokenizer_config.json": ({"tokenizer_config.json": "{,}"}, "tokenizer_config.json: "),
    "weights of LFS": ({"model.safetensors": POINTER}, "model.safetensors: is a pointer of Git LFS"),
    "vocabulary of LFS": ({"vocab.txt": POINTER}, "vocab.txt: is a pointer of Git LFS"),
    "a page for weights": ({"model.safetensors": "<!DOCTYPE html><title>Not found</title>"}, "cannot be loaded: "),
    "no weights": ({"model.safetensors": None}, "cannot be loaded: "),
    "a pickle that is none": (
        {"model.safetensors": None, "pytorch_model.bin": b"PK\x03\x04 not a pickle"},
        "cannot be loaded: ",
    ),
    "config.json": ({"config.json": '{"model_type": '}, "config.json: "),
    "no model_type": ({"config.json": "{}"}, "config.json: "),
    "a list": ({"config.json": "[1, 2]"}, "config.json: "),
    "own code": (
        {"config.json": json.dumps({"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}})},
        "config.json: ",
    ),
    "README.md": ({"README.md": b"# Caf\xe9\n"}, "README.md: is not UTF-8"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_spoilt_folders_are_one_line(name: str, changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files, expected = SPOILT[name]
    for file, content in files.items():
        if content is None:
            (changed / file).unlink()
        else:
            (changed / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert expected in refusal(changed, capsys)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"id2label": {0: "SCORE"}, "label2id": {"SCORE": 0}}, "a single label"),
        ({"id2label": {0: "SCORE"}, "label2id": {"SCORE": 0}, "problem_type": "regression"}, "problem_type regression"),
        ({"id2label": {0: "same", 1: "same"}}, "two labels of the same name"),
        ({"id2label": {0: "bad", 2: "good"}}, "id2label does not name every label"),
    ],
)
def test_labels_that_make_no_sense_are_one_line(
    change: dict[str, Any], expected: str, changed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(changed / "config.json", lambda config: config.update(change))
    assert expected in refusal(changed, capsys)


def test_weights_that_are_no_numbers_are_refused(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = DistilBertForSequenceClassification.from_pretrained(changed)
    with torch.no_grad():
        model.classifier.bias[1] = float("nan")
    model.save_pretrained(changed)
    assert "not all finite numbers" in refusal(changed, capsys)


def test_reference_texts_are_named_by_line(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = tmp_path / "texts.jsonl"
    for content, expected in (('{"id": "a", "text": "b"}\n{"id": 1}\n', ":2: is not"), ("\n", ": holds no texts")):
        texts.write_text(content)
        assert export.main([str(source), "-o", str(tmp_path / "out"), "--reference", str(texts)]) == 3
        assert capsys.readouterr().err.startswith(f"export: {texts}{expected}")
    assert not (tmp_path / "out").exists()
