"""One text asked of many tasks: the answers of single requests, one reading of the text, errors in place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from promptbank.bank.learn import learn_task
from promptbank.bank.task_server import TaskServer
from promptbank.service.app import RequestLimits, create_app
from promptbank.training.config import TrainConfig
from store import open_store
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

TEXT = "the company said that orders are up in one year and that the outlook is good, again and again"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    home: Path = tmp_path_factory.mktemp("home")
    backbone = tiny_backbone("llama")
    config = TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32")
    with open_store(str(home / "bank.db")) as store:
        for name, keys in {"mood": {}, "tone": {}, "gist": {"label_space": None}}.items():
            card, examples = card_of(taskname=name, **keys), examples_of(8, taskname=name)
            learn_task(store, backbone, card, examples[:5], examples[5:], config, home=home)
        yield TestClient(create_app(TaskServer(store, backbone), RequestLimits(records=4)))


def test_the_answers_are_those_of_single_requests(client: TestClient) -> None:
    found = client.post("/v1/score", json={"text": TEXT, "tasks": ["tone", "mood:en", "gist"]}).json()
    assert [item["taskname"] for item in found] == ["tone", "mood", "gist"]
    for item in found:
        alone = client.post("/v1/predict", json={"taskname": item["taskname"], "sentence": TEXT}).json()
        assert item.get("text") == alone.get("text")
        assert item.get("probabilities", {}) == pytest.approx(alone.get("probabilities", {}), abs=1e-4)


def test_without_names_all_live_tasks_with_labels_answer(client: TestClient) -> None:
    found = client.post("/v1/score", json={"text": TEXT}).json()
    assert [item["taskname"] for item in found] == ["mood", "tone"]
    assert client.post("/v1/score", json={"text": TEXT, "lang": "sv"}).json() == []


def test_a_task_that_cannot_answer_is_a_problem_in_its_place(client: TestClient) -> None:
    answer = client.post("/v1/score", json={"text": TEXT, "tasks": ["mood", "mod", "tone@9"]})
    assert answer.status_code == 200
    assert [item.get("status", 200) for item in answer.json()] == [200, 404, 404]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"tasks": ["mood"]}, 422),
        ({"text": 7}, 422),
        ({"text": TEXT, "tasks": []}, 422),
        ({"text": TEXT, "task": "mood"}, 422),
        ([TEXT], 422),
        ({"text": TEXT, "tasks": ["mood"] * 5}, 413),
    ],
)
def test_what_cannot_be_asked_is_refused_as_a_whole(client: TestClient, body: object, status: int) -> None:
    assert client.post("/v1/score", json=body).status_code == status
