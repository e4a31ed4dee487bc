"""Pairs of sentences in two languages: comparing them, drawing among them."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from translate.errors import TranslateError

__all__ = [
    "CorpusError",
    "Pair",
    "draw",
    "is_combining",
    "is_sentence",
    "likeness",
    "spoken_text",
]


class CorpusError(TranslateError):
    """A corpus cannot be read, made or used."""


@dataclass(frozen=True)
class Pair:
    """A sentence in two languages.

    Attributes:
        src: in the source language, NFC, with single spaces.
        tgt: its translation.
        source: where it comes from, such as "tatoeba"; caps and counts are by source.
        kind: "plain", or the augmentation that made it.
        spans: (type, source value, target value) of annotated spans that translate each other.
        marked: both texts with these between marks, numbered in the order of the source.
        links: numbers of the space-separated words that translate each other, where they were aligned.
        fault: why it is no pair to learn, where its file says so, such as "fuzzy".
    """

    src: str
    tgt: str
    source: str
    kind: str = "plain"
    spans: tuple[tuple[str, str, str], ...] = ()
    marked: tuple[str, str] | None = None
    links: tuple[tuple[int, int], ...] = ()
    fault: str = ""


def likeness(text: str) -> str:
    """Return a text without case, punctuation and spaces, to compare it with others.

    Vowel signs and other combining marks stay: without them "दिन" (day) and "दान" (gift) would be alike.

    >>> likeness("Don't  stop at five p. m.!") == likeness("dont stop at 'five pm'")
    True
    """
    folded = text.casefold().replace("i\u0307", "i")  # what a dotted capital I becomes
    return re.sub(r"[\W_]+", lambda found: _marks_of(found[0]), folded) or text.strip()


def is_combining(char: str) -> bool:
    """Say whether a character is a combining mark: a vowel sign or an accent."""
    return unicodedata.category(char).startswith("M")


def draw(pair: Pair, purpose: str, seed: int) -> float:
    """Return a pseudo-random number from 0 to 1 that depends on the pair, the purpose and the seed alone."""
    digest = hashlib.sha256(f"{seed}\0{purpose}\0{pair.src}\0{pair.tgt}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def is_sentence(text: str) -> bool:
    """Say whether a text looks like a sentence: four words, a capital, a full stop.

    >>> [is_sentence("Close the current window."), is_sentence("Close window")]
    [True, False]
    """
    return len(text.split()) >= 4 and text[:1].isupper() and text.endswith((".", "!", "?"))


def spoken_text(text: str) -> str:
    """Return a sentence as an assistant is told it: in lower case, without commas and the final sign.

    >>> spoken_text("Well, wake me on Friday.")
    'well wake me on friday'
    """
    return re.sub(r"(?<=\w),(?= )", "", re.sub(r"\s*[.!?…]+$", "", text)).lower() or text


@lru_cache(1 << 12)
def _marks_of(run: str) -> str:
    """Return the combining marks among other signs, without variation selectors."""
    return "".join(char for char in run if is_combining(char) and not "\ufe00" <= char <= "\ufe0f")
