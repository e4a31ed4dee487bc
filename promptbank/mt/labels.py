"""Propose a label inventory: label words and phrases by an engine, for a person to approve."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from promptbank.mt.cards import undecided_words
from tasks import TaskCard
from translate import Engine, InventoryError, Memory, Span
from translate.inventory.inventory import TEXT, Decision, Inventory, Section, merge
from translate.pipeline.memory import translate_texts
from translate.records.markers import mark, read_marked
from translate.records.protect import unmask

__all__ = ["proposed"]

CARRIERS = ("It was {}.", "The answer is {}.", "This text is about {}.", "Everything here is {}.")
"""Sentences around a label's word, which an engine translates better than the word alone; the majority decides."""

PLACE = re.compile(r"\{([^{}]+)\}")


def proposed(cards: Sequence[TaskCard], inventory: Inventory, engine: Engine, memory: Memory) -> Inventory:
    """Return the inventory with a new decision, of status "auto", for each undecided label and phrase of some cards.

    A label keeps the words of its source form where the engine gives two labels the same ones.
    """
    words_of = _LabelTranslator(inventory, engine, memory)
    for card in cards:
        for section, words in undecided_words(card, inventory):
            forms = (words,) if section == TEXT else (card.label_space or {})[words]
            decision = words_of.phrase(words) if section == TEXT else words_of.label(forms[0])
            inventory = _with(inventory, section, words, [decision, *(Decision(target=form) for form in forms)])
    return inventory


def _with(inventory: Inventory, section: Section, key: str, proposals: Iterable[Decision]) -> Inventory:
    """Add the first of some proposals whose target no other label has."""
    for proposal in proposals:
        try:
            return merge(inventory, Inventory(inventory.src, inventory.tgt, {section: {key: proposal}}))
        except InventoryError:
            continue
    return inventory


class _LabelTranslator:
    """Translates labels and phrases with an engine."""

    def __init__(self, inventory: Inventory, engine: Engine, memory: Memory) -> None:
        self._src, self._tgt = inventory.src, inventory.tgt
        self._engine, self._memory = engine, memory
        self._markers = engine.info().markers

    def label(self, form: str) -> Decision:
        """Return the form that most carriers give, the others as variants; the label's own form if none gives one."""
        found = Counter(said for said in self._forms(form.replace("_", " ")) if said)
        ranked = [said for said, _ in found.most_common()]
        return Decision(target=ranked[0], variants=tuple(ranked[1:])) if ranked else Decision(target=form)

    def phrase(self, words: str) -> Decision:
        """Return a phrase's translation with its placeholders; the phrase itself if one got lost."""
        head = re.match(r"\{[^{}]+\}\s*", words)  # the text's own place at the start stays there
        start = head[0] if head else ""
        rest = words[len(start) :]
        meaning = {f"X{number}": f"{{{name}}}" for number, name in enumerate(PLACE.findall(rest))}
        numbers = iter(meaning)
        sent = PLACE.sub(lambda _: next(numbers), rest)
        back = unmask(self._said([("masked" if meaning else "plain", sent)])[0], meaning)
        return Decision(target=words if back is None else start + back)

    def _forms(self, word: str) -> Iterable[str]:
        if self._markers == "none":
            return [_clean(self._said([("plain", word)])[0])]
        sent = []
        for carrier in CARRIERS:
            text, at = carrier.format(word), carrier.index("{}")
            sent.append((self._markers, mark(text, [Span(at, at + len(word), "label")], self._markers)))
        read = [read_marked(text, 1, self._markers) for text in self._said(sent)]
        marked = [_clean(m.text[slice(*m.stretches[0][1:])]) for m in read if not isinstance(m, str)]
        return marked or [_clean(self._said([("plain", word)])[0])]

    def _said(self, texts: Sequence[tuple[str, str]]) -> list[str]:
        found = translate_texts(self._engine, self._memory, (self._src, self._tgt), texts)
        return [one.text for one in found]


def _clean(form: str) -> str:
    return form.strip(" .,!?").casefold()
