"""Learning rates: a linear rise to the peak, then a named fall. A name means the same function for ever."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from promptbank.errors import TrainingError

__all__ = ["SCHEDULES", "Schedule", "schedule_name", "warmup_steps"]


def _linear(done: int, steps: int, warmup: int) -> float:
    """Fall evenly, to zero after the last step."""
    return 1 - (done - warmup) / max(1, steps - warmup)


def _cosine(done: int, steps: int, warmup: int) -> float:
    """Fall as half a cosine, to zero after the last step; the last step of the rise and the next are at the peak."""
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / max(1, steps - warmup)))


def _cosine_from_peak(done: int, steps: int, warmup: int) -> float:
    """Fall as half a cosine from the last step of the rise on."""
    return _cosine(done, steps, warmup - 1)


def _inverse_sqrt(done: int, _steps: int, warmup: int) -> float:
    """Fall with the square root of the step (Vaswani et al. 2017), wherever the training ends."""
    return math.sqrt(max(1, warmup) / (done + 1))


def _constant(_done: int, _steps: int, _warmup: int) -> float:
    """Stay at the peak."""
    return 1.0


SCHEDULES: Mapping[str, Callable[[int, int, int], float]] = {
    "linear.v1": _linear,
    "cosine.v1": _cosine_from_peak,
    "cosine.v2": _cosine,
    "constant.v1": _constant,
    "inverse-sqrt.v1": _inverse_sqrt,
}
"""Share of the peak rate at a step after the warm-up: of steps done, steps in all and steps of warm-up."""


@dataclass(frozen=True)
class Schedule:
    """The learning rate of every step of a training.

    Attributes:
        name: a key of `SCHEDULES`.
        peak: the highest rate.
        warmup: steps of the rise, the last of which is at the peak.
        steps: of the whole training.
    """

    name: str
    peak: float
    warmup: int
    steps: int

    def rate(self, done: int) -> float:
        """Return the rate of the step that follows ``done`` steps.

        >>> [Schedule("inverse-sqrt.v1", 2.0, 4, 100).rate(done) for done in (0, 3, 15, 63)]
        [0.5, 2.0, 1.0, 0.5]
        """
        if done < self.warmup:
            return self.peak * ((done + 1) / self.warmup)
        return self.peak * SCHEDULES[self.name](done, self.steps, self.warmup)


def warmup_steps(share: float, steps: int) -> int:
    """Return the steps of a warm-up that takes a share of all steps; at least one."""
    return max(1, round(steps * share))


def schedule_name(asked: str) -> str:
    """Return the versioned name of a schedule; without a version the newest is meant.

    Raises:
        TrainingError: there is no such schedule.

    >>> schedule_name("cosine")
    'cosine.v2'
    """
    found = [name for name in SCHEDULES if asked in (name, name.rpartition(".")[0])]
    if not found:
        raise TrainingError(f"schedule is {asked!r}, one of {', '.join(SCHEDULES)}")
    return found[-1]
