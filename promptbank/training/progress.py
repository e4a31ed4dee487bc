"""What a training says on its way: a report a step and an epoch, and who may hear them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from promptbank.model.backbone import Backbone
from promptbank.training.dev import DevScore
from tasks import Example, TaskCard

__all__ = ["EpochReport", "Listener", "Silent", "StepReport", "run_warnings"]


@dataclass(frozen=True)
class StepReport:
    """One optimizer step of one run.

    Attributes:
        epoch: from 1.
        step: of the whole run, from 1.
        steps: that the run has if it is not stopped early.
        loss: mean of the step's rows, in nats a token.
        lr: learning rate of the step.
        run: name of the run; empty when there is only one.
    """

    epoch: int
    step: int
    steps: int
    loss: float
    lr: float
    run: str = ""


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
    """

    epoch: int
    train_loss: float
    dev: DevScore
    best: bool
    restart: str = ""
    run: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return a plain mapping, as stored with the run."""
        plain = {"epoch": self.epoch, "train_loss": self.train_loss, "best": self.best, **self.dev.as_dict()}
        return {**plain, "restart": self.restart} if self.restart else plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> EpochReport:
        """Undo `as_dict`."""
        score = DevScore(plain["accuracy"], plain["loss"], plain["collapse"])
        return cls(plain["epoch"], plain["train_loss"], score, plain["best"], plain.get("restart", ""))


class Listener(Protocol):
    """Hears how runs go; the CLI draws it, the bank stores it, tests collect it."""

    def on_prefix(self, done: int, total: int) -> None:
        """Constant beginnings computed so far."""

    def on_step(self, report: StepReport) -> None:
        """One step is done."""

    def on_epoch(self, report: EpochReport) -> None:
        """One epoch is scored on dev."""


class Silent:
    """A listener that does nothing."""

    def on_prefix(self, done: int, total: int) -> None:
        """Ignore it."""

    def on_step(self, report: StepReport) -> None:
        """Ignore it."""

    def on_epoch(self, report: EpochReport) -> None:
        """Ignore it."""


def run_warnings(
    backbone: Backbone,
    card: TaskCard,
    train: Sequence[Example],
    dev: Sequence[Example],
    *,
    truncated: int,
    unwritable: int = 0,
    reach: int = 0,
    collapse: object = None,
) -> Iterator[str]:
    """Say what a person should know before trusting what a training left.

    Args:
        backbone: its window, and how far its local layers see.
        card: the task.
        train: rows that were learnt from.
        dev: rows that chose the epoch.
        truncated: training and dev rows whose text was cut.
        unwritable: training and dev rows with an answer that the card's format does not allow.
        reach: most positions from a first virtual token to the end of its answer; 0 where there are none.
        collapse: what the dev score says when nearly all predictions are one label.
    """
    if truncated:
        yield f"{truncated} rows had their text cut to fit the window of {backbone.window} positions"
    if unwritable:
        yield (
            f"{unwritable} rows have an answer that the card's format does not allow, such as a value that is not in "
            "the text; they were learnt over all words, and held to the format nothing can answer them"
        )
    if backbone.sliding_window is not None and reach > backbone.sliding_window:
        yield (
            f"in some rows the virtual tokens stand {reach} positions before the answer's end, and the local layers "
            f"of {backbone.name} see {backbone.sliding_window}; put the markers after the long field"
        )
    if collapse:
        yield str(collapse)
    labels = {example.answer for example in dev}
    if not card.is_open and len(labels) == 1 < len({example.answer for example in train}):
        yield (
            f"all {len(dev)} dev rows are {labels.pop()!r}, so the epoch was chosen blindly; give more rows, or "
            "another --dev-fraction"
        )
