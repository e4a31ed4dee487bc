"""`serve --workers 2`: both processes answer on one port, one that dies is replaced, none outlives the parent."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from promptbank.config import load_settings
from promptbank.service.workers import worker_environment
from tests.conftest import Promptbank

PATIENCE = 180  # seconds, on a busy machine


def until(what: Callable[[], object], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.2)


@contextmanager
def serving(*options: str, log: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "promptbank", "serve", "--port", "0", *options]
    with log.open("w") as stderr, subprocess.Popen(command, stderr=stderr, text=True) as process:
        try:
            yield process
        finally:
            for one in [*psutil.Process(process.pid).children(), process] if process.poll() is None else []:
                one.kill()


def address_in(log: Path) -> str:
    until(lambda: "on http://" in log.read_text())
    found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
    assert found
    return found[0]


def answers(address: str) -> bool:
    try:
        found = httpx.post(
            f"{address}/v1/predict", json={"taskname": "sentiment-task", "sentence": "profit rose"}, timeout=30
        )
    except httpx.TransportError:
        return False
    return found.status_code == 200


def metrics(address: str) -> str:
    return httpx.get(f"{address}/metrics", timeout=30).text


def answered_by_metrics(address: str) -> float:
    (found,) = re.findall(
        r'promptbank_requests_total{outcome="ok",task="sentiment-task:en"} ([0-9.]+)', metrics(address)
    )
    return float(found)


def ready(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The children that accept connections, by what the system says."""
    children = psutil.Process(process.pid).children()
    return [child for child in children if any(one.status == "LISTEN" for one in child.net_connections())]


@pytest.mark.new_process
def test_two_processes_share_a_port_and_end_with_their_parent(learnt: Promptbank, tmp_path: Path) -> None:
    with serving("--workers", "2", log=tmp_path / "log") as process:
        address = address_in(tmp_path / "log")
        until(lambda: answers(address))
        until(lambda: len(psutil.Process(process.pid).children()) == 2)
        first, second = psutil.Process(process.pid).children()
        assert all("bank.db" not in " ".join(child.cmdline()) for child in (first, second))
        served = (tmp_path / "log").read_text
        until(lambda: served().count("serving sentiment-task on") == 2)  # both are ready
        answered = sum(answers(address) for _ in range(5))
        assert answered == 5
        told = answered_by_metrics(address)
        assert told >= 6  # whichever answers tells the sum: the one before both were ready too
        assert all(answered_by_metrics(address) == told for _ in range(6))
        second.kill()
        until(lambda: {first.pid} < {child.pid for child in psutil.Process(process.pid).children()} - {second.pid})
        assert all(answers(address) for _ in range(4))
        assert answered_by_metrics(address) == told + 4  # what the dead one answered is not forgotten
        until(lambda: served().count("serving sentiment-task on") == 3)
        children = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert not any(child.is_running() for child in children)
        assert not answers(address)


@pytest.mark.new_process
def test_no_process_outlives_a_parent_that_was_killed(learnt: Promptbank, tmp_path: Path) -> None:
    with serving("--workers", "2", log=tmp_path / "log") as process:
        until(lambda: (tmp_path / "log").read_text().count("serving sentiment-task on") == 2)
        children = psutil.Process(process.pid).children()
        process.kill()
        until(lambda: not any(child.is_running() and child.status() != "zombie" for child in children))


@pytest.mark.new_process
def test_an_error_that_each_process_would_have_ends_all_of_them(learnt: Promptbank, tmp_path: Path) -> None:
    with serving("--workers", "2", "--backbone", "no-such-backbone", log=tmp_path / "log") as process:
        assert process.wait(PATIENCE) == 1
    told = (tmp_path / "log").read_text()
    assert "no-such-backbone" in told
    assert "a process of the service could not start, so none is left" in told
    assert told.count("error:") <= 3


def test_a_process_gets_all_settings_and_its_share_of_the_threads(tmp_path: Path) -> None:
    given = {"PROMPTBANK_DB": "postgresql://me:secret@host/db", "PROMPTBANK_WORKERS": "2", "OTHER": "kept"}
    settings, _ = load_settings({"home": tmp_path, "max_tokens": 100}, given)
    found = worker_environment(settings, given)
    assert load_settings({}, found)[0].max_tokens == 100
    assert load_settings({}, found)[0].db == given["PROMPTBANK_DB"]
    assert load_settings({}, found)[0].workers == 1
    assert found["PROMPTBANK_THREADS"] == str(max(1, (os.cpu_count() or 1) // 2))
    assert found["OTHER"] == "kept"
    settings, _ = load_settings({"home": tmp_path, "threads": 3}, given)
    assert worker_environment(settings, given)["PROMPTBANK_THREADS"] == "3"


def test_a_port_that_is_taken_is_told_before_anything_starts(learnt: Promptbank) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        told = learnt("serve", "--workers", "2", "--port", str(taken.getsockname()[1]))
    assert told.exit_code == 1
    assert "cannot listen on 127.0.0.1" in told.stderr
