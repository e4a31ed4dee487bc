"""What ``train`` and ``evaluate`` do, once their options are read."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from promptbank.bank.cards import add_cards, chosen_card, examples_of, split_or_sample
from promptbank.bank.learn import Learnt, learn_task, record_evaluation
from promptbank.bank.select import select_row, served_task
from promptbank.cli.output import print_json, say
from promptbank.cli.progress import TrainingProgress, bar
from promptbank.cli.session import opened_bank
from promptbank.config import Settings
from promptbank.engine.predictor import Predictor
from promptbank.errors import ConfigError
from promptbank.forward import LanguageModel
from promptbank.train.config import TrainConfig
from tasks import parse_spec


def run_config(run_file: Path | None, options: Mapping[str, object]) -> TrainConfig:
    """Merge a run file and the options given, which win.

    Raises:
        ConfigError: all faults at once.
    """
    values: dict[str, object] = {}
    if run_file is not None:
        try:
            values = tomllib.loads(run_file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise ConfigError(f"the run file {run_file} cannot be read: {exc}") from exc
    values |= {name: value for name, value in options.items() if value is not None}
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as exc:
        faults = [f"{'.'.join(map(str, e['loc']))} = {e['input']!r}: {e['msg']}" for e in exc.errors()]
        raise ConfigError("; ".join(faults)) from exc


def train(
    settings: Settings,
    task: str | None,
    lang: str | None,
    data: Sequence[str] | None,
    card: str | None,
    config: TrainConfig,
    *,
    as_json: bool,
) -> None:
    """Learn a task and print what came out."""
    with opened_bank(settings) as (store, backbone):
        chosen = chosen_card(store, task, lang, card)
        if card is not None and Path(card).is_file():
            add_cards(store, [chosen])
        split = split_or_sample(chosen, data, config.dev_fraction)
        say(split.note)
        with TrainingProgress() as progress:
            learnt = learn_task(
                store, backbone, chosen, split.train, split.dev, config, home=settings.home, listener=progress
            )
    _report(learnt, as_json=as_json)


def _report(learnt: Learnt, *, as_json: bool) -> None:
    row, scope = learnt.row, learnt.row.scope
    name = f"{scope.taskname}:{scope.lang}@{row.version}"
    for warning in learnt.warnings:
        say(f"warning: {warning}")
    shown = {key: learnt.metrics[key] for key in ("accuracy", "macro_f1", "exact_match") if key in learnt.metrics}
    scores = ", ".join(f"{key} {value:.3f}" for key, value in shown.items())
    say(f"{name} is live: {len(row.data)} bytes, dev ({learnt.metrics['n']} rows, float32, stored row): {scores}")
    if as_json:
        about = {"taskname": scope.taskname, "lang": scope.lang, "version": row.version, "sha256": row.sha256}
        print_json(about | {"run": learnt.run_id, "best_epoch": learnt.trained.best_epoch, "dev": learnt.metrics})


def evaluate(settings: Settings, task: str, lang: str | None, data: Sequence[str] | None, *, as_json: bool) -> None:
    """Score a stored row, keep the score, print it."""
    with opened_bank(settings) as (store, backbone):
        row = select_row(store, parse_spec(task), backbone, lang=lang)
        served = served_task(row, row.version, backbone)
        found = examples_of(served.renderer.card, data, part="test")
        say(found.note)
        with bar() as progress:
            rows = progress.add_task("evaluating", total=len(found.examples))
            result = record_evaluation(
                store,
                Predictor(LanguageModel(backbone.model), batch_tokens=settings.batch_tokens),
                row,
                served,
                found.examples,
                split="test",
                on_rows=lambda done: progress.update(rows, completed=done),
            )
    if result.metrics.get("collapse"):
        say(f"warning: {result.metrics['collapse']}")
    if as_json:
        about = {"taskname": served.taskname, "lang": served.lang, "version": row.version, "sha256": row.sha256}
        print_json(about | {"dtype": "float32", "data_sha256": result.data_sha256, **result.metrics})
    else:
        say(json.dumps(result.metrics, indent=2, ensure_ascii=False))
