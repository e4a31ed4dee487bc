"""Several tasks learnt in one run: each has its own row, and a kill anywhere costs none of them."""

import json
import math
from pathlib import Path

import pytest

from promptbank.bank.learn import LearntTask, TrainingRequest, learn_tasks
from promptbank.bank.served import served_task
from promptbank.engine.predictor import PredictionRequest, Predictor, ServedTask
from promptbank.engine.prior import CONTENT_FREE
from promptbank.engine.scoring import ScoringRequest, label_scores, score_forms
from promptbank.errors import TrainingError
from promptbank.model.forward import LanguageModel
from promptbank.training.config import TrainConfig
from promptbank.training.progress import NoProgress, StepReport
from store import DiskFullError, Store
from tests.tiny import tiny_backbone
from tests.worlds import BEFORE, card_of, examples_of

CONFIG = TrainConfig(epochs=2, batch_size=4, lr=0.02, dtype="float32", checkpoint_steps=1)


def lessons() -> list[TrainingRequest]:
    mood, gist = card_of(), card_of(BEFORE, taskname="gist", label_space=None)
    examples = {card.taskname: examples_of(12, taskname=card.taskname) for card in (mood, gist)}
    return [
        TrainingRequest(card, examples[card.taskname][:8], examples[card.taskname][8:], CONFIG, name=card.taskname)
        for card in (mood, gist)
    ]


def learn(store: Store, home: Path, **keys: object) -> list[LearntTask]:
    return learn_tasks(store, tiny_backbone("llama"), lessons(), home=home, **keys)


def test_each_task_has_its_row_its_scores_and_its_alias(fresh_store: Store, tmp_path: Path) -> None:
    mood, gist = learn(fresh_store, tmp_path)
    assert [info.scope.taskname for info in fresh_store.rows.list()] == ["gist", "mood"]
    assert [info.aliases for info in fresh_store.rows.list()] == [("live",), ("live",)]
    assert "accuracy" in mood.metrics
    assert "exact_match" in gist.metrics
    assert mood.run_id != gist.run_id
    assert not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize("freezes", [0, 1])
def test_a_disk_full_at_one_row_leaves_the_others_alone(
    fresh_store: Store, tmp_path: Path, freezes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = type(fresh_store.rows)
    freeze, left = rows.freeze, [freezes]

    def full(self: object, new: object) -> object:
        if not left[0]:
            raise DiskFullError("the disk is full")
        left[0] -= 1
        return freeze(self, new)

    with monkeypatch.context() as patch:
        patch.setattr(rows, "freeze", full)
        with pytest.raises(DiskFullError):
            learn(fresh_store, tmp_path)
    assert len(fresh_store.rows.list()) == freezes

    steps: list[StepReport] = []

    class Steps(NoProgress):
        def on_step(self, report: StepReport) -> None:
            steps.append(report)

    learn(fresh_store, tmp_path, progress=Steps())
    assert not steps
    assert [(i.scope.taskname, i.version, i.aliases) for i in fresh_store.rows.list()] == [
        ("gist", 1, ("live",)),
        ("mood", 1, ("live",)),
    ]


def test_the_same_two_again_are_two_new_versions(fresh_store: Store, tmp_path: Path) -> None:
    first = learn(fresh_store, tmp_path)
    second = learn(fresh_store, tmp_path)
    assert [one.row.version for one in second] == [2, 2]
    assert [one.row.sha256 for one in second] == [one.row.sha256 for one in first]


def test_one_name_twice_is_refused_before_anything_is_learnt(fresh_store: Store, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="'mood' would be learnt twice"):
        learn_tasks(fresh_store, tiny_backbone("llama"), [lessons()[0]] * 2, home=tmp_path)
    assert not fresh_store.rows.list()


def test_an_alias_of_ones_own_leaves_live_alone(fresh_store: Store, tmp_path: Path) -> None:
    mood = lessons()[0]
    folds = [
        TrainingRequest(mood.card, mood.train, mood.dev, CONFIG, alias=f"fold-{n}", name=f"fold-{n}") for n in (0, 1)
    ]
    learn_tasks(fresh_store, tiny_backbone("llama"), folds, home=tmp_path)
    assert [info.aliases for info in fresh_store.rows.list()] == [("fold-0",), ("fold-1",)]


def test_a_calibrated_row_answers_evenly_when_nothing_is_asked(fresh_store: Store, tmp_path: Path) -> None:
    mood = lessons()[0]
    config = CONFIG.model_copy(update={"calibrate": True})
    backbone = tiny_backbone("llama")
    rows = [
        learn_tasks(fresh_store, backbone, [TrainingRequest(mood.card, mood.train, mood.dev, c)], home=tmp_path)[0].row
        for c in (CONFIG, config)
    ]
    assert rows[0].data == rows[1].data
    plain, calibrated = (served_task(fresh_store.rows.get(r.scope, r.version), r.version, backbone) for r in rows)
    predictor = Predictor(LanguageModel(backbone.model))

    def asked(task: ServedTask, text: str) -> dict[str, float]:
        return predictor.predict([PredictionRequest(task, {"sentence": text})])[0].probabilities

    def raw(text: str) -> dict[str, float]:
        prompt = plain.renderer.prompt({"sentence": text})
        scores = score_forms(predictor.lm, [ScoringRequest(prompt.ids, plain.table, plain.renderer.forms)])[0]
        return label_scores(plain.renderer.forms, scores)

    # raw probabilities are averaged and normalised once, as in the authors' code
    prior = {label: sum(math.exp(raw(text)[label]) for text in CONTENT_FREE) for label in ("positive", "negative")}
    for text in ("profit rose", "bad"):
        before, after = asked(plain, text), asked(calibrated, text)
        weights = {label: before[label] / prior[label] for label in prior}
        expected = {label: weight / sum(weights.values()) for label, weight in weights.items()}
        assert after == pytest.approx(expected, abs=1e-4)
    assert json.loads(rows[0].policy_json).keys() == {"bos_id", "eos_id", "answer_tokens"}
