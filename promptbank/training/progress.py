"""What a training reports while it runs, and how that is received: the CLI draws it, the bank stores it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from promptbank.training.curve import CurvePoint

__all__ = ["DevScore", "EpochReport", "NoProgress", "Progress", "StepReport"]


@dataclass(frozen=True)
class StepReport:
    """One optimizer step of one run.

    Attributes:
        step: of the whole run, from 1.
        steps: that the run has if it is not stopped early.
        loss: mean of the step's examples, in nats a token.
        lr: learning rate of the step.
        epoch: from 1.
        run: name of the run; empty when there is only one.
        tokens: that were read; 0 where they are not counted.
        seconds: that the step took; 0 where it is not measured.
    """

    step: int
    steps: int
    loss: float
    lr: float
    epoch: int
    run: str = ""
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class DevScore:
    """A dev score in float32.

    Attributes:
        accuracy: share of right labels; None for open answers.
        loss: mean -log p(gold label) over the label set in nats, or per learnt answer token for open answers.
        collapse: what is said when nearly all predictions are one label though the gold ones are mixed.
        n: examples that were scored; not stored.
    """

    accuracy: float | None
    loss: float
    collapse: str | None = None
    n: int = 0

    def better_than(self, other: DevScore | None) -> bool:
        """Whether this score is higher: more right labels, and among equals a lower loss."""
        return other is None or self._key > other._key

    @property
    def _key(self) -> tuple[float, float]:
        return (self.accuracy if self.accuracy is not None else 0.0, -self.loss)

    def as_dict(self) -> dict[str, object]:
        """Return a plain mapping."""
        return {name: value for name, value in asdict(self).items() if name != "n"}


@dataclass(frozen=True)
class EpochReport:
    """One epoch of one run.

    Attributes:
        epoch: from 1; goes on counting where a run begins again.
        train_loss: mean over its steps, in nats a token.
        dev: its score.
        best: whether it is the best so far of those that may be kept (``keep_from``).
        restart: what is done because the attempt that ends here has collapsed; empty otherwise.
        run: name of the run; empty when there is only one.
        epochs: that the run has if it is not stopped early, earlier attempts included; 0 where it is not known.
        ended: why the run ends with this epoch; empty where it goes on. Not stored, nor is ``epochs``.
    """

    epoch: int
    train_loss: float
    dev: DevScore
    best: bool
    restart: str = ""
    run: str = ""
    epochs: int = 0
    ended: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return a plain mapping, as stored with the run."""
        plain = {"epoch": self.epoch, "train_loss": self.train_loss, "best": self.best, **self.dev.as_dict()}
        return {**plain, "restart": self.restart} if self.restart else plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> EpochReport:
        """Undo `as_dict`."""
        score = DevScore(plain["accuracy"], plain["loss"], plain["collapse"])
        return cls(plain["epoch"], plain["train_loss"], score, plain["best"], plain.get("restart", ""))


class Progress(Protocol):
    """Receives the reports of trainings."""

    def on_runs(self, run_ids: Mapping[str, str]) -> None:
        """Runs begin or go on: the id of each in the bank, by its name."""

    def on_prefix(self, done: int, total: int) -> None:
        """Keys and values of so many constant prompt beginnings are computed, of the total."""

    def on_step(self, report: StepReport) -> None:
        """A step is made."""

    def on_epoch(self, report: EpochReport) -> None:
        """An epoch is scored on dev."""

    def on_point(self, point: CurvePoint) -> None:
        """A translator is scored."""

    def on_freezing(self, name: str, examples: int) -> None:
        """A deep prompt is learnt, and answers so many dev examples several times before it is stored."""


class NoProgress:
    """Ignores all reports; a base for classes that look at some."""

    def on_runs(self, run_ids: Mapping[str, str]) -> None:
        """Ignore it."""

    def on_prefix(self, done: int, total: int) -> None:
        """Ignore it."""

    def on_step(self, report: StepReport) -> None:
        """Ignore it."""

    def on_epoch(self, report: EpochReport) -> None:
        """Ignore it."""

    def on_point(self, point: CurvePoint) -> None:
        """Ignore it."""

    def on_freezing(self, name: str, examples: int) -> None:
        """Ignore it."""
