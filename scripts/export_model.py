"""The model of a Hugging Face folder for a package: what can be exported, its weights in fp16, and its model.pt.

Part of export.py.
"""

from __future__ import annotations

import copy
import tempfile
import warnings
from pathlib import Path

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from command_line import blaming, require
from native_distilbert import NativeDistilBert

GIT_LFS = b"version https://git-lfs"


def fetch(source: str) -> Path:
    """The source as a folder, downloaded if it is a name on the hub."""
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.txt", "*.safetensors", "*.bin", "*.model", "README.md"]
    with blaming("neither a folder nor a model on the hub"):
        return Path(snapshot_download(source, allow_patterns=patterns))


def check_files(folder: Path) -> None:
    """Refuses a folder whose files are not there yet."""
    require((folder / "config.json").is_file(), "no config.json")  # without one transformers guesses by folder name
    for file in sorted(folder.iterdir()):
        if file.is_file():
            with file.open("rb") as opened:
                pointer = opened.read(len(GIT_LFS)) == GIT_LFS
            require(not pointer, f"{file.name}: is a pointer of Git LFS, not the file: `git lfs pull` fetches it")


def load_model(folder: Path) -> PreTrainedModel:
    """The classifier in fp32; what the program cannot run is refused."""
    check_files(folder)
    with blaming("config.json"):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    architectures = config.architectures or []
    require(
        any(name.endswith("ForSequenceClassification") for name in architectures),
        f"not a sequence classifier but {', '.join(architectures) or 'unknown'}",
    )
    require(
        config.problem_type in (None, "single_label_classification"),
        f"problem_type {config.problem_type}: only softmax over the labels can be exported",
    )
    require(config.num_labels >= 2, "a single label: softmax needs two or more")
    require(not config.is_encoder_decoder, f"{config.model_type} has a decoder: only encoders can be exported")
    require(not getattr(config, "pruned_heads", None), "pruned attention heads")
    require(getattr(config, "quantization_config", None) is None, "quantized weights")
    if config.model_type == "distilbert":
        require(config.activation in ("gelu", "relu"), f"activation {config.activation}: only gelu and relu are known")
        require(config.n_layers >= 1, "no layers")

    with blaming("its weights cannot be loaded"):
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True, trust_remote_code=False
        )
    for problem in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        require(not loading[problem], f"weights do not fit: {problem}: {', '.join(map(str, loading[problem]))}")
    finite = all(bool(weight.isfinite().all()) for weight in model.parameters())
    require(finite, "its weights are not all finite numbers")
    return model.eval()


def label_names(model: PreTrainedModel) -> list[str]:
    """The labels in the order of the logits."""
    names = model.config.id2label or {}
    labels = [str(names[i]) for i in range(model.config.num_labels) if i in names]
    require(len(labels) == model.config.num_labels, "config.json: id2label does not name every label")
    require(len(set(labels)) == len(labels), "two labels of the same name")
    return labels


def is_native(model: PreTrainedModel) -> bool:
    """Whether the program has the arithmetic of its architecture itself."""
    return model.config.model_type == "distilbert"


def fits_fp16(model: PreTrainedModel) -> bool:
    return all(bool(weight.half().isfinite().all()) for weight in model.parameters())


def rounded(model: PreTrainedModel) -> PreTrainedModel:
    """The same model with its weights rounded to fp16, in fp32."""
    require(fits_fp16(model), "weights too large for fp16")
    half = copy.deepcopy(model)
    with torch.no_grad():
        for weight in half.parameters():
            weight.copy_(weight.half().float())
    return half.eval()


def package_weights(model: PreTrainedModel) -> PreTrainedModel:
    """The model as a package has it: rounded, unless it is traced and its weights are too large for fp16."""
    return rounded(model) if is_native(model) or fits_fp16(model) else model


def same_weights(a: PreTrainedModel, b: PreTrainedModel) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


class Traceable(nn.Module):
    """A model with the inputs and the output that the program has for a traced one."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def trace(model: PreTrainedModel, ids: list[int]) -> torch.jit.ScriptModule:
    """The model traced, its weights in fp16 where `rounded` has made them fit; `ids` are an example of any length."""
    example = torch.tensor([ids])
    with torch.no_grad(), warnings.catch_warnings():
        # The tracer warns of every size that is looked at; that the trace holds for other sizes is verified.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(Traceable(copy.deepcopy(model)).eval(), (example, torch.ones_like(example)))
    if fits_fp16(model) and same_weights(model, rounded(model)):
        for weight in traced.parameters():
            weight.data = weight.data.half()
    return traced


def compile_module(model: PreTrainedModel, ids: list[int]) -> torch.jit.ScriptModule:
    """What goes into model.pt; `ids` are an example of a text."""
    return torch.jit.script(NativeDistilBert(model).eval()) if is_native(model) else trace(model, ids)


def max_positions(model: PreTrainedModel) -> int:
    """The most tokens that the model has positions for."""
    positions = [module for name, module in model.named_modules() if name.endswith("position_embeddings")]
    if len(positions) == 1 and getattr(positions[0], "padding_idx", None) is not None:
        # As in RoBERTa: positions are counted from the one behind the padding's.
        return positions[0].num_embeddings - positions[0].padding_idx - 1
    return model.config.max_position_embeddings


def save_module(module: torch.jit.ScriptModule, path: Path) -> None:
    """Saves without the debug records: they name files of this machine, and nothing needs them."""
    with tempfile.TemporaryDirectory() as folder:
        raw = str(Path(folder) / path.name)
        module.save(raw)
        reader = torch._C.PyTorchFileReader(raw)
        writer = torch._C.PyTorchFileWriter(str(path))
        for name in reader.get_all_records():
            # The writer makes the version and .data/ records itself.
            if name.endswith(".debug_pkl") or name == "version" or name.startswith(".data/"):
                continue
            record = reader.get_record(name)
            writer.write_record(name, record, len(record))
        writer.write_end_of_file()
