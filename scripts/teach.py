#!/usr/bin/env python3
"""Trains the default model on one GPU in about ten minutes: base-sized teachers, their soft targets, the student.

1. `teachers` MPNet encoders learn the labels and stars of the train half, each without one fold of neighbouring
   reviews; half of what they see are whole reviews, half are crops of one to several sentences with the label of their
   review, so that what they say of a crop is how likely its review is positive.
2. Each review and crop is labelled by teachers that have not learnt from it (unlabelled reviews: by all).
3. The student, a 6-layer DistilBERT, learns these answers, of whole reviews and of crops in equal number. In the last
   part of the run it also learns to answer with tokens dropped between layers (random and fixed schedules; the
   sandwich rule of Yu and Huang, ICCV 2019, as in the Length-Adaptive Transformer, Kim and Cho, ACL 2021), its own
   full answer being half of the target.

Rates follow the clock, so that each stage ends when its seconds do. Input is what teach_data.py writes; it holds
no review of the test half. Nothing but torch, numpy and safetensors is needed, so that a machine that is lent for its
GPU need not have more.
"""

from __future__ import annotations

import project_venv  # noqa: F401

# isort: split
import argparse
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from command_line import Parser, blaming, bounded, command, empty_folder, require
from teach_corpus import HELD_OUT, LIMIT, Corpus, Pieces, by_length, endless
from teach_models import MPNet, Student, read_folder

Weights = tuple[dict[str, Tensor], int]  # what read_folder gives
SCHEDULES = {"fast": (0.9, 0.7, 0.5, 0.4, 0.3), "fastest": (0.8, 0.5, 0.3, 0.2, 0.1)}


def say(*text: object) -> None:
    print(time.strftime("%H:%M:%S"), *text, flush=True)


def optimizer_for(model: nn.Module, decay: float) -> torch.optim.AdamW:
    """AdamW; biases and layer norms are not decayed."""
    plain = [p for p in model.parameters() if p.requires_grad and p.dim() < 2]
    rest = [p for p in model.parameters() if p.requires_grad and p.dim() >= 2]
    groups = [{"params": rest, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, fused=True, betas=(0.9, 0.98))


class Clock:
    """How far a stage has come, by the seconds or the steps that it may take, and the learning rate there."""

    def __init__(self, seconds: float, steps: int, peak: float, floor: float = 0.02, warmup: float = 0.05) -> None:
        self.seconds, self.steps, self.peak, self.floor, self.warmup = seconds, steps, peak, floor, warmup
        self.began, self.step = time.monotonic(), 0

    def done(self) -> float:
        if self.steps:
            return self.step / self.steps
        return (time.monotonic() - self.began) / self.seconds

    def set_rate(self, optimizer: torch.optim.Optimizer) -> None:
        done = self.done()
        rise = (
            done / self.warmup
            if done < self.warmup
            else 1 - (1 - self.floor) * (done - self.warmup) / (1 - self.warmup)
        )
        for group in optimizer.param_groups:
            group["lr"] = self.peak * max(rise, 1e-3)


def take_step(model: nn.Module, optimizer: torch.optim.Optimizer, clock: Clock) -> None:
    """Changes the weights by the gradients that there are."""
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    clock.set_rate(optimizer)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    clock.step += 1


def auc(labels: np.ndarray, values: np.ndarray) -> float:
    """Area under the ROC curve from ranks; equal values count a half."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = labels == 1
    return float((rank[positive].mean() - (positive.sum() + 1) / 2) / (~positive).sum())


def judged(labels: np.ndarray, logit: np.ndarray) -> str:
    """Log loss, accuracy, AUC, and log loss at the best temperature."""
    sign = np.where(labels == 1, 1.0, -1.0)
    loss = lambda t: float(np.logaddexp(0, -sign * logit / t).mean())  # noqa: E731
    t = min(np.exp(np.linspace(-1.5, 1.5, 121)), key=loss)
    right = float(((logit >= 0) == (labels == 1)).mean())
    return f"log loss {loss(1):.4f} accuracy {right:.4f} AUC {auc(labels, logit):.4f} at T {t:.2f}: {loss(t):.4f}"


@torch.inference_mode()
def answers(
    model: nn.Module,
    corpus: Corpus,
    pieces: Pieces,
    teacher: bool,
    keep: Sequence[float] | None = None,
    tokens: int = 65536,
) -> np.ndarray:
    """What the model says of each piece: [pieces, 2], logit of POSITIVE and stars."""
    model.eval()
    order = np.argsort(pieces.length, kind="stable")[::-1]
    found = np.zeros((len(pieces), 2), np.float32)
    at = 0
    while at < len(order):
        rows = max(1, tokens // int(min(pieces.length[order[at]], LIMIT - 2) + 2))
        part = order[at : at + rows]
        with torch.autocast(corpus.device, torch.bfloat16):
            extra = {} if teacher else {"keep": keep}
            out = model(*corpus.batch(pieces[part], 0.0, teacher), **extra).float()
        out = out if teacher else torch.stack([out[:, 1] - out[:, 0], out[:, 2]], 1)
        found[part] = out.cpu().numpy()
        at += rows
    model.train()
    return found


def train_teacher(corpus: Corpus, base: Weights, which: np.ndarray, a: argparse.Namespace, seed: int) -> MPNet:
    """One teacher, from the base encoder, on these reviews."""
    torch.manual_seed(seed)
    state, heads = base
    unused = ("pooler.", "embeddings.position_ids")
    model = MPNet({name: value for name, value in state.items() if not name.startswith(unused)}, heads)
    model.to(corpus.device).train()
    optimizer, clock = optimizer_for(model, 0.01), Clock(a.teacher_seconds, a.steps, a.teacher_rate)
    labels = torch.from_numpy(corpus.labels.astype(np.float32)).to(corpus.device)
    stars = torch.from_numpy(corpus.stars.astype(np.float32)).to(corpus.device)
    sources = [endless(corpus, which, a.teacher_rows, crops, seed * 2 + crops) for crops in (False, True)]
    seen, sums = 0, torch.zeros(2, device=corpus.device)
    while clock.done() < 1:
        for number, source in enumerate(sources):
            pieces = next(source)
            with torch.autocast(corpus.device, torch.bfloat16):
                out = model(*corpus.batch(pieces, 0.0, True))
            at = torch.from_numpy(pieces.review).to(corpus.device)
            loss = F.binary_cross_entropy_with_logits(out[:, 0], labels[at])
            (loss + 0.2 * F.mse_loss(out[:, 1], stars[at])).backward()
            sums[number] += loss.detach()
            seen += len(at)
        take_step(model, optimizer, clock)
        if clock.step % 200 == 0:
            losses = [f"{v:.4f}" for v in (sums / 200).tolist()]
            say(f"teacher {seed} step {clock.step} {clock.done():.2f} loss", *losses)
            sums.zero_()
    say(f"teacher {seed}: {clock.step} steps, {seen / 2 / len(which):.2f} epochs")
    return model.eval()


def teach(corpus: Corpus, base: Weights, a: argparse.Namespace) -> dict[str, np.ndarray]:
    """Trains the teachers and labels everything; returns the soft targets."""
    folds = int(corpus.folds.max()) + 1
    everything = np.arange(len(corpus.lengths))
    bank = [corpus.crops(everything, np.random.default_rng(1000 + number)) for number in range(a.crops)]
    # Which teacher labels the crops of a review: its fold's, or one by chance.
    labeller = np.where(corpus.folds >= 0, corpus.folds, everything % folds)
    whole = np.full((folds, len(everything), 2), np.nan, np.float32)
    crops = np.full((a.crops, len(everything), 2), np.nan, np.float32)
    held_crops = np.zeros((folds, a.crops, int((corpus.folds == HELD_OUT).sum()), 2), np.float32)
    for fold in range(folds):
        learnt = np.flatnonzero((corpus.folds >= 0) & (corpus.folds != fold))
        model = train_teacher(corpus, base, learnt, a, fold)
        asked = np.flatnonzero((corpus.folds == fold) | (corpus.folds < 0))
        whole[fold, asked] = answers(model, corpus, corpus.whole(asked), True)
        mine, held = np.flatnonzero(labeller == fold), np.flatnonzero(corpus.folds == HELD_OUT)
        for number, pieces in enumerate(bank):
            crops[number, mine] = answers(model, corpus, pieces[mine], True)
            held_crops[fold, number] = answers(model, corpus, pieces[held], True)
        out_of_fold = np.flatnonzero(corpus.folds == fold)
        say(f"teacher {fold} out of fold", judged(corpus.labels[out_of_fold], whole[fold, out_of_fold, 0]))
        say(f"teacher {fold} held out", judged(corpus.labels[held], whole[fold, held, 0]))
        say(f"teacher {fold} crops out of fold", judged(corpus.labels[out_of_fold], crops[0, out_of_fold, 0]))
        del model
    held = np.flatnonzero(corpus.folds == HELD_OUT)
    crops[:, held] = held_crops.mean(0)
    train = np.flatnonzero(corpus.folds >= 0)
    sign = np.where(corpus.labels == 1, 1.0, -1.0)
    temperature = []
    for logit, sign_of in ((np.nanmean(whole[:, train, 0], 0), sign[train]), (crops[:, train, 0], sign[None, train])):
        t = min(np.exp(np.linspace(-1, 1.5, 101)), key=lambda t: np.logaddexp(0, -sign_of * logit / t).mean())
        temperature.append(float(t))
    say("temperatures of the teachers, whole and crops", temperature)
    p = 1 / (1 + np.exp(-whole[..., 0] / temperature[0]))
    p = np.nanmean(p, 0)
    say("teachers together, held out", judged(corpus.labels[held], np.log(p[held] / (1 - p[held]))))
    p_crops = 1 / (1 + np.exp(-crops[..., 0] / temperature[1]))
    say(
        "crops held out",
        judged(np.tile(corpus.labels[held], a.crops), np.log(p_crops / (1 - p_crops))[:, held].ravel()),
    )
    return {"p": p, "stars": np.nanmean(whole[..., 1], 0), "p_crops": p_crops, "stars_crops": crops[..., 1]}


class Targets:
    """Soft targets on the device."""

    def __init__(self, corpus: Corpus, soft: dict[str, np.ndarray], gold: float) -> None:
        labelled = corpus.folds >= 0
        p = np.where(labelled, gold * (corpus.labels == 1) + (1 - gold) * soft["p"], soft["p"])
        stars = np.where(labelled, gold * corpus.stars + (1 - gold) * soft["stars"], soft["stars"])
        put = lambda x: torch.from_numpy(np.ascontiguousarray(x, np.float32)).to(corpus.device)  # noqa: E731
        self.p = torch.cat([put(p)[None], put(soft["p_crops"])])
        self.stars = torch.cat([put(stars)[None], put(soft["stars_crops"])])


def softened(logit: Tensor, p: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of both at a temperature, times its square (Hinton et al., 2015)."""
    aim = torch.sigmoid(torch.logit(p.clamp(1e-4, 1 - 1e-4)) / temperature)
    return F.binary_cross_entropy_with_logits(logit / temperature, aim) * temperature**2


def random_schedule(layers: int, rng: np.random.Generator) -> tuple[float, ...]:
    """A named one or one at random: shares that fall from layer to layer."""
    kind = rng.random()
    if kind < 0.4:
        return SCHEDULES["fast" if kind < 0.2 else "fastest"]
    lowest = rng.uniform(0.08, 0.7)
    return tuple(sorted(rng.uniform(lowest, 1.0, layers - 1), reverse=True))


def judge_student(model: Student, corpus: Corpus, bank: list[Pieces]) -> None:
    held = np.flatnonzero(corpus.folds == HELD_OUT)
    for name, keep in {"full": None, **SCHEDULES}.items():
        say(
            f"  {name:8} held out",
            judged(corpus.labels[held], answers(model, corpus, corpus.whole(held), False, keep, 16384)[:, 0]),
        )
    for name, keep in {"full": None, **SCHEDULES}.items():
        logits = [answers(model, corpus, pieces[held], False, keep, 16384)[:, 0] for pieces in bank]
        say(f"  {name:8} crops", judged(np.tile(corpus.labels[held], len(bank)), np.concatenate(logits)))


def store(folder: Path, start: Path, state: dict[str, Tensor]) -> None:
    """The folder of the start with these weights, in fp16."""
    shutil.copytree(start, folder, dirs_exist_ok=True)
    weights = {name: value.half().cpu().contiguous() for name, value in state.items() if "star_head" not in name}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def train_student(
    corpus: Corpus, start: Weights, soft: dict[str, np.ndarray], a: argparse.Namespace, seconds: float
) -> None:
    """The student, from its starting weights; stored as `student`, and as `first` before schedules begin."""
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)
    model = Student(*start).to(corpus.device).train()
    everything = np.arange(len(corpus.lengths))
    bank = [corpus.crops(everything, np.random.default_rng(1000 + number)) for number in range(a.crops)]
    targets = Targets(corpus, soft, a.gold)
    learnt = np.flatnonzero(corpus.folds != HELD_OUT)
    learnt = learnt[np.isfinite(soft["p"][learnt])]
    # A crop carries its number in the bank, so that its own target is found.
    all_crops = Pieces(*(np.concatenate([getattr(b, f)[learnt] for b in bank]) for f in ("review", "start", "length")))
    number_of = np.repeat(np.arange(1, a.crops + 1), len(learnt))

    def crop_batches() -> Iterator[tuple[Pieces, np.ndarray]]:
        source = np.random.default_rng(a.seed + 1)
        while True:
            indexed = Pieces(np.arange(len(all_crops)), all_crops.start, all_crops.length)
            for part in by_length(indexed, a.rows, source):
                yield all_crops[part.review], number_of[part.review]

    def whole_batches() -> Iterator[tuple[Pieces, np.ndarray]]:
        for pieces in endless(corpus, learnt, a.rows, False, a.seed):
            yield pieces, np.zeros(len(pieces), np.int64)

    sources = [whole_batches(), crop_batches()]
    optimizer, clock = optimizer_for(model, 0.02), Clock(seconds, a.steps, a.rate)
    mean = {name: value.detach().clone() for name, value in model.state_dict().items()}
    seen, first = 0, True
    sums = torch.zeros(4, device=corpus.device)
    while clock.done() < 1:
        scheduled = clock.done() >= a.schedules_from
        if scheduled and first:
            first = False
            last = {name: value.detach().clone() for name, value in model.state_dict().items()}
            model.load_state_dict(mean)
            say(f"before schedules, step {clock.step}")
            judge_student(model, corpus, bank)
            store(a.output / "first", a.student, mean)
            model.load_state_dict(last)
        for number, source in enumerate(sources):
            pieces, which = next(source)
            if number:  # a text without a word has no opinion
                pieces.length[-1] = 0
            ids, mask = corpus.batch(pieces, a.thin, False)
            at, kind = (torch.from_numpy(x).to(corpus.device) for x in (pieces.review, which))
            p, stars = targets.p[kind, at], targets.stars[kind, at]
            if number:
                p[-1], stars[-1] = 0.5, 0.0
            with torch.autocast(corpus.device, torch.bfloat16):
                out = model(ids, mask)
            logit = out[:, 1] - out[:, 0]
            plain = F.binary_cross_entropy_with_logits(logit, p)
            loss = plain + 0.5 * softened(logit, p, 2.0) + 0.2 * F.mse_loss(out[:, 2], stars)
            sums[number] += plain.detach()
            if scheduled:
                with torch.autocast(corpus.device, torch.bfloat16):
                    short = model(ids, mask, random_schedule(6, rng))
                short_logit = short[:, 1] - short[:, 0]
                aim = 0.5 * p + 0.5 * torch.sigmoid(logit.detach())
                plain = F.binary_cross_entropy_with_logits(short_logit, aim)
                loss = loss + plain + 0.5 * softened(short_logit, aim, 2.0) + 0.2 * F.mse_loss(short[:, 2], stars)
                sums[2 + number] += plain.detach()
            loss.backward()
            seen += len(at)
        take_step(model, optimizer, clock)
        keep = min(1 - 1 / a.horizon, (clock.step + 1) / (clock.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(mean.values()), list(model.state_dict().values()), 1 - keep)
        if clock.step % 200 == 0:
            losses = [f"{v:.4f}" for v in (sums / 200).tolist()]
            say(f"student step {clock.step} {clock.done():.2f} loss", *losses)
            sums.zero_()
    say(f"student: {clock.step} steps, {seen / 2 / len(learnt):.2f} epochs; last weights")
    judge_student(model, corpus, bank)
    model.load_state_dict(mean)
    say("mean of the weights")
    judge_student(model, corpus, bank)
    store(a.output / "student", a.student, mean)


def read_soft(path: Path, corpus: Corpus, crops: int) -> dict[str, np.ndarray]:
    """The soft targets of an earlier run with the same reviews."""
    with path.open("rb") as file, blaming(f"{path}: is not what this script writes"), np.load(file) as stored:
        soft = {name: stored[name].astype(np.float32) for name in ("p", "stars", "p_crops", "stars_crops")}
    require(soft["p_crops"].shape == (crops, len(corpus.lengths)), f"{path}: is of other reviews or another --crops")
    return soft


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser("teach", __doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="data.npz, as teach_data.py writes it")
    add("--base", type=Path, required=True, help="folder of all-mpnet-base-v2")
    add("--student", type=Path, required=True, help="folder of the student's start, as teach_data.py writes it")
    add("-o", "--output", type=Path, required=True, help="new folder for soft.npz and the student")
    add("--soft", type=Path, help="soft.npz of an earlier run: trains no teacher")
    add("--device", choices=("cuda", "cpu"), default="cuda", help="(%(default)s)")
    seconds = bounded(float, 1e-3)
    add("--teacher-seconds", type=seconds, default=62, help="for training each teacher (%(default)s)")
    add("--seconds", type=seconds, default=695, help="of all; the student has what the teachers leave (%(default)s)")
    add("--steps", type=bounded(int, 0), default=0, help="of each teacher and of the student, in place of seconds")
    rows, rate, share = bounded(int, 1), bounded(float, 0, 1), bounded(float, 0, 1)
    add("--teacher-rows", type=rows, default=48, help="whole reviews a step, and as many crops (%(default)s)")
    add("--teacher-rate", type=rate, default=5e-5, help="peak learning rate (%(default)s)")
    add("--rows", type=rows, default=128, help="the same of the student (%(default)s)")
    add("--rate", type=rate, default=3e-4, help="the same of the student (%(default)s)")
    add("--schedules-from", type=share, default=0.6, help="share of the student's run before schedules (%(default)s)")
    add("--horizon", type=bounded(float, 1), default=300, help="steps that the mean of weights goes back (%(default)s)")
    add("--thin", type=share, default=0.2, help="up to this share of the student's tokens is left out (%(default)s)")
    add("--gold", type=share, default=0.4, help="the label's share of a train review's target (%(default)s)")
    add("--crops", type=bounded(int, 1), default=4, help="crops of each review (%(default)s)")
    add("--seed", type=bounded(int, 0), default=1, help="of the student's run (%(default)s)")
    return parser.parse_args(argv)


@command("teach")
def main(argv: Sequence[str] | None = None) -> None:
    a = arguments(argv)
    began = time.monotonic()
    require(
        a.device == "cpu" or torch.cuda.is_available(),
        f"--device {a.device}: {sys.executable} finds no GPU: run another Python, or --device cpu, which is slow",
    )
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cuda.enable_cudnn_sdp(False)  # makes a plan for each new shape, which takes longer than the step
    corpus = Corpus(a.data, a.device)
    start = read_folder(a.student, "distilbert")
    base = read_folder(a.base, "mpnet")
    soft = read_soft(a.soft, corpus, a.crops) if a.soft else None
    empty_folder(a.output)
    held_out = int((corpus.folds == HELD_OUT).sum())
    say(f"{len(corpus.lengths)} reviews, {int((corpus.folds >= 0).sum())} train, {held_out} held out")
    if soft is None:
        soft = teach(corpus, base, a)
        halves: dict[str, Any] = {name: value.astype(np.float16) for name, value in soft.items()}
        np.savez(a.output / "soft.part.npz", **halves)
        (a.output / "soft.part.npz").rename(a.output / "soft.npz")
    left = a.seconds - (time.monotonic() - began)
    goes_on = f"--soft {a.output / 'soft.npz'} goes on from there"
    require(a.steps > 0 or left > 0, f"--seconds {a.seconds:g}: the teachers have left none for the student; {goes_on}")
    train_student(corpus, start, soft, a, left)


if __name__ == "__main__":
    sys.exit(main())
