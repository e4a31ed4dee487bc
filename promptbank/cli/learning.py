"""What ``train`` and ``evaluate`` do, once their options are read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from promptbank.bank.cards import add_cards, chosen_card, examples_of, splits_or_samples
from promptbank.bank.freeze import record_evaluation
from promptbank.bank.learn import Learnt, Lesson, learn_tasks
from promptbank.bank.select import select_row, served_task
from promptbank.cli.output import print_json, say
from promptbank.cli.progress import TrainingProgress, counting
from promptbank.cli.session import opened_bank
from promptbank.config import Settings
from promptbank.engine.predictor import Predictor
from promptbank.model.forward import LanguageModel
from promptbank.training.config import TrainConfig
from tasks import parse_spec

SHOWN = ("accuracy", "macro_f1", "intent_accuracy", "slot_f1", "exact_match")


def train(
    settings: Settings,
    tasks: Sequence[str] | None,
    lang: str | None,
    data: Sequence[str] | None,
    card: str | None,
    config: TrainConfig,
    *,
    as_json: bool,
) -> None:
    """Learn a task, or several together, and print what came out."""
    with opened_bank(settings) as (store, backbone):
        cards = [chosen_card(store, task, lang, card) for task in tasks or (None,)]
        if card is not None and Path(card).is_file():
            add_cards(store, cards)
        splits = splits_or_samples(cards, data, config.dev_fraction)
        lessons = []
        for chosen, split in zip(cards, splits, strict=True):
            name = f"{chosen.taskname}:{chosen.lang}" if len(cards) > 1 else ""
            say(f"{name}: {split.note}" if name else split.note)
            lessons.append(Lesson(chosen, split.train, split.dev, config, name=name))
        with TrainingProgress() as progress:
            learnt = learn_tasks(store, backbone, lessons, home=settings.home, listener=progress)
    for one in learnt:
        _report(one, as_json=as_json)


def _report(learnt: Learnt, *, as_json: bool) -> None:
    row, scope = learnt.row, learnt.row.scope
    name = f"{scope.taskname}:{scope.lang}@{row.version}"
    for note in learnt.notes:
        say(note)
    for warning in learnt.warnings:
        say(f"warning: {warning}")
    shown = {key: learnt.metrics[key] for key in SHOWN if key in learnt.metrics}
    scores = ", ".join(f"{key} {value:.3f}" for key, value in shown.items())
    say(f"{name} is live: {len(row.data)} bytes, dev ({learnt.metrics['n']} rows, float32, stored row): {scores}")
    if as_json:
        about = {"taskname": scope.taskname, "lang": scope.lang, "version": row.version, "sha256": row.sha256}
        print_json(about | {"run": learnt.run_id, "best_epoch": learnt.trained.best_epoch, "dev": learnt.metrics})


def evaluate(
    settings: Settings,
    task: str,
    lang: str | None,
    data: Sequence[str] | None,
    *,
    constrained: bool,
    as_json: bool,
) -> None:
    """Score a stored row, keep the score, print it."""
    with opened_bank(settings) as (store, backbone):
        row = select_row(store, parse_spec(task), backbone, lang=lang)
        served = served_task(row, row.version, backbone)
        found = examples_of(served.renderer.card, data, part="test")
        say(found.note)
        with counting() as show:
            result = record_evaluation(
                store,
                Predictor(LanguageModel(backbone.model), batch_tokens=settings.batch_tokens, constrained=constrained),
                row,
                served,
                found.examples,
                split="test",
                on_rows=lambda done: show(done, len(found.examples), "rows evaluated"),
            )
    if result.metrics.get("collapse"):
        say(f"warning: {result.metrics['collapse']}")
    if as_json:
        about = {"taskname": served.taskname, "lang": served.lang, "version": row.version, "sha256": row.sha256}
        print_json(about | {"dtype": "float32", "data_sha256": result.data_sha256, **result.metrics})
    else:
        say(json.dumps(result.metrics, indent=2, ensure_ascii=False))
