"""The one loop of every training: next batch, loss, step, and once in a while an evaluation and a checkpoint.

What is trained is a class given to it: prompts (`promptbank.training.prompts`), the weights of a comparison method
(`promptbank.lab.methods.tuning`), an update of the backbone or a Marian (`promptbank.mt.translator.train`,
`promptbank.mt.marian.training`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from promptbank.errors import TrainingError
from promptbank.training.checkpoint import Saver

__all__ = ["Run", "Training", "TrainingStoppedError", "run_training"]


class TrainingStoppedError(TrainingError):
    """A training was told to stop in the middle of an evaluation; the loop saves and returns."""


class Run(Protocol):
    """Parameters that learn together: one optimizer, one schedule.

    Attributes:
        optimizer: of the parameters.
        parameters: those whose gradient is clipped.
        clip: largest norm of the gradient.
    """

    optimizer: Optimizer
    parameters: Sequence[Tensor]
    clip: float

    @property
    def finished(self) -> bool:
        """Whether it makes no more steps."""

    @property
    def is_due(self) -> bool:
        """Whether it is evaluated before the next step."""

    def evaluate(self) -> None:
        """Score the present parameters, and keep them if they are the best.

        Raises:
            TrainingStoppedError: told to stop meanwhile.
        """

    def rate(self) -> float:
        """Return the learning rate of the next step."""

    def stepped(self, loss: float, rate: float) -> None:
        """Note that a step was made."""

    def diverged(self, loss: float) -> None:
        """Note that no step was made, as the loss is not finite.

        Raises:
            TrainingError: unless the run may fail alone.
        """


R = TypeVar("R", bound=Run)


class Training(Protocol[R]):
    """One run, or several that share their forward and backward passes."""

    @property
    def runs(self) -> Sequence[R]:
        """All of them, finished ones too."""

    def backward(self, runs: Sequence[R]) -> Iterable[tuple[R, float]]:
        """Add the gradients of the next batch of each run, and yield each run with its loss."""


def run_training(
    training: Training[R], saver: Saver | None = None, should_stop: Callable[[], bool] = lambda: False
) -> bool:
    """Train until every run has finished, from the newest checkpoint on.

    Args:
        training: what is trained.
        saver: keeps its states; None for a training that begins anew when it is killed.
        should_stop: asked before every step; the state is saved when it says so.

    Returns:
        Whether the training came to its end.

    Raises:
        TrainingError: a checkpoint of another training, or a loss that is not finite.
    """
    if saver:
        saver.restore()
    try:
        while True:
            if should_stop():
                raise TrainingStoppedError("told to stop")
            for run in training.runs:
                if run.is_due:
                    run.evaluate()
            if saver:
                saver.save_if_due()
            active = [run for run in training.runs if not run.finished]
            if not active:
                return True
            for run, loss in training.backward(active):
                _step(run, loss)
    except TrainingStoppedError:
        if saver:
            saver.save()
        return False


def _step(run: Run, loss: float) -> None:
    """Apply the gradients that were added, at the rate of this step."""
    if math.isfinite(loss):
        rate = run.rate()
        for group in run.optimizer.param_groups:
            group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(run.parameters, run.clip)
        run.optimizer.step()
        run.stepped(loss, rate)
    else:
        run.diverged(loss)
    run.optimizer.zero_grad(set_to_none=True)
