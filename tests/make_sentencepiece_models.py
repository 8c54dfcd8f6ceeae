"""Tiny sequence classifiers with SentencePiece tokenizers, for tests: random weights, pieces trained on the spot."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    AlbertTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
    XLMRobertaTokenizerFast,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import export
import tiny_models
from export_reference import read_texts


def training_texts() -> list[str]:
    """The export's own reference texts and a little of other scripts, numbers and runs of characters."""
    texts = [line["text"] for line in read_texts(export.REFERENCE_TEXTS)]
    more = [
        "Ça c'est très bien, déjà vu!",
        "東京の映画はとても良い。",
        "фильм очень хороший",
        "ταινία καλή",
        "9, 10, 1,000",
    ]
    more += [
        "Wow!!!!! ..... so good ... ??? 10/10 and 5,5 of 7,",
        "“quoted” – dashed — ﬁne ½ ™ ÅÄÖ ñ ß İı",
        "각 한국 영화",
    ]
    return [text for text in texts if text.strip()] + more * 5


def train(path: Path, texts: Iterable[str], size: int, **options: Any) -> None:
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=file,
            vocab_size=size,
            hard_vocab_limit=False,
            model_type="unigram",
            max_sentence_length=100000,
            minloglevel=2,
            num_threads=1,
            **options,
        )


def make_albert(folder: Path, texts: Iterable[str], size: int = 700, seed: int = 3, **tokenizer: bool) -> None:
    """Saves an ALBERT of two layers with its tokenizer, as a Hugging Face folder."""
    spiece = folder / "spiece.model"
    train(
        spiece,
        texts,
        size,
        normalization_rule_name="nmt_nfkc",
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        control_symbols="[CLS],[SEP],[MASK]",
    )
    fast = AlbertTokenizerFast(str(spiece), model_max_length=64, **tokenizer)
    fast.save_pretrained(folder)
    torch.manual_seed(seed)
    config = AlbertConfig(
        vocab_size=len(fast),
        embedding_size=16,
        **tiny_models.WIDTHS,
        max_position_embeddings=64,
        **tiny_models.POLARITY,
    )
    model = AlbertForSequenceClassification(config).eval()
    tiny_models.randomize(model)
    model.save_pretrained(folder)


def make_xlm_roberta(folder: Path, texts: Iterable[str], size: int = 900, seed: int = 4) -> None:
    """Saves an XLM-RoBERTa of two layers and three labels with its tokenizer, as a Hugging Face folder."""
    model_file = folder / "sentencepiece.bpe.model"
    train(model_file, texts, size, normalization_rule_name="nmt_nfkc")
    fast = XLMRobertaTokenizerFast(str(model_file), model_max_length=512)
    fast.save_pretrained(folder)
    torch.manual_seed(seed)
    config = XLMRobertaConfig(
        vocab_size=len(fast),
        **tiny_models.WIDTHS,
        max_position_embeddings=66,
        pad_token_id=1,
        type_vocab_size=1,
        id2label={0: "bad", 1: "fair", 2: "good"},
        label2id={"bad": 0, "fair": 1, "good": 2},
    )
    model = XLMRobertaForSequenceClassification(config).eval()
    tiny_models.randomize(model)
    model.save_pretrained(folder)
