"""Files as people have them, with what they are called: some are read in a way of their own, some are refused."""

import codecs
import gzip
import json


def long_table() -> bytes:
    """More than is looked at to choose a format, and than the server keeps unanswered of one file."""
    rows = [f'{i},"film {i}, ""quoted""\nand {"good " * (i % 9)}",{i % 10}' for i in range(1500)]
    return ("id,review,stars\r\n" + "\r\n".join(rows)).encode()


FILES: dict[str, bytes] = {
    "lines.txt": b"one\n\ntwo\r\nthree",
    "spoilers.txt": b"[Spoilers] I loved it.\nBad.\n",
    "brace.txt": b"{sigh} not again\n[1] is a footnote\n",
    "json in text.txt": b'A good film.\n{"text": "a bad film"}\n',
    "plain.log": b"a good film\nanother\n",
    "no name": b"a good film\n",
    "lines.jsonl": b'{"id": 1, "text": "a"}\n{"text": "b"}\n',
    "ids.jsonl": b'{"id": 1234567890123456789, "text": "a"}\n{"id": 2.50, "text": "a"}\n{"id": "a 1", "text": "a"}\n',
    "bad.jsonl": b'oops\n{"text": "a"}\n\n{"text"\n{"text": 5}\nnull\n{"text": "twice", "text": "x"}\n{"text": "b"}\n',
    "array.json": b'[{"comment": "a"}, {"comment": "b"}, 7, "so"]',
    "cut.json": b'[{"text": "a"}, {"text"',
    "pretty.json": b'{\n  "text":\n  "a"}\n{"text": "b"} {"text": "c"}[{"text": "d"}]',
    "lines.json": b'{"text": "a"}\n{"text": "b"}\n',
    "sep.csv": b'sep=;\nid;review\n1;Good\n2;"Bad ""film"""\n',
    "bar.csv": b"id|text\n1|Good, very good; really\n2|Bad\n",
    "semicolon.csv": b"x;review\n1;a\n",
    "old mac.csv": b'id,text\r1,Good\r2,"Bad\rindeed"\r',
    "old mac.txt": b"one\rtwo\rthree\r",
    "twice.csv": b"text,text\na,b\n",
    "rows.csv": b'id,text\n1,"a\nfilm"\n2,"stray" quote\n3,a,b\n4,"so ""it"" is"\n5,"never closes\n6,last\n',
    "open.csv": b'"text\na\n',
    "no text.csv": b"x,y\n1,2\n3,4\n",
    "two usual.csv": b"review,comment\na,b\n",
    "header.csv": b"id,text\n",
    "tabs.tsv": b'id\ttext\n1\t"Good"\n2\tBad\n',
    "mark.csv": codecs.BOM_UTF8 + b"text\nGood\n",
    "excel.txt": codecs.BOM_UTF16_LE + "id\treview\n1\tein schöner Film 🙂\n2\tBad\n".encode("utf-16-le"),
    "latin.csv": "id,text\n1,café noir\n2,größer\n".encode("latin-1"),
    "json.csv": b'{"text": "a"}\n',
    "page.csv": b"<!doctype html>\n<html><body>Not found</body></html>\n",
    "blanks.csv": b"id,text\n1,\n2,   \n3,a\n",
    "null.csv": b"id,text\n1,\\N\n2,a\n",
    "nuls.txt": b"a\0b\nc\n",
    "binary.txt": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
    "empty.txt": b"",
    "newline.txt": b"\n",
    "../up.txt": b"a good film\n",
    'quote " & = ü.txt': b"a good film\n",
    "long.csv": long_table(),
    "large.jsonl": json.dumps({"text": "word " * 300_000}).encode() + b'\n{"text": "a"}\n',
}

# What the command line opens and the server does not, as it may become much more than was sent; and what it says.
STORED: dict[str, tuple[bytes, str]] = {
    "lines.txt.gz": (gzip.compress(b"a good film\n"), "is compressed, and only text is read here"),
    "a.zip": (b"PK\x03\x04" + b"\0" * 200, "is an archive, and only text is read here"),
    "book.xlsx": (b"PK\x03\x04" + b"\0" * 200, "Excel workbook"),
    "a.parquet": (b"PAR1" + b"\0" * 100 + b"PAR1", "is Parquet or Arrow, and only text is read here"),
}
