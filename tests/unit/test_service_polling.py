"""A service follows its bank by polling, and goes on from memory while the database is away, hangs or is replaced."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from promptbank.bank.learn import learn_task
from promptbank.bank.task_server import TaskServer
from promptbank.errors import BackboneMismatchError, NotReadyError, ProbeMismatchError, UnknownTaskError
from promptbank.problems import problem_of
from promptbank.service.app import create_app
from promptbank.service.polling import PollingTaskServer
from promptbank.training.config import TrainConfig
from store import Row, Scope, Store, StoreUnavailableError, TamperedRowError, open_store
from tasks import parse_spec
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

MOOD, TONE = parse_spec("mood"), parse_spec("tone")


def learn(store: Store, home: Path, taskname: str = "mood", seed: int = 0) -> None:
    examples = examples_of(8, taskname=taskname)
    config = TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32", seed=seed)
    learn_task(store, tiny_backbone("llama"), card_of(taskname=taskname), examples[:5], examples[5:], config, home=home)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank with two versions of one task, the second live."""
    home = tmp_path_factory.mktemp("frozen")
    with open_store(str(home / "bank.db")) as store:
        learn(store, home)
        learn(store, home, seed=1)
    return home / "bank.db"


@pytest.fixture
def bank(frozen: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(frozen, tmp_path / "bank.db"))


@pytest.fixture
def server(bank: Path) -> Iterator[PollingTaskServer]:
    with open_store(str(bank)) as store:
        made = PollingTaskServer(store, tiny_backbone("llama"), poll_seconds=3600, read_seconds=60)
        made.start()
        yield made
        made.stop()


def away(*_: object, **__: object) -> int:
    raise StoreUnavailableError("connection refused")


def test_an_alias_that_another_process_moves_is_followed_at_a_poll(server: PollingTaskServer, bank: Path) -> None:
    assert server.task(MOOD).version == 2
    with open_store(str(bank)) as other:
        scope = other.rows.list()[0].scope
        other.aliases.move(scope, 1, reason="worse")
    assert server.task(MOOD).version == 2
    server.poll()
    assert server.task(MOOD).version == 1


def test_a_task_that_another_process_freezes_is_answered_on_its_first_request(
    server: PollingTaskServer, bank: Path, tmp_path: Path
) -> None:
    server.task(MOOD)
    with open_store(str(bank)) as other:
        learn(other, tmp_path, "tone")
    assert server.task(TONE).taskname == "tone"


def test_known_tasks_are_answered_while_the_database_is_away(
    server: PollingTaskServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = server.task(MOOD)
    with monkeypatch.context() as patch:
        patch.setattr(server.store, "revision", away)
        patch.setattr(server.store.rows, "get", away)
        patch.setattr(server.store.rows, "list", away)
        server.poll()
        assert server.task(MOOD) is known
        server.revision += 1  # even if it had changed just before
        assert server.task(MOOD) is known
        with pytest.raises(StoreUnavailableError):
            server.task(TONE)
    server.poll()
    assert server.task(MOOD).version == 2
    with pytest.raises(UnknownTaskError):
        server.task(TONE)


def test_a_database_that_hangs_holds_up_no_known_task_and_one_unknown_one_for_a_while(
    server: PollingTaskServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, released, asked = server.task(MOOD), threading.Event(), list[str]()
    server._read_seconds = 0.2

    def hangs() -> int:
        asked.append("revision")
        assert released.wait(60)
        return server.revision

    monkeypatch.setattr(server.store, "revision", hangs)
    for _ in range(5):
        with pytest.raises(StoreUnavailableError, match="does not answer"):
            server.task(TONE)
        assert server.task(MOOD) is known
    assert asked == ["revision"]
    released.set()


def test_a_task_that_is_not_there_is_not_looked_up_for_every_request(
    server: PollingTaskServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, asked = server.store.revision, list[object]()
    monkeypatch.setattr(server.store, "revision", lambda: asked.append(1) or whole())
    for _ in range(20):
        with pytest.raises(UnknownTaskError):
            server.task(TONE)
    assert len(asked) == 1


def test_a_file_in_the_place_of_the_bank_is_opened(server: PollingTaskServer, bank: Path, tmp_path: Path) -> None:
    server.task(MOOD)
    (tmp_path / "other").mkdir()
    with open_store(str(tmp_path / "other" / "bank.db")) as other:
        learn(other, tmp_path / "other", "tone")
    os.replace(tmp_path / "other" / "bank.db", bank)
    for leftover in ("bank.db-wal", "bank.db-shm"):
        (tmp_path / leftover).unlink(missing_ok=True)
    server.poll()
    assert server.task(TONE).version == 1
    with pytest.raises(UnknownTaskError):
        server.task(MOOD)


def test_it_polls_by_itself_and_says_for_how_long_the_bank_has_been_away(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(str(bank)) as store:
        server = PollingTaskServer(store, tiny_backbone("llama"), poll_seconds=0.01)
        server.start()
        assert server.stale_seconds == 0
        monkeypatch.setattr(store, "revision", away)
        clock = time.monotonic()
        monkeypatch.setattr("promptbank.service.polling.time.monotonic", lambda: clock + 1000)
        assert 900 < server.stale_seconds < 1100
        monkeypatch.undo()
        before = server.revision
        scope = store.rows.list()[0].scope
        store.aliases.move(scope, 1, reason="worse")
        end = time.monotonic() + 60
        while server.revision == before and time.monotonic() < end:
            time.sleep(0.01)
        assert server.task(MOOD).version == 1
        assert server.stale_seconds == 0
        server.stop()


LISTS = {"/v1/tasks": 1, "/v1/tasks/mood": 1, "/v1/tasks/mood/versions": 2, "/v1/models/mood": None}


def test_lists_are_told_from_memory_while_the_database_hangs(
    server: PollingTaskServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every read of the database would fail the test; `poll` has read the cards of live rows."""
    server.poll()
    client = TestClient(create_app(server))
    monkeypatch.setattr(type(server.store._database), "read", lambda _self: pytest.fail("the database was asked"))
    for path, count in LISTS.items():
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert count is None or len(answer.json()) == count
    assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["mood:en"]


def test_one_text_for_all_tasks_asks_no_database_either(
    server: PollingTaskServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.poll()
    server.task(MOOD)
    with TestClient(create_app(server)) as client:
        monkeypatch.setattr(type(server.store._database), "read", lambda _self: pytest.fail("the database was asked"))
        assert [one["taskname"] for one in client.post("/v1/score", json={"text": "profit rose"}).json()] == ["mood"]


def test_a_list_asks_the_database_for_a_name_that_it_does_not_know(
    server: PollingTaskServer, bank: Path, tmp_path: Path
) -> None:
    client = TestClient(create_app(server))
    assert client.get("/v1/models/tone").status_code == 404
    with open_store(str(bank)) as other:
        learn(other, tmp_path, "tone")
    server._absent.clear()  # a second later
    assert client.get("/v1/models/tone").json()["root"] == "tone:en@1"


def test_what_prompts_begin_with_is_kept_and_counted(bank: Path, tmp_path: Path) -> None:
    template = "In one word, the tone of the company is<|VIRTUAL_PROMPT_0|> {sentence} so {label}"
    with open_store(str(bank)) as store:
        config = TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32")
        examples, card = examples_of(8, taskname="tone"), card_of(template, taskname="tone")
        learn_task(store, tiny_backbone("llama"), card, examples[:5], examples[5:], config, home=tmp_path)
        server = PollingTaskServer(store, tiny_backbone("llama"), poll_seconds=3600, read_seconds=60)
        server.start()
        record = {"taskname": "tone", "sentence": "profit rose"}
        with TestClient(create_app(server)) as client:
            found = [client.post("/v1/predict", json=record).json() for _ in "abc"]
            metrics = client.get("/metrics").text
        assert found[0] == found[2]
        assert found[0]["probabilities"] == pytest.approx(
            TestClient(create_app(TaskServer(store, tiny_backbone("llama"))))
            .post("/v1/predict", json={"taskname": "tone", "sentence": "profit rose"})
            .json()["probabilities"],
            abs=1e-4,
        )
        assert "promptbank_text_kv_hits_total 2.0" in metrics
        assert "promptbank_text_kv_misses_total 1.0" in metrics
        server.stop()


class Damaged:
    """Rows of which one version comes otherwise than it was frozen."""

    def __init__(self, server: PollingTaskServer, patch: pytest.MonkeyPatch) -> None:
        self.asked: list[int] = []
        self.how: dict[int, str] = {}
        whole = server.store.rows.get

        def get(scope: Scope, version: int) -> Row:
            self.asked.append(version)
            row = whole(scope, version)
            if self.how.get(version) == "tampered":
                raise TamperedRowError("changed")
            if self.how.get(version) == "other answers":
                return replace(row, probe_logits=bytes(len(row.probe_logits)))
            return row

        patch.setattr(server.store.rows, "get", get)


@pytest.mark.parametrize("how", ["tampered", "other answers"])
def test_live_stays_where_it_was_when_the_new_row_fails_its_check(
    server: PollingTaskServer, bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    damaged = Damaged(server, monkeypatch)
    client = TestClient(create_app(server))
    record = {"taskname": "mood", "sentence": "profit rose"}
    before = client.post("/v1/predict", json=record).json()
    with open_store(str(bank)) as other:
        learn(other, tmp_path, seed=2)
    damaged.how = {3: how}
    for _ in range(3):
        server.poll()
    assert client.post("/v1/predict", json=record).json() == before
    assert damaged.asked.count(3) == 1
    assert list(client.get("/readyz").json()["refused"]) == ["mood:en@3"]
    assert "promptbank_rows_refused 1.0" in client.get("/metrics").text
    assert client.post("/v1/tasks/mood@3/predict", json={"sentence": "x"}).status_code == 500
    damaged.how = {}
    monkeypatch.setattr("promptbank.service.ready_rows.REFUSED_SECONDS", 0)
    server.poll()
    assert client.post("/v1/predict", json=record).json()["version"] == 3
    assert client.get("/readyz").json()["refused"] == {}


def test_a_row_that_fails_its_check_is_not_served_by_a_new_process_either(
    server: PollingTaskServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    Damaged(server, monkeypatch).how = {2: "other answers"}
    with pytest.raises(ProbeMismatchError, match=r"mood:en@2: it does not answer as when it was frozen"):
        server.task(MOOD)
    assert server.task(parse_spec("mood@1")).version == 1


def test_a_row_is_read_and_checked_once_however_many_ask_for_it(
    server: PollingTaskServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged, go = Damaged(server, monkeypatch), threading.Event()
    compute = server.compute
    server.compute = lambda work: compute(work) if go.wait(60) else "never"
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(server.task(MOOD).version)) for _ in range(8)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(60)
    assert found == [2] * 8
    assert damaged.asked.count(2) <= 2  # for its answers, and for the list


def test_a_row_whose_check_takes_longer_than_a_request_waits_is_told_as_such_and_answers_later(
    server: PollingTaskServer,
) -> None:
    go, compute = threading.Event(), server.compute
    server.compute = lambda work: compute(work) if go.wait(60) else "never"
    server._read_seconds = 0.2
    for _ in range(3):  # the second and third find the first one's check
        with pytest.raises(NotReadyError, match=r"mood:en@2 is being checked; ask again"):
            server.task(MOOD)
    assert problem_of(NotReadyError("x")).status == 503
    go.set()
    assert server._late is not None
    server._late.result(60)
    assert server.task(MOOD).version == 2


def test_the_row_of_another_backbone_is_told_from_memory(bank: Path) -> None:
    with open_store(str(bank)) as store:
        server = PollingTaskServer(store, tiny_backbone("llama", seed=1), poll_seconds=3600)
        server.start()
        with pytest.raises(BackboneMismatchError):
            server.task(MOOD)
        server.stop()
