"""What the experiment commands do, once their options are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptbank.backbone import Backbone
from promptbank.bank.cards import chosen_card, examples_of
from promptbank.cli.output import print_json, print_table, say
from promptbank.cli.progress import TrainingProgress
from promptbank.cli.session import opened_bank
from promptbank.config import Settings
from promptbank.experiments.crossval import run_crossval
from promptbank.experiments.reports import crossval_report, sweep_report
from promptbank.experiments.sweep import SweepPlan, run_sweep
from promptbank.forward import LanguageModel
from promptbank.report import Report, write_report
from promptbank.train.config import TrainConfig
from tasks import Example, TaskCard, fold_of

__all__ = ["Chosen", "crossval", "sweep"]


@dataclass(frozen=True)
class Chosen:
    """The task and the rows that a command names.

    Attributes:
        task: ``taskname[:lang]``.
        lang: where the reference names none.
        card: card file or built-in variant.
        data: files, folders or hub ids; None for the shipped training sample.
    """

    task: str
    lang: str | None
    card: str | None
    data: Sequence[str] | None


@dataclass(frozen=True, eq=False)
class _Bench:
    """What an experiment works with."""

    backbone: Backbone
    lm: LanguageModel
    card: TaskCard
    examples: list[Example]
    progress: TrainingProgress


@contextmanager
def _bench(settings: Settings, chosen: Chosen) -> Iterator[_Bench]:
    with opened_bank(settings) as (store, backbone):
        card = chosen_card(store, chosen.task, chosen.lang, chosen.card)
        found = examples_of(card, chosen.data, part="train")
        say(found.note)
        with TrainingProgress() as progress:
            yield _Bench(backbone, LanguageModel(backbone.model), card, found.examples, progress)


def crossval(
    settings: Settings, chosen: Chosen, config: TrainConfig, folds: int, out: Path | None, *, as_json: bool
) -> None:
    """Run K folds, write the report, print its first table."""
    with _bench(settings, chosen) as bench:
        path = run_crossval(
            settings.home,
            bench.backbone,
            bench.lm,
            bench.card,
            bench.examples,
            config,
            folds=folds,
            listener=bench.progress,
        )
    _tell(path, lambda result: crossval_report(result, bench.card, bench.examples), out, as_json=as_json)


def sweep(
    settings: Settings,
    chosen: Chosen,
    config: TrainConfig,
    plan: SweepPlan,
    kept_out: tuple[int, int] | None,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Try settings, write the report, print its first table."""
    with _bench(settings, chosen) as bench:
        examples = bench.examples
        if kept_out is not None:
            fold, folds = kept_out
            examples = [e for e in examples if fold_of(e.group, folds) != fold]
            say(f"fold {fold} of {folds} is kept out: {len(examples)} of {len(bench.examples)} rows are used")
        path = run_sweep(
            settings.home, bench.backbone, bench.lm, bench.card, examples, config, plan, listener=bench.progress
        )
    _tell(path, sweep_report, out, as_json=as_json)


def _tell(path: Path, build: Callable[[Mapping[str, Any]], Report], out: Path | None, *, as_json: bool) -> None:
    """Write the report of a result file, and print the report's first table."""
    result = json.loads(path.read_text(encoding="utf-8"))
    report = build(result)
    written = write_report(report, out or path.parent, result["kind"])
    if as_json:
        print_json({"result": str(path), "report": [str(p) for p in written], **_scores(report)})
    else:
        table = report.tables[0]
        print_table([dict(zip(table.columns, row, strict=True)) for row in table.rows], table.columns, as_json=False)
    say(f"result: {path}")
    say(f"report: {', '.join(map(str, written))}")


def _scores(report: Report) -> dict[str, Any]:
    table = report.tables[0]
    return {"table": [dict(zip(table.columns, row, strict=True)) for row in table.rows]}
