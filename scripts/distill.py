#!/usr/bin/env python3
"""One stage of the default model's training: gold labels, soft targets of a teacher, or both, on a few CPU cores.

Differs from finetune.py where that saves time or calibrates better: no dropout inside the encoder but random input
tokens left out, the last layer for the first token only, the star rating as a second target, and the mean of the
weights over the last part of the run. Takes and leaves Hugging Face folders; started again with the same options, it
goes on from its last checkpoint.
"""

from __future__ import annotations

import project_venv  # noqa: F401

# isort: split
import argparse
import hashlib
import json
import math
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from command_line import OK, BadInput, Parser, Stopped, blaming, bounded, command, require
from encoder import Ids, batch_of, head_tail, load, pooled, predict, probability, scores
from imdb import POSITIVE, UNLABELLED, Review, read_hold_out, read_reviews, training_reviews

CHUNK = 50  # batches sorted by length at a time
NOT_SETTINGS = ("cache", "checkpoint_minutes", "stop_at_step")  # options that may change from one start to the next


def batches(lengths: Sequence[int], size: int, rng: random.Random) -> list[list[int]]:
    """One epoch: every index once, in batches of near-equal lengths, the batches in random order."""
    order = list(range(len(lengths)))
    rng.shuffle(order)
    found = []
    for start in range(0, len(order), size * CHUNK):
        part = sorted(order[start : start + size * CHUNK], key=lambda i: lengths[i])
        found += [part[at : at + size] for at in range(0, len(part), size)]
    rng.shuffle(found)
    return found


def thin(row: Ids, drop: float, rng: np.random.Generator) -> list[int]:
    """The row without a share `drop` of its tokens, chosen at random; [CLS] and [SEP] always stay."""
    body = len(row) - 2
    kept = np.sort(rng.choice(body, size=body - int(body * drop), replace=False)) + 1
    return [int(row[i]) for i in (0, *kept, -1)]


def token_ids(texts: Sequence[str], tokenizer, cache: Path | None) -> list[np.ndarray]:
    """Uncut token ids of every text, kept in the folder `cache` for the next stage where one is given."""
    digest = hashlib.sha256("\0".join(texts).encode() + json.dumps(tokenizer.get_vocab(), sort_keys=True).encode())
    path = cache / f"{digest.hexdigest()[:16]}.npz" if cache else None
    if path is not None and path.exists():
        with np.load(path) as stored:
            return np.split(stored["ids"], np.cumsum(stored["lengths"])[:-1])
    rows = []
    for start in range(0, len(texts), 1000):
        encoded = tokenizer(list(texts[start : start + 1000]), truncation=False, verbose=False)
        rows += [np.array(row, dtype=np.int32) for row in encoded["input_ids"]]
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, ids=np.concatenate(rows), lengths=[len(row) for row in rows])
    return rows


def read_teacher(path: Path) -> dict[str, float]:
    """The teacher's probability of POSITIVE by review id."""
    found = {}
    with path.open(encoding="utf-8") as lines:
        for place, line in enumerate(lines, 1):
            with blaming(f"{path}:{place}: is not a JSON object with id and p"):
                record = json.loads(line)
                found[str(record["id"])] = float(record["p"])
    return found


def soft_targets(teacher: dict[str, float], reviews: Sequence[Review]) -> list[float]:
    """The teacher's probabilities of these reviews."""
    unknown = next((review.id for review in reviews if review.id not in teacher), None)
    require(unknown is None, f"the teacher's file: has no p for the review {unknown}")
    return [teacher[review.id] for review in reviews]


def write_teacher(path: Path, p: dict[str, float]) -> None:
    """What `read_teacher` reads."""
    with path.open("w") as lines:
        for review_id, value in p.items():
            lines.write(json.dumps({"id": review_id, "p": round(float(value), 6)}) + "\n")


def targets(reviews: Sequence[Review], teacher: dict[str, float], gold: float) -> np.ndarray:
    """Each review's target probability of POSITIVE: `gold` of the label, the rest of the teacher; unlabelled, all."""
    weights = np.array([0.0 if review.label == UNLABELLED else gold for review in reviews])
    soft = np.zeros(len(reviews))
    taught = np.flatnonzero(weights < 1)
    soft[taught] = soft_targets(teacher, [reviews[int(i)] for i in taught])
    return weights * np.array([review.label == POSITIVE for review in reviews]) + (1 - weights) * soft


class Mean:
    """A running mean of a model's weights."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.count = 0
        self.state = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}

    @torch.no_grad()
    def add(self, model: torch.nn.Module) -> None:
        self.count += 1
        for name, value in model.state_dict().items():
            self.state[name] += (value - self.state[name]) / self.count


def optimizer_for(modules: Sequence[torch.nn.Module], decay: float) -> torch.optim.AdamW:
    """Fused AdamW; biases and layer norms are not decayed, as in transformers' Trainer."""
    named = [item for module in modules for item in module.named_parameters()]
    plain = [p for name, p in named if name.endswith("bias") or "norm" in name.lower()]
    plain_ids = set(map(id, plain))
    rest = [p for _, p in named if id(p) not in plain_ids]
    groups = [{"params": rest, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, fused=True)


def rate_at(step: int, steps: int, peak: float, floor: float, warmup: float = 0.06) -> float:
    """Linear rise over the first 6 % of the steps, then linear fall to `floor` times the peak."""
    rise = max(1, int(steps * warmup))
    if step < rise:
        return peak * (step + 1) / rise
    return peak * (1 - (1 - floor) * (step - rise) / max(1, steps - rise))


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser("distill", __doc__, argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--init", required=True, help="minilm, or a DistilBERT classifier's folder or hub name")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the result and the checkpoint")
    parser.add_argument("--data", nargs="+", required=True, help="sources of reviews, as finetune.py takes them")
    parser.add_argument("--split", choices=("train", "unsup", "both"), default="train", help="what to learn from")
    parser.add_argument("--hold-out", type=Path, required=True, help="file of held-out train ids, one a line")
    parser.add_argument(
        "--teacher",
        type=Path,
        help="jsonl with id and p, the teacher's probability of POSITIVE; "
        "of the unlabelled reviews, only those named there are used",
    )
    parser.add_argument(
        "--gold", type=bounded(float, 0, 1), default=1.0, help="the label's share of the target, the rest the teacher's"
    )
    parser.add_argument("--tokens", type=bounded(int, 3), default=256, help="longest input, cut head-tail")
    parser.add_argument("--epochs", type=bounded(float, 0), default=2.0)
    parser.add_argument("--rate", type=bounded(float, 0, 1), default=1e-4, help="peak learning rate")
    parser.add_argument(
        "--floor", type=bounded(float, 0, 1), default=0.1, help="learning rate at the end, as a share of the peak"
    )
    parser.add_argument("--batch", type=bounded(int, 1), default=16)
    parser.add_argument(
        "--drop", type=bounded(float, 0, 1), default=0.1, help="share of input tokens left out at random"
    )
    parser.add_argument(
        "--stars", type=bounded(float, 0), default=0.2, help="weight of the star rating as a second target"
    )
    parser.add_argument(
        "--average", type=bounded(float, 0, 1), default=1 / 3, help="last part of the run whose weights are averaged"
    )
    parser.add_argument("--decay", type=bounded(float, 0, 1), default=0.01, help="weight decay")
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True, help="bf16 multiplications")
    parser.add_argument("--seed", type=bounded(int, 0), default=1)
    parser.add_argument("--cache", type=Path, help="folder that keeps token ids from one stage to the next")
    parser.add_argument("--checkpoint-minutes", type=bounded(float, 0), default=10.0)
    parser.add_argument(
        "--stop-at-step", type=bounded(int, 0), default=0, help="write a checkpoint and leave there; 0 runs through"
    )
    return parser.parse_args(argv)


@dataclass
class Examples:
    """What a stage learns from, one entry for each review."""

    rows: list[Ids]  # cut
    aims: torch.Tensor  # target probability of POSITIVE
    stars: torch.Tensor  # -1 to 1; nan where the source has none

    def __len__(self) -> int:
        return len(self.rows)


class Stage:
    """The model in training, with everything that a checkpoint has to hold."""

    def __init__(self, model: Any, examples: Examples, args: argparse.Namespace) -> None:
        self.model, self.examples, self.args = model, examples, args
        self.settings = {key: str(value) for key, value in vars(args).items() if key not in NOT_SETTINGS}
        self.star_head = torch.nn.Linear(model.config.dim, 1)
        torch.nn.init.zeros_(self.star_head.weight)
        self.optimizer = optimizer_for([model, self.star_head], args.decay)
        self.mean = Mean(model)
        self.step = 0
        self.steps_per_epoch = math.ceil(len(examples) / args.batch)
        self.steps = int(self.steps_per_epoch * args.epochs)

    def save(self, path: Path) -> None:
        """Writes beside the path first, so that an interruption leaves the old file or the new one."""
        part = path.with_suffix(".part")
        state = {
            "settings": self.settings,
            "step": self.step,
            "model": self.model.state_dict(),
            "star_head": self.star_head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "mean_count": self.mean.count,
            "mean": self.mean.state,
        }
        torch.save(state, part)
        os.replace(part, path)

    def restore(self, path: Path) -> None:
        """Goes back to where `save` was called, in a run with the same settings."""
        with blaming(f"{path}: is no checkpoint that can be read"):
            state = torch.load(path, weights_only=True)
            settings = state["settings"]
        require(
            settings == self.settings, f"{path}: comes from a run with other options: remove it, or give the same ones"
        )
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.star_head.load_state_dict(state["star_head"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.mean.count, self.mean.state = state["mean_count"], state["mean"]

    def batches(self) -> Iterator[list[int]]:
        """The batches from the present step to the last."""
        lengths = [len(row) for row in self.examples.rows]
        while self.step < self.steps:
            epoch, done = divmod(self.step, self.steps_per_epoch)
            order = batches(lengths, self.args.batch, random.Random(self.args.seed * 1000 + epoch))
            yield from order[done : done + self.steps - self.step]

    def learn(self, batch: list[int]) -> tuple[float, int]:
        """One step; returns the loss of the label and the tokens read."""
        args = self.args
        noise = np.random.default_rng((args.seed, self.step))
        ids, mask = batch_of([thin(self.examples.rows[i], args.drop, noise) for i in batch])
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.step, self.steps, args.rate, args.floor)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            features = pooled(self.model, ids, mask)
        features = features.float()
        aims, stars = self.examples.aims[batch], self.examples.stars[batch]
        loss = F.cross_entropy(self.model.classifier(features), torch.stack([1 - aims, aims], 1))
        known = ~stars.isnan()
        total = loss
        if args.stars and bool(known.any()):
            total = loss + args.stars * F.mse_loss(self.star_head(features).squeeze(1)[known], stars[known])
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.step > int(self.steps * (1 - args.average)) and (self.step % 5 == 0 or self.step == self.steps):
            self.mean.add(self.model)
        return loss.item(), ids.numel() if mask is None else int(mask.sum())


class Progress:
    """One line every 20 steps: smoothed loss, speed, time left."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.first, self.started = stage, stage.step, time.monotonic()
        self.tokens, self.loss = 0, math.nan

    def add(self, loss: float, tokens: int) -> None:
        self.tokens += tokens
        self.loss = loss if math.isnan(self.loss) else 0.99 * self.loss + 0.01 * loss
        step, steps = self.stage.step, self.stage.steps
        if step % 20 and step != steps:
            return
        seconds = time.monotonic() - self.started
        left = seconds / (step - self.first) * (steps - step)
        speed = self.tokens / seconds
        print(f"step {step}/{steps} loss {self.loss:.4f} {speed:.0f} tokens/s {left / 60:.0f} min left", flush=True)


def train(stage: Stage, checkpoint: Path, judge: Callable[[str], object]) -> None:
    """From the present step to the last, with a checkpoint every so often and when told to stop."""
    status: int | None = None  # set: told to stop, by a signal or at a step

    def stop(signal_number: int, _: object) -> None:
        nonlocal status
        status = 128 + signal_number

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    stage.model.train()
    progress, kept = Progress(stage), time.monotonic()
    for batch in stage.batches():
        progress.add(*stage.learn(batch))
        if stage.step == stage.args.stop_at_step:
            status = OK
        if status is not None or time.monotonic() - kept > 60 * stage.args.checkpoint_minutes:
            stage.save(checkpoint)
            kept = time.monotonic()
        if status is not None:
            raise Stopped(f"stopped at step {stage.step}; the same command goes on from there", status)
        if stage.step % stage.steps_per_epoch == 0:
            judge(f"epoch {stage.step // stage.steps_per_epoch}")


@command("distill")
def main(argv: Sequence[str] | None = None) -> None:
    args = arguments(argv)
    args.output.mkdir(parents=True, exist_ok=True)
    checkpoint, result = args.output / "checkpoint.pt", args.output / "result.json"
    if result.exists() and not checkpoint.exists():
        raise BadInput(f"{args.output}: holds a finished run: remove it, or name another folder")
    torch.manual_seed(args.seed)
    splits = ("train", "test") if args.split == "train" else ("train", "test", "unsup")
    everything = [review for source in args.data for review in read_reviews(source, splits)]
    held_out = read_hold_out(args.hold_out, everything)
    judged = [review for review in everything if review.id in held_out]
    teacher = read_teacher(args.teacher) if args.teacher else {}
    learnt = [
        review
        for review in training_reviews(everything, held_out)
        if (review.id in teacher if review.split == "unsup" else args.split != "unsup")
    ]
    require(bool(learnt), f"{args.data[0]}: no review of the split {args.split} is left to learn from")
    model, tokenizer = load(args.init, dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0)
    examples = Examples(
        [head_tail(row, args.tokens) for row in token_ids([r.text for r in learnt], tokenizer, args.cache)],
        torch.tensor(targets(learnt, teacher, args.gold), dtype=torch.float32),
        torch.tensor([(review.stars - 5.5) / 4.5 if review.stars else math.nan for review in learnt]),
    )
    stage = Stage(model, examples, args)
    unlabelled = sum(review.label == UNLABELLED for review in learnt)
    print(f"{len(learnt) - unlabelled} labelled, {unlabelled} unlabelled, {len(judged)} held out, {stage.steps} steps")
    judged_rows = token_ids([review.text for review in judged], tokenizer, args.cache)
    judged_labels = np.array([review.label for review in judged])

    def judge(name: str) -> dict[str, float]:
        found = scores(judged_labels, probability(predict(model, judged_rows, bf16=args.bf16)))
        print(f"{name}: " + " ".join(f"{key} {value:.4f}" for key, value in found.items()), flush=True)
        return found

    if checkpoint.exists():
        stage.restore(checkpoint)
        print(f"going on from step {stage.step}", flush=True)
    train(stage, checkpoint, judge)
    found: dict[str, Any] = {"settings": stage.settings, "last": judge("last weights")}
    if stage.mean.count:
        last = {name: value.clone() for name, value in model.state_dict().items()}
        model.load_state_dict(stage.mean.state)
        found["mean"] = judge("mean weights")
        if found["mean"]["log_loss"] > found["last"]["log_loss"]:
            model.load_state_dict(last)
    model.save_pretrained(args.output)
    tokenizer.save_pretrained(args.output)
    result.write_text(json.dumps(found, indent=2) + "\n")
    checkpoint.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
