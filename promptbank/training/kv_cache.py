"""Keys and values of what stands before the first virtual token: computed once, used in every epoch.

They depend on no parameter, so training starts autograd at the first virtual token. 18 KB a token for gemma-3-270m in
bfloat16. What exceeds the byte budget goes to memory-mapped safetensors files in the run's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from promptbank.model.forward import LanguageModel, prefill

__all__ = ["Held", "PrefixCache", "worth_caching"]

PREFILL_TOKENS = 4096
"""Padded tokens of one forward pass while filling."""


class PrefixCache:
    """Held keys and values of many rows; equal rows are computed and held once.

    Args:
        lm: the backbone, in the dtype they will be used in.
        rows: the constant beginnings, each with at least one id.
        budget: bytes kept in memory.
        spill: folder for the rest, made when needed.
        on_rows: called with the number of distinct rows done.
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
        places: dict[Sequence[int], int] = {}
        self._places = [places.setdefault(tuple(row), len(places)) for row in rows]
        distinct = list(places)
        self._held: dict[int, Tensor] = {}
        self._files: dict[int, Path] = {}
        self._budget, self._spill = budget, spill
        done = 0
        for batch in _batches(distinct):
            self._keep(batch, prefill(lm, [distinct[i] for i in batch]))
            done += len(batch)
            on_rows(done)

    def __getitem__(self, row: int) -> Tensor:
        """Return one row's keys and values, (L, 2, heads, T, D)."""
        place = self._places[row]
        if place in self._held:
            return self._held[place]
        with safe_open(self._files[place], framework="pt") as file:
            tensor: Tensor = file.get_tensor(str(place))
        return tensor

    def spilled(self, row: int) -> bool:
        """Whether a row lies on disk."""
        return self._places[row] in self._files

    def parts(self, sizes: Sequence[int]) -> Iterator[Held]:
        """Yield views of so many rows each, one after the other."""
        base = 0
        for size in sizes:
            yield Held(self, base, size)
            base += size

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


@dataclass(frozen=True, eq=False)
class Held:
    """Some rows of a cache, counted from 0."""

    cache: PrefixCache
    base: int
    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, row: int) -> Tensor:
        """Return one row's keys and values, (L, 2, heads, T, D)."""
        return self.cache[self.base + row]

    def spilled(self) -> int:
        """Return how many of the rows lie on disk."""
        return sum(self.cache.spilled(self.base + row) for row in range(self.size))


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
