"""A run in epochs: all examples once, then a dev score; the best epoch is kept, and the run ends early without one."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from promptbank.errors import TrainingError
from promptbank.training.batches import ByCount, epoch_batches
from promptbank.training.config import TrainConfig
from promptbank.training.loop import TrainingRun
from promptbank.training.progress import DevScore, EpochReport, Progress, StepReport
from promptbank.training.schedule import Schedule, warmup_steps

__all__ = ["EpochPosition", "EpochRun"]


@dataclass
class EpochPosition:
    """Where a run stands.

    Attributes:
        attempt: how often the run has begun again.
        epoch: epoch of the attempt under way, from 0.
        step: batches of it that are done.
        loss_sum: sum of their losses.
        best_epoch: place of the best dev score so far in ``epochs``, or None.
        epochs: finished epochs' reports of all attempts, as plain mappings.
        failed: why the run cannot go on; empty while it can.
    """

    attempt: int = 0
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best_epoch: int | None = None
    epochs: list[dict[str, Any]] = field(default_factory=list)
    failed: str = ""


class EpochRun(TrainingRun):
    """One run; subclasses say what learns.

    Args:
        config: settings.
        lengths: of the training examples, in tokens.
        progress: receives reports.
        name: in reports and messages.
        restarts: how often the run begins again, with the next seed and half the rate, when it has collapsed.
        may_fail: whether the run ends alone when its loss is not finite; otherwise that is an error.
    """

    def __init__(
        self,
        config: TrainConfig,
        lengths: Sequence[int],
        progress: Progress,
        *,
        name: str = "",
        restarts: int = 0,
        may_fail: bool = False,
    ) -> None:
        self.config, self.name, self.clip = config, name, config.clip
        self.extent = config.extent(len(lengths))
        self.position = EpochPosition()
        self._lengths, self._progress, self._restarts, self._may_fail = lengths, progress, restarts, may_fail
        self._batches: tuple[tuple[int, int], list[list[int]]] | None = None
        self.begin()

    @abstractmethod
    def begin(self) -> None:
        """Make what learns, and its optimizer, for the present attempt."""

    @abstractmethod
    def score(self) -> DevScore:
        """Score what is learnt on dev."""

    @abstractmethod
    def keep(self) -> None:
        """Keep what was scored last: it is the best so far."""

    @property
    def seed(self) -> int:
        """Seed of the attempt."""
        return self.config.seed + self.position.attempt

    @property
    def peak(self) -> float:
        """Peak learning rate of the attempt."""
        return self.config.lr * 0.5**self.position.attempt

    @property
    def finished(self) -> bool:
        """Whether all epochs of the attempt are done, dev has not risen for too long, or the run has failed."""
        position = self.position
        best = None if position.best_epoch is None else position.best_epoch - self._earlier
        return bool(position.failed) or self.extent.is_over(position.epoch, best)

    @property
    def is_due(self) -> bool:
        """Whether the epoch's last step is made."""
        return self.position.step == len(self._epoch()) and not self.position.failed

    @property
    def reports(self) -> list[EpochReport]:
        """Every finished epoch's report, of all attempts."""
        return [EpochReport.from_dict(plain) for plain in self.position.epochs]

    def next_batch(self) -> list[int]:
        """Return the training examples of the next step, as indices."""
        return self._epoch()[self.position.step]

    def rate(self) -> float:
        """Return the learning rate of the next step: a linear rise, then a cosine."""
        steps = self.extent.epochs * len(self._epoch())
        return Schedule("cosine.v2", self.peak, warmup_steps(self.config.warmup, steps), steps).rate(self.steps_done)

    @property
    def steps_done(self) -> int:
        """Steps of the attempt."""
        return self.position.epoch * len(self._epoch()) + self.position.step

    def stepped(self, loss: float, rate: float) -> None:
        """Move on by a step, and report it."""
        earlier, epochs = self._earlier, len(self.position.epochs)
        self.position.step += 1
        self.position.loss_sum += loss
        done, steps = (
            earlier * len(self._epoch()) + n for n in (self.steps_done, self.extent.epochs * len(self._epoch()))
        )
        self._progress.on_step(StepReport(done, steps, loss, rate, epochs + 1, self.name))

    def diverged(self, loss: float) -> None:
        """End the run where it stands, alone if it may fail."""
        name = f" of {self.name}" if self.name else ""
        why = f"the loss{name} is {loss} at step {self.steps_done + 1}; try a lower --lr than {self.peak}"
        if not self._may_fail:
            raise TrainingError(why)
        self.position.failed = why

    def evaluate(self) -> None:
        """Score the epoch, keep it if it is the best, and begin again after a collapse."""
        position = self.position
        score = self.score()
        better = position.epoch >= self.extent.first and score.better_than(self._best_score)
        if better:
            self.keep()
            position.best_epoch = len(position.epochs)
        loss, epochs = position.loss_sum / position.step, self._earlier + self.extent.epochs
        report = EpochReport(len(position.epochs) + 1, loss, score, better, run=self.name, epochs=epochs)
        position.epochs.append(report.as_dict())
        position.epoch, position.step, position.loss_sum = position.epoch + 1, 0, 0.0
        if self.finished and self._collapsed and position.attempt < self._restarts:
            report = replace(report, restart=self._begin_again())
            position.epochs[-1] = report.as_dict()
        elif self.finished:
            report = replace(report, ended=self._why_ended())
        self._progress.on_epoch(report)

    @property
    def _earlier(self) -> int:
        """Epochs of earlier attempts."""
        return len(self.position.epochs) - self.position.epoch

    @property
    def _best_score(self) -> DevScore | None:
        best = self.position.best_epoch
        return None if best is None else self.reports[best].dev

    @property
    def _collapsed(self) -> bool:
        best = self._best_score
        return best is not None and best.collapse is not None

    def _why_ended(self) -> str:
        if self.position.epoch >= self.extent.epochs:
            return "all epochs are done"
        return f"dev has not become better for {self.extent.patience} epochs"

    def _begin_again(self) -> str:
        """Start the next attempt; the best epoch of all attempts is kept."""
        self.position.attempt += 1
        self.position.epoch = 0
        self.begin()
        return f"begun again with seed {self.seed} and rate {self.peak:g}: on dev nearly all answers were the same"

    def _epoch(self) -> list[list[int]]:
        """Return the batches of the epoch under way."""
        wanted = (self.seed, self.position.epoch)
        if self._batches is None or self._batches[0] != wanted:
            rule = ByCount(self.config.step_examples)
            self._batches = wanted, epoch_batches(self._lengths, rule, seed=wanted[0], epoch=wanted[1])
        return self._batches[1]
