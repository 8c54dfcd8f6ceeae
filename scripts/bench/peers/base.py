"""What a peer is, and what several of them share.

Heavy modules are imported where they are used: a process holds only its own peer's, and the one that starts the others
stays small, as a child's peak memory counts from its parent's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from inputs import encode

Job = dict[str, Any]  # what JSON can hold
Variant = dict[str, Any]  # "artifact", and the options that tell it from another
Forward = Callable[[list[list[int]]], Any]  # a batch of token ids -> logits [texts, labels]
Answer = Callable[[list[str]], list[list[float]]]  # texts -> the probabilities of each one's labels


@dataclass(frozen=True)
class Peer:
    """Jobs run in a process of their own, in the folder of a shape; its Hugging Face model lies there in `hf`."""

    ways: Callable[[int], dict[str, list[Variant]]]  # threads -> the variants to choose from, by "precision[-more]"
    packages: str = ""  # what pip has to install
    makers: dict[str, Callable[[Job], None]] = field(default_factory=dict)  # of artifacts, in the order of their making
    load: Callable[[Job, int], Forward] | None = None  # a function that so many threads may call; batches are chosen
    answer: Callable[[Job], Answer] | None = None  # or what makes its batches itself


def traceable() -> tuple[Any, tuple[Any, Any]]:
    """The model with two plain inputs, and an example of them with padding, so that the mask stays in the graph."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from export_model import Traceable

    model = AutoModelForSequenceClassification.from_pretrained("hf", attn_implementation="sdpa")
    mask = torch.ones(2, 9, dtype=torch.int64)
    mask[1, 5:] = 0
    return Traceable(model).eval(), (torch.arange(1000, 1018).view(2, 9), mask)


def pad(batch: list[list[int]]) -> list[Any]:
    """Ids, filled up to the longest text, and mask, int64 [texts, tokens]."""
    import numpy

    ids = numpy.zeros((len(batch), max(map(len, batch))), numpy.int64)
    mask = numpy.zeros_like(ids)
    for row, tokens in enumerate(batch):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return [ids, mask]


def batches_of(ids: list[list[int]], budget: int) -> Iterator[list[int]]:
    """Indices of the texts by falling length, in batches whose tokens, padding included, stay within the budget."""
    batch: list[int] = []
    for i in sorted(range(len(ids)), key=lambda i: -len(ids[i])):
        if batch and (len(batch) + 1) * len(ids[batch[0]]) > budget:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def batched(forward: Forward, streams: int, budget: int) -> Answer:
    """Batches of at most `budget` tokens, padding included, `streams` at a time."""
    import numpy

    def answer(texts: list[str]) -> list[list[float]]:
        ids = encode(texts)
        batches = list(batches_of(ids, budget))

        def run(batch: list[int]) -> list[list[float]]:
            logits = forward([ids[i] for i in batch])
            odds = numpy.exp(logits - logits.max(1, keepdims=True))
            return (odds / odds.sum(1, keepdims=True)).tolist()

        with ThreadPoolExecutor(streams) as pool:
            results = list(pool.map(run, batches) if streams > 1 else map(run, batches))
        answers: list[list[float]] = [[]] * len(ids)
        for batch, rows in zip(batches, results, strict=True):
            for i, row in zip(batch, rows, strict=True):
                answers[i] = row
        return answers

    return answer
