"""Reviews as token ids on a device: whole or in crops, in batches of near-equal lengths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from command_line import blaming, require

LIMIT = 512  # tokens of a window
CLS, SEP, PAD = 101, 102, 0  # of BERT's uncased vocabulary, the student's; `Corpus.teacher_ids` are the teachers'
SENTENCE_ENDS = (1012, 999, 1029)  # . ! ?
HELD_OUT, UNLABELLED = -1, -2  # in the place of a fold's number


def require_vocabulary(ids: Mapping[str, int], name: str) -> None:
    """Raises BadInput unless the vocabulary has the ids above."""
    found = [ids.get(token) for token in ("[CLS]", "[SEP]", "[PAD]", ".", "!", "?")]
    require(found == [CLS, SEP, PAD, *SENTENCE_ENDS], f"{name}: has not the vocabulary of bert-base-uncased")


@dataclass
class Pieces:
    """Spans of reviews: whole ones or crops."""

    review: np.ndarray  # which review
    start: np.ndarray  # in the flat ids
    length: np.ndarray  # without [CLS] and [SEP]

    def __len__(self) -> int:
        return len(self.review)

    def __getitem__(self, at: np.ndarray) -> Pieces:
        return Pieces(self.review[at], self.start[at], self.length[at])


class Reviews:
    """Reviews as flat token ids without [CLS] and [SEP], and where their sentences end."""

    def __init__(self, flat: np.ndarray, lengths: np.ndarray) -> None:
        self.flat_ids, self.lengths = flat.astype(np.int64), lengths.astype(np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        ends = np.isin(self.flat_ids, SENTENCE_ENDS)
        self.boundaries = np.flatnonzero(ends & np.append(~ends[1:], True)) + 1  # after the last of "..." or "?!"

    def whole(self, which: np.ndarray) -> Pieces:
        return Pieces(which, self.starts[which], self.lengths[which])

    def crops(self, which: np.ndarray, rng: np.random.Generator) -> Pieces:
        """A crop of each review: mostly one to three sentences, seldom up to ten; a third go without their last token.

        That is mostly the full stop, which many short texts lack.
        """
        wanted = np.minimum(rng.geometric(0.45, len(which)), 10)
        bare, chance = rng.random(len(which)) < 0.33, rng.random(len(which))
        first = np.searchsorted(self.boundaries, self.starts[which], "right")
        last = np.searchsorted(self.boundaries, self.starts[which] + self.lengths[which], "left")
        starts, lengths = np.empty(len(which), np.int64), np.empty(len(which), np.int64)
        for i, review in enumerate(which):
            begin, end = self.starts[review], self.starts[review] + self.lengths[review]
            inner = self.boundaries[first[i] : last[i]]
            edges = np.concatenate([[begin], inner, [end]])
            at = int(chance[i] * (len(edges) - 1))
            starts[i] = edges[at]
            stop = edges[min(at + wanted[i], len(edges) - 1)]
            if bare[i] and stop - starts[i] > 1:
                stop -= 1
            lengths[i] = stop - starts[i]
        return Pieces(which, starts, np.minimum(lengths, LIMIT - 2))


class Corpus(Reviews):
    """What teach_data.py wrote: all reviews, their ids on the device, with labels, stars and folds."""

    def __init__(self, path: Path, device: str) -> None:
        with path.open("rb") as file, blaming(f"{path}: is not what teach_data.py writes"), np.load(file) as stored:
            super().__init__(stored["ids"], stored["lengths"])
            self.labels, self.stars, self.folds = stored["labels"], stored["stars"], stored["folds"]
            self.teacher_ids = torch.from_numpy(stored["teacher_ids"].astype(np.int64)).to(device)
        self.flat = torch.from_numpy(self.flat_ids).to(device)
        self.device = device

    def batch(self, pieces: Pieces, thin: float, teacher: bool) -> tuple[Tensor, Tensor]:
        """Ids [rows, longest], cut head-tail, and the mask of real tokens; `thin`: up to that share left out."""
        device = self.device
        start, length = (torch.from_numpy(a).to(device)[:, None] for a in (pieces.start, pieces.length))
        body = length.clamp(max=LIMIT - 2)
        longest = min(int(pieces.length.max()), LIMIT - 2) + 2
        longest += -longest % 8  # as tensor cores want it
        at = torch.arange(longest - 2, device=device)[None]
        source = torch.where((length > LIMIT - 2) & (at >= LIMIT // 4), length - body + at, at)
        inside = at < body
        if thin:
            rate = torch.rand_like(length, dtype=torch.float32) * thin
            inside = inside & (torch.rand(inside.shape, device=device) >= rate)
            order = torch.argsort(~inside, dim=1, stable=True)
            source, inside = source.expand_as(inside).gather(1, order), inside.gather(1, order)
            body = inside.sum(1, keepdim=True)
        ids = self.flat[(start + source).clamp(0, len(self.flat) - 1)]
        ids = torch.cat([torch.full_like(start, CLS), torch.where(inside, ids, PAD), torch.full_like(start, PAD)], 1)
        ids.scatter_(1, body + 1, SEP)
        mask = torch.arange(ids.size(1), device=device)[None] <= body + 1
        return (self.teacher_ids[ids] if teacher else ids), mask


def by_length(pieces: Pieces, rows: int, rng: np.random.Generator) -> Iterator[Pieces]:
    """One epoch: each piece once, in batches of near-equal lengths, in random order."""
    order = rng.permutation(len(pieces))
    batches = []
    for start in range(0, len(order), rows * 50):
        part = order[start : start + rows * 50]
        part = part[np.argsort(pieces.length[part], kind="stable")]
        batches += [part[at : at + rows] for at in range(0, len(part), rows)]
    for index in rng.permutation(len(batches)):
        yield pieces[batches[index]]


def endless(corpus: Corpus, which: np.ndarray, rows: int, crops: bool, seed: int) -> Iterator[Pieces]:
    """Batches of the reviews, epoch after epoch, whole or with new crops in each epoch."""
    rng = np.random.default_rng(seed)
    while True:
        yield from by_length(corpus.crops(which, rng) if crops else corpus.whole(which), rows, rng)
