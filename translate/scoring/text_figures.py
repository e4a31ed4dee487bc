"""What texts carry over, in figures: values, protected strings, words, language, lengths.

Each figure is over the outcomes that it is given, which have a translation. A share keeps its whole, so that 0 of 2 is
not read as 0 of 2,000.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from translate.checks import CheckLimits, Draft
from translate.checks.structure import FAMILIES
from translate.checks.text import language
from translate.pipeline.translated import TranslatedRecord
from translate.records.protect import find_protected, is_kept, words_left
from translate.values import compare_texts

__all__ = [
    "Lengths",
    "Share",
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
class Share:
    """So many of so many."""

    count: int
    of: int

    @property
    def value(self) -> float | None:
        """The share, 0 to 1; None of nothing."""
        return self.count / self.of if self.of else None


@dataclass(frozen=True)
class Lengths:
    """Lengths of source and translation.

    Attributes:
        source_words: mean, by white space.
        target_words: mean.
        source_characters: mean.
        target_characters: mean.
        ratio: characters of all translations by those of all their sources.
        source_types: type-token ratio: distinct words by words, case ignored.
        target_types: the same of the translations. It falls with the size of a set, but the two are of the same rows.
    """

    source_words: float
    target_words: float
    source_characters: float
    target_characters: float
    ratio: float
    source_types: float
    target_types: float


def plain(value: object) -> Any:
    """Return figures as plain JSON values: numbers to six decimals, a share with its count and its whole.

    >>> plain(Share(1, 3))
    {'count': 1, 'of': 3, 'share': 0.333333}
    """
    match value:
        case Share():
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


def share_of(holds: Iterable[bool]) -> Share:
    """Count what holds.

    >>> share_of([True, False, True])
    Share(count=2, of=3)
    """
    found = list(holds)
    return Share(sum(found), len(found))


def count_shares(found: Iterable[tuple[Iterable[str], bool]]) -> dict[str, Share]:
    """Count what holds by key, keys in order; a key that one row has twice counts once.

    >>> count_shares([(["time", "date"], True), (["time", "time"], False)])
    {'date': Share(count=1, of=1), 'time': Share(count=1, of=2)}
    """
    of, count = Counter[str](), Counter[str]()
    for keys, holds in found:
        distinct = set(keys)
        of.update(distinct)
        count.update(distinct if holds else ())
    return {key: Share(count[key], of[key]) for key in sorted(of)}


def kept_values(outcomes: Iterable[TranslatedRecord], src: str, tgt: str) -> tuple[dict[str, Share], str]:
    """Compare values: number, money, percent, time, date.

    Returns:
        By kind: of the translations whose source says such a value, those that say the same ones and no others; words
        such as "one" or "second", which need be no number, give a source none. And why less than everything was
        compared, empty otherwise.
    """
    found: list[tuple[list[str], bool]] = []
    note = ""
    for outcome in outcomes:
        compared = compare_texts(outcome.source.text, outcome.text, src=src, tgt=tgt)
        said = {m.kind for m in (*(a for a, _ in compared.pairs), *compared.missing) if not m.weak}
        note = note or compared.note
        for name, kinds in FAMILIES.items():
            if kinds & said:
                found.append(([name.removesuffix("_mismatch")], not compared.reasons(kinds)))
    return count_shares(found), note


def kept_strings(outcomes: Iterable[TranslatedRecord]) -> Share:
    """Count the protected strings of the sources that stand in the translations, each once a row."""
    return share_of(
        is_kept(string, outcome.text)
        for outcome in outcomes
        for string in {one.string for one in find_protected(outcome.source.text, outcome.source.protected)}
    )


def left_words(outcomes: Iterable[TranslatedRecord]) -> Share:
    """Count the words of 4 letters and more of the sources, outside protected strings, that stand in the translations.

    Case is ignored. Names count, so it never is 0: human Swedish leaves 0.07 (MASSIVE dev) and 0.08 (FLORES dev), six
    engines 0.09 to 0.10 (FLORES dev), a copy 1.
    """
    return share_of(left for outcome in outcomes for _, left in _left(outcome))


def left_lower(outcomes: Iterable[TranslatedRecord]) -> Share:
    """Count the words of `left_words` that begin in lower case, so are no names.

    Human Swedish leaves 0.019 (FLORES dev).
    """
    return share_of(left for outcome in outcomes for word, left in _left(outcome) if word[0].islower())


def right_language(outcomes: Iterable[TranslatedRecord], src: str, tgt: str) -> tuple[Share | None, str]:
    """Count the translations over 5 words that look more like the target language than like the source's.

    Returns:
        The share, and an empty text; or None, and why it cannot be said.
    """
    limits = CheckLimits(lang_words=LANGUAGE_WORDS)
    right = []
    for outcome in outcomes:
        if len(outcome.text.split()) < LANGUAGE_WORDS:
            continue
        flags = {f.name: f for f in language.look(Draft(outcome.source, outcome.text, (), src, tgt, limits=limits))}
        if unchecked := flags.get("language_unchecked"):
            return None, unchecked.evidence
        right.append("language" not in flags)
    return (share_of(right), "") if right else (None, f"no translation has {LANGUAGE_WORDS} words or more")


def measure_lengths(outcomes: Sequence[TranslatedRecord]) -> Lengths | None:
    """Measure sources and translations; None without any text."""
    sources, targets = [o.source.text for o in outcomes], [o.text for o in outcomes]
    if not any(sources):
        return None
    words = [sum(len(text.split()) for text in side) / len(side) for side in (sources, targets)]
    characters = [sum(map(len, side)) / len(side) for side in (sources, targets)]
    return Lengths(
        source_words=words[0],
        target_words=words[1],
        source_characters=characters[0],
        target_characters=characters[1],
        ratio=characters[1] / characters[0],
        source_types=_types(sources),
        target_types=_types(targets),
    )


def _left(outcome: TranslatedRecord) -> list[tuple[str, bool]]:
    return words_left(outcome.source.text, outcome.text, outcome.source.protected)


def _types(texts: Iterable[str]) -> float:
    words = [word.casefold() for text in texts for word in _WORD.findall(text)]
    return len(set(words)) / len(words) if words else 0.0
