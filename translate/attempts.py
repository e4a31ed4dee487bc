"""Other ways to send a text to an engine, for one that came back spoilt: what an engine cannot spoil, it does not see.

An attempt says what to send and how to read the answer. Whether it is better than the first is for the checks to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from translate.outcome import Mode
from translate.protect import Protected, find_protected, mask, unmask
from translate.records import Record
from translate.values import read_values, written_value

__all__ = ["ATTEMPTS", "MASKED", "Attempt", "Respelt", "title_cased"]

TITLE_WORDS, TITLE_SHARE = 4, 0.7
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_PLACEHOLDER = re.compile(r"X\d+")


@dataclass(frozen=True)
class Respelt:
    """A text as it is sent, and how to read what comes back: the translation, or None if the answer is spoilt."""

    text: str
    read: Callable[[str], str | None]


class Attempt(Protocol):
    """One way to send a text."""

    @property
    def mode(self) -> Mode:
        """Its name in provenance."""

    def respelt(self, record: Record, src: str, tgt: str) -> Respelt | None:
        """Return what to send; None where this way sends nothing but the text itself."""


@dataclass(frozen=True)
class MaskedStrings:
    """Protected strings are placeholders."""

    mode: Mode = "masked"

    def respelt(self, record: Record, src: str, tgt: str) -> Respelt | None:  # noqa: ARG002 - see Attempt
        """Hold the protected strings out."""
        found = find_protected(record.text, record.protected)
        return _held_out(record.text, [(one, one.string) for one in found])


@dataclass(frozen=True)
class WrittenValues:
    """Protected strings and values are placeholders, and the target language's own spelling of the values comes back.

    An engine that gives "$2.7 billion" as "$2,7 miljontals" never sees it.
    """

    mode: Mode = "values"

    def respelt(self, record: Record, src: str, tgt: str) -> Respelt | None:
        """Hold protected strings and values out."""
        held = _strings_and_values(record, src, tgt)
        if all(one.kind != "value" for one, _ in held):
            return None
        return _held_out(record.text, held)


@dataclass(frozen=True)
class SentenceCase:
    """A headline goes in as a sentence: "Shell To Cut Jobs" as "shell to cut jobs".

    Engines take capital letters for names, and leave them. Names among the words come back with their capitals.
    """

    mode: Mode = "recased"

    def respelt(self, record: Record, src: str, tgt: str) -> Respelt | None:
        """Put words in lower case, and hold protected strings and values out."""
        if not title_cased(record.text):
            return None
        held = _held_out(record.text, _strings_and_values(record, src, tgt))
        text = held.text if held else record.text
        capitals = {word.casefold(): word for word in _WORD.findall(text) if word != _lowered(word)}

        def read(said: str) -> str | None:
            back = _WORD.sub(lambda found: capitals.get(found[0], found[0]), said)
            back = back[:1].upper() + back[1:]
            return held.read(back) if held else back

        pieces = re.split(rf"({_PLACEHOLDER.pattern})", text)
        lowered = "".join(p if _PLACEHOLDER.fullmatch(p) else _WORD.sub(lambda m: _lowered(m[0]), p) for p in pieces)
        return Respelt(lowered, read)


MASKED = MaskedStrings()
ATTEMPTS: dict[str, Attempt] = {"values.v1": WrittenValues(), "recased.v1": SentenceCase()}
"""In the order in which they are made, for texts that the checks doubt."""


def title_cased(text: str) -> bool:
    """Say whether nearly all longer words begin with a capital, as in headlines.

    >>> title_cased("Shell Is Said To Cut Thousands Of Jobs"), title_cased("Shell is said to cut jobs in Aberdeen")
    (True, False)
    """
    words = [word for word in _WORD.findall(text) if len(word) >= 4]
    return len(words) >= TITLE_WORDS and sum(word[0].isupper() for word in words) >= TITLE_SHARE * len(words)


def _lowered(word: str) -> str:
    """Return a word in lower case, unless it is spelt in a way of its own: "AstraZeneca", "EU", "I"."""
    return word.lower() if word[1:] == word[1:].lower() and word != "I" else word


def _strings_and_values(record: Record, src: str, tgt: str) -> list[tuple[Protected, str]]:
    """Return what an engine need not see, in order, each with what stands for it in the target language."""
    held = [(one, one.string) for one in find_protected(record.text, record.protected)]
    for value in read_values(record.text, src):
        apart = all(value.end <= one.start or one.end <= value.start for one, _ in held)
        alone = not record.text[value.end : value.end + 1].isalnum()
        written = written_value(value, tgt) if apart and alone else None
        if written:
            held.append((Protected(value.start, value.end, "value", value.text), written))
    return sorted(held)


def _held_out(text: str, held: Sequence[tuple[Protected, str]]) -> Respelt | None:
    if not held:
        return None
    sent, placeholders = mask(text, [one for one, _ in held])
    meaning = dict(zip(placeholders, (said for _, said in held), strict=True))
    return Respelt(sent, lambda said: unmask(said, meaning))
