"""Placement: only the markers move; everything else of the card stays."""

import pytest

from tasks import CardError, builtin_card, builtin_cards
from tasks.placement import PLACEMENTS, place_virtual_tokens

SENTIMENT = builtin_card("sentiment-task", "en")


@pytest.mark.parametrize(
    ("placement", "template", "splits"),
    [
        ("before", "<|VIRTUAL_PROMPT_0|>{sentence} {label}", (7,)),
        ("after", "{sentence}<|VIRTUAL_PROMPT_0|> {label}", (7,)),
        ("around", "<|VIRTUAL_PROMPT_0|>{sentence}<|VIRTUAL_PROMPT_1|> {label}", (4, 3)),
    ],
)
def test_markers_go_where_they_are_sent(placement: str, template: str, splits: tuple[int, ...]) -> None:
    card = place_virtual_tokens(SENTIMENT, 7, placement)
    assert (card.prompt_template, tuple(card.virtual_token_splits)) == (template, splits)


@pytest.mark.parametrize(
    "card",
    [*builtin_cards(), *builtin_cards("article"), *builtin_cards("around")],
    ids=lambda c: f"{c.taskname}:{c.lang}",
)
def test_nothing_else_changes_and_a_way_back_exists(card: object) -> None:
    keys = {"prompt_template", "total_virtual_tokens", "virtual_token_splits"}
    moved = [place_virtual_tokens(card, 6, placement) for placement in PLACEMENTS]
    for one in moved:
        assert {k: v for k, v in one.plain().items() if k not in keys} == {
            k: v for k, v in card.plain().items() if k not in keys
        }
        assert place_virtual_tokens(one, 6, "after") == moved[list(PLACEMENTS).index("after")]
    assert len({one.template_sha256 for one in moved}) == len(moved)


def test_the_variant_around_moves_the_virtual_tokens_of_the_assistants_cards_and_nothing_else() -> None:
    cards = [card for card in builtin_cards() if card.taskname == "intent_and_slot"]
    assert builtin_cards("around") == [place_virtual_tokens(card, 40, "around") for card in cards]


def test_two_blocks_need_two_virtual_tokens() -> None:
    with pytest.raises(CardError):
        place_virtual_tokens(SENTIMENT, 1, "around")
