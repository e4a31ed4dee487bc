"""kill -9 in the middle of an experiment: given again, it ends with the result file of an undisturbed one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.stores import ROOT
from tests.tiny import save_tiny
from tests.worlds import SENTENCES

pytest.importorskip("matplotlib", reason="the extra experiments is not installed")
pytest.importorskip("sklearn", reason="the extra experiments is not installed")

TASK = ("--task", "sentiment-task", "--data", "data.jsonl")
TRAINING = ("--epochs", "8", "--patience", "9", "--dev-fraction", "0.3", "--restarts", "0")
STREAM = """
name = "two"
config = {epochs = 8, patience = 9, dev_fraction = 0.3, restarts = 0}
contrast = {epochs = 1}
[[experience]]
task = "sentiment-task:en"
data = ["data.jsonl"]
folds = 3
[[experience]]
task = "topic-task:en"
data = ["topics.jsonl"]
folds = 3
"""
COMMANDS = {
    "crossval": ("crossval", *TASK, "--folds", "3", *TRAINING),
    "curve": ("curve", *TASK, "--folds", "3", "--repeats", "2", "--fractions", "1,.5", *TRAINING),
    "sweep": ("sweep", *TASK, "--settings", "3", "--rungs", "2", *TRAINING),
    "continual": ("continual", "stream.toml"),
    "baseline": ("baseline", *TASK, "--folds", "3", "--shots", "0", "--shots", "2", "--seeds", "2"),
    "compare": ("compare", *TASK, "--methods", "ptuning,lora,tfidf", "--seeds", "2", "--epochs", "4"),
}

BEGUN = {"baseline": "cells/*shots*", "compare": "cells/*"}
"""What is there once the hard part is under way: a training's checkpoint, or the first of several cells."""


@pytest.fixture
def world(tmp_path: Path) -> Path:
    save_tiny("llama", tmp_path / "tiny", window=512)
    rows = [(f"{s} {n}", label) for n in range(5) for s, label in SENTENCES]
    content = {"data.jsonl": rows, "topics.jsonl": [(s, "sports" if y == "positive" else "culture") for s, y in rows]}
    for name, pairs in content.items():
        lines = (json.dumps({"sentence": s, "label": label, "id": f"r{n}"}) for n, (s, label) in enumerate(pairs))
        (tmp_path / name).write_text("\n".join(lines))
    (tmp_path / "stream.toml").write_text(STREAM)
    return tmp_path


def start(world: Path, home: str, name: str) -> subprocess.Popen[bytes]:
    own = {
        "HOME": str(world),
        "PROMPTBANK_HOME": str(world / home),
        "PROMPTBANK_BACKBONE": str(world / "tiny"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "promptbank", *COMMANDS[name]]
    with (world / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=world, env={**os.environ, **own}, stdout=subprocess.DEVNULL, stderr=log)


def result(world: Path, home: str, name: str) -> dict[str, Any]:
    """The result file, timings apart."""
    assert start(world, home, name).wait(timeout=300) == 0, (world / "log").read_text()
    (path,) = (world / home / "runs").glob(f"{name}-*/result.json")
    return {key: value for key, value in json.loads(path.read_text()).items() if key != "timings"}


def kill(world: Path, home: str, name: str) -> None:
    """Kill -9 as soon as something is under way that the next call must go on with."""
    process = start(world, home, name)
    while process.poll() is None:
        if any(world.glob(f"{home}/runs/{name}-*/{BEGUN.get(name, '**/checkpoints/step-*.safetensors')}")):
            process.send_signal(signal.SIGKILL)
            process.wait()
            return
        time.sleep(0.002)
    pytest.fail(f"{name} ended before it could be killed: {(world / 'log').read_text()}")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_experiment_ends_with_the_result_of_an_undisturbed_one(world: Path, name: str) -> None:
    kill(world, "killed", name)
    assert not list((world / "killed" / "runs").glob("*/result.json"))
    assert result(world, "killed", name) == result(world, "whole", name)
