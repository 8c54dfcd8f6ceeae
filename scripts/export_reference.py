"""The reference of a package: texts with the probabilities that transformers gives, and their check by the program.

Part of export.py.
"""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

import encoder
from command_line import BadInput, read_text, require
from export_tokenizer import Tokenizer

WINDOW_STRIDE = 128
CHOSEN_SURELY = 1e-5  # relative difference of attention; fp32 is some 1e-6 off, differently on every CPU
Windows = list[list[int]]  # the parts of a text that the model reads, as ids


def read_texts(path: Path) -> list[dict[str, str]]:
    """The id and text of each line of a jsonl file."""
    found = []
    # Not splitlines(): it also cuts at the line separators of Unicode, which JSON may hold as they are.
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line:
            continue
        try:
            record = json.loads(line)
            found.append({"id": record["id"], "text": record["text"]})
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path}:{number}: is not a JSON object with id and text") from error
    require(bool(found), f"{path}: holds no texts")
    return found


def windows_of(content: list[int], policy: str, limit: int) -> Windows:
    """The parts of a text's tokens, [CLS] and [SEP] not counted, that the model reads under a long-text policy."""
    if len(content) <= limit:
        return [content]
    if policy == "head":
        return [content[:limit]]
    if policy == "head-tail":
        head = (limit + 2) // 4  # 128 of 512
        return [content[:head] + content[head - limit :]]
    step = limit - WINDOW_STRIDE
    return [content[start : start + limit] for start in range(0, len(content) - WINDOW_STRIDE, step)]


def transformers_probabilities(model: PreTrainedModel, texts: list[Windows]) -> list[list[float]]:
    """Transformers' own answer, every label's probability: the mean over a text's windows."""

    def probabilities(ids: list[int]) -> torch.Tensor:
        return torch.softmax(model(input_ids=torch.tensor([ids])).logits.double(), dim=-1)

    with torch.inference_mode():
        return [torch.cat([probabilities(window) for window in windows]).mean(0).tolist() for windows in texts]


def schedule_probabilities(
    model: PreTrainedModel, texts: list[Windows], keep: Sequence[float]
) -> list[list[float] | None]:
    """The same where a schedule drops tokens, by plain PyTorch in fp64; None where fp32 might choose other tokens."""
    wide: Any = copy.deepcopy(model).double()

    def probabilities(windows: Windows) -> list[float] | None:
        found = [encoder.pooled_by_schedule(wide, torch.tensor(window), keep) for window in windows]
        if min(surely for _, surely in found) < CHOSEN_SURELY:
            return None
        return wide.classifier(torch.stack([pooled for pooled, _ in found])).softmax(-1).mean(0).tolist()

    with torch.inference_mode():
        return [probabilities(windows) for windows in texts]


def largest_difference(a: list[list[float]], b: list[list[float]]) -> float:
    return (torch.tensor(a, dtype=torch.float64) - torch.tensor(b, dtype=torch.float64)).abs().max().item()


def encode(texts: list[str], tokenizer: Tokenizer, policy: str) -> tuple[list[int], list[Windows]]:
    """The tokens of each text, both ends counted, and the windows that the model reads."""
    contents = [tokenizer.fast(text, add_special_tokens=False, verbose=False).input_ids for text in texts]
    windows = [
        [[tokenizer.begin, *window, tokenizer.end] for window in windows_of(content, policy, tokenizer.max_tokens - 2)]
        for content in contents
    ]
    return [len(content) + 2 for content in contents], windows


def reference_records(
    lines: list[dict[str, str]],
    tokens: list[int],
    policy: str,
    probabilities: list[list[float]],
    schedules: dict[str, list[list[float] | None]],
    labels: list[str],
) -> list[dict[str, Any]]:
    """The lines of reference.jsonl; `schedules` are the probabilities that each of them gives."""
    return [
        {
            "id": line["id"],
            "text": line["text"],
            "tokens": count,
            "long_text": policy,
            "label": labels[p.index(max(p))],
            "p": p,
            **({"schedules": {name: found[i] for name, found in schedules.items() if found[i]}} if schedules else {}),
        }
        for i, (line, count, p) in enumerate(zip(lines, tokens, probabilities, strict=True))
    ]


def verify(reviewrate: str, folder: Path, name: Path) -> None:
    """Lets the program compare the package in `folder`, which is to be `name`, with its reference."""
    done = subprocess.run(
        [reviewrate, "verify", "-m", folder], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )
    told, errors = (
        [line.replace(str(folder), str(name)) for line in out.splitlines()] for out in (done.stdout, done.stderr)
    )
    why = "; ".join(told or errors[:1]) or f"exit status {done.returncode}"
    require(done.returncode == 0, f"{name}: not made: `reviewrate verify` does not pass: {why}")
    for line in told:
        print(f"verified: {line}")
