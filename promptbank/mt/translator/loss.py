"""The loss of a translator on the answers alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from promptbank.model.forward import LanguageModel
from promptbank.model.head import FrozenHead
from promptbank.model.inject import pack
from promptbank.mt.translator.pairs import PairRow

__all__ = ["answer_loss"]


def answer_loss(lm: LanguageModel, head: FrozenHead, rows: Sequence[PairRow]) -> tuple[Tensor, int]:
    """Return the summed negative log-likelihood of the rows' answers, and the number of their tokens.

    Args:
        lm: whose body computes the hidden states; its head is not used.
        head: a copy of it.
        rows: a batch, padded on the right.
    """
    device = head.weight.device
    hidden = lm.hidden(pack([row.ids[:-1] for row in rows], pad="right"))  # (B, S, H)
    where = [(b, t - 1, row.ids[t]) for b, row in enumerate(rows) for t in range(len(row.prompt), len(row.ids))]
    b_index, t_index, targets = (torch.tensor(column, device=device) for column in zip(*where, strict=True))
    return head.nll(hidden[b_index, t_index], targets).sum(), len(where)
