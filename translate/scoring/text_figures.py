"""Figures of translated texts: how many keep values, protected strings and the language, and how long they are.

Each figure is over the records that it is given, which have a translation. A share keeps its total, so that 0 of 2 is
not read as 0 of 2,000.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Self

from translate.checks import CheckLimits, Draft
from translate.checks.structure import FAMILIES
from translate.checks.text import language
from translate.pipeline.translated import TranslatedRecord
from translate.records.protect import find_protected, is_kept, words_left
from translate.values import compare_texts

__all__ = [
    "LengthStatistics",
    "Proportion",
    "count_shares",
    "kept_strings",
    "kept_values",
    "left_lower",
    "left_words",
    "measure_lengths",
    "plain",
    "right_language",
    "share_of",
]

LANGUAGE_WORDS = 6
"""Shorter translations are not identified."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Proportion:
    """A count and its total."""

    count: int
    of: int

    @classmethod
    def total(cls, shares: Iterable[Self]) -> Self:
        """Add up counts and totals.

        >>> Proportion.total([Proportion(1, 2), Proportion(0, 3)])
        Proportion(count=1, of=5)
        """
        found = list(shares)
        return cls(sum(one.count for one in found), sum(one.of for one in found))

    @property
    def value(self) -> float | None:
        """The share, 0 to 1; None of a total of 0."""
        return self.count / self.of if self.of else None


@dataclass(frozen=True)
class LengthStatistics:
    """Mean numbers of words and characters, the ratio of characters, and type-token ratios.

    A type-token ratio (distinct words by words, case ignored) falls with the size of a set; the two are comparable.
    """

    source_words: float
    target_words: float
    source_characters: float
    target_characters: float
    ratio: float
    source_types: float
    target_types: float


def plain(value: object) -> object:
    """Return figures as plain JSON values: numbers to six decimals, a share with its count and its total.

    >>> plain(Proportion(1, 3))
    {'count': 1, 'of': 3, 'share': 0.333333}
    """
    match value:
        case Proportion():
            return {"count": value.count, "of": value.of, "share": plain(value.value)}
        case float():
            return round(value, 6)
        case Mapping():
            return {str(key): plain(one) for key, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
    if is_dataclass(value):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    return value


def share_of(holds: Iterable[bool]) -> Proportion:
    """Return the share of the true ones."""
    found = list(holds)
    return Proportion(sum(found), len(found))


def count_shares(found: Iterable[tuple[Iterable[str], bool]]) -> dict[str, Proportion]:
    """Return the share of the true ones by key, keys in order; a key that stands twice in one row counts once.

    >>> count_shares([(["time", "date"], True), (["time", "time"], False)])
    {'date': Proportion(count=1, of=1), 'time': Proportion(count=1, of=2)}
    """
    of, count = Counter[str](), Counter[str]()
    for keys, holds in found:
        distinct = set(keys)
        of.update(distinct)
        count.update(distinct if holds else ())
    return {key: Proportion(count[key], of[key]) for key in sorted(of)}


def kept_values(records: Iterable[TranslatedRecord], src: str, tgt: str) -> tuple[dict[str, Proportion], str]:
    """Return, by kind of value, the share of translations that say the values of their source, and a note.

    The kinds are number, money, percent, time and date; the total is that of the sources with such a value (words such
    as "one" or "second" are none). The note tells why less than everything was compared, empty otherwise.
    """
    found: list[tuple[list[str], bool]] = []
    note = ""
    for record in records:
        compared = compare_texts(record.source.text, record.text, src=src, tgt=tgt)
        said = {m.kind for m in (*(a for a, _ in compared.pairs), *compared.missing) if not m.weak}
        note = note or compared.note
        for name, kinds in FAMILIES.items():
            if kinds & said:
                found.append(([name.removesuffix("_mismatch")], not compared.reasons(kinds)))
    return count_shares(found), note


def kept_strings(records: Iterable[TranslatedRecord]) -> Proportion:
    """Return the share of the sources' protected strings that stand in the translations, each once a record."""
    return share_of(
        is_kept(string, record.text)
        for record in records
        for string in {one.string for one in find_protected(record.source.text, record.source.protected)}
    )


def left_words(records: Iterable[TranslatedRecord]) -> Proportion:
    """Return the share of the sources' words (see `words_left`) that stand in the translations.

    Names count, so it never is 0: human Swedish leaves 0.07 (MASSIVE dev) and 0.08 (FLORES dev), six engines 0.09 to
    0.10 (FLORES dev), a copy 1.
    """
    return share_of(left for record in records for _, left in _left(record))


def left_lower(records: Iterable[TranslatedRecord]) -> Proportion:
    """Return `left_words` of those that begin in lower case, so are no names; human Swedish leaves 0.019 (FLORES)."""
    return share_of(left for record in records for word, left in _left(record) if word[0].islower())


def right_language(records: Iterable[TranslatedRecord], src: str, tgt: str) -> tuple[Proportion | None, str]:
    """Return the share of translations over 5 words in the target language; or None, and why it cannot be said."""
    limits = CheckLimits(lang_words=LANGUAGE_WORDS)
    right = []
    for record in records:
        if len(record.text.split()) < LANGUAGE_WORDS:
            continue
        flags = {f.name: f for f in language.look(Draft(record.source, record.text, (), src, tgt, limits=limits))}
        if unchecked := flags.get("language_unchecked"):
            return None, unchecked.evidence
        right.append("language" not in flags)
    return (share_of(right), "") if right else (None, f"no translation has {LANGUAGE_WORDS} words or more")


def measure_lengths(records: Sequence[TranslatedRecord]) -> LengthStatistics | None:
    """Measure sources and translations; None without any source text."""
    sources, targets = [o.source.text for o in records], [o.text for o in records]
    if not any(sources):
        return None
    words = [sum(len(text.split()) for text in side) / len(side) for side in (sources, targets)]
    characters = [sum(map(len, side)) / len(side) for side in (sources, targets)]
    return LengthStatistics(
        source_words=words[0],
        target_words=words[1],
        source_characters=characters[0],
        target_characters=characters[1],
        ratio=characters[1] / characters[0],
        source_types=_types(sources),
        target_types=_types(targets),
    )


def _left(record: TranslatedRecord) -> list[tuple[str, bool]]:
    return words_left(record.source.text, record.text, record.source.protected)


def _types(texts: Iterable[str]) -> float:
    words = [word.casefold() for text in texts for word in _WORD.findall(text)]
    return len(set(words)) / len(words) if words else 0.0
