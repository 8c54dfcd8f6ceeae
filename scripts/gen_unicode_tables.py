#!/usr/bin/env python3
"""Makes src/text/unicode_tables.inc: what BertTokenizerFast does to each Unicode code point.

The tables are not derived from Unicode's data files but asked of the reference itself: BertNormalizer and
BertPreTokenizer of the `tokenizers` package are run on every Unicode scalar value. That settles which Unicode version
each of its steps follows (they differ) and includes its slips.

src/text/unicode.cpp explains the layout. Needs: pip install tokenizers
"""

from __future__ import annotations

import project_venv  # noqa: F401

# isort: split
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import tokenizers
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from command_line import BadInput, Parser, command, require

OUTPUT = Path(__file__).resolve().parent.parent / "src" / "text" / "unicode_tables.inc"
COMMAND = "scripts/gen_unicode_tables.py"
UNEXPECTED = f"tokenizers {tokenizers.__version__}"

# The values of reviewrate::CharClass.
WORD, ISOLATED, SPACE, DROPPED = range(4)

# Indices with a meaning of their own in the table of foldings.
FOLDS_TO_ITSELF, FOLDS_AS_HANGUL, FIRST_FOLDING = 0, 1, 2

BLOCK_SIZE = 128
CLASS_SHIFT, LAST_OF_FOLDING = 21, 1 << 23
MAX_FOLDING = 3
LINE_WIDTH = 120

HANGUL_SYLLABLES = range(0xAC00, 0xD7A4)
SURROGATES = range(0xD800, 0xE000)

# A folded code point with its class.
Folded = tuple[int, int]


def normalizer(*, lowercase: bool) -> BertNormalizer:
    """The normalizer of an uncased or cased BertTokenizerFast, with its defaults."""
    return BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=lowercase)


CASED = normalizer(lowercase=False)
UNCASED = normalizer(lowercase=True)
PRE_TOKENIZER = BertPreTokenizer()


def between(text: str) -> str:
    """What stands between the "a" and the "b" that a probe was put between."""
    if not (text.startswith("a") and text.endswith("b")):
        raise BadInput(f"{UNEXPECTED}: the normalizer changed the neighbours of a probe: {text!r}")
    return text[1:-1]


def pre_tokenizer_class(char: str) -> int:
    """How the pre-tokenizer sees a character inside a word."""
    pieces = len(PRE_TOKENIZER.pre_tokenize_str(f"a{char}b"))
    return {1: WORD, 2: SPACE, 3: ISOLATED}[pieces]


def classified(normalized: str) -> list[Folded]:
    """The code points of a normalized probe with their classes; blanks around it mean an ideograph, set apart."""
    if len(normalized) > 2 and normalized[0] == normalized[-1] == " ":
        return [(ord(char), ISOLATED) for char in normalized[1:-1]]
    return [(ord(char), pre_tokenizer_class(char)) for char in normalized]


def hangul_folding(code_point: int) -> list[Folded]:
    """The arithmetic decomposition of a Hangul syllable (The Unicode Standard, section 3.12)."""
    index = code_point - HANGUL_SYLLABLES.start
    jamo = [0x1100 + index // 588, 0x1161 + index % 588 // 28]
    if index % 28:
        jamo.append(0x11A7 + index % 28)
    return [(code, WORD) for code in jamo]


class Tables:
    """Collects the entries of all code points and shares what is equal among them."""

    def __init__(self) -> None:
        self.foldings: list[int] = [0] * FIRST_FOLDING
        self._index_of_folding: dict[tuple[Folded, ...], int] = {}

    def folding_index(self, folding: list[Folded]) -> int:
        """The place of a folding in the table, to which it is added when new."""
        if len(folding) > MAX_FOLDING:
            raise BadInput(f"{UNEXPECTED}: a code point folds to more than {MAX_FOLDING}: {folding}")
        key = tuple(folding)
        if key not in self._index_of_folding:
            self._index_of_folding[key] = len(self.foldings)
            folded = key or ((0, DROPPED),)
            numbers = [code_point | char_class << CLASS_SHIFT for code_point, char_class in folded]
            numbers[-1] |= LAST_OF_FOLDING
            self.foldings.extend(numbers)
        return self._index_of_folding[key]

    def entry(self, code_point: int) -> int:
        """Class (2 bits) and index of the folding (14 bits) of one code point."""
        if code_point in SURROGATES:  # cannot occur in text
            return DROPPED
        char = chr(code_point)
        cased = classified(between(CASED.normalize_str(f"a{char}b")))
        if not cased:
            return DROPPED
        [(kept, char_class)] = cased
        if kept != (ord(" ") if char_class == SPACE else code_point):
            raise BadInput(f"{UNEXPECTED}: the cased normalizer turns U+{code_point:04X} into U+{kept:04X}")
        if char_class == SPACE:
            return SPACE
        folded = classified(between(UNCASED.normalize_str(f"a{char}b")))
        if code_point in HANGUL_SYLLABLES:
            if folded != hangul_folding(code_point):
                raise BadInput(f"{UNEXPECTED}: U+{code_point:04X} is not decomposed by the rule for Hangul syllables")
            index = FOLDS_AS_HANGUL
        elif folded == cased:
            index = FOLDS_TO_ITSELF
        else:
            index = self.folding_index(folded)
        return char_class | index << 2


def rows(numbers: list[int], indent: str) -> list[str]:
    """Numbers with commas, in lines that fill the width."""
    lines = [indent]
    for number in numbers:
        word = f"{number},"
        if len(lines[-1]) + len(word) > LINE_WIDTH:
            lines.append(indent)
        lines[-1] += word
    return lines


def render() -> str:
    """The whole text of the generated file."""
    tables = Tables()
    entries = [tables.entry(code_point) for code_point in range(sys.maxunicode + 1)]
    require(max(entries) <= 0xFFFF, f"{UNEXPECTED}: the index of a folding does not fit into 14 bits")

    blocks: dict[tuple[int, ...], int] = {}
    block_of = []
    for start in range(0, len(entries), BLOCK_SIZE):
        block = tuple(entries[start : start + BLOCK_SIZE])
        block_of.append(blocks.setdefault(block, len(blocks)))
    require(len(blocks) <= 256, f"{UNEXPECTED}: the index of a block does not fit into 8 bits")

    lines = [
        f"// DO NOT EDIT. Made by {COMMAND} from tokenizers {tokenizers.__version__}; unicode.cpp explains the layout.",
        "// clang-format off",
        f"constexpr char32_t kBlockSize = {BLOCK_SIZE};",
        "",
        f"constexpr std::uint8_t kBlockOf[{len(block_of)}] = {{",
        *rows(block_of, "  "),
        "};",
        "",
        f"constexpr std::uint16_t kBlocks[{len(blocks)}][kBlockSize] = {{",
    ]
    for block in blocks:
        lines += ["  {", *rows(list(block), "    "), "  },"]
    lines += [
        "};",
        "",
        f"constexpr std::uint32_t kFoldings[{len(tables.foldings)}] = {{",
        *rows(tables.foldings, "  "),
        "};",
        "// clang-format on",
        "",
    ]
    return "\n".join(lines)


def write_or_check(name: str, make: Callable[[], str], output: Path, description: str | None) -> int:
    """Writes what `make` gives to `output`, or, with --check, compares the two. Returns the exit status."""

    @command(name)
    def main(argv: Sequence[str] | None = None) -> int:
        parser = Parser(name, description)
        parser.add_argument(
            "--check",
            action="store_true",
            help="write nothing; exit 1 if the committed file is not what would be written",
        )
        check = parser.parse_args(argv).check
        text = make()
        if not check:
            output.write_text(text, encoding="ascii")
            return 0
        if output.exists() and output.read_text(encoding="ascii") == text:
            return 0
        print(f"{name}: {output.name} is not up to date (tokenizers {tokenizers.__version__})", file=sys.stderr)
        return 1

    return main()


if __name__ == "__main__":
    sys.exit(write_or_check("gen_unicode_tables", render, OUTPUT, __doc__))
