"""The article's data-reduction experiment: what is left of a score with a half, a tenth, a hundredth of the rows.

Samples are nested (see `tasks.sampling`): the rows at 1 % are among those at 5 %. Each repeat has a fold of its own as
test part, so the spread is that of rows to learn from and of rows to answer. TF-IDF is fitted to the same samples and
their dev rows. Rows of the task itself are never started from: they may have learnt what is tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from promptbank.bank.start import StartRows
from promptbank.errors import ConfigError
from promptbank.experiments.classical import classical_cell, classical_name
from promptbank.experiments.ledger import Ledger, open_ledger
from promptbank.experiments.trials import Bench, Trial, run_trials, said
from promptbank.methods.classic import tfidf_settings
from promptbank.train.config import TrainConfig, checked_config
from store import Store
from tasks import Example, Split, crossval_split
from tasks.sampling import first_rows, first_share

__all__ = ["CurvePlan", "run_curve"]

LEAST_DEV = 8


@dataclass(frozen=True)
class CurvePlan:
    """What is learnt.

    Attributes:
        fractions: shares of each fold's training rows.
        repeats: trainings of each fraction, at most K; repeat r has fold r as its test part, and the seed of the
            settings plus r draws its rows.
        folds: K.
        inits: starts to compare; none means the one of the settings.

    Raises:
        ConfigError: more repeats than folds.
    """

    fractions: tuple[float, ...] = (1.0, 0.5, 0.1, 0.05, 0.01)
    repeats: int = 6
    folds: int = 10
    inits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.repeats <= self.folds:
            raise ConfigError(
                f"{self.repeats} repeats with {self.folds} folds: each repeat is tested on a fold of its own; "
                f"ask for 1 to {self.folds} repeats, or more folds"
            )


def run_curve(bench: Bench, plan: CurvePlan, *, starts: Store) -> Path:
    """Learn and score every fraction; return the path of the result file.

    Args:
        bench: task, closed, rows, and settings; with epochs and patience auto, few rows get more of both.
        plan: fractions, repeats and starts.
        starts: the bank of which rows of other tasks may be started from.

    Raises:
        ConfigError: a start names a row of the task itself.
        InputError: the card is open.
        UnknownTaskError: a start names a row that is not there.
    """
    bench.refuse_open("curve")
    inits = plan.inits or (bench.config.init,)
    for init in inits:
        checked_config({"init": init}, of="a start")
    rows = StartRows(starts, without=bench.card.taskname)
    about = bench.about() | {
        "fractions": list(plan.fractions),
        "repeats": plan.repeats,
        "folds": plan.folds,
        "inits": list(inits),
        "rows_to_start_from": {init: rows.hashes(init, bench.backbone) for init in inits},
        "least_dev": LEAST_DEV,
        "tfidf": tfidf_settings(),
    }
    with open_ledger(bench.home, "curve", about, bench.aside()) as ledger:
        point = partial(_point, ledger, bench, plan, inits, rows)
        return ledger.finish({"points": [point(fraction) for fraction in sorted(plan.fractions)]})


def _point(
    ledger: Ledger, bench: Bench, plan: CurvePlan, inits: Sequence[str], rows: StartRows, fraction: float
) -> dict[str, Any]:
    """Learn and score one fraction, in every repeat and from every start."""
    config = bench.config
    splits = [_reduced(bench.examples, plan.folds, r, fraction, config) for r in range(plan.repeats)]
    cells = [
        ledger.cell(classical_name(f"{fraction:g}-{r}"), classical_cell(bench.card, split))
        for r, split in enumerate(splits)
    ]
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
    for init in inits:
        trials = [
            Trial(f"{fraction:g}-{_safe(init)}-{r}", bench.card, split, _settings(config, init, r))
            for r, split in enumerate(splits)
        ]
        done = run_trials(ledger, bench, trials, starts=rows)
        point["ptuned"][init] = [done[trial.name]["test"]["accuracy"] for trial in trials]
        point["macro_f1"][init] = [done[trial.name]["test"]["macro_f1"] for trial in trials]
        point["starts"][init] = [done[trial.name]["start"] for trial in trials]
        point["trials"] += said(done)
    return point


def _classical_said(fraction: float, cells: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for r, cell in enumerate(cells):
        if cell["tfidf"]["warnings"]:
            name = f"TF-IDF, {fraction:g}-{r}"
            yield {"trial": name, "start": None, "warnings": cell["tfidf"]["warnings"], "notes": []}


def _safe(init: str) -> str:
    return init.replace(":", ".").replace("@", ".v")


def _reduced(examples: Sequence[Example], folds: int, repeat: int, fraction: float, config: TrainConfig) -> Split:
    """A share of the training rows, and the same share of the dev rows but for a least number."""
    split, seed = crossval_split(examples, folds, repeat, config.dev_fraction), config.seed + repeat
    dev = first_rows(split.dev, max(LEAST_DEV, round(fraction * len(split.dev))), seed=seed)
    return Split(tuple(first_share(split.train, fraction, seed=seed)), tuple(dev), split.test)


def _settings(config: TrainConfig, init: str, repeat: int) -> TrainConfig:
    return config.model_copy(update={"init": init, "seed": config.seed + repeat})
