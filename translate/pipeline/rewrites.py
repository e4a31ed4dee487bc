"""Source rewrites: other inputs for a text whose translation the checks flagged.

Each rewrite hides from the engine what it tends to spoil (marks, names, values, headline case) and restores it in the
answer. Whether the new candidate is better is decided by the checks, see `translate.pipeline.pipeline` and ADR 0008.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from translate.checks import Mode
from translate.checks.structure import FAMILIES
from translate.records.protect import Protected, find_protected, mask, title_cased, unmask
from translate.records.record import Record
from translate.values import Mention, read_values, written_value

__all__ = ["REWRITES", "FlaggedRecord", "RewrittenText", "SourceRewrite", "common_words"]

UNTRANSLATED = frozenset({"copy", "language", "left_words"})
BROKEN = "\u00c2"  # what stands before a "£" whose UTF-8 was read as Latin-1, as in FiQA
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


@dataclass(frozen=True)
class FlaggedRecord:
    """A record whose translation the checks flagged.

    Attributes:
        record: the source.
        src: its language.
        tgt: the target language.
        flags: names of the flags.
        common: words of the set that are no names, see `common_words`.
    """

    record: Record
    src: str
    tgt: str
    flags: frozenset[str] = frozenset()
    common: frozenset[str] = frozenset()

    @property
    def values_differ(self) -> bool:
        """Whether a number, amount, time or date is flagged."""
        return bool(self.flags & FAMILIES.keys())

    def protected(self) -> list[tuple[Protected, str]]:
        """Return the protected stretches, each with the string that restores it: itself."""
        return [(one, one.string) for one in find_protected(self.record.text, self.record.protected)]

    def values(self) -> list[tuple[Protected, str]]:
        """Return the values outside protected stretches that the target language can write, each with its spelling."""
        found = [(self._held(value), written_value(value, self.tgt)) for value in self._free_values()]
        return [(held, written) for held, written in found if written]

    def _free_values(self) -> list[Mention]:
        text, taken = self.record.text, [one for one, _ in self.protected()]
        return [
            value
            for value in read_values(text, self.src)
            if all(value.end <= one.start or one.end <= value.start for one in taken)
            and not text[value.end : value.end + 1].isalnum()
        ]

    def _held(self, value: Mention) -> Protected:
        text = self.record.text
        begin = value.start - text[: value.start].endswith(BROKEN)
        return Protected(begin, value.end, "value", text[begin : value.end])


@dataclass(frozen=True)
class RewrittenText:
    """A text to send, and how the translation is restored from the answer; None if the answer is spoilt."""

    text: str
    restore: Callable[[str], str | None]


@dataclass(frozen=True)
class SourceRewrite:
    """One rewrite.

    Attributes:
        mode: its name in provenance.
        sent_as: the mode under which the memory keeps what it sends.
        apply: makes the text to send; None where the rewrite cannot help.
    """

    mode: Mode
    sent_as: Mode
    apply: Callable[[FlaggedRecord], RewrittenText | None]


def unmarked(flagged: FlaggedRecord) -> RewrittenText | None:
    """Leave the marks around spans out; the spans are then searched in the translation.

    A translator that learnt marks from names alone copies what stands between them: "[tuesday]" stays "[tuesday]".
    """
    return RewrittenText(flagged.record.text, lambda text: text or None) if flagged.record.spans else None


def masked_strings(flagged: FlaggedRecord) -> RewrittenText | None:
    """Put placeholders for protected strings, after one got lost."""
    return _masked(flagged.record.text, flagged.protected()) if "entity_lost" in flagged.flags else None


def respelt_values(flagged: FlaggedRecord) -> RewrittenText | None:
    """Take the plain translation, and respell the values in it that kept the source's spelling.

    Nothing else changes: "2,700 Model X-bilar" becomes "2 700 Model X-bilar", "$69,7 billion" "69,7 miljarder dollar".
    """
    spellings = [
        (spelling, written)
        for one, written in flagged.values()
        if one.string != written
        for spelling in dict.fromkeys((one.string, _decimal_comma(one.string)))
    ]

    def restore(text: str) -> str | None:
        new = text
        for spelling, written in spellings:
            whole = rf"(?<![\w.,]){re.escape(spelling)}(?!\w|-\w|[.,]\d|[\s-]\w*illion)"
            new = written.join(re.split(whole, new))
        return new if new != text else None

    return RewrittenText(flagged.record.text, restore) if spellings and flagged.values_differ else None


def masked_values(flagged: FlaggedRecord) -> RewrittenText | None:
    """Put placeholders for protected strings and values; values come back as the target language writes them.

    An engine that gives "$2.7 billion" as "$2,7 miljontals" never sees it.
    """
    values = flagged.values() if flagged.values_differ else []
    return _masked(flagged.record.text, [*flagged.protected(), *values]) if values else None


def sentence_case(flagged: FlaggedRecord) -> RewrittenText | None:
    """Write a headline as a sentence, "Shell To Cut Jobs" as "Shell to cut jobs", with strings and values masked.

    Engines take capital letters for names, and leave them. Only words that the set also has in lower case lose their
    capital, so that names keep theirs.
    """
    text = flagged.record.text
    if not flagged.flags & UNTRANSLATED or not title_cased(text):
        return None
    held = [*flagged.protected(), *flagged.values()]
    masked = _masked(text, held) or RewrittenText(text, lambda answer: answer)

    def lowered(found: re.Match[str]) -> str:
        return found[0].lower() if found[0].casefold() in flagged.common else found[0]

    def restore(answer: str) -> str | None:
        back = masked.restore(answer)
        return back and back[:1].upper() + back[1:]

    sent = _WORD.sub(lowered, masked.text)
    return RewrittenText(sent, restore) if sent != masked.text else None


REWRITES: dict[str, SourceRewrite] = {
    "unmarked.v1": SourceRewrite("plain", "plain", unmarked),
    "masked.v1": SourceRewrite("masked", "masked", masked_strings),
    "spelt.v1": SourceRewrite("spelt", "plain", respelt_values),
    "values.v1": SourceRewrite("values", "values", masked_values),
    "recased.v1": SourceRewrite("recased", "recased", sentence_case),
}
"""In the order in which they are tried."""


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


def _decimal_comma(value: str) -> str:
    """Return "$69,7 billion" for "$69.7 billion", as engines write it."""
    return re.sub(r"(?<=\d)\.(?=\d)", ",", value)


def _masked(text: str, held: Sequence[tuple[Protected, str]]) -> RewrittenText | None:
    """Return a text with placeholders; an answer that makes a compound of a phrase ("49 %-restvärde") is spoilt."""
    if not held:
        return None
    held = sorted(held)
    sent, placeholders = mask(text, [one for one, _ in held])
    meaning = dict(zip(placeholders, (written for _, written in held), strict=True))
    phrases = [written for one, written in held if one.kind == "value" and " " in written]

    def restore(answer: str) -> str | None:
        back = unmask(answer, meaning)
        joined = back and any(re.search(rf"{re.escape(phrase)}(?:-\w|:\w)", back) for phrase in phrases)
        return None if joined else back

    return RewrittenText(sent, restore)
