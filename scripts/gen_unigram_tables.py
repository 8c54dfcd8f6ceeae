#!/usr/bin/env python3
"""Makes src/tokenizer/unigram_tables.inc: what `tokenizers` does to code points on the way to SentencePiece pieces.

Like gen_unicode_tables.py it asks the reference itself, each step on every Unicode scalar value, and so settles which
Unicode version each follows: NFKD with StripAccents, Lowercase, and the grapheme clusters in which Precompiled looks
things up. Those are asked by normalization rules made up for it, which only a trained SentencePiece model can hold.

src/tokenizer/unigram_normalizer.cpp explains the layout. Needs: pip install tokenizers sentencepiece protobuf
"""

from __future__ import annotations

import project_venv  # noqa: F401

# isort: split
import io
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2
from tokenizers.normalizers import NFKD, Lowercase, Normalizer, Precompiled, Sequence, StripAccents

from gen_unicode_tables import HANGUL_SYLLABLES, SURROGATES, rows, write_or_check

OUTPUT = Path(__file__).resolve().parent.parent / "src" / "tokenizer" / "unigram_tables.inc"
COMMAND = "scripts/gen_unigram_tables.py"

Run = tuple[int, int, int]  # first, last, and what the first becomes; the others follow in step; 0: nothing


def scalars() -> Iterable[int]:
    return (c for c in range(sys.maxunicode + 1) if c not in SURROGATES)


def mapping(normalizer: Normalizer) -> tuple[list[Run], list[int]]:
    """The runs of code points that become one or none, and of the others each with its length and its code points."""
    runs: list[Run] = []
    sequences: list[int] = []
    for c in scalars():
        if c in HANGUL_SYLLABLES:
            continue
        found = [ord(char) for char in normalizer.normalize_str(f"a{chr(c)}b")[1:-1]]
        if found == [c]:
            continue
        if len(found) > 1:
            sequences += [c, len(found), *found]
            continue
        target = found[0] if found else 0
        first, last, to = runs[-1] if runs else (-1, -2, 0)
        if last + 1 == c and (target == 0 if to == 0 else target == to + c - first):
            runs[-1] = (first, c, to)
        else:
            runs.append((c, c, target))
    return runs, sequences


def precompiled(keys: Iterable[int]) -> Callable[[str], str]:
    """A Precompiled normalizer that turns each of `keys` into "y"."""
    with tempfile.TemporaryDirectory() as name:
        rules = Path(name) / "rules.tsv"
        rules.write_text("".join(f"{key:X}\t79\n" for key in keys))
        writer = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["ab cd abc", "bc da"]),
            model_writer=writer,
            vocab_size=12,
            hard_vocab_limit=False,
            normalization_rule_tsv=str(rules),
            minloglevel=2,
        )
    # The module makes its classes when it is imported, where mypy does not see them.
    model = sentencepiece_model_pb2.ModelProto.FromString(writer.getvalue())  # type: ignore[attr-defined]
    return Precompiled(model.normalizer_spec.precompiled_charsmap).normalize_str


def ranges(code_points: Iterable[int]) -> list[int]:
    """First and last of each run of neighbours."""
    found: list[int] = []
    for c in code_points:
        if found and found[-1] + 1 == c:
            found[-1] = c
        else:
            found += [c, c]
    return found


def clusters() -> dict[str, list[int]]:
    """Which code points join the cluster before them, which join the one behind them, and which join none.

    A cluster that is looked up has at most five bytes, so whether a code point of four bytes is a control does not
    matter.
    """
    after_x = precompiled([ord("x")])
    joins = [c for c in scalars() if after_x("x" + chr(c)) == "y"]
    prepends = [
        c
        for c in (*range(0x600, 0xE00), *range(0x11000, 0x12000))
        if unicodedata.category(chr(c)) in ("Cf", "Lo", "Cn")
    ]
    controls = [c for c in range(1, 0x10000) if unicodedata.category(chr(c)) in ("Cc", "Cf", "Zl", "Zp")]
    controls += [0x2065, *range(0xFFF0, 0xFFF9)]
    alone = precompiled(sorted({*prepends, *controls}))
    return {
        "kJoinsPrevious": ranges(joins),
        "kJoinsNext": ranges(c for c in prepends if alone(chr(c) + "x") == "y"),
        "kControls": [0, 0, *ranges(c for c in sorted(controls) if alone(chr(c) + "\u0300") != "y")],
    }


def render() -> str:
    """The whole text of the generated file."""
    lines = [
        f"// DO NOT EDIT. Made by {COMMAND} from tokenizers {tokenizers.__version__};",
        "// unigram_normalizer.cpp explains the layout.",
        "// clang-format off",
    ]

    def table(name: str, numbers: list[int]) -> None:
        lines.extend([f"constexpr char32_t {name}[] = {{", *rows(numbers, "  "), "};", ""])

    for name, normalizer in (("Unaccented", Sequence([NFKD(), StripAccents()])), ("Lowercase", Lowercase())):
        runs, sequences = mapping(normalizer)
        table(f"k{name}Runs", [number for run in runs for number in run])
        table(f"k{name}Sequences", sequences)
    for name, numbers in clusters().items():
        table(name, numbers)
    lines[-1] = "// clang-format on"
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(write_or_check("gen_unigram_tables", render, OUTPUT, __doc__))
