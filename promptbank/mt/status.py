"""How far a translation is: summed over its rounds, shown, and kept in a file for `mt status`."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from promptbank.errors import InputError
from promptbank.files import write_text
from translate.pipeline.memory import Step

__all__ = ["STATUS", "TranslationStatus", "read_status"]

STATUS = "status.json"


class TranslationStatus:
    """Sums the steps of a run's rounds: marked, plain, with placeholders, values alone, rewritten.

    Args:
        show: called with the segments that are done, those of the rounds that have begun, and what is being done.
        path: file that holds the figures; None keeps none.
    """

    def __init__(self, show: Callable[[int, int, str], None], path: Path | None = None) -> None:
        self._show, self._path = show, path
        self._began = time.monotonic()
        self._before = self._now = Step(0, 0, 0)

    def on_step(self, step: Step) -> None:
        """Take a step in; a round that is done is followed by a new one."""
        if self._now.done == self._now.total:
            self._before = self._sum()
        self._now = step
        total, rate = self._sum(), self._rate()
        self._show(total.done, total.total, f"translating, {rate:.1f} segments/s" if rate else "translating")
        if self._path:
            write_text(self._path, json.dumps(self.figures()) + "\n")

    def figures(self) -> dict[str, float | None]:
        """Return segments done, in all and recalled; seconds so far, and left in this round (None if not known)."""
        total, rate = self._sum(), self._rate()
        left = round((total.total - total.done) / rate, 1) if rate else None
        return {**vars(total), "seconds": round(time.monotonic() - self._began, 1), "seconds_left": left}

    def _rate(self) -> float:
        """Return the segments a second that the engine translates."""
        total = self._sum()
        return (total.done - total.recalled) / max(time.monotonic() - self._began, 1e-9)

    def _sum(self) -> Step:
        return Step(
            *(old + new for old, new in zip(vars(self._before).values(), vars(self._now).values(), strict=True))
        )


def read_status(out: Path) -> object:
    """Return the figures of a translation into a folder.

    Raises:
        InputError: none was begun there.
    """
    try:
        return json.loads((out / STATUS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise InputError(f"{out} has no readable {STATUS}; no translation was begun there") from exc
