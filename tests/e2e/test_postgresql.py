"""The whole way on PostgreSQL: nothing works before `db migrate`, and everything after it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from promptbank.cli import build_app
from tests.postgres import Server
from tests.tiny import save_tiny
from tests.worlds import SENTENCES


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_server: Server) -> Path:
    """A folder with data, and an empty database in the environment."""
    rows = (
        {"taskname": "sentiment-task", "sentence": f"{s} {n}", "label": label}
        for n in range(4)
        for s, label in SENTENCES
    )
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PROMPTBANK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PROMPTBANK_BACKBONE", str(save_tiny("llama", tmp_path / "tiny")))
    monkeypatch.setenv("PROMPTBANK_DB", postgres_server.empty())
    return tmp_path


def promptbank(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), list(arguments))


def test_a_task_is_learnt_and_answered_on_postgresql(here: Path) -> None:
    data = str(here / "data.jsonl")
    training = ("train", "--task", "sentiment-task", "--data", data, "--epochs", "1", "--json")
    assert promptbank("db", "check").exit_code == 3
    refused = promptbank(*training)
    assert (refused.exit_code, "promptbank db migrate" in refused.stderr) == (1, True)
    assert promptbank("db", "migrate").exit_code == 0
    assert promptbank("db", "check").exit_code == 0
    learnt = promptbank(*training)
    assert json.loads(learnt.stdout)["version"] == 1, learnt.stderr
    answers = promptbank("predict", "--data", data, "--json").stdout.splitlines()
    assert len(answers) == 32
    assert {json.loads(answer)["taskname"] for answer in answers} == {"sentiment-task"}
    assert promptbank("bank", "verify", "--logits").exit_code == 0
    assert not (here / "home" / "bank.db").exists()
