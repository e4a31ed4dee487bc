"""The dev score that chooses the epoch: labels by their forms for closed cards, answer loss for open ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

import torch
from torch import Tensor

from promptbank.engine.scoring import ScoringRequest, label_scores, score_forms
from promptbank.model.forward import LanguageModel
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Renderer
from promptbank.training.examples import TrainRow, row_losses
from promptbank.training.kv_cache import Held
from tasks import Example, classification_report

__all__ = ["DevScore", "DevSet"]

BATCH_ROWS = 32


@dataclass(frozen=True)
class DevScore:
    """A dev score in float32.

    Attributes:
        accuracy: share of right labels; None for open answers.
        loss: mean -log p(gold label) over the label set in nats, or per learnt answer token for open answers.
        collapse: what is said when nearly all predictions are one label though the gold ones are mixed.
    """

    accuracy: float | None
    loss: float
    collapse: str | None = None

    def better_than(self, other: DevScore | None) -> bool:
        """Whether this score is higher: more right labels, and among equals a lower loss."""
        return other is None or self._key > other._key

    @property
    def _key(self) -> tuple[float, float]:
        return (self.accuracy if self.accuracy is not None else 0.0, -self.loss)

    def as_dict(self) -> dict[str, object]:
        """Return a plain mapping."""
        return asdict(self)


class DevSet:
    """Rendered dev rows, with the float32 keys and values of their constant beginnings.

    Args:
        lm: the float32 backbone.
        renderer: of the task.
        examples: the dev examples, with answers.
        rows: the same, rendered.
        held: keys and values by row, or None to compute everything each time.
    """

    def __init__(
        self,
        lm: LanguageModel,
        renderer: Renderer,
        examples: Sequence[Example],
        rows: Sequence[TrainRow],
        held: Held | None,
    ) -> None:
        self._lm, self._renderer, self._held = lm, renderer, held
        self._gold = [example.answer or "" for example in examples]
        self._rows = rows

    @torch.no_grad()
    def score(self, table: PromptTable) -> DevScore:
        """Score a prompt table on all dev rows."""
        outcomes = [
            (i, *out) for batch in self._batches() for i, out in zip(batch, self._outcomes(table, batch), strict=True)
        ]
        loss = math.fsum(loss for _, loss, _ in outcomes) / len(outcomes)
        space = self._renderer.card.label_space
        if space is None:
            return DevScore(None, loss)
        report = classification_report(
            [self._gold[i] for i, _, _ in outcomes], [p for _, _, p in outcomes], tuple(space)
        )
        return DevScore(report.accuracy, loss, report.collapse)

    def _batches(self) -> list[list[int]]:
        """Row indices, equally long after the constant part (see `score_forms`)."""

        def tail(i: int) -> int:
            return len(self._rows[i].prompt) - self._start(i)

        order = sorted(range(len(self._rows)), key=lambda i: (tail(i), len(self._rows[i].prompt)))
        groups = [list(group) for _, group in groupby(order, key=tail)]
        return [group[i : i + BATCH_ROWS] for group in groups for i in range(0, len(group), BATCH_ROWS)]

    def _start(self, row: int) -> int:
        return self._rows[row].constant if self._held is not None else 0

    def _outcomes(self, table: PromptTable, batch: list[int]) -> list[tuple[float, str]]:
        """Loss and predicted label of each row in a batch; no label for open answers."""
        held = [self._held[i] for i in batch] if self._held is not None else None
        if self._renderer.card.is_open:
            rows = [self._rows[i] for i in batch]
            losses = row_losses(self._lm, [table] * len(rows), rows, held)
            return [(float(loss), "") for loss in losses]
        forms = self._renderer.forms
        requests = [ScoringRequest(self._rows[i].prompt[self._start(i) :], table, forms) for i in batch]
        scored = score_forms(self._lm, requests, held)
        return [self._closed(scores, self._gold[i]) for i, scores in zip(batch, scored, strict=True)]

    def _closed(self, scores: Tensor, gold: str) -> tuple[float, str]:
        by_label = label_scores(self._renderer.forms, scores)
        total = float(torch.tensor(list(by_label.values())).logsumexp(0))
        return total - by_label[gold], max(by_label, key=by_label.__getitem__)
