"""The prior of a prompt: which labels it gives when nothing is asked (Zhao et al. 2021, "Calibrate Before Use")."""

import math
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["CONTENT_FREE", "FLOOR", "prior_of", "probabilities"]

CONTENT_FREE = ("N/A", "", "[MASK]")
"""Inputs without content, after Zhao et al. 2021, put in the place of a record's text."""

FLOOR = 1e-8
"""Least prior that is divided by."""


def probabilities(scores: Mapping[str, float]) -> dict[str, float]:
    """Return p(label | x): the softmax of log-scores over the label set."""
    total = _logsumexp(scores.values())
    return {label: math.exp(score - total) for label, score in scores.items()}


def prior_of(content_free: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return p_cf: probabilities of the labels averaged over inputs without content, then normalised once.

    Args:
        content_free: log-scores by label, for each input of `CONTENT_FREE`.
    """
    return probabilities({label: _logsumexp(s[label] for s in content_free) for label in content_free[0]})


def _logsumexp(values: Iterable[float]) -> float:
    known = list(values)
    top = max(known)
    return top + math.log(math.fsum(math.exp(value - top) for value in known))
