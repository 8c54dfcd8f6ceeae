"""The server that most people write first: FastAPI and transformers' pipeline. A peer of serve.py.

uvicorn runs it; BENCH_MODEL names the model's Hugging Face folder.
"""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline

app = FastAPI()
classify = pipeline("text-classification", model=os.environ["BENCH_MODEL"], device="cpu")


class Review(BaseModel):
    text: str


@app.post("/classify")
def rate(review: Review) -> dict[str, Any]:
    """Not async, so that requests wait in FastAPI's threads instead of stopping its loop."""
    [answer] = classify(review.text, truncation=True)
    return {"label": answer["label"], "score": answer["score"]}


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}
