"""`reviewrate serve` under those who are slow, wrong, many or malicious: others are served, and nothing grows."""

import json
import os
import re
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from conftest import TINY
from server import JSON, NDJSON, PATIENCE, Server, read_all, serving

HEAD = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
STREAM = HEAD.replace(b"text/plain", b"application/x-ndjson") + b"Transfer-Encoding: chunked\r\n\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--log", "none") as running:
        yield running


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def is_well(server: Server) -> None:
    """The server answers others, at once."""
    begin = time.monotonic()
    assert server.ask("GET", "/health")[0] == 200
    assert time.monotonic() - begin < 5
    server.post("/classify", {"text": "a"})


# --- What is wrong ---


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [400]),  # TLS
        (b"\x00" * 100, [400]),
        (b"HELLO\r\n\r\n", [400]),
        (b"\rGET / HTTP/1.1\r\nHost: x\r\n\r\n", [400]),
        (b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", [400]),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", [400]),
        (b"GET / HTTP/0.9\r\nHost: x\r\n\r\n", [400, 505]),
        (b"GET /health HTTP/1.1\r\n\r\n", [400]),  # no Host
        (b"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", [400]),
        (b"GET /health HTTP/1.1\nHost: x\n\n", [400]),  # line ends
        (b"GET /health HTTP/1.1\r\nHost : x\r\n\r\n", [400]),  # a blank before the colon
        (b"GET /health HTTP/1.1\r\nHost: x\r\nA\x00B: c\r\n\r\n", [400]),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n", [400]),
        (b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 20000), [431]),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5000 + b"\r\n", [431]),
        (HEAD + b"Content-Length: -1\r\n\r\na", [400]),
        (HEAD + b"Content-Length: +1\r\n\r\na", [400]),
        (HEAD + b"Content-Length: 0x1\r\n\r\na", [400]),
        (HEAD + b"Content-Length: 1, 1\r\n\r\na", [400]),
        (HEAD + b"Content-Length: 99999999999999999999\r\n\r\na", [400]),
        (HEAD + b"Content-Length: 9999999999999\r\n\r\na", [413]),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", [400]),
        (HEAD + b"Expect: a-miracle\r\nContent-Length: 1\r\n\r\na", [417]),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nab\r\n0\r\n\r\n", [400]),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nab\r\n0\r\n\r\n", [400]),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nab\r\n0\r\n\r\n", [400]),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n", [400]),  # more than the chunk said
    ],
)
def test_malformed_requests(server: Server, request_bytes: bytes, expected: list[int]) -> None:
    answer = server.raw(request_bytes)
    assert len(statuses(answer)) == 1 and statuses(answer)[0] in expected, answer
    assert b"Connection: close" in answer
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert set(body) == {"error", "error_type"}
    is_well(server)


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n",
        b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 6\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Content-Length: 6\r\nContent-Length: 5\r\n",
        b"Content-Length: 6 5\r\n",
    ],
)
def test_a_request_cannot_be_smuggled_in(server: Server, framing: bytes) -> None:
    before = server.metric('reviewrate_http_requests_total{route="/openapi.json",code="200"}')
    answer = server.raw(HEAD + framing + b"\r\n0\r\n\r\nGET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
    assert len(statuses(answer)) == 1
    assert statuses(answer)[0] in (400, 501), answer
    assert b"openapi" not in answer
    assert server.metric('reviewrate_http_requests_total{route="/openapi.json",code="200"}') == before


def test_a_body_where_none_belongs_ends_the_connection(server: Server) -> None:
    hidden = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    for method in (b"GET", b"OPTIONS", b"PUT"):
        answer = server.raw(
            b"%s /health HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (method, len(hidden)) + hidden
        )
        assert len(statuses(answer)) == 1 and b"3.1.0" not in answer


def test_a_chunked_body_has_the_same_bounds(server: Server) -> None:
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    assert statuses(server.raw(head + chunk * 40 + b"0\r\n\r\n")) == [413]
    answer = server.raw(
        head
        + b"1\r\na\r\n" * 3
        + b"0\r\nTrailer: x\r\n\r\n"
        + HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    )
    assert statuses(answer) == [200, 200]


def test_an_endless_body_and_an_endless_head(server: Server) -> None:
    for begin, more in [
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"a" * 0x1000 + b"\r\n"),
        (b"GET / HTTP/1.1\r\n", b"A: b\r\n"),
    ]:
        with server.socket() as connection:
            connection.sendall(begin)
            with pytest.raises(OSError):
                while True:
                    connection.sendall(more * 100)
    is_well(server)


@pytest.mark.parametrize("begin", [b'{"text": "', b'{"text": [', b'{"text": ', b'{"text": "a"} ', b"{x"])
def test_a_record_without_end_is_not_held(server: Server, begin: bytes) -> None:
    """It takes no room from others: what is passed over, and the blanks, are nowhere."""
    with server.socket() as connection:
        connection.sendall(STREAM + b"%x\r\n%s\r\n" % (len(begin), begin))
        chunk = (b"a" if begin[-1:] in b'"x' else b"[" if begin[-1:] == b"[" else b" ") * (1 << 20)
        for _ in range(32):
            connection.sendall(b"100000\r\n%s\r\n" % chunk)
        assert server.metric("reviewrate_held_bytes") < 8 << 20
    server.wait_for_metric("reviewrate_held_bytes", 0)


def test_a_record_without_end_is_one_error(server: Server) -> None:
    body = b'{"text": "' + b"a" * (8 << 20) + b'"}\n{"id": "next", "text": "b"}\n'
    status, _, answer = server.ask("POST", "/classify", body, NDJSON)
    lines = [json.loads(line) for line in answer.splitlines()]
    assert status == 200
    assert lines[0]["error"]["kind"] == "size"
    assert lines[1]["label"]


# --- Who sends much at once ---


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    bodies = [json.dumps({"text": "film " * (i % 7)}).encode() for i in range(50)]
    requests = b"".join(
        b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        % (len(b), b)
        for b in bodies
    )
    answer = server.raw(requests + b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert statuses(answer) == [200] * 50 + [404]
    tokens = [int(count) for count in re.findall(rb'"tokens": (\d+)', answer)]
    assert tokens == [i % 7 + 2 for i in range(50)]


def test_a_client_that_does_not_read_is_cut_off() -> None:
    with serving("--write-seconds", "1", "--log", "none") as server, server.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100
        with pytest.raises(OSError):
            for _ in range(10000):
                connection.sendall(request)
        server.wait_for_metric("reviewrate_connections", 1)
        is_well(server)


def test_a_stream_that_does_not_read_is_cut_off() -> None:
    with serving("--write-seconds", "1", "--log", "none") as server, server.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(STREAM)
        lines = b'{"text": ""}\n' * 5000
        with pytest.raises(OSError):
            for _ in range(1000):
                connection.sendall(b"%x\r\n%s\r\n" % (len(lines), lines))
        server.wait_for_metric("reviewrate_connections", 1)
        assert server.metric("reviewrate_held_bytes") == 0
        is_well(server)


def test_a_full_queue_is_429_and_nothing_is_lost() -> None:
    with serving("--max-queue-tokens", "3000", "--workers", "1", "--log", "none") as server:
        body = json.dumps({"texts": ["film " * 500] * 4})
        connections = [server.connect() for _ in range(30)]
        for connection in connections:
            connection.request("POST", "/classify", body, JSON)
        found = []
        for connection in connections:
            response = connection.getresponse()
            answer = json.loads(response.read())
            found.append(response.status)
            if response.status == 200:
                assert len(answer["records"]) == 4
            else:
                assert answer["error_type"] == "Overloaded"
                assert 1 <= int(response.headers["Retry-After"]) <= 60
            connection.close()
        assert set(found) == {200, 429}
        assert server.metric("reviewrate_queue_tokens") == 0
        is_well(server)


def test_a_request_above_the_queue_is_taken_when_it_is_empty() -> None:
    with serving("--max-queue-tokens", "10", "--log", "none") as server:
        assert len(server.post("/classify", {"texts": ["film " * 20] * 5})["records"]) == 5
        lines = b'{"text": "a film of ten tokens or more, I would say"}\n' * 50
        assert server.ask("POST", "/classify", lines, NDJSON)[2].count(b"\n") == 50


def test_a_thousand_connections_at_once(server: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connections = [server.socket() for _ in range(1000)]
    server.wait_for_metric("reviewrate_connections", 1001)
    begin = time.monotonic()
    assert server.ask("GET", "/health")[0] == 200
    assert time.monotonic() - begin < 5
    body = b"a lovely film"
    request = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    for connection in connections:
        connection.sendall(request)
    answers = {read_all(connection).partition(b"\r\n\r\n")[2] for connection in connections}
    assert len(answers) == 1 and json.loads(answers.pop())["tokens"] > 2
    for connection in connections:
        connection.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_too_many_connections_are_told_so_and_health_is_answered() -> None:
    with serving("--max-connections", "5", "--log", "none") as server:
        held = [server.socket() for _ in range(5)]
        for connection in held:
            connection.sendall(HEALTH)
            connection.recv(65536)
        status, headers, body = server.ask("POST", "/classify", '{"text": "a"}', JSON)
        assert (status, json.loads(body)["error"]) == (503, "there are too many connections")
        assert "retry-after" in headers
        assert server.ask("GET", "/health")[0] == 200
        held.pop().close()
        end = time.monotonic() + PATIENCE
        while server.ask("POST", "/classify", '{"text": "a"}', JSON)[0] != 200:  # until its end has been noticed
            assert time.monotonic() < end
        for connection in held:
            connection.close()


def test_descriptors_used_up() -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (150, 150))

    with serving("--log", "none", preexec_fn=few) as server:
        assert any("allows 54 connections" in line for line in server.lines)
        connections = []
        for _ in range(200):  # more than it has descriptors for; the rest waits with the system
            connection = socket.socket()
            connection.settimeout(PATIENCE)
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", server.port))
            connections.append(connection)
        time.sleep(0.5)
        assert server.process.poll() is None
        for connection in connections:
            connection.close()
        is_well(server)


def test_the_last_descriptor_is_no_reason_to_spin_or_stop() -> None:
    """Others hold descriptors of the process, so that the system refuses to accept before the server itself would."""

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (150, 150))

    null = os.open(os.devnull, os.O_RDONLY)
    inherited = [os.dup(null) for _ in range(75)]
    with serving("--log", "none", preexec_fn=few, pass_fds=inherited) as server:
        connections = [server.socket() for _ in range(100)]  # the last ones wait with the system

        def cpu_ticks() -> int:
            fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])

        end = time.monotonic() + PATIENCE
        while len(list(Path(f"/proc/{server.process.pid}/fd").iterdir())) < 150:
            assert time.monotonic() < end
            time.sleep(0.05)
        before = cpu_ticks()
        time.sleep(2)
        assert (cpu_ticks() - before) / os.sysconf("SC_CLK_TCK") < 0.5
        connections[0].sendall(HEALTH)
        assert statuses(connections[0].recv(65536)) == [200]
        for connection in connections[:60]:
            connection.close()
        connections[-1].sendall(HEALTH)  # its turn has come
        assert statuses(connections[-1].recv(65536)) == [200]
        for connection in connections:
            connection.close()
        is_well(server)
    for descriptor in [null, *inherited]:
        os.close(descriptor)


# --- Who is slow ---


def test_slow_heads_and_bodies_are_cut_off_while_others_are_served() -> None:
    with serving("--head-seconds", "2", "--body-seconds", "2", "--log", "none") as server:
        silent = [server.socket() for _ in range(100)]
        heads = [server.socket() for _ in range(200)]
        bodies = [server.socket() for _ in range(200)]
        end = time.monotonic() + 3.5
        for connection in heads:
            connection.sendall(b"POST /classify HTTP/1.1\r\nHost: x\r\n")
        for connection in bodies:
            connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n")
        while time.monotonic() < end:  # a byte now and then does not help
            for connection in heads + bodies:
                with suppress(OSError):
                    connection.sendall(b"a")
            is_well(server)
            time.sleep(0.3)
        for connection in heads + bodies:
            answer = read_all(connection)
            assert statuses(answer) in ([408], []), answer
        assert {statuses(read_all(connection)) == [] for connection in silent} == {True}
        server.wait_for_metric("reviewrate_connections", 1)
        assert server.metric('reviewrate_http_requests_total{route="/classify",code="408"}') == 200


def test_an_empty_line_before_a_request_is_nothing(server: Server) -> None:
    """Some clients send one behind a body (RFC 9112, section 2.2)."""
    close = HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert statuses(server.raw(b"\r\n" + HEALTH + b"\r\n\r\n" + close)) == [200, 200]
    with server.socket() as connection:
        for piece in (b"\r", b"\n", close[:1], close[1:]):
            connection.sendall(piece)
            time.sleep(0.05)
        assert statuses(read_all(connection)) == [200]


def test_half_open_connections_are_answered(server: Server) -> None:
    with server.socket() as connection:
        connection.sendall(HEAD + b"Content-Length: 1\r\n\r\na")
        connection.shutdown(socket.SHUT_WR)
        assert statuses(read_all(connection)) == [200]


def test_clients_that_leave_in_the_middle(server: Server) -> None:
    for i in range(100):
        connection = server.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # with a reset
        connection.sendall([HEAD, HEAD + b"Content-Length: 9\r\n\r\nabc", HEAD + b"Content-Length: 1\r\n\r\na"][i % 3])
        connection.close()
    stream = server.socket()
    stream.sendall(
        b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 999\r\n\r\n"
        b'{"text": "a"}\n{"text": "b'
    )
    stream.close()
    server.wait_for_metric("reviewrate_connections", 1)
    server.wait_for_metric("reviewrate_queue_reviews", 0)
    assert server.metric("reviewrate_held_bytes") == 0
    is_well(server)


def test_reading_and_writing_fail_in_the_same_moment(tmp_path: Path) -> None:
    """A client that never reads sends a last piece and leaves while the server sleeps: that wakes up to both."""
    with serving("--unix", tmp_path / "socket", "--log", "none") as server, server.socket() as connection:
        lines = b'{"text": ""}\n' * 3000
        connection.sendall(STREAM + b"%x\r\n%s\r\n" % (len(lines), lines))
        server.wait_for_metric("reviewrate_reviews_total", 3000)
        with server.asleep():
            connection.sendall(b'6\r\n{"tex\r\n')
            connection.close()
        server.wait_for_metric("reviewrate_connections", 1)
        assert server.metric("reviewrate_held_bytes") == 0
        is_well(server)


def test_clients_that_leave_before_they_are_told_to_continue(tmp_path: Path) -> None:
    with serving("--unix", tmp_path / "socket", "--max-connections", "4", "--log", "none") as server:
        with server.asleep():
            for _ in range(40):
                with server.socket() as connection:
                    connection.sendall(STREAM.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        server.wait_for_metric("reviewrate_connections", 1)
        is_well(server)


def test_who_reads_slowly_but_steadily_is_not_cut_off() -> None:
    """However much of the answer the system could have held."""
    count, begin, answer = 60000, time.monotonic(), b""
    with serving("--write-seconds", "2", "--log", "none") as server, server.socket() as connection:
        lines = b'{"text": ""}\n' * count
        sender = threading.Thread(target=connection.sendall, args=(STREAM + b"%x\r\n%s\r\n" % (len(lines), lines),))
        sender.start()
        while answer.count(b"}") < count:
            piece = connection.recv(8192 if time.monotonic() - begin < 8 else 1 << 20)
            assert piece, len(answer)
            answer += piece
            if time.monotonic() - begin < 8:
                time.sleep(0.1)
        sender.join()


@pytest.mark.parametrize("end", [b"0\r\n\r\n", b""])
def test_a_client_that_takes_answers_is_not_idle(tmp_path: Path, end: bytes) -> None:
    """Whether it has sent all or not, and however late it reads on."""
    count = 20000  # whose answers are more than the system keeps
    with (
        serving("--unix", tmp_path / "socket", "--idle-seconds", "2", "--log", "none") as server,
        server.socket() as connection,
    ):
        lines = b'{"text": ""}\n' * count
        connection.sendall(STREAM + b"%x\r\n%s\r\n" % (len(lines), lines) + end)
        server.wait_for_metric("reviewrate_reviews_total", count)
        time.sleep(3)
        answers, last = 0, b""
        while answers < count or not last.endswith(b"\r\n0\r\n\r\n"):
            piece = connection.recv(1 << 16)
            assert piece, answers
            answers += piece.count(b"}")
            last = (last + piece)[-7:]
            if answers == count and not end:
                end = b"0\r\n\r\n"
                connection.sendall(end)
        assert answers == count


def test_expect_100_continue(server: Server) -> None:
    with server.socket() as connection:
        connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 1\r\nConnection: close\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"a")
        assert statuses(read_all(connection)) == [200]
    answer = server.raw(HEAD + b"Expect: 100-continue\r\nContent-Length: 9999999\r\n\r\n")
    assert statuses(answer) == [413]
    with server.socket() as connection:  # 1.0 does not know it (RFC 9110, section 10.1.1)
        connection.sendall(HEAD.replace(b"1.1", b"1.0") + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        server.wait_for_metric("reviewrate_connections", 2)
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(PATIENCE)
        connection.sendall(b"a")
        assert read_all(connection).startswith(b"HTTP/1.0 200 OK")


# --- What fails inside ---


@pytest.fixture
def throwing(tmp_path: Path) -> Path:
    """A model that raises where a text has the word's first letters twice: "zebra zebra"."""
    import torch

    vocab = (TINY / "vocab.txt").read_text().splitlines()
    token = vocab.index(next("zebra"[:size] for size in range(5, 0, -1) if "zebra"[:size] in vocab))

    class Throwing(torch.nn.Module):
        def __init__(self, token: int) -> None:
            super().__init__()
            self.token = token

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            if int((ids == self.token).sum()) > 1:
                raise RuntimeError("no zebras")
            total = (ids * mask).sum(1).to(torch.float32)
            return torch.stack([total * 0, total / 1000], 1)

    torch.jit.script(Throwing(token)).save(str(tmp_path / "model.pt"))
    return tmp_path / "model.pt"


def test_an_only_review_at_which_the_model_throws_is_answered_at_once(throwing: Path) -> None:
    with serving("--model", throwing, "--vocab", TINY / "vocab.txt") as server:
        for _ in range(5):
            assert server.ask("POST", "/classify", b'{"text": "zebra zebra"}', JSON)[0] == 500
            assert server.ask("POST", "/classify", b'{"text": "a horse"}', JSON)[0] == 200
        lines = b'{"text": "x"}\n{"text": "zebra zebra"}\n{"text": "y"}\n'
        answers = [json.loads(line) for line in server.ask("POST", "/classify", lines, NDJSON)[2].splitlines()]
        assert ["label" in answer for answer in answers] == [True, False, True]


def test_a_review_at_which_the_model_throws_fails_alone(throwing: Path) -> None:
    with serving("--model", throwing, "--vocab", TINY / "vocab.txt") as server:
        bad = json.dumps({"text": "a film that is a zebra zebra of its kind"})
        good = json.dumps({"text": "a film that is a horse of its kind"})
        connections = [server.connect() for _ in range(40)]
        for i, connection in enumerate(connections):
            connection.request("POST", "/classify", bad if i % 10 == 3 else good, JSON)
        for i, connection in enumerate(connections):
            response = connection.getresponse()
            body = json.loads(response.read())
            assert response.status == (500 if i % 10 == 3 else 200), body
            if response.status == 500:
                assert body["error_type"] == "Backend"
            connection.close()
        assert server.ask("GET", "/health")[0] == 200
        lines = b'{"text": "x"}\n{"text": "zebra zebra"}\n{"text": "y"}\n'
        answers = [json.loads(line) for line in server.ask("POST", "/classify", lines, NDJSON)[2].splitlines()]
        assert ["label" in answer for answer in answers] == [True, False, True]
        assert answers[1]["error"]["kind"] == "internal"
    assert any("could not be classified" in line for line in server.lines)
    assert not [line for line in server.lines if "zebra zebra" in line]
