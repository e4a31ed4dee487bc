"""When a new row goes live: compared with the live one on the same examples, by answers that are computed apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptbank.bank.learn import LearntTask, TrainingRequest, learn_tasks
from promptbank.bank.live import may_go_live
from promptbank.bank.served import served_task
from promptbank.engine.predictor import PredictionRequest, Predictor
from promptbank.model.forward import LanguageModel
from promptbank.training.config import TrainConfig
from store import Store
from tasks import Example, TaskCard
from tasks.statistics import share_error
from tests.tiny import tiny_backbone
from tests.worlds import BEFORE, card_of, examples_of

OTHER = {"positive": "negative", "negative": "positive"}
DEV = examples_of(8, offset=8)


def learnt(store: Store, home: Path, seed: int, rule: str, card: TaskCard | None = None) -> LearntTask:
    config = TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32", seed=seed)
    request = TrainingRequest(card or card_of(), examples_of(8), DEV, config, live_rule=rule)
    return learn_tasks(store, tiny_backbone("llama"), [request], home=home)[0]


def answers(store: Store, version: int) -> list[str]:
    """Return what a version answers to the dev examples, one by one."""
    backbone = tiny_backbone("llama")
    scope = store.rows.list()[0].scope
    task, predictor = (
        served_task(store.rows.get(scope, version), version, backbone),
        Predictor(LanguageModel(backbone.model)),
    )
    found = [predictor.predict([PredictionRequest(task, e.fields)])[0] for e in DEV]
    return [str(one.label) for one in found]


def right(predicted: list[str]) -> int:
    return sum(p == e.answer for p, e in zip(predicted, DEV, strict=True))


def decided(store: Store, predicted: list[str], rule: str = "gated", dev: list[Example] = DEV) -> tuple[bool, str]:
    """Decide on version 2, as if it had answered so, while version 1 is live."""
    backbone, scope = tiny_backbone("llama"), store.rows.list()[0].scope
    row = store.rows.get(scope, 2)
    return may_go_live(store, Predictor(LanguageModel(backbone.model)), backbone, row, dev, predicted, "live", rule)


def test_a_row_goes_live_when_it_is_right_as_often_as_the_live_one_and_not_when_it_is_worse(
    fresh_store: Store, tmp_path: Path
) -> None:
    assert learnt(fresh_store, tmp_path, 0, "gated").is_live  # the first one, whatever it scores
    assert not learnt(fresh_store, tmp_path, 1, "never").is_live
    before = answers(fresh_store, 1)
    assert 0 < right(before) <= 8
    moves, told = decided(fresh_store, before)
    assert moves
    same = f"right on {right(before)} of 8 dev examples, version 1 on {right(before)}, as many, which is not worse"
    assert told.startswith(f"{same}; difference +0.000")
    first = next(n for n, (p, e) in enumerate(zip(before, DEV, strict=True)) if p == e.answer)
    worse = [OTHER[p] if n == first else p for n, p in enumerate(before)]
    moves, told = decided(fresh_store, worse)
    assert not moves
    assert f"right on {right(before) - 1} of 8 dev examples, version 1 on {right(before)}; difference -0.125" in told
    assert "95 % interval -" in told
    assert decided(fresh_store, worse, "always")[0]
    assert not decided(fresh_store, before, "never")[0]
    one_group = [Example(**{**vars(e), "group": "g"}) for e in DEV]
    assert "of one group, so without an interval" in decided(fresh_store, before, dev=one_group)[1]


def test_the_alias_follows_the_decision(fresh_store: Store, tmp_path: Path) -> None:
    learnt(fresh_store, tmp_path, 0, "gated")
    second = learnt(fresh_store, tmp_path, 1, "gated")
    better = right(answers(fresh_store, 2)) >= right(answers(fresh_store, 1))
    assert second.is_live is better
    assert fresh_store.aliases.get(second.row.scope, "live") == (2 if better else 1)
    assert second.comparison.startswith(f"right on {right(answers(fresh_store, 2))} of 8")
    third = learnt(fresh_store, tmp_path, 2, "always")
    assert (third.is_live, third.comparison) == (True, "")


def test_a_live_row_that_cannot_answer_the_examples_is_not_replaced_by_itself(
    fresh_store: Store, tmp_path: Path
) -> None:
    card = card_of(BEFORE.replace("sentence", "headline"), truncate_field="headline")
    known = [Example(**{**vars(e), "fields": {"headline": e.fields["sentence"]}}) for e in examples_of(12)]
    config = TrainConfig(epochs=1, batch_size=4, dtype="float32")
    learn_tasks(
        fresh_store, tiny_backbone("llama"), [TrainingRequest(card, known[:8], known[8:], config)], home=tmp_path
    )
    second = learnt(fresh_store, tmp_path, 1, "gated")
    assert not second.is_live
    assert second.comparison.startswith("version 1 cannot answer the dev examples, so the two cannot be compared")
    assert fresh_store.aliases.get(second.row.scope, "live") == 1


@pytest.mark.parametrize(
    ("share", "n", "error"), [(1.0, 5, 0.1386), (0.0, 5, 0.1386), (0.5, 96, 0.05), (0.8, 16, 0.0981)]
)
def test_a_share_of_few_has_a_standard_error_even_where_all_are_right(share: float, n: int, error: float) -> None:
    """By hand: p = (share * n + 2) / (n + 4), then the square root of p (1 - p) / (n + 4)."""
    assert share_error(share, n) == pytest.approx(error, abs=1e-4)
