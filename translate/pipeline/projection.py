"""Label projection: where a source span stands in the translation, by marks or, without them, by several searches.

Every search proposes stretches of the target text with a score (0 to 100); the best proposal that overlaps no better
one is taken. A slot's value is then that stretch itself, so it is a substring of the text by construction.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

from rapidfuzz import fuzz

from translate.records.markers import Marked
from translate.values import agree, read_values

__all__ = ["SEARCHES", "OrderedSpans", "Proposal", "SentencePair", "SourceSpan", "order_marked", "project"]

FUZZY, FUZZY_NAME, TOLD_APART = 80.0, 90.0, 60.0
MISTAKEN = 30.0  # a clock time that is another clock time is a mistake of the engine, not another span
ALIGNED, SCATTERED, BY_VALUE = 75.0, 60.0, 70.0  # exact on MASSIVE dev: forms 98 %, alignment 91 %, values 67 %
MOST_PERMUTED = 6
_WORD = re.compile(r"[^\s.,;:!?()\"“”]+(?:[.,:'’][^\s.,;:!?()\"“”]+)*(?:(?<=(?<!\w)\w)\.)?")


@dataclass(frozen=True)
class SourceSpan:
    """A span to be found in the translation.

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
class SentencePair:
    """Source and target text with their languages, and the links between their words where they were aligned."""

    source: str
    target: str
    src: str
    tgt: str
    links: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True)
class Proposal:
    """A stretch of the target text, the search that found it, and its score (0 to 100)."""

    start: int
    end: int
    how: str
    score: float


Search = Callable[[SentencePair, SourceSpan], Iterator[Proposal]]


def by_forms(sentence: SentencePair, span: SourceSpan) -> Iterator[Proposal]:
    """Search the forms, and the source value itself (names), fuzzily in windows of about as many words."""
    words = list(_WORD.finditer(sentence.target))
    for form in dict.fromkeys((*span.forms, span.value)):
        least = FUZZY if form in span.forms else FUZZY_NAME
        length = len(form.split())
        for first in range(len(words)):
            for last in range(first + max(1, length - 1), min(len(words), first + length + 1) + 1):
                start, end = words[first].start(), words[last - 1].end()
                score = fuzz.ratio(form.casefold(), sentence.target[start:end].casefold())
                if score >= least:
                    yield Proposal(start, end, "form", score)


def by_values(sentence: SentencePair, span: SourceSpan) -> Iterator[Proposal]:
    """Search what says the same value (nine am, friday): each mention of one, or the stretch over several."""
    mentions = read_values(sentence.target, sentence.tgt)
    values = read_values(span.value, sentence.src)
    found = [[m for m in mentions if agree(value, m, lenient=True)] for value in values]
    if not values or not all(found):
        return
    if len(found) > 1:
        firsts = [min(one, key=lambda m: m.start) for one in found]
        yield Proposal(min(m.start for m in firsts), max(m.end for m in firsts), "value", BY_VALUE)
        return
    score = BY_VALUE if len(found[0]) == 1 else BY_VALUE - 5
    for mention in found[0]:
        yield Proposal(mention.start, mention.end, "value", score)


def by_alignment(sentence: SentencePair, span: SourceSpan) -> Iterator[Proposal]:
    """Take the stretch from the first to the last linked word; it scores more when every word in it is linked."""
    inside = {i for i, (start, end) in enumerate(_words(sentence.source)) if start < span.end and end > span.start}
    linked = sorted({j for i, j in sentence.links if i in inside})
    words = _words(sentence.target)
    if not linked or linked[-1] >= len(words):
        return
    start, end = _trimmed(sentence.target, words[linked[0]][0], words[linked[-1]][1])
    whole = len(linked) == linked[-1] - linked[0] + 1
    if start < end:
        yield Proposal(start, end, "align", ALIGNED if whole else SCATTERED)


SEARCHES: dict[str, Search] = {"forms.v1": by_forms, "values.v1": by_values, "align.v1": by_alignment}


def project(
    sentence: SentencePair, spans: Sequence[SourceSpan], searches: Iterable[str] = tuple(SEARCHES)
) -> list[Proposal | None]:
    """Find each source span in the target text.

    Args:
        sentence: both texts.
        spans: of the source, in order.
        searches: names from ``SEARCHES``.

    Returns:
        For each span the accepted proposal, or None; accepted ones do not overlap.
    """
    pairs = [(SEARCHES[name], index, span) for name in searches for index, span in enumerate(spans)]
    found = [(index, one) for search, index, span in pairs for one in search(sentence, span)]
    taken: dict[int, Proposal] = {}
    for index, one in sorted(found, key=lambda f: (-f[1].score, f[1].start, f[1].end, f[0], f[1].how)):
        if index not in taken and all(one.end <= t.start or one.start >= t.end for t in taken.values()):
            taken[index] = one
    return [taken.get(index) for index in range(len(spans))]


@dataclass(frozen=True)
class OrderedSpans:
    """The marked stretch of each source span.

    Attributes:
        stretches: for each source span its place in the target text.
        sure: whether no order with other types is as good; if one is, the order of the words alone decided.
    """

    stretches: tuple[tuple[int, int], ...]
    sure: bool


def order_marked(marked: Marked, spans: Sequence[SourceSpan], src: str, tgt: str) -> OrderedSpans:
    """Give each source span its marked stretch of the target text.

    Trained marks carry their number. Brackets do not, and word order changes, so each stretch goes to the span it is
    most like: by value, by form, and last by order.
    """
    if all(number is not None for number, _, _ in marked.stretches):
        return OrderedSpans(
            tuple((start, end) for _, start, end in sorted(marked.stretches, key=lambda s: s[0] or 0)), True
        )
    stretches = [(start, end) for _, start, end in marked.stretches]
    if not 1 < len(stretches) <= MOST_PERMUTED:
        return OrderedSpans(tuple(stretches), len({span.type for span in spans}) < 2)
    alike = [[_likeness(span, marked.text[start:end], src, tgt) for start, end in stretches] for span in spans]
    scores = {order: sum(alike[i][j] for i, j in enumerate(order)) for order in permutations(range(len(stretches)))}
    best = max(scores, key=lambda order: scores[order])  # the first of equals keeps the order of the source
    as_good = {
        tuple(sorted((j, spans[i].type) for i, j in enumerate(order)))
        for order, score in scores.items()
        if score == scores[best]
    }
    return OrderedSpans(tuple(stretches[j] for j in best), len(as_good) == 1)


def _likeness(span: SourceSpan, found: str, src: str, tgt: str) -> float:
    values, mentions = (
        [m for m in read_values(text, lang) if not m.weak] for text, lang in ((span.value, src), (found, tgt))
    )
    if values and mentions:
        if any(agree(v, m, lenient=True) for v in values for m in mentions):
            return 100.0
        return MISTAKEN if {v.kind for v in values} & {m.kind for m in mentions} else -MISTAKEN
    if values or mentions:
        return -MISTAKEN
    alike = max(fuzz.ratio(form.casefold(), found.casefold()) for form in (*span.forms, span.value))
    return alike if alike >= TOLD_APART else 0.0


def _words(text: str) -> list[tuple[int, int]]:
    """Return the offsets of the words as aligners count them: what stands between spaces."""
    return [found.span() for found in re.finditer(r"\S+", text)]


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave punctuation at both ends out of a stretch, but for the point of an abbreviation ("f. m.")."""
    words = list(_WORD.finditer(text, start, end))
    return (words[0].start(), words[-1].end()) if words else (start, start)
