"""Requests a second and waiting times of the service, beside two apps that people write themselves.

A three-label task with 64-token texts on the default backbone, closed-loop clients, every server with one thread:
`promptbank serve`, a plain FastAPI app around peft and `generate`, and one around transformers. Also eight tasks mixed
in one traffic, one text asked of eight tasks, bfloat16, and 64 tasks of both kinds of prompts in one batch. Processor
seconds are those of the server alone, so they say what other work on the machine leaves as it is; Linux only.

Example: python -m benchmarks.serving_load --seconds 20 --out docs/results/serving
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
import torch
from safetensors.torch import save_file

from benchmarks.made_rows import WORDS, add_rows, random_table
from benchmarks.plain_servers import LABELS
from benchmarks.serving_batch import megabytes, one_batch
from benchmarks.serving_report import report
from promptbank.bank.session import open_bank

TASKS = 8
TOKENS = 64
TEXTS = 4000
KINDS = ("rows.v1", "deep.v1")
Body = Callable[[int], Any]


def text_of(n: int, tokenizer: Any) -> str:
    """A text of 64 tokens that begins with its number, so that no two have a beginning in common."""
    words = f"{n} {WORDS} {WORDS} {WORDS} {WORDS}"
    ids = tokenizer(words, add_special_tokens=False)["input_ids"][:TOKENS]
    return str(tokenizer.decode(ids))


@dataclass(frozen=True)
class Server:
    """A server on one core, and its process."""

    address: str
    pid: int

    def processor_seconds(self) -> float:
        """User and system time of its process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def megabytes(self) -> int:
        """The memory that it has now."""
        return megabytes(self.pid, "VmRSS")


@contextmanager
def serving(command: list[str], port: int, core: str, environment: dict[str, str]) -> Iterator[Server]:
    """A server on one core, ready to answer."""
    given = {**os.environ, **environment, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    process = subprocess.Popen(["taskset", "-c", core, sys.executable, "-m", *command], env=given)  # noqa: S607
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{address}/livez", timeout=1)
                break
            except httpx.TransportError:
                time.sleep(0.5)
        yield Server(address, process.pid)
    finally:
        process.terminate()
        process.wait(120)


async def load(server: Server, path: str, body: Body, clients: int, seconds: float) -> dict[str, Any]:
    """Keep a number of clients busy, and count what they get."""
    numbers, waits, statuses = count(), [], Counter[int]()
    began, used = time.monotonic(), server.processor_seconds()
    end = began + seconds

    async def one(client: httpx.AsyncClient) -> None:
        while time.monotonic() < end:
            asked = time.monotonic()
            answer = await client.post(server.address + path, json=body(next(numbers)))
            statuses[answer.status_code] += 1
            if answer.status_code == 200:
                waits.append(time.monotonic() - asked)
            else:
                await asyncio.sleep(0.2)

    async with httpx.AsyncClient(timeout=600, limits=httpx.Limits(max_connections=clients)) as client:
        await asyncio.gather(*(one(client) for _ in range(clients)))
    took, used = time.monotonic() - began, server.processor_seconds() - used
    return {
        "clients": clients,
        "answers": len(waits),
        "a_second": round(len(waits) / took, 2),
        "p50": round(median(waits), 2) if waits else None,
        "p95": round(quantiles(waits, n=20)[-1], 2) if len(waits) > 1 else None,
        "processor_seconds": round(used / max(1, len(waits)), 3),
        "share_of_core": round(used / took, 2),
        "statuses": dict(statuses),
    }


def ask(server: Server, path: str, body: Body, given: argparse.Namespace, *clients: int) -> list[dict[str, Any]]:
    """Measure a server at some numbers of clients, after a request that warms it."""
    asyncio.run(load(server, path, body, 1, 0.01))
    found = []
    for n in clients or given.clients:
        found.append(asyncio.run(load(server, path, body, n, given.seconds)))
        print(found[-1], flush=True)
    return found


def main() -> None:
    """Measure all of them in one run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="gemma-3-270m")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--core", default="0", help="of the servers")
    parser.add_argument("--beside", default="nothing", help="what else runs on the machine, for the report")
    parser.add_argument("--out", type=Path, help="folder of the results")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(given, Path(folder))
    text = json.dumps(found, indent=1)
    print(text)
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "result.json").write_text(text + "\n", encoding="utf-8")
        (given.out / "report.md").write_text(report(found), encoding="utf-8")


def measure(given: argparse.Namespace, home: Path) -> dict[str, Any]:
    """Make a bank with eight tasks, and ask each server."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {
        "texts": f"{TOKENS} tokens", "labels": len(LABELS), "threads": 1, "seconds": given.seconds,
        "backbone": given.backbone, "beside": given.beside, "processor": _processor(), "cores": os.cpu_count(),
        "python": platform.python_version(), "torch": torch.__version__,
    }  # fmt: skip
    found["load_average"] = [os.getloadavg()]
    with open_bank(home, backbone=given.backbone) as bank:
        folder = str(bank.backbone.path)
        add_rows(bank, range(TASKS), LABELS)
        add_rows(bank, [TASKS], LABELS, "tree.v1")
        save_file(dict(random_table(bank.backbone, "rows.v1", 0).tensors), home / "table.safetensors")
        texts = [text_of(n, bank.backbone.tokenizer) for n in range(TEXTS)]
        found["64 tasks in one batch"] = one_batch(bank, 64, LABELS, KINDS, texts[0])
        print(found["64 tasks in one batch"], flush=True)
    del bank  # and with it the backbone's memory
    _ask_ours(found, given, home, folder, texts)
    _ask_others(found, given, home, folder, texts)
    found["load_average"].append(os.getloadavg())
    return found


def _ask_ours(found: dict[str, Any], given: argparse.Namespace, home: Path, folder: str, texts: list[str]) -> None:
    def single(n: int) -> Any:
        return {"taskname": "route-0", "text": texts[n % TEXTS]}

    def mixed(n: int) -> Any:
        return {"taskname": f"route-{n % TASKS}", "text": texts[n % TEXTS]}

    def of_tree(n: int) -> Any:
        return {"taskname": f"route-{TASKS}", "text": texts[n % TEXTS]}

    def scored(n: int) -> Any:
        return {"text": texts[n % TEXTS], "tasks": [f"route-{task}" for task in range(TASKS)]}

    def same_text(n: int) -> Any:
        return {"taskname": f"route-{n % TASKS}", "text": texts[n // TASKS % TEXTS]}

    environment = {"PROMPTBANK_HOME": str(home), "PROMPTBANK_BACKBONE": folder}
    for dtype in ("float32", "bfloat16"):
        port = free_port()
        command = ["promptbank", "serve", "--port", str(port), "--threads", "1", "--dtype", dtype]
        with serving(command, port, given.core, environment) as server:
            for n in range(TASKS):  # each row is checked before it answers for the first time
                _ready(server, mixed(n))
            _ready(server, of_tree(0))
            clients = given.clients if dtype == "float32" else [8]
            found[f"promptbank, {dtype}"] = ask(server, "/v1/predict", single, given, *clients)
            found[f"promptbank, {dtype}, tree.v1"] = ask(server, "/v1/predict", of_tree, given, *clients[:2])
            if dtype == "float32":
                found["promptbank, eight tasks mixed"] = ask(server, "/v1/predict", mixed, given, 8)
                found["one text, eight tasks"] = ask(server, "/v1/score", scored, given, 1)
                found["one text, eight requests"] = ask(server, "/v1/predict", same_text, given, 1)
            found[f"megabytes, promptbank, {dtype}"] = server.megabytes()


def _ask_others(found: dict[str, Any], given: argparse.Namespace, home: Path, folder: str, texts: list[str]) -> None:
    def single(n: int) -> Any:
        return {"taskname": "route-0", "text": texts[n % TEXTS]}

    for kind in ("peft", "transformers"):
        port = free_port()
        plain = ["benchmarks.plain_servers", kind, folder, str(home / "table.safetensors"), str(port)]
        with serving(plain, port, given.core, {}) as server:
            found[kind] = ask(server, "/v1/predict", single, given)
            found[f"megabytes, {kind}"] = server.megabytes()


def _ready(server: Server, body: Any) -> None:
    while httpx.post(f"{server.address}/v1/predict", json=body, timeout=600).status_code != 200:
        time.sleep(1)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def free_port() -> int:
    """A port that nobody listens on."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


if __name__ == "__main__":
    main()
