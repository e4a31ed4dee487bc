"""Greedy generation for open answers: a small decode loop on held keys and values.

Greedy because that is what was trained and measured; rows that have ended leave the batch, so one long answer does
not keep the others computing. A row may have a constraint, which says what may follow.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from promptbank.engine.grammar import Constraint
from promptbank.forward import LanguageModel, open_context
from promptbank.inject import pack

__all__ = ["generate"]


@torch.no_grad()
def generate(
    lm: LanguageModel,
    table: Tensor,
    prompts: Sequence[tuple[int, ...]],
    offsets: Sequence[int],
    *,
    eos_id: int,
    max_tokens: int,
    constraints: Sequence[Constraint | None] | None = None,
) -> list[list[int]]:
    """Continue each prompt greedily until its end token.

    Args:
        lm: the backbone.
        table: (R, H) virtual rows of all tasks in the batch.
        prompts: B rendered prompts.
        offsets: where each prompt's virtual rows start in the table.
        eos_id: the end token.
        max_tokens: most tokens generated, the end token included.
        constraints: for each prompt what its answer may be, None for any; advanced by this call.

    Returns:
        B lists of ids; one that was not cut by ``max_tokens`` ends with ``eos_id``.
    """
    answers: list[list[int]] = [[] for _ in prompts]
    context = open_context(len(prompts))
    hidden = lm.hidden(pack(prompts, offsets), table, context)[:, -1]  # (B, H)
    active = torch.arange(len(prompts))
    for left in reversed(range(max_tokens)):
        chosen = _choose(lm.head(hidden), [constraints[row] for row in active.tolist()] if constraints else ())
        for row, token in zip(active.tolist(), chosen.tolist(), strict=True):
            answers[row].append(token)
        going = (chosen != eos_id).nonzero().squeeze(1)
        if left == 0 or len(going) == 0:
            break
        if len(going) < len(active):
            context, active, chosen = context.select(going), active[going], chosen[going]
        hidden = lm.hidden(pack([[token] for token in chosen.tolist()]), table, context)[:, -1]
    return answers


def _choose(logits: Tensor, constraints: Sequence[Constraint | None]) -> Tensor:
    """Return the most probable id of each row, of those that its constraint allows.

    Args:
        logits: (active, vocabulary).
        constraints: of each row; none for all if empty.

    Returns:
        int64 (active,).
    """
    chosen = logits.argmax(-1)
    for row, constraint in enumerate(constraints):
        if constraint is not None:
            allowed = constraint.allowed()
            chosen[row] = allowed[logits[row, allowed].argmax()]
            constraint.advance(int(chosen[row]))
    return chosen
