"""Where the virtual tokens of a card stand: the same task, with its markers moved or their number changed."""

from __future__ import annotations

import re
from collections.abc import Callable

from tasks.card import TaskCard, parse_card
from tasks.errors import CardError, Fault

__all__ = ["PLACEMENTS", "place_virtual_tokens", "plain_template"]

_MARKER = re.compile(r"<\|VIRTUAL_PROMPT_\d+\|>")


def plain_template(card: TaskCard) -> str:
    """Return the card's template without its virtual-token markers."""
    return _MARKER.sub("", card.prompt_template)


def place_virtual_tokens(card: TaskCard, total: int, placement: str) -> TaskCard:
    """Return a card that differs only in its virtual tokens.

    Args:
        card: the task; its markers are taken out of the text, and nothing else is changed.
        total: V.
        placement: a key of `PLACEMENTS`.

    Raises:
        KeyError: no such placement.
        CardError: V is too small for the placement.

    >>> from tasks import builtin_card
    >>> place_virtual_tokens(builtin_card("sentiment-task"), 4, "around").prompt_template
    '<|VIRTUAL_PROMPT_0|>{sentence}<|VIRTUAL_PROMPT_1|> {label}'
    """
    text = plain_template(card)
    answer = f"{{{card.answer_field}}}"
    before = text.removesuffix(answer)
    body = before.rstrip()
    template, splits = PLACEMENTS[placement](body, before[len(body) :] + answer, total)
    if total < len(splits):
        fault = Fault("total_virtual_tokens", None, f"{total}; the placement {placement!r} needs {len(splits)} or more")
        raise CardError(f"{card.taskname}:{card.lang}", [fault])
    changed = {"prompt_template": template, "total_virtual_tokens": total, "virtual_token_splits": splits}
    return parse_card(card.plain() | changed)


def _before(body: str, answer: str, total: int) -> tuple[str, list[int]]:
    return f"<|VIRTUAL_PROMPT_0|>{body}{answer}", [total]


def _after(body: str, answer: str, total: int) -> tuple[str, list[int]]:
    return f"{body}<|VIRTUAL_PROMPT_0|>{answer}", [total]


def _around(body: str, answer: str, total: int) -> tuple[str, list[int]]:
    """Split in halves, the larger one before the text, as the article's [10, 6] has it."""
    half = total // 2
    return f"<|VIRTUAL_PROMPT_0|>{body}<|VIRTUAL_PROMPT_1|>{answer}", [total - half, half]


PLACEMENTS: dict[str, Callable[[str, str, int], tuple[str, list[int]]]] = {
    "before": _before,
    "after": _after,
    "around": _around,
}
"""Virtual tokens before the text, after it (right before the answer), or on both sides."""
