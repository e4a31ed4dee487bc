"""A sweep over virtual tokens, their placement, encoder, start and learning rate, by successive halving.

Settings are drawn by seed, so a killed sweep draws the same again. All settings of a rung train in shared batches on
inner folds; the best third goes on to three times the examples (Jamieson and Talwalkar 2016; Li et al. 2018). A
setting's score is its accuracy over the test parts of the inner folds together, so that differences are seen on all
examples and not on one small dev set; the epoch is chosen on dev alone, as always. A setting with a training whose loss
is not finite has failed: it has no score and goes no further, and the others do.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from promptbank.errors import TrainingError
from promptbank.lab.experiments.ledger import Ledger, open_ledger
from promptbank.lab.experiments.trials import Bench, Trial, run_trials, said
from promptbank.training.config import TrainConfig
from tasks import Example, Split, TaskCard, crossval_split
from tasks.placement import place_virtual_tokens
from tasks.sampling import first_share

__all__ = ["SPACE", "SweepPlan", "draw_settings", "run_sweep"]

SWEEP_SALT = "promptbank.sweep.v1"
KEEP = 3
"""One in so many settings of a rung goes on, to so many times the rows."""

SPACE: dict[str, tuple[Any, ...]] = {
    "placement": ("after", "before", "around"),
    "total_virtual_tokens": (5, 10, 20),
    "encoder": ("lstm.v1", "mlp.v1", "embedding.v1"),
    "init": ("text", "labels", "vocabulary"),
    "lr": (2e-3, 5e-3, 1e-2),
}
"""What is tried. Every placement is tried with the card's other settings, whatever else is drawn."""


@dataclass(frozen=True)
class SweepPlan:
    """How a sweep is done.

    Attributes:
        settings: how many are tried on the first rung.
        folds: inner folds of each setting.
        rungs: of successive halving; the last one has all rows.
        seed: of the draw.
    """

    settings: int = 9
    folds: int = 2
    rungs: int = 2
    seed: int = 0


def run_sweep(bench: Bench, plan: SweepPlan) -> Path:
    """Try settings and return the path of the result file.

    Args:
        bench: task, closed, the rows to try on (keep those of a final test out of them), and what the settings replace
            parts of.
        plan: how many, and how.

    Raises:
        ConfigError: the settings start from a stored row.
        CardError: a placement needs more virtual tokens than the card has.
        InputError: the card is open.
        SplitError: a part of an inner fold would be empty.
        TrainingError: every setting of a rung has failed.
    """
    bench.refuse_open("sweep")
    bench.refuse_stored_start("sweep")
    _check(bench, plan)
    card, config = bench.card, bench.config
    about = bench.about() | {
        "space": {name: list(values) for name, values in SPACE.items()},
        "plan": vars(plan),
        "salt": SWEEP_SALT,
    }
    base = {
        "placement": "after",
        "total_virtual_tokens": card.total_virtual_tokens,
        "encoder": config.encoder,
        "init": config.init,
        "lr": config.lr,
    }
    space = {name: values if base[name] in values else (*values, base[name]) for name, values in SPACE.items()}
    wanted = [{**base, "placement": placement} for placement in SPACE["placement"]]
    with open_ledger(bench.home, "sweep", about, bench.aside()) as ledger:
        drawn = ledger.cell(
            "settings", lambda: {"settings": draw_settings(space, wanted, plan.settings, seed=plan.seed)}
        )
        rungs = _halve(drawn["settings"], plan, partial(_rung, ledger, bench, plan))
        return ledger.finish({"rungs": rungs, "best": rungs[-1][0]})


def _check(bench: Bench, plan: SweepPlan) -> None:
    """Refuse at once what would fail after hours: parts without rows, placements that the card has no tokens for."""
    for fold in range(plan.folds):
        _inner(bench.examples, plan.folds, fold, bench.config.dev_fraction, KEEP ** -(plan.rungs - 1))
    for placement in SPACE["placement"]:
        place_virtual_tokens(bench.card, bench.card.total_virtual_tokens, placement)


def draw_settings(
    space: Mapping[str, Sequence[Any]], wanted: Sequence[Mapping[str, Any]], count: int, *, seed: int
) -> list[dict[str, Any]]:
    """Return ``count`` different settings, or all where there are fewer: the wanted ones first, the others at random.

    Args:
        space: allowed values of each setting.
        wanted: with values of the space.
        count: of settings.
        seed: of the draw; fewer settings are the beginning of more.
    """
    rng, drawn = random.Random(seed), _distinct(wanted)[:count]  # noqa: S311 - a draw that repeats, no secret
    most = min(count, math.prod(len(values) for values in space.values()))
    while len(drawn) < most:
        drawn = _distinct([*drawn, {name: rng.choice(list(values)) for name, values in space.items()}])
    return drawn


def _distinct(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [dict(setting) for n, setting in enumerate(settings) if setting not in settings[:n]]


def _halve(
    settings: Sequence[Mapping[str, Any]],
    plan: SweepPlan,
    train: Callable[[int, Mapping[int, Mapping[str, Any]]], list[dict[str, Any]]],
) -> list[list[dict[str, Any]]]:
    """Return each rung's settings with their scores, the best first and those that failed last."""
    rungs: list[list[dict[str, Any]]] = []
    numbered = dict(enumerate(settings))
    for rung in range(plan.rungs):
        scores = train(rung, numbered)
        sound = sorted((s for s in scores if "failed" not in s), key=lambda s: (-s["accuracy"], s["loss"], s["number"]))
        failed = [s for s in scores if "failed" in s]
        rungs.append([*sound, *failed])
        if not sound:
            raise TrainingError(f"all {len(failed)} settings of rung {rung + 1} failed, first: {failed[0]['failed']}")
        kept = sound[: math.ceil(len(scores) / KEEP)]
        numbered = {s["number"]: s["setting"] for s in kept}
    return rungs


def _rung(
    ledger: Ledger, bench: Bench, plan: SweepPlan, rung: int, settings: Mapping[int, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Train settings on inner folds of a share of the rows; each placement is timed apart."""
    card, config = bench.card, bench.config
    share = KEEP ** -(plan.rungs - 1 - rung)
    splits = [_inner(bench.examples, plan.folds, fold, config.dev_fraction, share) for fold in range(plan.folds)]
    scores = []
    for placement in SPACE["placement"]:
        chosen = {n: s for n, s in settings.items() if s["placement"] == placement}
        trials = {
            n: [
                Trial(f"rung{rung}-{placement}-{n}-{k}", _card(card, s), split, _config(config, s))
                for k, split in enumerate(splits)
            ]
            for n, s in chosen.items()
        }
        done = run_trials(ledger, bench, [t for group in trials.values() for t in group], lenient=True)
        scores += [_score(n, chosen[n], {t.name: done[t.name] for t in group}) for n, group in trials.items()]
    return scores


def _inner(examples: Sequence[Example], folds: int, fold: int, dev_fraction: float, share: float) -> Split:
    """Split by a salt of the sweep's own; training rows shrink, dev and test rows do not."""
    split = crossval_split(examples, folds, fold, dev_fraction, SWEEP_SALT)
    return replace(split, train=tuple(first_share(split.train, share, seed=fold)))


def _card(card: TaskCard, setting: Mapping[str, Any]) -> TaskCard:
    return place_virtual_tokens(card, setting["total_virtual_tokens"], setting["placement"])


def _config(config: TrainConfig, setting: Mapping[str, Any]) -> TrainConfig:
    return config.model_copy(update={key: setting[key] for key in ("encoder", "init", "lr")})


def _score(number: int, setting: Mapping[str, Any], done: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Accuracy over the test rows of all inner folds together, or why there is none."""
    folds = list(done.values())
    about = {"number": number, "setting": dict(setting), "trials": said(done)}
    failed = [fold["failed"] for fold in folds if "failed" in fold]
    if failed:
        return about | {"failed": failed[0]}
    sizes = [fold["sizes"]["test"] for fold in folds]
    right = sum(fold["test"]["accuracy"] * size for fold, size in zip(folds, sizes, strict=True))
    return about | {
        "accuracy": right / sum(sizes),
        "by_fold": [fold["test"]["accuracy"] for fold in folds],
        "dev_accuracy": [fold["dev"]["accuracy"] for fold in folds],
        "loss": sum(fold["epochs"][fold["best_epoch"] - 1]["loss"] for fold in folds) / len(folds),
        "best_epochs": [fold["best_epoch"] for fold in folds],
    }
