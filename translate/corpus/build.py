"""Build the corpus of a translation model from pairs of sentences: filter, cap, hold out, augment, repeat.

Every choice is drawn from a hash of the pair and a seed, so it depends neither on the order of the files nor on other
pairs.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice

from translate.corpus.augment import augment
from translate.corpus.filters import sieve
from translate.corpus.pairs import CorpusError, Pair, draw, is_sentence, likeness
from translate.corpus.settings import CorpusSettings
from translate.protocols import Aligner
from translate.records.markers import without_marks

__all__ = ["Corpus", "CorpusSettings", "build_corpus"]


@dataclass(frozen=True)
class Corpus:
    """A corpus to train on.

    Attributes:
        train: plain and augmented pairs, repeats included, in a fixed order.
        dev: plain pairs that share no side with a training pair.
        read: pairs read, by source.
        dropped: pairs dropped, by source and then by reason.
        kept: training pairs by source and kind, repeats counted.
    """

    train: tuple[Pair, ...]
    dev: tuple[Pair, ...]
    read: Mapping[str, int]
    dropped: Mapping[str, Mapping[str, int]]
    kept: Mapping[str, Mapping[str, int]]


def build_corpus(
    pairs: Iterable[Pair],
    settings: CorpusSettings,
    held_out: frozenset[str] = frozenset(),
    aligner: Aligner | None = None,
) -> Corpus:
    """Build a corpus.

    Args:
        pairs: of all sources, in any order.
        settings: what to keep and to make.
        held_out: likenesses of evaluation sentences (`read_held_out`); no pair with one of them is kept, or made.
        aligner: links the words of the pairs, if ``settings.aligned`` is above 0.

    Raises:
        CorpusError: nothing is left, or aligned phrases are wanted without an aligner.
    """
    sieved = sieve(pairs, settings.src, settings.tgt, held_out)
    kept, dropped = _capped(sieved.kept, settings), {name: Counter(n) for name, n in sieved.dropped.items()}
    for name, count in (Counter(p.source for p in sieved.kept) - Counter(p.source for p in kept)).items():
        dropped.setdefault(name, Counter())["cap"] = count
    dev, learnt = _split(kept, settings)
    if settings.aligned:
        learnt = _aligned(learnt, aligner)
    forbidden = held_out | _sides(dev)
    train = []
    for new in (new for pair in learnt for new in augment(pair, settings)):
        if _sides([new]) & forbidden:  # such as another clock time, which may be that of an evaluation sentence
            dropped.setdefault(new.source, Counter())["evaluation"] += 1
        else:
            train += [new] * settings.repeats.get(new.source, 1)
    if not train:
        raise CorpusError(
            f"no pair of {sum(sieved.read.values())} is left to learn; see the reasons with `corpus filter`"
        )
    counts: dict[str, Counter[str]] = {}
    for pair in train:
        counts.setdefault(pair.source, Counter())[pair.kind] += 1
    return Corpus(tuple(train), tuple(dev), sieved.read, dropped, counts)


def _capped(pairs: Sequence[Pair], settings: CorpusSettings) -> list[Pair]:
    """Keep, of each capped source, sentences before fragments, and among equals what the seed draws."""

    def rank(pair: Pair) -> tuple[object, ...]:
        return pair.source, not is_sentence(pair.src), draw(pair, "cap", settings.seed), pair.src, pair.tgt

    sources = groupby(sorted(pairs, key=rank), key=lambda pair: pair.source)
    return [pair for source, ranked in sources for pair in islice(ranked, settings.caps.get(source))]


def _split(pairs: Sequence[Pair], settings: CorpusSettings) -> tuple[list[Pair], list[Pair]]:
    """Draw dev pairs from all, and return them and the rest without pairs that share a side with them."""
    order = sorted(pairs, key=lambda p: (draw(p, "dev", settings.seed), p.src, p.tgt))
    count = min(settings.dev, len(order) // 10)
    dev = [replace(pair, spans=(), marked=None) for pair in order[:count]]
    taken = _sides(dev)
    return dev, [pair for pair in order[count:] if not _sides([pair]) & taken]


def _aligned(pairs: Sequence[Pair], aligner: Aligner | None) -> list[Pair]:
    if aligner is None:
        raise CorpusError("marks around aligned phrases need an aligner; leave the share of aligned pairs at 0")
    links = aligner.align([(pair.src, pair.tgt) for pair in pairs])
    return [replace(pair, links=tuple(found)) for pair, found in zip(pairs, links, strict=True)]


def _sides(pairs: Iterable[Pair]) -> frozenset[str]:
    """Return the likenesses of both sides of all pairs, without marks: a marked sentence is the same sentence."""
    return frozenset(likeness(without_marks(text)) for pair in pairs for text in (pair.src, pair.tgt))
