"""The dev score that chooses the epoch: labels by their forms for closed cards, answer loss for open ones."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby

import torch
from torch import Tensor

from promptbank.engine.scoring import ScoringRequest, label_scores, score_forms
from promptbank.model.forward import LanguageModel, cache_of
from promptbank.model.inject import pack
from promptbank.model.layers import before_layers
from promptbank.model.prompt_kinds import LAYER_VECTORS
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Renderer
from promptbank.training.examples import TrainExample, example_losses
from promptbank.training.progress import DevScore
from tasks import Example, classification_report

__all__ = ["DevSet"]

BATCH = 32
SCALE_PROMPTS = 8
"""Most dev prompts over which the scale of hidden states is measured."""


class DevSet:
    """Rendered dev examples, with the float32 keys and values of their constant beginnings.

    Args:
        lm: the float32 backbone.
        renderer: of the task.
        examples: the dev examples, with answers.
        rendered: the same as tokens.
        held: keys and values by beginning, or None to compute everything each time.
    """

    def __init__(
        self,
        lm: LanguageModel,
        renderer: Renderer,
        examples: Sequence[Example],
        rendered: Sequence[TrainExample],
        held: Mapping[tuple[int, ...], Tensor] | None,
    ) -> None:
        self._lm, self._renderer, self._held = lm, renderer, held
        self._gold = [example.answer or "" for example in examples]
        self._examples = rendered

    @torch.no_grad()
    def score(self, table: PromptTable) -> DevScore:
        """Score a prompt table on all dev examples."""
        outcomes = [
            (i, *out) for batch in self._batches() for i, out in zip(batch, self._outcomes(table, batch), strict=True)
        ]
        loss = math.fsum(loss for _, loss, _ in outcomes) / len(outcomes)
        space = self._renderer.card.label_space
        if space is None:
            return DevScore(None, loss, n=len(outcomes))
        report = classification_report(
            [self._gold[i] for i, _, _ in outcomes], [p for _, _, p in outcomes], tuple(space)
        )
        return DevScore(report.accuracy, loss, report.collapse, len(outcomes))

    @torch.no_grad()
    def scales(self, start: PromptTable) -> dict[str, Tensor]:
        """Return the scale of each tensor that a start has beside its input rows, by name.

        That of its vectors between the layers is the root mean square of the hidden states that they are added to,
        over the virtual tokens of some dev prompts, (L - 1, 1, 1): from layer to layer it differs by two orders of
        magnitude, and one learning rate serves them all.
        """
        if start.layer_vectors is None:
            return {}
        batch = self._batches()[0][:SCALE_PROMPTS]
        held = None if self._held is None else cache_of([self._held[self._examples[i].beginning] for i in batch])
        packed = pack([self._examples[i].prompt[self._start(i) :] for i in batch], [start] * len(batch))
        found: list[Tensor] = []

        def measure(_place: int, hidden: Tensor) -> Tensor:
            found.append(hidden[packed.slots >= 0].square().mean().sqrt())
            return hidden

        with before_layers(self._lm.layers[1:], measure):
            self._lm.hidden(packed, held)
        return {LAYER_VECTORS: torch.stack(found)[:, None, None]}

    def _batches(self) -> list[list[int]]:
        """Return indices of examples that are equally long after the constant part (see `score_forms`)."""
        examples = self._examples

        def tail(i: int) -> int:
            return len(examples[i].prompt) - self._start(i)

        order = sorted(range(len(examples)), key=lambda i: (tail(i), len(examples[i].prompt)))
        groups = [list(group) for _, group in groupby(order, key=tail)]
        return [group[i : i + BATCH] for group in groups for i in range(0, len(group), BATCH)]

    def _start(self, index: int) -> int:
        return self._examples[index].constant if self._held is not None else 0

    def _outcomes(self, table: PromptTable, batch: list[int]) -> list[tuple[float, str]]:
        """Return loss and predicted label of each example in a batch; no label for open answers."""
        examples = [self._examples[i] for i in batch]
        held = None if self._held is None else [self._held[example.beginning] for example in examples]
        if self._renderer.card.is_open:
            return [(float(loss), "") for loss in example_losses(self._lm, [table] * len(batch), examples, held)]
        prompts = [self._examples[i].prompt[self._start(i) :] for i in batch]
        requests = [ScoringRequest.of(prompt, table, self._renderer) for prompt in prompts]
        scored = score_forms(self._lm, requests, held)
        return [self._closed(scores, self._gold[i]) for i, scores in zip(batch, scored, strict=True)]

    def _closed(self, scores: Tensor, gold: str) -> tuple[float, str]:
        by_label = label_scores(self._renderer.forms, scores)
        total = float(torch.tensor(list(by_label.values())).logsumexp(0))
        return total - by_label[gold], max(by_label, key=by_label.__getitem__)
