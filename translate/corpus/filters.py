"""Corpus filters: rules with names that drop pairs of sentences, each counted under the first rule that holds.

They test characters and common words only: a quarter of a million pairs take seconds.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

from translate.corpus.pairs import Pair, is_combining, likeness
from translate.langcodes import lookup
from translate.values import GRAMMARS

__all__ = ["FILTERS", "RULES", "FilteredPairs", "reason", "sieve"]

FILTERS = "filters.v4"
"""Version of the rules, kept in the manifest of a corpus."""

LONGEST = 600
"""Most characters of a side: about 150 tokens; longer ones are lists and boilerplate."""
LETTERS = 0.6
"""Smallest share of letters among the characters that are no spaces."""
WIDE = 3
"""Letters that a wide character counts as: English news are about three times as long as Chinese ones."""

_PLACEHOLDER = re.compile(
    r"%(?:\d+\$)?[-+#0]*[\d.*]*(?:hh|h|ll|l|q|L|j|z|t)?[A-Za-z%]|%\d|%\(\w+\)|%[<>]|[{}]|\$\w*[({]|\$[A-Z_]{2,}\b\$?"
    r"|@\w+@|\\[a-z\\\"]|(?:^|\s)&(?!\w+;)\S|\w&(?!\w+;)\w|(?:^|\s)_\w|\w_(?:\w|$)|~\w|\w~|\|"
)
_FORMAT = re.compile(r"%(?:\d+\$)?[-+#0]*[\d.*]*(?:hh|h|ll|l|q|L|j|z|t)?[diouxXeEfFgGcs@](?!\w)|%\(\w+\)|\{\w*\}")
_MARKUP = re.compile(r"</?[A-Za-z][^<>]*>|&[#\w]+;|`|\*\*|\[\[|\]\]|=\"|https?://|www\.")
_NAMES = frozenset({"person", "place_name", "business_name", "artist_name"})
_ALIKE = 0.4  # "mom" and "mamma" have 0.5, "new york" and "alvesta" 0.13
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class FilteredPairs:
    """The pairs that were kept, and those that were refused with the reasons."""

    kept: list[Pair]
    refused: list[tuple[Pair, str]]

    @property
    def read(self) -> Mapping[str, int]:
        """Pairs by source."""
        return Counter(pair.source for pair in (*self.kept, *(pair for pair, _ in self.refused)))

    @property
    def dropped(self) -> Mapping[str, Mapping[str, int]]:
        """Pairs that were refused, by source and then by reason."""
        counts: dict[str, Counter[str]] = {}
        for pair, why in self.refused:
            counts.setdefault(pair.source, Counter())[why] += 1
        return counts


Rule = Callable[[Pair, str, str], bool]


def _empty(pair: Pair, _src: str, _tgt: str) -> bool:
    return not pair.src or not pair.tgt


def _mismatch(pair: Pair, _src: str, _tgt: str) -> bool:
    """Placeholders that differ in more than their order: one of the two texts belongs to another."""
    sides = [_FORMAT.findall(re.sub(r"%\d+\$", "%", text)) for text in (pair.src, pair.tgt)]
    return sorted(sides[0]) != sorted(sides[1])


def _placeholder(pair: Pair, _src: str, _tgt: str) -> bool:
    return any(_PLACEHOLDER.search(text) for text in (pair.src, pair.tgt))


def _markup(pair: Pair, _src: str, _tgt: str) -> bool:
    return any(_MARKUP.search(text) for text in (pair.src, pair.tgt))


def _long(pair: Pair, _src: str, _tgt: str) -> bool:
    return max(len(pair.src), len(pair.tgt)) > LONGEST


def _letters(pair: Pair, _src: str, _tgt: str) -> bool:
    """Mostly numbers, signs or paths; a vowel sign is a letter."""
    sides = ["".join(text.split()) for text in (pair.src, pair.tgt)]
    return any(sum(char.isalpha() or is_combining(char) for char in one) < LETTERS * len(one) for one in sides)


def _ratio(pair: Pair, _src: str, _tgt: str) -> bool:
    """One side is twice the other, with 12 characters of grace for short ones."""
    short, long = sorted((_width(pair.src), _width(pair.tgt)))
    return long > 2 * short + 12


def _width(text: str) -> int:
    """Return the length of a text in characters of an alphabet."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text if char > "\u10ff")  # no wide one before
    return len(text) + (WIDE - 1) * wide


def _copy(pair: Pair, _src: str, _tgt: str) -> bool:
    """Left untranslated; up to three words may be a name."""
    return len(pair.src.split()) > 3 and likeness(pair.src) == likeness(pair.tgt)


def _language(pair: Pair, src: str, tgt: str) -> bool:
    return _is_foreign(pair.src, src, tgt) or _is_foreign(pair.tgt, tgt, src)


def _is_foreign(text: str, own: str, other: str) -> bool:
    """At least two common words of the other language, and more than of its own; or letters of another script."""
    grammars = lookup(GRAMMARS, own), lookup(GRAMMARS, other)
    common = [grammar.common_words for grammar in grammars if grammar and grammar.common_words]
    if len(common) < 2:
        return False
    words = Counter(_WORD.findall(text.casefold()))
    mine, theirs = (sum(n for word, n in words.items() if word in known) for known in common)
    return (theirs >= 2 and theirs > mine) or any(char.isalpha() and char > "ɏ" for char in text)


def _localised(pair: Pair, _src: str, _tgt: str) -> bool:
    """A person, place or company that is another one on the other side, as MASSIVE has it: it teaches to swap names."""
    return any(
        kind in _NAMES and SequenceMatcher(None, first.casefold(), second.casefold()).ratio() < _ALIKE
        for kind, first, second in pair.spans
    )


RULES: Mapping[str, Rule] = {
    "empty": _empty,
    "mismatch": _mismatch,
    "placeholder": _placeholder,
    "markup": _markup,
    "long": _long,
    "letters": _letters,
    "ratio": _ratio,
    "copy": _copy,
    "language": _language,
    "localised": _localised,
}


def reason(pair: Pair, src: str, tgt: str) -> str | None:
    """Return a pair's fault or the name of the first rule that drops it, None if none does.

    >>> reason(Pair("Cannot open %s", "Kan inte öppna %s", "catalogs"), "en", "sv")
    'placeholder'
    """
    return pair.fault or next((name for name, rule in RULES.items() if rule(pair, src, tgt)), None)


def sieve(pairs: Iterable[Pair], src: str, tgt: str, held_out: frozenset[str] = frozenset()) -> FilteredPairs:
    """Refuse what a rule drops, then pairs with a held-out sentence, then duplicates.

    Of duplicates the first by source name is kept, whatever order the pairs come in. ``held_out`` has likenesses
    (`pairs.likeness`) of either language.
    """
    everything = sorted(pairs, key=lambda p: (p.source, p.src, p.tgt))
    judged = list(_judged(everything, src, tgt, held_out))
    return FilteredPairs([pair for pair, why in judged if why is None], [(pair, why) for pair, why in judged if why])


def _judged(pairs: Iterable[Pair], src: str, tgt: str, held_out: frozenset[str]) -> Iterator[tuple[Pair, str | None]]:
    seen: set[tuple[str, str]] = set()
    for pair in pairs:
        sides = likeness(pair.src), likeness(pair.tgt)
        why = reason(pair, src, tgt)
        if why is None and not held_out.isdisjoint(sides):
            why = "evaluation"
        if why is None and sides in seen:
            why = "duplicate"
        if why is None:
            seen.add(sides)
        yield pair, why
