"""Engines side by side on evaluation sets, by paired bootstrap resampling.

All systems are scored on the same resampled sets of sentences (Koehn 2004, "Statistical Significance Tests for Machine
Translation Evaluation"), as sacrebleu does it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest, Result

from translate.errors import EngineError

__all__ = ["EngineScore", "EvalSet", "paired"]

MetricName = Literal["chrF2", "BLEU"]
RESAMPLES = 1000


@dataclass(frozen=True)
class EvalSet:
    """Sentences with a human translation and the hypotheses of engines.

    Attributes:
        name: such as "flores-dev".
        references: human translations.
        hypotheses: by engine, one for each reference.

    Raises:
        EngineError: there are no references or engines, or an engine gave another number of translations.
    """

    name: str
    references: Sequence[str]
    hypotheses: Mapping[str, Sequence[str]]

    def __post_init__(self) -> None:
        if not self.references or not self.hypotheses:
            raise EngineError(f"the set {self.name!r} has no references or no engines; give both to score it")
        for engine, texts in self.hypotheses.items():
            if len(texts) != len(self.references):
                wanted = f"it has {len(self.references)} references"
                raise EngineError(
                    f"engine {engine!r} gave {len(texts)} translations of the set {self.name!r}; {wanted}"
                )


@dataclass(frozen=True)
class EngineScore:
    """The score of an engine on a set.

    Attributes:
        set_name: of the set.
        engine: that translated.
        metric: chrF2 or BLEU.
        rows: sentences.
        score: of the corpus, 0 to 100.
        mean: of the resampled sets.
        low: lower end of the resamples' 95 % interval.
        high: its upper end.
        baseline: engine that it is compared with.
        p: how likely so large a difference to the baseline is by chance alone; None for the baseline itself.
        signature: of sacrebleu, with seed and number of resamples.
    """

    set_name: str
    engine: str
    metric: MetricName
    rows: int
    score: float
    mean: float
    low: float
    high: float
    baseline: str
    p: float | None
    signature: str


def paired(sets: Iterable[EvalSet], *, baseline: str = "", resamples: int = RESAMPLES) -> tuple[EngineScore, ...]:
    """Compare engines on sets.

    The draws are the same each time: sacrebleu takes its seed 12345, unless the environment's SACREBLEU_SEED names
    another; the signature tells which.

    Args:
        sets: each with its engines; not every engine needs to be on every set.
        baseline: engine that the others are compared with; the first of each set if empty.
        resamples: number of resampled sets.

    Returns:
        By set, then by metric (chrF2, BLEU), then by engine, the baseline first.

    Raises:
        EngineError: a set lacks the baseline.
    """
    return tuple(score for one in sets for score in _compared(one, baseline or next(iter(one.hypotheses)), resamples))


def _compared(one: EvalSet, baseline: str, resamples: int) -> list[EngineScore]:
    if baseline not in one.hypotheses:
        knows = ", ".join(one.hypotheses)
        raise EngineError(f"the set {one.name!r} has no engine {baseline!r} to compare with; it has {knows}")
    engines = sorted(one.hypotheses, key=lambda engine: engine != baseline)
    systems: list[tuple[str, Sequence[str]]] = [(engine, list(one.hypotheses[engine])) for engine in engines]
    metrics: dict[str, Metric] = {"chrF2": CHRF(), "BLEU": BLEU()}
    signatures, results = PairedTest(systems, metrics, [list(one.references)], test_type="bs", n_samples=resamples)()
    names: tuple[MetricName, ...] = ("chrF2", "BLEU")
    return [
        EngineScore(
            set_name=one.name,
            engine=engine,
            metric=metric,
            rows=len(texts),
            score=float(result.score),
            mean=float(result.mean or 0.0),
            low=float(result.mean or 0.0) - float(result.ci or 0.0),  # half the interval's width
            high=float(result.mean or 0.0) + float(result.ci or 0.0),
            baseline=baseline,
            p=_p(result, same=texts == systems[0][1], is_baseline=engine == baseline),
            signature=str(signatures[metric]),
        )
        for metric in names
        for (engine, texts), result in zip(systems, results[metric], strict=True)
        if isinstance(result, Result)
    ]


def _p(result: Result, *, same: bool, is_baseline: bool) -> float | None:
    """Return sacrebleu's p, but 1 for equal translations: it says 1 / (resamples + 1) where nothing differs at all."""
    if is_baseline or result.p_value is None:
        return None
    return 1.0 if same else float(result.p_value)
