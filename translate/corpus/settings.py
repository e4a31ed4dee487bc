"""How a corpus is made: what is capped, repeated and augmented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from translate.corpus.pairs import CorpusError

__all__ = ["CorpusSettings"]


@dataclass(frozen=True)
class CorpusSettings:
    """How a corpus is made.

    Interface texts (``catalogs``) were 79 % of the pairs at hand and teach little of a language: noun phrases and
    jargon. They are capped, sentences before fragments. Tatoeba, the only everyday prose, is seen twice.

    Attributes:
        src: language of the source texts.
        tgt: language of the translations.
        caps: most pairs of a source, after sieving.
        repeats: how often a source's pairs are seen, 1 unless given.
        title: share of the sentences that also come as headlines, the source in Title Case.
        spoken: share of the sentences that also come in lower case without punctuation, as an assistant is told them;
            for translators that have no such texts to learn from.
        entity: share of the pairs with a name or number verbatim on both sides that also come with another one.
        marker: share of the pairs with known spans that also come with these between marks; a quarter of it for
            pairs where a word is the same on both sides.
        values: share of the pairs that say a number, time, date or amount in different words that also come with
            marks around these.
        aligned: share of the pairs that also come with marks around aligned phrases; needs an aligner.
        marks_spoken: share of the pairs marked so that are put in lower case, as an assistant is told them.
        clocks: how many pairs with other times are made of one where both sides say the same clock time in words.
        dev: pairs kept out of training for the loss on dev.
        seed: of every draw.
    """

    src: str = "en"
    tgt: str = "sv"
    caps: Mapping[str, int] = field(default_factory=lambda: {"catalogs": 30_000})
    repeats: Mapping[str, int] = field(default_factory=lambda: {"tatoeba": 2})
    title: float = 0.06
    spoken: float = 0.0
    entity: float = 0.3
    marker: float = 0.4
    values: float = 0.4
    aligned: float = 0.0
    marks_spoken: float = 0.5
    clocks: int = 6
    dev: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        shares = {
            "title": self.title,
            "spoken": self.spoken,
            "entity": self.entity,
            "marker": self.marker,
            "values": self.values,
            "aligned": self.aligned,
            "marks_spoken": self.marks_spoken,
        }
        faults = [
            f"{name} is {value}; it is a share from 0 to 1" for name, value in shares.items() if not 0 <= value <= 1
        ]
        faults += [f"the cap of {name} is {n}; it is at least 0" for name, n in self.caps.items() if n < 0]
        faults += [f"the repeat of {name} is {n}; it is at least 1" for name, n in self.repeats.items() if n < 1]
        faults += [
            f"{name} is {n}; it is at least 0" for name, n in (("clocks", self.clocks), ("dev", self.dev)) if n < 0
        ]
        if self.src == self.tgt:
            faults.append(f"src and tgt are both {self.src!r}; they must differ")
        if faults:
            raise CorpusError("; ".join(faults))
