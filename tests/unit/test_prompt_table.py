"""Prompt tables: bytes and hashes as release 0.1.0 wrote them, kinds by name, and tables of a batch each once."""

from __future__ import annotations

import hashlib
import struct

import pytest
import torch

from promptbank.errors import InputError
from promptbank.model.forward import LanguageModel
from promptbank.model.inject import pack
from promptbank.model.prompt_kinds import PROMPT_KINDS
from promptbank.model.prompt_table import PromptTable, TableStack
from store.records import rows_layout
from tests.tiny import KINDS, Kind, tiny_backbone

VALUES = (1.5, -0.0, float("inf"), 1e-40, 3e38, -2.0)
TABLE = PromptTable.of_rows(torch.tensor(VALUES).view(2, 3))


def table_of(virtual_tokens: int, hidden: int = 4, seed: int = 0) -> PromptTable:
    return PromptTable.of_rows(torch.randn(virtual_tokens, hidden, generator=torch.Generator().manual_seed(seed)))


def test_the_bytes_are_little_endian_float32_row_by_row() -> None:
    data = struct.pack("<6f", *VALUES)
    assert TABLE.to_bytes() == data
    assert TABLE.sha256 == hashlib.sha256(data).hexdigest()
    assert TABLE.layout == rows_layout(2, 3)
    assert (TABLE.kind, TABLE.virtual_tokens, TABLE.hidden_size) == ("rows.v1", 2, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_table_comes_back_from_its_bytes_with_every_bit(dtype: torch.dtype) -> None:
    table = PromptTable.of_rows(table_of(3).input_rows.to(dtype))
    back = PromptTable.from_bytes(table.kind, table.layout, table.to_bytes())
    assert back.input_rows.dtype == dtype
    assert torch.equal(back.input_rows, table.input_rows)
    assert (back.layout, back.sha256) == (table.layout, table.sha256)
    back.input_rows.zero_()  # its own memory
    assert table.input_rows.any()


def test_gradients_do_not_change_what_is_written() -> None:
    learnt = PromptTable.of_rows(table_of(3).input_rows.clone().requires_grad_())
    assert learnt.sha256 == table_of(3).sha256
    assert not PromptTable.from_bytes("rows.v1", learnt.layout, learnt.to_bytes()).input_rows.requires_grad


def test_an_unknown_kind_other_tensors_and_an_unknown_dtype_are_refused() -> None:
    with pytest.raises(InputError, match=r"kind 'rows.v9' are not known here, only rows.v1.*newer promptbank"):
        PromptTable(TABLE.tensors, "rows.v9")
    with pytest.raises(InputError, match=r"kind rows.v1 has the tensors \('virtual_tokens',\), not \('other',\)"):
        PromptTable({"other": torch.zeros(1, 2)})
    with pytest.raises(InputError, match="'virtual_tokens' of a prompt is int8; known are float32, float16"):
        PromptTable.from_bytes("rows.v1", (("virtual_tokens", "int8", (1, 2)),), b"ab")


@pytest.mark.parametrize("kind", PROMPT_KINDS)
def test_every_kind_has_rows_for_the_input(kind: str) -> None:
    shapes = PROMPT_KINDS[kind].shapes(5, 4, 2)
    table = PromptTable({name: torch.zeros(shape) for name, shape in shapes.items()}, kind)
    assert (table.virtual_tokens, table.hidden_size) == (5, 4)


def test_an_empty_table_has_no_virtual_tokens_and_no_bytes() -> None:
    empty = PromptTable.empty(7)
    assert (empty.virtual_tokens, empty.hidden_size, empty.to_bytes()) == (0, 7, b"")


def test_each_table_of_a_batch_stands_in_the_stack_once() -> None:
    first, second, none = table_of(3), table_of(2, seed=1), PromptTable.empty(4)
    stack = TableStack.of([first, second, first, none, second])
    assert stack.tables == (first, second, none)
    assert stack.offsets == (0, 3, 0, 5, 3)
    assert torch.equal(stack.input_rows(), torch.cat([first.input_rows, second.input_rows]))
    assert TableStack.of([none, none]).input_rows() is None
    assert TableStack().input_rows() is None


def test_a_virtual_token_without_a_row_of_its_own_task_is_refused() -> None:
    tables = [table_of(2), table_of(2)]
    assert pack([[5, -2], [-1, 6]], tables).slots.tolist() == [[-1, 1], [2, -1]]
    with pytest.raises(ValueError, match="virtual token 2, but its table has only 2 rows"):
        pack([[5, -3], [6]], tables)
    with pytest.raises(ValueError, match="virtual token 0, but its table has only 0 rows"):
        pack([[5, -1]])


@pytest.mark.parametrize("kind", KINDS)
def test_sequences_without_virtual_tokens_are_what_they_are_beside_others(kind: Kind) -> None:
    lm = LanguageModel(tiny_backbone(kind).model)
    table, empty = table_of(2, lm.hidden_size), PromptTable.empty(lm.hidden_size)
    plain, prompted = [5, 6, 7, 8], [9, -1, -2, 10]
    mixed = lm.hidden(pack([plain, prompted], [empty, table]))
    assert torch.allclose(mixed[0], lm.hidden(pack([plain]))[0], atol=1e-4)
    assert torch.allclose(mixed[1], lm.hidden(pack([prompted], [table]))[0], atol=1e-4)
