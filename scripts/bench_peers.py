#!/usr/bin/env python3
"""Measures reviewrate beside the other ways to run the same classifier on this machine's CPU: a bench to repeat.

    scripts/bench_peers.py --model HF_FOLDER --reviews REVIEWS.jsonl --json bench.json > bench.md

The peers are transformers' pipeline, ONNX Runtime, OpenVINO and CTranslate2; they are installed by name into a venv of
their own. All run the same weights (rounded to fp16, computed in the way's precision) on the same texts with the same
number of threads, end to end: reviews read, tokenized, classified, a record of each written to a file. Every way runs
in a process of its own, in rounds, so that a machine's drift hits all alike; the median of the rounds counts. A peer's
time starts when its model is loaded and warmed up. reviewrate is timed as a whole process and, from that, with the
time of a one-review call subtracted, which is what compares with the peers. Each peer first picks its best setting
(batches, threads, graph) on every tenth text. Nothing else should run on the machine meanwhile.

Two shapes: `small`, the given model, and `base`, a DistilBERT of the usual size (6 x 768) with random weights. Two
loads: `reviews`, spread evenly over the file, and `sentences`, cut from them.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import lzma
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

# Heavy modules are imported where they are used: a process holds only its own way's, and the one that starts the
# others stays small, as a child's peak memory counts from its parent's.

ROOT = Path(__file__).resolve().parent.parent
TORCH = "torch==2.13.0+cpu"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
PACKAGES = ["transformers<5 safetensors sentencepiece protobuf", "onnx onnxruntime", "openvino nncf", "ctranslate2"]
AGREE = 1e-4  # the most that two fp32 ways' probabilities of POSITIVE may differ by
BUDGETS = [0, 512, 1024, 4096]  # tokens of a padded batch; 0: one text at a time
MAX_TOKENS = 512
TEXT = "It is very nice film"
FLAGS = ["avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8"]


@dataclass(frozen=True)
class Way:
    """One way to classify; of its variants, each an artifact to load and options, the fastest is measured."""

    title: str
    precision: str
    library: str
    variants: tuple[dict[str, Any], ...] = ({},)


@dataclass
class Measured:
    """What is known of one way on one load: seconds a round, peaks in MB, probabilities of POSITIVE."""

    setting: dict[str, Any] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    tried: list[dict[str, Any]] = field(default_factory=list)
    problem: str = ""


def say(*words: object) -> None:
    print(time.strftime("%H:%M:%S"), *words, file=sys.stderr, flush=True)


# --- The venv of the peers


def enter_venv(folder: Path) -> None:
    """Installs the peers into `folder` unless they are there, and goes on in it."""
    python = folder / "bin" / "python"
    mark = folder / "installed"
    wanted = "\n".join([TORCH, *PACKAGES])
    if not mark.is_file() or mark.read_text() != wanted:
        say(f"installing the peers into {folder}")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [python, "-m", "pip", "install", "-q", "--progress-bar", "off"]
        if subprocess.call([*pip, TORCH], stdout=sys.stderr):
            subprocess.run([*pip, "--extra-index-url", TORCH_INDEX, TORCH], stdout=sys.stderr, check=True)
        # Each by itself: one that cannot be had is a row saying so.
        failures = sum(subprocess.call([*pip, *names.split()], stdout=sys.stderr) for names in PACKAGES)
        if not failures:
            mark.write_text(wanted)
    if Path(sys.prefix).resolve() != folder.resolve():
        os.execv(python, [str(python), *sys.argv])


# --- Jobs: what runs in a process of its own. Each takes the job and returns what JSON can hold.


def read_records(file: Path) -> list[dict[str, Any]]:
    with file.open() as lines:
        return [json.loads(line) for line in lines]


def make_texts(job: dict[str, Any]) -> dict[str, Any]:
    """Writes both loads, every tenth text of each for warming up, and calibration reviews that are not in them."""
    from tokenizers import Tokenizer

    path = Path(job["reviews"])
    name, _, value = job["where"].partition("=")
    with lzma.open(path, "rt") if path.suffix == ".xz" else path.open() as lines:
        records = (json.loads(line) for line in lines)
        texts = [record["text"] for record in records if not name or str(record.get(name)) == value]
    count = min(job["count"], len(texts))
    chosen = [i * len(texts) // count for i in range(count)]
    others = [i for i in range(len(texts)) if i not in set(chosen)] or chosen
    reviews = [texts[i] for i in chosen]
    sentences: list[str] = []
    source = iter([*reviews, *(texts[i] for i in others)])
    while len(sentences) < job["sentences"] and (text := next(source, None)) is not None:
        pieces = re.split(r"(?<=[.!?])\s+", re.sub(r"<br ?/?>|\s+", " ", text))
        sentences += [piece.strip() for piece in pieces if 3 <= len(piece.split()) <= 60]
    loads = {
        "reviews": reviews,
        "sentences": sentences[: job["sentences"]],
        "calibration": [texts[others[i * len(others) // 64]] for i in range(64)],
    }
    tokenizer = Tokenizer.from_file(str(Path(job["model"]) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    lengths = {}
    for load, items in loads.items():
        for suffix, part in (("", items), ("-tenth", items[::10])):
            lines = (json.dumps({"id": str(i), "text": text}) + "\n" for i, text in enumerate(part))
            (Path(job["work"]) / f"{load}{suffix}.jsonl").write_text("".join(lines))
        lengths[load] = [min(MAX_TOKENS, len(encoding.ids)) for encoding in tokenizer.encode_batch(items)]
    return lengths


def make_model(job: dict[str, Any]) -> dict[str, Any]:
    """The shape's Hugging Face folder, its weights rounded to fp16 and stored in fp32; returns its sizes."""
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DistilBertConfig,
        DistilBertForSequenceClassification,
    )

    # Named here, as a BERT tokenizer would hand DistilBERT token types, which it does not take.
    inputs = ["input_ids", "attention_mask"]
    tokenizer = AutoTokenizer.from_pretrained(job["model"], model_input_names=inputs)
    if job["shape"] == "small":
        model = AutoModelForSequenceClassification.from_pretrained(job["model"], dtype=torch.float32)
    else:
        torch.manual_seed(1)
        labels = {0: "NEGATIVE", 1: "POSITIVE"}
        config = DistilBertConfig(
            vocab_size=len(tokenizer), id2label=labels, label2id={name: i for i, name in labels.items()}
        )
        model = DistilBertForSequenceClassification(config).eval()
        with torch.no_grad():
            # Untrained, all probabilities would lie near 0.5; spread out, a difference between two ways shows.
            rows = [record["text"] for record in read_records(Path(job["work"]) / "reviews.jsonl")]
            batch = tokenizer(rows[:32], truncation=True, max_length=256, padding=True, return_tensors="pt")
            logits = model(**batch).logits
            model.classifier.weight.mul_(20)
            model.classifier.bias.copy_(-logits.mean(0) * 20)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.half().float())
    folder = Path(job["folder"]) / "hf"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = model.config
    positive = {name.upper(): i for name, i in config.label2id.items()}.get("POSITIVE", config.num_labels - 1)
    sizes = {"d": config.dim, "ffn": config.hidden_dim, "layers": config.n_layers, "positive": positive}
    return {**sizes, "heads": config.n_heads}


def traceable(folder: Path) -> tuple[Any, tuple[Any, Any]]:
    """The model with two plain inputs, and an example of them with padding, so that the mask stays in the graph."""
    import torch
    from transformers import AutoModelForSequenceClassification

    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = AutoModelForSequenceClassification.from_pretrained(folder / "hf", attn_implementation="sdpa")

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    mask = torch.ones(2, 9, dtype=torch.int64)
    mask[1, 5:] = 0
    return Plain().eval(), (torch.arange(1000, 1018).view(2, 9), mask)


def make_onnx(folder: Path, job: dict[str, Any]) -> None:
    import torch

    model, example = traceable(folder)
    axes = {0: "texts", 1: "tokens"}
    torch.onnx.export(
        model,
        example,
        folder / "onnx",
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "texts"}},
        opset_version=17,
        dynamo=False,
    )


def make_onnx_fused(folder: Path, job: dict[str, Any]) -> None:
    """With attention, biases and norms fused by ONNX Runtime's own tool for transformers."""
    from onnxruntime.transformers.optimizer import optimize_model

    model = optimize_model(str(folder / "onnx"), "bert", num_heads=job["heads"], hidden_size=job["d"], opt_level=0)
    model.save_model_to_file(str(folder / "onnx-fused"))


def make_onnx_int8(folder: Path, job: dict[str, Any]) -> None:
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    vnni = bool({"avx512_vnni", "avx_vnni"} & set(job["flags"]))
    quantize_dynamic(
        folder / job["artifact"].removesuffix("-int8"),
        folder / job["artifact"],
        op_types_to_quantize=["MatMul", "Gemm", "Attention"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        reduce_range=not vnni,  # without VNNI, sums of 8-bit products can overflow
        extra_options={"DefaultTensorType": TensorProto.FLOAT},  # of what the fused operators give
    )


def make_openvino(folder: Path, job: dict[str, Any]) -> None:
    import openvino

    model, example = traceable(folder)
    openvino.save_model(openvino.convert_model(model, example_input=example), folder / "openvino.xml", False)


def make_openvino_int8(folder: Path, job: dict[str, Any]) -> None:
    """Post-training quantization by NNCF, weights and activations, calibrated on 64 reviews outside the bench."""
    import nncf
    import openvino

    ids = encode(folder, read_records(Path(job["work"]) / "calibration.jsonl"))
    dataset = nncf.Dataset(ids, lambda row: padded([row]))
    model = openvino.Core().read_model(folder / "openvino.xml")
    quantized = nncf.quantize(model, dataset, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(ids))
    openvino.save_model(quantized, folder / "openvino-int8.xml", False)


def make_ctranslate2(folder: Path, job: dict[str, Any]) -> None:
    import ctranslate2
    import numpy
    from safetensors.numpy import load_file

    ctranslate2.converters.TransformersConverter(str(folder / "hf")).convert(str(folder / "ctranslate2"), force=True)
    # CTranslate2 runs the encoder alone; the head is two small products.
    weights = load_file(folder / "hf" / "model.safetensors")
    head = {name.replace(".", "_"): weights[name] for name in weights if "classifier" in name}
    numpy.savez(folder / "ctranslate2" / "head.npz", **head)


MAKERS: dict[str, tuple[Callable[[Path, dict[str, Any]], None], str]] = {  # and the artifact that each needs
    "onnx": (make_onnx, ""),
    "onnx-fused": (make_onnx_fused, "onnx"),
    "onnx-int8": (make_onnx_int8, "onnx"),
    "onnx-fused-int8": (make_onnx_int8, "onnx-fused"),
    "openvino": (make_openvino, ""),
    "openvino-int8": (make_openvino_int8, "openvino"),
    "ctranslate2": (make_ctranslate2, ""),
}


def encode(folder: Path, records: list[dict[str, Any]]) -> list[list[int]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "hf" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return [encoding.ids for encoding in tokenizer.encode_batch([record["text"] for record in records])]


def padded(batch: list[list[int]]) -> list[Any]:
    """Ids and mask, int64 [texts, tokens]."""
    import numpy

    ids = numpy.zeros((len(batch), max(map(len, batch))), numpy.int64)
    mask = numpy.zeros_like(ids)
    for row, tokens in enumerate(batch):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return [ids, mask]


# A loader returns a function from a batch of token ids to logits, [texts, labels]; `streams` threads may call it.
Forward = Callable[[list[list[int]]], Any]


def load_onnxruntime(folder: Path, job: dict[str, Any], streams: int) -> Forward:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"] // streams
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.enable_mem_pattern = False  # it is for inputs of one size
    session = onnxruntime.InferenceSession(folder / job["artifact"], options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    return lambda batch: session.run(None, dict(zip(names, padded(batch), strict=True)))[0]


def load_openvino(folder: Path, job: dict[str, Any], streams: int) -> Forward:
    import openvino

    # The hint is what else than int8 layers computes in; without it a CPU that has bf16 would use that for fp32.
    hints = {"INFERENCE_PRECISION_HINT": job["hint"]}
    hints |= {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": job["threads"]}
    compiled = openvino.Core().compile_model(folder / f"{job['artifact']}.xml", "CPU", hints)
    local = threading.local()

    def forward(batch: list[list[int]]) -> Any:
        if not hasattr(local, "request"):
            local.request = compiled.create_infer_request()
        return local.request.infer(padded(batch), share_inputs=True)[0]

    return forward


def load_ctranslate2(folder: Path, job: dict[str, Any], streams: int) -> Forward:
    import ctranslate2
    import numpy

    encoder = ctranslate2.Encoder(
        str(folder / "ctranslate2"),
        compute_type={"fp32": "float32"}.get(job["precision"], job["precision"]),
        inter_threads=streams,
        intra_threads=job["threads"] // streams,
    )
    head = numpy.load(folder / "ctranslate2" / "head.npz")
    pre, pre_bias = head["pre_classifier_weight"].T, head["pre_classifier_bias"]
    last, last_bias = head["classifier_weight"].T, head["classifier_bias"]

    def forward(batch: list[list[int]]) -> Any:
        first = numpy.array(encoder.forward_batch(batch).last_hidden_state)[:, 0]
        return numpy.maximum(first @ pre + pre_bias, 0) @ last + last_bias

    return forward


LOADERS = {"onnxruntime": load_onnxruntime, "openvino": load_openvino, "ctranslate2": load_ctranslate2}


def batches_of(ids: list[list[int]], budget: int) -> Iterator[list[int]]:
    """Indices of the texts by falling length, as many to a batch as its padded tokens stay within the budget."""
    batch: list[int] = []
    for i in sorted(range(len(ids)), key=lambda i: -len(ids[i])):
        if batch and (len(batch) + 1) * len(ids[batch[0]]) > budget:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def classify(forward: Forward, job: dict[str, Any], streams: int, budget: int, source: str, out: Path) -> float:
    """Classifies a file of reviews into a file of records; returns the seconds."""
    import numpy

    start = time.perf_counter()
    records = read_records(Path(job["work"]) / f"{source}.jsonl")
    ids = encode(Path(job["folder"]), records)
    batches = list(batches_of(ids, budget))

    def run(batch: list[int]) -> Any:
        logits = forward([ids[i] for i in batch])
        odds = numpy.exp(logits - logits.max(1, keepdims=True))
        return odds / odds.sum(1, keepdims=True)

    if streams == 1:
        results = [run(batch) for batch in batches]
    else:
        with ThreadPoolExecutor(streams) as pool:
            results = list(pool.map(run, batches))
    for batch, rows in zip(batches, results, strict=True):
        for i, row in zip(batch, rows, strict=True):
            records[i] = {"id": records[i]["id"], "label": int(row.argmax()), "p_positive": float(row[job["positive"]])}
    with out.open("w") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    return time.perf_counter() - start


def pick_setting(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Seconds for every tenth text in each setting, after one pass to warm up."""
    out = Path(job["out"])
    tried = []
    for streams in sorted({1, job["threads"]}):
        forward = LOADERS[job["library"]](Path(job["folder"]), job, streams)
        for budget in BUDGETS:
            times = [classify(forward, job, streams, budget, f"{job['load']}-tenth", out) for _ in range(2)]
            tried.append({"streams": streams, "budget": budget, "seconds": times[1]})
    return tried


def run_peer(job: dict[str, Any]) -> float:
    forward = LOADERS[job["library"]](Path(job["folder"]), job, job["streams"])
    setting = (forward, job, job["streams"], job["budget"])
    classify(*setting, f"{job['load']}-tenth", Path(job["out"]))
    return classify(*setting, job["load"], Path(job["out"]))


def run_pipeline(job: dict[str, Any]) -> float:
    import torch
    from transformers import pipeline

    torch.set_num_threads(job["threads"])
    folder = Path(job["folder"]) / "hf"
    pipe = pipeline("text-classification", model=str(folder), dtype=torch.float32, device="cpu")
    positive = pipe.model.config.id2label[job["positive"]]
    cut = {"truncation": True, "max_length": MAX_TOKENS, "top_k": None}

    def run(source: str) -> float:
        start = time.perf_counter()
        records = read_records(Path(job["work"]) / f"{source}.jsonl")
        texts = [record["text"] for record in records]
        if job["batch"] == 1:
            answers = [pipe([text], **cut)[0] for text in texts]
        else:
            answers = pipe(texts, batch_size=job["batch"], **cut)
        with Path(job["out"]).open("w") as file:
            for record, answer in zip(records, answers, strict=True):
                scores = {entry["label"]: entry["score"] for entry in answer}
                line = {"id": record["id"], "label": answer[0]["label"], "p_positive": scores[positive]}
                file.write(json.dumps(line) + "\n")
        return time.perf_counter() - start

    run(f"{job['load']}-tenth")
    return run(job["load"])


def run_gemm(job: dict[str, Any]) -> dict[str, float]:
    """GFLOP/s of [1024, d] x [d, ffn] in threads of their own: the better of MKL and oneDNN's packed weights."""
    import torch

    torch.set_num_threads(1)
    rates = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        if name == "bf16" and not {"avx512_bf16", "amx_bf16"} & set(job["flags"]):
            continue
        x = torch.randn(1024, job["d"]).to(dtype)
        weight = torch.randn(job["ffn"], job["d"]).to(dtype)
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, 1024)
        products = [
            partial(torch.mm, x, weight.t().contiguous()),
            partial(torch.ops.mkldnn._linear_pointwise, x, packed, None, "none", [], ""),
        ]
        for threads in sorted({1, job["threads"]}):
            rates[f"{name} x {threads}"] = max(rate(p, threads) * 2 * x.numel() * job["ffn"] / 1e9 for p in products)
    return rates


def rate(call: Callable[[], Any], threads: int, seconds: float = 1.5) -> float:
    """Calls a second by all threads together; the best of three."""

    def count(_: int) -> float:
        calls, start = 0, time.perf_counter()
        while time.perf_counter() < start + seconds / 3:
            call()
            calls += 1
        return calls / (time.perf_counter() - start)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: call(), range(threads)))
        return max(sum(pool.map(count, range(threads))) for _ in range(3))


def make_artifact(job: dict[str, Any]) -> None:
    MAKERS[job["artifact"]][0](Path(job["folder"]), job)


JOBS = {f.__name__: f for f in (make_texts, make_model, make_artifact, pick_setting, run_peer, run_pipeline, run_gemm)}


def run_job(file: str) -> int:
    """Runs the job that `file` describes and adds its result to it."""
    job = json.loads(Path(file).read_text())
    result = JOBS[job["do"]](job)
    Path(file).write_text(json.dumps({**job, "result": result}))
    sys.stdout.flush()
    # Some libraries crash in their destructors at exit, when all is done.
    os._exit(0)


# --- The parent: starts processes and counts


class Failed(Exception):
    """A process that did not end well."""


def timed(command: list[Any], env: dict[str, str] | None = None, limit: float = 3600) -> tuple[float, float]:
    """Seconds and peak memory in MB of a process; Failed with the last line of its stderr if it fails."""
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        try:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, **(env or {})},
            )
        except OSError as error:
            raise Failed(str(error)) from error
        guard = threading.Timer(limit, process.kill)
        guard.daemon = True  # an interrupted bench ends without waiting for it
        guard.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        guard.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            lines = errors.read().decode(errors="replace").strip().splitlines() or [""]
            raise Failed(f"exit {process.returncode}: {lines[-1][:200]}")
    return seconds, usage.ru_maxrss / 1024


def printed(*command: Any) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


class Bench:
    """The ways, the machine and the work folder."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.work = args.work.resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
        name = re.search(r"model name\s*:\s*(.*)", info)
        self.cpu = name[1] if name else platform.processor()
        flags = re.search(r"^flags\s*:\s*(.*)", info, re.MULTILINE)
        self.flags = [flag for flag in FLAGS if flags and flag in flags[1].split()]
        self.vendor_intel = "GenuineIntel" in info
        self.ways = self.make_ways()
        wanted = args.ways.split(",") if args.ways else list(self.ways)
        if unknown := [w for w in wanted if not any(key.startswith(w) for key in self.ways)]:
            raise SystemExit(f"bench_peers: unknown ways {', '.join(unknown)}; there are {', '.join(self.ways)}")
        self.ways = {key: way for key, way in self.ways.items() if any(key.startswith(w) for w in wanted)}
        self.problems: dict[str, str] = {}  # by artifact, of the shape at hand
        self.says_precision = "--precision" in printed(args.binary, "classify", "--help")

    def make_ways(self) -> dict[str, Way]:
        threads = self.args.threads
        ways = {}
        for precision in self.args.precisions.split(","):
            ways[f"reviewrate-{precision}"] = Way(f"reviewrate {precision}", precision, "reviewrate", ({"j": threads},))
        if threads > 1:
            precision = self.args.precisions.split(",")[0]
            one = Way(f"reviewrate {precision}, 1 worker", precision, "reviewrate", ({"j": 1},))
            ways["reviewrate-one"] = one
        ways["pipeline-1"] = Way("transformers pipeline, one at a time", "fp32", "pipeline", ({"batch": 1},))
        ways["pipeline-16"] = Way("transformers pipeline, batch 16", "fp32", "pipeline", ({"batch": 16},))
        plain, fused = {"artifact": "onnx"}, {"artifact": "onnx-fused"}
        ways["onnxruntime-fp32"] = Way("ONNX Runtime fp32", "fp32", "onnxruntime", (plain, fused))
        plain, fused = {"artifact": "onnx-int8"}, {"artifact": "onnx-fused-int8"}
        ways["onnxruntime-int8"] = Way("ONNX Runtime int8 (dynamic)", "int8", "onnxruntime", (plain, fused))
        hints = ["f32", "bf16"] if {"avx512_bf16", "amx_bf16"} & set(self.flags) else ["f32"]
        for hint in hints:
            precision = {"f32": "fp32"}.get(hint, hint)
            variant = {"artifact": "openvino", "hint": hint}
            ways[f"openvino-{precision}"] = Way(f"OpenVINO {precision}", precision, "openvino", (variant,))
        int8 = tuple({"artifact": "openvino-int8", "hint": hint} for hint in hints)
        ways["openvino-int8"] = Way("OpenVINO int8 (NNCF)", "int8", "openvino", int8)
        # On processors that are not Intel's it does not choose MKL by itself.
        backends = ({},) if self.vendor_intel else ({}, {"env": {"CT2_USE_MKL": "1"}})
        backends = tuple({"artifact": "ctranslate2", **backend} for backend in backends)
        for precision in ("fp32", "int8"):
            ways[f"ctranslate2-{precision}"] = Way(f"CTranslate2 {precision}", precision, "ctranslate2", backends)
        return ways

    def job(self, **job: Any) -> tuple[Any, float]:
        """Runs a job in a process of its own; its result and its peak in MB."""
        file = self.work / "job.json"
        job |= {"work": str(self.work), "threads": self.args.threads, "flags": self.flags}
        file.write_text(json.dumps(job))
        one_each = job.get("streams", 1) > 1 or job["do"] == "run_gemm"
        threads = str(1 if one_each else self.args.threads)
        env = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "RAYON_NUM_THREADS": str(self.args.threads)}
        env |= {"TOKENIZERS_PARALLELISM": "true", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
        # numpy's own threads would only get in the way of the libraries'.
        env |= {"OPENBLAS_NUM_THREADS": "1", **job.get("env", {})}
        _, peak = timed([sys.executable, __file__, "--one", file], env)
        return json.loads(file.read_text())["result"], peak

    def prepare(self, shape: str) -> dict[str, Any]:
        """Makes the shape's model and what the ways need of it; the problems of those that cannot be made."""
        folder = self.work / shape
        folder.mkdir(exist_ok=True)
        say(f"{shape}: making the model")
        sizes, _ = self.job(do="make_model", shape=shape, model=str(self.args.model), folder=str(folder))
        sizes["folder"] = str(folder)
        self.problems = {}
        self.package = self.args.package if shape == "small" else self.args.base_package
        if self.package is None:
            self.package = folder / "package"
            export = [sys.executable, ROOT / "scripts" / "export.py", folder / "hf", "-o", self.package]
            try:
                timed([*export, "--force", "--license", "Apache-2.0"])
            except Failed as failed:
                self.problems["package"] = str(failed)
                say(f"{shape}: the package: {failed}")
        needed = {variant.get("artifact", "") for way in self.ways.values() for variant in way.variants}
        for artifact in MAKERS:  # in an order in which what one needs comes before it
            if any(name == artifact or name.startswith(f"{artifact}-") for name in needed):
                say(f"{shape}: making {artifact}")
                try:
                    if needs := self.problems.get(MAKERS[artifact][1]):
                        raise Failed(needs)
                    self.job(do="make_artifact", artifact=artifact, **sizes)
                except Failed as failed:
                    self.problems[artifact] = str(failed)
                    say(f"{shape}: {artifact}: {failed}")
        return sizes

    def reviewrate(self, precision: str, workers: int, *words: Any) -> tuple[float, float]:
        command = [self.args.binary, "classify", "-q", "-m", self.package, "--long-text", "head", "-j", workers]
        if self.says_precision:
            command += ["--precision", precision]
        return timed([*command, "-f", "jsonl", *words])

    def tune(self, way: Way, load: str, sizes: dict[str, Any], found: Measured) -> None:
        """Chooses the way's setting: the fastest of its variants, streams and budgets on every tenth text."""
        if way.library not in LOADERS:
            found.setting = dict(way.variants[0])
            found.problem = self.problems.get("package", "") if way.library == "reviewrate" else ""
            return
        common = {"library": way.library, "precision": way.precision, "load": load, **sizes}
        for variant in way.variants:
            try:
                if problem := self.problems.get(variant["artifact"]):
                    raise Failed(problem)
                tried, _ = self.job(do="pick_setting", out=str(self.work / "out.jsonl"), **common, **variant)
                found.tried += [{**variant, **entry} for entry in tried]
            except Failed as failed:
                found.problem = str(failed)
        if found.tried:
            found.problem = ""
            best = min(found.tried, key=lambda entry: entry["seconds"])
            found.setting = {key: value for key, value in best.items() if key != "seconds"}

    def measure(self, way: Way, load: str, sizes: dict[str, Any], found: Measured) -> None:
        """One round of one way."""
        out = self.work / "out.jsonl"
        out.unlink(missing_ok=True)
        if way.library == "reviewrate":
            words = (way.precision, found.setting["j"])
            start = statistics.median(self.reviewrate(*words, "-t", TEXT)[0] for _ in range(3))
            whole, peak = self.reviewrate(*words, self.work / f"{load}.jsonl", "-o", out)
            found.whole.append(whole)
            seconds = whole - start
        else:
            do = "run_pipeline" if way.library == "pipeline" else "run_peer"
            common = {"library": way.library, "precision": way.precision, "load": load, "out": str(out), **sizes}
            seconds, peak = self.job(do=do, **common, **found.setting)
        found.seconds.append(seconds)
        found.peaks.append(peak)
        found.answers = [record["p_positive"] for record in read_records(out)]

    def starts(self, sizes: dict[str, Any]) -> dict[str, list[float]]:
        """Seconds of processes that classify one review, each started anew."""
        code = (
            "import sys; from transformers import pipeline; "
            "print(pipeline('text-classification', model=sys.argv[1], device='cpu')(sys.argv[2], truncation=True))"
        )
        seconds: dict[str, list[float]] = {}
        calls = {
            "transformers pipeline": (5, partial(timed, [sys.executable, "-c", code, f"{sizes['folder']}/hf", TEXT]))
        }
        for precision in self.args.precisions.split(","):
            calls[f"reviewrate {precision}"] = (20, partial(self.reviewrate, precision, self.args.threads, "-t", TEXT))
        if self.args.empty:
            calls[f"{self.args.empty.name} (does nothing)"] = (20, partial(timed, [self.args.empty]))
        for name, (count, call) in calls.items():
            try:
                call()  # brings the files into memory
                seconds[name] = [call()[0] for _ in range(count)]
            except Failed as failed:
                say(f"start of {name}: {failed}")
        return seconds


# --- What comes out


def needed_flops(lengths: list[int], d: int, ffn: int, layers: int) -> float:
    """Floating-point operations that the answers need, in the model alone.

    The last layer needs keys and values of every token, but all else of each text's first token only.
    """
    total = 0.0
    linear, one_token = 2 * (4 * d * d + 2 * d * ffn), 2 * (2 * d * d + 2 * d * ffn)
    for n in lengths:
        total += (layers - 1) * (n * linear + 4 * n * n * d)
        total += n * 2 * 2 * d * d + one_token + 4 * n * d + 2 * d * d
    return total


def describe(setting: dict[str, Any], threads: int) -> str:
    """The setting in words."""
    if "j" in setting:
        return f"-j {setting['j']}"
    if "batch" in setting or not setting:
        return ""
    words = ["one at a time" if setting["budget"] == 0 else f"batches of {setting['budget']} tokens"]
    words.append(f"{setting['streams']} x {threads // setting['streams']} threads")
    words += ["fused"] if "fused" in setting["artifact"] else []
    words += [f"rest in {setting['hint']}"] if "int8" in setting["artifact"] and "hint" in setting else []
    words += ["MKL"] if "env" in setting else []
    return ", ".join(words)


def table(bench: Bench, found: dict[str, Measured], lengths: list[int]) -> Iterator[str]:
    """The Markdown rows of one shape and load; fills in each way's rates, ratios and difference in `found`'s order."""
    rates = {key: len(lengths) / statistics.median(m.seconds) for key, m in found.items() if m.seconds}
    exact = [key for key in ("pipeline-1", *found) if key in rates and bench.ways[key].precision == "fp32"]
    yield "| way | setting | reviews/s | whole process | tokens/s | x pipeline | reviewrate / it | peak MB | largest diff. |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|--:|"
    for key, m in found.items():
        way = bench.ways[key]
        if key not in rates:
            yield f"| {way.title} | does not run: {m.problem.replace('|', '/')} | | | | | | | |"
            continue
        whole = f"{len(lengths) / statistics.median(m.whole):.1f}" if m.whole else ""
        pipeline = f"{rates[key] / rates['pipeline-1']:.2f}" if "pipeline-1" in rates else ""
        own = [f"reviewrate-{precision}" for precision in (way.precision, "fp32")]
        own = [name for name in own if name in rates]
        ratio = f"{rates[own[0]] / rates[key]:.2f}" if own and way.library != "reviewrate" else ""
        against = found[exact[0]].answers if exact else m.answers
        difference = max(abs(a - b) for a, b in zip(m.answers, against, strict=True))
        # Written so that not a number is marked, too.
        wrong = way.precision == "fp32" and not difference <= AGREE
        mark = " **differs**" if wrong or math.isnan(difference) else ""
        tokens = rates[key] * sum(lengths) / len(lengths)
        cells = [way.title, describe(m.setting, bench.args.threads), f"{rates[key]:.1f}", whole, f"{tokens:,.0f}"]
        yield "| " + " | ".join([*cells, pipeline, ratio, f"{max(m.peaks):.0f}", f"{difference:.1e}{mark}"]) + " |"


def remarks(
    bench: Bench, found: dict[str, Measured], lengths: list[int], gemm: dict[str, float], sizes: dict[str, Any]
) -> Iterator[str]:
    """Share of the machine's matrix products, and the gain of more workers."""
    threads = bench.args.threads
    yield "GEMM, GFLOP/s: " + ", ".join(f"{name} thread(s) {rate:.0f}" for name, rate in gemm.items()) + "."
    flops = needed_flops(lengths, sizes["d"], sizes["ffn"], sizes["layers"])
    peak = gemm.get(f"fp32 x {threads}")
    if (m := found.get("reviewrate-fp32")) and m.seconds and peak:
        reached = flops / statistics.median(m.seconds) / 1e9
        yield f"reviewrate fp32 needs {flops / 1e12:.2f} TFLOP and does {reached:.0f} GFLOP/s: {reached / peak:.0%} of it."
    all_of = found.get(f"reviewrate-{bench.args.precisions.split(',')[0]}")
    one = found.get("reviewrate-one")
    if peak and all_of and one and all_of.seconds and one.seconds:
        gain = statistics.median(one.seconds) / statistics.median(all_of.seconds)
        yield f"{threads} workers: {gain:.2f} times one worker; GEMM: {peak / gemm['fp32 x 1']:.2f} times one thread."


def heading(bench: Bench) -> dict[str, Any]:
    names = ["torch", "transformers", "tokenizers", "onnxruntime", "openvino", "nncf", "ctranslate2"]
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "missing"
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": bench.cpu,
        "flags": bench.flags,
        "threads": bench.args.threads,
        "load_average": os.getloadavg()[0],
        "versions": {
            "program": printed(bench.args.binary, "--version"),
            "python": platform.python_version(),
            **versions,
        },
    }


def parse_arguments() -> argparse.Namespace:
    summary, _, details = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--one", metavar="JOB", help=argparse.SUPPRESS)
    add("--model", metavar="DIR", type=Path, help="Hugging Face folder of the model")
    add("--package", metavar="DIR", type=Path, help="its reviewrate package (default: exported from --model)")
    add("--base-package", metavar="DIR", type=Path, help="package of the base shape (default: exported)")
    add("--reviews", metavar="FILE", type=Path, help="jsonl or jsonl.xz with the field text")
    add("--where", metavar="FIELD=VALUE", default="", help="only these reviews of the file")
    add("--binary", type=Path, default=ROOT / "build" / "reviewrate", help="default: build/reviewrate")
    add("--precisions", default="fp32", help="of reviewrate, comma-separated (default: %(default)s)")
    add("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of every way (default: all, %(default)s)")
    add("--count", type=int, default=500, help="reviews (default: %(default)s)")
    add("--sentences", type=int, default=3000, help="sentences (default: %(default)s)")
    add("--rounds", type=int, default=3, help="default: %(default)s")
    add("--ways", metavar="WAY,...", default="", help="only ways that begin so, such as reviewrate,openvino-fp32")
    add("--shapes", default="small,base", help="default: %(default)s")
    add("--loads", default="reviews,sentences", help="default: %(default)s")
    add("--no-starts", action="store_true", help="leave out the start-up times")
    add("--empty", metavar="PROGRAM", type=Path, help="a program that only loads libtorch, to time its start as well")
    add("--json", metavar="FILE", type=Path, help="everything that was measured")
    add("--work", type=Path, default=ROOT / ".work" / "bench", help="models and texts (default: .work/bench)")
    add("--venv", type=Path, default=ROOT / ".venv-bench", help="of the peers (default: .venv-bench)")
    args = parser.parse_args()
    if not args.one:
        if not args.model or not args.reviews:
            parser.error("--model and --reviews are needed")
        for path in (args.model, args.reviews, args.binary):
            if not path.exists():
                parser.error(f"{path}: no such file or folder")
        args.binary = args.binary.resolve()
        args.model = args.model.resolve()
    return args


def main() -> int:
    args = parse_arguments()
    if args.one:
        return run_job(args.one)
    enter_venv(args.venv)
    bench = Bench(args)
    head = heading(bench)
    say(f"load average {head['load_average']:.2f}; nothing else should run")
    texts = {"reviews": str(args.reviews.resolve()), "where": args.where, "model": str(args.model)}
    lengths, _ = bench.job(do="make_texts", count=args.count, sentences=args.sentences, **texts)

    print(f"{head['cpu']} ({' '.join(head['flags'])}), {args.threads} threads, {head['date']}, load average", end=" ")
    print(
        f"{head['load_average']:.2f} before. "
        + ", ".join(" ".join(entry) for entry in head["versions"].items())
        + ".\n"
    )
    print(
        f"Median of {args.rounds} rounds. reviewrate's reviews/s are those after its start, as the peers' are;"
        " `whole process` includes it. `reviewrate / it`: reviewrate of the same precision (fp32 where there is none)"
        " over this way. `largest diff.`: of the probability of POSITIVE, from the pipeline's (without it, the first"
        f" fp32 way's); an fp32 way beyond {AGREE:g} is marked.\n"
    )
    everything: dict[str, Any] = {**head, "results": []}

    def keep(result: dict[str, Any]) -> None:
        everything["results"].append(result)
        if args.json:
            args.json.write_text(json.dumps(everything, indent=1) + "\n")

    for shape in args.shapes.split(","):
        sizes = bench.prepare(shape)
        title = f"{shape} ({sizes['layers']} x {sizes['d']})"
        for load in args.loads.split(","):
            found = {key: Measured() for key in bench.ways}
            for key, m in found.items():
                say(f"{shape}, {load}: choosing the setting of {key}")
                bench.tune(bench.ways[key], load, sizes, m)
            rounds: list[dict[str, float]] = []
            for number in range(args.rounds):
                for key, m in found.items():
                    if m.problem:
                        continue
                    try:
                        bench.measure(bench.ways[key], load, sizes, m)
                        say(f"{shape}, {load}, round {number + 1}: {key} {m.seconds[-1]:.2f} s")
                    except Failed as failed:
                        m.problem = str(failed)
                        say(f"{shape}, {load}, round {number + 1}: {key}: {failed}")
                rounds.append(bench.job(do="run_gemm", **sizes)[0])
            gemm = {name: statistics.median(entry[name] for entry in rounds) for name in rounds[0]}
            n = len(lengths[load])
            print(f"### {title}, {n} {load}, {sum(lengths[load]) / n:.0f} tokens each on average\n")
            print("\n".join(table(bench, found, lengths[load])) + "\n")
            print(" ".join(remarks(bench, found, lengths[load], gemm, sizes)) + "\n", flush=True)
            ways = {key: {**vars(m), "title": bench.ways[key].title} for key, m in found.items()}
            entry = {"shape": shape, "load": load, "lengths": lengths[load], "sizes": sizes, "gemm": rounds}
            keep({**entry, "ways": ways})
        if not args.no_starts:
            say(f"{shape}: start-up")
            starts = bench.starts(sizes)
            print(f"### {title}, one review, a new process each (files in memory)\n")
            print("| way | median s | calls |\n|---|--:|--:|")
            for name, seconds in starts.items():
                print(f"| {name} | {statistics.median(seconds):.3f} | {len(seconds)} |")
            print(flush=True)
            keep({"shape": shape, "starts": starts})
    return 0


if __name__ == "__main__":
    sys.exit(main())
