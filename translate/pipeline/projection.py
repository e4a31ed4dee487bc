"""Where a source span stands in the translation, when no marks say so: several searches, one decision.

Every search proposes stretches of the target text with a score (0 to 100); the best proposal that overlaps no better
one is taken. A slot's value is then that stretch itself, so it is a substring of the text by construction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Protocol

from rapidfuzz import fuzz

from translate.records.markers import Marked
from translate.values import agree, read_values

__all__ = [
    "SEARCHES",
    "ByAlignment",
    "ByForms",
    "ByValues",
    "Ordered",
    "Proposal",
    "Search",
    "Sentence",
    "Wanted",
    "order_marked",
    "project",
]

FUZZY, FUZZY_NAME, TOLD_APART = 80.0, 90.0, 60.0
MISTAKEN = 30.0  # a clock time that is another clock time is a mistake of the engine, not another span
ALIGNED, SCATTERED, BY_VALUE = 75.0, 60.0, 70.0  # exact on MASSIVE dev: forms 98 %, alignment 91 %, values 67 %
MOST_PERMUTED = 6
_WORD = re.compile(r"[^\s.,;:!?()\"“”]+(?:[.,:'’][^\s.,;:!?()\"“”]+)*(?:(?<=(?<!\w)\w)\.)?")


@dataclass(frozen=True)
class Wanted:
    """A source span that is looked for.

    Attributes:
        start: character offset in the source text, inclusive.
        end: exclusive.
        type: of the span.
        value: the stretch.
        forms: how it may be said in the target language: from the inventory, or the value translated alone.
    """

    start: int
    end: int
    type: str
    value: str
    forms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """A stretch of the target text for the span ``index``, with how it was found and how sure that is (0 to 100)."""

    index: int
    start: int
    end: int
    how: str
    score: float


@dataclass(frozen=True)
class Sentence:
    """What the searches look at: source and target text with their languages, and word links where they are known."""

    source: str
    target: str
    src: str
    tgt: str
    links: Sequence[tuple[int, int]] = ()


class Search(Protocol):
    """One way to find spans."""

    def __call__(self, sentence: Sentence, index: int, wanted: Wanted) -> Iterator[Proposal]:
        """Propose stretches of the target text for one span."""


@dataclass(frozen=True)
class ByForms:
    """Fuzzy search of the forms, and of the source value itself (names), in windows of about as many words.

    Attributes:
        least: likeness of a form, 0 to 100, from which it counts.
        name: likeness of the source value, which is a name if it counts.
    """

    least: float = FUZZY
    name: float = FUZZY_NAME

    def __call__(self, sentence: Sentence, index: int, wanted: Wanted) -> Iterator[Proposal]:
        """Propose every window that is alike enough."""
        words = list(_WORD.finditer(sentence.target))
        for form in dict.fromkeys((*wanted.forms, wanted.value)):
            least = self.least if form in wanted.forms else self.name
            length = len(form.split())
            for first in range(len(words)):
                for last in range(first + max(1, length - 1), min(len(words), first + length + 1) + 1):
                    start, end = words[first].start(), words[last - 1].end()
                    score = fuzz.ratio(form.casefold(), sentence.target[start:end].casefold())
                    if score >= least:
                        yield Proposal(index, start, end, "form", score)


@dataclass(frozen=True)
class ByValues:
    """A span that says a value (nine am, friday, two hundred) stands where the target says the same one."""

    def __call__(self, sentence: Sentence, index: int, wanted: Wanted) -> Iterator[Proposal]:
        """Propose each agreeing mention of a single value, the stretch from the first to the last one of several."""
        values = read_values(wanted.value, sentence.src)
        mentions = read_values(sentence.target, sentence.tgt)
        found = [[m for m in mentions if agree(value, m, lenient=True)] for value in values]
        if not values or not all(found):
            return
        if len(found) > 1:
            firsts = [min(one, key=lambda m: m.start) for one in found]
            yield Proposal(index, min(m.start for m in firsts), max(m.end for m in firsts), "value", BY_VALUE)
            return
        score = BY_VALUE if len(found[0]) == 1 else BY_VALUE - 5
        for mention in found[0]:
            yield Proposal(index, mention.start, mention.end, "value", score)


@dataclass(frozen=True)
class ByAlignment:
    """From the first to the last word that is linked to a word of the span."""

    def __call__(self, sentence: Sentence, index: int, wanted: Wanted) -> Iterator[Proposal]:
        """Propose that stretch; surer of it when every word in it is linked."""
        source = [
            i for i, (start, end) in enumerate(_words(sentence.source)) if start < wanted.end and end > wanted.start
        ]
        linked = sorted({j for i, j in sentence.links if i in source})
        words = _words(sentence.target)
        if not linked or linked[-1] >= len(words):
            return
        start, end = words[linked[0]][0], words[linked[-1]][1]
        start, end = _trimmed(sentence.target, start, end)
        whole = len(linked) == linked[-1] - linked[0] + 1
        if start < end:
            yield Proposal(index, start, end, "align", ALIGNED if whole else SCATTERED)


SEARCHES: dict[str, Search] = {"forms.v1": ByForms(), "values.v1": ByValues(), "align.v1": ByAlignment()}


def project(
    sentence: Sentence, wanted: Sequence[Wanted], searches: Iterable[str] = tuple(SEARCHES)
) -> list[Proposal | None]:
    """Find each source span in the target text.

    Args:
        sentence: both texts.
        wanted: the source spans, in order.
        searches: names from ``SEARCHES``.

    Returns:
        For each span the accepted proposal, or None; accepted ones do not overlap.
    """
    found = [p for name in searches for i, one in enumerate(wanted) for p in SEARCHES[name](sentence, i, one)]
    taken: dict[int, Proposal] = {}
    for one in sorted(found, key=lambda p: (-p.score, p.start, p.end, p.index, p.how)):
        if one.index not in taken and all(one.end <= t.start or one.start >= t.end for t in taken.values()):
            taken[one.index] = one
    return [taken.get(index) for index in range(len(wanted))]


@dataclass(frozen=True)
class Ordered:
    """Which marked stretch is whose.

    Attributes:
        stretches: for each source span its place in the target text.
        sure: whether no order with other types is as good; if one is, the order of the words alone decided.
    """

    stretches: tuple[tuple[int, int], ...]
    sure: bool


def order_marked(marked: Marked, wanted: Sequence[Wanted], src: str, tgt: str) -> Ordered:
    """Give each source span its marked stretch of the target text.

    Trained marks carry their number. Brackets do not, and word order changes, so each stretch goes to the span it is
    most like: by value, by form, and last by order.
    """
    if all(number is not None for number, _, _ in marked.stretches):
        return Ordered(tuple((start, end) for _, start, end in sorted(marked.stretches, key=lambda s: s[0] or 0)), True)
    stretches = [(start, end) for _, start, end in marked.stretches]
    one_type = len({one.type for one in wanted}) < 2
    if not 1 < len(stretches) <= MOST_PERMUTED:
        return Ordered(tuple(stretches), one_type)
    alike = [[_alike(one, marked.text[start:end], src, tgt) for start, end in stretches] for one in wanted]
    scores = {order: sum(alike[i][j] for i, j in enumerate(order)) for order in permutations(range(len(stretches)))}
    best = max(scores, key=lambda order: scores[order])  # the first of equals keeps the order of the source
    as_good = {
        tuple(sorted((j, wanted[i].type) for i, j in enumerate(order)))
        for order, score in scores.items()
        if score == scores[best]
    }
    return Ordered(tuple(stretches[j] for j in best), len(as_good) == 1)


def _alike(wanted: Wanted, found: str, src: str, tgt: str) -> float:
    values, mentions = (
        [m for m in read_values(text, lang) if not m.weak] for text, lang in ((wanted.value, src), (found, tgt))
    )
    if values and mentions:
        if any(agree(v, m, lenient=True) for v in values for m in mentions):
            return 100.0
        return MISTAKEN if {v.kind for v in values} & {m.kind for m in mentions} else -MISTAKEN
    if values or mentions:
        return -MISTAKEN
    alike = max(fuzz.ratio(form.casefold(), found.casefold()) for form in (*wanted.forms, wanted.value))
    return alike if alike >= TOLD_APART else 0.0


def _words(text: str) -> list[tuple[int, int]]:
    """Return the offsets of the words as aligners count them: what stands between spaces."""
    return [found.span() for found in re.finditer(r"\S+", text)]


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave punctuation at both ends out of a stretch, but for the point of an abbreviation ("f. m.")."""
    words = list(_WORD.finditer(text, start, end))
    return (words[0].start(), words[-1].end()) if words else (start, start)
