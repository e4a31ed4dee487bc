"""Banks with rows of random numbers, for tests of formats of other programs."""

from __future__ import annotations

from pathlib import Path

import torch

from promptbank.bank.formats.foreign import ForeignPrompt, keep_prompts
from promptbank.bank.served import served_task
from promptbank.bank.session import Bank, open_bank
from promptbank.model.inject import pack
from promptbank.model.render import TokenPolicy
from store import Row
from tasks import TaskCard
from tests.tiny import Kind, save_tiny

TEXTS = ("profit rose", "bad", "the outlook for this year is negative, the company said")


def bank_of(kind: Kind, folder: Path) -> Bank:
    """A bank on a tiny backbone in a folder, without rows."""
    return open_bank(folder / "home", backbone=str(save_tiny(kind, folder / f"tiny-{kind}")))


def random_rows(count: int, hidden: int = 32, seed: int = 3) -> torch.Tensor:
    return torch.randn(count, hidden, generator=torch.Generator().manual_seed(seed))


def stored(bank: Bank, card: TaskCard) -> Row:
    """A row of random numbers for a card."""
    policy = TokenPolicy.of(bank.backbone.tokenizer)
    prompt = ForeignPrompt(card, random_rows(card.total_virtual_tokens), policy, {"file": "a test"})
    return keep_prompts(bank, [prompt], "always")[0]


@torch.no_grad()
def our_logits(bank: Bank, row: Row, text: str) -> torch.Tensor:
    """Logits after the prompt, as promptbank serves the row."""
    task = served_task(row, row.version, bank.backbone)
    ids = task.renderer.prompt({"sentence": text}).ids
    return bank.lm.head(bank.lm.hidden(pack([ids], [task.table]))[:, -1])[0]
