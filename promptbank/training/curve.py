"""The learning curve of a translator's training: a file of one JSON object a line."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from promptbank.files import write_file

__all__ = ["CurvePoint", "LearningCurve"]


@dataclass(frozen=True)
class CurvePoint:
    """How good a translator is after some steps.

    Attributes:
        step: optimizer steps that were done.
        train_loss: mean over the steps since the last point, in nats a token; None before the first step.
        dev_loss: over all answer tokens of the dev pairs, in nats a token; None where it was not measured.
        chrf2: of translated evaluation sets by name, 0 to 100.
        tokens: read so far.
        seconds: of training so far, over all processes.
        averaged: whether these are averaged weights.
        lr: learning rate of the last step; None before the first.
        epoch: passes over the corpus that were done.
    """

    step: int
    train_loss: float | None
    dev_loss: float | None
    chrf2: Mapping[str, float] = field(default_factory=dict)
    tokens: int = 0
    seconds: float = 0.0
    averaged: bool = False
    lr: float | None = None
    epoch: int = 0


class LearningCurve:
    """The file; a training that goes on from a checkpoint drops what lies after it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[CurvePoint]:
        """Return the points so far; a line cut by a kill is dropped."""
        if not self._path.exists():
            return []
        return [CurvePoint(**json.loads(line)) for line in self._path.read_text().splitlines() if line.endswith("}")]

    def add(self, point: CurvePoint) -> None:
        """Add one, in the place of any with as many or more steps."""
        self._write([*(p for p in self.read() if p.step < point.step or p.averaged < point.averaged), point])

    def rewind(self, step: int) -> None:
        """Drop what lies after a step."""
        self._write([point for point in self.read() if point.step <= step and not point.averaged])

    def _write(self, points: Sequence[CurvePoint]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_file(self._path, "".join(json.dumps(asdict(point)) + "\n" for point in points))
