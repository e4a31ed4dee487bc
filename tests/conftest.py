"""Fixtures for all tests."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported by anything
os.environ["PROMPTBANK_CACHE"] = ""  # no test uses the backbones of the person who runs it

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from typer.testing import CliRunner, Result

from tests.tiny import save_tiny
from tests.worlds import SENTENCES

pytest_plugins = ["tests.stores", "tests.consoles"]
# no test depends on the speed of the machine
settings.register_profile("promptbank", deadline=None)
settings.load_profile("promptbank")

Promptbank = Callable[..., Result]


@pytest.fixture(autouse=True)
def _logs_of_one_test() -> Iterator[None]:
    """Commands that serve log to the stderr of their test, which is closed after it."""
    root = logging.getLogger()
    level, before = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    for handler in root.handlers[:]:
        if type(handler) is logging.StreamHandler and handler not in before:
            root.removeHandler(handler)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, a tiny backbone and 16 labelled rows, all below the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PROMPTBANK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PROMPTBANK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PROMPTBANK_BACKBONE", str(save_tiny("llama", tmp_path / "tiny", window=512)))
    rows = [
        {"taskname": "sentiment-task", "sentence": f"{sentence} {n}", "label": label, "id": f"{n}-{i}"}
        for n in range(2)
        for i, (sentence, label) in enumerate(SENTENCES)
    ]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "home"


@pytest.fixture
def promptbank(home: Path) -> Promptbank:
    """The command line, in this process."""
    from promptbank.cli import build_app

    def run(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(build_app(), list(arguments), input=stdin, prog_name="promptbank")

    return run


@pytest.fixture
def empty_bank(promptbank: Promptbank) -> Promptbank:
    """The command line, with a bank in which nothing is."""
    assert promptbank("db", "migrate").exit_code == 0
    return promptbank


@pytest.fixture
def learnt(promptbank: Promptbank) -> Promptbank:
    """The command line, with sentiment-task learnt on the 16 rows."""
    result = promptbank(
        "train", "--task", "sentiment-task", "--data", "data.jsonl", "--epochs", "1", "--dev-fraction", "0.3"
    )
    assert result.exit_code == 0, result.stderr
    return promptbank
