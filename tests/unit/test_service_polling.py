"""A service follows its bank by polling, and goes on from memory while the database is away, hangs or is replaced."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptbank.bank.learn import learn_task
from promptbank.engine.predictor import ServedTask
from promptbank.errors import UnknownTaskError
from promptbank.service.polling import PollingTaskServer
from promptbank.training.config import TrainConfig
from store import Store, StoreUnavailableError, open_store
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
        made = PollingTaskServer(store, tiny_backbone("llama"), poll_seconds=3600, read_seconds=0.2)
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
        patch.setattr(server, "selected", away)
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
    whole = server.selected

    def hangs(ref: object, lang: str | None) -> ServedTask:
        asked.append(str(ref))
        assert released.wait(60)
        return whole(TONE, lang)

    monkeypatch.setattr(server, "selected", hangs)
    for _ in range(5):
        with pytest.raises(StoreUnavailableError, match="does not answer"):
            server.task(TONE)
        assert server.task(MOOD) is known
    assert asked == ["tone"]
    released.set()


def test_a_task_that_is_not_there_is_not_looked_up_for_every_request(
    server: PollingTaskServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, asked = server.selected, list[object]()
    monkeypatch.setattr(server, "selected", lambda ref, lang: asked.append(ref) or whole(ref, lang))
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
