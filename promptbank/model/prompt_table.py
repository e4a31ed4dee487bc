"""The learnt prompt of a task as one value, and several of them below each other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from promptbank.errors import InputError
from promptbank.model.prompt_kinds import INPUT_ROWS, PROMPT_KINDS

if TYPE_CHECKING:
    from store import Layout

__all__ = ["PromptTable", "TableStack"]

DTYPES = {"float32": (torch.float32, "<f4"), "float16": (torch.float16, "<f2")}
"""Torch's dtype and numpy's little-endian one, by the name that is stored."""


@dataclass(frozen=True, eq=False)
class PromptTable:
    """The prompt of one task: named tensors of one kind, while it is learnt (with gradients) and when it is frozen.

    Attributes:
        tensors: by name, in the order of their bytes.
        kind: a key of `PROMPT_KINDS`.

    Raises:
        InputError: there is no such kind, it has other tensors or shapes, or the prompt is larger than it allows.
    """

    tensors: Mapping[str, Tensor]
    kind: str = "rows.v1"

    def __post_init__(self) -> None:
        if self.kind not in PROMPT_KINDS:
            raise InputError(
                f"prompts of kind {self.kind!r} are not known here, only {', '.join(PROMPT_KINDS)}; "
                "was it made by a newer promptbank? Then that one can serve it"
            )
        names = tuple(PROMPT_KINDS[self.kind].shapes(0, 0, 1))
        if tuple(self.tensors) != names:
            raise InputError(f"a prompt of kind {self.kind} has the tensors {names}, not {tuple(self.tensors)}")
        self._check_shapes()

    def _check_shapes(self) -> None:
        kind, found = PROMPT_KINDS[self.kind], {name: tuple(t.shape) for name, t in self.tensors.items()}
        rows = found[INPUT_ROWS]
        expected = kind.shapes(rows[0], rows[-1], self.layers or 1) if len(rows) == 2 else {INPUT_ROWS: ("V", "H")}
        if found != expected:
            raise InputError(f"a prompt of kind {self.kind} has tensors of the shapes {expected}, not {found}")
        size = sum(t.nbytes for t in self.tensors.values())
        if size > kind.largest:
            raise InputError(
                f"a prompt of {size:,} bytes is larger than {kind.largest:,}, the most of kind {self.kind}; "
                "take fewer virtual tokens"
            )

    @classmethod
    def of_rows(cls, rows: Tensor) -> PromptTable:
        """Return the table of kind `rows.v1` that holds a matrix (V, H)."""
        return cls({INPUT_ROWS: rows})

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
        return self.tensors[INPUT_ROWS]

    @property
    def layer_vectors(self) -> Tensor | None:
        """What is added at the virtual tokens to the input of every layer but the first, (L - 1, V, H), or None."""
        return PROMPT_KINDS[self.kind].layer_vectors(self.tensors)

    @property
    def layers(self) -> int | None:
        """L of the backbones that it can act in; None for any."""
        return None if (vectors := self.layer_vectors) is None else len(vectors) + 1

    @property
    def virtual_tokens(self) -> int:
        """V."""
        return self.input_rows.shape[0]

    @property
    def hidden_size(self) -> int:
        """H."""
        return self.input_rows.shape[1]

    def of_kind(self, kind: str, layers: int) -> PromptTable:
        """Return the prompt as one of another kind, for a backbone of L layers; tensors that it lacks are zero.

        So a prompt of kind `rows.v1` stays what it is in any kind; one with vectors loses them as kind `rows.v1`.
        """
        shapes = PROMPT_KINDS[kind].shapes(self.virtual_tokens, self.hidden_size, layers)
        return PromptTable(
            {n: self.tensors[n] if n in self.tensors else torch.zeros(s) for n, s in shapes.items()}, kind
        )

    def fitted(self, virtual_tokens: int) -> PromptTable:
        """Return the prompt with V virtual tokens, repeated in order or cut."""
        places = torch.arange(virtual_tokens) % self.virtual_tokens
        return PromptTable({name: tensor[..., places, :] for name, tensor in self.tensors.items()}, self.kind)


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

    def layer_vectors(self) -> Tensor | None:
        """Return what the tables add between the layers, (L - 1, R, H), zero for those of other kinds; None if none."""
        own = [(table.layer_vectors, table.input_rows) for table in self.tables]
        depth = next((len(vectors) for vectors, _ in own if vectors is not None), None)
        if depth is None:
            return None
        return torch.cat([rows.new_zeros(depth, *rows.shape) if v is None else v for v, rows in own], dim=1)
