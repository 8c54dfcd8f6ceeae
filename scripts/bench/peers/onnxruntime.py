"""ONNX Runtime: the exported graph, and the same with its fusions for transformers; int8 by dynamic quantization."""

from __future__ import annotations

from typing import Any

from machine import HAS_VNNI
from peers.base import Forward, Job, Peer, Variant, pad, traceable


def ways(threads: int) -> dict[str, list[Variant]]:
    return {
        "fp32": [{"artifact": "onnx"}, {"artifact": "onnx-fused"}],
        "int8": [{"artifact": "onnx-int8"}, {"artifact": "onnx-fused-int8"}],
    }


def make_onnx(job: Job) -> None:
    import torch

    model, example = traceable()
    inputs, axes = ["input_ids", "attention_mask"], {0: "texts", 1: "tokens"}
    names: dict[str, Any] = {"input_names": inputs, "output_names": ["logits"]}
    names["dynamic_axes"] = {"input_ids": axes, "attention_mask": axes, "logits": {0: "texts"}}
    torch.onnx.export(model, example, "onnx", **names, opset_version=17, dynamo=False)


def make_onnx_fused(job: Job) -> None:
    """With attention, biases and norms fused by ONNX Runtime's own tool for transformers."""
    from onnxruntime.transformers.optimizer import optimize_model

    model = optimize_model("onnx", "bert", num_heads=job["heads"], hidden_size=job["d"], opt_level=0)
    model.save_model_to_file("onnx-fused")


def make_onnx_int8(job: Job) -> None:
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        job["do"].removesuffix("-int8"),
        job["do"],
        per_channel=True,
        op_types_to_quantize=["MatMul", "Gemm", "Attention"],
        weight_type=QuantType.QInt8,
        reduce_range=not HAS_VNNI,  # without VNNI, sums of 8-bit products can overflow
        extra_options={"DefaultTensorType": TensorProto.FLOAT},  # the type of what the fused operators give
    )


def load(job: Job, streams: int) -> Forward:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"] // streams
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.enable_mem_pattern = False  # it is for inputs of one size
    session = onnxruntime.InferenceSession(job["artifact"], options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    return lambda batch: session.run(None, dict(zip(names, pad(batch), strict=True)))[0]


PEER = Peer(
    ways,
    "onnx onnxruntime",
    {
        "onnx": make_onnx,
        "onnx-fused": make_onnx_fused,
        "onnx-int8": make_onnx_int8,
        "onnx-fused-int8": make_onnx_int8,
    },
    load,
)
