"""A value grammar: the rules by which one language says values, and the scan that applies them.

Rules are tried wherever a word or number begins; the longest mention wins and the scan goes on behind it. A language is
a module with one ``ValueGrammar``; what languages share is in ``translate.values.amounts``.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from translate.values.mention import Mention, Reading, clock_readings, number

__all__ = ["ClockPhrases", "Rule", "ValueGrammar", "numbered", "paired_digits", "phrase_rule", "words_of"]

Rule = Callable[[str, int], Mention | None]

_BEGIN = re.compile(
    r"(?<!\w)(?=\w)|[$€£¥](?=\s?\d)|(?<![\w.])\.(?=\d)"
    r"|(?<![^\s(])[-\u2212\u2013](?=[$€£¥]?\.?\d)"  # a minus, not the hyphen or dash of a range
)
_STRANGE = re.compile(r"(?![0-9])\d|[\u0130\u0131]")


@dataclass(frozen=True)
class ClockPhrases:
    """How a language says clock times in words.

    Attributes:
        ways: "half-day", "o'clock", "24-hour" and "relative" -> the phrase of an hour (0 to 23) and a minute that is 0,
            10, 15, 20, 30, 45 or 50.
        before: word before a time that is not said twice ("klockan ").
    """

    ways: Mapping[str, Callable[[int, int], str]]
    before: str = ""


@dataclass(frozen=True)
class ValueGrammar:
    """How one language says values.

    Attributes:
        lang: its code.
        rules: of two rules that read equally far, the earlier one counts.
        writer: writes a value of another language; None where there is none.
        day_parts: parts of the day with the regular expression of the words that name them.
        range_word: word between the ends of a range ("to").
        list_words: regular expression of words between the members of a list ("and|or").
        common_words: by which a text of the language is told from others; none is common in another language.
        clock_phrases: for corpora with other clock times; None for none.
    """

    lang: str
    rules: tuple[Rule, ...]
    writer: Callable[[Mention], str | None] | None = None
    day_parts: Mapping[str, str] = field(default_factory=dict)
    range_word: str = "-"
    list_words: str = ","
    common_words: frozenset[str] = frozenset()
    clock_phrases: ClockPhrases | None = None

    def read(self, text: str) -> tuple[Mention, ...]:
        """Return the values a text says, from left to right."""
        return tuple(self._scan(text))

    def _scan(self, text: str) -> Iterator[Mention]:
        at, plain = 0, _plain(text)
        while begin := _BEGIN.search(plain, at):
            found = [mention for rule in self.rules if (mention := rule(plain, begin.start()))]
            at = begin.start() + 1
            if found:
                best = max(found, key=lambda mention: mention.end)
                yield replace(best, text=text[best.start : best.end])
                at = best.end


def _plain(text: str) -> str:
    """Return a text of the same length with ASCII digits, and "I" and "i" for those with and without a dot.

    Regular expressions take "١" for a digit and "ı" for an "i"; tables of words do not.
    """
    return _STRANGE.sub(lambda found: {"\u0130": "I", "\u0131": "i"}.get(found[0]) or str(int(found[0])), text)


def phrase_rule(pattern: str, read: Callable[[re.Match[str]], Iterable[Reading]], *, weak: bool = False) -> Rule:
    """Return the rule of one regular expression (case ignored, whole words).

    ``read`` gives the readings of a match, none when it is no value; ``weak`` tells that the phrase has other uses.
    """
    compiled = re.compile(rf"(?:{pattern})(?!\w)", re.IGNORECASE)

    def rule(text: str, at: int) -> Mention | None:
        match = compiled.match(text, at)
        readings = frozenset(read(match)) if match else frozenset()
        return Mention(at, match.end(), match[0], readings, weak=weak) if match and readings else None

    return rule


def fixed_rule(pattern: str, *readings: Reading, weak: bool = False) -> Rule:
    """Return the rule of a phrase that always has the same readings."""
    return phrase_rule(pattern, lambda _: readings, weak=weak)


def paired_digits(below_100: Mapping[str, int]) -> Rule:
    """Return the rule that reads "twenty seventeen" as the year 2017, or the clock time 20:17."""

    def read(found: re.Match[str]) -> Iterable[Reading]:
        high, low = (below_100[found[part].casefold()] for part in ("high", "low"))
        clock = clock_readings(high, low) if high <= 24 and low < 60 else ()
        return [number(high * 100 + low), *clock]

    words = {word: n for word, n in below_100.items() if not word.isdigit()}
    high, low = (words_of(w for w, n in words.items() if n in span) for span in (range(17, 21), range(10, 100)))
    return phrase_rule(rf"(?P<high>{high})[ -](?P<low>{low})", read)


def words_of(table: Iterable[str]) -> str:
    """Return the alternatives of a regular expression for some words, the longest first."""
    return "|".join(re.escape(word) for word in sorted(set(table), key=lambda word: (-len(word), word)))


def numbered(words: str, start: int = 0) -> dict[str, int]:
    """Return words with their numbers, counted from ``start``.

    >>> numbered("zero one")
    {'zero': 0, 'one': 1}
    """
    return {word: n for n, word in enumerate(words.split(), start)}
