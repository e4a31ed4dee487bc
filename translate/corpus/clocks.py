"""Augmentation with other clock times: utterances have few of them, and a small model guesses the hour.

A time that both sides of a pair say in words is replaced by another, written for each language from the same minute.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from translate.corpus.pairs import Pair, draw
from translate.corpus.settings import CorpusSettings
from translate.langcodes import base_code
from translate.values import agree, read_values
from translate.values.mention import Mention

__all__ = ["other_clocks"]

_EN = ["twelve", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_SV = ["tolv", "ett", "två", "tre", "fyra", "fem", "sex", "sju", "åtta", "nio", "tio", "elva", "tolv"]
_SV_LATE = ["tretton", "fjorton", "femton", "sexton", "sjutton", "arton", "nitton"]
_SV_24 = ["noll", *_SV[1:], *_SV_LATE, "tjugo", "tjugoett", "tjugotvå", "tjugotre"]
_EN_MINUTES = {0: "", 10: " ten", 15: " fifteen", 20: " twenty", 30: " thirty", 45: " forty five", 50: " fifty"}
_SV_MINUTES = {0: "", 10: " tio", 15: " femton", 20: " tjugo", 30: " trettio", 45: " fyrtiofem", 50: " femtio"}
_MINUTES = (*[0] * 6, *list(_EN_MINUTES)[1:])
"""Minutes to draw from: every second time is a full hour."""


_CLOCK_BEFORE = re.compile(r"klockan (?:<s\d+> )?$")


class _Clock(NamedTuple):
    """A time of day: the hour of 24, and a minute that has a word."""

    hour: int
    minute: int


def other_clocks(pair: Pair, settings: CorpusSettings) -> Iterator[Pair]:
    """Yield a pair with other times where both sides say the same one; every second with its annotated spans marked.

    Nothing is yielded for a language pair that is not in ``WAYS``.
    """
    ways = WAYS.get((base_code(settings.src), base_code(settings.tgt)), ())
    for number in range(settings.clocks):
        texts = pair.marked if pair.marked and number % 2 else (pair.src, pair.tgt)
        found = _clocks(texts, settings) if ways else None
        if found is None:
            return
        # drawn from the pair, for the same corpus in every run
        random_source = random.Random(str(draw(pair, f"clock {number}", settings.seed)))  # noqa: S311 - no secret
        clock = _Clock(random_source.randrange(24), random_source.choice(_MINUTES))
        src, tgt = random_source.choice(ways)(clock)
        if _CLOCK_BEFORE.search(texts[1][: found[1].start]):
            tgt = tgt.removeprefix("klockan ")
        yield replace(pair, src=_put(texts[0], found[0], src), tgt=_put(texts[1], found[1], tgt))


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


def _half_of_day(clock: _Clock) -> tuple[str, str]:
    """Say "nine thirty p. m." and "nio trettio på kvällen"."""
    half = "am" if clock.hour < 12 else "p. m."
    part = next(part for until, part in _PARTS if clock.hour < until)
    src = f"{_EN[clock.hour % 12]}{_EN_MINUTES[clock.minute]} {half}"
    return src, f"{_SV[clock.hour % 12]}{_SV_MINUTES[clock.minute]} {part}"


def _of_24(clock: _Clock) -> tuple[str, str]:
    """Say "three p. m." and "klockan femton noll noll"."""
    return _half_of_day(clock)[0], f"klockan {_SV_24[clock.hour]}{_SV_MINUTES[clock.minute] or ' noll noll'}"


def _with_clock(clock: _Clock) -> tuple[str, str]:
    """Say "nine am" and "klockan nio på morgonen"."""
    src, tgt = _half_of_day(clock)
    return src, f"klockan {tgt}"


def _relative(clock: _Clock) -> tuple[str, str]:
    """Say "half past six" and "halv sju"; a full hour with "o'clock" where the minute has no such word."""
    hour, then = clock.hour % 12, clock.hour % 12 + 1
    said = {
        15: (f"quarter past {_EN[hour]}", f"kvart över {_SV[hour]}"),
        30: (f"half past {_EN[hour]}", f"halv {_SV[then]}"),
        45: (f"quarter to {_EN[then]}", f"kvart i {_SV[then]}"),
        10: (f"ten past {_EN[hour]}", f"tio över {_SV[hour]}"),
        50: (f"ten to {_EN[then]}", f"tio i {_SV[then]}"),
    }
    return said.get(clock.minute, (f"{_EN[hour]} o'clock", f"klockan {_SV[hour]}"))


_PARTS = (
    (5, "på natten"),
    (10, "på morgonen"),
    (12, "på förmiddagen"),
    (13, "på dagen"),
    (18, "på eftermiddagen"),
    (23, "på kvällen"),
    (24, "på natten"),
)
"""Swedish parts of the day, by the hour that ends each; noon is "tolv på dagen"."""

WAYS: Mapping[tuple[str, str], tuple[Callable[[_Clock], tuple[str, str]], ...]] = {
    ("en", "sv"): (_half_of_day, _half_of_day, _with_clock, _with_clock, _of_24, _relative)
}
"""Ways of saying a time in two languages; one that stands twice is drawn twice as often."""
