"""CTranslate2, which has an encoder for DistilBERT; the classifier on top is two small products in NumPy."""

from __future__ import annotations

from typing import Any

from machine import CPU
from peers.base import Forward, Job, Peer, Variant


def ways(threads: int) -> dict[str, list[Variant]]:
    # On processors that are not Intel's it does not choose MKL by itself.
    mkl = [] if CPU.get("vendor_id") == "GenuineIntel" else [{"artifact": "ctranslate2", "CT2_USE_MKL": "1"}]
    return {p: [{"artifact": "ctranslate2"}, *mkl] for p in ("fp32", "int8")}


def make_ctranslate2(job: Job) -> None:
    import ctranslate2

    ctranslate2.converters.TransformersConverter("hf").convert("ctranslate2", force=True)


def load(job: Job, streams: int) -> Forward:
    import ctranslate2
    import numpy
    from safetensors import safe_open

    threads = {"inter_threads": streams, "intra_threads": job["threads"] // streams}
    compute_type = job["precision"].replace("fp32", "float32")
    encoder = ctranslate2.Encoder("ctranslate2", compute_type=compute_type, **threads)
    names = ("pre_classifier.weight", "pre_classifier.bias", "classifier.weight", "classifier.bias")
    with safe_open("hf/model.safetensors", "numpy") as weights:
        pre, pre_bias, last, last_bias = map(weights.get_tensor, names)

    def forward(batch: list[list[int]]) -> Any:
        first = numpy.array(encoder.forward_batch(batch).last_hidden_state)[:, 0]
        return numpy.maximum(first @ pre.T + pre_bias, 0) @ last.T + last_bias

    return forward


PEER = Peer(ways, "ctranslate2", {"ctranslate2": make_ctranslate2}, load)
