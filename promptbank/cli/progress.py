"""Training progress for people: bars on a terminal, a line an epoch in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from promptbank.cli.output import say
from promptbank.training.progress import EpochReport, StepReport

__all__ = ["TrainingProgress", "bar", "counting", "epoch_line"]

LINE_SECONDS = 30.0
"""Between two lines of progress where no terminal shows a bar."""


def bar() -> Progress:
    """Return a progress bar on stderr."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


@contextmanager
def counting() -> Iterator[Callable[[int, int, str], None]]:
    """Show how much of how much is done, and what: a bar on a terminal, a line every half minute elsewhere."""
    told = time.monotonic()
    with bar() if sys.stderr.isatty() else nullcontext() as shown:
        line = shown.add_task("", total=None) if shown else None

        def show(done: int, total: int, what: str) -> None:
            nonlocal told
            if shown and line is not None:
                shown.update(line, completed=done, total=total, description=what)
            elif time.monotonic() - told > LINE_SECONDS:
                say(f"{done}/{total} {what}")
                told = time.monotonic()

        yield show


def epoch_line(report: EpochReport, run: str) -> str:
    """Return what a log says of an epoch of a run, and of its beginning again."""
    accuracy = "" if report.dev.accuracy is None else f"dev accuracy {report.dev.accuracy:.3f}, "
    return (
        (f"{run} " if run else "")
        + f"epoch {report.epoch}: train loss {report.train_loss:.3f}, {accuracy}dev loss {report.dev.loss:.3f}"
        + (" (best)" if report.best else "")
        + (f"\n{report.restart}" if report.restart else "")
    )


class TrainingProgress:
    """Draws training runs; a listener of `promptbank.training.progress`."""

    def __init__(self) -> None:
        self._progress = bar()
        self._bars: dict[str, TaskID] = {}
        self._steps: dict[str, tuple[int, int]] = {}
        self._losses: dict[str, float] = {}

    def __enter__(self) -> TrainingProgress:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        self._progress.stop()

    def on_prefix(self, done: int, total: int) -> None:
        """Show how many texts have been read."""
        self._move("reading texts once", done, total)

    def on_step(self, report: StepReport) -> None:
        """Show the steps of all runs, and their mean loss."""
        self._steps[report.run] = (report.step, report.steps)
        self._losses[report.run] = report.loss
        done, total = (sum(column) for column in zip(*self._steps.values(), strict=True))
        self._move("training", done, total)
        loss = sum(self._losses.values()) / len(self._losses)
        runs = f" {len(self._losses)} runs" if len(self._losses) > 1 else ""
        self._progress.update(self._bars["training"], total=total, description=f"training{runs}, loss {loss:.3f}")

    def on_epoch(self, report: EpochReport) -> None:
        """Print the epoch's line."""
        self._progress.console.print(epoch_line(report, report.run), highlight=False, soft_wrap=True)

    def _move(self, name: str, done: int, total: int) -> None:
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(name, total=total)
        self._progress.update(self._bars[name], completed=done)
