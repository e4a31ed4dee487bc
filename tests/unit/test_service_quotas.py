"""Quotas of API keys: records and tokens in a minute, refused whole and before anything is computed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fastapi.testclient import TestClient
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from promptbank.bank.keys import create_key, key_facts, list_keys
from promptbank.bank.learn import learn_task
from promptbank.bank.session import Bank
from promptbank.bank.task_server import TaskServer
from promptbank.config import load_settings
from promptbank.errors import QuotaError
from promptbank.service.app import create_app
from promptbank.service.quota_storage import QuotaStorage
from promptbank.service.quotas import KeyQuotas
from promptbank.training.config import TrainConfig
from store import InvalidRecordError, QuotaRepository, StoreUnavailableError, open_store
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
    assert 1 <= int(refused.headers["retry-after"]) <= 61
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


def test_a_record_that_finds_no_room_uses_nothing_up(asking: Asking) -> None:
    key = asking.key("busy", records_per_minute=1)
    asking.client.app.state.queue.drain()  # type: ignore[attr-defined]
    assert asking.client.post("/v1/predict", json=RECORD, headers=key).status_code == 503
    again = TestClient(create_app(asking.server))
    assert again.post("/v1/predict", json=RECORD, headers=key).status_code == 200
    assert again.post("/v1/predict", json=RECORD, headers=key).status_code == 429


def test_after_the_seconds_that_are_told_the_request_fits_and_not_long_before(asking: Asking) -> None:
    key = asking.key("later", records_per_minute=10)
    for count in (6, 3):  # in the minute before, and in this one
        assert asking.client.post("/v1/predict", json=[RECORD] * count, headers=key).status_code == 200
        asking.now += 30
    for count in (4, 8):  # fits in this minute, or in the next one
        refused = asking.client.post("/v1/predict", json=[RECORD] * count, headers=key)
        seconds = int(refused.headers["retry-after"])
        asking.now += seconds - 2
        assert asking.client.post("/v1/predict", json=[RECORD] * count, headers=key).status_code == 429
        asking.now += 2
        assert asking.client.post("/v1/predict", json=[RECORD] * count, headers=key).status_code == 200


def test_several_processes_share_one_count(asking: Asking) -> None:
    key = asking.key("two", records_per_minute=5)
    with open_store(asking.bank.store.url) as other:
        second = TestClient(create_app(TaskServer(other, tiny_backbone("llama"))))
        statuses = [
            client.post("/v1/predict", json=RECORD, headers=key).status_code
            for client in (asking.client, second, second, asking.client, second, asking.client, second)
        ]
    assert statuses == [200] * 5 + [429] * 2


class Away(QuotaRepository):
    """The bank's counts, which cannot be reached for a while."""

    is_away = True

    def use(self, *arguments: Any) -> bool:
        if self.is_away:
            raise StoreUnavailableError("gone")
        return super().use(*arguments)


def test_while_the_bank_is_away_a_process_counts_by_itself(asking: Asking, caplog: pytest.LogCaptureFixture) -> None:
    away = Away(asking.bank.store._database)
    quotas, free = KeyQuotas(away), asking.key("alone", records_per_minute=4)
    key = next(one for one in list_keys(asking.bank) if one.name == "alone")
    assert free
    away.is_away = False
    with quotas.taken(key, 1, 1):
        pass
    away.is_away = True
    for _ in range(3):  # it goes on from where the bank was
        with quotas.taken(key, 1, 1):
            pass
    with pytest.raises(QuotaError, match="of which 0 are left"), quotas.taken(key, 1, 1):
        pass
    assert caplog.text.count("counted by this process alone") == 1
    away.is_away = False
    with quotas.taken(key, 3, 1):
        pass


def test_a_bank_that_hangs_holds_up_one_request_for_a_moment(asking: Asking, frozen: Bank) -> None:
    go, calls = threading.Event(), list[object]()

    class Hung(QuotaRepository):
        def used(self, windows: Sequence[str]) -> list[int]:
            calls.append(windows)
            go.wait(60)
            return super().used(windows)

    asking.key("hung", records_per_minute=2)
    key = next(one for one in list_keys(asking.bank) if one.name == "hung")
    quotas = KeyQuotas(Hung(asking.bank.store._database), 0.05)
    for _ in range(2):
        with quotas.taken(key, 1, 1):
            pass
    with pytest.raises(QuotaError), quotas.taken(key, 1, 1):
        pass
    assert len(calls) == 1  # the other two did not wait for it
    go.set()


def test_the_bank_counts_as_limits_does_in_memory(frozen: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    now, random = 1_800_000_000.0, Random(7)
    monkeypatch.setattr(time, "time", lambda: now)
    item = RateLimitItemPerMinute(20)
    shared, memory = (
        SlidingWindowCounterRateLimiter(storage) for storage in (QuotaStorage(frozen.store.quotas), MemoryStorage())
    )
    seen = set()
    for _ in range(300):
        now += random.choice([0.5, 3.0, 20.0, 70.0])
        cost = random.randint(1, 9)
        assert shared.get_window_stats(item, "k") == memory.get_window_stats(item, "k")
        assert shared.test(item, "k", cost=cost) == memory.test(item, "k", cost=cost)
        taken = shared.hit(item, "k", cost=cost)
        assert taken == memory.hit(item, "k", cost=cost)
        seen.add(taken)
    assert seen == {True, False}


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
