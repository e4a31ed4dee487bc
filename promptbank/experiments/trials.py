"""Trials: trainings of an experiment, learnt together, frozen in the experiment's own bank, scored from stored rows.

The bank lies in the experiment's folder, so an experiment never touches the user's rows; a trial's row is found by its
alias, which is the trial's name. Trials are learnt a group at a time in shared batches; a killed experiment goes on in
the middle of a group.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from promptbank import __version__
from promptbank.backbone import Backbone
from promptbank.bank.freeze import record_evaluation
from promptbank.bank.learn import Lesson, learn_tasks
from promptbank.bank.select import scope_of, served_task
from promptbank.engine.predictor import Predictor
from promptbank.experiments.ledger import Ledger
from promptbank.forward import LanguageModel
from promptbank.train.config import TrainConfig
from promptbank.train.listen import Listener
from store import Store, open_store
from tasks import Example, Split, TaskCard, data_sha256

__all__ = ["TOGETHER", "Bench", "Trial", "origin", "run_trials"]

TOGETHER = 16
"""Most trials learnt in shared batches; with 16 rows each, 256 rows a pass."""


@dataclass(frozen=True, eq=False)
class Bench:
    """What an experiment on one task works with.

    Attributes:
        home: of the bank; the experiment's folder lies in its ``runs/``.
        backbone: float32.
        lm: its forward passes.
        card: the task.
        examples: the whole set.
        config: of its trainings, where the experiment does not replace a part.
        listener: hears of progress.
    """

    home: Path
    backbone: Backbone
    lm: LanguageModel
    card: TaskCard
    examples: Sequence[Example]
    config: TrainConfig
    listener: Listener

    def about(self) -> dict[str, Any]:
        """Return what decides every result on it."""
        return {
            **origin(self.backbone, self.lm, [self.card]),
            "data_sha256": data_sha256(self.examples),
            "rows": len(self.examples),
            "config": self.config.model_dump(mode="json"),
            "together": TOGETHER,
        }


@dataclass(frozen=True, eq=False)
class Trial:
    """One training of an experiment, and the rows that score it."""

    name: str
    card: TaskCard
    split: Split
    config: TrainConfig


def run_trials(
    ledger: Ledger,
    bench: Bench,
    trials: Sequence[Trial],
    *,
    together: int = TOGETHER,
    starts: Store | None = None,
) -> dict[str, dict[str, Any]]:
    """Learn and score trials; what an earlier call did stays done.

    Args:
        ledger: of the experiment.
        bench: its backbone, and who hears of progress.
        trials: with names that differ.
        together: trials of one group.
        starts: the bank of which rows may be started from; the experiment's own if absent.

    Returns:
        By name: sizes, test and dev metrics, best epoch, the epochs, the row's sha256, and the predicted label or text
        of each test row by its id.
    """
    results: dict[str, dict[str, Any]] = {}
    with open_store(f"sqlite:///{ledger.folder / 'bank.db'}") as store:
        for group in _groups(trials, together):
            about = _learnt(ledger, store, bench, group, starts)
            for trial in group:
                score = partial(_scored, store, bench, trial, about[trial.name])
                results[trial.name] = ledger.cell(trial.name, score)
    return results


def _groups(trials: Sequence[Trial], together: int) -> Iterator[Sequence[Trial]]:
    for start in range(0, len(trials), together):
        yield trials[start : start + together]


def _learnt(
    ledger: Ledger, store: Store, bench: Bench, group: Sequence[Trial], starts: Store | None
) -> Mapping[str, Any]:
    """Learn a group, once; its cell holds what the trainings left and how long they took together."""

    def learn() -> dict[str, Any]:
        lessons = [Lesson(t.card, t.split.train, t.split.dev, t.config, alias=t.name, name=t.name) for t in group]
        learnt = learn_tasks(
            store, bench.backbone, lessons, home=ledger.folder, listener=bench.listener, lm=bench.lm, starts=starts
        )
        return {
            trial.name: {
                "dev": one.metrics,
                "best_epoch": one.trained.best_epoch,
                "epochs": [epoch.as_dict() for epoch in one.trained.epochs],
                "warnings": list(one.warnings),
                "notes": list(one.notes),
            }
            for trial, one in zip(group, learnt, strict=True)
        }

    return ledger.cell(f"training-{group[0].name}", learn)


def _scored(store: Store, bench: Bench, trial: Trial, about: Mapping[str, Any]) -> dict[str, Any]:
    """Score a trial's stored row on its test rows, in float32."""
    scope = scope_of(trial.card.taskname, trial.card.lang, bench.backbone)
    version = store.aliases.get(scope, trial.name)
    row = store.rows.get(scope, version)
    task = served_task(row, row.version, bench.backbone)
    result = record_evaluation(store, Predictor(bench.lm), row, task, trial.split.test, split="test")
    split = trial.split
    return {
        "sizes": {"train": len(split.train), "dev": len(split.dev), "test": len(split.test)},
        "test": result.metrics,
        **about,
        "row_sha256": row.sha256,
        "predicted": {e.id: p for e, p in zip(split.test, result.predicted, strict=True)},
    }


def origin(backbone: Backbone, lm: LanguageModel, cards: Iterable[TaskCard]) -> dict[str, Any]:
    """Return what decides every result beside data and settings: backbone, cards, package versions."""
    packages = {name: importlib.metadata.version(name) for name in ("torch", "transformers")}
    return {
        "backbone": backbone.name,
        "fingerprint": backbone.fingerprint,
        "tokenizer_sha256": backbone.tokenizer_sha256,
        "scores": str(lm.dtype).removeprefix("torch.") + ", from the stored row",
        "threads": torch.get_num_threads(),
        "cards": [card.plain() for card in cards],
        "packages": {"promptbank": __version__, **packages},
    }
