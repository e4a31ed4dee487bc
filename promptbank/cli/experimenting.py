"""What the experiment commands do, once their options are read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from promptbank.bank.cards import chosen_card, examples_of
from promptbank.cli.command import CHECK_SAID_NO
from promptbank.cli.output import say
from promptbank.cli.progress import TrainingProgress
from promptbank.cli.reporting import tell
from promptbank.cli.session import opened_bank
from promptbank.config import Settings
from promptbank.errors import ConfigError
from promptbank.lab.experiments.arms import Arms, read_flagged
from promptbank.lab.experiments.continual import run_continual
from promptbank.lab.experiments.crossval import run_crossval
from promptbank.lab.experiments.crossval_report import crossval_report
from promptbank.lab.experiments.curve import CurvePlan, Other, run_curve
from promptbank.lab.experiments.reports import continual_report, curve_report, sweep_report
from promptbank.lab.experiments.stream import read_stream
from promptbank.lab.experiments.sweep import SweepPlan, run_sweep
from promptbank.lab.experiments.trials import Bench
from promptbank.model.forward import LanguageModel
from promptbank.report.canvas import need_matplotlib
from promptbank.training.config import TrainConfig
from store import Store
from tasks import TaskCard, TaskError, fold_of

__all__ = ["ArmsAsked", "Chosen", "SweepPlan", "continual", "crossval", "curve", "curve_plan", "sweep"]

KEPT_OUT_OF = 10
"""Folds of which a sweep may keep one out: those of a ten-fold cross-validation."""


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


@contextmanager
def _bench(settings: Settings, chosen: Chosen, config: TrainConfig) -> Iterator[tuple[Bench, Store]]:
    need_matplotlib()
    with opened_bank(settings) as (store, backbone):
        card = chosen_card(store, chosen.task, chosen.lang, chosen.card)
        found = examples_of(card, chosen.data, part="train")
        say(found.note)
        with TrainingProgress() as progress:
            lm = LanguageModel(backbone.model)
            yield Bench(settings.home, backbone, lm, card, found.examples, config, progress), store


@dataclass(frozen=True)
class ArmsAsked:
    """What else a cross-validation learns from.

    Attributes:
        other: LANG=FILE of rows in another language.
        provenance: of the translation that is tested.
    """

    other: Sequence[str] = ()
    provenance: Path | None = None

    def read(self, store: Store, chosen: Chosen, card: TaskCard) -> Arms | None:
        """Read the rows and flags; None if there are none.

        Raises:
            ConfigError: not LANG=FILE, or two languages.
            InputError: a file that cannot be read, see `read_flagged`.
        """
        other = _other(store, chosen, card, self.other)
        if other is None and self.provenance is None:
            return None
        flagged = read_flagged(self.provenance) if self.provenance else frozenset()
        if self.provenance and not flagged:
            say(f"no row of {self.provenance} has a flag, so there is nothing to leave out and no arm without flags")
        return Arms(other.examples if other else (), other.card.lang if other else "", flagged)


def _other(store: Store, chosen: Chosen, card: TaskCard, given: Sequence[str]) -> Other | None:
    """Read LANG=FILE of the task's rows in another language; None if there are none.

    Raises:
        ConfigError: not LANG=FILE, or two languages.
    """
    pairs = [text.partition("=")[::2] for text in given]
    langs = sorted({lang for lang, _ in pairs})
    if not all(lang and path for lang, path in pairs) or len(langs) > 1 or card.lang in langs:
        raise ConfigError(
            f"--other {' '.join(given)}: write LANG=FILE, of one language that is not {card.lang}, such as "
            "en=fiqa.jsonl"
        )
    if not pairs:
        return None
    other = _other_card(store, f"{card.taskname}:{langs[0]}", chosen.card)
    return Other(other, examples_of(other, [path for _, path in pairs], part="train").examples)


def _other_card(store: Store, spec: str, card: str | None) -> TaskCard:
    """Return the card of another language: of the file that holds the first one, or one that is known."""
    try:
        return chosen_card(store, spec, None, card)
    except TaskError:
        return chosen_card(store, spec, None, None)


def crossval(
    settings: Settings,
    chosen: Chosen,
    config: TrainConfig,
    folds: int,
    arms: ArmsAsked,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Run K folds, write the report, print its first table."""
    with _bench(settings, chosen, config) as (bench, store):
        path = run_crossval(bench, folds=folds, arms=arms.read(store, chosen, bench.card))
    tell(path, lambda result: crossval_report(result, bench.examples), out, as_json=as_json)


def curve_plan(fractions: str, repeats: int, folds: int, starts: Sequence[str]) -> CurvePlan:
    """Read the options of a curve.

    Raises:
        ConfigError: a fraction is no number above 0 and at most 1.
    """
    try:
        shares = tuple(sorted({float(text) for text in fractions.split(",")}, reverse=True))
    except ValueError as exc:
        raise ConfigError(f"--fractions {fractions!r} is no list of numbers such as 1,.5,.1") from exc
    if not all(0 < share <= 1 for share in shares):
        raise ConfigError(f"--fractions {fractions!r}: shares are above 0 and at most 1")
    return CurvePlan(shares, repeats, folds, tuple(dict.fromkeys(starts)))


def curve(
    settings: Settings,
    chosen: Chosen,
    config: TrainConfig,
    plan: CurvePlan,
    other: Sequence[str],
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Run every fraction, write the report, print its first table."""
    with _bench(settings, chosen, config) as (bench, store):
        path = run_curve(bench, plan, starts=store, other=_other(store, chosen, bench.card, other))
    tell(path, curve_report, out, as_json=as_json)


def sweep(
    settings: Settings,
    chosen: Chosen,
    config: TrainConfig,
    plan: SweepPlan,
    kept_out: int | None,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Try settings, write the report, print its first table."""
    with _bench(settings, chosen, config) as (bench, _):
        if kept_out is not None:
            rows = [e for e in bench.examples if fold_of(e.group, KEPT_OUT_OF) != kept_out]
            say(f"fold {kept_out} of {KEPT_OUT_OF} is kept out: {len(rows)} of {len(bench.examples)} rows are used")
            bench = replace(bench, examples=rows, told={"kept_out": f"fold {kept_out} of {KEPT_OUT_OF}"})
        path = run_sweep(bench, plan)
    tell(path, sweep_report, out, as_json=as_json)


def continual(settings: Settings, stream: Path, out: Path | None, *, contrast: bool, as_json: bool) -> None:
    """Learn a stream, write the report, and say no when anything moved."""
    need_matplotlib()
    with opened_bank(settings) as (store, backbone):
        tasks = read_stream(stream, store)
        with TrainingProgress() as progress:
            path = run_continual(
                settings.home,
                backbone,
                LanguageModel(backbone.model),
                tasks,
                contrast=contrast,
                listener=progress,
                on_stage=say,
            )
    tell(path, continual_report, out, as_json=as_json)
    bank = json.loads(path.read_text(encoding="utf-8"))["results"]["bank"]
    if bank["answers_moved"] or bank["faults"]:
        raise typer.Exit(CHECK_SAID_NO)
