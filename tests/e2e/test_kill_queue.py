"""A service's training process: it trains beside the service, and what a kill -9 leaves is trained to the same bits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from promptbank.bank.session import Bank
from promptbank.config import load_settings
from promptbank.service.training_process import TrainingProcess
from store import NewTraining
from tests.tiny import save_tiny
from tests.unit.test_training_queue import asked

pytestmark = pytest.mark.new_process
SECONDS = 120.0


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bank]:
    """A bank of which another process can load the backbone."""
    monkeypatch.setattr("promptbank.service.training_process.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("promptbank.service.training_process.REST_SECONDS", 0.05)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    folder = save_tiny("llama", tmp_path / "tiny")
    with Bank(load_settings({"home": tmp_path / "home", "backbone": str(folder), "threads": 1}, {})[0]) as opened:
        opened.make()
        yield opened


def until(holds: Callable[[], object], bank: Bank) -> None:
    end = time.monotonic() + SECONDS
    while not holds():
        log = bank.settings.home / "queue.log"
        assert time.monotonic() < end, log.read_text() if log.exists() else "no process was started"
        time.sleep(0.01)


def long(bank: Bank) -> NewTraining:
    return asked(bank, settings={"epochs": 60, "patience": 99, "batch_size": 4, "dtype": "float32"})


def row(bank: Bank) -> bytes:
    (info,) = bank.store.rows.list()
    return bank.store.rows.get(info.scope, 1).data


def test_a_process_that_is_killed_is_replaced_and_its_training_ends_with_the_same_bits(
    bank: Bank, tmp_path: Path
) -> None:
    trainings = bank.store.trainings
    trainings.add(long(bank))
    process = TrainingProcess(bank)
    process.start()
    try:
        until(lambda: list((bank.settings.home / "runs").glob("*/checkpoints/*")), bank)
        running = process._process
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)
        until(lambda: trainings.get(1).state == "done", bank)
        assert trainings.get(1).starts == 2
    finally:
        process.stop()
    undisturbed = {"home": tmp_path / "other", "backbone": bank.settings.backbone, "threads": 1}
    with Bank(load_settings(undisturbed, {})[0]) as other:
        from promptbank.bank.training_queue import work_off

        other.make().trainings.add(long(other))
        assert [one.state for one in work_off(other)] == ["done"]
        assert row(bank) == row(other)


def test_a_service_that_ends_leaves_its_training_to_the_next_where_a_person_can_stop_it(bank: Bank) -> None:
    trainings = bank.store.trainings
    trainings.add(replace(long(bank), settings_json=json.dumps({"epochs": 999, "patience": 999})))
    process = TrainingProcess(bank)
    process.start()
    until(lambda: trainings.get(1).run_id, bank)
    running = process._process
    process.stop()
    assert running is not None
    assert running.poll() is not None
    assert trainings.get(1).state == "running"
    process = TrainingProcess(bank)
    process.start()
    try:
        until(lambda: trainings.get(1).starts == 2, bank)
        trainings.stop(1)
        until(lambda: trainings.get(1).state == "stopped", bank)
    finally:
        process.stop()
    assert bank.store.rows.list() == []


def console(bank: Bank) -> subprocess.Popen[bytes]:
    """Start the console as a person does."""
    own = {f"PROMPTBANK_{name.upper()}": str(getattr(bank.settings, name)) for name in ("home", "backbone", "threads")}
    command = [sys.executable, "-m", "promptbank", "console", "--no-browser", "--port", "0"]
    with (bank.settings.home / "console.log").open("wb") as log:
        return subprocess.Popen(command, env={**os.environ, **own}, stdout=log, stderr=log)


def test_a_service_that_is_killed_takes_its_training_along_and_the_next_one_goes_on_with_it(bank: Bank) -> None:
    trainings = bank.store.trainings
    trainings.add(replace(long(bank), settings_json=json.dumps({"epochs": 999, "patience": 999})))
    killed = console(bank)
    until(lambda: list((bank.settings.home / "runs").glob("*/checkpoints/*")), bank)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    lock = FileLock(bank.settings.home / "queue.lock", timeout=SECONDS)
    lock.acquire()  # once the process that trained has seen that its parent is gone
    lock.release()
    assert trainings.get(1).state == "running"
    again = console(bank)
    until(lambda: trainings.get(1).starts == 2, bank)
    trainings.stop(1)
    until(lambda: trainings.get(1).state == "stopped", bank)
    again.send_signal(signal.SIGTERM)
    again.wait(SECONDS)
