"""Other ways to send a text to an engine, for one that came back spoilt: what an engine cannot spoil, it does not see.

An attempt looks at what the checks doubt and says what to send and how to read the answer. Whether it is better than
the first translation is for the checks to say.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from translate.checks.structure import FAMILIES
from translate.pipeline.translated import Mode
from translate.records.protect import Protected, find_protected, mask, title_cased, unmask
from translate.records.record import Record
from translate.values import Mention, read_values, written_value

__all__ = ["REWRITES", "FlaggedRecord", "RewrittenSource", "SourceRewrite", "common_words"]

LEFT = frozenset({"copy", "language", "left_words"})
BROKEN = "\u00c2"  # what stands before a "£" whose UTF-8 was read as Latin-1, as in FiQA
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


@dataclass(frozen=True)
class FlaggedRecord:
    """A record whose translation the checks doubt.

    Attributes:
        record: the source.
        src: its language.
        tgt: language wanted.
        flags: names of what the checks noticed.
        common: words that are no names, see `common_words`.
    """

    record: Record
    src: str
    tgt: str
    flags: frozenset[str] = frozenset()
    common: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RewrittenSource:
    """A text as it is sent, and how to read what comes back: the translation, or None if the answer is spoilt."""

    text: str
    read: Callable[[str], str | None]


class SourceRewrite(Protocol):
    """One way to send a text."""

    @property
    def mode(self) -> Mode:
        """Its name in provenance."""

    @property
    def asks(self) -> Mode:
        """The mode under which the memory keeps what it sends."""

    def respelt(self, doubt: FlaggedRecord) -> RewrittenSource | None:
        """Return what to send; None where this way has nothing to mend."""


@dataclass(frozen=True)
class Unmarked:
    """The text without marks around its spans, which are searched in what comes back.

    A translator that learnt marks from names alone copies what stands between them: "[tuesday]" stays "[tuesday]".
    """

    mode: Mode = "plain"
    asks: Mode = "plain"

    def respelt(self, doubt: FlaggedRecord) -> RewrittenSource | None:
        """Send the text as it is, if it has spans."""
        return RewrittenSource(doubt.record.text, lambda text: text or None) if doubt.record.spans else None


@dataclass(frozen=True)
class MaskedStrings:
    """Protected strings are placeholders, after one got lost."""

    mode: Mode = "masked"
    asks: Mode = "masked"

    def respelt(self, doubt: FlaggedRecord) -> RewrittenSource | None:
        """Hold the protected strings out."""
        if "entity_lost" not in doubt.flags:
            return None
        found = find_protected(doubt.record.text, doubt.record.protected)
        return _held_out(doubt.record.text, [(one, one.string) for one in found])


@dataclass(frozen=True)
class SpeltValues:
    """The plain translation, where it has values in the source's spelling: they get the target language's own.

    Nothing else changes: "2,700 Model X-bilar" becomes "2 700 Model X-bilar", "$69,7 billion" "69,7 miljarder dollar".
    """

    mode: Mode = "spelt"
    asks: Mode = "plain"

    def respelt(self, doubt: FlaggedRecord) -> RewrittenSource | None:
        """Send the text as it is."""
        written = [(one.string, said) for one, said in _values(doubt) if one.string != said]
        held = [(form, said) for string, said in written for form in dict.fromkeys((string, _comma(string)))]

        def read(text: str) -> str | None:
            new = text
            for string, said in held:
                pieces = re.split(rf"(?<![\w.,]){re.escape(string)}(?!\w|-\w|[.,]\d|[\s-]\w*illion)", new)
                new = said.join(pieces)
            return new if new != text else None

        return RewrittenSource(doubt.record.text, read) if held and doubt.flags & FAMILIES.keys() else None


@dataclass(frozen=True)
class WrittenValues:
    """Protected strings and values are placeholders, and the target language's own spelling of the values comes back.

    An engine that gives "$2.7 billion" as "$2,7 miljontals" never sees it.
    """

    mode: Mode = "values"
    asks: Mode = "values"

    def respelt(self, doubt: FlaggedRecord) -> RewrittenSource | None:
        """Hold protected strings and values out."""
        values = _values(doubt)
        if not values or not doubt.flags & FAMILIES.keys():
            return None
        return _held_out(doubt.record.text, [*_strings(doubt), *values])


@dataclass(frozen=True)
class SentenceCase:
    """A headline goes in as a sentence: "Shell To Cut Jobs" as "Shell to cut jobs".

    Engines take capital letters for names, and leave them. Only words that the set also has in lower case lose their
    capital, so that names keep theirs.
    """

    mode: Mode = "recased"
    asks: Mode = "recased"

    def respelt(self, doubt: FlaggedRecord) -> RewrittenSource | None:
        """Put common words in lower case, and hold protected strings and values out."""
        text = doubt.record.text
        if not doubt.flags & LEFT or not title_cased(text):
            return None
        held = _held_out(text, [*_strings(doubt), *_values(doubt)]) or RewrittenSource(text, lambda said: said)

        def lowered(found: re.Match[str]) -> str:
            return found[0].lower() if found[0].casefold() in doubt.common else found[0]

        def read(said: str) -> str | None:
            back = held.read(said)
            return back and back[:1].upper() + back[1:]

        sent = _WORD.sub(lowered, held.text)
        return RewrittenSource(sent, read) if sent != held.text else None


REWRITES: dict[str, SourceRewrite] = {
    "unmarked.v1": Unmarked(),
    "masked.v1": MaskedStrings(),
    "spelt.v1": SpeltValues(),
    "values.v1": WrittenValues(),
    "recased.v1": SentenceCase(),
}
"""In the order in which they are made, for texts that the checks doubt."""


def common_words(texts: Iterable[str]) -> frozenset[str]:
    """Return the words, case folded, that a set has in lower case more often than with a capital inside a sentence.

    >>> sorted(common_words(["Oil rises", "shares of Apple rise as oil rises", "they say Oil rises"]))
    ['as', 'of', 'oil', 'rise', 'rises', 'say', 'shares', 'they']
    """
    lower, upper = Counter[str](), Counter[str]()
    for text in texts:
        if title_cased(text):
            continue
        for found in _WORD.finditer(text):
            inside = found.start() > 0 and text[: found.start()].rstrip()[-1:] not in ".!?:"
            if found[0].islower():
                lower[found[0].casefold()] += 1
            elif inside:
                upper[found[0].casefold()] += 1
    return frozenset(word for word, count in lower.items() if count >= upper[word])


def _strings(doubt: FlaggedRecord) -> list[tuple[Protected, str]]:
    return [(one, one.string) for one in find_protected(doubt.record.text, doubt.record.protected)]


def _values(doubt: FlaggedRecord) -> list[tuple[Protected, str]]:
    """Return the values outside protected strings that the target language can write, each with what it writes."""
    text, strings = doubt.record.text, _strings(doubt)

    def free(value: Mention) -> bool:
        apart = all(value.end <= one.start or one.end <= value.start for one, _ in strings)
        return apart and not text[value.end : value.end + 1].isalnum()

    def held(value: Mention) -> Protected:
        begin = value.start - text[: value.start].endswith(BROKEN)
        return Protected(begin, value.end, "value", text[begin : value.end])

    values = [value for value in read_values(text, doubt.src) if free(value)]
    written = [(held(value), written_value(value, doubt.tgt)) for value in values]
    return [(one, said) for one, said in written if said]


def _comma(value: str) -> str:
    """Return a value's spelling with a decimal comma, as an engine gives "$69,7 billion" for "$69.7 billion"."""
    return re.sub(r"(?<=\d)\.(?=\d)", ",", value)


def _held_out(text: str, held: Sequence[tuple[Protected, str]]) -> RewrittenSource | None:
    """Return a text with placeholders; an answer that makes a compound of a phrase ("49 %-restvärde") is spoilt."""
    if not held:
        return None
    held = sorted(held)
    sent, placeholders = mask(text, [one for one, _ in held])
    meaning = dict(zip(placeholders, (said for _, said in held), strict=True))
    phrases = [said for one, said in held if one.kind == "value" and " " in said]

    def read(said: str) -> str | None:
        back = unmask(said, meaning)
        joined = back and any(re.search(rf"{re.escape(phrase)}(?:-\w|:\w)", back) for phrase in phrases)
        return None if joined else back

    return RewrittenSource(sent, read)
