"""The curve of a training: loss on dev pairs and scores of translations, one JSON line for each evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from promptbank.files import write_file

__all__ = ["Curve", "EvalSet", "Evaluation"]


@dataclass(frozen=True)
class EvalSet:
    """Sentences with human translations.

    Attributes:
        name: such as "flores-dev".
        texts: source sentences.
        references: their translations.
    """

    name: str
    texts: tuple[str, ...]
    references: tuple[str, ...]

    def first(self, rows: int) -> EvalSet:
        """Return the set's beginning."""
        return EvalSet(self.name, self.texts[:rows], self.references[:rows])


@dataclass(frozen=True)
class Evaluation:
    """How good a translator is after some steps.

    Attributes:
        step: optimizer steps that were done.
        train_loss: mean over the steps since the last evaluation, in nats a token; None before the first step.
        dev_loss: over all answer tokens of the dev pairs, in nats a token; None without dev pairs.
        chrf2: by set, 0 to 100.
        tokens: real tokens read so far.
        seconds: of training so far.
        averaged: whether these are averaged weights.
    """

    step: int
    train_loss: float | None
    dev_loss: float | None
    chrf2: Mapping[str, float] = field(default_factory=dict)
    tokens: int = 0
    seconds: float = 0.0
    averaged: bool = False


class Curve:
    """The file; a run that goes on from a checkpoint drops what lies after it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Evaluation]:
        """Return the evaluations so far; a line cut by a kill is dropped."""
        if not self._path.exists():
            return []
        return [Evaluation(**json.loads(line)) for line in self._path.read_text().splitlines() if line.endswith("}")]

    def add(self, evaluation: Evaluation) -> None:
        """Add one, in the place of any with as many or more steps."""
        self._write(
            [*(e for e in self.read() if e.step < evaluation.step or e.averaged < evaluation.averaged), evaluation]
        )

    def rewind(self, step: int) -> None:
        """Drop what lies after a step."""
        self._write([e for e in self.read() if e.step <= step and not e.averaged])

    def _write(self, evaluations: Sequence[Evaluation]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_file(self._path, "".join(json.dumps(asdict(e)) + "\n" for e in evaluations))
