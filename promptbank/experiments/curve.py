"""The article's data-reduction experiment: what is left of a score with a half, a tenth, a hundredth of the rows.

Samples are nested (see `tasks.sampling`): the rows at 1 % are among those at 5 %. Each repeat has a fold of its own as
test part, so the spread is that of rows to learn from and of rows to answer. TF-IDF is fitted to the same samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from promptbank.experiments.classical import classical_cell
from promptbank.experiments.ledger import Ledger, open_ledger
from promptbank.experiments.trials import Bench, Trial, run_trials
from promptbank.train.config import NEAREST, TrainConfig
from store import Store
from tasks import Example, Split, crossval_split
from tasks.sampling import first_rows, first_share

__all__ = ["CurvePlan", "run_curve"]

LEAST_STEPS = 100
"""Steps of the smallest training: nine rows are one step an epoch, and ten steps teach nothing."""
LEAST_DEV = 8


@dataclass(frozen=True)
class CurvePlan:
    """What is learnt.

    Attributes:
        fractions: shares of each fold's training rows.
        repeats: trainings of each fraction; repeat r has fold r as its test part, and seed r draws its rows.
        folds: K.
        inits: starts to compare; None means the one of the settings.
    """

    fractions: tuple[float, ...] = (1.0, 0.5, 0.1, 0.05, 0.01)
    repeats: int = 6
    folds: int = 10
    inits: tuple[str, ...] = ()


def run_curve(bench: Bench, plan: CurvePlan, *, starts: Store) -> Path:
    """Learn and score every fraction; return the path of the result file.

    Args:
        bench: task, closed, rows, and settings with all rows; fewer rows get more epochs, to `LEAST_STEPS` steps.
        plan: fractions, repeats and starts.
        starts: the bank of which rows may be started from.
    """
    inits = plan.inits or (bench.config.init,)
    about = bench.about() | {
        "fractions": list(plan.fractions),
        "repeats": plan.repeats,
        "folds": plan.folds,
        "inits": list(inits),
        "rows_to_start_from": _startable(inits, starts, bench.backbone.fingerprint),
        "least_steps": LEAST_STEPS,
    }
    with open_ledger(bench.home, "curve", about) as ledger:
        run = partial(run_trials, ledger, bench, starts=starts)
        point = partial(_point, ledger, bench, plan, inits, run)
        return ledger.finish({"points": [point(fraction) for fraction in sorted(plan.fractions)]})


def _startable(inits: Sequence[str], starts: Store, fingerprint: str) -> list[str]:
    """Return the hashes of rows that could be started from; none when every start makes its own."""
    if not any(init == NEAREST or init.startswith("from:") for init in inits):
        return []
    return sorted({row.sha256 for row in starts.rows.list(fingerprint=fingerprint)})


def _point(
    ledger: Ledger,
    bench: Bench,
    plan: CurvePlan,
    inits: Sequence[str],
    run: Callable[[Sequence[Trial]], dict[str, dict[str, Any]]],
    fraction: float,
) -> dict[str, Any]:
    """Learn and score one fraction, in every repeat and from every start."""
    card, config = bench.card, bench.config
    splits = [_reduced(bench.examples, plan.folds, r, fraction, config.dev_fraction) for r in range(plan.repeats)]
    classical = [
        ledger.cell(f"classical-{fraction:g}-{r}", classical_cell(card, split)) for r, split in enumerate(splits)
    ]
    point: dict[str, Any] = {
        "fraction": fraction,
        "rows": [len(split.train) for split in splits],
        "dev_rows": [len(split.dev) for split in splits],
        "tfidf": [cell["tfidf"]["test"]["accuracy"] for cell in classical],
        "majority": [cell["majority"]["test"]["accuracy"] for cell in classical],
        "ptuned": {},
        "macro_f1": {},
    }
    for init in inits:
        trials = [
            Trial(f"{fraction:g}-{_safe(init)}-{r}", card, split, _longer(config, split, init, r))
            for r, split in enumerate(splits)
        ]
        done = run(trials)
        point["ptuned"][init] = [done[trial.name]["test"]["accuracy"] for trial in trials]
        point["macro_f1"][init] = [done[trial.name]["test"]["macro_f1"] for trial in trials]
    return point


def _safe(init: str) -> str:
    return init.replace(":", ".").replace("@", ".v")


def _reduced(examples: Sequence[Example], folds: int, repeat: int, fraction: float, dev_fraction: float) -> Split:
    """A share of the training rows, and the same share of the dev rows but for a least number."""
    split = crossval_split(examples, folds, repeat % folds, dev_fraction)
    dev = first_rows(split.dev, max(LEAST_DEV, round(fraction * len(split.dev))), seed=repeat)
    return Split(tuple(first_share(split.train, fraction, seed=repeat)), tuple(dev), split.test)


def _longer(config: TrainConfig, split: Split, init: str, repeat: int) -> TrainConfig:
    """More epochs and patience where an epoch has few steps."""
    steps = math.ceil(len(split.train) / config.batch_size)
    epochs = min(1000, max(config.epochs, math.ceil(LEAST_STEPS / steps)))
    patience = math.ceil(config.patience * epochs / config.epochs)
    return config.model_copy(update={"epochs": epochs, "patience": patience, "init": init, "seed": repeat})
