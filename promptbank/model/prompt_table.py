"""The learnt prompt of a task as one value, what kinds of it there are, and several of them below each other.

A kind is a small class under a versioned name in `PROMPT_KINDS`: which tensors it has, and which rows stand in the
input where the template has virtual tokens. A stored row names its kind, so it means the same for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from promptbank.errors import InputError

if TYPE_CHECKING:
    from store import Layout

__all__ = ["PROMPT_KINDS", "PromptKind", "PromptTable", "RowKind", "TableStack"]

ROWS = "virtual_tokens"
DTYPES = {"float32": (torch.float32, "<f4"), "float16": (torch.float16, "<f2")}
"""Torch's dtype and numpy's little-endian one, by the name that is stored."""


class PromptKind(Protocol):
    """What the tables of one kind are made of."""

    def shapes(self, virtual_tokens: int, hidden_size: int, layers: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each tensor by name, in the order of their bytes."""

    def input_rows(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Return the rows that stand in the input at the virtual tokens, (V, H)."""


class RowKind:
    """One matrix (V, H), `virtual_tokens`: embeddings at the virtual tokens and nothing else (P-tuning)."""

    def shapes(self, virtual_tokens: int, hidden_size: int, _layers: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of the matrix."""
        return {ROWS: (virtual_tokens, hidden_size)}

    def input_rows(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Return the matrix."""
        return tensors[ROWS]


PROMPT_KINDS: dict[str, PromptKind] = {"rows.v1": RowKind()}


@dataclass(frozen=True, eq=False)
class PromptTable:
    """The prompt of one task: named tensors of one kind, while it is learnt (with gradients) and when it is frozen.

    Attributes:
        tensors: by name, in the order of their bytes.
        kind: a key of `PROMPT_KINDS`.

    Raises:
        InputError: there is no such kind, or it has other tensors.
    """

    tensors: Mapping[str, Tensor]
    kind: str = "rows.v1"

    def __post_init__(self) -> None:
        if self.kind not in PROMPT_KINDS:
            raise InputError(
                f"prompts of kind {self.kind!r} are not known here, only {', '.join(PROMPT_KINDS)}; "
                "was it made by a newer promptbank? Then that one can serve it"
            )
        names = tuple(PROMPT_KINDS[self.kind].shapes(0, 0, 0))
        if tuple(self.tensors) != names:
            raise InputError(f"a prompt of kind {self.kind} has the tensors {names}, not {tuple(self.tensors)}")

    @classmethod
    def of_rows(cls, rows: Tensor) -> PromptTable:
        """Return the table of kind `rows.v1` that holds a matrix (V, H)."""
        return cls({ROWS: rows})

    @classmethod
    def empty(cls, hidden_size: int) -> PromptTable:
        """Return the table of a prompt without virtual tokens."""
        return cls.of_rows(torch.zeros(0, hidden_size))

    @classmethod
    def from_bytes(cls, kind: str, layout: Layout, data: bytes) -> PromptTable:
        """Return the table that `to_bytes` wrote; it owns its memory.

        Raises:
            InputError: the kind or a dtype is not known here.
        """
        tensors, start = {}, 0
        for name, dtype, shape in layout:
            if dtype not in DTYPES:
                raise InputError(f"tensor {name!r} of a prompt is {dtype}; known are {', '.join(DTYPES)}")
            stored = DTYPES[dtype][0]
            end = start + prod(shape) * stored.itemsize
            tensors[name] = torch.frombuffer(bytearray(data[start:end]), dtype=stored).view(shape)
            start = end
        return cls(tensors, kind)

    def to_bytes(self) -> bytes:
        """Return the tensors one after the other, little-endian and in C order."""
        parts = zip(self.tensors.values(), self.layout, strict=True)
        return b"".join(t.detach().cpu().numpy().astype(DTYPES[dtype][1]).tobytes() for t, (_, dtype, _) in parts)

    @property
    def layout(self) -> Layout:
        """Name, dtype and shape of each tensor, as they are stored with the bytes."""
        names = {dtype: name for name, (dtype, _) in DTYPES.items()}
        return tuple((name, names[t.dtype], tuple(t.shape)) for name, t in self.tensors.items())

    @property
    def sha256(self) -> str:
        """Hex sha256 of the bytes, the name of a frozen row."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def input_rows(self) -> Tensor:
        """The rows that stand in the input at the virtual tokens, (V, H)."""
        return PROMPT_KINDS[self.kind].input_rows(self.tensors)

    @property
    def virtual_tokens(self) -> int:
        """V."""
        return self.input_rows.shape[0]

    @property
    def hidden_size(self) -> int:
        """H."""
        return self.input_rows.shape[1]


@dataclass(frozen=True, eq=False)
class TableStack:
    """The tables of a batch below each other, each once.

    Attributes:
        tables: the distinct ones, R virtual tokens in all.
        offsets: for each sequence of the batch the place (0 to R - 1) of its table's first row.
    """

    tables: tuple[PromptTable, ...] = ()
    offsets: tuple[int, ...] = ()

    @classmethod
    def of(cls, tables: Sequence[PromptTable]) -> TableStack:
        """Stack the tables of B sequences; sequences of one task share one object, and so one place."""
        places: dict[int, int] = {}
        distinct: list[PromptTable] = []
        size = 0
        for table in tables:
            if id(table) not in places:
                places[id(table)] = size
                distinct.append(table)
                size += table.virtual_tokens
        return cls(tuple(distinct), tuple(places[id(table)] for table in tables))

    def input_rows(self) -> Tensor | None:
        """Return the input rows of all tables, (R, H); None where there are none."""
        rows = [table.input_rows for table in self.tables if table.virtual_tokens]
        return torch.cat(rows) if rows else None
