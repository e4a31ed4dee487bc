"""A stream of tasks learnt one after the other by one learner, scored on all learnt tasks after each.

The bank's rows forget nothing by construction; fine-tuning one set of weights again and again is the contrast.
`tasks.continual.stream_scores` makes forgetting and backward transfer of the matrix.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from promptbank.engine.evaluate import Evaluated
from promptbank.errors import TrainingError
from promptbank.lab.methods.learner import Fit, Learner, score_of
from promptbank.training.progress import Progress
from tasks import Split, TaskCard

__all__ = ["learn_stream"]


def learn_stream(
    learner: Learner,
    stream: Sequence[tuple[TaskCard, Split]],
    *,
    progress: Progress | None = None,
    on_learnt: Callable[[float], None] = lambda _: None,
    on_stage: Callable[[int, Fit, Sequence[Evaluated]], None] = lambda *_: None,
) -> list[list[float]]:
    """Learn tasks one after the other.

    Args:
        learner: has learnt nothing yet.
        stream: the tasks in order.
        progress: is told how trainings go.
        on_learnt: called with the seconds that learning a task took, before it is scored.
        on_stage: called with a task's number from 0, how learning it went, and the scores of tasks 0 to that number.

    Returns:
        The lower triangle of the accuracy matrix R (Lopez-Paz and Ranzato 2017): row i has the scores of tasks 0 to i
        on their test examples after task i was learnt.

    Raises:
        TrainingError: the stream is empty, or see `Learner.learn`.
        InputError: test examples could not be answered; raised before the first task is learnt.
    """
    if not stream:
        raise TrainingError("the stream has no task; give at least one")
    for card, split in stream:
        learner.check(card, split.test)
    matrix: list[list[float]] = []
    for number, (card, split) in enumerate(stream):
        begun = time.perf_counter()
        fit = learner.learn(card, split, progress)
        on_learnt(time.perf_counter() - begun)
        scored = [learner.evaluate(known, part.test) for known, part in stream[: number + 1]]
        on_stage(number, fit, scored)
        matrix.append([score_of(one) for one in scored])
    return matrix
