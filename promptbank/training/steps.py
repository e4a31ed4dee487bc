"""A run of a number of steps over pairs of texts, in batches by padded tokens: how translators are trained.

Random numbers are functions of the seed and the step, so a training that was killed and goes on makes the very same
steps.
"""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Generic, TypeVar

from torch import Tensor, nn
from torch.optim import Optimizer

from promptbank.errors import TrainingError
from promptbank.training.checkpoint import (
    Checkpoint,
    below,
    learnt,
    load_learnt,
    optimizer_tensors,
    restore_optimizer,
)
from promptbank.training.curve import CurvePoint, LearningCurve
from promptbank.training.loop import Training, TrainingRun
from promptbank.training.progress import Progress, StepReport
from promptbank.training.schedule import Schedule

__all__ = ["StepPosition", "StepRun"]

P = TypeVar("P")


@dataclass
class StepPosition:
    """Where a run stands.

    Attributes:
        step: optimizer steps that are done.
        epoch: passes over the corpus that are done.
        batch: batches of this pass that are done.
        tokens: that were read.
        seconds: of computing, over all processes.
        evaluated: step of the last point of the curve, -1 before the first.
        losses: of the steps since then.
        kept: steps at which weights were kept to be averaged.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    tokens: int = 0
    seconds: float = 0.0
    evaluated: int = -1
    losses: list[float] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)


class StepRun(TrainingRun, Training["StepRun[P]"], Generic[P]):
    """One run, which trains alone; subclasses say what learns.

    Args:
        model: whose parameters that require a gradient learn.
        optimizer: of them.
        pairs: to learn from.
        batches: returns the batches of an epoch, as indices of pairs.
        schedule: of the learning rate, over all steps.
        clip: largest norm of the gradient.
        seed: of the run.
        accumulate: batches of a step.
        curve: where its points go.
        progress: receives reports.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        pairs: Sequence[P],
        batches: Callable[[int], list[list[int]]],
        schedule: Schedule,
        *,
        clip: float,
        seed: int,
        accumulate: int = 1,
        curve: LearningCurve,
        progress: Progress,
    ) -> None:
        self.model, self.optimizer, self.clip = model, optimizer, clip
        self.parameters: Sequence[Tensor] = list(learnt(model).values())
        self.position = StepPosition()
        self.runs = (self,)
        self._pairs, self._batches, self._schedule = pairs, batches, schedule
        self._seed, self._accumulate = seed, accumulate
        self._curve, self._progress = curve, progress
        self._epoch: tuple[int, list[list[int]]] | None = None
        self._step = (0.0, 0)  # when it began, and the tokens that it reads

    @abstractmethod
    def loss(self, batch: Sequence[P], seed: int) -> Tensor:
        """Return the summed loss of a batch's answers, in nats; a function of the weights and the seed."""

    @abstractmethod
    def answer_tokens(self, pair: P) -> int:
        """Return the tokens of a pair that are learnt."""

    @abstractmethod
    def read_tokens(self, pair: P) -> int:
        """Return the tokens of a pair that count as read."""

    @abstractmethod
    def measure(self, train_loss: float | None) -> CurvePoint:
        """Score the present weights."""

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.position.step >= self._schedule.steps

    def is_due_every(self, steps: int) -> bool:
        """Whether so many steps are done, or twice so many and so on, or all."""
        return self.position.step % steps == 0 or self.finished

    def rate(self) -> float:
        """Return the learning rate of the next step."""
        return self._schedule.rate(self.position.step)

    def backward(self, _runs: Sequence[StepRun[P]]) -> Iterator[tuple[StepRun[P], float]]:
        """Add the gradients of the batches of the next step; every answer token of a step weighs the same."""
        began = time.monotonic()
        first = self._seed * 1_000_003 + self.position.step * self._accumulate
        batches = [self._next_batch() for _ in range(self._accumulate)]
        answers = sum(self.answer_tokens(pair) for batch in batches for pair in batch)
        total = 0.0
        for number, batch in enumerate(batches):
            loss = self.loss(batch, first + number) / answers
            loss.backward()
            total += float(loss.detach())
        self._step = began, sum(self.read_tokens(pair) for batch in batches for pair in batch)
        yield self, total

    def _next_batch(self) -> list[P]:
        """Return the next batch and move the position past it."""
        position = self.position
        if position.batch == len(self._epoch_batches()):
            position.epoch, position.batch = position.epoch + 1, 0
        position.batch += 1
        return [self._pairs[i] for i in self._epoch_batches()[position.batch - 1]]

    def _epoch_batches(self) -> list[list[int]]:
        epoch = self.position.epoch
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = epoch, self._batches(epoch)
        return self._epoch[1]

    def stepped(self, loss: float, rate: float) -> None:
        """Move on by a step, and report it."""
        position, (began, tokens) = self.position, self._step
        seconds = time.monotonic() - began
        position.step += 1
        position.tokens += tokens
        position.seconds += seconds
        position.losses.append(loss)
        steps = self._schedule.steps
        self._progress.on_step(
            StepReport(position.step, steps, loss, rate, position.epoch + 1, tokens=tokens, seconds=seconds)
        )

    def diverged(self, loss: float) -> None:
        """End with an error."""
        raise TrainingError(
            f"the loss is {loss} at step {self.position.step + 1}; try a lower --lr than {self._schedule.peak:g}"
        )

    def evaluate(self) -> None:
        """Add a point to the curve, and report it."""
        losses = self.position.losses
        point = self.measure(math.fsum(losses) / len(losses) if losses else None)
        losses.clear()
        self._curve.add(point)
        self._progress.on_point(point)
        self.position.evaluated = self.position.step

    def state(self) -> Checkpoint:
        """Return weights, optimizer and position."""
        weights = {f"weight.{name}": parameter for name, parameter in learnt(self.model).items()}
        return Checkpoint(self.position.step, weights | optimizer_tensors(self.optimizer), asdict(self.position))

    def restore(self, state: Checkpoint | None) -> None:
        """Go on from a state; the curve forgets what comes after it."""
        if state is not None:
            load_learnt(self.model, below(state.tensors, "weight."))
            restore_optimizer(self.optimizer, state.tensors)
            self.position = StepPosition(**state.position)
        self._curve.rewind(self.position.step)
