"""Compare engines: the same checks on what each makes of the same texts, without their spans.

A copying engine, given with ``--compare copy``, is the floor that the checks must tell apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from promptbank.mt.translate_set import TranslatedSet
from translate.checks import Draft, run_checks
from translate.pipeline.pipeline import Setup
from translate.pipeline.translated import TranslatedRecord
from translate.scoring.bootstrap import EngineScore, EvalSet, paired
from translate.scoring.scores import Reference, ReferenceKey
from translate.scoring.text_figures import Proportion, kept_strings, kept_values, left_words, right_language, share_of

__all__ = ["EngineFigures", "engine_figures", "engine_scores"]

RUN = "this run"


@dataclass(frozen=True)
class EngineFigures:
    """Figures of one engine's texts.

    Attributes:
        engine: its id; "this run" for the texts that the run kept.
        clean: records without a flag that asks for a person.
        values: records that say their source's values, of those with some; once for each kind.
        protected: protected strings that stayed.
        left: words left as they are.
        language: translations over 5 words that look like the target language; None where that cannot be said.
    """

    engine: str
    clean: Proportion
    values: Proportion
    protected: Proportion
    left: Proportion
    language: Proportion | None


def engine_figures(done: TranslatedSet) -> list[EngineFigures]:
    """Return the figures of the run and of the engines it was compared with; nothing if there are none."""
    records = _by_engines(done)
    return [
        _figures(name, [_rechecked(r, t, done.setup) for r, t in zip(records, texts, strict=True)], done.setup)
        for name, texts in _texts(records, done.setup)
    ]


def engine_scores(done: TranslatedSet, references: Mapping[ReferenceKey, Reference]) -> list[EngineScore]:
    """Score the run and the engines it was compared with against human translations; nothing if there are none."""
    keyed = [((record.source.taskname, record.source.id), record) for record in _by_engines(done)]
    scored = [(record, references[key][0]) for key, record in keyed if key in references]
    hypotheses = dict(_texts([record for record, _ in scored], done.setup))
    sets = [EvalSet("people's translations", [text for _, text in scored], hypotheses)] if hypotheses else []
    return list(paired(sets, baseline=RUN))


def _by_engines(done: TranslatedSet) -> list[TranslatedRecord]:
    """Return the records that engines, not people, translated."""
    return [record for record in done.records if record.text and record.mode != "human"]


def _texts(records: Sequence[TranslatedRecord], setup: Setup) -> list[tuple[str, list[str]]]:
    """Return each engine's name and texts, the run's own first; nothing without other engines or records."""
    if not setup.others or not records:
        return []
    others = [(one.info().engine_id, [r.others[n] for r in records]) for n, one in enumerate(setup.others)]
    return [(RUN, [record.text for record in records]), *others]


def _rechecked(record: TranslatedRecord, text: str, setup: Setup) -> TranslatedRecord:
    """Return the record with another text, checked without spans and labels."""
    source = replace(record.source, spans=(), label=None)
    inventory, policy = setup.inventory, setup.policy
    flags = run_checks(Draft(source, text, (), inventory.src, inventory.tgt, limits=policy.limits))
    return replace(record, source=source, text=text, spans=(), flags=flags, status=policy.status(flags))


def _figures(engine: str, records: Sequence[TranslatedRecord], setup: Setup) -> EngineFigures:
    src, tgt = setup.inventory.src, setup.inventory.tgt
    return EngineFigures(
        engine,
        share_of(record.status in ("ok", "unchecked", "warn") for record in records),
        Proportion.total(kept_values(records, src, tgt)[0].values()),
        kept_strings(records),
        left_words(records),
        right_language(records, src, tgt)[0],
    )
