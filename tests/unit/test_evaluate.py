"""Scores of formatted answers: a row that always names one intent is told, as one that always gives one label is."""

from dataclasses import replace

import pytest

from promptbank.engine.evaluate import score_texts
from tasks import Example, builtin_card
from tests.worlds import examples_of

CARD = builtin_card("intent_and_slot", "en")
INTENTS = ("alarm_set", "play_music", "weather_query", "alarm_set")


def answer(intent: str) -> str:
    return f"\nIntent: {intent}\nSlots: None"


def rows() -> list[Example]:
    asked = zip(examples_of(4), INTENTS, strict=True)
    return [replace(e, fields={"utterance": "do something"}, answer=answer(intent)) for e, intent in asked]


def test_one_intent_for_everything_is_told() -> None:
    said = score_texts(CARD, rows(), [answer("alarm_set")] * 4).metrics["collapse"]
    assert said.startswith("100% of the predictions are 'alarm_set', which is right for 50%")
    assert "collapse" in score_texts(CARD, rows(), ["no answer of the format"] * 4).metrics


@pytest.mark.parametrize("intents", [INTENTS, ("alarm_set", "alarm_set", "play_music", "play_music")])
def test_several_intents_are_no_collapse(intents: tuple[str, ...]) -> None:
    assert "collapse" not in score_texts(CARD, rows(), [answer(intent) for intent in intents]).metrics
