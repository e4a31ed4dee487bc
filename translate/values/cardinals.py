"""Number words: "two hundred and thirty five" and "tvåhundratrettiofem" are 235."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from translate.values.grammar import words_of

__all__ = ["CardinalWords", "SpokenNumber"]


@dataclass(frozen=True)
class SpokenNumber:
    """A number in words, where it ends, whether its only word has other uses ("one"), and whether it is an ordinal."""

    value: int
    end: int
    weak: bool
    ordinal: bool


@dataclass(frozen=True)
class CardinalWords:
    """The number words of a language that counts in units, tens, and scales that multiply what stands before.

    Attributes:
        cardinals: words with their values, inflections included; 100 and more are scales.
        ordinals: ordinal words with their values; one ends a number.
        weak: words that alone need not be a number.
        joined: whether words of one number are written together (tvåhundra).
        link: the word allowed before the last part ("and").
        links_tens: whether it also stands between tens and units ("tuttugu og fimm"), of ordinals both in their form.
    """

    cardinals: Mapping[str, int]
    ordinals: Mapping[str, int]
    weak: frozenset[str]
    joined: bool
    link: str
    links_tens: bool = False

    @cached_property
    def _word(self) -> re.Pattern[str]:
        one = rf"(?:{words_of([*self.cardinals, *self.ordinals])})"
        return re.compile(rf"{one}{'+' if self.joined else ''}(?!\w)", re.IGNORECASE)

    @cached_property
    def _part(self) -> re.Pattern[str]:
        return re.compile(words_of([*self.cardinals, *self.ordinals]), re.IGNORECASE)

    @cached_property
    def _gap(self) -> re.Pattern[str]:
        return re.compile(rf"(?:\s+|-)(?:{self.link}\s+)?", re.IGNORECASE)

    def read(self, text: str, at: int) -> SpokenNumber | None:
        """Read the longest number in words that begins at a character offset."""
        count, end, words = _Count(), at, 0
        for word, start, stop in self._words(text, at):
            larger = count.extended(self._values(word))
            linked = text[end:start].strip("-").strip() != ""
            if larger is None or (linked and not (count.takes_link or (self.links_tens and count.lacks_units))):
                break
            count, end, words = larger, stop, words + 1
            if count.done and not (self.links_tens and count.lacks_units):
                break
        if not words:
            return None
        return SpokenNumber(
            count.total, end, weak=words == 1 and text[at:end].casefold() in self.weak, ordinal=count.done
        )

    def _words(self, text: str, at: int) -> Iterator[tuple[str, int, int]]:
        word = self._word.match(text, at)
        while word:
            yield word[0].casefold(), word.start(), word.end()
            gap = self._gap.match(text, word.end())
            word = self._word.match(text, gap.end()) if gap else None

    def _values(self, word: str) -> list[tuple[int, bool]]:
        """Return the values of a word's parts, each with whether it is ordinal."""
        parts = self._part.findall(word) if self.joined else [word]
        return [(self.cardinals.get(part, self.ordinals.get(part, 0)), part not in self.cardinals) for part in parts]


@dataclass(frozen=True)
class _Count:
    """A number while its words are added: whole scales, then hundreds, then tens and units."""

    scaled: int = 0
    scale: int = 10**15
    hundreds: int = 0
    small: int = 0
    room: int = 99  # the largest value that may still be added below a hundred
    done: bool = False

    @property
    def total(self) -> int:
        return self.scaled + self.hundreds + self.small

    @property
    def takes_link(self) -> bool:
        """Whether "and" may follow: only behind a hundred or a scale, "twenty and five" is a list."""
        return self.total >= 100 and not self.small

    @property
    def lacks_units(self) -> bool:
        """Whether tens came last, so that units may follow."""
        return self.room == 9

    def extended(self, values: list[tuple[int, bool]]) -> _Count | None:
        """Return the number with more words; None where they begin a new number."""
        count: _Count | None = self
        for value, ordinal in values:
            count = (
                count._with(value, ordinal) if count and (not count.done or (count.lacks_units and ordinal)) else None
            )
        return count

    def _with(self, value: int, ordinal: bool) -> _Count | None:
        if value >= 1000:
            return self._scaled_by(value, ordinal)
        if value == 100:
            return None if self.hundreds else _Count(self.scaled, self.scale, (self.small or 1) * 100, done=ordinal)
        if value > self.room or (self.small == 0 and self.room < 99) or (value == 0 and self.total):
            return None
        room = 9 if value >= 20 and value % 10 == 0 else 0
        return _Count(self.scaled, self.scale, self.hundreds, self.small + value, room, ordinal)

    def _scaled_by(self, value: int, ordinal: bool) -> _Count | None:
        if value >= self.scale:
            return None
        times = self.hundreds + self.small
        if not times and self.scaled:
            return None
        return _Count(self.scaled + (times or 1) * value, value, done=ordinal)
