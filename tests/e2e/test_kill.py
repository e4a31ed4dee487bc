"""kill -9 anywhere in `promptbank train`: the same command given again ends with the bits of an undisturbed run."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from store import Store, open_store
from tests.tiny import save_tiny
from tests.worlds import SENTENCES

CARD = {
    "taskname": "mood",
    "prompt_template": "{sentence}<|VIRTUAL_PROMPT_0|> {label}",
    "total_virtual_tokens": 4,
    "virtual_token_splits": [4],
    "label_space": {"positive": ["positive"], "negative": ["negative"]},
}


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A folder with a tiny backbone, a card and data."""
    save_tiny("llama", tmp_path / "tiny")
    (tmp_path / "card.jsonl").write_text(json.dumps(CARD))
    rows = ({"taskname": "mood", "sentence": f"{s} {n}", "label": label} for n in range(5) for s, label in SENTENCES)
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def start(world: Path, home: str, epochs: int = 30, kind: str = "auto") -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "HOME": str(world),
        "PROMPTBANK_HOME": str(world / home),
        "PROMPTBANK_BACKBONE": str(world / "tiny"),
        "OMP_NUM_THREADS": "1",
    }
    options = [
        "--card",
        "card.jsonl",
        "--data",
        "data.jsonl",
        "--epochs",
        str(epochs),
        "--patience",
        "99",
        "--lr",
        "0.01",
        "--kind",
        kind,
    ]
    command = [sys.executable, "-m", "promptbank", "train", *options]
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    with (world / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=world, env=environment, stdout=subprocess.DEVNULL, stderr=log)


def killed_when(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> bool:
    """Kill -9 as soon as a condition holds; False when the process ended before."""
    while process.poll() is None:
        if reached():
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.002)
    return False


def finish(world: Path, home: str, epochs: int = 30, kind: str = "auto") -> None:
    assert start(world, home, epochs, kind).wait(timeout=300) == 0, (world / "log").read_text()


def rows(world: Path, home: str) -> list[tuple[int, bytes, tuple[str, ...]]]:
    with open_store(str(world / home / "bank.db")) as store:
        return [(i.version, store.rows.get(i.scope, i.version).data, i.aliases) for i in _infos(store)]


def _infos(store: Store):
    return sorted(store.rows.list(), key=lambda info: info.version)


@pytest.mark.parametrize("kind", ["auto", "deep"])
def test_kill_during_training_changes_no_bit(world: Path, kind: str) -> None:
    finish(world, "whole", kind=kind)
    process = start(world, "killed", kind=kind)
    assert killed_when(process, lambda: any((world / "killed" / "runs").glob("*/checkpoints/step-*.safetensors")))
    assert rows(world, "killed") == []
    finish(world, "killed", kind=kind)
    assert rows(world, "killed") == rows(world, "whole")
    assert list((world / "killed" / "runs").iterdir()) == []


def test_kill_around_the_freeze_leaves_one_live_row(world: Path) -> None:
    finish(world, "whole", epochs=2)
    database = world / "killed" / "bank.db"

    def row_is_written() -> bool:
        return database.is_file() and _count(database) > 0

    if not killed_when(start(world, "killed", epochs=2), row_is_written):
        pytest.fail("the row was never seen before the process ended")
    before = rows(world, "killed")
    finish(world, "killed", epochs=2)
    after = rows(world, "killed")
    live = [row for row in after if "live" in row[2]]
    assert len(live) == 1
    assert live[0][1] == rows(world, "whole")[0][1]
    # a row that was written but not live is found again; one that was live already was a finished training
    assert len(after) == 1 if before[0][2] == () else len(after) <= 2


def _count(database: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM prompt_row").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
