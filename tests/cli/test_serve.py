"""`reviewrate serve` from outside: every route, and the same answers as `classify` gives."""

import gzip
import http.client
import json
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from conftest import BINARY, TINY, Run, error_line, records
from server import FORM, JSON, NDJSON, PATIENCE, Server, read_all, serving

TEXTS = [
    "A lovely film.",
    "",
    "It is a very nice film, and I would see it again.\r\nReally.",
    "naïve café 你好 🙂 \u0000 <script>alert(1)</script>",
    "long " * 700,
]
STREAM = (
    b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def expected(run: Run) -> list[dict[str, Any]]:
    """What `classify` says of TEXTS."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)
    return records(run("--input-format", "jsonl", stdin=lines))


def without_id(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "id"}


def as_record(status: int, body: bytes) -> dict[str, Any]:
    assert status == 200, body
    return without_id(json.loads(body))


# --- Our own requests ---


def test_plain_text(server: Server, expected: list[dict[str, Any]]) -> None:
    for text, record in zip(TEXTS, expected, strict=True):
        status, headers, body = server.ask("POST", "/classify", text, {"Content-Type": "text/plain; charset=UTF-8"})
        assert as_record(status, body) == without_id(record)
        assert headers["content-type"] == "application/json"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers


def test_json(server: Server, expected: list[dict[str, Any]]) -> None:
    for text, record in zip(TEXTS, expected, strict=True):
        assert without_id(server.post("/classify", {"text": text})) == without_id(record)
    answer = server.post("/classify", {"texts": TEXTS})
    assert [record["id"] for record in answer["records"]] == [f"text:{i + 1}" for i in range(len(TEXTS))]
    assert [without_id(record) for record in answer["records"]] == [without_id(record) for record in expected]
    assert server.post("/classify", {"texts": []}) == {"records": []}


def test_form_fields(server: Server, expected: list[dict[str, Any]]) -> None:
    for text, record in zip(TEXTS, expected, strict=True):
        status, _, body = server.ask("POST", "/classify", urlencode({"text": text}), FORM)
        assert as_record(status, body) == without_id(record)


@pytest.mark.parametrize("review_id", ["r 17", 17, -1.5, "naïve"])
def test_a_record_has_the_id_that_came_with_its_text(server: Server, review_id: str | float) -> None:
    assert server.post("/classify", {"text": "a film", "id": review_id})["id"] == review_id
    assert server.post("/classify", {"text": "a film", "id": None})["id"] == "text:1"


def test_records_have_the_ids_that_came_with_their_texts(server: Server) -> None:
    answer = server.post("/classify", {"texts": ["a", "b", "c"], "ids": ["r 17", 2**64 - 1, None]})
    assert [record["id"] for record in answer["records"]] == ["r 17", 2**64 - 1, "text:3"]
    assert server.post("/classify", {"texts": [], "ids": []}) == {"records": []}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"texts": ["a", "b"], "ids": ["1"]}, "an id for each of the 2 texts"),
        ({"texts": ["a"], "ids": "1"}, "an id for each of the 1 text"),
        ({"texts": ["a"], "ids": [True]}, "an id must be a text or a number"),
        ({"texts": ["a"], "ids": [1e300]}, "send it as a text"),
        ({"text": "a", "id": 2**64}, "send it as a text"),
        ({"text": "a", "id": ["1"]}, "an id must be a text or a number"),
        ({"text": "a", "ids": ["1"]}, '"ids" with "texts"'),
        ({"texts": ["a"], "id": "1"}, '"id" goes with "text"'),
    ],
)
def test_ids_that_do_not_fit_are_refused(server: Server, body: dict[str, Any], words: str) -> None:
    status, _, answer = server.ask("POST", "/classify", json.dumps(body), JSON)
    assert status == 400 and words in json.loads(answer)["error"]


def test_a_field_that_does_nothing_is_refused(server: Server) -> None:
    """Nobody takes an answer for one of another effort; a record of a stream has whatever fields it has."""
    for name in ("effort", "threshold", "explain", "inputs", "txt"):
        for body, headers in (
            (json.dumps({"text": "a", name: "x"}), JSON),
            (urlencode({"text": "a", name: "x"}), FORM),
        ):
            status, _, answer = server.ask("POST", "/classify", body, headers)
            assert status == 400 and f'there is no field "{name}"; the fields are: text' in json.loads(answer)["error"]
    status, _, answer = server.ask("POST", "/classify", '{"text": "a", "explain": "words"}', JSON)
    assert "/classify?explain=words" in json.loads(answer)["error"]
    status, _, answer = server.ask("POST", "/classify", '{"text": "a", "effort": "x"}\n', NDJSON)
    assert status == 200 and "error" not in json.loads(answer)


def test_a_stream_is_answered_as_classify_answers_a_pipe(server: Server, run: Run) -> None:
    lines = b"".join(json.dumps({"text": text, "id": f"r{i}"}).encode() + b"\n" for i, text in enumerate(TEXTS))
    lines += b'{"text": 5}\nnot json\n{"no": 1}\n\n{"text": "bad \xff byte"}\n{"id": 7, "text": "half \\ud800"}\n'
    lines += b'{"text": "the last one has no line end"}'
    result = run("--input-format", "jsonl", stdin=lines)
    assert result.returncode == 1  # some records failed
    status, headers, body = server.ask("POST", "/classify", lines, NDJSON)
    assert status == 200
    assert headers["content-type"] == "application/x-ndjson"
    assert body == result.stdout


def test_bytes_that_are_not_utf8(server: Server) -> None:
    status, _, body = server.ask("POST", "/classify", b"bad \xff byte", {"Content-Type": "text/plain"})
    assert as_record(status, body)["repaired"] == 1
    status, _, body = server.ask("POST", "/classify", b"text=bad+%FF+byte", FORM)
    assert as_record(status, body)["repaired"] == 1
    status, _, body = server.ask("POST", "/classify", b'{"text": "bad \xff byte"}', JSON)
    assert (status, json.loads(body)["error_type"]) == (400, "Validation")


def test_a_stream_is_answered_while_it_is_sent(server: Server) -> None:
    with server.socket() as connection:
        connection.sendall(STREAM)
        reader = connection.makefile("rb")
        for i in range(3):
            line = json.dumps({"id": i, "text": TEXTS[0]}).encode() + b"\n"
            connection.sendall(b"%x\r\n%s\r\n" % (len(line), line))
            if i == 0:
                assert reader.readline().startswith(b"HTTP/1.1 200")
                while reader.readline() != b"\r\n":
                    pass
            size = int(reader.readline(), 16)
            assert json.loads(reader.read(size + 2))["id"] == i
        connection.sendall(b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert reader.readline() == b"0\r\n"
        assert reader.readline() == b"\r\n"
        assert reader.readline().startswith(b"HTTP/1.1 200")  # the connection goes on


def test_a_long_stream_from_one_who_reads_late(server: Server) -> None:
    count = 5000
    body = b"".join(b'{"id": %d, "text": "film %d"}\n' % (i, i % 10) for i in range(count))
    status, _, answer = server.ask("POST", "/classify", body, NDJSON)
    assert status == 200
    assert [json.loads(line)["id"] for line in answer.splitlines()] == list(range(count))


def test_streams_leave_room_in_the_queue() -> None:
    """Others get their answers at once, though the stream alone would fill it."""
    line = json.dumps({"text": "a lovely film " * 30}).encode() + b"\n"
    with serving("--max-queue-tokens", "1000", "--log", "none") as server, server.socket() as connection:
        head = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % (len(line) * 3000))
        sender = threading.Thread(target=connection.sendall, args=(line * 3000,))
        taker = threading.Thread(target=connection.recv, args=(1 << 26, socket.MSG_WAITALL))
        sender.start()
        taker.start()
        server.wait_for_metric("reviewrate_connections", 2)
        while server.metric("reviewrate_reviews_total") == 0:
            pass
        for _ in range(20):
            assert server.ask("POST", "/classify", "fine", {"Content-Type": "text/plain"})[0] == 200
        assert server.metric("reviewrate_queue_tokens") > 0  # the stream was there all the time
        connection.shutdown(socket.SHUT_RDWR)
        sender.join()
        taker.join()


def test_a_stream_over_http_1_0_ends_with_the_connection(server: Server) -> None:
    body = b'{"id": "a", "text": "x"}\n'
    head = b"POST /classify HTTP/1.0\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n" % len(body)
    answer, _, rest = server.raw(head + body).partition(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 200")
    assert b"chunked" not in answer
    assert json.loads(rest)["id"] == "a"


# --- The requests of others ---


def test_text_embeddings_inference(server: Server, expected: list[dict[str, Any]]) -> None:
    one = server.post("/predict", {"inputs": TEXTS[0]})
    assert [set(entry) for entry in one] == [{"label", "score"}] * 2
    assert one[0]["score"] > one[1]["score"]
    assert one[0] == {"label": expected[0]["label"], "score": expected[0]["score"]}
    many = server.post("/predict", {"inputs": [[text] for text in TEXTS], "raw_scores": False, "truncate": None})
    assert [entry[0]["score"] for entry in many] == [record["score"] for record in expected]
    assert server.post("/predict", {"inputs": [["a"]]}) == [server.post("/predict", {"inputs": "a"})]
    assert server.post("/predict", {"inputs": []}) == []
    raw = server.post("/predict", {"inputs": TEXTS[0], "raw_scores": True})
    difference = raw[0]["score"] - raw[1]["score"]
    assert one[0]["score"] == pytest.approx(1 / (1 + 2.718281828459045**-difference), rel=1e-12)


def test_a_text_that_must_not_be_cut_is_refused(server: Server) -> None:
    for members in ({"truncate": False}, {"truncate": True, "truncation_direction": "Left"}):
        status, _, body = server.ask("POST", "/predict", json.dumps({"inputs": TEXTS[4], **members}), JSON)
        assert status == 413
        assert "702 tokens" in json.loads(body)["error"]
        server.post("/predict", {"inputs": TEXTS[0], **members})
    server.post("/predict", {"inputs": TEXTS[4], "truncate": True, "truncation_direction": "Right"})


def test_hugging_face_inference_api(server: Server, expected: list[dict[str, Any]]) -> None:
    one = server.post("/", {"inputs": TEXTS[0]})
    assert one == [server.post("/predict", {"inputs": TEXTS[0]})]
    many = server.post("/", {"inputs": TEXTS, "parameters": {"top_k": 1, "function_to_apply": "softmax"}})
    assert many == [[{"label": record["label"], "score": record["score"]}] for record in expected]
    raw = server.post("/", {"inputs": TEXTS[0], "parameters": {"function_to_apply": "none"}})
    assert raw == [server.post("/predict", {"inputs": TEXTS[0], "raw_scores": True})]
    sigmoid = server.post("/", {"inputs": TEXTS[0], "parameters": {"function_to_apply": "sigmoid"}})
    for entry, logit in zip(sigmoid[0], raw[0], strict=True):
        assert entry["score"] == pytest.approx(1 / (1 + 2.718281828459045 ** -logit["score"]), rel=1e-12)


def test_the_client_of_huggingface_hub(server: Server, expected: list[dict[str, Any]]) -> None:
    from huggingface_hub import InferenceClient
    from huggingface_hub.errors import HfHubHTTPError

    client = InferenceClient(model=server.address)
    for text, record in zip(TEXTS, expected, strict=True):
        best, other = client.text_classification(text)
        assert (best.label, best.score) == (record["label"], record["score"])
        assert other.label != best.label and other.score < best.score
        only = client.text_classification(text, top_k=1, function_to_apply="softmax")
        assert [(entry.label, entry.score) for entry in only] == [(record["label"], record["score"])]
    with pytest.raises(HfHubHTTPError, match="larger than 1048576 bytes"):
        client.text_classification("a" * (1 << 20) + "b")


def test_vllm(server: Server, expected: list[dict[str, Any]]) -> None:
    for path in ("/v1/classify", "/classify"):
        answer = server.post(path, {"model": "tiny", "input": TEXTS})
        assert (answer["object"], answer["model"]) == ("list", "tiny")
        assert [entry["index"] for entry in answer["data"]] == list(range(len(TEXTS)))
        assert [entry["label"] for entry in answer["data"]] == [record["label"] for record in expected]
        assert [max(entry["probs"]) for entry in answer["data"]] == [record["score"] for record in expected]
        assert {entry["num_classes"] for entry in answer["data"]} == {2}
        tokens = sum(record["tokens"] for record in expected)
        assert answer["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0}
        assert len(server.post(path, {"input": "a"})["data"]) == 1
        status, _, body = server.ask("POST", path, json.dumps({"model": "other", "input": "a"}), JSON)
        assert status == 404 and '"tiny"' in json.loads(body)["error"]


# --- Explanations ---

FILM = "The plot is dull.<br /><br />But the actors are wonderful! I would see it again, caf\u00e9 and all. " * 3


@pytest.mark.parametrize("unit", ["sentences", "words"])
def test_explanations_are_those_of_the_command_line(server: Server, run: Run, unit: str) -> None:
    texts = [FILM, *TEXTS]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    expected = [without_id(r) for r in records(run("--input-format", "jsonl", "--explain", unit, stdin=lines))]
    assert len(expected[0]["explanation"]["parts"]) == 9
    path = f"/classify?explain={unit}"
    assert [without_id(r) for r in server.post(path, {"texts": texts})["records"]] == expected
    _, _, body = server.ask("POST", path, lines, NDJSON)
    assert [without_id(json.loads(line)) for line in body.splitlines()] == expected
    assert without_id(server.post(path, {"text": FILM})) == expected[0]
    assert as_record(*server.ask("POST", path, FILM, {"Content-Type": "text/plain"})[::2]) == expected[0]
    assert as_record(*server.ask("POST", path, urlencode({"text": FILM}), FORM)[::2]) == expected[0]
    assert "explanation" not in server.post("/classify", {"text": FILM})


def test_the_page_without_javascript_explains(server: Server) -> None:
    status, _, body = server.ask("POST", "/", urlencode({"text": FILM + "<script>", "explain": "words"}), FORM)
    assert status == 200
    page = body.decode()
    assert page.count("<li class=") == 10 and "&#60;script&#62;" in page and "<script>\n" in page
    assert page.count("<script>") == 1  # the page's own


@pytest.mark.parametrize(
    ("query", "value", "headers", "words"),
    [
        ("explain=letters", {"text": "a"}, JSON, "sentences or words"),
        ("explain=", {"text": "a"}, NDJSON, "sentences or words"),
        ("why=words", {"text": "a"}, JSON, "no parameter"),
        ("why=words", {"text": "a"}, NDJSON, "no parameter"),
        ("explain=words", {"input": "a"}, JSON, "vLLM"),
    ],
)
def test_what_cannot_be_explained(server: Server, query: str, value: Any, headers: dict[str, str], words: str) -> None:
    status, _, body = server.ask("POST", "/classify?" + query, json.dumps(value), headers)
    assert status == 400 and words in json.loads(body)["error"]


def test_an_explanation_above_the_queue_is_refused() -> None:
    long = "good film. " * 400
    with serving("--max-queue-tokens", "2000", "--long-text", "windows") as server:
        status, _, body = server.ask("POST", "/classify?explain=words", json.dumps({"text": long}), JSON)
        assert status == 413 and "--max-queue-tokens" in json.loads(body)["error"]
        lines = json.dumps({"text": long}) + "\n" + json.dumps({"text": "good film."}) + "\n"
        _, _, body = server.ask("POST", "/classify?explain=words", lines, NDJSON)
        refused, explained = (json.loads(line) for line in body.splitlines())
        assert refused["error"]["kind"] == "size" and "-:1: to explain it" in refused["error"]["message"]
        assert explained["explanation"]["parts"]
        assert server.post("/classify", {"text": long})["windows"] > 1
        assert server.metric("reviewrate_queue_tokens") == 0


def test_reviews_do_not_wait_behind_explanations() -> None:
    asked = 40
    with serving("--workers", "1", "--max-queue-tokens", "10000000") as server:
        connections = [server.connect() for _ in range(asked)]
        body = json.dumps({"text": "good film. " * 400})
        for connection in connections:
            connection.request("POST", "/classify?explain=sentences", body, JSON)
        server.post("/classify", {"text": "A lovely film."})
        assert server.metric("reviewrate_queue_reviews") > asked / 2
        for connection in connections:
            assert json.loads(connection.getresponse().read())["explanation"]["parts"]
            connection.close()


# --- What the server says of itself ---


def test_health_info_metrics_and_description(server: Server) -> None:
    status, _, body = server.ask("GET", "/health")
    assert (status, json.loads(body)) == (200, {"status": "ok"})
    status, headers, body = server.ask("HEAD", "/health")
    assert (status, body) == (200, b"") and int(headers["content-length"]) > 0
    info = json.loads(server.ask("GET", "/info")[2])
    assert info["model_id"] == "tiny"
    assert info["max_input_length"] == 512
    assert set(info["model_type"]["classifier"]["label2id"]) == {"NEGATIVE", "POSITIVE"}
    description = json.loads(server.ask("GET", "/openapi.json")[2])
    assert description["openapi"].startswith("3.1")
    for path, methods in description["paths"].items():
        for method in methods:
            if method == "get":
                assert server.ask("GET", path)[0] == 200
            else:
                assert server.ask("POST", path, "{}", JSON)[0] == 400


def test_metrics_are_in_prometheus_form_and_count(server: Server) -> None:
    name = 'reviewrate_http_requests_total{route="/predict",code="200"}'
    before, reviews = server.metric(name), server.metric("reviewrate_reviews_total")
    server.post("/predict", {"inputs": [["a"], ["b"]]})
    assert server.metric(name) == before + 1
    assert server.metric("reviewrate_reviews_total") == reviews + 2
    status, headers, body = server.ask("GET", "/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4")
    typed = set()
    for line in body.decode().splitlines():
        if line.startswith("# TYPE "):
            typed.add(line.split()[2])
        elif not line.startswith("#"):
            sample = re.fullmatch(r"([a-z_]+)(\{[a-z_]+=\"[^\"]*\"(,[a-z_]+=\"[^\"]*\")*\})? ([0-9.e+-]+)", line)
            assert sample, line
            assert re.sub("_(bucket|sum|count)$", "", sample[1]) in typed or sample[1] in typed
    for metric in ("reviewrate_queue_tokens", "reviewrate_batch_tokens", "reviewrate_batch_duration_seconds"):
        assert metric in typed


# --- Errors ---


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "words"),
    [
        ("GET", "/nowhere", None, {}, 404, "no such path"),
        ("POST", "/health", "", {}, 405, "GET, HEAD, OPTIONS"),
        ("GET", "/classify", None, {}, 405, "POST, OPTIONS"),
        ("DELETE", "/", None, {}, 405, "GET, HEAD, POST, OPTIONS"),
        ("POST", "/classify", "x", {}, 415, "Content-Type"),
        ("POST", "/classify", "x", {"Content-Type": "image/png"}, 415, "text/plain"),
        ("POST", "/classify", "x", {"Content-Type": "text/plain; charset=latin1"}, 415, "UTF-8"),
        ("POST", "/classify", "x", {"Content-Type": "text/plain", "Content-Encoding": "gzip"}, 415, "Content-Encoding"),
        ("POST", "/classify", "{", JSON, 400, "not valid JSON"),
        ("POST", "/classify", "[]", JSON, 400, "must be a JSON object"),
        ("POST", "/classify", "{}", JSON, 400, '"text" or "texts"'),
        ("POST", "/classify", '{"text": "a", "texts": []}', JSON, 400, '"text" or "texts"'),
        ("POST", "/classify", '{"text": 5}', JSON, 400, '"text" must be a text'),
        ("POST", "/classify", '{"texts": ["a", 5]}', JSON, 400, "array of texts"),
        ("POST", "/classify", '{"text": ' + "[" * 100000, JSON, 400, "nested"),
        ("POST", "/classify", '{"text": "a", "n": 1e999}', JSON, 400, "too large"),
        ("POST", "/classify", '{"text": "a", "text": "b"}', JSON, 400, '"text" comes twice'),
        ("POST", "/", '{"inputs": "a", "parameters": {"top_k": 1, "top_k": 2}}', JSON, 400, '"top_k" comes twice'),
        ("POST", "/predict", '{"inputs": "a", "inputs": "b"}', JSON, 400, '"inputs" comes twice'),
        ("POST", "/classify", "text=a&text=b", FORM, 400, '"text" comes twice'),
        ("POST", "/", "text=a&te%78t=b", FORM, 400, '"text" comes twice'),
        ("POST", "/classify?explain=words&explain=words", '{"text": "a"}', JSON, 400, '"explain" comes twice'),
        ("POST", "/classify", "%PDF-1.4\n1 0 obj\n<<>>", {"Content-Type": "text/plain"}, 415, "a PDF document"),
        ("POST", "/classify", "\ufeffgood".encode("utf-16-le"), {"Content-Type": "text/plain"}, 415, "UTF-16LE"),
        ("POST", "/classify", "good film".encode("utf-16-be"), {"Content-Type": "text/plain"}, 415, "UTF-16"),
        ("POST", "/classify", gzip.compress(b"good film"), {"Content-Type": "text/plain"}, 415, "binary data"),
        ("POST", "/classify?why=words", '{"text": "a"}', JSON, 400, '"why"'),
        ("POST", "/classify?x=1", '{"text": "a"}', NDJSON, 400, "no parameter"),
        ("POST", "/classify", "txt=a", FORM, 400, '"text"'),
        ("POST", "/", "txt=a", FORM, 400, '"text"'),
        ("POST", "/", '{"inputs": {"text": "a"}}', JSON, 400, '"inputs"'),
        ("POST", "/", '{"inputs": "a", "parameters": {"top_k": 0}}', JSON, 400, "top_k"),
        ("POST", "/", '{"inputs": "a", "parameters": {"max_length": 5}}', JSON, 400, "max_length"),
        ("POST", "/", '{"inputs": "a", "parameters": {"function_to_apply": "relu"}}', JSON, 400, "softmax"),
        ("POST", "/predict", '{"inputs": ["a", "b"]}', JSON, 400, "pairs"),
        ("POST", "/predict", '{"inputs": [["a", "b"]]}', JSON, 400, "pairs"),
        ("POST", "/predict", '{"inputs": "a", "truncate": "yes"}', JSON, 400, "truncate"),
        ("POST", "/predict", '{"inputs": "a", "truncation_direction": "Up"}', JSON, 400, "truncation_direction"),
        ("POST", "/v1/classify", '{"input": [[1, 2]]}', JSON, 400, '"input"'),
        ("POST", "/classify", json.dumps({"texts": ["a"] * 1025}), JSON, 413, "1024 texts"),
        ("POST", "/classify", json.dumps({"text": "a" * (1 << 20) + "b"}), JSON, 413, "1048576 bytes"),
        ("POST", "/classify", "a" * ((2 << 20) + 1), {"Content-Type": "text/plain"}, 413, "2097152 bytes"),
    ],
)
def test_errors_are_one_line_of_json(
    server: Server, method: str, path: str, body: str | bytes | None, headers: dict[str, str], status: int, words: str
) -> None:
    got, answer_headers, answer = server.ask(method, path, body, headers)
    assert got == status, answer
    assert answer_headers["content-type"] == "application/json"
    assert set(json.loads(answer)) == {"error", "error_type"}
    assert words in json.loads(answer)["error"]
    assert answer.count(b"\n") == 1
    assert ("allow" in answer_headers) == (status == 405)


def test_identity_is_no_encoding(server: Server) -> None:
    headers = {"Content-Type": "text/plain", "Content-Encoding": "identity"}
    assert server.ask("POST", "/classify", "good", headers)[0] == 200


def test_a_wrong_request_leaves_the_connection_in_use(server: Server) -> None:
    connection = server.connect()
    for body, status in [("{", 400), ('{"text": "a"}', 200), ("[]", 400), ('{"text": "b"}', 200)]:
        connection.request("POST", "/classify", body, JSON)
        response = connection.getresponse()
        assert (response.status, response.will_close) == (status, False)
        response.read()
    connection.close()


# --- Keys, origins, addresses ---


def test_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("first key\n\nsecond\r\n")
    with serving("--api-key-file", file) as server:
        for given in ({}, *({"Authorization": v} for v in ("", "Bearer", "Bearer x", "second", "Digest second"))):
            status, headers, body = server.ask("POST", "/classify", '{"text": "a"}', JSON | given)
            assert (status, json.loads(body)["error_type"]) == (401, "Unauthorized")
            assert headers["www-authenticate"].startswith("Bearer")
        # "someone:second" and ":first key" in base64, as browsers send a password.
        for value in ("Bearer second", "bearer  first key", "Basic c29tZW9uZTpzZWNvbmQ=", "Basic OmZpcnN0IGtleQ=="):
            assert server.ask("POST", "/classify", '{"text": "a"}', JSON | {"Authorization": value})[0] == 200
        assert server.ask("POST", "/classify", '{"text": "a"}', JSON | {"Authorization": "Basic c2Vjb25k"})[0] == 401
        assert [server.ask("GET", path)[0] for path in ("/health", "/metrics", "/info", "/")] == [200, 200, 401, 401]


def test_what_is_no_key_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n \n")
    for name in ("empty", "missing"):
        result = run("serve", "--port", "0", "--api-key-file", tmp_path / name)
        assert result.returncode == 2
        assert str(tmp_path / name) in error_line(result)


def test_other_origins_only_where_one_is_named(server: Server) -> None:
    assert not [n for n in server.ask("OPTIONS", "/classify", None, {"Origin": "http://a.b"})[1] if "access" in n]
    with serving("--cors-origin", "https://shop.example") as other:
        status, headers, _ = other.ask("OPTIONS", "/classify", None, {"Origin": "https://shop.example"})
        assert status == 204
        assert headers["access-control-allow-origin"] == "https://shop.example"
        assert "Authorization" in headers["access-control-allow-headers"]
        _, headers, _ = other.ask("POST", "/classify", '{"text": "a"}', JSON)
        assert (headers["access-control-allow-origin"], headers["vary"]) == ("https://shop.example", "Origin")


def test_a_socket_in_the_file_system(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with serving("--unix", path):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            assert b'{"status": "ok"}' in read_all(connection)
        second = Server("--unix", path)
        assert second.process.returncode == 3 and "another server listens there" in second.lines[0]
    assert not path.exists()
    with socket.socket(socket.AF_UNIX) as left:  # by a server that was killed
        left.bind(str(path))
    with serving("--unix", path):
        pass
    path.write_text("something else")
    other = Server("--unix", path)
    assert other.process.returncode == 3 and path.read_text() == "something else"


def test_a_socket_that_another_server_has_replaced_stays(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with serving("--unix", path) as first:
        path.unlink()
        with serving("--unix", path) as second:
            assert first.stop() == 0
            assert second.ask("GET", "/health")[0] == 200
        path.write_text("mine")
    assert path.read_text() == "mine"


def test_an_address_that_is_taken(server: Server, run: Run) -> None:
    result = run("serve", "--port", server.port)
    assert result.returncode == 3
    assert f"127.0.0.1:{server.port}: cannot be listened on" in error_line(result)
    assert run("serve", "--host", "no.such.host.invalid").returncode == 3
    assert run("serve", "--port", "70000").returncode == 2


def test_options_from_the_environment() -> None:
    with serving(env={"REVIEWRATE_MAX_BODY_BYTES": "10", "REVIEWRATE_LOG": "none", "REVIEWRATE_HOST": "::1"}) as server:
        assert server.address.startswith("http://[::1]:")
        connection = http.client.HTTPConnection("::1", server.port, timeout=PATIENCE)
        connection.request("POST", "/classify", "more than ten", {"Content-Type": "text/plain"})
        assert connection.getresponse().status == 413
        connection.close()
    assert not [line for line in server.lines if "/classify" in line]


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PORT", "80x"), ("MAX_CONNECTIONS", "0"), ("PRECISION", "fp64"), ("HEAD_SECONDS", "-1"), ("CORS_ORIGIN", "shop")],
)
def test_a_wrong_variable_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    name = f"REVIEWRATE_{variable}"
    monkeypatch.setenv(name, value)
    result = run("serve")
    assert result.returncode == 2
    assert f"{name} in the environment: " in error_line(result) and value in error_line(result)


def test_what_is_typed_goes_before_the_environment() -> None:
    with serving("--log", "none", env={"REVIEWRATE_PORT": "80x", "REVIEWRATE_LOG": "jsonl"}) as server:
        server.post("/classify", {"text": "a"})
    assert not [line for line in server.lines if "/classify" in line]


def test_a_typed_port_goes_before_a_socket_of_the_environment(run: Run, tmp_path: Path) -> None:
    with serving(env={"REVIEWRATE_UNIX": str(tmp_path / "socket")}) as server:
        assert server.is_tcp and not (tmp_path / "socket").exists()
    both = run("serve", "--unix", tmp_path / "socket", "--port", "0")
    assert both.returncode == 2 and "excludes" in error_line(both)


def test_the_port_of_a_kubernetes_service_is_none() -> None:
    with serving(env={"REVIEWRATE_PORT": "tcp://10.96.0.7:8080"}) as server:
        assert "REVIEWRATE_PORT is not read: tcp://10.96.0.7:8080" in server.lines[0]


# --- The log ---


def test_the_log_has_a_line_a_request_and_nothing_of_a_review() -> None:
    with serving("--log", "jsonl") as server:
        server.post("/classify", {"texts": ["secretword one", "secretword two"]})
        server.ask("POST", "/secretword?secretword=1", '{"text": "secretword', JSON)
        server.ask("POST", "/classify", '{"text": "secretword', JSON)
    lines = [json.loads(line) for line in server.lines if line.startswith("{")]
    assert [(line["route"], line["status"], line["reviews"]) for line in lines] == [
        ("/classify", 200, 2),
        ("other", 404, 0),
        ("/classify", 400, 0),
    ]
    assert lines[0]["tokens"] > 4 and lines[0]["seconds"] > 0 and lines[0]["client"] == "127.0.0.1"
    assert "secretword" not in "\n".join(server.lines)


@pytest.mark.parametrize(
    ("begin", "reviews"),
    [
        (b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nabc", 0),
        (STREAM + b'd\r\n{"text": "a"}\r\n1\r\n\n\r\n', 1),
    ],
)
def test_who_leaves_is_in_the_log_and_counted(begin: bytes, reviews: int) -> None:
    gone = 'reviewrate_http_requests_total{route="/classify",code="499"}'
    with serving("--log", "jsonl") as server:
        with server.socket() as connection:
            connection.sendall(begin)
            server.wait_for_metric("reviewrate_reviews_total", reviews)
            if reviews:
                assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        with server.socket() as silent, server.socket() as no_head:  # these have asked nothing
            silent.sendall(b"\r\n")
            no_head.sendall(b"POST /classify HTTP/1.1\r\n")
        server.wait_for_metric(gone, 1)
        server.wait_for_metric("reviewrate_connections", 1)
    lines = [json.loads(line) for line in server.lines if line.startswith("{") and "/metrics" not in line]
    assert [(line["route"], line["method"], line["status"], line["reviews"]) for line in lines] == [
        ("/classify", "POST", 499, reviews)
    ]


def test_the_log_for_people() -> None:
    with serving() as server:
        for texts in (["a good film"], ["good", "bad"], []):
            server.post("/classify", {"texts": texts})
    assert [line.split(" ms, ")[1] for line in server.lines if " /classify " in line] == [
        "1 review, 5 tokens",
        "2 reviews, 6 tokens",
        "0 reviews, 0 tokens",
    ]


def test_a_log_that_nobody_reads_stops_nothing() -> None:
    command = [BINARY, "serve", "--port", "0", "--model", str(TINY), "--log", "jsonl"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        found = re.search(rb"listening on http://127.0.0.1:(\d+)", process.stderr.readline())
        assert found
        count = 2000  # of lines, far more than a pipe holds
        with socket.create_connection(("127.0.0.1", int(found[1])), timeout=PATIENCE) as connection:
            request = b"GET /health HTTP/1.1\r\nHost: x\r\n"
            last = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            sender = threading.Thread(target=connection.sendall, args=((request + b"\r\n") * count + last,))
            sender.start()
            answers = read_all(connection).decode()
            sender.join()
        assert answers.count('{"status": "ok"}') == count
        lost = re.search(r"^reviewrate_lost_log_lines_total (\d+)$", answers, re.MULTILINE)
        assert lost and int(lost[1]) > 100
        process.stderr.close()  # and one whose reader is gone
        with socket.create_connection(("127.0.0.1", int(found[1])), timeout=PATIENCE) as connection:
            connection.sendall(last)
            assert b"200 OK" in read_all(connection)
        process.terminate()
        assert process.wait(PATIENCE) == 0


# --- The way out ---


def test_a_signal_ends_it() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        server = Server()
        with server.socket():  # an idle connection holds nothing up
            assert server.stop(number) == 0
        assert server.lines[-1].startswith("reviewrate: ending")


def test_what_was_sent_is_answered_before_it_ends() -> None:
    body = json.dumps({"texts": ["a film of some length " * 20] * 20})
    server = Server("--workers", "1")
    connections = [server.connect() for _ in range(40)]
    for connection in connections:
        connection.request("POST", "/classify", body, JSON)
    server.process.send_signal(signal.SIGTERM)
    for connection in connections:
        response = connection.getresponse()
        assert response.status == 200
        assert len(json.loads(response.read())["records"]) == 20
        connection.close()
    assert server.process.wait(PATIENCE) == 0


def test_health_says_so_while_it_ends() -> None:
    server = Server()
    health = server.connect()
    health.request("GET", "/health")
    assert health.getresponse().read() == b'{"status": "ok"}\n'
    with server.socket() as slow:
        slow.sendall(b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nfil")
        server.wait_for_metric("reviewrate_held_bytes", 3)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        health.request("GET", "/health")
        response = health.getresponse()
        assert (response.status, json.loads(response.read())["error_type"]) == (503, "Unhealthy")
        with pytest.raises(ConnectionRefusedError):
            server.socket()
        assert server.process.poll() is None
        slow.sendall(b"m")
        assert read_all(slow).startswith(b"HTTP/1.1 200")
    assert server.process.wait(PATIENCE) == 0


def test_a_second_signal_ends_it_at_once() -> None:
    server = Server()
    with server.socket() as slow:
        slow.sendall(b"POST /classify HTTP/1.1\r\n")
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == -signal.SIGTERM


def test_the_end_does_not_wait_for_ever() -> None:
    server = Server("--drain-seconds", "1")
    with server.socket() as slow:
        slow.sendall(b"POST /classify HTTP/1.1\r\n")
        time.sleep(0.3)
        begin = time.monotonic()
        assert server.stop() == 0  # nothing that came whole was left without an answer
        assert 0.9 < time.monotonic() - begin < PATIENCE


def test_reviews_whose_client_has_left_hold_nothing_up() -> None:
    """They are neither waited for nor left without an answer."""
    server = Server("--workers", "1", "--long-text", "windows", "--max-queue-tokens", "10000000", "--log", "none")
    record = json.dumps({"text": "film " * 24_000}).encode()  # a little less than what a stream is read ahead
    connections = [server.socket() for _ in range(60)]
    for connection in connections:
        connection.sendall(STREAM + b"%x\r\n%s\r\n" % (len(record), record))
    server.wait_for_metric("reviewrate_held_bytes", len(connections) * len(record))
    with server.asleep():
        for connection in connections:
            connection.sendall(b"1\r\n\n\r\n")  # which makes it a record
            connection.close()
        server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0, server.lines
