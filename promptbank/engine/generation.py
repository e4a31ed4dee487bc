"""Greedy generation for open answers: a small decode loop on held keys and values.

Greedy because that is what was trained and measured; rows that have ended leave the batch, so one long answer does
not keep the others computing. A row may have a constraint, which says what may follow. What it leaves no choice about
costs no pass of its own: such tokens run together with the next one that does, as many as all rows of the batch have.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from promptbank.engine.grammar import Constraint
from promptbank.model.forward import LanguageModel
from promptbank.model.inject import pack
from promptbank.model.prompt_table import PromptTable

__all__ = ["generate"]


@torch.no_grad()
def generate(
    lm: LanguageModel,
    prompts: Sequence[tuple[int, ...]],
    tables: Sequence[PromptTable] | None = None,
    *,
    eos_id: int,
    max_tokens: int,
    constraints: Sequence[Constraint | None] | None = None,
) -> list[list[int]]:
    """Continue each prompt greedily until its end token.

    Args:
        lm: the backbone.
        prompts: B rendered prompts.
        tables: the prompt table of each; None where none has virtual tokens.
        eos_id: the end token.
        max_tokens: most tokens generated, the end token included.
        constraints: for each prompt what its answer may be, None for any; advanced by this call.

    Returns:
        B lists of ids; one that was not cut by ``max_tokens`` ends with ``eos_id``.
    """
    rows = [_Row(one, eos_id, max_tokens) for one in constraints or [None] * len(prompts)]
    begun = [(*prompt, *row.fed(len(row.waiting))) for prompt, row in zip(prompts, rows, strict=True)]
    context = lm.context(len(prompts))
    hidden = lm.hidden(pack(begun, tables), context)[:, -1]  # (B, H)
    active = rows
    while True:
        asks = [i for i, row in enumerate(active) if not row.waiting and not row.ended]
        if asks:
            for i, logits in zip(asks, lm.head(hidden[asks]), strict=True):
                active[i].choose(logits)
        going = [i for i, row in enumerate(active) if not row.ended]
        if not going:
            return [row.answer for row in rows]
        if len(going) < len(active):
            context, active = context.select(torch.tensor(going)), [active[i] for i in going]
        shared = min(len(row.waiting) for row in active)
        hidden = lm.hidden(pack([row.fed(shared) for row in active]), context)[:, -1]


class _Row:
    """One answer on its way.

    Attributes:
        answer: tokens so far.
        waiting: of these, the ones that the backbone has not read yet.
    """

    def __init__(self, constraint: Constraint | None, eos_id: int, max_tokens: int) -> None:
        self._constraint, self._eos_id, self._left = constraint, eos_id, max_tokens
        self._allowed: Tensor | None = None  # any, without a constraint
        self.answer: list[int] = []
        self.waiting: list[int] = []
        self._follow()

    @property
    def ended(self) -> bool:
        """Whether no token can follow."""
        return self._left == 0

    def choose(self, logits: Tensor) -> None:
        """Take the most probable id of those that may follow, and what it leaves no choice about.

        Args:
            logits: (vocabulary,).
        """
        allowed = self._allowed
        self._take(int(logits.argmax() if allowed is None else allowed[logits[allowed].argmax()]))
        self._follow()

    def fed(self, count: int) -> list[int]:
        """Hand over the first waiting tokens."""
        first, self.waiting = self.waiting[:count], self.waiting[count:]
        return first

    def _follow(self) -> None:
        """Take tokens as long as only one may follow, and note what may follow then."""
        while self._constraint is not None and not self.ended:
            self._allowed = self._constraint.allowed()
            if len(self._allowed) > 1:
                return
            self._take(int(self._allowed[0]))

    def _take(self, token: int) -> None:
        self.answer.append(token)
        self.waiting.append(token)
        self._left = 0 if token == self._eos_id else self._left - 1
        if self._constraint is not None:
            self._constraint.advance(token)
