"""The log: a line an event, with the request's id and the key's name, and never what was asked."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from promptbank.bank.keys import create_key
from promptbank.bank.learn import learn_task
from promptbank.bank.session import Bank
from promptbank.bank.task_server import TaskServer
from promptbank.config import load_settings
from promptbank.errors import ConfigError
from promptbank.service.app import create_app
from promptbank.service.logs import LOG_FORMATS, configure_logs
from promptbank.training.config import TrainConfig
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

SECRET = "my salary is 9000"  # noqa: S105 - a text that must not be logged
ID = {"x-request-id": "asked-7"}


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Returns what was written on stderr since it was last called; the root logger is put back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield lambda: capsys.readouterr().err
    root.handlers = handlers
    root.setLevel(level)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    home: Path = tmp_path_factory.mktemp("home")
    with Bank(load_settings({"home": home}, {})[0]) as opened:
        examples, config = examples_of(8), TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32")
        learn_task(opened.make(), tiny_backbone("llama"), card_of(), examples[:5], examples[5:], config, home=home)
        yield opened


def asked(bank: Bank, form: str, *, broken: bool = False) -> None:
    configure_logs(form)
    server = TaskServer(bank.store, tiny_backbone("llama"))
    if broken:
        server.predictor.labels = lambda _batch: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    client = TestClient(create_app(server), raise_server_exceptions=False)
    client.post("/v1/predict?lang=en", json={"taskname": "mood", "sentence": SECRET}, headers=ID)
    client.post("/v1/predict", json={"taskname": "mood", "sentence": 9000, "lang": SECRET}, headers=ID)
    client.post("/v1/completions", json={"model": "mood", "prompt": SECRET, "n": 5}, headers=ID)
    client.post("/v1/score", content=SECRET, headers=ID)
    client.get("/livez")


@pytest.mark.parametrize("form", LOG_FORMATS)
@pytest.mark.parametrize("broken", [False, True])
def test_what_is_asked_is_never_logged(bank: Bank, logged: Callable[[], str], form: str, broken: bool) -> None:
    asked(bank, form, broken=broken)
    text = logged()
    assert "/v1/predict" in text
    assert not any(part in text for part in (SECRET, "salary", "9000"))
    assert "GET /livez" not in text
    assert ("ZeroDivisionError" in text) is broken


def test_each_line_of_json_has_the_requests_id_and_facts(bank: Bank, logged: Callable[[], str]) -> None:
    asked(bank, "json")
    lines = [json.loads(line) for line in logged().splitlines()]
    requests = [line for line in lines if "status" in line]
    assert [(line["method"], line["path"], line["status"]) for line in requests] == [
        ("POST", "/v1/predict", 200),
        ("POST", "/v1/predict", 404),
        ("POST", "/v1/completions", 422),
        ("POST", "/v1/score", 422),
    ]
    assert {line["request_id"] for line in requests} == {"asked-7"}
    assert all(line["ms"] >= 0 and line["level"] == "info" and line["time"].endswith("+00:00") for line in requests)
    assert not any("key" in line for line in requests)


def test_the_line_of_a_failure_can_be_told_from_its_requests_id(bank: Bank, logged: Callable[[], str]) -> None:
    asked(bank, "json", broken=True)
    lines = [json.loads(line) for line in logged().splitlines()]
    assert any(line.get("request_id") == "asked-7" and line["level"] == "error" for line in lines)
    assert any("ZeroDivisionError" in line.get("exception", "") for line in lines)


def test_lines_of_text_end_with_the_id(bank: Bank, logged: Callable[[], str]) -> None:
    asked(bank, "text")
    lines = [line for line in logged().splitlines() if "/v1/score 422" in line]
    assert len(lines) == 1
    assert lines[0].endswith(" ms [asked-7]")


def test_the_name_of_the_key_is_logged_and_the_key_is_not(bank: Bank, logged: Callable[[], str]) -> None:
    key = create_key(bank, "webshop", ["infer"])
    configure_logs("json")
    client = TestClient(create_app(TaskServer(bank.store, tiny_backbone("llama"))))
    client.get("/v1/tasks", headers={"authorization": f"Bearer {key}"})
    text = logged()
    assert json.loads(text.splitlines()[-1])["key"] == "webshop"
    assert key not in text


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ConfigError, match="'xml'; possible: text, json"):
        configure_logs("xml")
