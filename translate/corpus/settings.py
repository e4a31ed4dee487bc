"""How a corpus is made: what is capped, repeated and augmented."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from translate.corpus.pairs import CorpusError

__all__ = ["CorpusSettings"]

SHARES = ("title", "spoken", "entity", "marker", "values", "aligned", "marks_spoken")


@dataclass(frozen=True)
class CorpusSettings:
    """How a corpus is made.

    Interface texts (``catalogs``) were 79 % of the pairs at hand and teach little of a language: noun phrases and
    jargon. They are capped, sentences before fragments. Tatoeba, the only everyday prose, is seen twice.

    Attributes:
        src: language of the source texts.
        tgt: language of the translations.
        caps: most pairs of a source, after sieving.
        repeats: copies of a source's pairs, 1 unless given.
        title: share of sentences that also come as headlines, the source in Title Case.
        spoken: share of sentences that also come as an assistant is told them, see `pairs.spoken_text`.
        entity: share of pairs with a name or number that is the same on both sides that also come with another one.
        marker: share of pairs with annotated spans that also come with these marked; a quarter of it for pairs with a
            word that is the same on both sides.
        values: share of pairs with a value in different words that also come with it marked.
        aligned: share of pairs that also come with aligned phrases marked; needs an aligner.
        marks_spoken: share of the pairs with marked values or phrases that are `spoken` too.
        clocks: pairs with other times that are made of each pair with a clock time in words.
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
        shares = {name: getattr(self, name) for name in SHARES}
        faults = [f"{name} is {n}; it is a share from 0 to 1" for name, n in shares.items() if not 0 <= n <= 1]
        faults += [f"the cap of {name} is {n}; it is at least 0" for name, n in self.caps.items() if n < 0]
        faults += [f"the repeat of {name} is {n}; it is at least 1" for name, n in self.repeats.items() if n < 1]
        counts = {"clocks": self.clocks, "dev": self.dev}
        faults += [f"{name} is {n}; it is at least 0" for name, n in counts.items() if n < 0]
        if self.src == self.tgt:
            faults.append(f"src and tgt are both {self.src!r}; they must differ")
        if faults:
            raise CorpusError("; ".join(faults))
