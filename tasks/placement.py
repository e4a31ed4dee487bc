"""Where the virtual tokens of a card stand: the same task, with its markers moved or their number changed."""

import re

from tasks.card import TaskCard, parse_card
from tasks.errors import CardError, Fault

__all__ = ["PLACEMENTS", "place_virtual_tokens", "plain_template"]

_MARKER = re.compile(r"<\|VIRTUAL_PROMPT_\d+\|>")

PLACEMENTS = {"before": (True, False), "after": (False, True), "around": (True, True)}
"""Whether virtual tokens stand before the text, and whether after it, right before the answer."""


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
    first, second = PLACEMENTS[placement]
    # in halves, the larger one before the text, as the article's [10, 6] has it
    splits = [total - total // 2, total // 2] if first and second else [total]
    markers = ["<|VIRTUAL_PROMPT_0|>" * first, f"<|VIRTUAL_PROMPT_{len(splits) - 1}|>" * second]
    template = markers[0] + body + markers[1] + before[len(body) :] + answer
    if total < len(splits):
        fault = Fault("total_virtual_tokens", None, f"{total}; the placement {placement!r} needs {len(splits)} or more")
        raise CardError(f"{card.taskname}:{card.lang}", [fault])
    changed = {"prompt_template": template, "total_virtual_tokens": total, "virtual_token_splits": splits}
    return parse_card(card.plain() | changed)
