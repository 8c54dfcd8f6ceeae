#!/usr/bin/env python3
"""Makes tests/data/wordpiece_cases.jsonl: texts with the ids that the `tokenizers` package gives for them.

Each line has `text`, `lowercase` (whether for an uncased model) and `ids` (without [CLS] and [SEP]). The texts are our
own sentences, one or more for every rule of the tokenizer, and random strings.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from compare_tokenizer import random_texts, reference_tokenizer

OUTPUT = Path(__file__).resolve().parent / "data" / "wordpiece_cases.jsonl"

SENTENCES = [
    # Nothing, and what amounts to nothing.
    "",
    " ",
    "\t\r\n",
    "\0",
    "\u200b\ufeff\u00ad",
    "\u0301",
    # Plain English.
    "It is very nice film",
    "I can't believe it's not better: 10/10, would watch again!",
    "UNBELIEVABLY overacted; antidisestablishmentarianism, supercalifragilistic.",
    "One line.<br /><br />Another line.",
    "e-mail me @ some_one#2 ~ $5 + 3 = 8 ^ `x` | {y} <z> \\ \"q\" & 'r' * %",
    "What?!... Really -- no; (yes) [maybe]",
    # Accents, case, composed and decomposed.
    "Café naïve façade ÅNGSTRÖM Señor Ærø Łódź straße STRASSE ẞ ĳ Ǆ",
    "Cafe\u0301 nai\u0308ve A\u030angstro\u0308m \u1e69 s\u0323\u0307 s\u0307\u0323",
    "İstanbul ISPARTA ılık I\u0307 i\u0307",
    "ΟΔΟΣ ὈΔΥΣΣΕΎΣ ΣΑΣ σας",
    "ЁЛКА ёлка Йод й И\u0306",
    "ﬁne ½ ² ™ Ｆｕｌｌｗｉｄｔｈ ℌ K Å Ω",
    "a≠b a≮b a≯b a\u037eb a\u1feb a\u1fefb a\u0387b",
    # Marks that stay, in and out of canonical order.
    "हिन्दी में फ़िल्म தமிழ் ไทย ພາສາ বাংলা മലയാളം",
    "a\U0001d165\U0001d16d b\U0001d16d\U0001d165 c\U0001e000\U0001d165",
    "x\u20dd y\u20e3 z\u0488",
    # Ideographs, kana, Hangul.
    "这部电影很好看。 電影abc映画のレビュー カタカナ ｶﾀｶﾅ",
    "한국어 영화 각 가 힣 \u1112\u1161\u11ab",
    "\uf900 \ufa0e \U0002f800 \U0002b81f \U0002b820 \U0002b91f \U0002b920 \U0002ceaf",
    "\u33ff \u3400 \u4dbf \u4dc0 \u4dff \u9fff \ua000",
    "a\u4e00b\u4e8cc",
    # Blanks, and controls that are none.
    "a\u00a0b\u1680c\u2003d\u2028e\u2029f\u202fg\u205fh\u3000i",
    "a\x0bb\x0cc\x1cd\x1fe\x85f\x7fg",
    "a\tb\nc\rd",
    "zero\u200bwidth\u200cjoin\u200der\u2060 \u180e soft\u00adhyphen \ufeffmark \u202ebidi\u202c",
    "nul\0inside \ufffd replaced\ufffdhere",
    "private\ue000use \U000f0000 \U0010fffd tag\U000e0041 \U000e0001",
    "unassigned \u0378 a\u0378b \U0003ffff \u2e43x",
    # Punctuation, and symbols that are none.
    "“quoted” ‘single’ – — … «x» ¿qué? ¡no! § ¶ 、。！",
    "© ® ° × ÷ → ★ ♥ € £ ¥ a€b 5€ ´ ¨ ¬ ± µ",
    "a\u166db a\U000111c9b a\u2e42b a\u2e44b \u0e2f \u05be",
    "😀 good😀movie 👍🏽 👩‍👩‍👧 🇩🇪 ❤️",
    # Special tokens.
    "a [SEP] b",
    "a[MASK]b",
    "[CLS][PAD][UNK][SEP][MASK]",
    "[[CLS]] [sep] [ SEP ] [SEP [SEP]] SEP] [MASK",
    "[SE\u200bP] [SE\0P] \u0301[SEP]\u0301 [CLS]ing un[UNK]able",
    "##ing # #ing a##b ##",
    # The limit of 100 code points.
    "a" * 99,
    "a" * 100,
    "a" * 101,
    "é" * 100,
    "é" * 101,
    "e\u0301" * 100,
    "e\u0301" * 101,
    "\u0301" * 150 + "a",
    "한" * 33 + "하하",
    "x" + "한" * 33 + "하",
    "\U0001f600" * 100 + " " + "\U0001f600" * 101,
    "a" * 300 + " end " + "b" * 100 + "." + "c" * 101 + "[SEP]" + "d" * 101,
    "電" * 150,
    "." * 150,
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vocab_dir", type=Path, metavar="DIR", help="folder of the uncased vocab.txt")
    arguments = parser.parse_args()

    cases = {
        True: SENTENCES + list(random_texts(2200, seed=3, max_length=16)),
        False: SENTENCES + list(random_texts(300, seed=4, max_length=16)),
    }
    with OUTPUT.open("w", encoding="ascii") as output:
        for lowercase, texts in cases.items():
            reference = reference_tokenizer(arguments.vocab_dir, lowercase=lowercase)
            for text in texts:
                ids = reference.encode(text, add_special_tokens=False).ids
                case = {"text": text, "lowercase": lowercase, "ids": ids}
                output.write(json.dumps(case, separators=(",", ":")) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
