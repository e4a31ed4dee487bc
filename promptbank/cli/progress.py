"""What goes on, for people: bars on a terminal, lines in a log."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

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

from promptbank.bank.display import Display
from promptbank.bank.session import Bank
from promptbank.cli.output import say
from promptbank.config import Settings
from promptbank.training.curve import CurvePoint
from promptbank.training.progress import DevScore, EpochReport, StepReport
from tasks import counted
from tasks.statistics import share_error

__all__ = ["TerminalDisplay", "opened", "shown"]

LINE_SECONDS = 30.0
"""Between two lines of a count where no terminal shows a bar."""

LOG_STEPS = 20
"""Steps of a translator's training from one line to the next, and over which speed and loss are averaged."""


@contextmanager
def opened(settings: Settings) -> Iterator[Bank]:
    """Open a bank; what goes on is shown on stderr."""
    with shown() as display, Bank(settings, display) as bank:
        yield bank


@contextmanager
def shown() -> Iterator[TerminalDisplay]:
    """Show what goes on, on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bars = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
    display = TerminalDisplay(bars, is_drawn=sys.stderr.isatty())
    if not sys.stderr.isatty():  # where bars cannot be drawn, they would leave an empty line
        yield display
        return
    with bars:
        yield display


class TerminalDisplay(Display):
    """Shows counts and trainings.

    Args:
        bars: where bars are drawn.
        is_drawn: whether there is a terminal for them; lines are printed otherwise.
    """

    def __init__(self, bars: Progress, *, is_drawn: bool) -> None:
        super().__init__(say)
        self._progress, self._is_drawn = bars, is_drawn
        self._bars: dict[str, TaskID] = {}
        self._latest: dict[str, StepReport] = {}
        self._recent: deque[StepReport] = deque(maxlen=LOG_STEPS)
        self._told = time.monotonic()
        self._begun: dict[str, tuple[int, float]] = {}
        """By run: the epoch of the first step that was seen, and when."""

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Draw a bar that moves, with the seconds so far."""
        bar = self._progress.add_task(what, total=None)
        try:
            yield
        finally:
            self._progress.remove_task(bar)

    def count(self, done: int, total: int, what: str) -> None:
        """Draw a bar, or print a line every half minute."""
        if self._is_drawn:
            self._draw("count", done, total, what)
        elif time.monotonic() - self._told > LINE_SECONDS:
            say(f"{done}/{total} {what}")
            self._told = time.monotonic()

    def on_prefix(self, done: int, total: int) -> None:
        """Draw how many texts have been read."""
        self._draw("texts", done, total, "reading texts once")

    def on_step(self, report: StepReport) -> None:
        """Draw the steps of all runs, and their mean loss; of a translator also the speed, which a log is told too."""
        if report.tokens:
            self._tell_speed(report)
            return
        self._latest[report.run] = report
        self._begun.setdefault(report.run, (report.epoch, time.monotonic()))
        latest = self._latest.values()
        runs = f" {len(latest)} runs" if len(latest) > 1 else ""
        loss = sum(run.loss for run in latest) / len(latest)
        done, total = (sum(run.step for run in latest), sum(run.steps for run in latest))
        self._draw("steps", done, total, f"{self.part} training{runs}, loss {loss:.3f}".lstrip())

    def on_epoch(self, report: EpochReport) -> None:
        """Print the epoch's line: scores, time left, and why the run ends."""
        of = f" of {report.epochs}" if report.epochs else ""
        self._print(
            (f"{run} " if (run := report.run or self.part) else "")
            + f"epoch {report.epoch}{of}: train loss {report.train_loss:.3f}, {_accuracy(report.dev)}"
            + f"dev loss {report.dev.loss:.3f}"
            + (" (best)" if report.best else "")
            + self._left(report)
            + (f"; ended: {report.ended}" if report.ended else "")
            + (f"\n{report.restart}" if report.restart else "")
        )

    def _left(self, report: EpochReport) -> str:
        """Say how long the rest of a run takes at most, by the mean of the epochs that were seen."""
        first, begun = self._begun.get(report.run, (report.epoch, time.monotonic()))
        seen, left = report.epoch - first + 1, report.epochs - report.epoch
        if report.ended or left <= 0 or seen < 1 or report.run not in self._begun:  # 0 after a resume between epochs
            return ""
        return f", at most {_duration(left * (time.monotonic() - begun) / seen)} left"

    def on_point(self, point: CurvePoint) -> None:
        """Print a point of a translator's curve."""
        scores = "".join(f", {name} chrF2 {value:.1f}" for name, value in point.chrf2.items())
        dev = "" if point.dev_loss is None else f", dev loss {point.dev_loss:.3f}"
        averaged = " (averaged weights)" if point.averaged else ""
        self._print(f"after {point.step} steps{averaged}: {point.tokens} tokens{dev}{scores}")

    def on_freezing(self, name: str, examples: int) -> None:
        """Say what is waited for."""
        dev = counted(examples, "dev example is", "dev examples are")
        self._print(
            f"{name}: {dev} answered in float32, in float16 and by the stored row, to see that they are the same"
        )

    def _tell_speed(self, report: StepReport) -> None:
        """Tell of the last steps: loss, seconds a step, tokens a second, time left."""
        self._recent.append(report)
        count, taken = len(self._recent), sum(step.seconds for step in self._recent)
        loss, tokens = (sum(step.loss for step in self._recent) / count, sum(step.tokens for step in self._recent))
        told = f"loss {loss:.3f}, {taken / count:.2f} s a step, {tokens / max(taken, 1e-9):.0f} tokens/s"
        self._draw("steps", report.step, report.steps, told)
        if not self._is_drawn and report.step % LOG_STEPS == 0:
            left = (report.steps - report.step) * taken / count / 3600
            say(f"step {report.step}/{report.steps}: {told}, lr {report.lr:.1e}, {left:.1f} h left")

    def _draw(self, name: str, done: int, total: int, description: str) -> None:
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(description)
        self._progress.update(self._bars[name], completed=done, total=total, description=description)

    def _print(self, text: str) -> None:
        self._progress.console.print(text, highlight=False, soft_wrap=True)


def _accuracy(dev: DevScore) -> str:
    if dev.accuracy is None:
        return ""
    error = f" ± {share_error(dev.accuracy, dev.n):.3f}" if dev.n else ""
    return f"dev accuracy {dev.accuracy:.3f}{error}, "


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
