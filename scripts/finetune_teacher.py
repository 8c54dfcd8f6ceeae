#!/usr/bin/env python3
"""Fine-tunes a base-sized teacher (MPNet) on gold labels by LoRA (Hu et al., ICLR 2022), over several sittings.

The encoder's weights stay; low-rank adapters and a linear layer on the mean of the last hidden states are learnt. After
a warm-up the rate is constant, and what is judged and stored is the exponential mean of the weights: the run may be
stopped at any step. It learns from the train half alone, without the blocks of neighbours (reviews of one film stand
together) that are held out. SIGTERM or Ctrl-C writes a checkpoint and ends; --resume goes on from there.

examples:
  finetune_teacher.py --base all-mpnet-base-v2 --data aclImdb -o run                    begins
  finetune_teacher.py --base all-mpnet-base-v2 --data aclImdb -o run --resume           goes on from its checkpoint
  finetune_teacher.py --base all-mpnet-base-v2 --data aclImdb -o run --store teacher    keeps what is learnt so far
  finetune_teacher.py --base all-mpnet-base-v2 --data aclImdb -o new --adapter teacher  goes on on another machine
"""

from __future__ import annotations

import project_venv  # noqa: F401

# isort: split
import argparse
import contextlib
import json
import math
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, MPNetModel

from command_line import BadInput, Parser, Stopped, blaming, bounded, command, require
from distill import batches, token_ids
from encoder import Ids, batch_of, head_tail, probability, scores
from imdb import Review, hold_out, read_reviews, training_reviews

BLOCK = 250  # neighbours, of each class, that are held out together
HEAD_FACTOR = 5.0  # the classifier's rate as a multiple of the adapters': it starts from nothing
# Options that may change from one start to the next.
FREE = ("base", "data", "output", "adapter", "resume", "store", "epochs", "judged", "judge_every", "checkpoint_minutes")
Judge = Callable[[int], object]  # judges so many of the held-out reviews


class Teacher(torch.nn.Module):
    """An MPNet encoder with adapters in its upper `layers` layers, and a classifier on the mean of its tokens."""

    def __init__(self, base: Any, layers: int, rank: int, bf16: bool) -> None:
        super().__init__()
        depth = base.config.num_hidden_layers
        if bf16:  # once, instead of in each step
            base.to(torch.bfloat16)
        config = LoraConfig(
            r=rank,
            lora_alpha=2 * rank,
            target_modules=["q", "k", "v", "o", "intermediate.dense", "output.dense"],
            layers_to_transform=list(range(depth - layers, depth)),
            layers_pattern="layer",
        )
        self.encoder = inject_adapter_in_model(config, base)
        self.head = torch.nn.Linear(base.config.hidden_size, 2)
        self.bf16 = bf16
        for value in self.learnt().values():
            value.data = value.data.float()
        for module in self.encoder.modules():
            if isinstance(module, LoraLayer):
                module.cast_input_dtype_enabled = False  # autocast does it, on the smaller side

    def learnt(self) -> dict[str, torch.nn.Parameter]:
        """The adapters and the classifier, by name."""
        return {name: value for name, value in self.named_parameters() if value.requires_grad}

    def forward(self, ids: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """The two logits of each row: [batch, 2], fp32."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        if mask is None:
            return self.head(hidden.mean(1))
        weight = mask[..., None].float()
        return self.head((hidden * weight).sum(1) / weight.sum(1))

    @torch.inference_mode()
    def predict(self, rows: Sequence[Ids]) -> np.ndarray:
        """The two logits of each row of token ids: [rows, 2], float64."""
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        logits = np.zeros((len(rows), 2))
        for start in range(0, len(order), 16):
            part = order[start : start + 16]
            logits[part] = self(*batch_of([rows[i] for i in part])).double().numpy()
        return logits


class Run:
    """The training with everything that a checkpoint has to hold; order and start follow from the seed alone."""

    def __init__(self, teacher: Teacher, args: argparse.Namespace) -> None:
        self.teacher, self.args, self.step = teacher, args, 0
        self.settings = {key: value for key, value in vars(args).items() if key not in FREE}
        self.learnt = teacher.learnt()
        self.mean = {name: value.detach().clone() for name, value in self.learnt.items()}
        head = list(teacher.head.parameters())
        adapters = [value for name, value in self.learnt.items() if not name.startswith("head.")]
        groups = [{"params": adapters, "factor": 1.0}, {"params": head, "factor": HEAD_FACTOR}]
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, weight_decay=0.0)
        self.since = 0  # steps of this optimizer

    def save(self, path: Path) -> None:
        """Writes beside the path first, so that an interruption leaves the old file or the new one."""
        part = path.with_suffix(".part")
        state = {"settings": self.settings, "step": self.step, "since": self.since, "mean": self.mean}
        state["learnt"] = {name: value.detach() for name, value in self.learnt.items()}
        torch.save(state | {"optimizer": self.optimizer.state_dict()}, part)
        os.replace(part, path)

    def restore(self, path: Path) -> None:
        """Goes back to where `save` was called, in a run with the same settings."""
        with blaming(f"{path}: is no checkpoint that can be read"):
            state = torch.load(path, weights_only=True)
            other = [key for key in self.settings if state["settings"].get(key) != self.settings[key]]
        require(not other, f"{path}: the run had another {', '.join(other)}: give the same options")
        self.put(state["learnt"])
        self.mean, self.step, self.since = state["mean"], state["step"], state["since"]
        self.optimizer.load_state_dict(state["optimizer"])

    @torch.no_grad()
    def put(self, values: dict[str, torch.Tensor]) -> None:
        """Sets the learnt weights."""
        for name, value in self.learnt.items():
            value.copy_(values[name])

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """The mean of the weights in the place of the last ones, rounded to fp16 as it is stored."""
        last = {name: value.detach().clone() for name, value in self.learnt.items()}
        self.put({name: value.half() for name, value in self.mean.items()})
        yield
        self.put(last)

    def learn(self, rows: Sequence[Ids], labels: torch.Tensor) -> float:
        """One step; returns its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.args.rate * group["factor"] * min(1.0, (self.since + 1) / self.args.warmup)
        loss = F.cross_entropy(self.teacher(*batch_of(rows)), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.learnt.values(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step, self.since = self.step + 1, self.since + 1
        keep = min(1 - 1 / self.args.horizon, (self.since + 1) / (self.since + 10))
        with torch.no_grad():
            for name, value in self.learnt.items():
                self.mean[name].lerp_(value, 1 - keep)
        return loss.item()


class Log:
    """A line a minute: the loss since the last one, tokens a second, and tokens a second of this process's CPU time."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.wall, self.cpu, self.tokens = time.monotonic(), time.process_time(), 0
        self.losses: list[float] = []

    def add(self, step: int, steps: int, loss: float, tokens: int) -> None:
        self.losses.append(loss)
        self.tokens += tokens
        wall, cpu = time.monotonic() - self.wall, time.process_time() - self.cpu
        if wall >= 60 or step == steps:
            mean = sum(self.losses) / len(self.losses)
            say(f"step {step}/{steps} loss {mean:.4f} {self.tokens / wall:.0f} tokens/s {self.tokens / cpu:.0f} by CPU")
            self.start()


class Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Defaults after each option, and the examples as they are."""


def say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser("finetune_teacher", __doc__, Help)
    add = parser.add_argument
    add("--base", type=Path, required=True, help="folder of the MPNet encoder and its tokenizer (all-mpnet-base-v2)")
    add("--data", required=True, help="aclImdb folder, .tar.gz, .jsonl or .jsonl.xz; train is used alone")
    add("-o", "--output", type=Path, required=True, help="folder of the checkpoint and the cached token ids")
    add("--resume", action="store_true", help="go on from the checkpoint in the output folder")
    add("--adapter", type=Path, help="start from the adapter in this folder, with a fresh optimizer")
    add(
        "--store", type=Path, help="learn nothing: judge the checkpoint by all held-out reviews, write its adapter here"
    )
    add("--layers", type=bounded(int, 1), default=6, help="upper layers that get adapters")
    add("--rank", type=bounded(int, 1), default=8, help="rank of the adapters")
    add("--tokens", type=bounded(int, 1), default=256, help="longest input, cut head-tail")
    add("--batch", type=bounded(int, 1), default=8, help="reviews a step")
    add("--rate", type=bounded(float, 0), default=3e-4, help="learning rate after the warm-up")
    add("--warmup", type=bounded(int, 1), default=100, help="steps until the rate is reached")
    add("--horizon", type=bounded(int, 1), default=200, help="steps over which the mean of the weights looks back")
    add("--epochs", type=bounded(float, 0), default=3.0, help="passes over the train reviews, all sittings together")
    add(
        "--hold-out",
        type=bounded(int, 1),
        default=2500,
        metavar="N",
        help=f"held-out reviews, in blocks of {BLOCK} ids a class",
    )
    add("--judged", type=bounded(int, 1), default=250, help="held-out reviews that are judged during the run")
    add("--judge-every", type=bounded(int, 1), default=400, metavar="STEPS", help="at most a twentieth of the time")
    add("--bf16", action=argparse.BooleanOptionalAction, default=has_bf16(), help="multiply in bf16")
    add("--checkpoint-minutes", type=bounded(float, 0), default=10.0)
    add("--seed", type=bounded(int, 0), default=1)
    return parser.parse_args(argv)


def has_bf16() -> bool:
    """Whether bf16 multiplications are faster than fp32 on this CPU."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def halves(args: argparse.Namespace) -> tuple[list[Review], list[Review]]:
    """The train reviews to learn from and the held-out ones, shuffled, so that a first part of them is a sample."""
    reviews = read_reviews(args.data, ("train",))
    ids = hold_out(reviews, args.hold_out, BLOCK, args.seed)
    judged = [review for review in reviews if review.id in ids]
    random.Random(args.seed).shuffle(judged)
    learnt = training_reviews(reviews, ids)
    enough = bool(learnt) and len({review.label for review in judged[: args.judged]}) == 2
    require(enough, f"{args.data}: {len(reviews)} train reviews are too few for a hold-out of {args.hold_out}")
    return learnt, judged


def load_base(args: argparse.Namespace) -> tuple[Teacher, Any]:
    """The encoder with new adapters, and its tokenizer."""
    torch.manual_seed(args.seed)
    require((args.base / "config.json").is_file(), f"{args.base}: no config.json: name the folder of an MPNet encoder")
    with blaming(f"{args.base}: no MPNet encoder that can be loaded"):
        base = MPNetModel.from_pretrained(args.base, add_pooling_layer=False)
        tokenizer = AutoTokenizer.from_pretrained(args.base)
    depth = base.config.num_hidden_layers
    require(args.layers <= depth, f"{args.base}: has {depth} layers, --layers asks for {args.layers}")
    return Teacher(base, args.layers, args.rank, args.bf16).eval(), tokenizer  # eval: no dropout, in training neither


def start(run: Run, args: argparse.Namespace, checkpoint: Path) -> None:
    """Puts the run where the options say: the beginning, a checkpoint, or a stored adapter."""
    if args.resume or args.store:
        require(checkpoint.exists(), f"{checkpoint}: no checkpoint to go on from")
        run.restore(checkpoint)
    elif checkpoint.exists():
        raise BadInput(f"{checkpoint}: is there already: go on with --resume, or name another folder")
    elif args.adapter:
        with blaming(f"{args.adapter}: no adapter for these options"):
            stored = load_file(args.adapter / "adapter.safetensors")
            run.step = json.loads((args.adapter / "adapter.json").read_text())["step"]
            run.put(stored)
        run.mean = {name: value.detach().clone() for name, value in run.learnt.items()}


def train(run: Run, rows: list[Ids], labels: torch.Tensor, checkpoint: Path, judge: Judge) -> None:
    """From the present step to the last, with a checkpoint every so often and when told to stop."""
    args = run.args
    stopped_by = 0

    def stop(signal_number: int, _: object) -> None:
        nonlocal stopped_by
        stopped_by = signal_number

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    lengths = [len(row) for row in rows]
    steps_per_epoch = math.ceil(len(rows) / args.batch)
    steps, log, kept = int(steps_per_epoch * args.epochs), Log(), time.monotonic()
    while run.step < steps and not stopped_by:
        epoch, done = divmod(run.step, steps_per_epoch)
        for batch in batches(lengths, args.batch, random.Random(args.seed * 1000 + epoch))[done:]:
            loss = run.learn([rows[i] for i in batch], labels[batch])
            log.add(run.step, steps, loss, sum(lengths[i] for i in batch))
            if stopped_by or run.step == steps:
                break
            if time.monotonic() - kept > 60 * args.checkpoint_minutes:
                run.save(checkpoint)
                kept = time.monotonic()
            if run.step % args.judge_every == 0:
                judge(args.judged)
                log.start()
    run.save(checkpoint)
    if stopped_by:
        raise Stopped(f"stopped at step {run.step}; --resume goes on from there", 128 + stopped_by)
    say(f"ended at step {run.step}")


@command("finetune_teacher")
def main(argv: Sequence[str] | None = None) -> None:
    args = arguments(argv)
    learnt, judged = halves(args)
    teacher, tokenizer = load_base(args)
    run, checkpoint = Run(teacher, args), args.output / "checkpoint.pt"
    start(run, args, checkpoint)
    args.output.mkdir(parents=True, exist_ok=True)

    def rows_of(reviews: list[Review]) -> list[Ids]:
        return [head_tail(row, args.tokens) for row in token_ids([r.text for r in reviews], tokenizer, args.output)]

    judged_rows, judged_labels = rows_of(judged), np.array([review.label for review in judged])

    def judge(count: int) -> dict[str, float]:
        with run.averaged():
            found = scores(judged_labels[:count], probability(teacher.predict(judged_rows[:count])))
        text = " ".join(f"{key} {value:.4f}" for key, value in found.items())
        say(f"step {run.step}, mean weights, {min(count, len(judged))} held out: {text}")
        return found

    if args.store is None:
        say(f"{len(learnt)} train reviews, {len(judged)} held out, from step {run.step}, bf16 {args.bf16}")
        train(run, rows_of(learnt), torch.tensor([review.label for review in learnt]), checkpoint, judge)
        return
    args.store.mkdir(parents=True, exist_ok=True)
    state = {"step": run.step, "settings": run.settings, "held_out": len(judged), "scores": judge(len(judged))}
    save_file({name: value.half() for name, value in run.mean.items()}, args.store / "adapter.safetensors")
    (args.store / "adapter.json").write_text(json.dumps(state, indent=2) + "\n")
    (args.store / "hold_out.txt").write_text("".join(f"{review_id}\n" for review_id in sorted(r.id for r in judged)))


if __name__ == "__main__":
    sys.exit(main())
