"""Learning rate schedules: share of the peak rate at a step; registered under versioned names."""

from __future__ import annotations

import math
from collections.abc import Callable

from promptbank.mt.marian.errors import NmtError

__all__ = ["SCHEDULES", "learning_rate_share"]


def _inverse_sqrt(step: int, steps: int, warmup: int) -> float:
    """Fall with the square root of the step (Vaswani et al. 2017); where it ends does not matter to it."""
    del steps
    return math.sqrt(warmup / step)


def _cosine(step: int, steps: int, warmup: int) -> float:
    """Fall to zero, as half a cosine, one step after the last."""
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps + 1 - warmup)))


SCHEDULES: dict[str, Callable[[int, int, int], float]] = {"inverse-sqrt.v1": _inverse_sqrt, "cosine.v1": _cosine}
"""Name -> function of (step from 1, steps in all, steps of warm-up)."""


def learning_rate_share(name: str, step: int, steps: int, warmup: int) -> float:
    """Return the share of the peak rate at a step: linear warm-up, then the named schedule.

    Args:
        name: in `SCHEDULES`.
        step: from 1.
        steps: of the whole training.
        warmup: steps to the peak.

    Returns:
        In (0, 1]; 1 at step ``warmup``.

    Raises:
        NmtError: there is no such schedule.

    >>> [learning_rate_share("inverse-sqrt.v1", step, 100, 4) for step in (1, 4, 16, 64)]
    [0.25, 1.0, 0.5, 0.25]
    """
    if name not in SCHEDULES:
        raise NmtError(f"unknown schedule {name!r}; known: {', '.join(SCHEDULES)}")
    return step / warmup if step < warmup else SCHEDULES[name](step, steps, warmup)
