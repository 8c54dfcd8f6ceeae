"""A server under test: started, asked, ended."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import BINARY, TINY

PATIENCE = 60  # seconds after which a server counts as hung

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Server:
    """`reviewrate serve` on a free port of this machine, or with --unix."""

    def __init__(self, *options: str | Path, model: Path | None = TINY, **popen: Any) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("REVIEWRATE_")}
        if model is not None:
            environment["REVIEWRATE_MODEL"] = str(model)
        environment |= popen.pop("env", {})
        where = [] if {"--unix", "--port"} & set(options) else ["--port", "0"]
        command = [BINARY, "serve", *where, *map(str, options)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, text=True, **popen)
        self.lines: list[str] = []
        self._listening = threading.Event()
        self._reader = threading.Thread(target=self._read_stderr, daemon=True)
        self._reader.start()
        assert self._listening.wait(PATIENCE), self.lines
        if not self.address:
            self.process.wait(PATIENCE)
            self._reader.join(PATIENCE)

    def _read_stderr(self) -> None:
        self.address = ""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            found = re.match(r"reviewrate: listening on (\S+) with model", line)
            if found:
                self.address = found[1]
                self._listening.set()
        self._listening.set()

    @property
    def is_tcp(self) -> bool:
        return self.address.startswith("http:")

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    def connect(self, timeout: float = PATIENCE) -> http.client.HTTPConnection:
        if self.is_tcp:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection = http.client.HTTPConnection("x", timeout=timeout)
        connection.sock = self.socket()
        return connection

    def socket(self) -> socket.socket:
        if self.is_tcp:
            return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        connection.connect(self.address)
        return connection

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (names in lower case) and body of the answer."""
        connection = self.connect()
        try:
            data = body.encode() if isinstance(body, str) else body
            connection.request(method, path, data, headers or {})
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def post(self, path: str, value: Any, headers: dict[str, str] = JSON) -> Any:
        """The JSON answer to a JSON request, which must be 200."""
        status, _, body = self.ask("POST", path, json.dumps(value), headers)
        assert status == 200, (status, body)
        return json.loads(body)

    def raw(self, request: bytes, timeout: float = PATIENCE) -> bytes:
        """All that comes back for these bytes until the server closes."""
        with self.socket() as connection:
            connection.settimeout(timeout)
            connection.sendall(request)
            return read_all(connection)

    def metric(self, name: str) -> float:
        """The sample of this name and labels."""
        _, _, body = self.ask("GET", "/metrics")
        found = [line for line in body.decode().splitlines() if line.rpartition(" ")[0] == name]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    def wait_for_metric(self, name: str, value: float) -> None:
        end = time.monotonic() + PATIENCE
        while self.metric(name) != value:
            assert time.monotonic() < end, (name, self.metric(name))
            time.sleep(0.02)

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """It does nothing meanwhile, and then finds at once all that was done."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends it by a signal; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status


def read_all(connection: socket.socket) -> bytes:
    data = b""
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


@contextmanager
def serving(*options: str | Path, **rest: Any) -> Iterator[Server]:
    """A server that ends well."""
    server = Server(*options, **rest)
    try:
        assert server.address, server.lines
        yield server
        assert server.stop() == 0, server.lines
    finally:
        server.process.kill()
        server.process.wait()
