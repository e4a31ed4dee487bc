"""Keys and values of what all prompts of a row begin with, before the first field: computed once and kept.

Later tokens change nothing before them, so a prompt may take over as many of them as it begins with: where words merge
over the border of the field, some fewer. What is kept is named by the row's sha256, so a row that comes under the name
of another never reads what that one left.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor

from promptbank.model.forward import LanguageModel, prefill
from promptbank.model.prompt_table import PromptTable

__all__ = ["LEAST_TOKENS", "LeadingCache", "in_common"]

LEAST_TOKENS = 4
"""Least leading tokens that are kept; BOS alone is not worth a lookup."""


class LeadingCache:
    """Keys and values, (L, 2, heads, T, D), of one backbone; those that were used last stay.

    Args:
        most_bytes: of all that is kept.

    Attributes:
        hits: prompts that found theirs.
        misses: prompts for which they were computed.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[tuple[str, tuple[int, ...], torch.dtype], Tensor] = OrderedDict()
        self.bytes_kept = self.hits = self.misses = 0

    def of(self, lm: LanguageModel, sha256: str, ids: tuple[int, ...], table: PromptTable) -> Tensor:
        """Return the keys and values of the beginning of a row's prompts.

        Args:
            lm: the backbone.
            sha256: of the row.
            ids: the beginning, virtual ids included.
            table: the row's.
        """
        key = (sha256, ids, lm.dtype)
        if (kept := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            self.hits += 1
            return kept
        self.misses += 1
        (made,) = prefill(lm, [ids], [table])
        if made.nbytes <= self._most:
            self._kept[key] = made
            self.bytes_kept += made.nbytes
        while self.bytes_kept > self._most:
            self.bytes_kept -= self._kept.popitem(last=False)[1].nbytes
        return made


def in_common(beginning: Sequence[int], ids: Sequence[int]) -> int:
    """Return with how many tokens of a beginning some ids begin; one of theirs at least is left to be read."""
    most = min(len(beginning), len(ids) - 1)
    return next((n for n in range(most) if beginning[n] != ids[n]), most)
