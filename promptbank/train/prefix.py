"""Keys and values of what stands before the first virtual token: computed once, used in every epoch.

They depend on no parameter, so training starts autograd at the first virtual token. 18 KB a token for gemma-3-270m in
bfloat16. What exceeds the byte budget goes to memory-mapped safetensors files in the run's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from promptbank.forward import LanguageModel, prefill

__all__ = ["PrefixCache"]

PREFILL_TOKENS = 4096
"""Padded tokens of one forward pass while filling."""


class PrefixCache:
    """Held keys and values of many rows.

    Args:
        lm: the backbone, in the dtype they will be used in.
        rows: the constant beginnings, each with at least one id.
        budget: bytes kept in memory.
        spill: folder for the rest, made when needed.
        on_rows: called with the number of rows done.
    """

    def __init__(
        self,
        lm: LanguageModel,
        rows: Sequence[Sequence[int]],
        *,
        budget: int,
        spill: Path,
        on_rows: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.bytes_held = 0
        self.rows_spilled = 0
        self._held: dict[int, Tensor] = {}
        self._files: dict[int, Path] = {}
        self._budget, self._spill = budget, spill
        done = 0
        for batch in _batches(rows):
            self._keep(batch, prefill(lm, [rows[i] for i in batch]))
            done += len(batch)
            on_rows(done)

    def __getitem__(self, row: int) -> Tensor:
        """Return one row's keys and values, (L, 2, heads, T, D)."""
        if row in self._held:
            return self._held[row]
        with safe_open(self._files[row], framework="pt") as file:
            tensor: Tensor = file.get_tensor(str(row))
        return tensor

    def close(self) -> None:
        """Drop what is held and remove the spilled files."""
        self._held.clear()
        for path in set(self._files.values()):
            path.unlink(missing_ok=True)
        self._files.clear()

    def _keep(self, batch: list[int], tensors: list[Tensor]) -> None:
        size = sum(t.nbytes for t in tensors)
        if self.bytes_held + size <= self._budget:
            self._held.update(zip(batch, tensors, strict=True))
            self.bytes_held += size
            return
        self._spill.mkdir(parents=True, exist_ok=True)
        path = self._spill / f"prefix-{batch[0]}.safetensors"
        save_file({str(i): t for i, t in zip(batch, tensors, strict=True)}, path)
        self._files.update(dict.fromkeys(batch, path))
        self.rows_spilled += len(batch)


def _batches(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """Group rows of like length under a padded-token budget, shortest first."""
    batches: list[list[int]] = []
    for index in sorted(range(len(rows)), key=lambda i: (len(rows[i]), i)):
        if batches and (len(batches[-1]) + 1) * len(rows[index]) <= PREFILL_TOKENS:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def worth_caching(rows: Sequence[Sequence[int]]) -> bool:
    """Whether constant beginnings are long enough to be held: one token in each row, four on average."""
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.float32)
    return bool(lengths.min() >= 1 and lengths.mean() >= 4)
