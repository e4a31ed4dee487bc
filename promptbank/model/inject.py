"""Rendered ids to tensors: where the virtual rows meet the backbone's embeddings.

Layout of every row of a batch: ``[left pad][template with virtual rows anywhere][answer]``, with an attention mask and
explicit positions counted over real tokens, so that a row's logits do not depend on its neighbours. (Prompt, pad, text
in that order, as stock PEFT has it under left padding, moves logits by 3-4; see ``tests/unit/test_inject.py``.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from promptbank.model.render import virtual_row

__all__ = ["Packed", "embed", "pack", "positions"]


@dataclass(frozen=True, eq=False)
class Packed:
    """A batch of id sequences, padded on the left.

    Attributes:
        ids: (B, S) int64, 0 where the position is a pad or virtual.
        slots: (B, S) int64, index into the batch's table of virtual rows, or -1.
        mask: (B, S) int64, 1 on real positions.
    """

    ids: Tensor
    slots: Tensor
    mask: Tensor

    @property
    def lengths(self) -> Tensor:
        """Real positions of each row, (B,) int64."""
        return self.mask.sum(1)


def pack(rows: Sequence[Sequence[int]], offsets: Sequence[int] | None = None, *, pad: str = "left") -> Packed:
    """Pad sequences of rendered ids to one length.

    Args:
        rows: B sequences of discrete (>= 0) and virtual (< 0) ids.
        offsets: for each row, where its task's virtual rows start in the batch's table; 0 when not given.
        pad: "left" for prompts; "right" for what follows a prompt of which the keys and values are held already.
    """
    length = max(map(len, rows))
    shape = (len(rows), length)
    ids = torch.zeros(shape, dtype=torch.long)
    slots = torch.full(shape, -1, dtype=torch.long)
    mask = torch.zeros(shape, dtype=torch.long)
    for b, row in enumerate(rows):
        here = slice(length - len(row), length) if pad == "left" else slice(0, len(row))
        offset = offsets[b] if offsets is not None else 0
        ids[b, here] = torch.tensor([max(i, 0) for i in row], dtype=torch.long)
        slots[b, here] = torch.tensor([offset + virtual_row(i) if i < 0 else -1 for i in row], dtype=torch.long)
        mask[b, here] = 1
    return Packed(ids, slots, mask)


def embed(embedding: nn.Module, packed: Packed, table: Tensor) -> Tensor:
    """Return input embeddings with the virtual rows in place.

    The backbone's embedding module is called, never indexed, because Gemma scales inside its ``forward``.

    Args:
        embedding: ``backbone.get_input_embeddings()``.
        packed: the batch.
        table: (R, H) virtual rows of all tasks in the batch, one below the other; gradients flow into it.

    Returns:
        (B, S, H) in the dtype of the embedding.
    """
    discrete = embedding(packed.ids)  # (B, S, H)
    # its gradient adds up in order; that of an index adds in any order on several threads
    virtual = functional.embedding(packed.slots.clamp(min=0), table.to(discrete.dtype))  # (B, S, H)
    return torch.where((packed.slots >= 0)[..., None], virtual, discrete)


def positions(mask: Tensor) -> Tensor:
    """Return positions counted over real tokens: max(cumsum(mask) - 1, 0), (B, S) int64."""
    return (mask.cumsum(1) - 1).clamp(min=0)
