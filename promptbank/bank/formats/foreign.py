"""From a prompt of another program to a row of the bank."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import torch

from promptbank.bank.exchange import make_live
from promptbank.bank.freeze import unprobed_row
from promptbank.bank.live import live_rule
from promptbank.bank.probes import take_probes
from promptbank.bank.row_check import checked_row
from promptbank.bank.served import served_task
from promptbank.bank.session import Bank
from promptbank.errors import InputError
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Renderer, TokenPolicy
from store import Row
from tasks import TaskCard, parse_card

__all__ = ["ForeignPrompt", "in_language", "keep_prompts"]


@dataclass(frozen=True, eq=False)
class ForeignPrompt:
    """A prompt that another program has learnt.

    Attributes:
        card: the task; its number of virtual tokens is V.
        rows: (V, H), of any floating dtype, as they are fed to the backbone's first layer.
        policy: BOS and EOS.
        origin: where it is from, as plain JSON values; kept with the row.
    """

    card: TaskCard
    rows: torch.Tensor
    policy: TokenPolicy
    origin: dict[str, object]


def in_language(card: TaskCard, lang: str | None) -> TaskCard:
    """Return a card in the language that was asked for; cards of other programs name none."""
    return card if lang is None else parse_card(card.plain() | {"lang": lang}, source=f"{card.taskname}:{lang}")


def keep_prompts(bank: Bank, prompts: Sequence[ForeignPrompt], live: str) -> list[Row]:
    """Add prompts to the bank for its backbone, all or none; one that is there already is not added again.

    Raises:
        InputError: see `checked_row`; or a prompt is all zeros, as that of an unfinished training is.
        TaskError: a card is faulty.
        StoreError: they cannot be written.
    """
    rule, rows = live_rule(live), [_row(bank, prompt) for prompt in prompts]
    store = bank.make()
    kept = [store.rows.import_row(row) for row in rows]
    for row, prompt in zip(kept, prompts, strict=True):
        make_live(store, row, rule, f"imported from {prompt.origin['file']}")
    return kept


def _row(bank: Bank, prompt: ForeignPrompt) -> Row:
    card, name = prompt.card, f"{prompt.origin['file']}, {prompt.card.taskname}:{prompt.card.lang}"
    if prompt.rows.dim() != 2 or not prompt.rows.is_floating_point():
        raise InputError(f"{name}: its numbers are {prompt.rows.dtype} of shape {tuple(prompt.rows.shape)}, no (V, H)")
    table = PromptTable.of_rows(prompt.rows.float().contiguous())
    if table.virtual_tokens and not table.input_rows.any():
        raise InputError(f"{name}: all its numbers are zero; was its training stopped before its end?")
    renderer = Renderer(card, bank.backbone.tokenizer, prompt.policy, bank.backbone.window)
    new = unprobed_row(bank.backbone, renderer, table, {"imported": prompt.origin})
    checked_row(new, bank.backbone, source=name)
    probes = take_probes(bank.lm, served_task(new, 0, bank.backbone), [{field: field for field in card.fields}])
    complete = replace(new, probes_json=probes.description, probe_logits=probes.logits, probe_shape=probes.shape)
    checked_row(complete, bank.backbone, source=name)
    return Row(**vars(complete), version=1, created_at=datetime.now(UTC), row_id=0)
