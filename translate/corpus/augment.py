"""Augmentations: headlines, spoken sentences, other names, numbers and clock times, marks around spans.

Financial headlines come in Title Case, name companies that no corpus has, and end without a full stop; a small model
that has seen none translates names and lower-cases tickers. Marked spans teach it to carry marks (EasyProject, Chen et
al., Findings of ACL 2023).
"""

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from translate.corpus.clocks import other_clocks
from translate.corpus.pairs import Pair, draw, is_sentence, spoken_text
from translate.corpus.settings import CorpusSettings
from translate.corpus.spans import aligned_spans, value_spans
from translate.records.markers import numbered
from translate.values import read_values, written_value

__all__ = ["AUGMENTATIONS", "augment"]

_SMALL = frozenset(re.findall(r"\w+", "a an and as at but by for from in into nor of on or the to vs with"))
_TOKEN = re.compile(r"(?<![\w$#.,:/-])(?:[A-ZÅÄÖ][A-Za-zÅÄÖåäö]{2,}|\d{1,4})(?![\w:/%-]|[.,]\d)")
_UNSPOKEN = re.compile(r"[\d.!?:;\"“”„«»()\[\]/–—]")
_STARTS = re.findall(
    r"\w+", "Ald Bren Cal Dor Elm Fal Gran Hal Ing Jor Kel Lum Mar Nor Or Pel Quin Ros Sol Tor Ul Vel Wes Xan Yor Zen"
)
_MIDDLES = ("", "a", "e", "i", "o", "ara", "eno", "iva", "ora", "und")
_ENDS = re.findall(r"\w+", "bank bridge co corp dale fin gen line med net nova ridge soft tech ton works")
_TAILS = ("", "", "", " Group", " plc", " Inc", " AB", " Holdings", " Oil", " Bank")


Augmentation = Callable[[Pair, CorpusSettings], Iterable[Pair]]
"""Makes further pairs from a plain one, or none; `augment` sets their kind."""


def augment(pair: Pair, settings: CorpusSettings) -> Iterator[Pair]:
    """Yield the plain pair, then what the augmentations make of it."""
    yield replace(pair, spans=(), marked=None, links=())
    for kind, make in AUGMENTATIONS.items():
        for made in make(pair, settings):
            yield replace(made, kind=kind, spans=(), marked=None, links=())


def headline(pair: Pair, settings: CorpusSettings) -> Iterator[Pair]:
    """Write a sentence as a headline: the source in Title Case, both without their full stop.

    A translation keeps its sentence case, as headlines have it in Swedish and most languages.
    """
    words = pair.src.split()
    fits = is_sentence(pair.src) and len(words) <= 16 and pair.src.endswith(".") and pair.tgt.endswith(".")
    if not fits or pair.src.count(".") > 1 or draw(pair, "title", settings.seed) >= settings.title:
        return
    titled = [word if n and word in _SMALL else word[:1].upper() + word[1:] for n, word in enumerate(words)]
    yield replace(pair, src=" ".join(titled)[:-1], tgt=pair.tgt[:-1])


def spoken(pair: Pair, settings: CorpusSettings) -> Iterator[Pair]:
    """Write a sentence as an assistant is told it, if it has no digits, quotes or further sentences.

    Other corpora have weekdays and names with a capital, so a translator of them leaves "tuesday" as it is.
    """
    fits = all(is_sentence(text) and not _UNSPOKEN.search(text[:-1]) for text in (pair.src, pair.tgt))
    if fits and draw(pair, "spoken", settings.seed) < settings.spoken:
        yield replace(pair, src=spoken_text(pair.src), tgt=spoken_text(pair.tgt))


def other_entity(pair: Pair, settings: CorpusSettings) -> Iterator[Pair]:
    """Put an invented ticker, name or number in the place of one that stands once, and the same, on both sides."""
    shared = _shared(pair)
    if not shared or draw(pair, "entity", settings.seed) >= settings.entity:
        return
    # drawn from the pair, for the same corpus in every run
    random_source = random.Random(str(draw(pair, "entity which", settings.seed)))  # noqa: S311 - no secret
    old = random_source.choice(shared)
    src, tgt = _number(random_source, settings) if old.isdigit() else _name(random_source)
    yield replace(pair, src=_put(pair.src, old, src), tgt=_put(pair.tgt, old, tgt))


def marked_spans(pair: Pair, settings: CorpusSettings) -> Iterator[Pair]:
    """Put marks around annotated spans, or around one word that is the same on both sides."""
    if "[" in pair.src + pair.tgt:
        return
    chance = draw(pair, "marker", settings.seed)
    if pair.marked:
        if chance < settings.marker:
            yield replace(pair, src=pair.marked[0], tgt=pair.marked[1])
    elif chance < settings.marker / 4 and (shared := _shared(pair)):
        word, marked = shared[0], numbered(0, shared[0])
        yield replace(pair, src=_put(pair.src, word, marked), tgt=_put(pair.tgt, word, marked))


AUGMENTATIONS: Mapping[str, Augmentation] = {
    "title.v1": headline,
    "spoken.v1": spoken,
    "entity.v1": other_entity,
    "marker.v1": marked_spans,
    "values.v1": value_spans,
    "aligned.v1": aligned_spans,
    "clock.v1": other_clocks,
}
"""The augmentations by the kind of their pairs."""


def _shared(pair: Pair) -> list[str]:
    """Return the names (capitalised, not all capitals) and numbers that stand once on each side."""
    src, tgt = _TOKEN.findall(pair.src), _TOKEN.findall(pair.tgt)
    return [t for t in src if src.count(t) == tgt.count(t) == 1 and not (t.isalpha() and t.isupper())]


def _put(text: str, old: str, new: str) -> str:
    return _TOKEN.sub(lambda found: new if found[0] == old else found[0], text)


def _number(random_source: random.Random, settings: CorpusSettings) -> tuple[str, str]:
    """Return a number for both sides; a fraction only where the target language has a writer of values."""
    whole = str(random_source.randrange(2, 10 ** random_source.randrange(1, 5)))
    if len(whole) > 3 or random_source.random() < 0.6:
        return whole, whole
    fraction = f"{whole}.{random_source.randrange(1, 10)}"
    written = [written_value(mention, settings.tgt) for mention in read_values(fraction, settings.src)]
    return (fraction, written[0]) if len(written) == 1 and written[0] else (whole, whole)


def _name(random_source: random.Random) -> tuple[str, str]:
    """Return an invented ticker or company, the same for both sides."""
    if random_source.random() < 0.3:
        letters = random_source.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=random_source.randrange(2, 6))
        return ("$" + "".join(letters),) * 2
    return ("".join(random_source.choice(options) for options in (_STARTS, _MIDDLES, _ENDS, _TAILS)),) * 2
