#!/usr/bin/env python3
"""Makes a model package, a folder that reviewrate loads, from a Hugging Face sequence classifier.

    scripts/export.py SRC -o models/NAME

SRC is a folder or a name on the Hugging Face hub, with a WordPiece tokenizer as BERT's or a SentencePiece one (unigram)
as ALBERT's and XLM-RoBERTa's. A DistilBERT becomes a native model, which is faster; another encoder (BERT, ALBERT,
XLM-RoBERTa and more) is traced as it is. The weights are rounded to fp16, unless they are too large for it in a traced
model; reference.jsonl holds the probabilities that transformers itself gives with the rounded weights, and `reviewrate
verify` compares the finished package with them before it is put in its place. What cannot be exported exactly is
refused.

Exit codes: 0 done; 2 usage; 3 the source cannot be read or exported, the package not written, or it does not give what
transformers gives.
"""

from __future__ import annotations

import project_venv  # noqa: F401

# isort: split
import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.utils import logging

import export_labels
import export_model
from command_line import Parser, blaming, command, read_text, require
from export_reference import (
    encode,
    largest_difference,
    read_texts,
    reference_records,
    schedule_probabilities,
    transformers_probabilities,
    verify,
)
from export_tokenizer import Tokenizer, load_tokenizer

SCRIPTS = Path(__file__).resolve().parent
REFERENCE_TEXTS = SCRIPTS / "reference_texts.jsonl"
FILE_NAMES = {"vocab": "vocab.txt", "model": "sentencepiece.model", "charsmap": "charsmap.bin"}


@dataclass
class Source:
    """What is exported: a Hugging Face folder, read and found to be something that the program can run."""

    model: PreTrainedModel
    tokenizer: Tokenizer
    labels: list[str]
    positive: str | None
    values: list[float] | None  # the rating that each label stands for
    card: str  # empty: none
    license: str


def note(message: str) -> None:
    print(f"export: {message}", file=sys.stderr)


def rising(path: str, key: str, count: int, lowest: float) -> list[float]:
    """The rising probabilities that scripts/calibrate.py wrote to a file."""
    try:
        values = json.loads(Path(path).read_text())[key]
        held = len(values) == count and all(lowest <= a <= b <= 1 for a, b in zip(values, values[1:], strict=False))
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise argparse.ArgumentTypeError(f"{path}: cannot be read: {e}") from e
    if not held:
        raise argparse.ArgumentTypeError(f"{path}: {key} must be {count} rising probabilities from {lowest:g}")
    return values


def thresholds(path: str) -> list[float]:
    return rising(path, "thresholds", 9, 0)


def percentiles(path: str) -> list[float]:
    return rising(path, "percentiles", 50, 0.5)


def schedule(text: str) -> tuple[str, list[float]]:
    """The type of --schedule: a name and falling shares."""
    name, _, shares = text.partition("=")
    if not re.fullmatch("[a-z0-9][a-z0-9-]*", name) or name == "full":
        raise argparse.ArgumentTypeError(
            f"{text!r}: its name must be of lower-case letters, digits and -, and not full"
        )
    try:
        keep = [float(share) for share in shares.split(",")]
    except ValueError:
        keep = []
    if not keep or not all(0 < share <= 1 for share in keep) or keep != sorted(keep, reverse=True):
        raise argparse.ArgumentTypeError(
            f"{text!r}: its shares must be above 0, up to 1, and not rise: {name}=0.9,0.7,..."
        )
    return name, keep


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


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


def read_source(args: argparse.Namespace) -> Source:
    folder = export_model.fetch(args.source)
    model = export_model.load_model(folder)
    tokenizer = load_tokenizer(folder, model.config, export_model.max_positions(model))
    labels = export_model.label_names(model)
    card_file = args.readme or folder / "README.md"
    card = read_text(card_file) if card_file.is_file() else ""
    license_name = args.license or card_license(card) or "unknown"
    require(not args.rating or len(labels) == 2, "--rating: its thresholds are for models of two labels")
    require(not args.confidence or len(labels) == 2, "--confidence: its percentiles are for models of two labels")
    require(not args.schedule or export_model.is_native(model), "--schedule: only a DistilBERT can drop tokens")
    for name, keep in args.schedule.items():
        layers = model.config.n_layers
        require(
            len(keep) == layers - 1,
            f"--schedule {name}: has {len(keep)} shares, not one for each of the {layers} layers but the last",
        )
    return Source(
        model,
        tokenizer,
        labels,
        export_labels.positive_label(labels, args.positive),
        export_labels.label_values(labels, args.label_values),
        card,
        license_name,
    )


def make_manifest(folder: Path, args: argparse.Namespace, source: Source) -> dict[str, Any]:
    """What the package says of itself; models/README.md explains it."""
    native = export_model.is_native(source.model)
    files = source.tokenizer.files
    return {
        "format": 1,
        "name": args.name,
        "license": source.license,
        "model": {
            "file": "model.pt",
            "sha256": sha256(folder / "model.pt"),
            "interface": "packed" if native else "padded",  # the manifest's words for a native and a traced model
            "torch": torch.__version__.partition("+")[0],
        },
        "tokenizer": {
            **source.tokenizer.settings,
            "files": {key: {"file": FILE_NAMES[key], "sha256": sha256(folder / FILE_NAMES[key])} for key in files},
        },
        "labels": source.labels,
        "positive": source.positive,
        "max_tokens": source.tokenizer.max_tokens,
        "long_text": args.long_text,
        "rating": {
            **({"fitted": args.rating} if args.rating else {}),
            **({"values": source.values} if source.values else {}),
        },
        **({"confidence_percentiles": args.confidence} if args.confidence else {}),
        "precisions": ["fp32", "bf16", "int8"] if native else ["fp32"],
        **(
            {"schedules": {name: {"keep": keep, "metrics": {}} for name, keep in args.schedule.items()}}
            if args.schedule
            else {}
        ),
        "metrics": {},
        "reference": {"file": "reference.jsonl", "sha256": sha256(folder / "reference.jsonl")},
    }


def write_package(
    folder: Path,
    args: argparse.Namespace,
    source: Source,
    module: torch.jit.ScriptModule,
    reference: list[dict[str, Any]],
) -> None:
    export_model.save_module(module, folder / "model.pt")
    for key, content in source.tokenizer.files.items():
        (folder / FILE_NAMES[key]).write_bytes(content)
    card = source.card or generated_card(args.name, source.license, source.labels, args.long_text)
    (folder / "README.md").write_text(card)
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in reference)
    (folder / "reference.jsonl").write_text("".join(lines))
    manifest = make_manifest(folder, args, source)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which takes the target's place when all is well; else nothing is left of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.new-", dir=target.parent))
    try:
        folder.chmod(0o755)
        yield folder
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old-", dir=target.parent))
            target.rename(old / target.name)  # the old one goes only once the new one stands
            folder.rename(target)
            shutil.rmtree(old)
        else:
            folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser("export", __doc__)
    parser.add_argument("source", metavar="SRC", help="folder or hub name of a sequence classifier")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="the package folder to make")
    parser.add_argument("--name", help="the model's name (default: the output folder's)")
    parser.add_argument(
        "--long-text",
        choices=["head", "head-tail", "windows"],
        default="head",
        help="how a text above the model's length is cut (default: %(default)s)",
    )
    parser.add_argument("--license", help="of the weights (default: what the source's README names)")
    parser.add_argument("--positive", metavar="LABEL", help="the positive label (default: the one called POSITIVE)")
    parser.add_argument(
        "--label-values",
        metavar="N,N,...",
        type=export_labels.parse_values,
        help="more than two labels: the value of each, in the order of the logits; the lowest is rating 1, the highest "
        "10 (default: by names such as negative, neutral, positive or 1 star to 5 stars)",
    )
    parser.add_argument("--readme", metavar="FILE", type=Path, help="model card (default: the source's, else a stub)")
    parser.add_argument(
        "--reference",
        metavar="FILE",
        type=Path,
        default=REFERENCE_TEXTS,
        help="jsonl of id and text for reference.jsonl (default: %(default)s)",
    )
    parser.add_argument("--rating", metavar="FILE", type=thresholds, help="what calibrate.py --rating wrote")
    parser.add_argument("--confidence", metavar="FILE", type=percentiles, help="what calibrate.py --confidence wrote")
    parser.add_argument(
        "--schedule",
        metavar="NAME=SHARE,SHARE,...",
        type=schedule,
        action="append",
        default=[],
        help="a schedule for --effort NAME: the share of a long text's tokens that goes on after each layer but the "
        "last, such as fast=0.9,0.7,0.5,0.4,0.3 of 6 layers; may repeat. The weights should be trained for it",
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
    if len(dict(args.schedule)) < len(args.schedule):
        parser.error("--schedule: two of the same name")
    args.schedule = dict(args.schedule)
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


@command("export")
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    logging.set_verbosity_error()
    require(
        shutil.which(args.reviewrate) is not None,
        f"{args.reviewrate}: no such program to verify the package with: {SCRIPTS / 'setup'} builds it",
    )
    lines = read_texts(args.reference)
    with blaming(args.source):
        source = read_source(args)
        model = export_model.package_weights(source.model)
        tokens, windows = encode([line["text"] for line in lines], source.tokenizer, args.long_text)
        example = source.tokenizer.fast("an example", add_special_tokens=False).input_ids
        module = export_model.compile_module(model, [source.tokenizer.begin, *example, source.tokenizer.end])
        probabilities = transformers_probabilities(model, windows)
        schedules = {name: schedule_probabilities(model, windows, keep) for name, keep in args.schedule.items()}
        if export_model.same_weights(model, source.model):
            print("the source's weights are fp16 already: nothing was rounded")
        else:
            difference = largest_difference(probabilities, transformers_probabilities(source.model, windows))
            print(f"largest difference of a probability that rounding the weights to fp16 makes: {difference:.1e}")
    with new_folder(args.output) as folder:
        write_package(
            folder,
            args,
            source,
            module,
            reference_records(lines, tokens, args.long_text, probabilities, schedules, source.labels),
        )
        verify(args.reviewrate, folder, args.output)
    print(f"wrote {args.output}")
    for line in export_labels.missing(source.labels, source.positive, source.values):
        note(line)
    if source.license == "unknown":
        note("the license is not known; give it with --license")
    if not export_model.is_native(model) and not export_model.fits_fp16(model):
        note("weights too large for fp16: they stay in fp32")


if __name__ == "__main__":
    sys.exit(main())
