"""The rate of matrix products that this machine reaches, and how many the answers need."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from machine import FLOATS


def run_gemm(job: dict[str, Any]) -> dict[str, float]:
    """GFLOP/s of [1024, d] x [d, ffn] in threads of their own: the better of MKL and oneDNN with reordered weights."""
    import torch

    torch.set_num_threads(1)
    rates = {}
    for name in FLOATS:
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[name]
        x = torch.randn(1024, job["d"]).to(dtype)
        weight = torch.randn(job["ffn"], job["d"]).to(dtype)
        reordered = torch.ops.mkldnn._reorder_linear_weight(weight, 1024)
        products = [
            partial(torch.mm, x, weight.t().contiguous()),
            partial(torch.ops.mkldnn._linear_pointwise, x, reordered, None, "none", [], ""),
        ]
        for threads in sorted({1, job["threads"]}):
            rates[f"{name} x {threads}"] = max(rate(p, threads) * 2 * x.numel() * job["ffn"] / 1e9 for p in products)
    return rates


def rate(call: Callable[[], Any], threads: int) -> float:
    """Calls a second by all threads together, over three seconds.

    Not the best of several: what a busy machine takes from products it takes from all ways alike.
    """

    def count(_: int) -> float:
        calls, start = 0, time.perf_counter()
        while time.perf_counter() < start + 3:
            call()
            calls += 1
        return calls / (time.perf_counter() - start)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: call(), range(threads)))
        return sum(pool.map(count, range(threads)))


def needed_flops(lengths: list[int], d: int, ffn: int, layers: int) -> int:
    """Floating-point operations that the answers need, in the model alone.

    The last layer needs keys and values of every token, but all else of each text's first token only.
    """
    linear, one_token = 2 * (4 * d * d + 2 * d * ffn), 2 * (2 * d * d + 2 * d * ffn)
    layer = sum(n * linear + 4 * n * n * d for n in lengths)
    return (layers - 1) * layer + sum(n * 4 * d * d + one_token + 4 * n * d + 2 * d * d for n in lengths)
