"""Doubtful answers of tasks for which somebody asked for it are kept, others leave nothing behind."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from promptbank.bank.kept_answers import AnsweredTask, doubtful
from promptbank.bank.session import Bank
from promptbank.engine.predictor import Prediction
from promptbank.errors import InputError
from store import AnswerKeeping, KeptAnswer, Store
from tests.consoles import SCOPE, Browser

RULE = AnswerKeeping(taskname="mood", lang="en", below=1.0, beside=None, days=30)


@pytest.fixture
def client(bank: Bank) -> Iterator[TestClient]:
    with Browser(bank).client as opened:
        yield opened


def ask(client: TestClient, text: str, task: str = "mood:en") -> dict[str, object]:
    answer = client.post("/v1/predict", json={"taskname": task, "sentence": text})
    assert answer.status_code == 200, answer.text
    return answer.json()


def kept(store: Store, holds: Callable[[list[KeptAnswer]], bool] = bool) -> list[KeptAnswer]:
    """Return what is kept, once a condition holds: it is kept behind the answer's back."""
    end = time.monotonic() + 60
    while not holds(found := list(store.answers.list("mood", "en"))):
        assert time.monotonic() < end, found
        time.sleep(0.01)
    return found


def follow(bank: Bank, client: TestClient, rule: AnswerKeeping) -> None:
    """Choose a rule and let the service see it: the first request after a change has the rules read."""
    bank.store.answers.choose(rule)
    keeper = client.app.state.answering.on_admission[1].__self__
    end = time.monotonic() + 60
    while keeper._rules.get(("mood", "en")) != rule:
        assert time.monotonic() < end
        ask(client, "a text to begin with", "mood:sv")
        time.sleep(0.01)


def test_an_improbable_answer_is_kept_once_with_its_text(bank: Bank, client: TestClient) -> None:
    ask(client, "before anybody asked")
    follow(bank, client, RULE)
    answer = ask(client, "profit rose")
    ask(client, "profit rose")
    found = kept(bank.store, lambda all_: any("profit" in one.fields_json for one in all_))
    mine = [one for one in found if "profit" in one.fields_json]
    assert [json.loads(one.fields_json) for one in mine] == [{"sentence": "profit rose"}]
    assert (mine[0].label, mine[0].version) == (answer["label"], 2)
    assert mine[0].probability == pytest.approx(answer["probabilities"][answer["label"]])
    assert not [one for one in found if "anybody" in one.fields_json]


def test_nothing_of_other_tasks_is_kept(bank: Bank, client: TestClient) -> None:
    follow(bank, client, RULE)
    ask(client, "only swedish", "mood:sv")
    ask(client, "open", "gist:en")
    ask(client, "the last one")
    found = kept(bank.store, lambda all_: any("last one" in one.fields_json for one in all_))
    assert not [one for one in found if "swedish" in one.fields_json or "open" in one.fields_json]
    assert list(bank.store.answers.list("mood", "sv")) == list(bank.store.answers.list("gist", "en")) == []


def test_answers_on_which_two_versions_disagree_are_kept(bank: Bank, client: TestClient) -> None:
    follow(bank, client, AnswerKeeping(taskname="mood", lang="en", below=0.0, beside=1, days=30))
    texts = [f"{word} {n}" for n in range(12) for word in ("profit rose", "sales fell", "nothing new")]
    labels = {text: [ask(client, text, f"mood:en@{version}")["label"] for version in (2, 1)] for text in texts}
    wanted = {text for text, (mine, other) in labels.items() if mine != other}
    found = kept(bank.store, lambda all_: len(all_) == len(wanted))
    mine = {json.loads(one.fields_json)["sentence"]: one for one in found}
    assert mine.keys() == wanted != set()
    for text, one in mine.items():
        assert [one.label, one.other_label] == labels[text]


def prediction(label: str, probability: float) -> Prediction:
    chances = {label: probability, "other": 1 - probability}
    return Prediction("mood", "en", 2, "a" * 64, label=label, probabilities=chances)


@pytest.mark.parametrize(
    ("probability", "below", "other", "is_kept"),
    [(0.5, 0.6, None, True), (0.6, 0.6, None, False), (0.9, 0.6, "bad", True), (0.9, 0.6, "good", False)],
)
def test_what_is_doubtful(probability: float, below: float, other: str | None, is_kept: bool) -> None:
    rule = AnswerKeeping(taskname="mood", lang="en", below=below, beside=None, days=1)
    beside = prediction(other, 0.9) if other else None
    found = doubtful(rule, {"b": "2", "a": "1"}, prediction("good", probability), beside)
    assert (found is not None) == is_kept
    assert found is None or found.fields_json == '{"a": "1", "b": "2"}'


def test_decisions_become_training_records_and_are_undone(bank: Bank) -> None:
    bank.store.answers.choose(RULE)
    for n, probability in enumerate((0.9, 0.5, 0.7)):
        new = doubtful(RULE, {"sentence": f"text {n}"}, prediction("positive", probability), None)
        assert new is not None
        bank.store.answers.keep(new)
    task = AnsweredTask(bank.store, "mood:en", SCOPE.fingerprint)
    assert [one.probability for one in task.answers()] == [0.5, 0.7, 0.9]
    task.decide(2, "negative", "anna", seen=None)
    task.decide(3, "", "anna", seen=None)
    task.decide(1, "positive", "björn", seen=None)
    assert [json.loads(line) for line in task.training_lines().splitlines()] == [
        {"taskname": "mood", "lang": "en", "sentence": "text 0", "label": "positive"},
        {"taskname": "mood", "lang": "en", "sentence": "text 1", "label": "negative"},
    ]
    assert [task.undo("anna"), task.undo("anna")] == [3, 2]
    with pytest.raises(InputError, match="nothing left"):
        task.undo("anna")
    with pytest.raises(InputError, match="'glad' is no label"):
        task.decide(2, "glad", "anna", seen=None)
    with pytest.raises(InputError, match="open answers"):
        AnsweredTask(bank.store, "gist:en", SCOPE.fingerprint)
