"""What the tests' tiny models share: how small they are, and weights that let every part matter."""

import hashlib
import json
import shutil
from pathlib import Path

import torch
from transformers import PreTrainedModel

WIDTHS = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
POLARITY = {"id2label": {0: "NEGATIVE", 1: "POSITIVE"}, "label2id": {"NEGATIVE": 0, "POSITIVE": 1}}


def randomize(model: PreTrainedModel) -> None:
    """As initialized a network is nearly linear and all its probabilities are equal: make every part matter."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.normal_(std=1.0 if "embeddings" in name else 2.0 / weight.size(1) ** 0.5)
            elif "bias" in name:
                weight.normal_(std=0.1)


def relabel(package: Path, to: Path, labels: list[str], values: list[float] | None = None) -> Path:
    """Makes a copy of a native package that gives these labels; `values` are the ratings that they stand for."""
    shutil.copytree(package, to)
    module = torch.jit.load(to / "model.pt")
    torch.manual_seed(len(labels))
    for name, shape in (("weight", (len(labels), module.classifier.weight.size(1))), ("bias", (len(labels),))):
        drawn = torch.nn.Parameter(torch.empty(shape).normal_(std=0.5).half(), requires_grad=False)
        setattr(module.classifier, name, drawn)
    torch.jit.save(module, to / "model.pt")
    manifest = json.loads((to / "manifest.json").read_text())
    manifest["model"]["sha256"] = hashlib.sha256((to / "model.pt").read_bytes()).hexdigest()
    manifest |= {"name": to.name, "labels": labels, "positive": None, "rating": {"values": values} if values else {}}
    del manifest["reference"]
    (to / "manifest.json").write_text(json.dumps(manifest))
    return to
