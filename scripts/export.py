#!/usr/bin/env python3
"""Makes a model package, a folder that reviewrate loads, from a Hugging Face sequence classifier.

    scripts/export.py SRC -o models/NAME

SRC is a folder or a name on the Hugging Face hub, with a WordPiece tokenizer as BERT's or a SentencePiece one (unigram)
as ALBERT's and XLM-RoBERTa's. A DistilBERT becomes a native model, which is faster; another encoder (BERT, ALBERT,
XLM-RoBERTa and more) is traced as it is. The weights are rounded to fp16, unless they are too large for it in a traced
model; reference.jsonl holds the probabilities that transformers itself gives with the rounded weights, and `reviewrate
verify` runs the finished package against them before it is put in its place. What cannot be exported exactly is refused.

Exit codes: 0 done; 2 usage; 3 the source cannot be read or exported, the package not written, or it does not give what
transformers gives.
"""

import argparse
import copy
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

import export_sentencepiece
from native_distilbert import NativeDistilBert

WINDOW_STRIDE = 128
STANDARD_TOKENS = ["[CLS]", "[MASK]", "[PAD]", "[SEP]", "[UNK]"]
SCRIPTS = Path(__file__).resolve().parent
REFERENCE_TEXTS = SCRIPTS / "reference_texts.jsonl"


class Refused(Exception):
    """The source cannot be exported exactly."""


FILE_NAMES = {"vocab": "vocab.txt", "model": "sentencepiece.model", "charsmap": "charsmap.bin"}


@dataclass
class Tokenizer:
    """The source's tokenizer, found to be one that the program has."""

    fast: PreTrainedTokenizerFast
    settings: dict[str, Any]  # for the manifest, but for its files
    files: dict[str, bytes]  # their contents by their keys there
    begin: int  # the tokens around a text
    end: int
    max_tokens: int


def require(held: bool, message: str) -> None:
    if not held:
        raise Refused(message)


def thresholds(path: str) -> list[float]:
    """The nine rising probabilities that scripts/calibrate.py --rating wrote."""
    try:
        fitted = json.loads(Path(path).read_text())["thresholds"]
        held = len(fitted) == 9 and all(0 <= a <= b <= 1 for a, b in zip(fitted, fitted[1:]))
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise argparse.ArgumentTypeError(f"{path}: cannot be read: {e}") from e
    if not held:
        raise argparse.ArgumentTypeError(f"{path}: thresholds must be nine rising probabilities")
    return fitted


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(source: str) -> Path:
    """The source as a folder, downloaded if it is a name on the hub."""
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.txt", "*.safetensors", "*.bin", "*.model", "README.md"]
    try:
        return Path(snapshot_download(source, allow_patterns=patterns))
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise Refused(f"{source}: neither a folder nor a model on the hub: {reason}") from error


def load_model(folder: Path) -> tuple[PreTrainedModel, torch.dtype]:
    """The model in fp32, and the type its weights have on disk."""
    require((folder / "config.json").is_file(), "no config.json")  # without one transformers guesses by folder name
    config = AutoConfig.from_pretrained(folder)
    architectures = config.architectures or []
    require(
        any(name.endswith("ForSequenceClassification") for name in architectures),
        f"not a sequence classifier but {', '.join(architectures) or 'unknown'}",
    )
    require(
        config.problem_type in (None, "single_label_classification"),
        f"problem_type {config.problem_type}: only softmax over the labels can be exported",
    )
    require(config.num_labels >= 2, "a single label: softmax needs two or more")
    require(not config.is_encoder_decoder, f"{config.model_type} has a decoder: only encoders can be exported")
    require(not getattr(config, "pruned_heads", None), "pruned attention heads")
    require(getattr(config, "quantization_config", None) is None, "quantized weights")
    if config.model_type == "distilbert":
        require(config.activation in ("gelu", "relu"), f"activation {config.activation}: only gelu and relu are known")
        require(config.n_layers >= 1, "no layers")

    stored = AutoModelForSequenceClassification.from_pretrained(folder, dtype="auto").dtype
    model, loading = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    for problem in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        require(not loading[problem], f"weights do not fit: {problem}: {', '.join(map(str, loading[problem]))}")
    return model.eval(), stored


def fits_fp16(model: PreTrainedModel) -> bool:
    return all(bool(weight.half().isfinite().all()) for weight in model.parameters())


def rounded(model: PreTrainedModel) -> PreTrainedModel:
    """The same model with its weights rounded to fp16, in fp32."""
    require(fits_fp16(model), "weights too large for fp16")
    half = copy.deepcopy(model)
    with torch.no_grad():
        for weight in half.parameters():
            weight.copy_(weight.half().float())
    return half.eval()


class Traceable(nn.Module):
    """A model with the inputs and the output that the program has for a traced one."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def trace(model: PreTrainedModel, ids: list[int]) -> torch.jit.ScriptModule:
    """The model traced, its weights in fp16 where `rounded` has made them fit; the length of `ids` is only an example."""
    example = torch.tensor([ids])
    with torch.no_grad(), warnings.catch_warnings():
        # The tracer warns of every size that is looked at; that the trace holds for other sizes is checked.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(Traceable(copy.deepcopy(model)).eval(), (example, torch.ones_like(example)))
    if fits_fp16(model) and all(torch.equal(weight, weight.half().float()) for weight in model.parameters()):
        for weight in traced.parameters():
            weight.data = weight.data.half()
    return traced


def max_positions(model: PreTrainedModel) -> int:
    """The most tokens that the model has positions for."""
    positions = [module for name, module in model.named_modules() if name.endswith("position_embeddings")]
    if len(positions) == 1 and getattr(positions[0], "padding_idx", None) is not None:
        # As in RoBERTa: positions are counted from the one behind the padding's.
        return positions[0].num_embeddings - positions[0].padding_idx - 1
    return model.config.max_position_embeddings


def check_tokenizer(backend: dict[str, Any]) -> bool:
    """Whether text is lowercased; refuses what is not BERT's own WordPiece tokenizer."""
    model, normalizer = backend["model"], backend["normalizer"] or {}
    require(model["type"] == "WordPiece", f"tokenizer model {model['type']}: only WordPiece can be exported")
    for key, value in (("unk_token", "[UNK]"), ("continuing_subword_prefix", "##"), ("max_input_chars_per_word", 100)):
        require(model[key] == value, f"tokenizer: {key} is {model[key]}, not {value}")
    require(normalizer.get("type") == "BertNormalizer", "tokenizer: its normalizer is not BertNormalizer")
    for key in ("clean_text", "handle_chinese_chars"):
        require(normalizer[key] is True, f"tokenizer: {key} is {normalizer[key]}, not true")
    lowercase = normalizer["lowercase"]
    require(
        normalizer["strip_accents"] in (None, lowercase),
        f"tokenizer: strip_accents {normalizer['strip_accents']} with lowercase {lowercase}",
    )
    pre_tokenizer = (backend["pre_tokenizer"] or {}).get("type")
    require(pre_tokenizer == "BertPreTokenizer", f"tokenizer: its pre-tokenizer is {pre_tokenizer}")

    added = backend["added_tokens"]
    contents = sorted(token["content"] for token in added)
    require(contents == STANDARD_TOKENS, f"tokenizer: added tokens are {' '.join(contents)}, not the standard five")
    for token in added:
        plain = not (token["single_word"] or token["lstrip"] or token["rstrip"] or token["normalized"])
        require(
            plain and model["vocab"].get(token["content"]) == token["id"],
            f"tokenizer: {token['content']} is not matched as in BERT's own",
        )
    return lowercase


def wordpiece(folder: Path, backend: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytes], int]:
    """The settings, the files and the size of a WordPiece vocabulary."""
    lowercase = check_tokenizer(backend)
    by_id = sorted(backend["model"]["vocab"].items(), key=lambda entry: entry[1])
    require([i for _, i in by_id] == list(range(len(by_id))), "tokenizer: ids are not 0 to the size of the vocabulary")
    tokens = [token for token, _ in by_id]
    vocab = "".join(token + "\n" for token in tokens).encode()
    require(
        all(token == token.rstrip() and "\n" not in token for token in tokens),
        "tokenizer: a vocabulary entry that a line of text cannot hold",
    )
    if (folder / "vocab.txt").is_file():
        vocab = (folder / "vocab.txt").read_bytes()
        lines = vocab.decode().removesuffix("\n").split("\n")
        require([line.rstrip() for line in lines] == tokens, "vocab.txt and the tokenizer's vocabulary differ")
    return {"kind": "wordpiece", "lowercase": lowercase}, {"vocab": vocab}, len(tokens)


def load_tokenizer(folder: Path, config: PretrainedConfig, positions: int) -> Tokenizer:
    names = ["vocab.txt", "tokenizer.json", *(file.name for file in folder.glob("*.model"))]
    present = any((folder / name).is_file() for name in names)
    require(present, "no vocab.txt, no tokenizer.json and no SentencePiece model")
    fast = AutoTokenizer.from_pretrained(folder, use_fast=True)
    require(fast.is_fast, "its tokenizer has no fast form")
    backend = json.loads(fast.backend_tokenizer.to_str())
    kind = backend["model"]["type"]
    require(kind in ("WordPiece", "Unigram"), f"tokenizer model {kind}: only WordPiece and Unigram can be exported")
    ends = fast("").input_ids
    if kind == "WordPiece":
        settings, files, size = wordpiece(folder, backend)
        expected = [backend["model"]["vocab"][token] for token in ("[CLS]", "[SEP]")]
        require(ends == expected, "tokenizer: it does not put a text between [CLS] and [SEP]")
    else:
        found = export_sentencepiece.describe(fast)
        settings, files, size = found.settings, found.files, found.pieces
    require(size <= config.vocab_size, f"vocabulary of {size} entries, embeddings of {config.vocab_size}")
    max_tokens = min(positions, fast.model_max_length)
    require(max_tokens >= 3, f"room for {max_tokens} tokens only")
    return Tokenizer(fast, settings, files, ends[0], ends[1], max_tokens)


def windows_of(content: list[int], policy: str, room: int) -> list[list[int]]:
    """The parts of a text's tokens, [CLS] and [SEP] not counted, that the model reads under a long-text policy."""
    if len(content) <= room:
        return [content]
    if policy == "head":
        return [content[:room]]
    if policy == "head-tail":
        head = (room + 2) // 4  # 128 of 512
        return [content[:head] + content[head - room :]]
    step = room - WINDOW_STRIDE
    return [content[start : start + room] for start in range(0, len(content) - WINDOW_STRIDE, step)]


def softmax(logits: torch.Tensor) -> torch.Tensor:
    return torch.softmax(logits.double(), dim=-1)


def transformers_probabilities(model: PreTrainedModel, texts: list[list[list[int]]]) -> list[list[float]]:
    """Transformers' own answer for texts given as windows of ids: the mean over a text's windows."""
    with torch.inference_mode():
        return [
            torch.cat([softmax(model(input_ids=torch.tensor([window])).logits) for window in windows]).mean(0).tolist()
            for windows in texts
        ]


def read_texts(path: Path) -> list[dict[str, str]]:
    """The id and text of each line of a jsonl file."""
    try:
        # Not splitlines(): it also cuts at the line separators of Unicode, which JSON may hold as they are.
        lines = [json.loads(line) for line in path.read_text().split("\n") if line]
        return [{"id": line["id"], "text": line["text"]} for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"{path}: not jsonl with id and text: {error}") from error


def verify(reviewrate: str, folder: Path, name: Path) -> None:
    """Lets the program compare the package in `folder`, which is to be `name`, with its reference texts."""
    done = subprocess.run([reviewrate, "verify", "-m", folder], capture_output=True, text=True, errors="replace")
    said = [line.replace(str(folder), str(name)) for line in [*done.stdout.splitlines(), *done.stderr.splitlines()]]
    reason = said[0] if said else f"exit status {done.returncode}"
    require(done.returncode == 0, f"the package does not pass `reviewrate verify`: {reason}")
    print(f"verified: {reason}")


def largest_difference(a: list[list[float]], b: list[list[float]]) -> float:
    return (torch.tensor(a, dtype=torch.float64) - torch.tensor(b, dtype=torch.float64)).abs().max().item()


def save_module(module: torch.jit.ScriptModule, path: Path) -> None:
    """Saves without the debug records: they name files of this machine, and nothing needs them."""
    raw = path.with_suffix(".raw")
    module.save(str(raw))
    reader = torch._C.PyTorchFileReader(str(raw))
    writer = torch._C.PyTorchFileWriter(str(path))
    for name in reader.get_all_records():
        # The writer makes the version and .data/ records itself.
        if name.endswith(".debug_pkl") or name == "version" or name.startswith(".data/"):
            continue
        record = reader.get_record(name)
        writer.write_record(name, record, len(record))
    writer.write_end_of_file()
    raw.unlink()


def positive_label(labels: list[str], asked: str | None) -> str | None:
    if asked is not None:
        require(asked in labels, f"no label {asked}: there are {', '.join(labels)}")
        return asked
    return next((label for label in labels if label.upper() in ("POSITIVE", "POS")), None)


def card_license(card: str) -> str | None:
    """The license that a model card's front matter names."""
    front = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    line = re.search(r"^license:\s*(\S+)\s*$", front[1], re.MULTILINE) if front else None
    return line[1].strip("'\"") if line else None


def generated_card(name: str, license_name: str, labels: list[str], policy: str) -> str:
    return (
        f"# {name}\n\nA sequence classifier with the labels {', '.join(labels)}, "
        f"made into a package by scripts/export.py; its weights are rounded to fp16.\n"
        f"Texts above the model's length are cut by the policy `{policy}`. License: {license_name}.\n"
    )


def write_package(folder: Path, args: argparse.Namespace) -> None:
    """Writes the package and has it verified."""
    source = fetch(args.source)
    model, stored = load_model(source)
    tokenizer = load_tokenizer(source, model.config, max_positions(model))
    native = model.config.model_type == "distilbert"
    labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
    require(len(set(labels)) == len(labels), "two labels of the same name")

    card_file = args.readme or source / "README.md"
    card = card_file.read_text() if card_file.is_file() else ""
    license_name = args.license or card_license(card)
    if license_name is None:
        license_name = "unknown"
        print("export: the license is not known; give it with --license", file=sys.stderr)

    if native or fits_fp16(model):
        half = rounded(model)
    else:
        half = model
        print("export: weights too large for fp16: they stay in fp32", file=sys.stderr)
    if native:
        module = torch.jit.script(NativeDistilBert(half).eval())
    else:
        module = trace(half, [tokenizer.begin, *tokenizer.fast("an example", add_special_tokens=False).input_ids])
    save_module(module, folder / "model.pt")
    for key, content in tokenizer.files.items():
        (folder / FILE_NAMES[key]).write_bytes(content)
    (folder / "README.md").write_text(card or generated_card(args.name, license_name, labels, args.long_text))

    lines = read_texts(args.reference)
    contents = [tokenizer.fast(line["text"], add_special_tokens=False, verbose=False).input_ids for line in lines]
    texts = [
        [
            [tokenizer.begin, *window, tokenizer.end]
            for window in windows_of(content, args.long_text, tokenizer.max_tokens - 2)
        ]
        for content in contents
    ]
    expected = transformers_probabilities(half, texts)
    with (folder / "reference.jsonl").open("w") as file:
        for line, content, p in zip(lines, contents, expected, strict=True):
            record = {
                "id": line["id"],
                "text": line["text"],
                "tokens": len(content) + 2,
                "long_text": args.long_text,
                "p": p,
            }
            file.write(json.dumps(record, ensure_ascii=False) + "\n")

    manifest = {
        "format": 1,
        "name": args.name,
        "license": license_name,
        "model": {
            "file": "model.pt",
            "sha256": sha256(folder / "model.pt"),
            "interface": "packed" if native else "padded",  # the manifest's words for a native and a traced model
            "torch": torch.__version__.partition("+")[0],
        },
        "tokenizer": {
            **tokenizer.settings,
            "files": {
                key: {"file": FILE_NAMES[key], "sha256": sha256(folder / FILE_NAMES[key])} for key in tokenizer.files
            },
        },
        "labels": labels,
        "positive": positive_label(labels, args.positive),
        "max_tokens": tokenizer.max_tokens,
        "long_text": args.long_text,
        "rating": {"fitted": args.rating} if args.rating else {},
        "precisions": ["fp32", "bf16", "int8"] if native else ["fp32"],
        "metrics": {},
        "reference": {"file": "reference.jsonl", "sha256": sha256(folder / "reference.jsonl")},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")

    verify(args.reviewrate, folder, args.output)
    if stored == torch.float16:
        print("the source's weights are fp16: nothing was rounded")
    else:
        unrounded = largest_difference(expected, transformers_probabilities(model, texts))
        print(f"largest difference between rounded and unrounded weights {unrounded:.1e}")


def replace(target: Path, new: Path) -> None:
    """Puts the new folder in the target's place; the old one goes only once the new one stands."""
    if not target.exists():
        new.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old-", dir=target.parent))
    target.rename(old / target.name)
    new.rename(target)
    shutil.rmtree(old)


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    summary, _, details = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", metavar="SRC", help="folder or hub name of a sequence classifier")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="the package folder to make")
    parser.add_argument("--name", help="the model's name (default: the output folder's)")
    parser.add_argument(
        "--long-text",
        choices=["head-tail", "head", "windows"],
        default="head-tail",
        help="how a text above the model's length is cut (default: %(default)s)",
    )
    parser.add_argument("--license", help="of the weights (default: what the source's README names)")
    parser.add_argument("--positive", metavar="LABEL", help="the positive label (default: the one called POSITIVE)")
    parser.add_argument("--readme", metavar="FILE", type=Path, help="model card (default: the source's, else a stub)")
    parser.add_argument(
        "--reference",
        metavar="FILE",
        type=Path,
        default=REFERENCE_TEXTS,
        help="jsonl of id and text for reference.jsonl (default: %(default)s)",
    )
    parser.add_argument(
        "--rating", metavar="FILE", type=thresholds, help="what calibrate.py --rating wrote"
    )
    parser.add_argument(
        "--reviewrate",
        metavar="PATH",
        default=os.environ.get("REVIEWRATE_BIN") or str(SCRIPTS.parent / "build" / "reviewrate"),
        help="the program that verifies the package (default: $REVIEWRATE_BIN, else build/reviewrate)",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing package")
    args = parser.parse_args(argv)
    args.output = Path(os.path.abspath(args.output))
    args.name = args.name or args.output.name
    if args.output.exists():
        if not args.force:
            parser.error(f"{args.output} exists; --force replaces it")
        # A slip of the hand must not replace a folder of something else.
        if not (args.output / "manifest.json").is_file():
            parser.error(f"{args.output} is not a package: it has no manifest.json")
    for file in (args.readme, args.reference):
        if file is not None and not file.is_file():
            parser.error(f"{file}: no such file")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse_arguments(argv)
    if shutil.which(args.reviewrate) is None:
        build = f"{SCRIPTS / 'setup'} builds it, --reviewrate names another"
        print(f"export: {args.reviewrate}: no such program to verify the package with: {build}", file=sys.stderr)
        return 3
    logging.set_verbosity_error()
    args.output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{args.output.name}.new-", dir=args.output.parent))
    folder.chmod(0o755)
    try:
        write_package(folder, args)
    except BaseException as error:
        shutil.rmtree(folder)
        if isinstance(error, (Refused, OSError, ValueError, RuntimeError, SafetensorError)):
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            print(f"export: {args.source}: {reason}", file=sys.stderr)
            return 3
        raise
    replace(args.output, folder)
    print(f"wrote {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
