"""Progress of a translation: a bar on a terminal, lines in a log, a file for `mt status`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from promptbank.cli.progress import counting
from promptbank.files import write_text
from translate.pipeline.memory import Step

__all__ = ["Rounds", "progress"]


@contextmanager
def progress(status: Path | None) -> Iterator[Callable[[Step], None]]:
    """Show the engine's progress, a bar or a line every half minute, and keep it in a file for `mt status`."""
    sums = Rounds()
    with counting() as show:

        def on_step(step: Step) -> None:
            sums.add(step)
            show(sums.done, sums.total, sums.words())
            if status:
                write_text(status, json.dumps(sums.plain()) + "\n")

        yield on_step


class Rounds:
    """Sums the steps of a run's rounds: marked, plain, with placeholders, values alone, other ways."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._before = self._now = Step(0, 0, 0)

    def add(self, step: Step) -> None:
        """Take a step in; a round that is done is followed by a new one."""
        if self._now.done == self._now.total:
            self._before = self._sum()
        self._now = step

    @property
    def done(self) -> int:
        """Segments that are translated, so far."""
        return self._sum().done

    @property
    def total(self) -> int:
        """Segments of the rounds that have begun."""
        return self._sum().total

    @property
    def rate(self) -> float:
        """Segments a second that the engine translates."""
        step = self._sum()
        return (step.done - step.recalled) / max(time.monotonic() - self._began, 1e-9)

    def words(self) -> str:
        """Return what to say beside the numbers."""
        return f"translating, {self.rate:.1f} segments/s" if self.rate else "translating"

    def plain(self) -> dict[str, float | None]:
        """Return the figures; seconds left are those of the round."""
        step, seconds = self._sum(), time.monotonic() - self._began
        left = round((step.total - step.done) / self.rate, 1) if self.rate else None
        return {**vars(step), "seconds": round(seconds, 1), "seconds_left": left}

    def _sum(self) -> Step:
        return Step(
            *(old + new for old, new in zip(vars(self._before).values(), vars(self._now).values(), strict=True))
        )
