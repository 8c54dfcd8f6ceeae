#!/usr/bin/env python3
"""Hours of mixed load on `reviewrate serve`: every answer is checked, and memory, descriptors and threads are watched.

    tests/soak_server.py build/reviewrate --model models/imdb-small --seconds 7200 --csv soak.csv

Requests of all kinds begin at random times, --rate of them a second: every dialect, streams, the page, malformed and
oversize requests, clients that are slow, that leave, that come in bursts above the queue's bound. Scores must be those
of `reviewrate classify` to the last digit. If both processes are stopped (SIGSTOP) for a while, what was open then may
fail, and is counted apart.
Exit codes: 0 all well; 1 a wrong answer, or something left behind; 2 usage.
"""

import argparse
import csv
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote_plus

PATIENCE = 300  # seconds after which an answer counts as lost
QUEUE_TOKENS = 15_000
LARGEST_BODY = 2 << 20
SAMPLE_SECONDS = 30
JSON = {"Content-Type": "application/json"}
WORDS = ["a", "good", "bad", "film", "plot", "and", "the", "of", "was", "not", "really", "ever", "dull", "warm", "long"]


class WrongAnswerError(Exception):
    """The server answered, and not as it must."""


def make_texts(rng: random.Random) -> list[str]:
    """Mostly sentences, some reviews, a few above what the model takes."""
    lengths = rng.choices([4, 12, 25], k=240) + rng.choices([150, 300], k=30) + [700] * 4
    texts = [" ".join(rng.choices(WORDS, k=length)) for length in lengths]
    return [*texts, "", "été 😀 <b>&amp;</b>", '"; DROP TABLE reviews; --']


class Pauses:
    """When this process was stopped."""

    def __init__(self) -> None:
        self._found: list[tuple[float, float]] = []
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        last = time.monotonic()
        while True:
            time.sleep(0.2)
            now = time.monotonic()
            if now - last > 3:
                self._found.append((last, now))
            last = now

    def since(self, begin: float) -> bool:
        return any(end > begin for _, end in self._found)

    def seconds(self) -> float:
        return sum(end - begin for begin, end in self._found)


class Client:
    """The kinds of requests. Each function returns what became of one: "answered", "refused" or the like."""

    def __init__(self, port: int, texts: list[str], expected: dict[str, dict[str, Any]]) -> None:
        self._port = port
        self._texts = texts
        self._expected = expected
        self._pages: dict[str, bytes] = {}
        self._idle: list[tuple[float, http.client.HTTPConnection]] = []
        self.reviews = 0

    @contextmanager
    def _connection(self) -> Iterator[http.client.HTTPConnection]:
        """A connection that was used before, or a new one."""
        while self._idle:
            last, connection = self._idle.pop()
            if time.monotonic() - last < 30:
                break
            connection.close()
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append((time.monotonic(), connection))

    def close(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()

    def _ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] = JSON) -> tuple[int, bytes]:
        with self._connection() as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = response.read()
            if response.status == 429 and not 1 <= int(response.headers["Retry-After"]) <= 60:
                raise WrongAnswerError("429 without a Retry-After of 1 to 60")
            if response.headers.get("Connection") == "close":
                connection.close()
            return response.status, answer

    def _raw(self, data: bytes) -> int:
        """The status of the one answer to these bytes."""
        with closing(socket.create_connection(("127.0.0.1", self._port), PATIENCE)) as connection:
            connection.sendall(data)
            answer = b""
            with suppress(ConnectionResetError):
                while piece := connection.recv(65536):
                    answer += piece
        found = re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)
        if len(found) != 1:
            raise WrongAnswerError(f"{len(found)} answers to one request: {data[:80]!r}")
        return int(found[0])

    def _some(self, rng: random.Random, most: int = 1) -> list[str]:
        return rng.choices(self._texts, k=rng.randint(1, most))

    def _same(self, texts: list[str], scores: list[Any]) -> str:
        wanted = [self._expected[text]["p_positive"] for text in texts]
        if scores != wanted:
            raise WrongAnswerError(f"scores {scores} for {wanted}: {[text[:60] for text in texts]}")
        self.reviews += len(texts)
        return "answered"

    def _scores(self, path: str, body: Any, texts: list[str], read: Callable[[Any], list[Any]], **rest: Any) -> str:
        status, answer = self._ask("POST", path, body, **rest)
        if status == 429:
            return "refused"
        if status != 200:
            raise WrongAnswerError(f"{path}: {status} {answer[:200]!r}")
        return self._same(texts, read(json.loads(answer)))

    def json_text(self, rng: random.Random) -> str:
        texts = self._some(rng)
        return self._scores("/classify", json.dumps({"text": texts[0]}), texts, lambda value: [value["p_positive"]])

    def json_texts(self, rng: random.Random) -> str:
        texts = self._some(rng, 12)
        body = json.dumps({"texts": texts})
        return self._scores("/classify", body, texts, lambda value: [each["p_positive"] for each in value["records"]])

    def plain_text(self, rng: random.Random) -> str:
        texts = self._some(rng)
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        body = texts[0].encode()
        return self._scores("/classify", body, texts, lambda value: [value["p_positive"]], headers=headers)

    def form(self, rng: random.Random) -> str:
        texts = self._some(rng)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = "text=" + quote_plus(texts[0])
        return self._scores("/classify", body, texts, lambda value: [value["p_positive"]], headers=headers)

    @staticmethod
    def _positive(ranking: list[dict[str, Any]]) -> float:
        return next(each["score"] for each in ranking if each["label"] == "POSITIVE")

    def predict(self, rng: random.Random) -> str:
        texts = self._some(rng)
        body = json.dumps({"inputs": texts[0]})
        return self._scores("/predict", body, texts, lambda value: [self._positive(value)])

    def predict_batch(self, rng: random.Random) -> str:
        texts = self._some(rng, 8)
        body = json.dumps({"inputs": [[text] for text in texts]})
        return self._scores("/predict", body, texts, lambda value: [self._positive(each) for each in value])

    def inference_api(self, rng: random.Random) -> str:
        texts = self._some(rng, 4)
        body = json.dumps({"inputs": texts, "parameters": {"function_to_apply": "softmax"}})
        return self._scores("/", body, texts, lambda value: [self._positive(each) for each in value])

    def vllm(self, rng: random.Random) -> str:
        texts = self._some(rng, 4)
        body = json.dumps({"input": texts})
        return self._scores("/v1/classify", body, texts, lambda value: [each["probs"][1] for each in value["data"]])

    def page_with_result(self, rng: random.Random) -> str:
        text = self._some(rng)[0]
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, answer = self._ask("POST", "/", "text=" + quote_plus(text), headers)
        if status == 429:
            return "refused"
        if status != 200 or self._pages.setdefault(text, answer) != answer:
            raise WrongAnswerError(f"the page of {text[:60]!r}: {status}")
        self.reviews += 1
        return "answered"

    def _stream(self, rng: random.Random, count: int, pause: float, reader_pause: float) -> str:
        """A stream in pieces, with a record that is none in its middle; the answers in their order."""
        texts = rng.choices(self._texts, k=count)
        lines = [json.dumps({"text": text}).encode() + b"\n" for text in texts]
        lines.insert(count // 2, b'{"text": 1\n')

        def pieces() -> Iterator[bytes]:
            data = b"".join(lines)
            while data:
                size = rng.randint(1, 4000)
                yield data[:size]
                data = data[size:]
                time.sleep(pause)

        with self._connection() as connection:
            headers = {"Content-Type": "application/x-ndjson"}
            # Refused at once, and with 2 s to say so, it may find the connection closed while it still sends.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request("POST", "/classify", pieces(), headers, encode_chunked=True)
            response = connection.getresponse()
            answers = []
            while line := response.readline():
                answers.append(json.loads(line))
                time.sleep(reader_pause)
            if response.headers.get("Connection") == "close":
                connection.close()
        if response.status == 429:
            return "refused"
        if response.status != 200 or len(answers) != count + 1:
            raise WrongAnswerError(f"a stream of {count + 1}: {response.status} and {len(answers)} records")
        if "error" not in answers.pop(count // 2):
            raise WrongAnswerError("the bad record of a stream has no error")
        return self._same(texts, [answer.get("p_positive") for answer in answers])

    def stream(self, rng: random.Random) -> str:
        return self._stream(rng, rng.randint(1, 30), 0, 0)

    def slow_stream(self, rng: random.Random) -> str:
        return self._stream(rng, rng.randint(5, 20), 0.5, 0.2)

    def get(self, rng: random.Random) -> str:
        path = rng.choice(["/", "/health", "/info", "/metrics", "/openapi.json"])
        status, answer = self._ask("GET", path)
        if status != 200 or not answer:
            raise WrongAnswerError(f"GET {path}: {status}")
        return "answered"

    def bad_request(self, rng: random.Random) -> str:
        method, path, body, headers, wanted = rng.choice(
            [
                ("POST", "/classify", "{", JSON, 400),
                ("POST", "/classify", '{"text": 1}', JSON, 400),
                ("POST", "/predict", '{"inputs": [1]}', JSON, 400),
                ("POST", "/", "[" * 1000, JSON, 400),
                ("POST", "/v1/classify", '{"input": "a", "model": "another"}', JSON, 404),
                ("POST", "/classify", "a", {"Content-Type": "image/png"}, 415),
                ("GET", "/nowhere", None, {}, 404),
                ("DELETE", "/classify", None, {}, 405),
            ]
        )
        status, answer = self._ask(method, path, body, headers)
        if status != wanted or set(json.loads(answer)) != {"error", "error_type"}:
            raise WrongAnswerError(f"{method} {path} {body!r:.40}: {status} for {wanted}")
        return "refused"

    def malformed(self, rng: random.Random) -> str:
        data, wanted = rng.choice(
            [
                (b"HELLO\r\n\r\n", 400),
                (rng.randbytes(200) + b"\r\n\r\n", 400),
                (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5000 + b"\r\n", 431),
                (b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
                (b"POST /classify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
            ]
        )
        status = self._raw(data)
        if status != wanted:
            raise WrongAnswerError(f"{data[:80]!r}: {status} for {wanted}")
        return "refused"

    def too_large(self, rng: random.Random) -> str:
        head = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
        if rng.random() < 0.5:
            status = self._raw(head + b"Content-Length: %d\r\n\r\n" % (LARGEST_BODY + 1))
        else:
            piece = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
            status = self._raw(
                head + b"Transfer-Encoding: chunked\r\n\r\n" + piece * (LARGEST_BODY // 0x10000) + b"1\r\na"
            )
        if status != 413:
            raise WrongAnswerError(f"too large a body: {status}")
        return "refused"

    def slow_client(self, rng: random.Random) -> str:
        """Byte by byte, but within the limits."""
        text = self._some(rng)[0]
        body = json.dumps({"text": text}).encode()
        head = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(
            body
        )
        with closing(socket.create_connection(("127.0.0.1", self._port), PATIENCE)) as connection:
            for data, seconds in ((head + b"Connection: close\r\n\r\n", 4), (body, 8)):
                size = len(data) // 20 + 1
                for begin in range(0, len(data), size):
                    connection.sendall(data[begin : begin + size])
                    time.sleep(seconds / 20)
            response = http.client.HTTPResponse(connection)
            response.begin()
            answer = response.read()
        if response.status == 429:
            return "refused"
        return self._same([text], [json.loads(answer).get("p_positive")])

    def too_slow(self, rng: random.Random) -> str:
        """Half a head, or half a body, and no more."""
        head = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n"
        status = self._raw(head if rng.random() < 0.7 else head + b"\r\nabc")
        if status != 408:
            raise WrongAnswerError(f"too slow a request: {status}")
        return "refused"

    def leaver(self, rng: random.Random) -> str:
        """A client that goes before it has its answer, with a reset or without."""
        body = b"".join(json.dumps({"text": text}).encode() + b"\n" for text in self._some(rng, 5))
        head = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n"
        data = head % len(body) + body
        with closing(socket.create_connection(("127.0.0.1", self._port), PATIENCE)) as connection:
            connection.sendall(data[: rng.choice([1, len(data) // 2, len(data)])])
            if rng.random() < 0.5:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            time.sleep(rng.random() * 0.05)
        return "left"

    def burst(self, rng: random.Random) -> str:
        """More tokens at once than may wait; each request is answered in full or refused as a whole."""
        longest = [text for text in self._texts if len(text) > 500]
        connections = []
        for _ in range(10):
            texts = rng.choices(longest, k=8)
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
            connection.request("POST", "/classify", json.dumps({"texts": texts}), JSON)
            connections.append((connection, texts))
        statuses = set()
        for connection, texts in connections:
            with closing(connection):
                response = connection.getresponse()
                answer = json.loads(response.read())
            statuses.add(response.status)
            if response.status == 200:
                self._same(texts, [each["p_positive"] for each in answer["records"]])
            elif response.status != 429:
                raise WrongAnswerError(f"a burst: {response.status}")
        return "refused in part" if 429 in statuses else "answered"

    def kinds(self) -> dict[Callable[[random.Random], str], float]:
        """Each with how often it comes."""
        return {
            self.json_text: 20,
            self.json_texts: 5,
            self.plain_text: 12,
            self.form: 8,
            self.predict: 10,
            self.predict_batch: 4,
            self.inference_api: 8,
            self.vllm: 6,
            self.page_with_result: 4,
            self.stream: 3,
            self.slow_stream: 1,
            self.get: 12,
            self.bad_request: 8,
            self.malformed: 4,
            self.too_large: 2,
            self.slow_client: 2,
            self.too_slow: 1,
            self.leaver: 4,
            self.burst: 0.2,
        }


class Watched:
    """The server's memory, descriptors and threads, a row a sample."""

    def __init__(self, pid: int, file: TextIO) -> None:
        self._pid = pid
        self._begin = time.monotonic()
        self._file = file
        self._rows = csv.writer(file)
        self._rows.writerow(["seconds", "rss_kb", "descriptors", "threads"])
        self.samples: list[tuple[float, int, int, int]] = []

    def sample(self) -> None:
        status = Path(f"/proc/{self._pid}/status").read_text()
        numbers = [int(re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[1]) for name in ("VmRSS", "Threads")]  # type: ignore[index]
        descriptors = len(list(Path(f"/proc/{self._pid}/fd").iterdir()))
        self.samples.append((time.monotonic() - self._begin, numbers[0], descriptors, numbers[1]))
        self._rows.writerow([round(self.samples[-1][0]), *self.samples[-1][1:]])
        self._file.flush()

    def report(self) -> str:
        def median(tenth: int) -> float:
            chosen = sorted(s[1] for s in self.samples[tenth * count // 10 : (tenth + 1) * count // 10 + 1])
            return chosen[len(chosen) // 2] / 1000

        count = len(self.samples)
        medians = ", ".join(f"{median(tenth):.1f}" for tenth in (1, 4, 9))
        return (
            f"memory, MB: {self.samples[0][1] / 1000:.1f} at first, {medians} as medians of the second, fifth and last"
            f" tenth of the time, at most {max(s[1] for s in self.samples) / 1000:.1f}\n"
            f"descriptors: {self.samples[0][2]} at first, {self.samples[-1][2]} at the end, at most"
            f" {max(s[2] for s in self.samples)}; threads: {self.samples[0][3]} to {max(s[3] for s in self.samples)}"
        )


def start(command: list[str]) -> tuple[subprocess.Popen[str], int]:
    """The server and its port."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    found = re.search(r"listening on http://127\.0\.0\.1:(\d+) ", process.stderr.readline())
    if not found:
        raise SystemExit("soak_server.py: the server did not start")
    stderr = process.stderr
    threading.Thread(target=lambda: [print(line, end="", flush=True) for line in stderr], daemon=True).start()
    return process, int(found[1])


def classify(binary: Path, model: Path, texts: list[str]) -> dict[str, dict[str, Any]]:
    """What `classify` says of each text."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    command = [str(binary), "-q", "-m", str(model), "-f", "jsonl", "--input-format", "jsonl", "-"]
    out = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=False).stdout
    return dict(zip(texts, map(json.loads, out.splitlines()), strict=True))


def left_behind(client: Client) -> list[str]:
    """What the server still holds once all clients have gone."""
    end = time.monotonic() + 90
    while True:
        text = client._ask("GET", "/metrics")[1].decode()
        wanted = {"reviewrate_connections": 1, "reviewrate_held_bytes": 0, "reviewrate_queue_reviews": 0}
        wanted |= {"reviewrate_queue_tokens": 0, "reviewrate_lost_log_lines_total": 0}
        found = {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE)}
        wrong = [f"{name} is {found[name]:g}" for name, value in wanted.items() if found[name] != value]
        if not wrong or time.monotonic() > end:
            return wrong
        time.sleep(1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=7200)
    parser.add_argument("--rate", type=float, default=12, help="requests a second, on average")
    parser.add_argument("--csv", type=Path, default=Path("soak.csv"), help="where the samples go, a row each 30 s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--background", action="store_true", help="leaves the CPUs to whoever else wants them (Linux)")
    args = parser.parse_args()

    rng = random.Random(args.seed)
    texts = make_texts(rng)
    expected = classify(args.binary, args.model, texts)
    options = ["--port", "0", "--log", "none", "--max-queue-tokens", str(QUEUE_TOKENS), "-m", str(args.model)]
    process, port = start([str(args.binary), "serve", *options])
    if args.background:
        for pid in ("self", str(process.pid)):
            Path(f"/proc/{pid}/autogroup").write_text("10")
    client = Client(port, texts, expected)
    pauses = Pauses()
    counts: Counter[tuple[str, str]] = Counter()
    kinds = client.kinds()

    def ask(kind: Callable[[random.Random], str], seed: int) -> None:
        begin = time.monotonic()
        try:
            outcome = kind(random.Random(seed))
        except Exception as error:
            time.sleep(1)
            outcome = "stopped meanwhile" if pauses.since(begin) else "wrong"
            if outcome == "wrong":
                print(f"{kind.__name__}: {type(error).__name__}: {error}", flush=True)
        counts[kind.__name__, outcome] += 1

    def report() -> None:
        for (name, outcome), count in sorted(counts.items()):
            print(f"{name:18} {outcome:18} {count}")
        print(f"requests: {counts.total()}, of them wrong: {sum(n for (_, o), n in counts.items() if o == 'wrong')}")
        print(f"reviews answered: {client.reviews}; {pauses.seconds():.0f} s stopped")
        print(watched.report(), flush=True)

    wrong: list[str] = []
    print(f"server {process.pid}, client {os.getpid()}, port {port}", flush=True)
    with args.csv.open("w", newline="") as file:
        watched = Watched(process.pid, file)
        begin = time.monotonic()
        sampled = reported = 0
        with ThreadPoolExecutor(64) as pool:
            while (now := time.monotonic() - begin) < args.seconds and process.poll() is None:
                if now >= sampled * SAMPLE_SECONDS:
                    sampled = int(now / SAMPLE_SECONDS) + 1
                    watched.sample()
                if now >= (reported + 1) * 900:
                    reported = int(now / 900)
                    print(f"--- after {now:.0f} s")
                    report()
                pool.submit(ask, rng.choices(list(kinds), list(kinds.values()))[0], rng.getrandbits(32))
                time.sleep(rng.expovariate(args.rate))
        if process.poll() is None:
            client.close()
            wrong += left_behind(client)
            watched.sample()
            client.close()
            process.send_signal(signal.SIGTERM)
    status = process.wait(PATIENCE)
    if status != 0:
        wrong.append(f"the server ended with exit status {status}")
    print("--- in all")
    report()
    if missed := [kind.__name__ for kind in kinds if not any(name == kind.__name__ for name, _ in counts)]:
        print(f"never came: {', '.join(missed)}")
    for line in wrong:
        print(line)
    return 1 if wrong or any(outcome == "wrong" for _, outcome in counts) else 0


if __name__ == "__main__":
    sys.exit(main())
