"""Keys and values of what stands before the first virtual token: computed once, used in every epoch.

They depend on no parameter, so training starts autograd at the first virtual token. 18 KB a token for gemma-3-270m in
bfloat16. What exceeds the byte budget goes to memory-mapped safetensors files in the run's folder.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from promptbank.model.forward import LanguageModel, prefill
from promptbank.training.batches import cut_by_tokens

__all__ = ["PrefixCache", "worth_caching"]

PREFILL_TOKENS = 4096
"""Padded tokens of one forward pass while filling."""


class PrefixCache(Mapping[tuple[int, ...], Tensor]):
    """Keys and values, (L, 2, heads, T, D), by the tokens of the beginning that they are of.

    Args:
        lm: the backbone, in the dtype they will be used in.
        beginnings: each with at least one token; equal ones are computed and held once.
        budget: bytes kept in memory.
        spill: folder for the rest, made when needed.
        on_progress: called with the number of distinct beginnings done.
    """

    def __init__(
        self,
        lm: LanguageModel,
        beginnings: Iterable[tuple[int, ...]],
        *,
        budget: int,
        spill: Path,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.bytes_held = 0
        self._held: dict[tuple[int, ...], Tensor] = {}
        self._files: dict[tuple[int, ...], tuple[Path, str]] = {}
        self._budget, self._spill = budget, spill
        distinct = sorted(dict.fromkeys(beginnings), key=len)
        for batch in cut_by_tokens(range(len(distinct)), [len(one) for one in distinct], PREFILL_TOKENS):
            part = [distinct[i] for i in batch]
            self._keep(part, prefill(lm, part))
            on_progress(batch[-1] + 1)

    def __getitem__(self, beginning: tuple[int, ...]) -> Tensor:
        """Return the keys and values of a beginning, from memory or from disk."""
        if beginning in self._held:
            return self._held[beginning]
        path, name = self._files[beginning]
        with safe_open(path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        yield from self._held
        yield from self._files

    def __len__(self) -> int:
        return len(self._held) + len(self._files)

    def spilled(self, beginning: tuple[int, ...]) -> bool:
        """Whether the keys and values of a beginning lie on disk."""
        return beginning in self._files

    def close(self) -> None:
        """Drop what is held and remove the spilled files."""
        for path in {path for path, _ in self._files.values()}:
            path.unlink(missing_ok=True)
        self._held.clear()
        self._files.clear()

    def _keep(self, beginnings: Sequence[tuple[int, ...]], tensors: list[Tensor]) -> None:
        size = sum(t.nbytes for t in tensors)
        if self.bytes_held + size <= self._budget:
            self._held.update(zip(beginnings, tensors, strict=True))
            self.bytes_held += size
            return
        self._spill.mkdir(parents=True, exist_ok=True)
        path = self._spill / f"prefix-{len(self)}.safetensors"
        save_file({str(n): tensor for n, tensor in enumerate(tensors)}, path)
        self._files.update({one: (path, str(n)) for n, one in enumerate(beginnings)})


def worth_caching(beginnings: Sequence[Sequence[int]]) -> bool:
    """Whether constant beginnings are long enough to be held: one token in each, four on average."""
    lengths = torch.tensor([len(one) for one in beginnings], dtype=torch.float32)
    return bool(lengths.min() >= 1 and lengths.mean() >= 4)
