"""Quotas of API keys: records and tokens in a minute, refused whole and before anything is computed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from promptbank.bank.keys import create_key, key_facts, list_keys
from promptbank.bank.learn import learn_task
from promptbank.bank.session import Bank
from promptbank.bank.task_server import TaskServer
from promptbank.config import load_settings
from promptbank.service.app import create_app
from promptbank.training.config import TrainConfig
from store import InvalidRecordError
from tasks import parse_spec
from tests.conftest import Promptbank
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

RECORD = {"taskname": "mood", "sentence": "profit rose"}


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    home: Path = tmp_path_factory.mktemp("home")
    with Bank(load_settings({"home": home}, {})[0]) as opened:
        examples, config = examples_of(8), TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32")
        learn_task(opened.make(), tiny_backbone("llama"), card_of(), examples[:5], examples[5:], config, home=home)
        yield opened


class Asking:
    """A client of one application with a key of its own for each test, and a clock that the test sets."""

    def __init__(self, bank: Bank, patch: pytest.MonkeyPatch) -> None:
        self.bank, self.patch, self.now = bank, patch, 60_000_000.0
        patch.setattr(time, "time", lambda: self.now)
        self.server = TaskServer(bank.store, tiny_backbone("llama"))
        self.client = TestClient(create_app(self.server))

    def key(self, name: str, **quotas: int) -> dict[str, str]:
        return {"authorization": f"Bearer {create_key(self.bank, name, ['infer'], **quotas)}"}


@pytest.fixture
def asking(frozen: Bank, monkeypatch: pytest.MonkeyPatch) -> Asking:
    return Asking(frozen, monkeypatch)


def test_a_key_asks_as_many_records_a_minute_as_it_may(asking: Asking) -> None:
    key, other = asking.key("three", records_per_minute=3), asking.key("free")
    statuses = [asking.client.post("/v1/predict", json=RECORD, headers=key).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert asking.client.post("/v1/predict", json=RECORD, headers=other).status_code == 200
    refused = asking.client.post("/v1/completions", json={"model": "mood", "prompt": "x"}, headers=key)
    assert (refused.status_code, refused.json()["type"], refused.json()["error"]["type"]) == (
        429,
        "quota",
        "rate_limit_error",
    )
    assert "may ask 3 records a minute, of which 0 are left" in refused.json()["detail"]
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    asking.now += 121
    assert asking.client.post("/v1/predict", json=RECORD, headers=key).status_code == 200
    assert 'promptbank_rejected_total{reason="quota"} 2.0' in asking.client.get("/metrics").text


def test_a_list_is_taken_or_refused_whole(asking: Asking) -> None:
    key = asking.key("lists", records_per_minute=3)
    assert asking.client.post("/v1/predict", json=[RECORD] * 2, headers=key).status_code == 200
    assert asking.client.post("/v1/predict", json=[RECORD] * 2, headers=key).status_code == 429
    assert asking.client.post("/v1/predict", json=[RECORD], headers=key).status_code == 200
    never = asking.client.post("/v1/predict", json=[RECORD] * 4, headers=key)
    assert (never.status_code, "ask in parts" in never.json()["detail"]) == (413, True)


def test_tokens_are_those_of_the_prompts(asking: Asking) -> None:
    task = asking.server.task(parse_spec("mood"))
    length = len(task.renderer.prompt({"sentence": RECORD["sentence"]}).ids)
    key = asking.key("tokens", tokens_per_minute=2 * length)
    statuses = [asking.client.post("/v1/predict", json=RECORD, headers=key).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_what_is_refused_uses_nothing_up(asking: Asking) -> None:
    key = asking.key("bad", records_per_minute=1)
    for body in ({"taskname": "mod"}, {"taskname": "mood"}, [RECORD] * 2):
        assert asking.client.post("/v1/predict", json=body, headers=key).status_code in {404, 413, 422}
    assert asking.client.post("/v1/predict", json=RECORD, headers=key).status_code == 200


def test_quotas_are_stored_and_listed(frozen: Bank, promptbank: Promptbank) -> None:
    create_key(frozen, "listed", ["infer"], records_per_minute=5, tokens_per_minute=2**31 - 1)
    facts = key_facts(next(key for key in list_keys(frozen) if key.name == "listed"))
    assert (facts["records_per_minute"], facts["tokens_per_minute"]) == (5, 2**31 - 1)
    for most in (0, -1, 2**31):
        with pytest.raises(InvalidRecordError, match="records_per_minute is"):
            create_key(frozen, "wrong", ["infer"], records_per_minute=most)
    assert promptbank("keys", "create", "shop", "--records-per-minute", "7").exit_code == 0
    assert '"records_per_minute": 7' in promptbank("keys", "list", "--json").stdout
    assert promptbank("keys", "create", "none", "--tokens-per-minute", "0").exit_code == 2
