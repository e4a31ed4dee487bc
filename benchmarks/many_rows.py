"""A bank of ten thousand live rows beside one of eight: the start, a cached task, a task that is asked first, memory.

The backbone is tiny, so that what is measured is the service and the bank. Linux only.

Example: python -m benchmarks.many_rows --rows 10000 --out docs/results/serving/many-rows.json
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx

from benchmarks.made_rows import WORDS, random_table, unprobed
from benchmarks.plain_servers import LABELS
from benchmarks.serving_load import Server, free_port, serving
from promptbank.bank.session import Bank, open_bank
from store import aliases, rows
from tests.tiny import save_tiny

FEW = 8
CACHED, FIRST = 400, 200
"""Requests for a task that is kept, and tasks that are asked for the first time."""


def fill(bank: Bank, count: int) -> None:
    """Freeze a live row of each task, all in one transaction: through the bank's own methods it is two for each row."""
    database, first = bank.make()._database, unprobed(bank.backbone, 0, LABELS, "rows.v1")
    with database.write("a benchmark") as connection:
        for n in range(count):
            table, name = random_table(bank.backbone, "rows.v1", n), f"route-{n}"
            other = replace(
                first,
                scope=replace(first.scope, taskname=name),
                card_json=first.card_json.replace('"route-0"', f'"{name}"'),
                data=table.to_bytes(),
                sha256=table.sha256,
            )
            row = rows._insert(connection, other, datetime.now(UTC))
            aliases._point(connection, row.scope, "live", to=1, kind=aliases.MOVED, reason="a benchmark")


def milliseconds(server: Server, client: httpx.Client, tasks: Sequence[int]) -> dict[str, float]:
    """Ask tasks one after the other, and return how long they take, and what of that is the server's processor time."""
    waits, used = [], server.processor_seconds()
    for n, task in enumerate(tasks):
        began = time.monotonic()
        answer = client.post("/v1/predict", json={"taskname": f"route-{task}", "text": f"{n} {WORDS}"})
        waits.append(1000 * (time.monotonic() - began))
        answer.raise_for_status()
    cuts, cost = quantiles(waits, n=100), (server.processor_seconds() - used) / len(tasks)
    return {"p50": round(median(waits), 1), "p99": round(cuts[98], 1), "processor": round(1000 * cost, 2)}


def measure(count: int, folder: Path, core: str) -> dict[str, Any]:
    """Serve a bank of so many rows, and ask it."""
    backbone = save_tiny("gemma3", folder / "backbone")
    with open_bank(folder, backbone=str(backbone)) as bank:
        fill(bank, count)
    environment, port = {"PROMPTBANK_HOME": str(folder), "PROMPTBANK_BACKBONE": str(backbone)}, free_port()
    command, began = ["promptbank", "serve", "--port", str(port), "--threads", "1"], time.monotonic()
    with serving(command, port, core, environment) as server, httpx.Client(base_url=server.address, timeout=120) as ask:
        found: dict[str, Any] = {
            "rows": count,
            "seconds to the first answer of /livez": round(time.monotonic() - began, 1),
        }
        found["processor seconds until then"] = round(server.processor_seconds(), 1)
        found["megabytes then"] = server.megabytes()
        milliseconds(server, ask, [0] * 20)
        found["milliseconds of a cached task"] = milliseconds(server, ask, [0] * CACHED)
        found["milliseconds of tasks that are asked first"] = milliseconds(server, ask, range(1, min(count, FIRST + 1)))
        used = server.processor_seconds()
        time.sleep(10)
        found["processor seconds of 10 idle ones"] = round(server.processor_seconds() - used, 2)
        found["megabytes at the end"] = server.megabytes()
        found["megabytes of the bank"] = round((folder / "bank.db").stat().st_size / 2**20, 1)
        found["processor seconds to follow a change"] = _following(server, folder)
    return found


def _following(server: Server, folder: Path) -> float:
    """What it costs the service to see that an alias was moved, beside ten seconds of nothing."""
    with open_bank(folder) as bank:
        scope = bank.store.rows.list(taskname="route-0")[0].scope
        used = server.processor_seconds()
        bank.store.aliases.move(scope, 1, "other", reason="a benchmark")
        time.sleep(10)
        return round(server.processor_seconds() - used, 2)


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--core", default="0")
    parser.add_argument("--beside", default="nothing", help="what else runs on the machine")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found: dict[str, Any] = {"beside": given.beside, "load_average": os.getloadavg(), "banks": []}
    for count in (FEW, given.rows):
        with tempfile.TemporaryDirectory() as folder:
            found["banks"].append(measure(count, Path(folder), given.core))
            print(json.dumps(found["banks"][-1], indent=1), flush=True)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
