"""Scores against human translations: chrF2 and BLEU by sacrebleu with its signatures, and slot values."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from translate.errors import TranslateError
from translate.pipeline.translated import TranslatedRecord
from translate.scoring.text_figures import Proportion

__all__ = [
    "CorpusScore",
    "Reference",
    "ReferenceKey",
    "ReferenceScores",
    "SlotScore",
    "score_against_references",
    "score_texts",
]

SlotValues = Mapping[str, Sequence[str]]
Reference = tuple[str, SlotValues]
"""A human translation of a record: its text, and its slot values by the source's slot type."""
ReferenceKey = tuple[str, str]
"""Taskname and id of the record that a reference translates."""
FUZZY = 80.0
"""rapidfuzz ratio (0 to 100) from which two slot values count as nearly equal: "kaffemaskin" and "kaffemaskinen" do."""


@dataclass(frozen=True)
class CorpusScore:
    """Scores of a corpus, 0 to 100, with sacrebleu's signatures."""

    chrf2: float
    bleu: float
    chrf2_signature: str
    bleu_signature: str


@dataclass(frozen=True)
class SlotScore:
    """Share of the references' slot values that the translations have, case ignored: equal, and nearly equal."""

    exact: Proportion
    fuzzy: Proportion


@dataclass(frozen=True)
class ReferenceScores:
    """Scores of a run against human translations.

    Attributes:
        rows: records with a reference, of all. One without a translation counts as an empty one.
        chrf2: of the corpus, 0 to 100.
        bleu: of the corpus, 0 to 100.
        chrf2_signature: of sacrebleu.
        bleu_signature: of sacrebleu.
        slots: over all types.
        slot_types: by type, in order.
    """

    rows: Proportion
    chrf2: float
    bleu: float
    chrf2_signature: str
    bleu_signature: str
    slots: SlotScore
    slot_types: Mapping[str, SlotScore]


def score_texts(hypotheses: Sequence[str], references: Sequence[str]) -> CorpusScore:
    """Score translations against one reference each."""
    chrf, bleu = CHRF(), BLEU()
    first = chrf.corpus_score(list(hypotheses), [list(references)])
    second = bleu.corpus_score(list(hypotheses), [list(references)])
    return CorpusScore(first.score, second.score, str(chrf.get_signature()), str(bleu.get_signature()))


def score_against_references(
    records: Sequence[TranslatedRecord], references: Mapping[ReferenceKey, Reference]
) -> ReferenceScores:
    """Score the records of a run that have a human translation.

    Raises:
        TranslateError: no record has a reference.
    """
    keyed = [((record.source.taskname, record.source.id), record) for record in records]
    scored = [(record, *references[key]) for key, record in keyed if key in references]
    if not scored:
        raise TranslateError(
            f"none of the {len(references)} references is of a row of the run; give them the rows' taskname and id"
        )
    score = score_texts([record.text for record, _, _ in scored], [text for _, text, _ in scored])
    slots = _slot_scores((_slot_values(record), wanted) for record, _, wanted in scored)
    return ReferenceScores(
        rows=Proportion(len(scored), len(records)),
        chrf2=score.chrf2,
        bleu=score.bleu,
        chrf2_signature=score.chrf2_signature,
        bleu_signature=score.bleu_signature,
        slots=_total(slots.values()),
        slot_types=slots,
    )


def _slot_values(record: TranslatedRecord) -> dict[str, list[str]]:
    """Return what stands in the translation for the source's spans, by the source's type."""
    found: dict[str, list[str]] = {}
    for source, span in zip(record.source.spans, record.spans, strict=False):
        if span is not None:
            found.setdefault(source.type, []).append(span.of(record.text))
    return found


def _slot_scores(pairs: Iterable[tuple[SlotValues, SlotValues]]) -> dict[str, SlotScore]:
    due, exact, fuzzy = Counter[str](), Counter[str](), Counter[str]()
    for found, wanted in pairs:
        for kind, values in wanted.items():
            ours = found.get(kind, ())
            due[kind] += len(values)
            exact[kind] += _matched(ours, values, 100.0)
            fuzzy[kind] += _matched(ours, values, FUZZY)
    return {k: SlotScore(Proportion(exact[k], due[k]), Proportion(fuzzy[k], due[k])) for k in sorted(due)}


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
    return SlotScore(Proportion.total(one.exact for one in found), Proportion.total(one.fuzzy for one in found))
