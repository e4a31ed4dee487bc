"""The article's data-reduction experiment: what is left of a score with a half, a tenth, a hundredth of the rows.

Samples are nested (see `tasks.sampling`): the rows at 1 % are among those at 5 %. Each repeat draws its own rows and
has the next fold as test part, the first again after the last, so the spread is that of rows to learn from and of rows
to answer. TF-IDF is fitted to the same samples and their dev rows. Stored rows of the task itself are never started
from: they may have learnt what is tested. What another language has learnt is started from by learning that first, for
each fold that is tested from the others.

Fractions and starts are no part of the experiment's identity, so others are added to what is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from promptbank.bank.start import StartRows
from promptbank.errors import ConfigError
from promptbank.lab.experiments.arms import check_groups
from promptbank.lab.experiments.classical import classical_cell, classical_name
from promptbank.lab.experiments.ledger import Ledger, open_ledger, short_hash
from promptbank.lab.experiments.trials import Bench, Trial, row_versions, run_trials, said
from promptbank.lab.methods.classic import tfidf_settings
from promptbank.training.config import FROM, TrainConfig, checked_config
from store import Store
from tasks import Example, Split, TaskCard, crossval_split, data_sha256
from tasks.sampling import DEV_SAMPLE, balanced_examples, first_share

__all__ = ["CurvePlan", "Other", "run_curve"]

LEAST_DEV = 8


@dataclass(frozen=True)
class CurvePlan:
    """What is learnt.

    Attributes:
        fractions: shares of each fold's training rows.
        repeats: trainings of each fraction, at least 1; repeat r has fold r modulo K as its test part, and the seed of
            the settings plus r draws its rows.
        folds: K.
        inits: starts to compare; none means the one of the settings.

    Raises:
        ConfigError: no repeat.
    """

    fractions: tuple[float, ...] = (1.0, 0.5, 0.1, 0.05, 0.01)
    repeats: int = 6
    folds: int = 10
    inits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ConfigError(f"repeats is {self.repeats}; at least 1 is needed to have a score")


@dataclass(frozen=True, eq=False)
class Other:
    """The task in another language, of which all rows but the tested fold's are learnt before, to start from.

    Attributes:
        card: closed, with the language's own label forms.
        examples: with the groups of the set that is tested.
    """

    card: TaskCard
    examples: Sequence[Example]

    @property
    def init(self) -> str:
        """The start that stands for its rows."""
        return f"{FROM}{self.card.taskname}:{self.card.lang}"

    def about(self) -> dict[str, Any]:
        """Return what decides what it has learnt."""
        return {"card": json.loads(self.card.canonical_json()), "data_sha256": data_sha256(self.examples)}


def run_curve(bench: Bench, plan: CurvePlan, *, starts: Store, other: Other | None = None) -> Path:
    """Learn and score every fraction; return the path of the result file.

    Args:
        bench: task, closed, rows, and settings; with epochs and patience auto, few rows get more of both.
        plan: fractions, repeats and starts.
        starts: the bank of which rows of other tasks may be started from.
        other: the task in another language, if one of the starts is its own (`Other.init`).

    Raises:
        ConfigError: a start names a row of the task itself, or none the other language.
        InputError: the card is open, or rows of the other language cannot be kept apart from their counterparts (see
            `check_groups`).
        SplitError: a fraction is no share, or a part of a fold would be empty.
        PromptBankError: scikit-learn is not installed.
        UnknownTaskError: a start names a row that is not there.
    """
    bench.refuse_open("curve")
    inits = plan.inits or (bench.config.init,)
    for init in inits:
        checked_config({"init": init}, of="a start")
    if other:
        check_groups(other.examples, bench.examples)
        if other.init not in inits:
            raise ConfigError(f"{other.card.lang} is learnt to be started from; name it: --start {other.init}")
    rows = StartRows(starts, without=bench.card.taskname)
    hashes = {init: rows.hashes(init, bench.backbone) for init in inits if not other or init != other.init}
    decided: dict[str, Sequence[str] | Mapping[str, Any]] = {**hashes, **({other.init: other.about()} if other else {})}
    parts = {fraction: _parts(bench, plan, fraction) for fraction in sorted(plan.fractions)}
    about = bench.about() | {
        "repeats": plan.repeats,
        "folds": plan.folds,
        "least_dev": LEAST_DEV,
        "dev_sample": DEV_SAMPLE,
        "tfidf": tfidf_settings(),
    }
    asked = {"fractions": list(plan.fractions), "inits": list(inits), "rows_to_start_from": hashes}
    with open_ledger(bench.home, "curve", about, {**bench.aside(), **asked}) as ledger:
        labels = {init: _label(init, decided[init]) for init in inits}
        before = {other.init: _learnt_before(ledger, bench, plan, other, labels[other.init])} if other else {}
        found = [_Start(init, labels[init], before.get(init)) for init in inits]
        point = partial(_point, ledger, bench, found, rows)
        return ledger.finish({"points": [point(fraction, part) for fraction, part in parts.items()]})


@dataclass(frozen=True)
class _Start:
    """One of the starts that are compared.

    Attributes:
        init: as it was asked for.
        label: of its cells: with the hash of the rows that it may come from, where it comes from rows.
        learnt: the start of each repeat, where that was learnt before; None where ``init`` is the one of all.
    """

    init: str
    label: str
    learnt: Sequence[str] | None


def _label(init: str, of: Sequence[str] | Mapping[str, Any]) -> str:
    """Return a start's part of a cell's name, with the hash of what decides it beside its name, if anything does."""
    safe = init.replace(":", ".").replace("@", ".v")
    return f"{safe}-{short_hash(of)}" if of else safe


def _learnt_before(ledger: Ledger, bench: Bench, plan: CurvePlan, other: Other, label: str) -> list[str]:
    """Learn the other language for every tested fold, without it; return the start that this gives each repeat."""
    tested = range(min(plan.repeats, plan.folds))
    splits = [crossval_split(other.examples, plan.folds, fold, bench.config.dev_fraction) for fold in tested]
    own = "text" if bench.config.starts_from_row else bench.config.init
    trials = [
        Trial(f"{label}-{fold}", other.card, split, _settings(bench.config, own, fold))
        for fold, split in enumerate(splits)
    ]
    run_trials(ledger, bench, trials)
    versions = row_versions(ledger, bench, trials)
    return [f"{other.init}@{versions[r % plan.folds]}" for r in range(plan.repeats)]


def _parts(bench: Bench, plan: CurvePlan, fraction: float) -> dict[str, Split]:
    """Return each repeat's rows of a fraction, by the name of their classical cell; what it lacks is told by this."""
    return {
        classical_name(f"{fraction:g}-{r}"): _reduced(bench.examples, plan.folds, r, fraction, bench.config)
        for r in range(plan.repeats)
    }


def _point(
    ledger: Ledger,
    bench: Bench,
    starts: Sequence[_Start],
    rows: StartRows,
    fraction: float,
    parts: Mapping[str, Split],
) -> dict[str, Any]:
    """Learn and score one fraction, in every repeat and from every start.

    Args:
        ledger: of the experiment.
        bench: its task.
        starts: that are compared.
        rows: that they may come from, where none was learnt before.
        fraction: of the training rows.
        parts: what `_parts` gave for it.
    """
    config, splits = bench.config, list(parts.values())
    cells = [ledger.cell(name, classical_cell(bench.card, split)) for name, split in parts.items()]
    point: dict[str, Any] = {
        "fraction": fraction,
        "rows": [len(split.train) for split in splits],
        "dev_rows": [len(split.dev) for split in splits],
        "tfidf_rows": [cell["tfidf"]["rows"] for cell in cells],
        "tfidf": [cell["tfidf"]["test"]["accuracy"] for cell in cells],
        "majority": [cell["majority"]["test"]["accuracy"] for cell in cells],
        "ptuned": {},
        "macro_f1": {},
        "starts": {},
        "trials": list(_classical_said(fraction, cells)),
    }
    for start in starts:
        trials = [
            Trial(f"{fraction:g}-{start.label}-{r}", bench.card, split, _settings(config, init, r))
            for r, (split, init) in enumerate(zip(splits, start.learnt or [start.init] * len(splits), strict=True))
        ]
        done = run_trials(ledger, bench, trials, starts=None if start.learnt else rows)
        point["ptuned"][start.init] = [done[trial.name]["test"]["accuracy"] for trial in trials]
        point["macro_f1"][start.init] = [done[trial.name]["test"]["macro_f1"] for trial in trials]
        point["starts"][start.init] = [done[trial.name]["start"] for trial in trials]
        point["trials"] += said(done)
    return point


def _classical_said(fraction: float, cells: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for r, cell in enumerate(cells):
        if cell["tfidf"]["warnings"]:
            name = f"TF-IDF, {fraction:g}-{r}"
            yield {"trial": name, "start": None, "warnings": cell["tfidf"]["warnings"], "notes": []}


def _reduced(examples: Sequence[Example], folds: int, repeat: int, fraction: float, config: TrainConfig) -> Split:
    """A share of the training rows, and the same share of the dev rows, by label, but for a least number."""
    split, seed = crossval_split(examples, folds, repeat % folds, config.dev_fraction), config.seed + repeat
    dev = balanced_examples(split.dev, max(LEAST_DEV, round(fraction * len(split.dev))), seed=seed)
    return Split(tuple(first_share(split.train, fraction, seed=seed)), tuple(dev), split.test)


def _settings(config: TrainConfig, init: str, repeat: int) -> TrainConfig:
    return config.model_copy(update={"init": init, "seed": config.seed + repeat})
