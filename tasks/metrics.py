"""Scores of predicted labels against gold ones. Labels are compared by id."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tasks.equivalence import canonical

__all__ = [
    "ClassificationReport",
    "LabelScore",
    "ReliabilityBin",
    "calibration_error",
    "classification_report",
    "collapse_of",
    "exact_match",
    "reliability",
    "unanswered",
]

COLLAPSE_SHARE = 0.95
MOST_LABELS = 10
"""Most labels that a warning names."""


@dataclass(frozen=True)
class LabelScore:
    """Precision, recall and F1 of one label (0 where undefined), and its number of gold rows."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class ClassificationReport:
    """Scores of one set.

    Attributes:
        n: rows.
        accuracy: share of right labels.
        macro_f1: mean F1 over the labels that occur in gold or predictions, as in scikit-learn.
        per_label: scores by label, in the order of ``labels``.
        labels: label ids, in the card's order.
        confusion: rows are gold, columns predicted labels, in the order of ``labels``.
        majority_share: accuracy of always answering the most frequent gold label.
        collapse: a warning when nearly all predictions are one label though the gold ones are mixed.
    """

    n: int
    accuracy: float
    macro_f1: float
    per_label: dict[str, LabelScore]
    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    majority_share: float
    collapse: str | None

    def as_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


def classification_report(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> ClassificationReport:
    """Compare predicted with gold label ids.

    Args:
        gold: label ids.
        predicted: label ids, as many.
        labels: all label ids of the task.

    Raises:
        ValueError: no rows, different numbers of them, or a label that is not among ``labels``.
    """
    strange = sorted({*gold, *predicted} - {*labels})
    if strange:
        unknown = ", ".join(map(repr, strange))
        raise ValueError(f"of the labels, {unknown} are none of {', '.join(labels)}; compare label ids")
    if not gold or len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold and {len(predicted)} predicted labels; equal numbers above 0 are needed")
    place = {label: index for index, label in enumerate(labels)}
    matrix = [[0] * len(labels) for _ in labels]
    for g, p in zip(gold, predicted, strict=True):
        matrix[place[g]][place[p]] += 1
    scores = {label: _score(matrix, index) for label, index in place.items()}
    occurring = [label for label in labels if label in {*gold, *predicted}]
    return ClassificationReport(
        n=len(gold),
        accuracy=sum(matrix[i][i] for i in range(len(labels))) / len(gold),
        macro_f1=sum(scores[label].f1 for label in occurring) / len(occurring),
        per_label=scores,
        labels=tuple(labels),
        confusion=tuple(map(tuple, matrix)),
        majority_share=max(sum(row) for row in matrix) / len(gold),
        collapse=collapse_of(gold, predicted),
    )


def _score(matrix: list[list[int]], index: int) -> LabelScore:
    right, support = matrix[index][index], sum(matrix[index])
    guessed = sum(row[index] for row in matrix)
    precision = right / guessed if guessed else 0.0
    recall = right / support if support else 0.0
    return LabelScore(precision, recall, 2 * right / (support + guessed) if support + guessed else 0.0, support)


def collapse_of(gold: Sequence[str], predicted: Sequence[str]) -> str | None:
    """Say that nearly all predictions are one label though the gold ones are mixed; None where that is not so.

    Args:
        gold: labels, at least one.
        predicted: as many.
    """
    label = max(sorted(set(predicted)), key=predicted.count)
    share, due = predicted.count(label) / len(predicted), gold.count(label) / len(gold)
    if len(gold) < 2 or share < COLLAPSE_SHARE or due > COLLAPSE_SHARE or share <= due:
        return None
    return (
        f"{share:.0%} of the predictions are {label!r}, which is right for {due:.0%}: the prompt answers nearly always "
        "the same; try another --seed or --lr"
    )


def unanswered(metrics: Mapping[str, Any]) -> str | None:
    """Say which labels some rows have and no prediction is; None where there are none, or a collapse says it.

    Args:
        metrics: of `ClassificationReport.as_dict`; of other answers nothing is said.
    """
    if "confusion" not in metrics or metrics["collapse"]:
        return None
    answered = map(any, zip(*metrics["confusion"], strict=True))
    due = zip(metrics["labels"], map(sum, metrics["confusion"]), answered, strict=True)
    found = [f"{label!r} (of {count})" for label, count, is_answered in due if count and not is_answered]
    if not found:
        return None
    shown = ", ".join(found[:MOST_LABELS]) + (", ..." if len(found) > MOST_LABELS else "")
    return f"never answered: {shown}; give more examples of such a label, or more --epochs"


def exact_match(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Return the share of open answers that are equal but for white space.

    Raises:
        ValueError: no rows, or different numbers of them.

    >>> exact_match(["a  b", "c"], ["a b", "d"])
    0.5
    """
    if not gold:
        raise ValueError("no rows to compare; give at least one")
    return sum(canonical(g).split() == canonical(p).split() for g, p in zip(gold, predicted, strict=True)) / len(gold)


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers whose probabilities lie in one part of 0 to 1.

    Attributes:
        low: the part's lower end; it reaches to the next one's.
        n: answers in it.
        probability: their mean probability.
        right: the share of them that is right.
    """

    low: float
    n: int
    probability: float
    right: float


def reliability(probabilities: Sequence[float], right: Sequence[float], bins: int = 10) -> list[ReliabilityBin]:
    """Group answers by their probability, in parts of equal width; parts without answers are left out.

    If probabilities can be taken at their word, the share of right answers of each part is its mean probability
    (Guo et al. 2017, "On Calibration of Modern Neural Networks").

    Args:
        probabilities: of the answers, 0 to 1.
        right: 1 for each right answer and 0 for each wrong one.
        bins: number of parts.

    >>> [(b.low, b.n, round(b.probability, 3), b.right) for b in reliability([0.95, 0.91, 0.62], [1, 0, 1])]
    [(0.6, 1, 0.62, 1.0), (0.9, 2, 0.93, 0.5)]
    """
    places = [min(int(p * bins), bins - 1) for p in probabilities]
    found = []
    for place in sorted(set(places)):
        mine = [(p, r) for p, r, at in zip(probabilities, right, places, strict=True) if at == place]
        means = (math.fsum(column) / len(mine) for column in zip(*mine, strict=True))
        found.append(ReliabilityBin(place / bins, len(mine), *means))
    return found


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Return the mean distance between probability and share of right answers, each answer counting the same.

    This is the expected calibration error of Naeini et al. (2015).

    >>> round(calibration_error(reliability([0.95, 0.91, 0.62], [1, 0, 1])), 4)
    0.4133
    """
    return math.fsum(b.n * abs(b.probability - b.right) for b in bins) / sum(b.n for b in bins)
