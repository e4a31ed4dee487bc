"""Trials: trainings of an experiment, learnt together, frozen in the experiment's own bank, scored from stored rows.

The bank lies in the experiment's folder, so an experiment never touches the user's rows; a trial's row is found by its
alias, which is the trial's name. Trials are learnt a group at a time in shared batches; a killed experiment goes on in
the middle of a group.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from promptbank import __version__
from promptbank.bank.freeze import record_evaluation
from promptbank.bank.learn import Learnt, Lesson, learn_trials
from promptbank.bank.select import scope_of, served_task
from promptbank.bank.start import StartRows
from promptbank.engine.evaluate import warnings_of
from promptbank.engine.predictor import Predictor
from promptbank.errors import ConfigError, InputError
from promptbank.lab.experiments.ledger import Ledger
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.training.config import TrainConfig
from promptbank.training.examples import check_prompts, training_renderer
from promptbank.training.progress import Listener
from promptbank.training.prompts import training_dtype
from promptbank.training.run import Failed
from store import Store, open_store
from tasks import Example, Split, TaskCard, data_sha256

__all__ = ["TOGETHER", "Bench", "Trial", "check_test_rows", "origin", "row_versions", "run_trials", "said", "told_of"]

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
        told: what a reader should know of the rows beside.
    """

    home: Path
    backbone: Backbone
    lm: LanguageModel
    card: TaskCard
    examples: Sequence[Example]
    config: TrainConfig
    listener: Listener
    told: Mapping[str, str] = field(default_factory=dict)

    def about(self) -> dict[str, Any]:
        """Return what decides every result on it."""
        return {
            **origin(self.backbone, self.lm, [self.card]),
            "data_sha256": data_sha256(self.examples),
            "rows": len(self.examples),
            "config": self.config.decisive(),
            "trained_in": training_dtype(self.config.dtype),
            "together": TOGETHER,
        }

    def aside(self) -> dict[str, Any]:
        """Return what is told beside it and decides nothing."""
        return {"backbone": self.backbone.name, **self.told}

    def refuse_stored_start(self, kind: str) -> None:
        """Refuse settings of which the start is a stored row, for experiments that may not look at the user's bank.

        Raises:
            ConfigError: they are such.
        """
        if self.config.starts_from_row:
            raise ConfigError(
                f"init {self.config.init!r} is not possible in a {kind}: it learns into a bank of its own, where there "
                "is no row to start from, and rows of your bank may have learnt its test rows; take text, labels or "
                "vocabulary, or compare starts with `promptbank curve --start`"
            )

    def refuse_open(self, kind: str) -> None:
        """Refuse a card without a label set, for experiments that rank by accuracy.

        Raises:
            InputError: it has none.
        """
        if self.card.is_open:
            raise InputError(
                f"{self.card.taskname}:{self.card.lang} has open answers, and a {kind} goes by accuracy over a "
                "label_space; give a closed card, or measure settings one by one with `promptbank crossval`"
            )


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
    starts: StartRows | None = None,
    lenient: bool = False,
) -> dict[str, dict[str, Any]]:
    """Learn and score trials; what an earlier call did stays done.

    Args:
        ledger: of the experiment.
        bench: its backbone, and who hears of progress.
        trials: with names that differ.
        together: trials of one group.
        starts: the rows that may be started from; the experiment's own if absent.
        lenient: a trial of which the loss is not finite fails alone; otherwise that is an error.

    Returns:
        By name: sizes, test and dev metrics, best epoch, the epochs, what it started from, warnings, notes, the row's
        sha256, and the predicted label or text of each test row by its id. Of one that failed, why (``failed``).

    Raises:
        InputError: test rows of a group cannot be rendered; told before it is learnt.
        TrainingError: see `learn_trials`.
    """
    results: dict[str, dict[str, Any]] = {}
    with open_store(f"sqlite:///{ledger.folder / 'bank.db'}") as store:
        for group in _groups(trials, together):
            about = _learnt(ledger, store, bench, group, starts or StartRows(store), lenient=lenient)
            for trial in group:
                score = partial(_scored, store, bench, trial, about[trial.name])
                results[trial.name] = ledger.cell(trial.name, score)
    return results


def _groups(trials: Sequence[Trial], together: int) -> Iterator[Sequence[Trial]]:
    for start in range(0, len(trials), together):
        yield trials[start : start + together]


def _learnt(
    ledger: Ledger, store: Store, bench: Bench, group: Sequence[Trial], starts: StartRows, *, lenient: bool
) -> Mapping[str, Any]:
    """Learn a group, once; its cell holds what the trainings left and how long they took together."""

    def learn() -> dict[str, Any]:
        for trial in group:
            check_test_rows(bench.backbone, trial.card, trial.split, trial.config)
        lessons = [Lesson(t.card, t.split.train, t.split.dev, t.config, alias=t.name, name=t.name) for t in group]
        learnt = learn_trials(
            store,
            bench.backbone,
            lessons,
            home=ledger.folder,
            listener=bench.listener,
            lm=bench.lm,
            starts=starts,
            lenient=lenient,
        )
        return {trial.name: told_of(one) for trial, one in zip(group, learnt, strict=True)}

    found = ledger.cell(f"training-{group[0].name}", learn)
    shutil.rmtree(ledger.folder / "runs", ignore_errors=True)  # not before: a killed call finds its finished runs
    return found


def check_test_rows(backbone: Backbone, card: TaskCard, split: Split, config: TrainConfig) -> None:
    """Refuse test rows that could not be answered, before anything is learnt.

    Raises:
        InputError: of all of them at once.
    """
    check_prompts(training_renderer(backbone, card, config), split.test)


def told_of(one: Learnt | Failed) -> dict[str, Any]:
    """Return what is kept of a training, as plain JSON values."""
    if isinstance(one, Failed):
        return {"failed": one.reason, "warnings": [], "notes": []}
    return {
        "dev": one.metrics,
        "best_epoch": one.trained.best_epoch,
        "epochs": [epoch.as_dict() for epoch in one.trained.epochs],
        "start": one.start,
        "row_sha256": one.row.sha256,
        "warnings": list(one.warnings),
        "notes": list(one.notes),
    }


def said(done: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return by trial what it started from, its warnings and its notes, for the result file."""
    return [
        {"trial": name, "start": found.get("start"), **{key: found[key] for key in ("warnings", "notes")}}
        for name, found in done.items()
    ]


def row_versions(ledger: Ledger, bench: Bench, trials: Sequence[Trial]) -> list[int]:
    """Return the versions of learnt trials' rows in the experiment's own bank."""
    with open_store(f"sqlite:///{ledger.folder / 'bank.db'}") as store:
        scopes = [scope_of(trial.card.taskname, trial.card.lang, bench.backbone) for trial in trials]
        found = [store.aliases.get(scope, trial.name) for scope, trial in zip(scopes, trials, strict=True)]
    return [version for version in found if version is not None]


def _scored(store: Store, bench: Bench, trial: Trial, about: Mapping[str, Any]) -> dict[str, Any]:
    """Score a trial's stored row on its test rows, in float32; one that failed has none."""
    split = trial.split
    sizes = {"sizes": {"train": len(split.train), "dev": len(split.dev), "test": len(split.test)}}
    if "failed" in about:
        return {**sizes, **about}
    scope = scope_of(trial.card.taskname, trial.card.lang, bench.backbone)
    version = store.aliases.get(scope, trial.name)
    row = store.rows.get(scope, version)
    task = served_task(row, row.version, bench.backbone)
    result = record_evaluation(store, Predictor(bench.lm), row, task, split.test, split="test")
    return {
        **sizes,
        "test": result.metrics,
        **about,
        "warnings": [*about["warnings"], *warnings_of(result.metrics)],
        "predicted": {e.id: p for e, p in zip(split.test, result.predicted, strict=True)},
    }


def origin(backbone: Backbone, lm: LanguageModel, cards: Iterable[TaskCard]) -> dict[str, Any]:
    """Return what decides every result beside data and settings: backbone, cards, package versions.

    The backbone's name is none of it: it is for people, and one backbone has several.
    """
    cards = list(cards)
    held = ("llguidance",) if any(card.answer_format for card in cards) else ()
    packages = {name: importlib.metadata.version(name) for name in ("torch", "transformers", *held)}
    return {
        "fingerprint": backbone.fingerprint,
        "tokenizer_sha256": backbone.tokenizer_sha256,
        "scores": str(lm.dtype).removeprefix("torch.") + ", from the stored row",
        "threads": torch.get_num_threads(),
        "cards": [json.loads(card.canonical_json()) for card in cards],  # keeps the order of the labels
        "packages": {"promptbank": __version__, **packages},
    }
