"""What the tests' tiny models share: how small they are, and weights that let every part matter."""

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
