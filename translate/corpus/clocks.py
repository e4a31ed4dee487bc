"""Augmentation with other clock times: utterances have few of them, and a small model guesses the hour.

A time that both sides of a pair say in words is replaced by another, written for each language from the same minute.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import replace

from translate.corpus.pairs import Pair, draw
from translate.corpus.settings import CorpusSettings
from translate.langcodes import lookup
from translate.values import GRAMMARS, agree, read_values
from translate.values.mention import Mention

__all__ = ["other_clocks"]

MINUTES = (*[0] * 6, 10, 15, 20, 30, 45, 50)
"""Minutes to draw from: every second time is a full hour."""
WAYS = ("half-day", "half-day", "o'clock", "o'clock", "24-hour", "relative")
"""Ways of saying a time (``ClockPhrases.ways``) to draw from."""


def other_clocks(pair: Pair, settings: CorpusSettings) -> Iterator[Pair]:
    """Yield a pair with other times where both sides say the same one; every second with its annotated spans marked.

    Nothing is yielded for a language without clock phrases.
    """
    first, second = lookup(GRAMMARS, settings.src), lookup(GRAMMARS, settings.tgt)
    if not (first and second and first.clock_phrases and second.clock_phrases):
        return
    src, tgt = first.clock_phrases, second.clock_phrases
    for number in range(settings.clocks):
        texts = pair.marked if pair.marked and number % 2 else (pair.src, pair.tgt)
        found = _clocks(texts, settings)
        if found is None:
            return
        # drawn from the pair, for the same corpus in every run
        random_source = random.Random(str(draw(pair, f"clock {number}", settings.seed)))  # noqa: S311 - no secret
        hour, minute = random_source.randrange(24), random_source.choice(MINUTES)
        way = random_source.choice(WAYS)
        said, new = src.ways[way](hour, minute), tgt.ways[way](hour, minute)
        if tgt.before and re.search(rf"{tgt.before}(?:<s\d+> )?$", texts[1][: found[1].start]):
            new = new.removeprefix(tgt.before)
        yield replace(pair, src=_put(texts[0], found[0], said), tgt=_put(texts[1], found[1], new))


def _clocks(texts: tuple[str, str], settings: CorpusSettings) -> tuple[Mention, Mention] | None:
    """Return the one time of each text if both are the same and in words, not in digits or by a name ("noon")."""
    both = [
        [m for m in read_values(text, lang) if m.kind == "clock"]
        for text, lang in zip(texts, (settings.src, settings.tgt), strict=True)
    ]
    if any(len(found) != 1 or len(found[0].text.split()) < 2 or not found[0].text.islower() for found in both):
        return None
    (src,), (tgt,) = both
    spoken = not any(character.isdigit() for character in src.text + tgt.text)
    return (src, tgt) if spoken and agree(src, tgt) else None


def _put(text: str, old: Mention, new: str) -> str:
    return text[: old.start] + new + text[old.end :]
