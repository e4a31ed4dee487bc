"""The card of a task in the target language, written by the label inventory."""

from collections.abc import Iterable
from typing import Any

from tasks import TaskCard, Text, VirtualBlock, parse_card, scan_template
from translate.inventory.inventory import INTENT, SLOT_TYPE, TEXT, Inventory, Section

__all__ = ["target_card", "undecided_words"]


def target_card(card: TaskCard, inventory: Inventory) -> TaskCard:
    """Return a card in the inventory's target language; words and labels without a decision stay.

    Raises:
        CardError: the inventory's decisions do not make a sound card.
    """
    plain: dict[str, Any] = {**card.plain(), "lang": inventory.tgt}
    plain["prompt_template"] = _template(card.prompt_template, inventory)
    plain["phrases"] = {name: _text(phrase, inventory) for name, phrase in card.phrases.items()}
    plain["description"] = _text(card.description, inventory)
    if card.label_space is not None:
        decided = inventory.label_space(card.taskname)
        plain["label_space"] = {label: list(decided.get(label, forms)) for label, forms in card.label_space.items()}
    for key, section in (("intents", INTENT), ("slot_types", SLOT_TYPE)):
        if plain.get(key) is not None:
            plain[key] = [inventory.id_of(section, one).text for one in plain[key]]
    return parse_card(plain, source=f"{card.taskname}:{inventory.tgt}")


def undecided_words(card: TaskCard, inventory: Inventory) -> list[tuple[Section, str]]:
    """Return the words and labels of a card without a decision, each with its section."""
    words = [*_words(card.prompt_template), *card.phrases.values(), card.description]
    section = ("label", card.taskname)
    labels = [label for label in card.label_space or {} if inventory.label(card.taskname, label) is None]
    return [
        *((TEXT, word) for word in words if word and inventory.text(word) is None),
        *((section, label) for label in labels),
    ]


def _text(phrase: str, inventory: Inventory) -> str:
    decided = inventory.text(phrase) if phrase else None
    return decided.text if decided else phrase


def _template(template: str, inventory: Inventory) -> str:
    """Return a template with the words between its fields and markers translated; white space stays."""
    return "".join(_segments(template, inventory))


def _segments(template: str, inventory: Inventory) -> Iterable[str]:
    for segment in scan_template(template)[0]:
        if isinstance(segment, Text):
            words = segment.text.strip()
            said = segment.text.replace(words, _text(words, inventory)) if words else segment.text
            yield said.replace("{", "{{").replace("}", "}}")
        elif isinstance(segment, VirtualBlock):
            yield f"<|VIRTUAL_PROMPT_{segment.index}|>"
        else:
            yield f"{{{segment.name}}}"


def _words(template: str) -> list[str]:
    texts = (segment.text.strip() for segment in scan_template(template)[0] if isinstance(segment, Text))
    return [text for text in texts if any(character.isalpha() for character in text)]
