#!/usr/bin/env python3
"""Measures `reviewrate serve` beside other servers of the same model on this machine: a bench to repeat.

    scripts/bench/serve.py --reviews REVIEWS.jsonl --json serve.json > serve.md

The peers are FastAPI and uvicorn with transformers' pipeline (fastapi_app.py), and infinity with torch and with ONNX
Runtime. Each server runs alone, with the same weights and all cores, and answers wrk (Debian: apt-get install wrk) on
the same machine, which sends a review a request over 1, 8 and 64 connections, each as soon as the last was answered.
wrk's own share of the processors is printed: the server has the rest. `classify`'s rate is that of the whole program on
as many of the same texts, less the time of a one-review call. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import SubprocessError
from typing import Any

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

from command_line import Parser, bounded, command, require
from environment import enter_environment
from machine import CPU, FLAGS
from peers import PEERS
from processes import say, timed

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parents[1]
PORT = 8971
CLIENTS = (1, 8, 64)
LOADS = ("sentences", "reviews")
WARM_UP = 2  # seconds

# Goes round over the bodies; each thread begins at another one.
SCRIPT = """
local bodies, at = {}, 0
function init(args)
  for line in io.lines(args[1]) do bodies[#bodies + 1] = line end
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end
function request()
  at = at % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[at])
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %f\\n", summary.requests, summary.duration,
    e.status + e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99), latency.mean))
end
"""


class Server:
    """How a server is started, and what its requests look like."""

    path = "/classify"

    def __init__(self, name: str, words: list[str], field: str = "text", folder: str = ".", **env: str) -> None:
        self.name = name
        self.words = words
        self.field = field  # of the body; "input" takes a list
        self.folder = folder
        self.env = env

    def body(self, text: str) -> str:
        return json.dumps({"model": "model", "input": [text]} if self.field == "input" else {self.field: text})


def servers(args: argparse.Namespace, folder: Path) -> list[Server]:
    ours = [args.binary, "serve", "-m", args.model, "--port", str(PORT), "--long-text", "head", "--log", "none"]
    common = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"}
    uvicorn = [sys.executable, "-m", "uvicorn", "fastapi_app:app", "--app-dir", str(BENCH), "--port", str(PORT)]
    model = str(folder / "hf")
    found = [Server(f"reviewrate {kind}", [*ours, "--precision", kind]) for kind in ("fp32", "int8")]
    found.append(Server("FastAPI, pipeline", [*uvicorn, "--log-level", "warning"], BENCH_MODEL=model, **common))
    if args.infinity:
        engine = [args.infinity, "v2", "--served-model-name", "model", "--device", "cpu", "--port", str(PORT)]
        engine += ["--no-bettertransformer", "--log-level", "error", "--model-id"]
        found.append(Server("infinity, torch", [*engine, model, "--engine", "torch"], field="input", **common))
        # Its warm-up and its reviews are not cut at the model's 512 tokens, so that ONNX Runtime refuses longer ones;
        # and it finds a local ONNX file only in its working folder.
        words = [*engine, ".", "--engine", "optimum", "--no-model-warmup"]
        found.append(Server("infinity, optimum", words, field="input", folder=str(folder / "hf_onnx"), **common))
    return [server for server in found if not args.servers or server.name.startswith(tuple(args.servers.split(",")))]


def get(path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=5) as answer:
        return str(answer.read().decode())


@contextmanager
def running(server: Server) -> Iterator[subprocess.Popen[bytes]]:
    """The server while it runs; SubprocessError if it does not get ready."""
    with open("server.log", "wb") as log:
        process = subprocess.Popen(
            server.words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=server.folder,
            start_new_session=True,
            env={**os.environ, **server.env},
        )
    try:
        end = time.monotonic() + 180
        while True:
            try:
                get("/health")
                break
            except (urllib.error.URLError, OSError):
                if process.poll() is not None or time.monotonic() > end:
                    lines = Path("server.log").read_text(errors="replace").strip().splitlines() or ["it said nothing"]
                    raise SubprocessError(f"{server.name} did not start: {lines[-1][:300]}") from None
                time.sleep(0.2)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):  # what it left behind, or it itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def memory(process: subprocess.Popen[bytes]) -> float:
    """MB that the process holds."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def ask(server: Server, load: str, clients: int, seconds: float) -> dict[str, float]:
    """One run of wrk: requests a second, milliseconds, errors, and wrk's share of all processors."""
    url = f"http://127.0.0.1:{PORT}{server.path}"
    words = ["wrk", "-t", "1", "-c", str(clients), "-d", f"{seconds}s", "--timeout", "60s", "-s", "bodies.lua", url]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([*words, "--", f"{load}.bodies"], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+) (\d+) ([\d.]+)$", done.stdout, re.MULTILINE)
    if not found:
        raise SubprocessError(f"wrk said no result: {done.stdout[-200:]}")
    count, microseconds, errors, p50, p99, mean = map(float, found.groups())
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "rate": count / microseconds * 1e6,
        "p50": p50 / 1e3,
        "p99": p99 / 1e3,
        "mean": mean / 1e3,
        "errors": errors,
        "wrk": used / (microseconds / 1e6) / (os.cpu_count() or 1),
    }


def model_time() -> tuple[float, float]:
    """Seconds in the model so far, and batches."""
    text = get("/metrics")
    values = [
        re.search(rf"^reviewrate_batch_duration_seconds_{part} (\S+)$", text, re.MULTILINE) for part in ("sum", "count")
    ]
    return tuple(float(value[1]) if value else 0.0 for value in values)  # type: ignore[return-value]


def measure(server: Server, args: argparse.Namespace, texts: dict[str, list[str]]) -> dict[str, Any]:
    result: dict[str, Any] = {"server": server.name, "runs": {}}
    for load in LOADS:
        Path(f"{load}.bodies").write_text("".join(server.body(text) + "\n" for text in texts[load]))
    with running(server) as process:
        ours = server.name.startswith("reviewrate")
        for load in LOADS:
            ask(server, load, 8, WARM_UP)
            for clients in CLIENTS:
                before = model_time() if ours else (0.0, 0.0)
                # With many clients the first answers come late, and the last are not counted.
                run = ask(server, load, clients, args.seconds * (3 if clients == CLIENTS[-1] else 1))
                if ours:
                    after = model_time()
                    run["model_ms"] = (after[0] - before[0]) / max(after[1] - before[1], 1) * 1e3
                result["runs"][f"{load} {clients}"] = run
                say(f"{server.name}, {load}, {clients} clients: {run['rate']:.1f}/s, p99 {run['p99']:.1f} ms")
        result["memory"] = memory(process)
        if ours:
            idle = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(1000)]
            ask(server, "reviews", 8, WARM_UP)
            result["memory_1000_idle"] = memory(process)
            for connection in idle:
                connection.close()
    return result


def classify_rates(args: argparse.Namespace, texts: dict[str, list[str]]) -> dict[str, dict[str, float]]:
    """Reviews a second of `classify` and its peak in MB, by precision and load."""
    rates: dict[str, dict[str, float]] = {}
    for kind in ("fp32", "int8"):
        call = [args.binary, "classify", "-q", "-m", args.model, "--precision", kind, "--long-text", "head"]
        start = min(timed([*call, "-t", "It is very nice film"])[0] for _ in range(3))
        for load in LOADS:
            seconds, peak = timed([*call, "-f", "jsonl", f"{load}.jsonl"])
            rates.setdefault(kind, {})[load] = len(texts[load]) / (seconds - start)
            rates[kind]["peak"] = max(peak, rates[kind].get("peak", 0))
    return rates


def print_tables(results: list[dict[str, Any]], rates: dict[str, dict[str, float]]) -> None:
    for load in LOADS:
        print(f"### {load}\n\n| server | " + " | ".join(f"{n} client{'s' * (n > 1)}" for n in CLIENTS) + " |")
        print("|---|" + "--:|" * len(CLIENTS))
        for result in results:
            cells = []
            for clients in CLIENTS:
                run = result["runs"][f"{load} {clients}"]
                wrong = f"; {run['errors']:.0f} errors" if run["errors"] else ""
                cells.append(f"{run['rate']:.1f}; {run['p50']:.1f}, {run['p99']:.1f} ms{wrong}")
            print(f"| {result['server']} | " + " | ".join(cells) + " |")
        print()
    print("| | " + " | ".join(LOADS) + " |\n|---|" + "--:|" * len(LOADS))
    for kind, rate in rates.items():
        print(f"| `classify` {kind}, reviews a second | " + " | ".join(f"{rate[load]:.1f}" for load in LOADS) + " |")
    for result in results:
        kind = result["server"].split()[-1]
        if "memory_1000_idle" not in result:
            continue
        shares, above, client = [], [], []
        for load in LOADS:
            most, one = result["runs"][f"{load} {CLIENTS[-1]}"], result["runs"][f"{load} 1"]
            shares.append(
                f"{most['rate'] / rates[kind][load]:.0%} ({most['rate'] / rates[kind][load] / (1 - most['wrk']):.0%})"
            )
            above.append(f"{one['mean'] - one['model_ms']:.2f}")
            client.append(f"{most['wrk']:.1%}")
        print(
            f"| {kind}, {CLIENTS[-1]} clients: share of `classify` (without wrk's processor time) | "
            + " | ".join(shares)
            + " |"
        )
        print(f"| {kind}, {CLIENTS[-1]} clients: wrk's share of the processors | " + " | ".join(client) + " |")
        print(f"| {kind}, one client: ms above the model's own time | " + " | ".join(above) + " |")
    print(
        "\nMemory, MB: "
        + "; ".join(
            f"{r['server']} {r['memory']:.0f}"
            + (f", with 1,000 idle connections {r['memory_1000_idle']:.0f}" if "memory_1000_idle" in r else "")
            for r in results
        )
        + "; "
        + ", ".join(f"classify {kind} at most {rate['peak']:.0f}" for kind, rate in rates.items())
    )


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser("serve", __doc__)
    parser.add_argument("--reviews", required=True, type=os.path.abspath, help="labelled reviews, as run.py takes them")
    parser.add_argument("--where", default="", help="FIELD=VALUE: only these")
    parser.add_argument("--binary", default=str(ROOT / "build" / "reviewrate"), type=os.path.abspath, help="reviewrate")
    parser.add_argument(
        "--model", default=str(ROOT / "models" / "imdb-small"), type=os.path.abspath, help="its package"
    )
    parser.add_argument("--infinity", default="", help="the program infinity_emb, in an environment of its own")
    parser.add_argument("--servers", default="", help="only those whose names begin so: A,B")
    parser.add_argument(
        "--seconds",
        type=bounded(int, 1),
        default=6,
        help="of a run; three times as many with the most clients (default: %(default)s)",
    )
    parser.add_argument("--count", type=bounded(int, 1), default=300, help="reviews (default: %(default)s)")
    parser.add_argument("--sentences", type=bounded(int, 1), default=2000, help="sentences (default: %(default)s)")
    parser.add_argument("--json", type=os.path.abspath, help="everything that was measured")
    parser.add_argument(
        "--work", default=str(ROOT / ".work" / "serve"), type=os.path.abspath, help="for models and texts"
    )
    return parser.parse_args(argv)


@command("serve")
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    require(shutil.which(args.binary) is not None, f"{args.binary}: no such program; scripts/setup builds it")
    require(shutil.which("wrk") is not None, "needs wrk (Debian: apt-get install wrk)")
    enter_environment([PEERS["pipeline"].packages, "fastapi uvicorn"])
    folder = Path(args.work, "small")
    folder.mkdir(parents=True, exist_ok=True)
    job = {"do": "make_inputs", "shape": "small", "given": args.model, "reviews": args.reviews, "where": args.where}
    file = folder / "job.json"
    file.write_text(json.dumps({**job, "count": args.count, "sentences": args.sentences}))
    timed([sys.executable, BENCH / "jobs.py", file], cwd=folder)
    if args.infinity and not (folder / "hf_onnx").is_dir():
        optimum = Path(args.infinity).with_name("optimum-cli")
        timed([optimum, "export", "onnx", "--model", "hf", "--task", "text-classification", "hf_onnx"], cwd=folder)
    os.chdir(args.work)
    Path("bodies.lua").write_text(SCRIPT)
    texts = {
        load: [json.loads(line)["text"] for line in Path(f"{load}.jsonl").read_text().split("\n") if line]
        for load in LOADS
    }
    say(f"load average {os.getloadavg()[0]:.2f}; nothing else should run")
    print(
        f"{time.strftime('%Y-%m-%d')}, {CPU.get('model name', 'unknown')} ({', '.join(FLAGS)}), {os.cpu_count()} "
        f"cores; {len(texts['sentences'])} sentences, {len(texts['reviews'])} reviews; requests a second; p50, p99\n"
    )
    rates = classify_rates(args, texts)
    results = []
    for server in servers(args, folder):
        try:
            results.append(measure(server, args, texts))
        except SubprocessError as failed:
            say(failed)
            print(f"{server.name}: {failed}\n")
        if args.json:
            Path(args.json).write_text(json.dumps({"classify": rates, "servers": results}, indent=1) + "\n")
    print_tables(results, rates)


if __name__ == "__main__":
    sys.exit(main())
