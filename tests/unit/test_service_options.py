"""What of an answer is wanted, from which probability on, in which language, of which version; headers tell of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from promptbank.bank.dataset import identified_among
from promptbank.bank.learn import learn_task
from promptbank.bank.task_server import TaskServer
from promptbank.errors import AmbiguousLanguageError
from promptbank.service.app import RequestLimits, create_app
from promptbank.training.config import TrainConfig
from store import open_store
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

ENGLISH = "The company said that its profit rose this year, and that the outlook is good."
SWEDISH = "Bolaget meddelade att vinsten steg under året, och att utsikterna är goda."
FORMS = {"positive": ["good", "positive"], "negative": ["negative"]}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Two versions of "mood" in English, one in Swedish, and an open task."""
    home: Path = tmp_path_factory.mktemp("home")
    backbone = tiny_backbone("llama")
    with open_store(str(home / "bank.db")) as store:
        for name, lang, seed in (("mood", "en", 0), ("mood", "en", 1), ("mood", "sv", 0), ("gist", "en", 0)):
            keys: dict[str, object] = {"label_space": None} if name == "gist" else {"label_space": FORMS}
            config = TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32", seed=seed)
            card, examples = card_of(taskname=name, lang=lang, **keys), examples_of(8, taskname=name, lang=lang)
            learn_task(store, backbone, card, examples[:5], examples[5:], config, home=home)
        yield TestClient(create_app(TaskServer(store, backbone), RequestLimits(records=8)))


def ask(client: TestClient, query: str = "", **record: object) -> dict[str, object]:
    return client.post(f"/v1/predict{query}", json={"taskname": "mood", "sentence": ENGLISH} | record).json()


NAMES = {"taskname", "lang", "version", "sha256"}


@pytest.mark.parametrize(
    ("query", "closed", "opened"),
    [
        ("", {"label", "probabilities", "margin"}, {"text", "probability"}),
        ("?return=scores", {"label", "probabilities", "margin"}, {"text", "probability"}),
        ("?return=label", {"label"}, None),
        ("?return=text", {"text"}, {"text"}),
    ],
)
def test_the_parts_that_are_wanted_are_answered(
    client: TestClient, query: str, closed: set[str], opened: set[str] | None
) -> None:
    whole = ask(client)
    found = ask(client, query)
    assert set(found) - NAMES == closed
    if "text" in closed:
        assert found["text"] == FORMS[str(whole["label"])][0]
    answer = client.post(f"/v1/predict{query}", json={"taskname": "gist", "sentence": ENGLISH})
    if opened is None:
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, "return")
    else:
        assert set(answer.json()) - NAMES == opened


def test_an_answer_below_the_threshold_is_left_out(client: TestClient) -> None:
    whole = ask(client)
    assert isinstance(whole["probabilities"], dict)
    sure = max(whole["probabilities"].values())
    assert ask(client, f"?threshold={sure - 1e-6}") == whole | {"abstained": False}
    assert ask(client, f"?threshold={sure}")["abstained"] is False
    below = ask(client, f"?threshold={min(1, sure + 1e-6)}")
    assert below == {key: value for key, value in whole.items() if key != "label"} | {"abstained": True}
    assert set(ask(client, f"?threshold={min(1, sure + 1e-6)}&return=label")) - NAMES == {"abstained"}
    opened = ask(client, "?threshold=1", taskname="gist")
    assert (set(opened) - NAMES, opened["abstained"]) == ({"probability", "abstained"}, True)


@pytest.mark.parametrize("query", ["return=all", "threshold=2", "threshold=nan", "threshold=x", "threshold=-0.1"])
def test_an_option_that_is_not_known_is_refused_as_a_problem(client: TestClient, query: str) -> None:
    answer = client.post(f"/v1/predict?{query}", json={"taskname": "mood", "sentence": "x"})
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == query.partition("=")[0]
    assert answer.headers["content-type"] == "application/problem+json"


def test_one_text_for_many_tasks_has_the_same_options(client: TestClient) -> None:
    asked = {"text": ENGLISH, "tasks": ["mood", "gist"], "return": "label", "threshold": 0}
    closed, opened = client.post("/v1/score", json=asked).json()
    assert set(closed) - NAMES == {"label", "abstained"}
    assert (opened["status"], opened["detail"].startswith("return: gist:en writes open answers")) == (422, True)
    assert client.post("/v1/score", json={"text": ENGLISH, "threshold": 2}).status_code == 422


@pytest.mark.parametrize(("text", "lang"), [(ENGLISH, "en"), (SWEDISH, "sv")])
def test_auto_is_the_language_that_the_text_looks_like(client: TestClient, text: str, lang: str) -> None:
    fields = {"sentence": text}
    asked = [
        client.post("/v1/predict?lang=auto", json={"taskname": "mood", **fields}).json(),
        client.post("/v1/predict", json={"taskname": "mood", "lang": "auto", **fields}).json(),
        client.post("/v1/tasks/mood/predict?lang=auto", json=fields).json(),
        client.post("/v1/score", json={"text": text, "tasks": ["mood"], "lang": "auto"}).json()[0],
        client.post("/v1/score", json={"text": text, "lang": "auto"}).json()[0],
        client.post("/v1/completions", json={"model": "mood", "prompt": text, "lang": "auto"}).json()["promptbank"],
    ]
    assert [one.get("lang", one.get("task", "").partition(":")[2]) for one in asked] == [lang] * 6


def test_a_language_that_is_named_beats_auto_and_a_task_of_one_language_needs_none(client: TestClient) -> None:
    assert ask(client, "?lang=auto", sentence=SWEDISH, lang="en")["lang"] == "en"
    assert ask(client, "?lang=auto", sentence=SWEDISH, taskname="mood:en")["lang"] == "en"
    assert ask(client, sentence=SWEDISH, taskname="mood:en", lang="auto")["lang"] == "en"
    assert ask(client, "?lang=auto", sentence=SWEDISH, taskname="gist")["lang"] == "en"
    assert ask(client, "?lang=auto", sentence=SWEDISH, taskname="mood@2")["lang"] == "en"  # sv has no version 2


def test_languages_that_a_text_cannot_tell_apart_must_be_named() -> None:
    assert identified_among(SWEDISH, ["sv", "pt-BR"]) == "sv"
    for langs in (["pt-BR", "pt-PT"], ["sv", "smj"]):
        with pytest.raises(AmbiguousLanguageError, match="cannot be told apart"):
            identified_among(SWEDISH, langs)


PINNED = [
    ("POST", "/v1/predict", {"taskname": "mood:en@1", "sentence": ENGLISH}),
    ("POST", "/v1/tasks/mood:en@1/predict", {"sentence": ENGLISH}),
    ("POST", "/v1/score", {"text": ENGLISH, "tasks": ["mood:en@1"]}),
    ("POST", "/v1/completions", {"model": "mood:en@1", "prompt": ENGLISH}),
    ("POST", "/v1/chat/completions", {"model": "mood:en@1", "messages": [{"role": "user", "content": ENGLISH}]}),
    ("GET", "/v1/models/mood:en@1", None),
    ("GET", "/v1/tasks/mood:en@1", None),
    ("GET", "/v1/tasks/mood:en@1/versions", None),
]


@pytest.mark.parametrize(("method", "path", "body"), PINNED)
def test_every_endpoint_answers_for_a_pinned_version(
    client: TestClient, method: str, path: str, body: dict[str, object] | None
) -> None:
    answer = client.request(method, path, json=body)
    assert answer.status_code == 200
    assert re.search(r'"version": ?1\b|mood:en@1', answer.text)
    if method == "POST":
        assert answer.headers["x-promptbank-task"] == "mood:en@1"
        assert (
            client.request(method, path, json=body).headers["x-promptbank-row"]
            in ask(client, taskname="mood@1")["sha256"]
        )


def test_headers_name_the_row_and_where_the_time_went(client: TestClient) -> None:
    record = {"taskname": "mood", "sentence": ENGLISH}
    answer = client.post("/v1/predict", json=record)
    assert answer.headers["x-promptbank-task"] == "mood:en@2"
    assert answer.headers["x-promptbank-row"] == answer.json()["sha256"][:12]
    parts = re.fullmatch(
        r"queue;dur=([\d.]+), batch;dur=([\d.]+), forward;dur=([\d.]+)", answer.headers["server-timing"]
    )
    assert parts
    assert 0 < float(parts[3]) <= float(parts[2])
    same = client.post("/v1/predict", json=[record, record])
    assert same.headers["x-promptbank-task"] == "mood:en@2"
    several = client.post("/v1/predict", json=[record, record | {"lang": "sv"}])
    assert "x-promptbank-task" not in several.headers
    assert "server-timing" in several.headers
    opened = client.post("/v1/predict", json=record | {"taskname": "gist"})
    assert float(opened.headers["server-timing"].rpartition("=")[2]) > 0
    stream = client.post("/v1/completions", json={"model": "gist", "prompt": ENGLISH, "stream": True})
    assert stream.headers["x-promptbank-task"] == "gist:en@1"
