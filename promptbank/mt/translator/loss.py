"""The loss of a translator on the answers alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from promptbank.model.forward import LanguageModel
from promptbank.model.head import FrozenHead
from promptbank.model.inject import pack
from promptbank.mt.translator.pairs import PairExample

__all__ = ["answer_loss"]


def answer_loss(lm: LanguageModel, head: FrozenHead, pairs: Sequence[PairExample]) -> tuple[Tensor, int]:
    """Return the summed negative log-likelihood of the answers, in nats, and the number of their tokens.

    Args:
        lm: whose body computes the hidden states; its head is not used.
        head: a copy of it.
        pairs: a batch, B of them.
    """
    device = head.weight.device
    hidden = lm.hidden(pack([pair.ids[:-1] for pair in pairs], pad="right"))  # (B, S, H)
    where = [(b, t - 1, pair.ids[t]) for b, pair in enumerate(pairs) for t in range(len(pair.prompt), len(pair.ids))]
    b_index, t_index, targets = (torch.tensor(column, device=device) for column in zip(*where, strict=True))
    return head.nll(hidden[b_index, t_index], targets).sum(), len(where)
