"""Progress for people: a bar on a terminal, lines in a log."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import TracebackType
from typing import Self

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
from promptbank.training.curve import CurvePoint
from promptbank.training.progress import EpochReport, NoProgress, StepReport

__all__ = ["ComparisonProgress", "TrainingProgress", "TranslatorProgress", "counting"]

LINE_SECONDS = 30.0
"""Between two lines of progress where no terminal shows a bar."""

LOG_STEPS = 20
"""Steps of a translator's training from one line to the next, and over which speed and loss are averaged."""


def _bar() -> Progress:
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
    with _bar() if sys.stderr.isatty() else nullcontext() as shown:
        line = shown.add_task("", total=None) if shown else None

        def show(done: int, total: int, what: str) -> None:
            nonlocal told
            if shown and line is not None:
                shown.update(line, completed=done, total=total, description=what)
            elif time.monotonic() - told > LINE_SECONDS:
                say(f"{done}/{total} {what}")
                told = time.monotonic()

        yield show


class _Drawn(NoProgress):
    """A bar that is drawn inside a ``with`` block on a terminal, and lines above it."""

    def __init__(self) -> None:
        self._progress, self._is_shown = _bar(), sys.stderr.isatty()

    def __enter__(self) -> Self:
        """Start drawing, if there is a terminal to draw on."""
        if self._is_shown:
            self._progress.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        if self._is_shown:  # elsewhere it would print an empty line
            self._progress.stop()

    def _print(self, text: str) -> None:
        self._progress.console.print(text, highlight=False, soft_wrap=True)

    def _print_epoch(self, report: EpochReport, run: str) -> None:
        accuracy = "" if report.dev.accuracy is None else f"dev accuracy {report.dev.accuracy:.3f}, "
        self._print(
            (f"{run} " if run else "")
            + f"epoch {report.epoch}: train loss {report.train_loss:.3f}, {accuracy}dev loss {report.dev.loss:.3f}"
            + (" (best)" if report.best else "")
            + (f"\n{report.restart}" if report.restart else "")
        )


class TrainingProgress(_Drawn):
    """Draws training runs, all in one bar."""

    def __init__(self) -> None:
        super().__init__()
        self._bars: dict[str, TaskID] = {}
        self._latest: dict[str, StepReport] = {}

    def on_prefix(self, done: int, total: int) -> None:
        """Show how many texts have been read."""
        self._move("reading texts once", done, total)

    def on_step(self, report: StepReport) -> None:
        """Show the steps of all runs, and their mean loss."""
        self._latest[report.run] = report
        latest = self._latest.values()
        total = sum(run.steps for run in latest)
        self._move("training", sum(run.step for run in latest), total)
        runs = f" {len(latest)} runs" if len(latest) > 1 else ""
        loss = sum(run.loss for run in latest) / len(latest)
        self._progress.update(self._bars["training"], total=total, description=f"training{runs}, loss {loss:.3f}")

    def on_epoch(self, report: EpochReport) -> None:
        """Print the epoch's line."""
        self._print_epoch(report, report.run)

    def _move(self, name: str, done: int, total: int) -> None:
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(name, total=total)
        self._progress.update(self._bars[name], completed=done)


class ComparisonProgress(_Drawn):
    """Draws a comparison of methods: which run is under way, and how far it is.

    Args:
        runs: method and seed of each run, in order.
    """

    def __init__(self, runs: Sequence[tuple[str, int]]) -> None:
        super().__init__()
        self._runs, self._run = runs, ""
        self._bar = self._progress.add_task("runs", total=len(runs))

    def on_run(self, name: str, seed: int) -> None:
        """Show the run that begins, and print it."""
        self._run, done = f"{name}, seed {seed}", self._runs.index((name, seed))
        self._progress.update(self._bar, completed=done, description=self._run)
        self._print(f"{self._run}: run {done + 1} of {len(self._runs)}")

    def on_prefix(self, done: int, total: int) -> None:
        """Show how many texts have been read."""
        self._progress.update(self._bar, description=f"{self._run}: {done} of {total} texts read once")

    def on_step(self, report: StepReport) -> None:
        """Show the step and its loss."""
        told = f"{self._run}: step {report.step} of {report.steps}, loss {report.loss:.3f}"
        self._progress.update(self._bar, description=told)

    def on_epoch(self, report: EpochReport) -> None:
        """Print the epoch's line."""
        self._print_epoch(report, self._run)


class TranslatorProgress(_Drawn):
    """Tells of the training of a translator: a bar on a terminal, a line every 20 steps in a log."""

    def __init__(self) -> None:
        super().__init__()
        self._recent: deque[StepReport] = deque(maxlen=LOG_STEPS)
        self._line = self._progress.add_task("training")

    def on_step(self, report: StepReport) -> None:
        """Tell of the last steps: loss, seconds a step, tokens a second, time left."""
        self._recent.append(report)
        count, taken = len(self._recent), sum(step.seconds for step in self._recent)
        loss, tokens = (sum(step.loss for step in self._recent) / count, sum(step.tokens for step in self._recent))
        said = f"loss {loss:.3f}, {taken / count:.2f} s a step, {tokens / max(taken, 1e-9):.0f} tokens/s"
        if self._is_shown:
            self._progress.update(self._line, completed=report.step, total=report.steps, description=said)
        elif report.step % LOG_STEPS == 0:
            left = (report.steps - report.step) * taken / count / 3600
            say(f"step {report.step}/{report.steps}: {said}, lr {report.lr:.1e}, {left:.1f} h left")

    def on_point(self, point: CurvePoint) -> None:
        """Tell of a point of the curve."""
        scores = "".join(f", {name} chrF2 {value:.1f}" for name, value in point.chrf2.items())
        dev = "" if point.dev_loss is None else f", dev loss {point.dev_loss:.3f}"
        averaged = " (averaged weights)" if point.averaged else ""
        say(f"after {point.step} steps{averaged}: {point.tokens} tokens{dev}{scores}")
