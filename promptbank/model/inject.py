"""From token ids to input embeddings: where the rows of prompt tables meet the backbone's embeddings.

Layout of a sequence in a batch: ``[left pad][template with virtual tokens anywhere][answer]``, with an attention mask
and explicit positions counted over real tokens, so that its logits do not depend on its neighbours. (Prompt, pad, text
in that order, as stock PEFT has it under left padding, moves logits by 3-4; see ``tests/unit/test_inject.py``.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from promptbank.model.prompt_table import PromptTable, TableStack
from promptbank.model.render import virtual_row

__all__ = ["PackedBatch", "embed", "pack", "positions"]


@dataclass(frozen=True, eq=False)
class PackedBatch:
    """B sequences of ids, padded to one length S, and the prompt tables that their virtual ids stand for.

    Attributes:
        ids: (B, S) int64, 0 where the position is a pad or virtual.
        slots: (B, S) int64, place in the stack of tables, or -1 where the position is not virtual.
        mask: (B, S) int64, 1 on real positions.
        stack: the tables.
    """

    ids: Tensor
    slots: Tensor
    mask: Tensor
    stack: TableStack

    @property
    def lengths(self) -> Tensor:
        """Real positions of each sequence, (B,) int64."""
        return self.mask.sum(1)

    def to(self, device: torch.device) -> PackedBatch:
        """Return the batch with its ids on a device; the tables follow where they are embedded."""
        return replace(self, ids=self.ids.to(device), slots=self.slots.to(device), mask=self.mask.to(device))


def pack(
    sequences: Sequence[Sequence[int]], tables: Sequence[PromptTable] | None = None, *, pad: str = "left"
) -> PackedBatch:
    """Pad rendered ids to one length.

    Args:
        sequences: B sequences of discrete (>= 0) and virtual (< 0) ids.
        tables: the prompt table of each sequence; None where no sequence has virtual ids.
        pad: "left" for prompts; "right" for what follows a prompt of which the keys and values are held already.

    Raises:
        ValueError: a virtual id has no row in its table.
    """
    stack = TableStack.of(tables or ())
    length = max(map(len, sequences))
    shape = (len(sequences), length)
    ids = torch.zeros(shape, dtype=torch.long)
    slots = torch.full(shape, -1, dtype=torch.long)
    mask = torch.zeros(shape, dtype=torch.long)
    for b, sequence in enumerate(sequences):
        here = slice(length - len(sequence), length) if pad == "left" else slice(0, len(sequence))
        row, rows = virtual_row(min(sequence, default=0)), tables[b].virtual_tokens if tables else 0
        if row >= rows:
            raise ValueError(f"a sequence has virtual token {row}, but its table has only {rows} rows")
        rendered = torch.tensor(sequence, dtype=torch.long)
        ids[b, here] = rendered.clamp(min=0)
        mask[b, here] = 1
        if rows:
            slots[b, here] = torch.where(rendered < 0, stack.offsets[b] - rendered - 1, -1)
    return PackedBatch(ids, slots, mask, stack)


def embed(embedding: nn.Module, packed: PackedBatch) -> Tensor:
    """Return input embeddings with the rows of the prompt tables in place; gradients flow into the tables.

    The backbone's embedding module is called, never indexed, because Gemma scales inside its ``forward``.

    Args:
        embedding: ``backbone.get_input_embeddings()``.
        packed: the batch.

    Returns:
        (B, S, H) in the dtype of the embedding.
    """
    discrete: Tensor = embedding(packed.ids)  # (B, S, H)
    rows = packed.stack.input_rows()  # (R, H)
    if rows is None:
        return discrete
    # its gradient adds up in order; that of an index adds in any order on several threads
    virtual = functional.embedding(packed.slots.clamp(min=0), rows.to(discrete))  # (B, S, H)
    return torch.where((packed.slots >= 0)[..., None], virtual, discrete)


def positions(mask: Tensor) -> Tensor:
    """Return positions counted over real tokens: max(cumsum(mask) - 1, 0), (B, S) int64."""
    return (mask.cumsum(1) - 1).clamp(min=0)
