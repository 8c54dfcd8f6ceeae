"""scripts/django_app rates reviews by a real server, and says so where there is no answer."""

import html
import http.client
import http.server
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

from conftest import TOP, Run, records
from server import FORM, PATIENCE, serving
from waiting import wait_until_listening


@contextmanager
def django(url: str) -> Iterator[int]:
    """The application on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(TOP / "scripts/django_app/reviews.py"), "runserver", "--noreload", f"127.0.0.1:{port}"],
        env=os.environ | {"REVIEWRATE_URL": url},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until_listening(process, port)
        yield port
    finally:
        process.kill()
        process.wait()


def rate(port: int, review: str) -> tuple[int, str]:
    """Status and page, for a browser that has fetched the form first."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/")
    response = connection.getresponse()
    cookie = response.headers["Set-Cookie"].partition(";")[0]
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', response.read().decode())
    assert token
    body = urlencode({"csrfmiddlewaretoken": token[1], "review": review})
    connection.request("POST", "/", body, FORM | {"Cookie": cookie})
    response = connection.getresponse()
    page = response.read().decode()
    connection.close()
    return response.status, page


def test_label_and_rating(run: Run) -> None:
    review = "A lovely film, <b>really</b> & truly."
    expected = records(run("-t", review))[0]
    with serving("--log", "none") as server, django(server.address) as port:
        status, page = rate(port, review)
        assert status == 200
        assert f'<p id="result">{expected["label"]}, {expected["rating"]} of 10</p>' in page
        assert html.escape(review) in page and "<b>" not in page
        server.process.terminate()
        server.process.wait(PATIENCE)
        status, page = rate(port, review)
        assert (status, "cannot be rated at the moment" in page) == (503, True)


def test_an_answer_that_is_not_the_servers() -> None:
    """As a proxy's in front of a server that is gone: a page of HTML."""

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = b"<html><h1>Bad Gateway</h1></html>"
            self.send_response(502)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        with django(f"http://127.0.0.1:{proxy.server_port}") as port:
            status, page = rate(port, "A film.")
        proxy.shutdown()
    assert (status, "cannot be rated at the moment" in page) == (503, True)


def test_a_server_without_room() -> None:
    with (
        serving("--max-connections", "1", "--log", "none") as server,
        server.socket() as only,
        django(server.address) as port,
    ):
        only.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert only.recv(65536)
        status, page = rate(port, "A film.")
        assert status == 503 and "Too many reviews are waiting" in page
