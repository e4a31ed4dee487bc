"""A service under all kinds of requests for ten minutes: memory and descriptors must not grow.

The backbone is tiny, so that many requests come together: single records, lists, one text for many tasks, chats that
are streamed, faulty bodies, tasks that are not there, clients that leave, and aliases that move. Every few seconds the
memory of the process is read (Linux only); a line through what comes after the warm-up is its slope.

Example: python -m benchmarks.soak --minutes 10 --out docs/results/serving/soak.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import linear_regression
from typing import Any

import httpx

from benchmarks.made_rows import WORDS, add_rows
from benchmarks.plain_servers import LABELS
from benchmarks.serving_batch import megabytes
from benchmarks.serving_load import Server, free_port, serving
from promptbank.bank.session import open_bank
from tests.tiny import save_tiny

TASKS = 16
CLIENTS = 8
SAMPLE_SECONDS = 5.0
PAUSE_SECONDS = 0.3
"""Of a client between two requests, so that the machine is not taken whole."""
MOST_SLOPE = 1.0
"""Megabytes a minute."""


async def ask(client: httpx.AsyncClient, chance: Random, end: float, statuses: Counter[str]) -> None:
    """Send requests of all kinds until the end."""
    while time.monotonic() < end:
        kind = chance.choice(sorted(REQUESTS))
        try:
            statuses[f"{kind} {await REQUESTS[kind](client, chance)}"] += 1
        except httpx.ReadTimeout:
            statuses[f"{kind} left"] += 1
        await asyncio.sleep(PAUSE_SECONDS)


def _record(chance: Random) -> dict[str, str]:
    words = WORDS.split()
    chance.shuffle(words)
    return {"taskname": f"route-{chance.randrange(TASKS)}", "text": " ".join(words[: chance.randint(1, len(words))])}


async def _single(client: httpx.AsyncClient, chance: Random) -> int:
    return (await client.post("/v1/predict", json=_record(chance))).status_code


async def _list(client: httpx.AsyncClient, chance: Random) -> int:
    records = [_record(chance) for _ in range(chance.randint(1, 20))]
    return (await client.post("/v1/predict", json=records)).status_code


async def _score(client: httpx.AsyncClient, chance: Random) -> int:
    return (await client.post("/v1/score", json={"text": _record(chance)["text"]})).status_code


async def _stream(client: httpx.AsyncClient, chance: Random) -> int:
    record = _record(chance)
    body = {"model": record["taskname"], "stream": True, "messages": [{"role": "user", "content": record["text"]}]}
    async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        async for _ in answer.aiter_lines():
            pass
        return answer.status_code


async def _faulty(client: httpx.AsyncClient, chance: Random) -> int:
    body = chance.choice([b"", b"{", b"[]", b'{"taskname": 3}', b"\xff" * 50, b'{"taskname": "route-0"}'])
    return (await client.post("/v1/predict", content=body)).status_code


async def _unknown(client: httpx.AsyncClient, chance: Random) -> int:
    record = _record(chance) | {"taskname": f"none-{chance.randrange(10**9)}"}
    return (await client.post("/v1/predict", json=record)).status_code


async def _leaving(client: httpx.AsyncClient, chance: Random) -> int:
    records = [_record(chance) for _ in range(50)]
    return (await client.post("/v1/predict", json=records, timeout=httpx.Timeout(120, read=0.005))).status_code


async def _health(client: httpx.AsyncClient, chance: Random) -> int:
    return (await client.get(chance.choice(["/livez", "/readyz", "/metrics", "/v1/models"]))).status_code


REQUESTS = {
    "single": _single, "list": _list, "score": _score, "stream": _stream, "faulty": _faulty, "unknown": _unknown,
    "leaving": _leaving, "health": _health,
}  # fmt: skip


async def soak(server: Server, seconds: float, move: Any) -> tuple[list[tuple[float, int, int]], Counter[str]]:
    """Ask for some time.

    Returns:
        Seconds, megabytes and descriptors of each sample, and how often each kind of request had each status.
    """
    begun, samples, statuses = time.monotonic(), list[tuple[float, int, int]](), Counter[str]()
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=2)  # connections come and go too
    async with httpx.AsyncClient(base_url=server.address, timeout=120, limits=limits) as client:
        clients = [asyncio.ensure_future(ask(client, Random(n), begun + seconds, statuses)) for n in range(CLIENTS)]  # noqa: S311 - no secrets
        while time.monotonic() < begun + seconds:
            await asyncio.sleep(SAMPLE_SECONDS)
            move(len(samples))
            descriptors = len(os.listdir(f"/proc/{server.pid}/fd"))
            samples.append((round(time.monotonic() - begun, 1), megabytes(server.pid, "VmRSS"), descriptors))
        await asyncio.gather(*clients)
    await asyncio.sleep(SAMPLE_SECONDS)
    descriptors = len(os.listdir(f"/proc/{server.pid}/fd"))  # all clients have gone
    samples.append((round(time.monotonic() - begun, 1), megabytes(server.pid, "VmRSS"), descriptors))
    return samples, statuses


def slope(points: Sequence[tuple[float, int, int]]) -> float:
    """The growth of memory in megabytes a minute, by least squares."""
    seconds, sizes, _ = zip(*points, strict=True)
    return 60 * linear_regression(seconds, sizes).slope


def main() -> None:
    """Soak a service; the exit code is 1 when memory or descriptors grow, or a request has a status from 500."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--warm-up", type=float, default=2, help="minutes that do not count")
    parser.add_argument("--core", default="0")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(given, Path(folder))
    text = json.dumps(found, indent=1)
    print(text)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text + "\n", encoding="utf-8")
    sys.exit(1 if found["faults"] else 0)


def measure(given: argparse.Namespace, home: Path) -> dict[str, Any]:
    """Make a bank of a tiny backbone, serve it, and ask."""
    backbone = save_tiny("gemma3", home / "backbone")
    with open_bank(home, backbone=str(backbone)) as bank:
        add_rows(bank, range(TASKS), LABELS)
        scope = bank.store.rows.list()[0].scope

        def move(n: int) -> None:
            bank.store.aliases.move(scope, 1, "canary", reason=f"soak {n}", share=0.01 if n % 2 else 0.02)

        environment, port = {"PROMPTBANK_HOME": str(home), "PROMPTBANK_BACKBONE": str(backbone)}, free_port()
        command = ["promptbank", "serve", "--port", str(port), "--threads", "1"]
        with serving(command, port, given.core, environment) as server:
            samples, statuses = asyncio.run(soak(server, 60 * given.minutes, move))
    late = [one for one in samples[:-1] if one[0] >= 60 * given.warm_up]
    descriptors = [count for _, _, count in late]
    found: dict[str, Any] = {
        "minutes": given.minutes, "warm_up": given.warm_up, "requests": sum(statuses.values()),
        "statuses": dict(sorted(statuses.items())), "megabytes": [late[0][1], late[-1][1]],
        "megabytes_a_minute": round(slope(late), 3), "descriptors": [min(descriptors), max(descriptors)],
        "descriptors_at_the_end": samples[-1][2], "samples": samples,
    }  # fmt: skip
    found["faults"] = [
        *(["memory grows"] if found["megabytes_a_minute"] >= MOST_SLOPE else []),
        *(["descriptors grow"] if max(descriptors[-10:]) > max(descriptors[:10]) + CLIENTS else []),
        *(f"status of {what}" for what in statuses if what.rpartition(" ")[2].startswith("5")),
    ]
    return found


if __name__ == "__main__":
    main()
