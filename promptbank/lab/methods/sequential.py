"""A stream of tasks learnt one after the other by one learner, scored on all learnt tasks after each.

The bank's rows forget nothing by construction; fine-tuning one set of weights again and again is the contrast.
`tasks.continual.stream_scores` makes forgetting and backward transfer of the matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from promptbank.engine.evaluate import Evaluated
from promptbank.errors import TrainingError
from promptbank.lab.methods.learner import Fit, Learner, score_of
from promptbank.training.progress import Listener
from tasks import Split, TaskCard

__all__ = ["OnStage", "learn_stream"]

OnStage = Callable[[int, Fit, Sequence[Evaluated]], None]
"""Hears of a learnt task: its number from 0, how learning went, and the scores of tasks 0 to that number."""


def learn_stream(
    learner: Learner,
    stream: Sequence[tuple[TaskCard, Split]],
    *,
    listener: Listener | None = None,
    on_stage: OnStage = lambda *_: None,
) -> list[list[float]]:
    """Learn tasks one after the other.

    Returns:
        The lower triangle of the accuracy matrix R (Lopez-Paz and Ranzato 2017): row i has the scores of tasks 0 to i
        on their test rows after task i was learnt.

    Raises:
        TrainingError: the stream is empty, or see `Learner.learn`.
        InputError: test rows could not be answered; told before the first task is learnt.
    """
    if not stream:
        raise TrainingError("the stream has no task; give at least one")
    for card, split in stream:
        learner.check(card, split.test)
    matrix: list[list[float]] = []
    for number, (card, split) in enumerate(stream):
        fit = learner.learn(card, split, listener)
        scored = [learner.evaluate(known, rows.test) for known, rows in stream[: number + 1]]
        on_stage(number, fit, scored)
        matrix.append([score_of(one) for one in scored])
    return matrix
