"""Requests a second and waiting times of the service, beside two apps that people write themselves.

A three-label task with 64-token texts on the default backbone, closed-loop clients, every server with one thread:
`promptbank serve`, a plain FastAPI app around peft and `generate`, and one around transformers. Also eight tasks mixed
in one traffic, one text asked of eight tasks, and five times as many clients as the queue has room for.

Example: python -m benchmarks.serving_load --seconds 20 --out docs/results/serving-load.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
import torch
from safetensors.torch import save_file

from benchmarks.plain_servers import LABELS
from promptbank.bank.learn import learn_task
from promptbank.bank.session import open_bank
from promptbank.training.config import TrainConfig
from tasks import TaskCard, parse_card

TASKS = 8
TOKENS = 64
WORDS = "the parcel has not arrived and nobody answers the phone so please say when it comes or send the money back"
Body = Callable[[int], Any]


def card(n: int) -> TaskCard:
    """A task of three labels, its virtual tokens after the text."""
    return parse_card(
        {
            "taskname": f"route-{n}",
            "prompt_template": "{text}<|VIRTUAL_PROMPT_0|> {label}",
            "virtual_token_splits": [10],
            "total_virtual_tokens": 10,
            "label_space": {label: [label] for label in LABELS},
            "description": "What the message is about:",
        }
    )


def text_of(n: int, tokenizer: Any) -> str:
    """A text of 64 tokens that begins with its number, so that no two have a beginning in common."""
    words = f"{n} {WORDS} {WORDS} {WORDS} {WORDS}"
    ids = tokenizer(words, add_special_tokens=False)["input_ids"][:TOKENS]
    return str(tokenizer.decode(ids))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def serving(command: list[str], port: int, core: str, environment: dict[str, str]) -> Iterator[str]:
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
        yield address
    finally:
        process.terminate()
        process.wait(60)


async def load(address: str, path: str, body: Body, clients: int, seconds: float) -> dict[str, Any]:
    """Keep a number of clients busy, and count what they get."""
    numbers, waits, statuses = count(), [], Counter[int]()
    end = time.monotonic() + seconds

    async def one(client: httpx.AsyncClient) -> None:
        while time.monotonic() < end:
            began = time.monotonic()
            answer = await client.post(address + path, json=body(next(numbers)))
            statuses[answer.status_code] += 1
            if answer.status_code == 200:
                waits.append(time.monotonic() - began)
            else:
                await asyncio.sleep(0.2)

    limits = httpx.Limits(max_connections=clients)
    began = time.monotonic()
    async with httpx.AsyncClient(timeout=600, limits=limits) as client:
        await asyncio.gather(*(one(client) for _ in range(clients)))
    took = time.monotonic() - began
    return {
        "clients": clients,
        "answers": len(waits),
        "a_second": round(len(waits) / took, 2),
        "p50": round(median(waits), 2) if waits else None,
        "p95": round(quantiles(waits, n=20)[-1], 2) if len(waits) > 1 else None,
        "statuses": dict(statuses),
    }


def main() -> None:
    """Measure all of them in one run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="gemma-3-270m")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--core", default="0", help="of the servers")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(given, Path(folder))
    text = json.dumps(found, indent=1)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")


def measure(given: argparse.Namespace, home: Path) -> dict[str, Any]:
    """Make a bank with eight tasks, and ask each server."""
    torch.set_num_threads(1)
    with open_bank(home, backbone=given.backbone) as bank:
        folder = str(bank.backbone.path)
        tokenizer = bank.backbone.tokenizer
        for n in range(TASKS):
            learn(bank, n)
        table = torch.randn(10, bank.backbone.hidden_size)
    save_file({"virtual_tokens": table}, home / "table.safetensors")
    texts = [text_of(n, tokenizer) for n in range(4000)]

    def single(n: int) -> Any:
        return {"taskname": "route-0", "text": texts[n % 4000]}

    def mixed(n: int) -> Any:
        return {"taskname": f"route-{n % TASKS}", "text": texts[n % 4000]}

    found: dict[str, Any] = {"texts": f"{TOKENS} tokens", "threads": 1, "dtype": "float32", "seconds": given.seconds}
    port = free_port()
    environment = {"PROMPTBANK_HOME": str(home), "PROMPTBANK_BACKBONE": folder}
    command = ["promptbank", "serve", "--port", str(port), "--threads", "1"]
    with serving(command, port, given.core, environment) as address:
        runs = [asyncio.run(load(address, "/v1/predict", single, n, given.seconds)) for n in given.clients]
        found["promptbank"] = runs
        found["promptbank, eight tasks mixed"] = asyncio.run(load(address, "/v1/predict", mixed, 8, given.seconds))
    for kind in ("peft", "transformers"):
        port = free_port()
        plain = ["benchmarks.plain_servers", kind, folder, str(home / "table.safetensors"), str(port)]
        with serving(plain, port, given.core, {}) as address:
            asyncio.run(load(address, "/v1/predict", single, 1, 2))
            found[kind] = [asyncio.run(load(address, "/v1/predict", single, n, given.seconds)) for n in given.clients]
    return found


def learn(bank: Any, n: int) -> None:
    """A row that need not be good: one epoch of six examples."""
    from tasks import Example

    made = [
        Example(
            id=f"e{i}",
            group=f"g{i}",
            taskname=f"route-{n}",
            lang="en",
            fields={"text": f"{i} {WORDS}"},
            answer=LABELS[i % 3],
            source=f"memory:{i}",
        )
        for i in range(12)
    ]
    config = TrainConfig.model_validate({"epochs": 1, "batch_size": 6, "restarts": 0})
    learn_task(bank.store, bank.backbone, card(n), made[:6], made[6:], config, home=bank.settings.home, lm=bank.lm)


if __name__ == "__main__":
    main()
