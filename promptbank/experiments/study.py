"""An Optuna study in a journal file: draws settings, and keeps what each of them scored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptbank.errors import PromptBankError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["Study"]


class Study:
    """A study of one sweep.

    Args:
        journal: its file; made if absent.
        space: allowed values of each setting.
        seed: of the draw.

    Raises:
        PromptBankError: Optuna is not installed.
    """

    def __init__(self, journal: Path, space: Mapping[str, Sequence[Any]], *, seed: int) -> None:
        try:
            import optuna
            from optuna.storages.journal import JournalFileBackend
        except ImportError as exc:
            raise PromptBankError("a sweep needs Optuna; pip install 'promptbank[experiments]'") from exc
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._seed = optuna, seed
        self._space: dict[str, BaseDistribution] = {
            name: optuna.distributions.CategoricalDistribution(tuple(values)) for name, values in space.items()
        }
        self._sizes = [len(values) for values in space.values()]
        backend = JournalFileBackend(str(journal))
        self._study = optuna.create_study(
            storage=optuna.storages.JournalStorage(backend),
            study_name="sweep",
            direction="maximize",
            load_if_exists=True,
        )

    def draw(self, wanted: Sequence[Mapping[str, Any]], count: int) -> list[dict[str, Any]]:
        """Return ``count`` different settings: the wanted ones first, the others at random by seed and place.

        What an earlier, killed call has drawn stays drawn.
        """
        found = _distinct([dict(trial.params) for trial in self._study.trials])
        most = math.prod(self._sizes)
        while len(found) < min(count, most):
            for setting in [w for w in wanted if dict(w) not in found][:1]:
                self._study.enqueue_trial(dict(setting))
            self._study.sampler = self._optuna.samplers.RandomSampler(seed=self._seed * 1009 + len(self._study.trials))
            trial = self._study.ask(self._space)
            if dict(trial.params) in found:
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
            found = _distinct([*found, dict(trial.params)])
        return found

    def tell(self, rung: int, scores: Mapping[int, float], *, last: bool) -> None:
        """Keep the scores of a rung in the journal; after the last one, the settings' final scores too."""
        running = self._optuna.trial.TrialState.RUNNING
        trials = _first_of_each(self._study.trials)
        for number, score in scores.items():
            if trials[number].state == running:
                trial = self._optuna.trial.Trial(self._study, trials[number]._trial_id)
                if rung not in trials[number].intermediate_values:  # a killed call may have told it
                    trial.report(score, rung)
                if last:
                    self._study.tell(trial, score)


def _distinct(settings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [setting for n, setting in enumerate(settings) if setting not in settings[:n]]


def _first_of_each(trials: Sequence[Any]) -> list[Any]:
    """The trials in the order of the settings they were drawn for, without the draws that repeated one."""
    return [t for n, t in enumerate(trials) if t.params not in [earlier.params for earlier in trials[:n]]]
