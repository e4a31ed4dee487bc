"""Settings of a sweep: drawn by seed, and kept with their scores in the journal file of an Optuna study.

The draw is a function of space and seed alone, so a killed sweep draws the same again; the journal is for people and
Optuna's own tools, and decides nothing.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptbank.errors import PromptBankError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["Study", "draw_settings"]

Setting = dict[str, Any]


def draw_settings(
    space: Mapping[str, Sequence[Any]], wanted: Sequence[Mapping[str, Any]], count: int, *, seed: int
) -> list[Setting]:
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


class Study:
    """The journal of one sweep: a trial for each setting, in order.

    Args:
        journal: its file; made if absent.
        space: allowed values of each setting.
        settings: that were drawn.

    Raises:
        PromptBankError: Optuna is not installed.
    """

    def __init__(self, journal: Path, space: Mapping[str, Sequence[Any]], settings: Sequence[Setting]) -> None:
        try:
            import optuna
            from optuna.storages.journal import JournalFileBackend
        except ImportError as exc:
            raise PromptBankError("a sweep needs Optuna; pip install 'promptbank[experiments]'") from exc
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        self._study = optuna.create_study(
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(journal))),
            study_name="sweep",
            direction="maximize",
            load_if_exists=True,
        )
        choices: dict[str, BaseDistribution] = {
            name: optuna.distributions.CategoricalDistribution(tuple(v)) for name, v in space.items()
        }
        running = optuna.trial.TrialState.RUNNING
        for setting in settings[len(self._study.trials) :]:  # each is one line of the journal: there whole or not
            self._study.add_trial(optuna.trial.create_trial(state=running, params=setting, distributions=choices))

    def tell(self, rung: int, scores: Mapping[int, float | None], *, last: bool) -> None:
        """Keep the scores of a rung in the journal; after the last one, the settings' final scores too.

        Args:
            rung: its number.
            scores: by number of the setting; None for one that failed, which is final.
            last: whether no rung comes after it.
        """
        states = self._optuna.trial.TrialState
        trials = self._study.trials
        for number, score in scores.items():
            if trials[number].state != states.RUNNING:  # a killed call has told it
                continue
            if score is None:
                self._study.tell(number, state=states.FAIL)
                continue
            if rung not in trials[number].intermediate_values:
                self._optuna.trial.Trial(self._study, trials[number]._trial_id).report(score, rung)
            if last:
                self._study.tell(number, score)


def _distinct(settings: Sequence[Mapping[str, Any]]) -> list[Setting]:
    return [dict(setting) for n, setting in enumerate(settings) if setting not in settings[:n]]
