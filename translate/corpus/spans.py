"""Pairs with marks around spans that translate each other: values that both sides say, and words that alignment links.

A translator that has seen marks only around words that are the same in both languages copies what is marked. Values
("friday" and "fredag") and aligned phrases differ, so marked text is learnt to be translated like any other. Neither
needs an annotated corpus. Phrases are those that no link leaves (Koehn, Och & Marcu 2003, "Statistical Phrase-Based
Translation").
"""

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from translate.corpus.pairs import Pair, draw, spoken_text
from translate.corpus.settings import CorpusSettings
from translate.records.markers import MOST_MARKED, numbered
from translate.values import compare_texts

__all__ = ["aligned_spans", "phrases", "value_spans"]

Stretch = tuple[int, int]
"""Characters of a text, the end exclusive; or words, the end inclusive."""

Link = tuple[int, int]
"""Numbers of a source word and of a target word that translate each other."""

MOST_PHRASES = 3
"""Marked phrases of one pair."""
LONGEST, LONGER = 4, 3
"""Words of a marked phrase on the source side, and how many more the target side may have."""

_WORD = re.compile(r"\S+")
_CONTENT = re.compile(r"\w{4}|\d")
_CORE = re.compile(r"(?=[\w$€£#@]).*[\w%$€£]", re.DOTALL)


def value_spans(pair: Pair, settings: CorpusSettings) -> Iterator[Pair]:
    """Mark the numbers, times, dates and amounts that both sides say in different words."""
    src, tgt = _texts(pair, settings)
    if draw(pair, "values", settings.seed) >= settings.values or _has_brackets(src, tgt):
        return
    agreeing = compare_texts(src, tgt, src=settings.src, tgt=settings.tgt).pairs
    spans = [
        ((a.start, a.end), (b.start, b.end))
        for a, b in agreeing
        # weak ones ("one", "second") are mostly no values: "one angle" is "en vinkel", and any "en" would match
        if a.text.casefold() != b.text.casefold() and not (a.weak or b.weak)
    ]
    whole = [(a, b) for a, b in spans if _is_whole(src, a) and _is_whole(tgt, b)]
    # "this morning" is a day, and "morning" in it a part of one: the longer one is marked
    chosen = _apart(sorted(whole, key=lambda span: (span[0][0] - span[0][1], span)))
    if chosen:
        yield _marked(pair, src, tgt, sorted(chosen)[:MOST_MARKED])


def aligned_spans(pair: Pair, settings: CorpusSettings) -> Iterator[Pair]:
    """Mark one to three phrases that the pair's word alignment links with each other."""
    src, tgt = _texts(pair, settings)
    if draw(pair, "aligned", settings.seed) >= settings.aligned or _has_brackets(src, tgt):
        return
    found = _phrase_stretches(src, tgt, pair.links)
    # drawn from the pair, for the same corpus in every run
    random_source = random.Random(str(draw(pair, "aligned which", settings.seed)))  # noqa: S311 - no secret
    random_source.shuffle(found)
    if found:
        yield _marked(pair, src, tgt, _apart(found)[: random_source.randint(1, MOST_PHRASES)])


def phrases(links: Sequence[Link], *, longest: int = LONGEST) -> list[tuple[Stretch, Stretch]]:
    """Return the phrase pairs that no link leaves, with linked first and last words, as word numbers.

    Args:
        links: of the two sentences.
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
            if closed and high - low <= last - first + LONGER:
                found.append(((first, last), (low, high)))
    return found


def _texts(pair: Pair, settings: CorpusSettings) -> tuple[str, str]:
    """Return both texts, a share of the pairs as an assistant is told them."""
    if draw(pair, "marks spoken", settings.seed) >= settings.marks_spoken:
        return pair.src, pair.tgt
    return spoken_text(pair.src), spoken_text(pair.tgt)


def _has_brackets(*texts: str) -> bool:
    return any("[" in text or "]" in text for text in texts)


def _is_whole(text: str, stretch: Stretch) -> bool:
    """Say whether a stretch is no part of a word, as "kväll" is of "ikväll"."""
    return not re.search(r"\w$", text[: stretch[0]]) and not re.match(r"\w", text[stretch[1] :])


def _phrase_stretches(src: str, tgt: str, links: Sequence[Link]) -> list[tuple[Stretch, Stretch]]:
    sides = [[found.span() for found in _WORD.finditer(text)] for text in (src, tgt)]
    # a full stop that stood alone is not spoken, so its word is gone
    kept = [(i, j) for i, j in links if i < len(sides[0]) and j < len(sides[1])]
    found = []
    for source, target in phrases(kept):
        one, other = (
            _core(text, words[stretch[0]][0], words[stretch[1]][1])
            for text, words, stretch in ((src, sides[0], source), (tgt, sides[1], target))
        )
        if one and other and _CONTENT.search(src[slice(*one)]):
            found.append((one, other))
    return found


def _core(text: str, start: int, end: int) -> Stretch | None:
    """Return a stretch without the punctuation at its edges, None if nothing is left."""
    found = _CORE.search(text, start, end)
    return found.span() if found else None


def _apart(spans: Iterable[tuple[Stretch, Stretch]]) -> list[tuple[Stretch, Stretch]]:
    """Return the spans that overlap no earlier one on either side."""
    chosen: list[tuple[Stretch, Stretch]] = []
    for one in spans:
        if all(one[side][1] <= other[side][0] or other[side][1] <= one[side][0] for other in chosen for side in (0, 1)):
            chosen.append(one)
    return chosen


def _marked(pair: Pair, src: str, tgt: str, spans: Iterable[tuple[Stretch, Stretch]]) -> Pair:
    """Return the pair with its spans between marks, numbered in the order of the source."""
    ordered = sorted(spans)
    return replace(pair, src=_put(src, [a for a, _ in ordered]), tgt=_put(tgt, [b for _, b in ordered]))


def _put(text: str, stretches: Sequence[Stretch]) -> str:
    """Put numbered marks around stretches that do not overlap."""
    for number, (start, end) in sorted(enumerate(stretches), key=lambda one: one[1], reverse=True):
        text = text[:start] + numbered(number, text[start:end]) + text[end:]
    return text
