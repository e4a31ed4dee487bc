"""Calibration of label scores: takes out what a frozen backbone prefers before it has read the record.

Order: log-scores -> softmax over the label set -> calibrate -> argmax. ``diag`` and ``identity`` are contextual
calibration (Zhao et al. 2021, "Calibrate Before Use"), whose prior p_cf is what the same shots give for inputs without
content; ``batch`` is batch calibration (Zhou et al. 2023, arXiv 2309.17249), whose prior is the mean over the
unlabelled rows to be predicted. p_cf depends on the shots and their order.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from promptbank.errors import ConfigError

__all__ = ["CALIBRATIONS", "CONTENT_FREE", "Calibration", "calibrated", "calibration_of", "prior_of", "probabilities"]

CONTENT_FREE = ("N/A", "", "[MASK]")
"""Inputs without content, after Zhao et al. 2021, put in the place of a record's text."""

FLOOR = 1e-8
"""Least prior that is divided by."""

Scores = Mapping[str, float]


def probabilities(scores: Scores) -> dict[str, float]:
    """Return p(label | x): the softmax of log-scores over the label set."""
    total = _logsumexp(scores.values())
    return {label: math.exp(score - total) for label, score in scores.items()}


def prior_of(content_free: Sequence[Scores]) -> dict[str, float]:
    """Return p_cf: probabilities of the labels averaged over inputs without content, then normalised once.

    Args:
        content_free: log-scores by label, for each input of `CONTENT_FREE`.
    """
    return probabilities({label: _logsumexp(s[label] for s in content_free) for label in content_free[0]})


class Calibration(ABC):
    """From p(label | x) of some rows and each row's prior to what its argmax is taken of.

    Attributes:
        least_rows: fewest rows that it can work on.
    """

    least_rows: ClassVar[int] = 1

    @abstractmethod
    def __call__(self, rows: Sequence[Scores], priors: Sequence[Scores]) -> list[dict[str, float]]:
        """Return a value by label for each row, the highest being the answer; both arguments sum to 1 in each row."""


class Uncalibrated(Calibration):
    """The probabilities as they are."""

    def __call__(self, rows: Sequence[Scores], priors: Sequence[Scores]) -> list[dict[str, float]]:  # noqa: ARG002 - one signature for all
        """Return the probabilities."""
        return [dict(row) for row in rows]


class Diagonal(Calibration):
    """W = diag(p_cf)^-1, b = 0: q(y) ~ p(y | x) / p_cf(y)."""

    def __call__(self, rows: Sequence[Scores], priors: Sequence[Scores]) -> list[dict[str, float]]:
        """Return the calibrated probabilities."""
        return [_divided(row, prior) for row, prior in zip(rows, priors, strict=True)]


class IdentityMatrix(Calibration):
    """W = I, b = -p_cf: p(y | x) - p_cf(y), which are no probabilities."""

    def __call__(self, rows: Sequence[Scores], priors: Sequence[Scores]) -> list[dict[str, float]]:
        """Return the differences, -1 to 1."""
        return [{y: p - prior[y] for y, p in row.items()} for row, prior in zip(rows, priors, strict=True)]


class Batch(Calibration):
    """``Diagonal`` with the mean of p(y | x) over the rows themselves as prior: transductive, so not for one record."""

    least_rows: ClassVar[int] = 8

    def __call__(self, rows: Sequence[Scores], priors: Sequence[Scores]) -> list[dict[str, float]]:  # noqa: ARG002 - one signature for all
        """Return the calibrated probabilities."""
        prior = {y: math.fsum(row[y] for row in rows) / len(rows) for y in rows[0]}
        return [_divided(row, prior) for row in rows]


CALIBRATIONS: dict[str, Calibration] = {
    "none": Uncalibrated(),
    "diag": Diagonal(),
    "identity": IdentityMatrix(),
    "batch": Batch(),
}


def calibration_of(name: str, rows: int) -> Calibration:
    """Return a calibration that can work on so many rows.

    Raises:
        ConfigError: no such calibration, or it needs more rows.
    """
    if name not in CALIBRATIONS:
        raise ConfigError(f"unknown calibration {name!r}; known: {', '.join(CALIBRATIONS)}")
    found = CALIBRATIONS[name]
    if rows < found.least_rows:
        raise ConfigError(
            f"calibration {name!r} estimates its prior from the rows to be predicted and needs at least "
            f"{found.least_rows} of them, not {rows}; give more rows or fewer folds, or choose diag"
        )
    return found


def calibrated(name: str, scores: Sequence[Scores], priors: Sequence[Scores]) -> list[dict[str, float]]:
    """Calibrate the label scores of some rows.

    Args:
        name: a key of `CALIBRATIONS`.
        scores: log-scores by label, unnormalised, for each row.
        priors: each row's p_cf, as `prior_of` gives it.

    Returns:
        For each row a value by label in the order given; the label of the highest one is the answer.

    Raises:
        ConfigError: no such calibration, or too few rows for it.
    """
    return calibration_of(name, len(scores))([probabilities(row) for row in scores], priors)


def _divided(row: Scores, prior: Scores) -> dict[str, float]:
    ratios = {label: p / max(prior[label], FLOOR) for label, p in row.items()}
    total = math.fsum(ratios.values())
    return {label: ratio / total for label, ratio in ratios.items()}


def _logsumexp(values: Iterable[float]) -> float:
    known = list(values)
    top = max(known)
    return top + math.log(math.fsum(math.exp(value - top) for value in known))
