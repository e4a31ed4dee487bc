"""A request in a language without a row: refused, unless the task has a fallback, and then said in the answer.

Kind: a client that sends the user's locale gets 404 in the first country where nobody has trained (chat widgets, Rasa
and Dialogflow agents with "default language"), or an answer in another language without a word.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from fastapi.testclient import TestClient

from promptbank.bank.learn import learn_task
from promptbank.bank.select import select_row
from promptbank.bank.task_server import RecordRequest, TaskServer
from promptbank.errors import UnknownTaskError
from promptbank.service.app import create_app
from promptbank.service.polling import PollingTaskServer
from promptbank.training.config import TrainConfig
from store import FALLBACK, InvalidRecordError, Scope, Store, UnknownRowError, open_store
from store.address import read_address
from store.database import Database
from store.migrate import MIGRATION_LOCK, migrations_config
from tasks import DataError, InputRecord, parse_spec
from tests.conftest import Promptbank
from tests.stores import outside
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

RECORD = {"taskname": "mood", "sentence": "profit rose", "lang": "fr"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A bank with "mood" in English and Swedish."""
    config = TrainConfig(epochs=1, batch_size=4, dtype="float32")
    with open_store(str(tmp_path / "bank.db")) as opened:
        for lang in ("en", "sv"):
            card, examples = card_of(lang=lang), examples_of(8, lang=lang)
            learn_task(opened, tiny_backbone("llama"), card, examples[:5], examples[5:], config, home=tmp_path)
        yield opened


def test_only_a_task_with_a_fallback_answers_in_a_language_without_a_row(store: Store) -> None:
    server = TaskServer(store, tiny_backbone("llama"))
    client = TestClient(create_app(server))
    refused = client.post("/v1/predict", json=RECORD)
    assert (refused.status_code, refused.json()["type"]) == (404, "unknown-task")
    before = client.post("/v1/predict", json=RECORD | {"lang": "sv"}).json()
    store.defaults.choose("mood", "sv", reason="test", role=FALLBACK)
    assert client.post("/v1/predict", json=RECORD).json() == before | {"asked_lang": "fr"}
    plain = {"sentence": RECORD["sentence"]}
    for path, body in (
        ("/v1/predict?lang=fr", plain | {"taskname": "mood"}),
        ("/v1/predict", plain | {"taskname": "mood:fr"}),
        ("/v1/tasks/mood:fr/predict", plain),
        ("/v1/tasks/mood/predict", RECORD),
    ):
        assert client.post(path, json=body).json() == before | {"asked_lang": "fr"}, path
    english = client.post("/v1/predict", json=RECORD | {"lang": "en"}).json()
    assert (english["lang"], "asked_lang" in english) == ("en", False)  # a language with a row answers itself
    assert client.post("/v1/predict", json=plain | {"taskname": "mood"}).json() == english  # the default is as it was
    assert client.post("/v1/predict", json=plain | {"taskname": "mood:fr@1"}).status_code == 404  # a version is exact
    store.defaults.choose("mood", None, reason="test", role=FALLBACK)
    assert client.post("/v1/predict", json=RECORD).status_code == 404


def test_openai_and_score_say_which_language_was_asked_for(store: Store) -> None:
    store.defaults.choose("mood", "en", reason="test", role=FALLBACK)
    client = TestClient(create_app(TaskServer(store, tiny_backbone("llama"))))
    told = client.post("/v1/completions", json={"model": "mood:fr", "prompt": "profit rose"}).json()
    assert (told["model"], told["promptbank"]["asked_lang"]) == ("mood:en@1", "fr")
    named = client.post("/v1/completions", json={"model": "mood:sv", "prompt": "profit rose"}).json()
    assert (named["model"], "asked_lang" in named["promptbank"]) == ("mood:sv@1", False)
    scored = client.post("/v1/score", json={"text": "profit rose", "tasks": ["mood:fr", "mood:sv"]}).json()
    assert [(one["lang"], one.get("asked_lang")) for one in scored] == [("en", "fr"), ("sv", None)]
    scored = client.post("/v1/score", json={"text": "profit rose", "tasks": ["mood"], "lang": "fr"}).json()
    assert [(one["lang"], one.get("asked_lang")) for one in scored] == [("en", "fr")]


def test_a_fallback_that_is_not_live_answers_nothing(store: Store) -> None:
    backbone = tiny_backbone("llama")
    store.defaults.choose("mood", "sv", reason="test", role=FALLBACK)
    store.aliases.retire(Scope("mood", "sv", backbone.fingerprint))
    ask = RecordRequest(InputRecord(1, RECORD, "f:1"))
    assert isinstance(TaskServer(store, backbone).answer([ask])[0], UnknownTaskError)
    store.defaults.choose("mood", "en", reason="test", role=FALLBACK)
    answer = TaskServer(store, backbone).answer([ask])[0]
    assert (answer.lang, answer.asked_lang) == ("en", "fr")
    with pytest.raises(UnknownTaskError):  # measuring and exporting never take another language
        select_row(store, parse_spec("mood:fr"), backbone)
    other = RecordRequest(InputRecord(1, RECORD, "f:1"), task="mood:de")
    assert isinstance(TaskServer(store, backbone).answer([other])[0], DataError)  # two languages are asked for


def test_a_running_service_follows_the_choice(store: Store) -> None:
    server = PollingTaskServer(store, tiny_backbone("llama"), poll_seconds=60)
    server.start()
    try:
        ask = RecordRequest(InputRecord(1, RECORD, "f:1"))
        assert isinstance(server.answer([ask])[0], UnknownTaskError)
        store.defaults.choose("mood", "sv", reason="test", role=FALLBACK)
        server.poll()
        answer = server.answer([ask])[0]
        assert (answer.lang, answer.asked_lang) == ("sv", "fr")
    finally:
        server.stop()


def test_choices_are_kept_by_role_and_can_be_taken_back(store: Store) -> None:
    defaults = store.defaults
    for lang in ("sv", "sv", None, None, "en"):
        defaults.choose("mood", lang, reason="test", role=FALLBACK)
    assert [choice.lang for choice in defaults.history("mood", FALLBACK)] == ["sv", "-", "en"]
    assert (defaults.get("mood", FALLBACK), defaults.get("mood"), defaults.history("mood")) == ("en", None, [])
    defaults.choose("mood", "sv", reason="test")
    assert (defaults.get("mood"), defaults.get("mood", FALLBACK)) == ("sv", "en")
    defaults.choose("mood", None, reason="test")
    assert (defaults.get("mood"), defaults.get("mood", FALLBACK)) == (None, "en")
    with pytest.raises(UnknownRowError, match="is not frozen in 'fr'"):
        defaults.choose("mood", "fr", reason="test", role=FALLBACK)
    with pytest.raises(InvalidRecordError):
        defaults.choose("mood", "en", reason="a\0b", role=FALLBACK)
    assert store.check() == []


def test_choices_of_before_are_defaults(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    address = read_address(url)
    with closing(Database(address, migrating=True)) as database, database.write(MIGRATION_LOCK) as connection:
        command.upgrade(migrations_config(connection), "0005")
    chosen = "INSERT INTO default_language (taskname, lang, reason, chosen_at) VALUES ('mood', 'sv', 'x', '2026-11-01')"
    outside(url, chosen)
    with open_store(url) as store:
        assert (store.defaults.get("mood"), store.defaults.get("mood", FALLBACK)) == ("sv", None)
        assert store.check() == []


def test_the_command_line_chooses_lists_and_takes_back(learnt: Promptbank) -> None:
    Path("fr.jsonl").write_text(json.dumps({"sentence": "x", "lang": "fr"}) + "\n")
    asked = ("predict", "--task", "sentiment-task", "--data", "fr.jsonl", "--json")
    assert learnt(*asked).exit_code == 1
    assert "nothing yet" in learnt("bank", "fallback", "sentiment-task").stderr
    chosen = json.loads(learnt("bank", "fallback", "sentiment-task", "en", "--json").stdout)
    assert (chosen["role"], chosen["lang"], chosen["reason"]) == ("fallback", "en", "promptbank bank fallback")
    answer = json.loads(learnt(*asked).stdout)
    assert (answer["lang"], answer["asked_lang"]) == ("en", "fr")
    assert learnt("evaluate", "--task", "sentiment-task:fr", "--data", "data.jsonl").exit_code == 1
    assert learnt("bank", "fallback", "sentiment-task", "--off").exit_code == 0
    assert learnt(*asked).exit_code == 1
    assert learnt("bank", "fallback", "sentiment-task", "en", "--off").exit_code == 2
    assert "is not frozen in 'fr'" in learnt("bank", "fallback", "sentiment-task", "fr").stderr
    assert "nothing yet" in learnt("bank", "default", "sentiment-task").stderr
