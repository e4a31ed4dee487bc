"""A service that is told to stop under load answers all that it admitted; KILLS=50 repeats it as `make kills` does."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.conftest import Promptbank

CYCLES = int(os.environ.get("KILLS", 3))
PATIENCE = 180  # seconds, on a busy machine
RECORD = {"taskname": "sentiment-task", "sentence": "profit rose"}


class Clients:
    """Some threads that ask without end until nothing answers, each request on a connection of its own."""

    def __init__(self, address: str, count: int) -> None:
        self.statuses: Counter[int] = Counter()
        self.unanswered: list[Exception] = []  # broken off after the request had been read
        self._address = address
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        while True:
            try:
                answer = httpx.post(f"{self._address}/v1/predict", json=RECORD, timeout=PATIENCE)
            except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError) as exc:
                self.unanswered.append(exc)
                return
            self.statuses[answer.status_code] += 1

    def answered(self) -> int:
        return sum(self.statuses.values())

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def is_there(address: str) -> bool:
    try:
        return httpx.get(f"{address}/livez", timeout=PATIENCE).status_code == 200
    except httpx.TransportError:
        return False


def until(what: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.02)


@pytest.mark.parametrize("cycle", range(CYCLES))
def test_a_stop_under_load_loses_no_admitted_request(learnt: Promptbank, tmp_path: Path, cycle: int) -> None:
    """What the service logged as answered is what clients got: nothing was computed for nobody, nothing was dropped."""
    log = tmp_path / "log"
    command = [sys.executable, "-m", "promptbank", "serve", "--port", "0", "--log-format", "json"]
    with log.open("wb") as stderr, subprocess.Popen(command, stderr=stderr) as process:
        until(lambda: "on http://" in log.read_text(), process, log)
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        assert found
        until(lambda: is_there(found[0]), process, log)
        clients = Clients(found[0], 6)
        until(lambda: clients.answered() >= 10 * (cycle + 1), process, log)
        process.send_signal(signal.SIGTERM)
        clients.join()
        assert process.wait(PATIENCE) in (0, -signal.SIGTERM)
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    told = Counter(line["status"] for line in lines if line.get("path") == "/v1/predict")
    assert told == clients.statuses
    assert set(told) <= {200, 503}
    assert len(clients.unanswered) == 6  # each client's last request found nobody, and stands in no log
