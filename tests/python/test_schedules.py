"""Schedules, which drop tokens on the way through the model: the program beside plain PyTorch, and their export."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import export
import make_tiny_model
from conftest import TOP, Run, error_line, records
from encoder import kept_tokens, pooled_by_schedule
from export_reference import schedule_probabilities, transformers_probabilities
from native_distilbert import to_transformers

LENGTHS = [2, 3, 15, 16, 17, 18, 100, 511, 512]  # tokens: below and above the floor, and many
TINY = {"fast": [0.7, 0.4], "fastest": [0.5, 0.05]}
DEFAULT = {"fast": [0.9, 0.7, 0.5, 0.4, 0.3], "fastest": [0.8, 0.5, 0.3, 0.2, 0.1]}
CLS, SEP = "[CLS]", "[SEP]"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder of a tiny model of three layers."""
    folder = tmp_path_factory.mktemp("source")
    make_tiny_model.make_source(folder, n_layers=3)
    return folder


@pytest.fixture(scope="module")
def tiny(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its package, with two schedules."""
    folder = tmp_path_factory.mktemp("package") / "tiny"
    schedules = [f"--schedule={name}={','.join(map(str, keep))}" for name, keep in TINY.items()]
    assert export.main([str(source), "-o", str(folder), "--license", "MIT", *schedules]) == 0
    return folder


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model's package, with schedules that its weights need not stand well."""
    folder = tmp_path_factory.mktemp("package") / "default"
    folder.mkdir()
    for file in (TOP / "models" / "imdb-small").iterdir():
        (folder / file.name).symlink_to(file)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").unlink()
    manifest["schedules"] = {name: {"keep": keep} for name, keep in DEFAULT.items()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def random_texts(package: Path, lengths: list[int]) -> tuple[list[str], list[list[int]]]:
    """Texts of words that are a token each, and their ids with both ends."""
    entries = (package / "vocab.txt").read_text().split("\n")
    words = [i for i, entry in enumerate(entries) if entry.isascii() and entry.isalpha() and len(entry) > 1]
    draw = random.Random(9)
    chosen = [draw.choices(words, k=length - 2) for length in lengths]
    ends = entries.index(CLS), entries.index(SEP)
    return [" ".join(entries[i] for i in ids) for ids in chosen], [[ends[0], *ids, ends[1]] for ids in chosen]


def model_of(package: Path) -> Any:
    labels = json.loads((package / "manifest.json").read_text())["labels"]
    return to_transformers(torch.jit.load(package / "model.pt"), labels)


def program_answer(run: Run, package: Path, texts: list[str], *options: str) -> list[float]:
    stdin = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    result = run("-f", "jsonl", "--input-format", "jsonl", *options, "-", stdin=stdin, model=package)
    assert result.returncode == 0, result.stderr.decode()
    return [record["p_positive"] for record in records(result)]


def masked_logits(model: Any, ids: list[int], keep: list[float]) -> torch.Tensor:
    """The same formula in another way: all tokens go through all layers, and those dropped are no keys any more."""
    embeddings, layers = model.distilbert.embeddings, model.distilbert.transformer.layer
    x = embeddings(torch.tensor([ids]))[0]
    there = torch.ones(len(ids), dtype=torch.bool)
    for number, layer in enumerate(layers):
        attention, heads = layer.attention, layer.attention.n_heads
        q, k, v = (f(x).unflatten(-1, (heads, -1)) for f in (attention.q_lin, attention.k_lin, attention.v_lin))
        scores = torch.einsum("qhd,khd->hqk", q, k) / (attention.dim / heads) ** 0.5
        p = scores.masked_fill(~there, -torch.inf).softmax(-1)
        context = torch.einsum("hqk,khd->qhd", p, v).flatten(1)
        if number < len(keep):
            received = p[:, there].sum((0, 1))
            ranked = sorted(range(1, len(ids)), key=lambda i: (not there[i], -float(received[i]), i))
            kept = [0, *ranked[: min(int(there.sum()), kept_tokens(keep[number], len(ids))) - 1]]
            there = torch.zeros_like(there)
            there[kept] = True
        x = layer.sa_layer_norm(x + attention.out_lin(context))
        x = layer.output_layer_norm(x + layer.ffn(x))
    return model.classifier(F.relu(model.pre_classifier(x[0])))


@pytest.mark.parametrize("length", [1, 2, 16, 17, 40, 300])
def test_plain_pytorch_agrees_with_masks_and_without_drops_with_transformers(length: int, source: Path) -> None:
    model = make_tiny_model.DistilBertForSequenceClassification.from_pretrained(source).double().eval()
    ids = torch.randint(5, 800, (length,), generator=torch.Generator().manual_seed(length))
    with torch.inference_mode():
        full = model(ids[None]).logits[0]
        assert torch.allclose(model.classifier(pooled_by_schedule(model, ids, [1, 1])[0]), full, atol=1e-12, rtol=0)
        for keep in TINY.values():
            found = model.classifier(pooled_by_schedule(model, ids, keep)[0])
            assert torch.allclose(found, masked_logits(model, ids.tolist(), keep), atol=1e-12, rtol=0)
            assert torch.allclose(found, full, atol=1e-12, rtol=0) == (length <= 16)


def test_plain_pytorch_takes_the_earlier_of_equal_tokens(source: Path) -> None:
    model = make_tiny_model.DistilBertForSequenceClassification.from_pretrained(source).double().eval()
    with torch.no_grad():
        model.distilbert.embeddings.position_embeddings.weight.zero_()
        ids = torch.tensor([2, *[50] * 40])  # all but the first receive the same
        found, surely = pooled_by_schedule(model, ids, [0.5, 0.5])
        expected, _ = pooled_by_schedule(model, ids[:21], [1, 1])
    assert abs(surely) < 1e-12  # so that no reference is made of it
    assert not torch.allclose(found, expected)  # the first layer has seen all of them


@pytest.mark.parametrize("name", ["tiny", "default"])
@pytest.mark.parametrize("effort", ["fast", "fastest"])
def test_the_program_gives_what_plain_pytorch_gives(
    name: str, effort: str, run: Run, request: pytest.FixtureRequest
) -> None:
    package = request.getfixturevalue(name)
    keep = {"tiny": TINY, "default": DEFAULT}[name][effort]
    texts, ids = random_texts(package, LENGTHS * (4 if name == "tiny" else 1))
    model = model_of(package)
    expected = schedule_probabilities(model, [[window] for window in ids], keep)
    full = transformers_probabilities(model, [[window] for window in ids])
    found = program_answer(run, package, texts, "--effort", effort)
    sure = [i for i, p in enumerate(expected) if p is not None]
    assert len(sure) >= 0.8 * len(texts)
    assert [found[i] for i in sure] == pytest.approx([expected[i][1] for i in sure], abs=1e-5)  # type: ignore[index]
    same = [abs(p - q[1]) <= 1e-5 for p, q in zip(found, full, strict=True)]
    assert all(same[i] for i, window in enumerate(ids) if len(window) <= 16)
    assert not any(same[i] for i, window in enumerate(ids) if len(window) >= 100)


@pytest.mark.parametrize("effort", ["full", "fast", "fastest"])
def test_neighbours_do_not_matter(effort: str, run: Run, tiny: Path) -> None:
    texts, _ = random_texts(tiny, [*LENGTHS, 250, 40, 33, 120])
    together = program_answer(run, tiny, texts, "--effort", effort)
    assert program_answer(run, tiny, texts[::-1], "--effort", effort, "-j", "3") == together[::-1]
    alone = [program_answer(run, tiny, [text], "--effort", effort)[0] for text in texts]
    assert alone == together


def test_full_is_the_default_and_the_same_to_the_last_digit(run: Run, tiny: Path, source: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    assert export.main([str(source), "-o", str(plain), "--license", "MIT"]) == 0
    texts, _ = random_texts(tiny, LENGTHS)
    expected = program_answer(run, plain, texts)
    assert program_answer(run, tiny, texts) == expected
    assert program_answer(run, tiny, texts, "--effort", "full") == expected


@pytest.mark.parametrize("precision", ["int8", "auto"])
def test_other_precisions_stay_close(precision: str, run: Run, default: Path) -> None:
    if precision == "int8" and "avx2" not in Path("/proc/cpuinfo").read_text():
        assert "lacks the instructions" in error_line(run("--precision", precision, "-t", "a", model=default))
        return
    texts, _ = random_texts(default, [17, 100, 400])
    exact = program_answer(run, default, texts, "--effort", "fast")
    rough = program_answer(run, default, texts, "--effort", "fast", "--precision", precision)
    assert rough == pytest.approx(exact, abs=0.05)


def lines_of(package: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (package / "reference.jsonl").read_text().split("\n") if line]


def test_the_package_has_its_schedules_and_their_reference(run: Run, tiny: Path) -> None:
    manifest = json.loads((tiny / "manifest.json").read_text())
    assert manifest["schedules"] == {name: {"keep": keep, "metrics": {}} for name, keep in TINY.items()}
    lines = lines_of(tiny)
    for name in TINY:
        compared = [line for line in lines if name in line["schedules"]]
        assert len(compared) >= 0.9 * len(lines)
        assert any(line["schedules"][name] != pytest.approx(line["p"], abs=1e-5) for line in compared)
    result = run("verify", model=tiny)
    assert result.returncode == 0, result.stderr
    counts = [sum(name in line["schedules"] for line in lines) for name in TINY]
    told = result.stdout.decode().splitlines()
    for line, start in zip(
        told, ["tiny: 47", *(f"tiny, {n}: {c}" for n, c in zip(TINY, counts, strict=True))], strict=True
    ):
        assert line.startswith(f"{start} texts, 0 differ, largest difference ") and line.endswith(" (tolerance 1e-05)")
    (line,) = run("verify", "--effort", "fast", model=tiny).stdout.decode().splitlines()
    assert line.startswith("tiny, fast: ")


def rewrite(package: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes every line of the reference, and the manifest's checksum of it."""
    lines = lines_of(package)
    for line in lines:
        change(line)
    (package / "reference.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    manifest = json.loads((package / "manifest.json").read_text())
    manifest["reference"]["sha256"] = export.sha256(package / "reference.jsonl")
    (package / "manifest.json").write_text(json.dumps(manifest))


def test_verify_notices_other_probabilities_of_a_schedule(run: Run, tiny: Path, tmp_path: Path) -> None:
    package = Path(shutil.copytree(tiny, tmp_path / "tiny"))

    def change(line: dict[str, Any]) -> None:
        if line["id"] == "empty":
            line["schedules"]["fast"] = [0.25, 0.75]

    rewrite(package, change)
    result = run("verify", model=package)
    assert result.returncode == 4
    assert [", 1 differ," in line for line in result.stdout.decode().splitlines()] == [False, True, False]
    assert "empty, fast: p of label 0" in error_line(result)
    assert run("verify", "--effort", "full", model=package).returncode == 0
    rewrite(package, lambda line: line["schedules"].pop("fast", None))
    result = run("verify", model=package)
    assert result.returncode == 3 and "holds no texts for the schedule fast" in error_line(result)
    rewrite(package, lambda line: line.pop("schedules"))
    result = run("verify", "--effort", "fastest", model=package)
    assert result.returncode == 3 and error_line(result).endswith("empty: has no schedules")


def test_a_schedule_for_other_layers_is_refused(run: Run, tiny: Path, tmp_path: Path) -> None:
    package = Path(shutil.copytree(tiny, tmp_path / "tiny"))
    manifest = json.loads((package / "manifest.json").read_text())
    manifest["schedules"]["fast"]["keep"] = [0.5]
    (package / "manifest.json").write_text(json.dumps(manifest))
    result = run("-t", "a", "--effort", "fast", model=package)
    assert result.returncode == 3
    assert "it has 3 layers, and the schedule a share for 1, not for each but the last" in error_line(result)
    assert run("-t", "a", model=package).returncode == 0


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (["full=0.5,0.5"], 2, "its name must be"),
        (["Fast=0.5,0.5"], 2, "its name must be"),
        (["fast"], 2, "must be above 0, up to 1, and not rise"),
        (["fast=0.5,0.6"], 2, "must be above 0, up to 1, and not rise"),
        (["fast=0.5,0"], 2, "must be above 0, up to 1, and not rise"),
        (["fast=0.5,nan"], 2, "must be above 0, up to 1, and not rise"),
        (["fast=0.5,0.4", "fast=0.5,0.3"], 2, "two of the same name"),
        (["fast=0.5"], 3, "--schedule fast: has 1 shares, not one for each of the 3 layers but the last"),
    ],
)
def test_schedules_that_cannot_be_exported(
    words: list[str], status: int, reason: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = [str(source), "-o", str(tmp_path / "out" / "package"), *(f"--schedule={word}" for word in words)]
    if status == 2:
        with pytest.raises(SystemExit) as ended:
            export.main(call)
        assert ended.value.code == 2
    else:
        assert export.main(call) == status
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
