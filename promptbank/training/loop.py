"""The one loop of every training: next batch, loss, step, and once in a while an evaluation and a checkpoint.

What is trained is a class given to it: prompts (`promptbank.training.prompts`), the weights of a comparison method
(`promptbank.lab.methods.tuning`), an update of the backbone (`promptbank.mt.translator.train`) or a Marian
(`promptbank.mt.marian.run`).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from promptbank.errors import TrainingError
from promptbank.training.checkpoint import Checkpoint, Checkpoints

__all__ = ["Training", "TrainingRun", "TrainingStoppedError", "run_training"]


class TrainingStoppedError(TrainingError):
    """A training was told to stop; the loop saves its state."""


class TrainingRun(ABC):
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
    @abstractmethod
    def finished(self) -> bool:
        """Whether it makes no more steps."""

    @property
    @abstractmethod
    def is_due(self) -> bool:
        """Whether it is evaluated before the next step."""

    @abstractmethod
    def evaluate(self) -> None:
        """Score the present parameters."""

    @abstractmethod
    def rate(self) -> float:
        """Return the learning rate of the next step."""

    @abstractmethod
    def stepped(self, loss: float, rate: float) -> None:
        """Move on by a step that was made."""

    @abstractmethod
    def diverged(self, loss: float) -> None:
        """End without a step, as the loss is not finite: with an error, unless the run may fail alone."""


R = TypeVar("R", bound=TrainingRun)


class Training(Generic[R]):
    """One run, or several that share their forward and backward passes.

    Attributes:
        runs: all of them, finished ones too.
    """

    runs: Sequence[R]

    def backward(self, runs: Sequence[R]) -> Iterable[tuple[R, float]]:
        """Add the gradients of the next batch of each run, and yield each run with its loss."""
        raise NotImplementedError

    @property
    def save_is_due(self) -> bool:
        """Whether the state is saved before the next step."""
        return False

    def state(self) -> Checkpoint:
        """Return all that going on from here needs; a training without checkpoints is never asked."""
        raise NotImplementedError

    def restore(self, state: Checkpoint | None) -> None:
        """Go on from a state of the same training; from the start without one."""


def run_training(
    training: Training[R], checkpoints: Checkpoints | None = None, should_stop: Callable[[], bool] = lambda: False
) -> bool:
    """Train until every run has finished, from the newest checkpoint on.

    Args:
        training: what is trained.
        checkpoints: of this very training; None for one that begins anew when it is killed.
        should_stop: asked before every step; the state is saved when it says so.

    Returns:
        Whether the training came to its end.

    Raises:
        TrainingError: a checkpoint of another training, or a loss that is not finite.
    """
    if checkpoints:
        training.restore(checkpoints.newest())
    try:
        while True:
            if should_stop():
                raise TrainingStoppedError("told to stop")
            for run in training.runs:
                if run.is_due:
                    run.evaluate()
            if checkpoints and training.save_is_due:
                checkpoints.save(training.state())
            active = [run for run in training.runs if not run.finished]
            if not active:
                return True
            for run, loss in training.backward(active):
                _step(run, loss)
    except TrainingStoppedError:
        if checkpoints:
            checkpoints.save(training.state())
        return False


def _step(run: TrainingRun, loss: float) -> None:
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
