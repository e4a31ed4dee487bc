"""Training rows, their batches, and the loss on their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from promptbank.forward import LanguageModel, cache_of
from promptbank.head import FrozenHead
from promptbank.inject import pack
from promptbank.render import Renderer
from tasks import Example

__all__ = ["TrainRow", "epoch_batches", "render_rows", "row_losses"]

BUCKET_BATCHES = 8
"""Batches shuffled together before they are sorted by length: little padding, and still a new mixture each epoch."""


@dataclass(frozen=True)
class TrainRow:
    """One example as ids.

    Attributes:
        prompt: ids before the answer, as inference renders them.
        answer: ids of the answer, its end token included.
        constant: number of leading ids before the first virtual token.
        truncated: characters cut from the text.
        answer_only: the card's ``answer_only_loss``; otherwise discrete tokens of the template are learnt too.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    constant: int
    truncated: int
    answer_only: bool = True

    @property
    def ids(self) -> tuple[int, ...]:
        """Prompt and answer."""
        return self.prompt + self.answer

    def targets(self, start: int) -> list[int]:
        """Return the positions (from ``start``) whose next token is learnt.

        Args:
            start: first position that is computed; what lies before it is constant and teaches nothing.
        """
        ids, first = self.ids, len(self.prompt) - 1
        return [t for t in range(first if self.answer_only else start, len(ids) - 1) if ids[t + 1] >= 0]


def render_rows(renderer: Renderer, examples: Sequence[Example]) -> list[TrainRow]:
    """Render examples with their answers; the first form of a label is the one that is trained."""
    card = renderer.card
    rows = []
    for example in examples:
        prompt = renderer.prompt(example.fields)
        text = example.answer or ""
        answer = renderer.answer(text if card.is_open else card.form(text))
        rows.append(TrainRow(prompt.ids, answer, prompt.constant, prompt.truncated, card.answer_only_loss))
    return rows


def epoch_batches(lengths: Sequence[int], batch_size: int, *, seed: int, epoch: int) -> list[list[int]]:
    """Return the epoch's batches of row indices: shuffled, then bucketed by length, then shuffled again.

    A function of its arguments alone, so a resumed run sees the very same batches.
    """
    generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
    order = torch.randperm(len(lengths), generator=generator).tolist()
    span = batch_size * BUCKET_BATCHES
    batches = []
    for start in range(0, len(order), span):
        bucket = sorted(order[start : start + span], key=lambda i: lengths[i])
        batches += [bucket[i : i + batch_size] for i in range(0, len(bucket), batch_size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def row_losses(
    lm: LanguageModel,
    table: Tensor,
    rows: Sequence[TrainRow],
    held: Sequence[Tensor] | None,
    *,
    offsets: Sequence[int] | None = None,
    heads: Sequence[FrozenHead] | None = None,
) -> Tensor:
    """Return each row's mean negative log-likelihood over its learnt tokens, float32 (B,).

    Args:
        lm: the frozen backbone.
        table: (R, H) virtual rows; gradients flow into it.
        rows: B rows.
        held: keys and values of the constant beginnings; None to compute them here.
        offsets: where each row's virtual rows start in the table (several runs in one batch).
        heads: the head of each row, which does not learn; the backbone's own if None.
    """
    starts = [row.constant if held is not None else 0 for row in rows]
    packed = pack([row.ids[s:] for row, s in zip(rows, starts, strict=True)], offsets, pad="right")
    hidden = lm.hidden(packed, table, cache_of(held) if held is not None else None)  # (B, S, H)
    where = [
        (b, t - s, row.ids[t + 1]) for b, (row, s) in enumerate(zip(rows, starts, strict=True)) for t in row.targets(s)
    ]
    b_index, t_index, targets = (torch.tensor(column) for column in zip(*where, strict=True))
    wanted = hidden[b_index, t_index]
    nll = -lm.logprobs(wanted, targets) if heads is None else _by_head(heads, wanted, targets, b_index)  # (N,)
    sums = torch.zeros(len(rows)).index_add(0, b_index, nll)
    return sums / torch.bincount(b_index, minlength=len(rows))


def _by_head(heads: Sequence[FrozenHead], wanted: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
    """Return the negative log-likelihoods (N,), neighbours with the same head in one call: it reads 335 MB."""
    parts = []
    for _, group in groupby(range(len(heads)), key=lambda row: id(heads[row])):
        first, *others = group
        last = others[-1] if others else first
        here = (rows >= first) & (rows <= last)
        parts.append(heads[first].nll(wanted[here], targets[here]))
    return torch.cat(parts)
