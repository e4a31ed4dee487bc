"""Protected strings: addresses, tickers, handles, names and literals, which a translation must keep letter by letter.

Literals are versions, identifiers, phone numbers and file names (``translate.values.literals``). Other numbers and
clock times are not protected but compared by value: masking them hurts the grammar around them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from translate.values.literals import find_literals

__all__ = ["Protected", "find_protected", "is_kept", "mask", "read_names", "title_cased", "unmask", "words_left"]

PATTERNS: dict[str, re.Pattern[str]] = {
    "url": re.compile(r"(?:https?://|www\.)[^\s<>\"]*[^\s<>\".,;:!?)\]]"),
    "email": re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "ticker": re.compile(r"(?<![\w$])\$[A-Za-z][A-Za-z.]{0,5}(?<!\.)(?!\w)"),
    "handle": re.compile(r"(?<![\w@])@\w{2,}"),
    "hashtag": re.compile(r"(?<![\w#])#[^\W\d]\w+"),
    "code": re.compile(r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Z])[A-Z][\w-]*\w(?![\w-])"),  # A1GP, COVID-19, Q3
}
TITLE_WORDS, TITLE_SHARE = 4, 0.7
_LONG_WORD = re.compile(r"(?<!\w)[^\W\d_]{4,}(?!\w)")
_WORD = re.compile(r"\w+")
SUFFIX = r"(?=\W|$|[^\W\d]{1,2}(?!\w))"  # "Lloyds" in "Lloyds'", "Tesco" in "Tescos", "Tesco-butiken"


@dataclass(frozen=True, order=True)
class Protected:
    """A protected stretch: character offsets, what it is, and the string itself."""

    start: int
    end: int
    kind: str
    string: str


def find_protected(text: str, names: Iterable[str] = ()) -> tuple[Protected, ...]:
    """Find the protected stretches of a text: the leftmost first, the longer of two that begin together, no overlaps.

    ``names`` (targets, products, companies) are protected wherever they stand as words.

    >>> [p.string for p in find_protected("$TSLA up, says @ann of Acme Ltd", ["Acme", "Acme Ltd"])]
    ['$TSLA', '@ann', 'Acme Ltd']
    """
    found = [Protected(m.start(), m.end(), kind, m[0]) for kind, p in PATTERNS.items() for m in p.finditer(text)]
    found += [Protected(start, end, kind, text[start:end]) for start, end, kind in find_literals(text)]
    for name in sorted({n for n in names if n.strip()}):
        found += [Protected(m.start(), m.end(), "name", m[0]) for m in _as_words(name).finditer(text)]
    kept: list[Protected] = []
    for one in sorted(found, key=lambda p: (p.start, -p.end, p.kind)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return tuple(kept)


def is_kept(string: str, text: str) -> bool:
    """Say whether a translation has a protected string, with at most two letters behind it (a genitive).

    >>> is_kept("Tesco", "Tescos vinst"), is_kept("Tesco", "Tescobutiken"), is_kept("Tesco", "företaget")
    (True, False, False)
    """
    return re.search(rf"(?<!\w){re.escape(string)}{SUFFIX}", text) is not None


def mask(text: str, protected: Sequence[Protected]) -> tuple[str, dict[str, str]]:
    """Replace protected stretches by placeholders X0, X1, ... and return the strings of the placeholders.

    A placeholder that stands in the text is passed over. Words of this form survive engines that rewrite names.
    """
    out, at, meaning = "", 0, {}
    free = (f"X{n}" for n in range(10**6) if f"X{n}" not in text)
    for one in protected:
        placeholder = next(free)
        meaning[placeholder] = one.string
        out += text[at : one.start] + placeholder
        at = one.end
    return out + text[at:], meaning


def unmask(text: str, meaning: Mapping[str, str]) -> str | None:
    """Put the protected strings back; None unless every placeholder stands there exactly once."""
    found = re.findall(r"(?<!\w)X\d+(?!\d)", text)
    if sorted(found) != sorted(meaning):
        return None
    return re.sub(r"(?<!\w)X\d+(?!\d)", lambda m: meaning[m[0]], text)


def title_cased(text: str) -> bool:
    """Say whether nearly all words of 4 letters and more begin with a capital, as in headlines.

    >>> title_cased("Shell Is Said To Cut Thousands Of Jobs"), title_cased("Shell is said to cut jobs in Aberdeen")
    (True, False)
    """
    words = re.findall(r"[^\W\d_]{4,}", text)
    return len(words) >= TITLE_WORDS and sum(word[0].isupper() for word in words) >= TITLE_SHARE * len(words)


def words_left(source: str, target: str, names: Iterable[str] = ()) -> list[tuple[str, bool]]:
    """Return the source's words of 4 letters and more outside protected strings, each with whether the target has it.

    >>> words_left("$TSLA shares rally, says @anna", "$TSLA-aktier i rally", ["TSLA"])
    [('shares', False), ('rally', True), ('says', False)]
    """
    free, at = "", 0
    for one in find_protected(source, names):
        free, at = f"{free}{source[at : one.start]} ", one.end
    said = {word.casefold() for word in _WORD.findall(target)}
    return [(word, word.casefold() in said) for word in _LONG_WORD.findall(free + source[at:])]


def read_names(lines: Iterable[str]) -> tuple[str, ...]:
    """Read a list of protected names: one a line, ``#`` begins a comment line, order kept, doubles dropped."""
    names = (line.strip() for line in lines)
    return tuple(dict.fromkeys(name for name in names if name and not name.startswith("#")))


def _as_words(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
