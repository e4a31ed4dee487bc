"""A sweep over virtual tokens, their placement, encoder, start and learning rate, by successive halving.

Settings are drawn by seed, so a killed sweep draws the same again. All settings of a rung train in shared batches on
inner folds; the best third goes on to three times the examples (Jamieson and Talwalkar 2016; Li et al. 2018). A
setting's score is its accuracy over the test parts of the inner folds together, so that differences are seen on all
examples and not on one small dev set; the epoch is chosen on dev alone, as always. A setting with a training whose loss
is not finite has failed: it has no score and goes no further, and the others do.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from promptbank.errors import TrainingError
from promptbank.lab.experiments.folder import ExperimentFolder, JsonObject
from promptbank.lab.experiments.setup import ExperimentSetup, Trial
from promptbank.lab.experiments.trials import run_trials, trial_notes
from tasks import Split, crossval_split
from tasks.placement import place_virtual_tokens
from tasks.sampling import first_share

__all__ = ["SPACE", "SweepPlan", "draw_settings", "run_sweep"]

SWEEP_SALT = "promptbank.sweep.v1"
KEEP = 3
"""One in so many settings of a rung goes on, to so many times the examples."""

SPACE: dict[str, tuple[Any, ...]] = {
    "placement": ("after", "before", "around"),
    "total_virtual_tokens": (5, 10, 20),
    "encoder": ("lstm.v1", "mlp.v1", "embedding.v1"),
    "init": ("text", "labels", "vocabulary"),
    "lr": (2e-3, 5e-3, 1e-2),
}
"""What is tried. Every placement is tried with the card's other settings, whatever else is drawn."""

Numbered = Mapping[int, JsonObject]
"""Settings by their number in the draw."""


@dataclass(frozen=True)
class SweepPlan:
    """How a sweep is done.

    Attributes:
        settings: number of settings that are tried on the first rung.
        folds: inner folds of each setting.
        rungs: of successive halving; the last one has all examples.
        seed: of the draw.
    """

    settings: int = 9
    folds: int = 2
    rungs: int = 2
    seed: int = 0


def run_sweep(setup: ExperimentSetup, plan: SweepPlan) -> Path:
    """Try settings, and return the path of the result file.

    Args:
        setup: its examples are tried on (keep those of a final test out of them); the settings replace parts of its
            card and config.
        plan: how many settings, and how.

    Raises:
        ConfigError: the settings start from a stored row.
        CardError: a placement needs more virtual tokens than the card has.
        InputError: the card is open.
        SplitError: a part of an inner fold would be empty.
        TrainingError: every setting of a rung has failed.
    """
    setup.refuse_open("sweep")
    setup.refuse_stored_start("sweep")
    card, config = setup.card, setup.config
    _rung_splits(setup, plan, 0)  # refuses empty parts before anything is learnt
    for placement in SPACE["placement"]:
        place_virtual_tokens(card, card.total_virtual_tokens, placement)
    space = {name: list(values) for name, values in SPACE.items()}
    identity = {"space": space, "plan": vars(plan), "salt": SWEEP_SALT}
    base = {
        "placement": "after",
        "total_virtual_tokens": card.total_virtual_tokens,
        "encoder": config.encoder,
        "init": config.init,
        "lr": config.lr,
    }
    allowed = {name: values if base[name] in values else [*values, base[name]] for name, values in space.items()}
    wanted = [{**base, "placement": placement} for placement in SPACE["placement"]]
    draw = partial(draw_settings, allowed, wanted, plan.settings, seed=plan.seed)
    with setup.open("sweep", identity) as folder:
        drawn = folder.part("settings", lambda: {"settings": draw()})
        rungs = _halve(drawn["settings"], plan, partial(_rung, folder, setup, plan))
        return folder.finish({"rungs": rungs, "best": rungs[-1][0]})


def draw_settings(
    space: Mapping[str, Sequence[Any]], wanted: Sequence[JsonObject], count: int, *, seed: int
) -> list[JsonObject]:
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


def _distinct(settings: Sequence[JsonObject]) -> list[JsonObject]:
    return [setting for n, setting in enumerate(settings) if setting not in settings[:n]]


def _halve(
    settings: Sequence[JsonObject], plan: SweepPlan, train: Callable[[int, Numbered], list[JsonObject]]
) -> list[list[JsonObject]]:
    """Return each rung's settings with their scores, the best first and those that failed last."""
    rungs: list[list[JsonObject]] = []
    numbered: Numbered = dict(enumerate(settings))
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
    folder: ExperimentFolder, setup: ExperimentSetup, plan: SweepPlan, rung: int, settings: Numbered
) -> list[JsonObject]:
    """Train settings on inner folds of a share of the examples; each placement is timed apart."""
    splits = _rung_splits(setup, plan, rung)
    scores = []
    for placement in SPACE["placement"]:
        trials = {
            n: [_trial(setup, f"rung{rung}-{placement}-{n}-{k}", setting, split) for k, split in enumerate(splits)]
            for n, setting in settings.items()
            if setting["placement"] == placement
        }
        done = run_trials(folder, setup, [t for group in trials.values() for t in group], lenient=True)
        scores += [_score(n, settings[n], {t.name: done[t.name] for t in group}) for n, group in trials.items()]
    return scores


def _rung_splits(setup: ExperimentSetup, plan: SweepPlan, rung: int) -> list[Split]:
    """Split by a salt of the sweep's own; training examples are fewer on early rungs, dev and test ones are not."""
    share = KEEP ** -(plan.rungs - 1 - rung)
    whole = [
        crossval_split(setup.examples, plan.folds, fold, setup.config.dev_fraction, SWEEP_SALT, setup.rules())
        for fold in range(plan.folds)
    ]
    return [replace(split, train=tuple(first_share(split.train, share, seed=fold))) for fold, split in enumerate(whole)]


def _trial(setup: ExperimentSetup, name: str, setting: JsonObject, split: Split) -> Trial:
    card = place_virtual_tokens(setup.card, setting["total_virtual_tokens"], setting["placement"])
    return replace(setup, card=card).trial(name, split, **{key: setting[key] for key in ("encoder", "init", "lr")})


def _score(number: int, setting: JsonObject, done: Mapping[str, JsonObject]) -> JsonObject:
    """Return the accuracy over the test examples of all inner folds together, or why there is none."""
    folds = list(done.values())
    about = {"number": number, "setting": setting, "trials": trial_notes(done)}
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
