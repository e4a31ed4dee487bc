"""Calibration of label scores of an untrained prompt, fitted on content-free or test inputs.

Order: log-scores -> softmax over the label set -> calibrate -> argmax. ``diag`` and ``identity`` are contextual
calibration (Zhao et al. 2021, "Calibrate Before Use"), whose prior p_cf is what the same shots give for inputs without
content, so it depends on the shots and their order; ``batch`` is batch calibration (Zhou et al. 2023, arXiv
2309.17249), whose prior is the mean over the unlabelled examples to be predicted.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from promptbank.engine.prior import FLOOR, probabilities
from promptbank.errors import ConfigError

__all__ = ["CALIBRATIONS", "LEAST_EXAMPLES", "calibrated", "check_calibration"]

Scores = Mapping[str, float]
Calibration = Callable[[Sequence[Scores], Sequence[Scores]], list[dict[str, float]]]
"""From p(label | x) of some examples and the prior of each to a value by label, of which the highest is the answer."""


def uncalibrated(examples: Sequence[Scores], _priors: Sequence[Scores]) -> list[dict[str, float]]:
    """Return the probabilities as they are."""
    return [dict(scores) for scores in examples]


def diagonal(examples: Sequence[Scores], priors: Sequence[Scores]) -> list[dict[str, float]]:
    """Return q(y) ~ p(y | x) / p_cf(y): W = diag(p_cf)^-1, b = 0."""
    return [_divided(scores, prior) for scores, prior in zip(examples, priors, strict=True)]


def identity_matrix(examples: Sequence[Scores], priors: Sequence[Scores]) -> list[dict[str, float]]:
    """Return p(y | x) - p_cf(y), between -1 and 1: W = I, b = -p_cf."""
    return [{y: p - prior[y] for y, p in scores.items()} for scores, prior in zip(examples, priors, strict=True)]


def batch(examples: Sequence[Scores], _priors: Sequence[Scores]) -> list[dict[str, float]]:
    """Return `diagonal` with the mean of p(y | x) over the examples as prior: transductive, so not for one record."""
    prior = {y: math.fsum(scores[y] for scores in examples) / len(examples) for y in examples[0]}
    return diagonal(examples, [prior] * len(examples))


CALIBRATIONS: dict[str, Calibration] = {
    "none": uncalibrated,
    "diag": diagonal,
    "identity": identity_matrix,
    "batch": batch,
}
LEAST_EXAMPLES = {"batch": 8}
"""Fewest examples that a calibration can work on, where it is more than one."""


def check_calibration(name: str, examples: int) -> None:
    """Refuse a calibration that cannot work on so many examples.

    Raises:
        ConfigError: no such calibration, or it needs more examples.
    """
    if name not in CALIBRATIONS:
        raise ConfigError(f"unknown calibration {name!r}; known: {', '.join(CALIBRATIONS)}")
    least = LEAST_EXAMPLES.get(name, 1)
    if examples < least:
        raise ConfigError(
            f"calibration {name!r} estimates its prior from the examples to be predicted and needs at least {least} of "
            f"them, not {examples}; give more examples or fewer folds, or choose diag"
        )


def calibrated(name: str, scores: Sequence[Scores], priors: Sequence[Scores]) -> list[dict[str, float]]:
    """Calibrate the label scores of some examples.

    Args:
        name: a key of `CALIBRATIONS`.
        scores: log-scores by label, unnormalised, for each example.
        priors: each example's p_cf, as `promptbank.engine.prior.prior_of` gives it.

    Returns:
        For each example a value by label in the order given; the label of the highest one is the answer.

    Raises:
        ConfigError: no such calibration, or too few examples for it.
    """
    check_calibration(name, len(scores))
    return CALIBRATIONS[name]([probabilities(one) for one in scores], priors)


def _divided(scores: Scores, prior: Scores) -> dict[str, float]:
    ratios = {label: p / max(prior[label], FLOOR) for label, p in scores.items()}
    total = math.fsum(ratios.values())
    return {label: ratio / total for label, ratio in ratios.items()}
