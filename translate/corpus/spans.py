"""Pairs with marks around spans that translate each other: values that both sides say, and words that alignment links.

A translator that has seen marks only around words that are the same in both languages copies what is marked. Values
("friday" and "fredag") and aligned phrases differ, so marked text is learnt to be translated like any other. Neither
needs an annotated corpus. Phrases are those that no link leaves (Koehn, Och & Marcu 2003, "Statistical Phrase-Based
Translation").
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from translate.corpus.pairs import Pair, draw
from translate.corpus.settings import CorpusSettings
from translate.records.markers import numbered
from translate.values import compare_texts

__all__ = ["aligned_spans", "phrases", "value_spans"]

Stretch = tuple[int, int]
"""Characters of a text, the end exclusive; or words, the end inclusive."""

MOST_PHRASES = 3
"""Marked phrases of one pair."""

LONGEST = 4
"""Words of a marked phrase on the source side; the target's may have three more."""

_WORD = re.compile(r"\S+")
_CONTENT = re.compile(r"\w{4}|\d")
_EDGES = re.compile(r"^[^\w$€£#@]+|[^\w%$€£]+$")


def value_spans(pair: Pair, settings: CorpusSettings) -> Iterator[Pair]:
    """Mark the numbers, times, dates and amounts that both sides say in different words."""
    if draw(pair, "values", settings.seed) >= settings.values:
        return
    src, tgt = _texts(pair, settings)
    if _has_brackets(src, tgt):
        return
    agreeing = compare_texts(src, tgt, src=settings.src, tgt=settings.tgt).pairs
    # weak ones ("one", "second") are mostly no values: "one angle" is "en vinkel", and any "en" would match
    differing = [(a, b) for a, b in agreeing if a.text.casefold() != b.text.casefold() and not (a.weak or b.weak)]
    if differing:
        spans = [((a.start, a.end), (b.start, b.end)) for a, b in differing]
        yield _marked(pair, src, tgt, spans)


def aligned_spans(pair: Pair, settings: CorpusSettings) -> Iterator[Pair]:
    """Mark one to three phrases that the pair's word alignment links with each other."""
    if not pair.links or draw(pair, "aligned", settings.seed) >= settings.aligned:
        return
    src, tgt = _texts(pair, settings)
    if _has_brackets(src, tgt):
        return
    found = _phrase_stretches(src, tgt, pair.links)
    # drawn from the pair, for the same corpus in every run
    random_source = random.Random(str(draw(pair, "aligned which", settings.seed)))  # noqa: S311 - no secret
    random_source.shuffle(found)
    chosen: list[tuple[Stretch, Stretch]] = []
    for one in found:
        if not any(_overlap(one[side], other[side]) for other in chosen for side in (0, 1)):
            chosen.append(one)
    if chosen:
        yield _marked(pair, src, tgt, chosen[: random_source.randint(1, MOST_PHRASES)])


def phrases(links: Sequence[tuple[int, int]], *, longest: int = LONGEST) -> list[tuple[Stretch, Stretch]]:
    """Return the phrase pairs that no link leaves, their first and last words linked, as word numbers.

    Args:
        links: (source word, target word), both from 0.
        longest: words of the source phrase; the target phrase may have three more.

    >>> phrases([(0, 1), (1, 0), (2, 2)], longest=2)
    [((0, 0), (1, 1)), ((0, 1), (0, 1)), ((1, 1), (0, 0)), ((2, 2), (2, 2))]
    """
    linked = sorted({i for i, _ in links})
    found = []
    for first in linked:
        for last in (i for i in linked if first <= i < first + longest):
            inside = [j for i, j in links if first <= i <= last]
            low, high = min(inside), max(inside)
            closed = all(first <= i <= last for i, j in links if low <= j <= high)
            if closed and high - low < last - first + longest:
                found.append(((first, last), (low, high)))
    return found


def _texts(pair: Pair, settings: CorpusSettings) -> tuple[str, str]:
    """Return both texts, of every second pair in lower case and without a final sign, as an assistant is told them."""
    if draw(pair, "marks spoken", settings.seed) >= settings.marks_spoken:
        return pair.src, pair.tgt
    return tuple(re.sub(r"[.!?…]+$", "", text).lower() or text for text in (pair.src, pair.tgt))  # type: ignore[return-value]


def _has_brackets(*texts: str) -> bool:
    return any("[" in text or "]" in text for text in texts)


def _phrase_stretches(src: str, tgt: str, links: Sequence[tuple[int, int]]) -> list[tuple[Stretch, Stretch]]:
    words = [[found.span() for found in _WORD.finditer(text)] for text in (src, tgt)]
    if any(i >= len(words[0]) or j >= len(words[1]) for i, j in links):
        return []
    found = []
    for source, target in phrases(links):
        one, other = (
            _core(text, (spans[stretch[0]][0], spans[stretch[1]][1]))
            for text, spans, stretch in ((src, words[0], source), (tgt, words[1], target))
        )
        if one and other and _CONTENT.search(src[slice(*one)]):
            found.append((one, other))
    return found


def _core(text: str, stretch: Stretch) -> Stretch | None:
    """Return a stretch without the punctuation at its edges, None if nothing is left."""
    start, end = stretch
    said = text[start:end]
    lead = _EDGES.match(said)
    start += len(lead[0]) if lead else 0
    tail = _EDGES.search(text[start:end])
    end -= len(tail[0]) if tail and tail.end() == end - start else 0
    return (start, end) if start < end else None


def _overlap(one: Stretch, other: Stretch) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _marked(pair: Pair, src: str, tgt: str, spans: Sequence[tuple[Stretch, Stretch]]) -> Pair:
    """Return the pair with its spans between marks, numbered by the source's order."""
    ordered = sorted(spans)
    return replace(pair, src=_put(src, [a for a, _ in ordered]), tgt=_put(tgt, [b for _, b in ordered]))


def _put(text: str, stretches: Sequence[Stretch]) -> str:
    """Put numbered marks around stretches that do not overlap."""
    for number, (start, end) in sorted(enumerate(stretches), key=lambda one: one[1], reverse=True):
        text = text[:start] + numbered(number, text[start:end]) + text[end:]
    return text
