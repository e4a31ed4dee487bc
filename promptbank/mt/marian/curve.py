"""The curve of a training: one JSON object a line, cut back to the checkpoint when a training is taken up again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Curve", "Point", "read_curve"]


@dataclass(frozen=True)
class Point:
    """One point.

    Attributes:
        step: steps done.
        epoch: epoch under way, from 0.
        tokens: target tokens learnt from so far.
        lr: learning rate of the step.
        loss: mean over the steps since the last point, nats a target token, label smoothing included.
        dev_loss: nats a target token without smoothing, where it was measured.
        tokens_per_second: target tokens since the last point; wall clock, so it differs from run to run.
    """

    step: int
    epoch: int
    tokens: int
    lr: float
    loss: float
    dev_loss: float | None
    tokens_per_second: float


def read_curve(path: Path) -> list[Point]:
    """Return the points of a curve; a last line that was cut off by a kill is left out."""
    points = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            points.append(Point(**json.loads(line)))
        except ValueError:
            break
    return points


class Curve:
    """Writes points.

    Args:
        path: of the file.
        on_point: hears each point once it is written.
    """

    def __init__(self, path: Path, on_point: Callable[[Point], None]) -> None:
        self._path, self._on_point = path, on_point

    def cut_back(self, step: int) -> None:
        """Forget the points after a step: they are about to be made again."""
        kept = [point for point in read_curve(self._path) if point.step <= step]
        self._path.write_text("".join(json.dumps(asdict(point)) + "\n" for point in kept), encoding="utf-8")

    def add(self, point: Point) -> None:
        """Write a point."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(point)) + "\n")
        self._on_point(point)
