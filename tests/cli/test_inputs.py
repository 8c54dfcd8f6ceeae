"""What comes in is read as it was meant, or refused with one line; it is never rated as something else."""

import codecs
import gzip
import io
import json
import os
import subprocess
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from conftest import BINARY, TINY, Result, Run, error_line, records

TEXTS = ["A tender, quiet film.", "An hour too long.", "I would see it twice."]
OBJECTS = [{"id": f"k{number}", "text": text, "stars": number} for number, text in enumerate(TEXTS, 1)]
LINES = "".join(json.dumps(one) + "\n" for one in OBJECTS)
LAYOUTS = {
    "lines": LINES,
    "blank lines": "\n  \n" + LINES.replace("\n", "\n\n"),
    "array": json.dumps(OBJECTS),
    "pretty array": json.dumps(OBJECTS, indent=2) + "\n",
    "array without indentation": json.dumps(OBJECTS, indent=0) + "\n",
    "pretty values": "".join(json.dumps(one, indent=4) + "\n" for one in OBJECTS),
    "joined": "".join(json.dumps(one) for one in OBJECTS),
    "byte order mark": "\ufeff" + LINES,
}


def rated(result: Result) -> list[tuple[Any, ...]]:
    """Ids and scores, or the kinds of failures."""
    return [(one["id"], one.get("score") or one["error"]["kind"]) for one in records(result)]


@pytest.fixture
def expected(run: Run) -> list[tuple[Any, ...]]:
    arguments = [word for text in TEXTS for word in ("--text", text)]
    scores = [one["score"] for one in records(run(*arguments))]
    return [(one["id"], score) for one, score in zip(OBJECTS, scores, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_json_of_any_layout_through_any_door(
    layout: str, run: Run, expected: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    data = LAYOUTS[layout].encode()
    for name in ("reviews.json", "reviews.jsonl.1", "reviews.jl", "reviews", "reviews.txt"):
        (tmp_path / name).write_bytes(data)
        result = run(name, cwd=tmp_path)
        assert (result.returncode, rated(result)) == (0, expected), name
    for arguments in ([], ["-"], ["/dev/stdin"], ["--input-format", "jsonl"]):
        result = run(*arguments, stdin=data)
        assert (result.returncode, rated(result)) == (0, expected), arguments
    assert rated(run(stdin=gzip.compress(data))) == expected


def test_process_substitutions_and_named_pipes(run: Run, expected: list[tuple[Any, ...]], tmp_path: Path) -> None:
    (tmp_path / "in").write_text(LAYOUTS["pretty array"])
    environment = {**os.environ, "REVIEWRATE_MODEL": str(TINY), "RR": BINARY}
    for script in ('"$RR" <(cat in)', 'mkfifo f; cat in >f & "$RR" f'):
        result = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        assert rated(result) == expected


@pytest.mark.parametrize("first", ["INFO 3 rows written", 'nder, quiet film."}', "==> reviews.jsonl <==", "{"])
def test_a_bad_first_line_costs_one_record(
    first: str, run: Run, expected: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    data = first + "\n" + LINES
    (tmp_path / "a.jsonl").write_text(data)
    for result in (run(stdin=data), run("a.jsonl", cwd=tmp_path)):
        assert result.returncode == 1
        assert [kind for _, kind in rated(result)[:1]] == ["json"]
        assert rated(result)[1:] == expected


def test_an_array_that_is_not_closed_is_told(run: Run, expected: list[tuple[Any, ...]]) -> None:
    result = run(stdin="[1,\n" + LINES)
    assert result.returncode == 1
    assert rated(result)[1:-1] == expected
    assert [kind for _, kind in (rated(result)[0], rated(result)[-1])] == ["json", "json"]


def test_json_among_lines_is_not_rated(run: Run) -> None:
    process = subprocess.Popen(
        [BINARY, "-f", "jsonl"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "REVIEWRATE_MODEL": str(TINY)},
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"Lovely.\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["id"] == "-:1"  # answered before more is there
    time.sleep(0.1)
    output, _ = process.communicate(LINES.encode())
    assert [json.loads(line)["error"]["kind"] for line in output.splitlines()] == ["format"] * 3
    assert process.returncode == 1


def test_an_array_that_is_cut_is_told(run: Run) -> None:
    result = run(stdin=LAYOUTS["pretty array"][:-3])
    assert result.returncode == 1
    assert [kind for _, kind in rated(result)][-1] == "json"
    assert "is not closed" in records(result)[-1]["error"]["message"]


def test_numbers_of_any_size_pass_through(run: Run) -> None:
    result = run("--pass", "*", stdin='{"text": "a", "big": 1e999, "deep": {"n": NaN}, "i": -Infinity}\n')
    assert result.returncode == 0
    assert b'"big": 1e999' in result.stdout
    assert b'"deep": {"n":null}' in result.stdout
    assert b'"i": null' in result.stdout


def test_a_text_inside_another_object(run: Run) -> None:
    data = '{"review": {"text": "Lovely.", "lang": "en"}}\n{"review": {"text": "Dull.", "lang": "de"}}\n'
    result = run("--text-field", "review.text", "--where", "review.lang=en", "--pass", "review.lang", stdin=data)
    assert result.returncode == 0
    assert [one["review.lang"] for one in records(result)] == ["en"]
    message = records(run(stdin=data))[0]["error"]["message"]
    assert message.endswith('there is no field "text"; the fields are: "review" (--text-field names one)')


def test_tables_without_a_name(run: Run) -> None:
    for header in ("id,text,stars", "id\ttext\tstars", "id;text;stars", "\ufeffid,text,stars"):
        delimiter = "\t" if "\t" in header else ";" if ";" in header else ","
        data = header + "\n" + delimiter.join(("a", '"Well, made."', "5")) + "\n"
        result = run("--pass", "stars", stdin=data)
        assert (result.returncode, [(one["id"], one["stars"]) for one in records(result)]) == (0, [("a", "5")]), header
    assert len(records(run(stdin="Well made, and a good text\nGood\n"))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_encodings_with_a_mark(encoding: str, run: Run, tmp_path: Path) -> None:
    marks = {
        "utf-16-le": codecs.BOM_UTF16_LE,
        "utf-16-be": codecs.BOM_UTF16_BE,
        "utf-32-le": codecs.BOM_UTF32_LE,
        "utf-32-be": codecs.BOM_UTF32_BE,
    }
    wide = {"a.txt": "\r\n".join(TEXTS) + "\r\n", "a.jsonl": LINES, "a.csv": "id,text\r\n1,one\r\n"}
    for name, text in wide.items():
        (tmp_path / name).write_bytes(text.encode())
        plain = run(name, cwd=tmp_path)
        (tmp_path / name).write_bytes(marks[encoding] + text.encode(encoding))
        result = run(name, cwd=tmp_path)
        assert (result.returncode, result.stdout) == (0, plain.stdout)
        (tmp_path / name).write_bytes(text.encode(encoding))
        unmarked = run(name, cwd=tmp_path)
        assert [kind for _, kind in rated(unmarked)] == ["format"]
        assert (
            run(name, "--encoding", encoding.replace("-l", "l").replace("-b", "b"), cwd=tmp_path).stdout == plain.stdout
        )


def test_a_wrong_encoding_is_told_and_a_named_one_is_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Un café naïf\nDéjà vu\nfine\n".encode("windows-1252"))
    result = run("a.txt", "-q", cwd=tmp_path)
    assert result.returncode == 1
    assert "2 of 3 reviews" in error_line(result)
    assert "--encoding" in error_line(result)
    named = run("a.txt", "-q", "--encoding", "windows-1252", cwd=tmp_path)
    assert (named.returncode, named.stderr) == (0, b"")
    assert all("repaired" not in one for one in records(named))
    unknown = run("a.txt", "--encoding", "klingon", cwd=tmp_path)
    assert unknown.returncode == 2
    assert '"klingon"' in error_line(unknown)


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


BINARIES = {
    "PDF": b"%PDF-1.5\nsome text\n",
    "Office": zipped({"[Content_Types].xml": b"<Types/>", "xl/sharedStrings.xml": b"<sst>Great</sst>"}),
    "lz4": b"\x04\x22\x4d\x18d@\xa7\x12\x00\x00\x00 A warm film.\n",
    "Avro": b"Obj\x01 A warm film",
    "SQLite": b"SQLite format 3\x00\x10\x00",
    "PNG": b"\x89PNG\r\n\x1a\n\x00\x00",
    "pickle": b"\x80\x04\x95\x10\x00A warm film",
    "NUL": b"A warm film\x00\x00\x00",
}


@pytest.mark.parametrize("kind", BINARIES)
def test_what_is_no_text_is_refused(kind: str, run: Run, tmp_path: Path) -> None:
    data = BINARIES[kind]
    (tmp_path / "d").mkdir()
    for path in ("a.bin", "a.txt", "d/a"):
        (tmp_path / path).write_bytes(data)
    (tmp_path / "a.tar").write_bytes(tarred({"m.txt": data}))
    for result in (run(stdin=data), *(run(path, cwd=tmp_path) for path in ("a.bin", "a.txt", "d"))):
        assert result.returncode == 1
        assert [kind for _, kind in rated(result)] == ["format"]
        assert kind in records(result)[0]["error"]["message"]
    # An archive inside an archive is refused as that.
    assert [one["error"]["kind"] for one in records(run("a.tar", cwd=tmp_path))] in (["format"], ["archive"])


def tarred(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


PAGES = {
    "HTML": b"<!DOCTYPE html>\n<html><body><p>Too many requests</p></body></html>\n",
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 12\n",
    "XML": b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>\n',
}


@pytest.mark.parametrize("kind", PAGES)
def test_pages_in_the_place_of_data(kind: str, run: Run, tmp_path: Path) -> None:
    for name in ("a.zip", "a.tar.gz", "a.txt.gz", "a.csv.xz", "a.jsonl.zst"):
        (tmp_path / name).write_bytes(PAGES[kind])
        result = run(name, cwd=tmp_path)
        assert result.returncode == 1
        assert rated(result) == [(name, "damaged")]
        assert kind in records(result)[0]["error"]["message"]
    for result in (run(stdin=PAGES[kind]),):
        assert (result.returncode, rated(result)) == (1, [("-", "format")])


def test_zstandard_as_its_tools_write_it(run: Run, tmp_path: Path) -> None:
    frames = [
        subprocess.run(["zstd", "-qc"], input=text.encode() + b"\n", capture_output=True, check=True).stdout
        for text in TEXTS
    ]
    skippable = b"\x5e\x2a\x4d\x18\x04\x00\x00\x00seek"
    data = (
        b"\x50\x2a\x4d\x18\x04\x00\x00\x00\x10\x00\x00\x00" + frames[0] + frames[1] + skippable + frames[2] + skippable
    )
    (tmp_path / "a.txt.zst").write_bytes(data)
    for result in (run("a.txt.zst", cwd=tmp_path), run(stdin=data)):
        assert result.returncode == 0
        assert len(records(result)) == 3
    assert run(stdin=data[:-1]).returncode == 1


def zip_with_links() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("pos/a.txt", "Lovely.")
        for name, target in (("pos/b.txt", "a.txt"), ("c", "/etc/passwd")):
            link = zipfile.ZipInfo(name)
            link.create_system, link.external_attr = 3, 0o120777 << 16
            file.writestr(link, target)
        bare = zipfile.ZipInfo("d.txt")  # of no type, as many programs write them
        bare.create_system, bare.external_attr = 3, 0o600 << 16
        file.writestr(bare, "Dull.")
        file.writestr("empty/", "")
    return buffer.getvalue()


def test_links_in_zip_archives_are_not_rated(run: Run, tmp_path: Path) -> None:
    data = zip_with_links()
    scores = [one["score"] for one in records(run("-t", "Lovely.", "-t", "Dull."))]
    (tmp_path / "a.zip").write_bytes(data)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "b").write_bytes(data)
    for path, prefix in (("a.zip", ""), ("d", "b/"), ("-", "")):  # from a pipe, too
        result = run(path, cwd=tmp_path, stdin=data)
        kinds = [("pos/a.txt", scores[0]), ("pos/b.txt", "archive"), ("c", "archive"), ("d.txt", scores[1])]
        assert result.returncode == 1 and rated(result) == [(prefix + name, kind) for name, kind in kinds]
        assert "is a link inside an archive" in records(result)[1]["error"]["message"]
    # Without the directory at its end, members are read as they come.
    (tmp_path / "cut.zip").write_bytes(data[: data.index(b"PK\x01\x02")])
    assert rated(run("cut.zip", cwd=tmp_path))[0] == ("pos/a.txt", scores[0])


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_large_zip_archives_and_pipes_give_the_same(run: Run, tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as file:
        for i in range(300):
            file.writestr(f"{i % 7}/{i}.txt", f"film {i} " * (i * 5))
        file.writestr("r.csv", "text\n" + "a good film\n" * 40_000)
    result = run("a.zip", "--limit", "600", cwd=tmp_path)
    assert result.returncode == 0 and len(records(result)) == 600
    assert run("--limit", "600", stdin=(tmp_path / "a.zip").read_bytes()).stdout == result.stdout


def test_zip_archives_from_windows(run: Run, tmp_path: Path) -> None:
    data = zipped({"pos#": b"", "pos#1.txt": b"Lovely.", "neg#": b"", "neg#2.txt": b"Dull."}).replace(b"#", b"\\")
    (tmp_path / "a.zip").write_bytes(data)
    result = run("a.zip", cwd=tmp_path)
    assert (result.returncode, [name for name, _ in rated(result)]) == (0, ["pos/1.txt", "neg/2.txt"])
    assert [name for name, _ in rated(run("a.zip", "--include", "pos/*", cwd=tmp_path))] == ["pos/1.txt"]


def test_what_spark_and_macos_leave_beside_data(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "__MACOSX").mkdir(parents=True)
    for name in ("_SUCCESS", "._SUCCESS.crc", ".part-00000.crc", ".DS_Store", "__MACOSX/._part-00000"):
        (folder / name).write_bytes(b"crc\x00")
    (folder / "part-00000").write_text(LINES)
    result = run("out", cwd=tmp_path)
    assert (result.returncode, len(records(result))) == (0, 3)


def test_conditions(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text,stars,code\n1,good,5.0,007\n2,fine,10,7\n3,bad,-1.5,a=b\n")
    for condition, ids in {
        "stars=5": "1",
        "stars!=5": "23",
        "stars>4.99": "12",
        "stars<0": "3",
        "code=7": "2",
        "code=007": "1",
        "code=a=b": "3",
        "text~oo": "1",
        "text~=": "",
    }.items():
        result = run("a.csv", "--where", condition, cwd=tmp_path)
        assert (result.returncode, "".join(name for name, _ in rated(result))) == (0, ids), condition
    for condition in ("stars", "=5", "stars>many", "stars>=5"):
        result = run("a.csv", "--where", condition, cwd=tmp_path)
        assert result.returncode == 2
        assert f'"{condition}"' in error_line(result)


def test_what_was_asked_for_and_is_not_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(LINES)
    for arguments in (("--where", "Stars=5"), ("--pass", "Stars"), ("--id-field", "Stars"), ("--where", "Stars<5")):
        result = run("a.jsonl", "-q", *arguments, cwd=tmp_path)
        assert result.returncode == 1
        assert error_line(result) == 'reviewrate: no record has a field "Stars"'
    result = run("a.jsonl", "-q", "--where", "stars=7", cwd=tmp_path)
    assert result.returncode == 0
    assert error_line(result) == 'reviewrate: --where "stars=7": no record fulfils it'
    result = run("-q", "--where", "stars=7", stdin="Lovely.\n")
    assert result.returncode == 1
    assert "lines and whole files have no fields" in error_line(result)


def test_folders_with_brackets_and_names_that_are_not_utf8(run: Run, tmp_path: Path) -> None:
    for name in ("[2019]", "[imdb, part 1]"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("Lovely.")
    assert len(records(run("[2019]", "[imdb, part 1]", cwd=tmp_path))) == 2
    folder = tmp_path / "d"
    folder.mkdir()
    for raw in (b"caf\xe9.txt", b"caf\xe8.txt", b"caf\\xe9.txt"):
        (Path(os.fsdecode(os.fsencode(folder) + b"/" + raw))).write_text("Lovely.")
    ids = [name for name, _ in rated(run("d", cwd=tmp_path))]
    assert sorted(ids) == sorted(["caf\\x5Cxe9.txt", "caf\\xE8.txt", "caf\\xE9.txt"])
    message = records(run("none .txt", cwd=tmp_path))[0]["error"]["message"]
    assert message.startswith('"none .txt": cannot be opened')


@pytest.mark.parametrize(
    ("record", "options"),
    [
        ('{"text": "a fine film", "text": "a bore"}', []),
        ('{"text": "a fine film", "id": 1, "id": 2}', []),
        ('{"text": "a fine film", "text": null}', []),
        ('{"text": "a fine film", "stars": 1, "stars": 9}', ["--pass", "stars"]),
        ('{"text": "a fine film", "stars": 1, "stars": 9}', ["--where", "stars>5"]),
        ('{"text": "a fine film", "stars": 9, "stars": 1}', ["--where", "stars>5"]),
        ('{"text": "a fine film", "n": [1], "n": [2]}', ["--annotate"]),
        ('{"text": "a fine film", "id": 1, "id": ""}', []),
    ],
)
def test_a_field_that_comes_twice_is_not_chosen_from(run: Run, record: str, options: list[str]) -> None:
    result = run(*options, "-f", "jsonl", stdin=f'{{"text": "before", "stars": 7}}\n{record}\n{{"text": "behind"}}\n')
    (failed,) = [one for one in records(result) if "error" in one]
    error = [failed["error"]]
    assert set(failed) == {"id", "error"} and failed["id"] == "-:2"
    name = json.loads(record, object_pairs_hook=lambda pairs: pairs[-1][0])
    assert [one["kind"] for one in error] == ["field"] and f'-:2: the field "{name}" comes twice' in error[0]["message"]


@pytest.mark.parametrize("options", [["--text-field", "r.text"], ["--id-field", "r.text"], ["--pass", "r.text"]])
def test_a_nested_field_that_comes_twice_is_not_chosen_from(run: Run, options: list[str]) -> None:
    for inner in ('{"text": "A lovely film.", "text": "Dull."}', '{"text": "A lovely film."}, "r": {"text": "Dull."}'):
        result = run(*options, "-f", "jsonl", "-q", stdin=f'{{"text": "a", "r": {inner}}}\n')
        assert result.returncode == 1 and 'the field "r.text" comes twice' in records(result)[0]["error"]["message"]


def test_an_empty_id_is_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "", "text": "Good."}\n')
    (tmp_path / "a.csv").write_text("id,text\n,Good.\n")
    assert [r["id"] for r in records(run("a.jsonl", "a.csv", cwd=tmp_path))] == ["a.jsonl:1", "a.csv:2"]


def test_a_field_that_comes_twice_and_is_not_asked_for_is_nobodys(run: Run) -> None:
    assert run(stdin='{"text": "a fine film", "stars": 1, "stars": 9, "in": {"text": 1, "text": 2}}').returncode == 0


def test_plain_lines_that_look_like_a_table_without_a_header_are_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "labelled.txt").write_text("A fine film.\t1\nAn hour too long.\t0\n")
    (tmp_path / "again").write_text("A fine film.\t1\nAn hour too long.\t0\n")
    result = run("labelled.txt", "again", cwd=tmp_path)
    said = result.stderr.decode()
    assert result.returncode == 0 and said.count("same number of tabs") == 1 and "labelled.txt: " in said
    way = ["--input-format", "tsv", "--no-header", "--text-field", "1"]
    assert " ".join(way) in said
    advised = run("labelled.txt", *way, cwd=tmp_path)
    one_by_one = run("-t", "A fine film.", "-t", "An hour too long.")
    assert [one["score"] for one in records(advised)] == [one["score"] for one in records(one_by_one)]


@pytest.mark.parametrize(
    "text", ["one\ttab\nand none\n", "one\ttab\nand\ttwo\there\n", "a\tlone line\n", "plain\nlines\n"]
)
def test_other_lines_with_tabs_are_just_lines(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "in.txt").write_text(text)
    assert b"tabs" not in run("in.txt", cwd=tmp_path).stderr


TABLE = "is read as plain lines, of which the first looks like the header of a table"


@pytest.mark.parametrize("delimiter", [",", ";", "|"])
@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("user_id,review_body,star_rating", "review_body"),
        ("Id,Review Text,Rating", "Review Text"),
        (",opinion,stars", "opinion"),
        ('"Id","Your opinion","Stars"', "Your opinion"),
        ("Отметка времени,Ваш отзыв,Оценка", "Ваш отзыв"),
    ],
)
def test_plain_lines_that_look_like_a_table_are_told(run: Run, header: str, name: str, delimiter: str) -> None:
    rows = ["1,A lovely film.,5", '2,"Dull,\nand long, too.",1', "", "3,Good.,4"]
    table = "\n".join([header, *rows]).replace(",", delimiter)
    result = run(stdin=table)
    said = result.stderr.decode()
    assert result.returncode == 0 and said.count(TABLE) == 1
    assert "--input-format csv --text-field NAME" in said
    advised = run("--input-format", "csv", "--text-field", name, stdin=table)
    assert advised.returncode == 0 and [one["id"] for one in records(advised)] == ["-:2", "-:3", "-:6"]
    assert TABLE in run(stdin=table + delimiter + " and more").stderr.decode()
    assert TABLE not in run(stdin=table + "\nGood.").stderr.decode()


@pytest.mark.parametrize(
    "text",
    [
        "Good, but long.\nNice, and short.\n",
        "Well, I think so\nYes, I do\n",
        "Good product,cheap\nBad product,late\n",
        "good product,fast delivery\nslow,and late\n",
        "Dull,boring.\nSlow,long.\n",
        "Wow,great!\nOh,no!\n",
        "No,no\nYes,yes\n",
        "Fine,cheap\nGood\n",
        "5,great film\n1,dull film\n",
        "Loud, long, dull\nGood, if slow, fun\n",
        "I liked it more than most,really\nSo,so\n",
        "fine,cheap\n",
        "Great; would buy again\nBad; sent back\n",
        "A lovely film.\nDull.\n",
    ],
)
def test_plain_reviews_with_commas_are_not_told_of(run: Run, text: str) -> None:
    result = run(stdin=text)
    assert result.returncode == 0 and len(records(result)) == text.count("\n")
    assert "is read as plain lines" not in result.stderr.decode()


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a", "-"])
@pytest.mark.parametrize("layout", [None, 2])
def test_an_array_of_texts_is_json_whatever_its_name(run: Run, tmp_path: Path, name: str, layout: int | None) -> None:
    text = json.dumps(["A lovely film.", 'Dull, "they" say [x].'], indent=layout)
    (tmp_path / "a").write_text(text)
    if name not in ("a", "-"):
        (tmp_path / "a").rename(tmp_path / name)
    result = run(name, cwd=tmp_path, stdin=text.encode() if name == "-" else b"")
    assert [r["error"]["kind"] for r in records(result)] == ["json", "json"]


@pytest.mark.parametrize("text", ['["Amazing"] is what I say.\n', '["Wow", he said\nand left.\n', "[Spoilers] Fine.\n"])
def test_lines_that_begin_like_an_array_are_lines(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    assert all("label" in r for r in records(run("a.txt", cwd=tmp_path)))


@pytest.mark.parametrize(
    ("header", "options"),
    [
        ("text", []),
        ("review", []),
        ('"Content"', []),
        ("text", ["--text-field", "text"]),
        ("Words", ["--text-field", "Words"]),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "-"])
def test_a_table_of_one_column(run: Run, tmp_path: Path, header: str, options: list[str], name: str) -> None:
    """Its header is no review; quotes may hold line ends, and what has none may hold commas."""
    text = header + '\n"A lovely\nfilm, really."\nDull, and long\n'
    (tmp_path / "a.txt").write_text(text)
    found = records(run(name, *options, "--pass", "text", cwd=tmp_path, stdin=text.encode() if name == "-" else b""))
    assert [r["id"] for r in found] == [f"{name}:2", f"{name}:4"]
    whole = records(run("-t", "A lovely\nfilm, really.", "-t", "Dull, and long"))
    assert [r["p_positive"] for r in found] == [r["p_positive"] for r in whole]


def test_one_word_is_no_header(run: Run) -> None:
    assert ["label" in r for r in records(run("-", stdin=b"text\n"))] == [True]
    assert ["label" in r for r in records(run("-", stdin=b"lovely\nreview\n"))] == [True, True]
