"""Where a training starts: the nearest row is the one with the lowest loss on dev rows, found by trying all."""

from pathlib import Path

import pytest
import torch

from promptbank.bank.learn import TrainingRequest, learn_tasks
from promptbank.bank.select import frozen_tasks
from promptbank.bank.served import served_task
from promptbank.bank.start import StartRows, find_start
from promptbank.errors import ConfigError, UnknownTaskError
from promptbank.model.forward import LanguageModel
from promptbank.training.config import TrainConfig
from promptbank.training.dev import DevSet
from promptbank.training.examples import render_examples
from promptbank.training.start import start_ids, starting_table
from store import Store
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of, renderer_of

CONFIG = TrainConfig(epochs=3, batch_size=4, lr=0.05, dtype="float32", restarts=0)
BACKBONE = tiny_backbone("llama")
LM = LanguageModel(BACKBONE.model)
EXAMPLES = examples_of(12)


def start_of(store: Store, init: str, splits: tuple[int, ...] = (4,), without: str = ""):
    renderer = renderer_of(BACKBONE, card_of(splits=splits))
    rows = StartRows(store, without)
    return find_start(rows, BACKBONE, LM, renderer, CONFIG.model_copy(update={"init": init}), EXAMPLES[8:])


def learn(store: Store, home: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        config = CONFIG.model_copy(update={"seed": seed})
        lesson = TrainingRequest(card_of(taskname=name), examples_of(8, taskname=name), EXAMPLES[8:], config)
        learn_tasks(store, BACKBONE, [lesson], home=home, lm=LM)


def test_the_nearest_row_is_that_of_the_lowest_loss(fresh_store: Store, tmp_path: Path) -> None:
    learn(fresh_store, tmp_path, "tone", "gist", "mood")
    renderer = renderer_of(BACKBONE, card_of())
    dev = DevSet(LM, renderer, EXAMPLES[8:], render_examples(renderer, EXAMPLES[8:]), None)
    ids = start_ids("text", renderer, vocabulary=LM.vocabulary, seed=0)
    tables = {"text": starting_table(LM, ids)}
    for info in frozen_tasks(fresh_store, BACKBONE.fingerprint):
        row = fresh_store.rows.get(info.scope, info.version)
        tables[info.scope.taskname] = served_task(row, row.version, BACKBONE).table
    losses = {name: dev.score(table).loss for name, table in tables.items()}
    best = min(losses, key=losses.__getitem__)
    found = start_of(fresh_store, "nearest")
    assert found.table.sha256 == tables[best].sha256
    assert found.parent == (1 if best == "mood" else None)
    assert f"starts from {best}" in found.note
    for name, loss in losses.items():
        assert name in found.note
        assert f"{loss:.3f}" in found.note


def test_in_an_empty_bank_the_text_is_nearest(fresh_store: Store) -> None:
    found = start_of(fresh_store, "nearest")
    assert found.table.sha256 == start_of(fresh_store, "text").table.sha256
    assert found.parent is None


@pytest.mark.parametrize(("virtual_tokens", "expected"), [(3, [0, 1, 2]), (4, [0, 1, 2, 3]), (6, [0, 1, 2, 3, 0, 1])])
def test_rows_are_cut_or_repeated_to_the_number_that_is_needed(
    fresh_store: Store, tmp_path: Path, virtual_tokens: int, expected: list[int]
) -> None:
    learn(fresh_store, tmp_path, "tone")
    info = fresh_store.rows.list()[0]
    row = fresh_store.rows.get(info.scope, 1)
    rows = served_task(row, 1, BACKBONE).table.input_rows
    assert torch.equal(start_of(fresh_store, "from:tone", (virtual_tokens,)).table.input_rows, rows[expected])


def test_a_row_that_is_not_there_cannot_be_started_from(fresh_store: Store) -> None:
    with pytest.raises(UnknownTaskError, match="tone"):
        start_of(fresh_store, "from:tone")


def test_a_start_says_what_it_was_made_of(fresh_store: Store, tmp_path: Path) -> None:
    learn(fresh_store, tmp_path, "tone")
    found = [start_of(fresh_store, init).source for init in ("text", "labels", "vocabulary", "from:tone")]
    assert found == ["text", "labels", "vocabulary", "tone:en@1"]


def test_rows_of_a_task_can_be_left_out_in_every_language(fresh_store: Store, tmp_path: Path) -> None:
    learn(fresh_store, tmp_path, "mood", "tone")
    swedish = TrainingRequest(card_of(lang="sv"), examples_of(8, lang="sv"), EXAMPLES[8:], CONFIG)
    learn_tasks(fresh_store, BACKBONE, [swedish], home=tmp_path, lm=LM)
    assert "mood:" not in start_of(fresh_store, "nearest", without="mood").note
    assert "mood:sv" in start_of(fresh_store, "nearest").note
    rows = {info.scope.taskname: info.sha256 for info in fresh_store.rows.list()}
    left = StartRows(fresh_store, without="mood")
    assert left.hashes("nearest", BACKBONE) == left.hashes("from:tone", BACKBONE) == [rows["tone"]]
    assert len(StartRows(fresh_store).hashes("nearest", BACKBONE)) == 3
    assert left.hashes("text", BACKBONE) == []
    for named in ("from:mood:en", "from:mood:sv@1"):
        with pytest.raises(ConfigError, match="may have learnt the rows that are tested on; start from another"):
            start_of(fresh_store, named, without="mood")
