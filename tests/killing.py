"""Kills a training from inside, as a signal would at that moment."""

from __future__ import annotations

from promptbank.training.progress import NoProgress, StepReport


class Killed(Exception):
    pass


class KillAt(NoProgress):
    """Kills at a step of a run, by the number that is reported."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, report: StepReport) -> None:
        if report.step == self.step:
            raise Killed


class KillAfter(NoProgress):
    """Kills after so many steps, of whichever runs."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def on_step(self, report: StepReport) -> None:
        self.left -= 1
        if not self.left:
            raise Killed
