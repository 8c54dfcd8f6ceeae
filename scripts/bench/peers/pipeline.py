"""transformers' pipeline in PyTorch, one review at a time and in batches of 16."""

from __future__ import annotations

from typing import Any

from inputs import MAX_TOKENS
from peers.base import Answer, Job, Peer, Variant


def ways(threads: int) -> dict[str, list[Variant]]:
    return {f"fp32-{n}": [{"artifact": "hf", "batch": n}] for n in (1, 16)}


def answer(job: Job) -> Answer:
    import torch
    from transformers import pipeline

    torch.set_num_threads(job["threads"])
    pipe: Any = pipeline("text-classification", model="hf", dtype=torch.float32, device="cpu")
    labels = [pipe.model.config.id2label[i] for i in range(pipe.model.config.num_labels)]
    cut: dict[str, Any] = {"truncation": True, "max_length": MAX_TOKENS, "top_k": None}

    def classify(texts: list[str]) -> list[list[float]]:
        if job["batch"] == 1:
            answers = [pipe([text], **cut)[0] for text in texts]
        else:
            answers = pipe(texts, batch_size=job["batch"], **cut)
        scores = [{entry["label"]: entry["score"] for entry in answer} for answer in answers]
        return [[row[label] for label in labels] for row in scores]

    return classify


PEER = Peer(ways, "transformers<5 safetensors sentencepiece protobuf", answer=answer)
