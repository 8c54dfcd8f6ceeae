"""OpenVINO; int8 by NNCF's post-training quantization of weights and activations."""

from __future__ import annotations

import threading
from typing import Any

from inputs import encode, read_texts
from machine import FLOATS
from peers.base import Forward, Job, Peer, Variant, pad, traceable

# What else than int8 layers computes in; without the hint a CPU that has bf16 would use that for fp32.
HINTS = [{"fp32": "f32", "bf16": "bf16"}[precision] for precision in FLOATS]


def ways(threads: int) -> dict[str, list[Variant]]:
    found: dict[str, list[Variant]] = {
        precision: [{"artifact": "openvino", "hint": hint}] for precision, hint in zip(FLOATS, HINTS, strict=True)
    }
    return found | {"int8": [{"artifact": "openvino-int8", "hint": hint} for hint in HINTS]}


def make_openvino(job: Job) -> None:
    import openvino

    model, example = traceable()
    openvino.save_model(openvino.convert_model(model, example_input=example), "openvino.xml", False)


def make_openvino_int8(job: Job) -> None:
    """Calibrated on 64 reviews outside the bench."""
    import nncf
    import openvino

    ids = encode(read_texts("calibration"))
    dataset = nncf.Dataset(ids, lambda row: pad([row]))
    model = openvino.Core().read_model("openvino.xml")
    quantized = nncf.quantize(model, dataset, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(ids))
    openvino.save_model(quantized, "openvino-int8.xml", False)


def load(job: Job, streams: int) -> Forward:
    import openvino

    hints = {"INFERENCE_PRECISION_HINT": job["hint"]}
    hints |= {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": job["threads"]}
    compiled = openvino.Core().compile_model(f"{job['artifact']}.xml", "CPU", hints)
    local = threading.local()

    def forward(batch: list[list[int]]) -> Any:
        if not hasattr(local, "request"):
            local.request = compiled.create_infer_request()
        return local.request.infer(pad(batch), share_inputs=True)[0]

    return forward


PEER = Peer(ways, "openvino nncf", {"openvino": make_openvino, "openvino-int8": make_openvino_int8}, load)
