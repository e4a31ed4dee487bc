"""Agreement: how alike what several engines make of the same sentences is, and which sentences they differ on.

A sentence that engines translate differently is more often badly translated: on FLORES dev the agreement of an engine
with five others correlates with its chrF by 0.4 to 0.66, and reading the tenth that is least agreed on finds 2.5 to 4.5
times as many of the worst translations as reading at random.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from translate.checks import doubts
from translate.checks.engines import agreement
from translate.checks.text import chrf
from translate.scoring.text_figures import Proportion

__all__ = ["EngineAgreement", "SentenceAgreement", "agreements", "engine_agreements", "pair_agreements"]

LEAST = 20
"""Sentences with a reference from which correlations are told."""


@dataclass(frozen=True)
class SentenceAgreement:
    """One sentence as several engines translate it.

    Attributes:
        number: of the sentence, from 1.
        source: the text.
        reference: a human translation, if there is one.
        texts: translations by engine.
        alike: by engine, the mean chrF (0 to 100) of its translation with the others'.
        flags: by engine, the checks that its translation does not pass.
    """

    number: int
    source: str
    reference: str | None
    texts: Mapping[str, str]
    alike: Mapping[str, float]
    flags: Mapping[str, Sequence[str]]

    @property
    def mean(self) -> float:
        """The mean agreement of all engines."""
        return statistics.fmean(self.alike.values())

    @property
    def outlier(self) -> str:
        """The engine that agrees least with the others."""
        return min(self.alike, key=lambda engine: self.alike[engine])


@dataclass(frozen=True)
class EngineAgreement:
    """One engine over all sentences.

    Attributes:
        engine: its name.
        alike: its mean agreement with the others, chrF from 0 to 100.
        flagged: sentences with a flag for a person.
        chrf: mean chrF with the references; None without.
        correlation: of its agreement with that chrF over the sentences (Pearson); None where it cannot be told.
        found: of its worst tenth by chrF, those among the tenth of sentences that it is least agreed on.
    """

    engine: str
    alike: float
    flagged: Proportion
    chrf: float | None
    correlation: float | None
    found: Proportion | None


def agreements(
    sources: Sequence[str],
    references: Sequence[str] | None,
    texts: Mapping[str, Sequence[str]],
    langpair: tuple[str, str],
) -> list[SentenceAgreement]:
    """Compare engines sentence by sentence.

    Args:
        sources: sentences.
        references: their human translations; None without.
        texts: translations by engine, of two engines at least.
        langpair: source and target language.

    Returns:
        The sentences, those that the engines differ most on first.
    """
    found = []
    for at, source in enumerate(sources):
        said = {engine: found[at] for engine, found in texts.items()}
        alike = {
            engine: agreement(text, tuple(other for name, other in said.items() if name != engine)) or 0.0
            for engine, text in said.items()
        }
        flags = {
            engine: tuple(dict.fromkeys(flag.name for flag in doubts(source, text, langpair)))
            for engine, text in said.items()
        }
        reference = references[at] if references else None
        found.append(SentenceAgreement(at + 1, source, reference, said, alike, flags))
    return sorted(found, key=lambda one: (one.mean, one.number))


def engine_agreements(sentences: Sequence[SentenceAgreement]) -> list[EngineAgreement]:
    """Sum up each engine, the one that agrees most with the others first."""
    found = [_engine(name, sentences) for name in (sentences[0].texts if sentences else ())]
    return sorted(found, key=lambda one: -one.alike)


def pair_agreements(sentences: Sequence[SentenceAgreement]) -> dict[tuple[str, str], float]:
    """Return the mean chrF of the first engine's translations with the second's, for each two engines."""
    names = list(sentences[0].texts) if sentences else []
    return {
        (one, other): statistics.fmean(chrf(s.texts[one], s.texts[other]) for s in sentences)
        for one, other in combinations(names, 2)
    }


def _engine(name: str, sentences: Sequence[SentenceAgreement]) -> EngineAgreement:
    alike = [one.alike[name] for one in sentences]
    flagged = Proportion(sum(bool(one.flags[name]) for one in sentences), len(sentences))
    scores = [chrf(one.texts[name], one.reference) for one in sentences if one.reference is not None]
    told = len(scores) == len(sentences) >= LEAST
    return EngineAgreement(
        name,
        statistics.fmean(alike),
        flagged,
        statistics.fmean(scores) if scores else None,
        _correlation(alike, scores) if told else None,
        _found(alike, scores) if told else None,
    )


def _correlation(alike: Sequence[float], scores: Sequence[float]) -> float | None:
    """Return Pearson's coefficient; None where one of the two is the same everywhere."""
    try:
        return statistics.correlation(alike, scores)
    except statistics.StatisticsError:
        return None


def _found(alike: Sequence[float], scores: Sequence[float]) -> Proportion:
    worst, least = _lowest(scores.__getitem__, len(scores)), _lowest(alike.__getitem__, len(alike))
    return Proportion(len(worst & least), len(worst))


def _lowest(value: Callable[[int], float], count: int) -> set[int]:
    """Return the places of the lowest tenth."""
    return set(sorted(range(count), key=value)[: max(1, count // 10)])
