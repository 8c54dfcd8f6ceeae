"""A file sent to `reviewrate serve` is read as the command line reads it."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from conftest import Run
from odd_files import FILES, STORED
from server import PATIENCE, Server, read_all, serving

FILE = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--log", "none") as running:
        yield running


def send(server: Server, content: bytes, **parameters: str) -> bytes:
    status, headers, body = server.ask("POST", "/classify?" + urlencode(parameters), content, FILE)
    assert (status, headers["content-type"]) == (200, "application/x-ndjson"), body
    return body


def written(folder: Path, name: str) -> Path:
    """The file of the table; names that lead out of the folder lead into it."""
    (folder / "in").mkdir()
    path = folder / "in" / name
    path.write_bytes(FILES[name])
    return path


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_the_command_line_reads_it(server: Server, run: Run, tmp_path: Path, name: str) -> None:
    written(tmp_path, name)
    told = run("--", name, cwd=tmp_path / "in")
    assert send(server, FILES[name], file=name) == told.stdout
    *records, last = map(json.loads, send(server, FILES[name], file=name, texts="true").splitlines())
    assert [{k: v for k, v in record.items() if k not in ("text", "position")} for record in records] == [
        json.loads(line) for line in told.stdout.splitlines()
    ]
    assert [("text" in record) for record in records] == [("error" not in record) for record in records]
    positions = [record["position"] for record in records]
    assert positions == sorted(positions)
    assert not positions or 0 < positions[-1] <= len(FILES[name])
    # What is told of the whole file stands on stderr beside the failures and the closing line.
    lines = told.stderr.decode().splitlines()
    failures = {f"reviewrate: {record['error']['message']}" for record in records if "error" in record}
    assert [f"reviewrate: {notice}" for notice in last["notices"]] == [
        line for line in lines if line not in failures and " reviews/s" not in line
    ]


@pytest.mark.parametrize("name", STORED)
def test_what_would_be_unpacked_is_refused(server: Server, name: str) -> None:
    content, words = STORED[name]
    [record] = map(json.loads, send(server, content, file=name).splitlines())
    assert record["id"] == name and record["error"]["kind"] == "format" and words in record["error"]["message"]


def test_texts_are_those_that_were_rated(server: Server) -> None:
    *records, _ = map(json.loads, send(server, FILES["excel.txt"], file="a.txt", texts="true").splitlines())
    assert [record["text"] for record in records] == ["ein schöner Film 🙂", "Bad"]


def test_the_field_of_the_text_can_be_named(server: Server, run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(FILES["no text.csv"])
    told = run("a.csv", "--text-field", "y", cwd=tmp_path)
    assert send(server, FILES["no text.csv"], file="a.csv", text_field="y") == told.stdout


def test_without_a_name_the_content_decides(server: Server, run: Run) -> None:
    told = run(stdin=FILES["lines.jsonl"] + b'{"text": "c"}\n')
    assert send(server, FILES["lines.jsonl"] + b'{"text": "c"}\n') == told.stdout


def test_explanations_of_a_file(server: Server, run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A good film. But long.\n")
    told = run("a.txt", "--explain", "sentences", cwd=tmp_path)
    assert send(server, b"A good film. But long.\n", file="a.txt", explain="sentences") == told.stdout


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("effort=fast", 'there is no parameter "effort"; there are explain, file, text_field and texts'),
        ("texts=1", '"texts" must be true or false'),
        ("explain=x", "sentences or words"),
    ],
)
def test_a_wrong_parameter_is_refused(server: Server, query: str, words: str) -> None:
    status, _, body = server.ask("POST", "/classify?" + query, b"a\n", FILE)
    assert status == 400 and words in json.loads(body)["error"]
    status, _, body = server.ask("POST", "/classify?file=a.txt", b"a\n", {"Content-Type": "text/plain"})
    assert status == 400 and 'there is no parameter "file"; there is explain' in json.loads(body)["error"]


def test_a_file_is_taken_whole_before_it_is_answered(server: Server) -> None:
    """Browsers read no answer before all is sent, so that a server that waits for them would wait for ever."""
    most = server.ask("GET", "/info")[2]
    assert json.loads(most)["max_file_bytes"] == 64 << 20
    texts = 3 * 1024 * 1024 // 8
    with server.socket() as connection:
        connection.sendall(
            b"POST /classify?texts=true HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % (8 * 1024 + texts)
        )
        connection.sendall(b"a film.\n" * 1024)
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(PATIENCE)
        connection.sendall(b"x" * texts)
        answer = read_all(connection)
    assert answer.count(b'"position"') == 1025


def test_a_file_that_is_too_large(server: Server) -> None:
    head = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
    answer = server.raw(head + b"Content-Length: %d\r\n\r\n" % ((64 << 20) + 1))
    assert answer.startswith(b"HTTP/1.1 413 ") and b"larger than 67108864 bytes" in answer


def test_large_files_leave_room_for_others(server: Server) -> None:
    """Together they get half of what the server holds; the memory comes back with their end."""
    head = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n"
    size = 60 << 20
    connections: list[Any] = []
    for _ in range(2):
        connection = server.socket()
        connection.sendall(head % (size + 1))
        connection.sendall(b"x" * size)
        connections.append(connection)
    with server.socket() as third:
        third.sendall(head % (size + 1))
        with contextlib.suppress(OSError):  # it was answered meanwhile
            third.sendall(b"x" * size)
        assert read_all(third).startswith(b"HTTP/1.1 503 ")
    assert server.post("/classify", {"text": "a film"})["label"]
    for connection in connections:
        connection.close()
    server.wait_for_metric("reviewrate_held_bytes", 0)
