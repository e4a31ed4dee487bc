"""Scores against human translations: one run with its slots, and engines side by side.

Engines are compared by paired bootstrap resampling (Koehn 2004, "Statistical Significance Tests for Machine Translation
Evaluation"), as sacrebleu does it: all systems are scored on the same resampled sets of sentences.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rapidfuzz import fuzz
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest, Result

from translate.errors import EngineError, TranslateError
from translate.pipeline.translated import TranslatedRecord
from translate.scoring.scores import score_texts
from translate.scoring.text_figures import Share, plain

__all__ = [
    "EngineScore",
    "EvalSet",
    "Reference",
    "ReferenceKey",
    "ReferenceScores",
    "SlotScore",
    "paired",
    "score_against_references",
]

SlotValues = Mapping[str, Sequence[str]]
Reference = tuple[str, SlotValues]
"""A human translation of a record: its text, and its slot values by the source's slot type."""

ReferenceKey = tuple[str, str]
"""What is translated: the record's taskname and id."""

MetricName = Literal["chrF2", "BLEU"]

FUZZY = 80.0
"""rapidfuzz ratio (0 to 100) from which two slot values count as nearly equal: "kaffemaskin" and "kaffemaskinen" do."""

RESAMPLES = 1000


@dataclass(frozen=True)
class SlotScore:
    """Of the slot values of the human translations, those that were found, case ignored.

    Attributes:
        exact: equal.
        fuzzy: equal or nearly so.
    """

    exact: Share
    fuzzy: Share


@dataclass(frozen=True)
class ReferenceScores:
    """A run against human translations.

    Attributes:
        rows: outcomes with a reference, of all. One without a translation counts as an empty one.
        chrf2: of the corpus, 0 to 100.
        bleu: of the corpus, 0 to 100.
        chrf2_signature: of sacrebleu.
        bleu_signature: of sacrebleu.
        slots: over all types.
        slot_types: by type, in order.
    """

    rows: Share
    chrf2: float
    bleu: float
    chrf2_signature: str
    bleu_signature: str
    slots: SlotScore
    slot_types: Mapping[str, SlotScore]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        made: dict[str, Any] = plain(self)
        return made


@dataclass(frozen=True)
class EvalSet:
    """Sentences with their human translations, and what engines made of them.

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
    """One engine on one set by one metric.

    Attributes:
        set_name: of the set.
        engine: whose translations they are.
        metric: chrF2 or BLEU.
        rows: sentences.
        score: of the corpus, 0 to 100.
        mean: of the resampled sets.
        low: the resamples' 95 % interval begins here,
        high: and ends here.
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

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        made: dict[str, Any] = plain(self)
        return made


def score_against_references(
    outcomes: Sequence[TranslatedRecord], references: Mapping[ReferenceKey, Reference]
) -> ReferenceScores:
    """Score a run against human translations of some of its records.

    Args:
        outcomes: of the run.
        references: by what they translate.

    Raises:
        TranslateError: no record has a reference.
    """
    keyed = [((outcome.source.taskname, outcome.source.id), outcome) for outcome in outcomes]
    rows = [(outcome, *references[key]) for key, outcome in keyed if key in references]
    if not rows:
        raise TranslateError(
            f"none of the {len(references)} references is of a row of the run; give them the rows' taskname and id"
        )
    score = score_texts([outcome.text for outcome, _, _ in rows], [text for _, text, _ in rows])
    slots = _slot_scores((found, wanted) for outcome, _, wanted in rows for found in [_slot_values(outcome)])
    return ReferenceScores(
        rows=Share(len(rows), len(outcomes)),
        chrf2=score.chrf2,
        bleu=score.bleu,
        chrf2_signature=score.chrf2_signature,
        bleu_signature=score.bleu_signature,
        slots=_total(slots.values()),
        slot_types=slots,
    )


def paired(sets: Iterable[EvalSet], *, baseline: str = "", resamples: int = RESAMPLES) -> tuple[EngineScore, ...]:
    """Compare engines on sets.

    The draws are the same each time: sacrebleu takes its seed 12345, unless the environment's SACREBLEU_SEED names
    another; the signature tells which.

    Args:
        sets: each with its engines; not every engine needs to be on every set.
        baseline: engine that the others are compared with; the first of each set if empty.
        resamples: sets of sentences that are drawn, each as large as the set.

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
            **_interval(result),
            baseline=baseline,
            p=_p(result, same=texts == systems[0][1], is_baseline=engine == baseline),
            signature=str(signatures[metric]),
        )
        for metric in names
        for (engine, texts), result in zip(systems, results[metric], strict=True)
        if isinstance(result, Result)
    ]


def _interval(result: Result) -> dict[str, float]:
    """Return mean and interval; sacrebleu gives half the interval's width."""
    mean, half = float(result.mean or 0.0), float(result.ci or 0.0)
    return {"mean": mean, "low": mean - half, "high": mean + half}


def _p(result: Result, *, same: bool, is_baseline: bool) -> float | None:
    """Return sacrebleu's p, but 1 for equal translations: it says 1 / (resamples + 1) where nothing differs at all."""
    if is_baseline or result.p_value is None:
        return None
    return 1.0 if same else float(result.p_value)


def _slot_values(outcome: TranslatedRecord) -> dict[str, list[str]]:
    """Return what stands in the translation for the source's spans, by the source's type."""
    found: dict[str, list[str]] = {}
    for source, span in zip(outcome.source.spans, outcome.spans, strict=False):
        if span is not None:
            found.setdefault(source.type, []).append(span.of(outcome.text))
    return found


def _slot_scores(rows: Iterable[tuple[SlotValues, SlotValues]]) -> dict[str, SlotScore]:
    due, exact, fuzzy = Counter[str](), Counter[str](), Counter[str]()
    for found, wanted in rows:
        for kind, values in wanted.items():
            ours = found.get(kind, ())
            due[kind] += len(values)
            exact[kind] += _matched(ours, values, 100.0)
            fuzzy[kind] += _matched(ours, values, FUZZY)
    return {k: SlotScore(Share(exact[k], due[k]), Share(fuzzy[k], due[k])) for k in sorted(due)}


def _matched(ours: Sequence[str], theirs: Sequence[str], least: float) -> int:
    """Count the pairs of values that are alike enough, each value in one pair, the most alike first."""
    alike = {(i, j): _ratio(a, b) for i, a in enumerate(ours) for j, b in enumerate(theirs)}
    taken: set[tuple[str, int]] = set()
    for (i, j), ratio in sorted(alike.items(), key=lambda item: (-item[1], item[0])):
        if ratio >= least and not taken & {("ours", i), ("theirs", j)}:
            taken |= {("ours", i), ("theirs", j)}
    return len(taken) // 2


def _ratio(a: str, b: str) -> float:
    return float(fuzz.ratio(" ".join(a.casefold().split()), " ".join(b.casefold().split())))


def _total(scores: Iterable[SlotScore]) -> SlotScore:
    found = list(scores)
    due = sum(one.exact.of for one in found)
    exact, fuzzy = sum(one.exact.count for one in found), sum(one.fuzzy.count for one in found)
    return SlotScore(Share(exact, due), Share(fuzzy, due))
