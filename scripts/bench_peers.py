#!/usr/bin/env python3
"""Measures reviewrate beside the other ways to run the same classifier on this machine's CPU: a bench to repeat.

    scripts/bench_peers.py --reviews REVIEWS.jsonl --json bench.json > bench.md

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
import importlib.metadata
import json
import lzma
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from subprocess import SubprocessError
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
CPU = dict(re.findall(r"^(.*?)\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
FLAGS = ["avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8"]
FLAGS = [flag for flag in FLAGS if flag in CPU.get("flags", "").split()]
# OpenVINO's names of the precisions, of which bf16 is only measured where the CPU has it.
HINTS = {"fp32": "f32"} | ({"bf16": "bf16"} if {"avx512_bf16", "amx_bf16"} & set(FLAGS) else {})


def say(*words: object) -> None:
    print(time.strftime("%H:%M:%S"), *words, file=sys.stderr, flush=True)


# --- The venv of the peers


def enter_venv() -> None:
    """Installs the peers into .venv-bench unless they are there, and goes on in it."""
    folder = ROOT / ".venv-bench"
    python = folder / "bin" / "python"
    mark = folder / "installed"
    wanted = "\n".join([TORCH, *PACKAGES])
    if not mark.is_file() or mark.read_text() != wanted:
        say(f"installing the peers into {folder}")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [python, "-m", "pip", "install", "-q", "--progress-bar", "off"]
        subprocess.run([*pip, "--extra-index-url", TORCH_INDEX, TORCH], stdout=sys.stderr, check=True)
        # Each by itself: one that cannot be had is a row saying so.
        if not sum(subprocess.call([*pip, *names.split()], stdout=sys.stderr) for names in PACKAGES):
            mark.write_text(wanted)
    if Path(sys.prefix).resolve() != folder.resolve():
        os.execv(python, [str(python), *sys.argv])


# --- Jobs: what runs in a process of its own. Each takes a job and returns what JSON can hold. Its working folder is
# the shape's, with the model's forms (`hf`, `onnx` and so on) in it; the loads' texts lie one folder above.

Job = dict[str, Any]


def read_texts(load: str) -> list[str]:
    with Path("..", f"{load}.jsonl").open() as lines:
        return [json.loads(line)["text"] for line in lines]


def make_texts(job: Job) -> None:
    """Writes both loads, and calibration reviews that are not in them."""
    path = Path(job["reviews"])
    name, _, value = job["where"].partition("=")
    with lzma.open(path, "rt") if path.suffix == ".xz" else path.open() as lines:
        records = (json.loads(line) for line in lines)
        texts = [record["text"] for record in records if not name or str(record.get(name)) == value]
    count = min(job["count"], len(texts))
    chosen = [i * len(texts) // count for i in range(count)]
    others = sorted(set(range(len(texts))) - set(chosen)) or chosen
    sentences: list[str] = []
    source = iter([*chosen, *others])
    while len(sentences) < job["sentences"] and (i := next(source, None)) is not None:
        pieces = re.split(r"(?<=[.!?])\s+", re.sub(r"<br ?/?>|\s+", " ", texts[i]))
        sentences += [piece.strip() for piece in pieces if 3 <= len(piece.split()) <= 60]
    loads = {
        "reviews": [texts[i] for i in chosen],
        "sentences": sentences[: job["sentences"]],
        "calibration": [texts[others[i * len(others) // 64]] for i in range(64)],
    }
    for load, items in loads.items():
        lines = (json.dumps({"id": str(i), "text": text}) + "\n" for i, text in enumerate(items))
        Path("..", f"{load}.jsonl").write_text("".join(lines))


def make_model(job: Job) -> dict[str, Any]:
    """Makes the loads and the shape's Hugging Face folder, rounded to fp16; returns its sizes and the loads' lengths.

    Its weights are the given package's in the small shape, its tokenizer is in both.
    """
    import torch
    from transformers import DistilBertConfig, DistilBertForSequenceClassification, DistilBertTokenizerFast

    from export import rounded
    from native_distilbert import to_transformers

    make_texts(job)
    given = Path(job["given"])
    manifest = json.loads((given / "manifest.json").read_text())
    kind, words = manifest["model"]["interface"], manifest["tokenizer"]
    if (kind, words["kind"], manifest["max_tokens"]) != ("packed", "wordpiece", MAX_TOKENS):
        sys.exit(f"{given}: only a native DistilBERT with WordPiece and {MAX_TOKENS} tokens has peers to run it")
    vocab = str(given / words["files"]["vocab"]["file"])
    tokenizer = DistilBertTokenizerFast(vocab, do_lower_case=words["lowercase"], model_max_length=MAX_TOKENS)
    if job["shape"] == "small":
        model = to_transformers(torch.jit.load(given / manifest["model"]["file"]), manifest["labels"])
        positive = manifest["labels"].index(manifest["positive"])
    else:
        torch.manual_seed(1)
        config = DistilBertConfig(vocab_size=len(tokenizer), id2label={0: "NEGATIVE", 1: "POSITIVE"})
        model = DistilBertForSequenceClassification(config).eval()
        positive = 1
        with torch.no_grad():
            # Untrained, all probabilities would lie near 0.5; spread out, a difference between two ways shows.
            texts = read_texts("reviews")[:32]
            batch = tokenizer(texts, truncation=True, max_length=256, padding=True, return_tensors="pt")
            logits = model(**batch).logits
            model.classifier.weight.mul_(20)
            model.classifier.bias.copy_(-logits.mean(0) * 20)
    rounded(model).save_pretrained("hf")
    tokenizer.save_pretrained("hf")
    c = model.config
    sizes = {"d": c.dim, "ffn": c.hidden_dim, "layers": c.n_layers, "heads": c.n_heads, "positive": positive}
    lengths = {load: [len(ids) for ids in encode(read_texts(load))] for load in ("reviews", "sentences")}
    return {"sizes": sizes, "lengths": lengths}


def make_package(job: Job) -> None:
    import export

    if code := export.main(["hf", "-o", "package", "--force", "--reviewrate", job["binary"]]):
        sys.exit(code)


def traceable() -> tuple[Any, tuple[Any, Any]]:
    """The model with two plain inputs, and an example of them with padding, so that the mask stays in the graph."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from export import Traceable

    model = AutoModelForSequenceClassification.from_pretrained("hf", attn_implementation="sdpa")
    mask = torch.ones(2, 9, dtype=torch.int64)
    mask[1, 5:] = 0
    return Traceable(model).eval(), (torch.arange(1000, 1018).view(2, 9), mask)


def make_onnx(job: Job) -> None:
    import torch

    model, example = traceable()
    inputs, axes = ["input_ids", "attention_mask"], {0: "texts", 1: "tokens"}
    names = {"input_names": inputs, "output_names": ["logits"]}
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

    options = {"op_types_to_quantize": ["MatMul", "Gemm", "Attention"], "weight_type": QuantType.QInt8}
    # Without VNNI, sums of 8-bit products can overflow.
    options["reduce_range"] = not {"avx512_vnni", "avx_vnni"} & set(FLAGS)
    # The type of what the fused operators give.
    options["extra_options"] = {"DefaultTensorType": TensorProto.FLOAT}
    quantize_dynamic(job["do"].removesuffix("-int8"), job["do"], per_channel=True, **options)


def make_openvino(job: Job) -> None:
    import openvino

    model, example = traceable()
    openvino.save_model(openvino.convert_model(model, example_input=example), "openvino.xml", False)


def make_openvino_int8(job: Job) -> None:
    """Post-training quantization by NNCF, weights and activations, calibrated on 64 reviews outside the bench."""
    import nncf
    import openvino

    ids = encode(read_texts("calibration"))
    dataset = nncf.Dataset(ids, lambda row: padded([row]))
    model = openvino.Core().read_model("openvino.xml")
    quantized = nncf.quantize(model, dataset, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(ids))
    openvino.save_model(quantized, "openvino-int8.xml", False)


def make_ctranslate2(job: Job) -> None:
    import ctranslate2

    ctranslate2.converters.TransformersConverter("hf").convert("ctranslate2", force=True)


# What the ways need: each is made from those whose names it begins with, which stand before it.
MAKERS: dict[str, Callable[[Job], None]] = {
    "package": make_package,
    "onnx": make_onnx,
    "onnx-fused": make_onnx_fused,
    "onnx-int8": make_onnx_int8,
    "onnx-fused-int8": make_onnx_int8,
    "openvino": make_openvino,
    "openvino-int8": make_openvino_int8,
    "ctranslate2": make_ctranslate2,
}


def encode(texts: list[str]) -> list[list[int]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file("hf/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return [encoding.ids for encoding in tokenizer.encode_batch(texts)]


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


def load_onnxruntime(job: Job, streams: int) -> Forward:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"] // streams
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.enable_mem_pattern = False  # it is for inputs of one size
    session = onnxruntime.InferenceSession(job["artifact"], options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    return lambda batch: session.run(None, dict(zip(names, padded(batch), strict=True)))[0]


def load_openvino(job: Job, streams: int) -> Forward:
    import openvino

    # The hint is what else than int8 layers computes in; without it a CPU that has bf16 would use that for fp32.
    hints = {"INFERENCE_PRECISION_HINT": job["hint"]}
    hints |= {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": job["threads"]}
    compiled = openvino.Core().compile_model(f"{job['artifact']}.xml", "CPU", hints)
    local = threading.local()

    def forward(batch: list[list[int]]) -> Any:
        if not hasattr(local, "request"):
            local.request = compiled.create_infer_request()
        return local.request.infer(padded(batch), share_inputs=True)[0]

    return forward


def load_ctranslate2(job: Job, streams: int) -> Forward:
    import ctranslate2
    import numpy
    from safetensors import safe_open

    threads = {"inter_threads": streams, "intra_threads": job["threads"] // streams}
    compute_type = job["precision"].replace("fp32", "float32")
    encoder = ctranslate2.Encoder("ctranslate2", compute_type=compute_type, **threads)
    # CTranslate2 runs the encoder alone; the head is two small products.
    names = ("pre_classifier.weight", "pre_classifier.bias", "classifier.weight", "classifier.bias")
    with safe_open("hf/model.safetensors", "numpy") as weights:
        pre, pre_bias, last, last_bias = map(weights.get_tensor, names)

    def forward(batch: list[list[int]]) -> Any:
        first = numpy.array(encoder.forward_batch(batch).last_hidden_state)[:, 0]
        return numpy.maximum(first @ pre.T + pre_bias, 0) @ last.T + last_bias

    return forward


LOADERS = {"onnxruntime": load_onnxruntime, "openvino": load_openvino, "ctranslate2": load_ctranslate2}

# From texts to the probabilities of each one's labels.
Answer = Callable[[list[str]], list[list[float]]]


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


def batched(forward: Forward, streams: int, budget: int) -> Answer:
    import numpy

    def answer(texts: list[str]) -> list[list[float]]:
        ids = encode(texts)
        batches = list(batches_of(ids, budget))

        def run(batch: list[int]) -> list[list[float]]:
            logits = forward([ids[i] for i in batch])
            odds = numpy.exp(logits - logits.max(1, keepdims=True))
            return (odds / odds.sum(1, keepdims=True)).tolist()

        with ThreadPoolExecutor(streams) as pool:
            results = list((pool.map if streams > 1 else map)(run, batches))
        answers: list[list[float]] = [[]] * len(ids)
        for batch, rows in zip(batches, results, strict=True):
            for i, row in zip(batch, rows, strict=True):
                answers[i] = row
        return answers

    return answer


def load_pipeline(job: Job) -> Answer:
    import torch
    from transformers import pipeline

    torch.set_num_threads(job["threads"])
    pipe = pipeline("text-classification", model="hf", dtype=torch.float32, device="cpu")
    labels = [pipe.model.config.id2label[i] for i in range(pipe.model.config.num_labels)]
    cut = {"truncation": True, "max_length": MAX_TOKENS, "top_k": None}

    def answer(texts: list[str]) -> list[list[float]]:
        if job["batch"] == 1:
            answers = [pipe([text], **cut)[0] for text in texts]
        else:
            answers = pipe(texts, batch_size=job["batch"], **cut)
        scores = [{entry["label"]: entry["score"] for entry in answer} for answer in answers]
        return [[row[label] for label in labels] for row in scores]

    return answer


def classify(answer: Answer, job: Job, step: int = 1) -> float:
    """Classifies each `step`th text of the load into a file of records; returns the seconds."""
    start = time.perf_counter()
    rows = answer(read_texts(job["load"])[::step])
    with open("out.jsonl", "w") as out:
        for i, row in enumerate(rows):
            record = {"id": str(i), "label": row.index(max(row)), "p_positive": row[job["positive"]]}
            out.write(json.dumps(record) + "\n")
    return time.perf_counter() - start


def pick_setting(job: Job) -> list[dict[str, Any]]:
    """Seconds for every tenth text in each setting, after one pass to warm up."""
    tried = []
    for streams in sorted({1, job["threads"]}):
        forward = LOADERS[job["library"]](job, streams)
        for budget in BUDGETS:
            answer = batched(forward, streams, budget)
            classify(answer, job, 10)
            tried.append({"streams": streams, "budget": budget, "seconds": classify(answer, job, 10)})
    return tried


def run_peer(job: Job) -> float:
    if job["library"] == "pipeline":
        answer = load_pipeline(job)
    else:
        answer = batched(LOADERS[job["library"]](job, job["streams"]), job["streams"], job["budget"])
    classify(answer, job, 10)
    return classify(answer, job)


def run_gemm(job: Job) -> dict[str, float]:
    """GFLOP/s of [1024, d] x [d, ffn] in threads of their own: the better of MKL and oneDNN's packed weights."""
    import torch

    torch.set_num_threads(1)
    rates = {}
    for name in HINTS:
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[name]
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


JOBS = {**MAKERS, **{f.__name__: f for f in (make_model, pick_setting, run_peer, run_gemm)}}


def run_job(file: Path) -> None:
    """Runs the job that `file` describes and puts its result in the file's place."""
    job = json.loads(file.read_text())
    file.write_text(json.dumps(JOBS[job["do"]](job)))
    # Some libraries crash in their destructors at exit, when all is done.
    os._exit(0)


# --- The parent: starts processes and counts


def timed(command: list[Any], **options: Any) -> tuple[float, float]:
    """Seconds and peak memory in MB of a process; SubprocessError with the last line of its stderr if it fails."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    start = time.perf_counter()
    with subprocess.Popen([str(word) for word in command], text=True, errors="replace", **quiet, **options) as process:
        lines = process.stderr.read().strip().splitlines() or [""]
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SubprocessError(f"exit {process.returncode}: {lines[-1][:200]}")
    return seconds, usage.ru_maxrss / 1024


@dataclass
class Way:
    """One way to classify, and what is known of it on one load: seconds a round, peaks in MB, probabilities.

    Of its variants, each an artifact to load and options, the fastest is measured.
    """

    library: str
    precision: str
    variants: list[dict[str, Any]]
    tried: list[dict[str, Any]] = field(default_factory=list)
    setting: dict[str, Any] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)  # of reviewrate, with its start
    peaks: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)  # of POSITIVE
    problem: str = ""


def make_ways(args: argparse.Namespace) -> dict[str, Way]:
    """The ways that are asked for, by library and precision; nothing known of them yet."""
    ways = {f"reviewrate-{p}": [{"artifact": "package", "j": args.threads}] for p in (*HINTS, "int8")}
    if args.threads > 1:
        ways["reviewrate-fp32-one"] = [{"artifact": "package", "j": 1}]
    ways |= {f"pipeline-fp32-{n}": [{"artifact": "hf", "batch": n}] for n in (1, 16)}
    ways["onnxruntime-fp32"] = [{"artifact": "onnx"}, {"artifact": "onnx-fused"}]
    ways["onnxruntime-int8"] = [{"artifact": "onnx-int8"}, {"artifact": "onnx-fused-int8"}]
    ways |= {f"openvino-{p}": [{"artifact": "openvino", "hint": hint}] for p, hint in HINTS.items()}
    ways["openvino-int8"] = [{"artifact": "openvino-int8", "hint": hint} for hint in HINTS.values()]
    # On processors that are not Intel's it does not choose MKL by itself.
    mkl = [] if CPU.get("vendor_id") == "GenuineIntel" else [{"artifact": "ctranslate2", "CT2_USE_MKL": "1"}]
    ways |= {f"ctranslate2-{p}": [{"artifact": "ctranslate2"}, *mkl] for p in ("fp32", "int8")}
    wanted = tuple(args.ways.split(","))
    return {key: Way(*key.split("-")[:2], variants) for key, variants in ways.items() if key.startswith(wanted)}


class Shape:
    """A shape's model in the forms that the ways need."""

    def __init__(self, args: argparse.Namespace, name: str) -> None:
        self.args = args
        self.sizes: dict[str, int] = {}
        self.folder = Path(args.work, name)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.package = args.model if name == "small" else self.folder / "package"
        self.made = {"package"} if name == "small" else set()
        say(f"{name}: making the model")
        options = {"reviews": args.reviews, "where": args.where, "count": args.count, "sentences": args.sentences}
        made, _ = self.job("make_model", shape=name, given=args.model, **options)
        self.sizes, self.lengths = made["sizes"], made["lengths"]
        self.title = f"{name} ({self.sizes['layers']} x {self.sizes['d']})"

    def make(self, artifact: str) -> None:
        """Makes an artifact, and what it is made from, unless they are there."""
        for name in MAKERS:
            if artifact.startswith(name) and name not in self.made:
                say(f"{self.title}: making {name}")
                self.job(name, binary=self.args.binary)
                self.made.add(name)

    def job(self, do: str, **job: Any) -> tuple[Any, float]:
        """Runs a job in a process of its own; its result and its peak in MB."""
        file = self.folder / "job.json"
        file.write_text(json.dumps({"do": do, "threads": self.args.threads, **self.sizes, **job}))
        threads = str(1 if job.get("streams", 1) > 1 or do == "run_gemm" else self.args.threads)
        env = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "RAYON_NUM_THREADS": str(self.args.threads)}
        env |= {"TOKENIZERS_PARALLELISM": "true", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
        # numpy's own threads would only get in the way of the libraries'.
        env |= {"OPENBLAS_NUM_THREADS": "1", **{name: value for name, value in job.items() if name.isupper()}}
        _, peak = timed([sys.executable, __file__, "--job", file], env={**os.environ, **env}, cwd=self.folder)
        return json.loads(file.read_text()), peak

    def reviewrate(self, precision: str, workers: int, *words: Any) -> tuple[float, float]:
        command = [self.args.binary, "classify", "-q", "-m", self.package, "--precision", precision, "-j", workers]
        return timed([*command, "--long-text", "head", "-f", "jsonl", *words])

    def tune(self, way: Way, load: str) -> None:
        """Chooses the way's setting: the fastest of its variants, streams and budgets on every tenth text."""
        for variant in way.variants:
            try:
                self.make(variant["artifact"])
                tried = [{"seconds": 0}]
                if way.library in LOADERS:
                    job = {"library": way.library, "precision": way.precision, "load": load, **variant}
                    tried, _ = self.job("pick_setting", **job)
                way.tried += [{**variant, **entry} for entry in tried]
            except SubprocessError as failed:
                way.problem = str(failed)
                say(f"{self.title}, {load}: {variant}: {failed}")
        if way.tried:
            way.problem = ""
            best = min(way.tried, key=lambda entry: entry["seconds"])
            way.setting = {key: value for key, value in best.items() if key != "seconds"}

    def measure(self, way: Way, load: str) -> None:
        """One round of one way."""
        out = self.folder / "out.jsonl"
        out.unlink(missing_ok=True)
        if way.library == "reviewrate":
            words = (way.precision, way.setting["j"])
            start = statistics.median(self.reviewrate(*words, "-t", TEXT)[0] for _ in range(3))
            whole, peak = self.reviewrate(*words, self.folder.parent / f"{load}.jsonl", "-o", out)
            way.whole.append(whole)
            seconds = whole - start
        else:
            job = {"library": way.library, "precision": way.precision, "load": load, **way.setting}
            seconds, peak = self.job("run_peer", **job)
        way.seconds.append(seconds)
        way.peaks.append(peak)
        with out.open() as lines:
            way.answers = [json.loads(line)["p_positive"] for line in lines]

    def print_starts(self) -> dict[str, list[float]]:
        """Seconds of processes that classify one review, each started anew."""
        say(f"{self.title}: start-up")
        code = (
            "import sys; from transformers import pipeline; "
            "print(pipeline('text-classification', model=sys.argv[1], device='cpu')(sys.argv[2], truncation=True))"
        )
        calls = {"transformers pipeline": partial(timed, [sys.executable, "-c", code, self.folder / "hf", TEXT])}
        calls["reviewrate --version, which only loads libtorch"] = partial(timed, [self.args.binary, "--version"])
        for precision in (*HINTS, "int8"):
            calls[f"reviewrate {precision}"] = partial(self.reviewrate, precision, self.args.threads, "-t", TEXT)
        print(f"### {self.title}, one review, a new process each (files in memory)\n")
        print("| way | median s of 20 | peak MB |\n|---|--:|--:|")
        seconds = {}
        for name, call in calls.items():
            call()  # brings the files into memory
            runs = [call() for _ in range(20)]
            seconds[name] = [run[0] for run in runs]
            print(f"| {name} | {statistics.median(seconds[name]):.3f} | {max(run[1] for run in runs):.0f} |")
        print(flush=True)
        return seconds


# --- What comes out


def needed_flops(lengths: list[int], d: int, ffn: int, layers: int) -> int:
    """Floating-point operations that the answers need, in the model alone.

    The last layer needs keys and values of every token, but all else of each text's first token only.
    """
    linear, one_token = 2 * (4 * d * d + 2 * d * ffn), 2 * (2 * d * d + 2 * d * ffn)
    layer = sum(n * linear + 4 * n * n * d for n in lengths)
    return (layers - 1) * layer + sum(n * 4 * d * d + one_token + 4 * n * d + 2 * d * d for n in lengths)


def table(ways: dict[str, Way], rates: dict[str, float]) -> Iterator[str]:
    """The Markdown rows of one shape and load."""
    exact = next((key for key in ("pipeline-fp32-1", *ways) if key in rates and ways[key].precision == "fp32"), None)
    yield "| way | setting | reviews/s | whole process | reviewrate / it | peak MB | largest diff. |"
    yield "|---|---|--:|--:|--:|--:|--:|"
    for key, way in ways.items():
        if key not in rates:
            yield f"| {key} | does not run: {way.problem.replace('|', '/')} | | | | | |"
            continue
        setting = ", ".join(f"{name} {value}" for name, value in way.setting.items())
        whole = f"{len(way.answers) / statistics.median(way.whole):.1f}" if way.whole else ""
        own = rates.get(f"reviewrate-{way.precision}")
        ratio = f"{own / rates[key]:.2f}" if own and way.library != "reviewrate" else ""
        against = ways[exact or key].answers
        difference = max(abs(a - b) for a, b in zip(way.answers, against, strict=True))
        # Written so that not a number is marked, too.
        mark = "" if difference <= (AGREE if way.precision == "fp32" else 1) else " **differs**"
        cells = [key, setting, f"{rates[key]:.1f}", whole, ratio, f"{max(way.peaks):.0f}"]
        yield f"| {' | '.join(cells)} | {difference:.1e}{mark} |"


def remarks(shape: Shape, rates: dict[str, float], lengths: list[int], gemm: dict[str, float]) -> Iterator[str]:
    """The gain of int8 and of more workers, and the share of the machine's matrix products."""
    threads = shape.args.threads
    peak = gemm[f"fp32 x {threads}"]
    yield "GEMM, GFLOP/s: " + ", ".join(f"{name} thread(s) {rate:.0f}" for name, rate in gemm.items()) + "."
    fp32 = rates.get("reviewrate-fp32")
    if fp32:
        flops = needed_flops(lengths, *(shape.sizes[name] for name in ("d", "ffn", "layers")))
        reached = flops * fp32 / len(lengths) / 1e9
        yield f"reviewrate fp32: {flops / 1e12:.2f} TFLOP at {reached:.0f} GFLOP/s, {reached / peak:.0%} of GEMM's."
        if int8 := rates.get("reviewrate-int8"):
            yield f"reviewrate int8: {int8 / fp32:.2f} times reviewrate fp32."
    if fp32 and (one := rates.get("reviewrate-fp32-one")):
        yield f"{threads} workers: {fp32 / one:.2f} times one; GEMM: {peak / gemm['fp32 x 1']:.2f} times one thread."


def run_load(shape: Shape, load: str) -> dict[str, Any]:
    """Measures all ways on a load and prints their table."""
    ways = make_ways(shape.args)
    for key, way in ways.items():
        say(f"{shape.title}, {load}: choosing the setting of {key}")
        shape.tune(way, load)
    gemms = []
    for number in range(1, shape.args.rounds + 1):
        for key, way in ways.items():
            if way.problem:
                continue
            try:
                shape.measure(way, load)
                say(f"{shape.title}, {load}, round {number}: {key} {way.seconds[-1]:.2f} s")
            except SubprocessError as failed:
                way.problem = str(failed)
                say(f"{shape.title}, {load}, round {number}: {key}: {failed}")
        gemms.append(shape.job("run_gemm")[0])
    gemm = {name: statistics.median(entry[name] for entry in gemms) for name in gemms[0]}
    lengths = shape.lengths[load]
    n = len(lengths)
    rates = {key: n / statistics.median(way.seconds) for key, way in ways.items() if not way.problem}
    print(f"### {shape.title}, {n} {load}, {sum(lengths) / n:.0f} tokens each on average\n")
    print(*table(ways, rates), "", *remarks(shape, rates, lengths, gemm), "", sep="\n", flush=True)
    found = {"load": load, "lengths": lengths, "sizes": shape.sizes, "gemm": gemms}
    return {**found, "ways": {key: vars(way) for key, way in ways.items()}}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    paths = partial(add, type=os.path.abspath)  # as jobs run in another folder
    package, binary, work = ROOT / "models" / "imdb-small", ROOT / "build" / "reviewrate", ROOT / ".work" / "bench"
    paths("--model", default=str(package), help="package or Hugging Face folder (default: %(default)s)")
    paths("--reviews", required=True, help="jsonl or jsonl.xz with the field text")
    add("--where", metavar="FIELD=VALUE", default="", help="only these reviews of the file")
    paths("--binary", default=str(binary), help="default: %(default)s")
    add("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of every way (default: all, %(default)s)")
    add("--count", type=int, default=500, help="reviews (default: %(default)s)")
    add("--sentences", type=int, default=3000, help="sentences (default: %(default)s)")
    add("--rounds", type=int, default=3, help="default: %(default)s")
    add("--ways", default="", help="only those that begin so, such as reviewrate,openvino-fp32")
    add("--shapes", default="small,base", help="default: %(default)s")
    add("--loads", default="reviews,sentences", help="default: %(default)s")
    paths("--json", help="everything that was measured")
    paths("--work", default=str(work), help="for models and texts (default: %(default)s)")
    args = parser.parse_args()
    if not make_ways(args):
        parser.error(f"no way begins so: {args.ways}")
    return args


def main() -> None:
    args = parse_arguments()
    enter_venv()
    peers = {"torch", "transformers", "tokenizers", "onnxruntime", "openvino", "nncf", "ctranslate2"}
    versions = {each.name: each.version for each in importlib.metadata.distributions() if each.name in peers}
    versions["python"] = sys.version.split()[0]
    versions["program"] = subprocess.check_output([args.binary, "--version"], text=True).strip()
    everything: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": CPU.get("model name", "unknown"),
        "flags": FLAGS,
        "threads": args.threads,
        "load_average": os.getloadavg()[0],
        "versions": versions,
        "results": [],
    }
    say(f"load average {everything['load_average']:.2f}; nothing else should run")
    print(
        f"{everything['cpu']} ({' '.join(FLAGS)}), {args.threads} threads, {everything['date']}, load average "
        f"{everything['load_average']:.2f} before. {', '.join(map(' '.join, versions.items()))}.\n\n"
        f"Median of {args.rounds} rounds. reviewrate's reviews/s are those after its start, as the peers' are;"
        " `whole process` includes it. `streams` run at a time and share the threads; `budget`: tokens of a padded"
        " batch, 0: one text at a time. int8 is dynamic in ONNX Runtime, NNCF's in OpenVINO; `pipeline` is"
        " transformers', its `batch` in texts. `reviewrate / it`: reviewrate of the same precision over this way."
        " `largest diff.`: of the probability of POSITIVE, from the pipeline's (without it, the first fp32 way's);"
        f" an fp32 way beyond {AGREE:g} is marked.\n"
    )
    if not Path(args.model, "manifest.json").exists():
        say("making the package")
        package = str(Path(args.work, "package"))
        timed([sys.executable, ROOT / "scripts" / "export.py", args.model, "-o", package, "--force", "--reviewrate", args.binary])
        args.model = package
    for name in args.shapes.split(","):
        shape = Shape(args, name)
        for part in (*args.loads.split(","), "starts"):
            found = {"starts": shape.print_starts()} if part == "starts" else run_load(shape, part)
            everything["results"].append({"shape": name, **found})
            if args.json:
                Path(args.json).write_text(json.dumps(everything, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        run_job(Path(sys.argv[2]))
    try:
        main()
    except (SubprocessError, OSError) as error:
        sys.exit(f"bench_peers: {error}")
