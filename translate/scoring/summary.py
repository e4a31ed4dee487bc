"""Summary of a translated set: figures of its rows, its labels and its texts.

Figures of rows and labels are over all records. Figures of texts (values, protected strings, lengths, words, language)
are over the records that have a translation, whether they are written or not: dropping bad ones does not make an engine
look better.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from translate.checks import STATUSES, FlagPolicy, Mode, Severity
from translate.pipeline.translated import TranslatedRecord
from translate.records.record import ClassLabel, IntentLabel, Record
from translate.scoring.text_figures import (
    LengthStatistics,
    Proportion,
    count_shares,
    kept_strings,
    kept_values,
    left_lower,
    left_words,
    measure_lengths,
    right_language,
    share_of,
)

__all__ = ["FlagCount", "LabelBalance", "Shared", "Summary", "shared_texts", "summarise"]

_SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True)
class FlagCount:
    """Rows with a flag, and the worst severity of it under the policy."""

    rows: int
    severity: Severity


@dataclass(frozen=True)
class LabelBalance:
    """The labels of one task before and after translation.

    Attributes:
        before: rows of the source by label id (class label or intent).
        after: written rows by label id.
        intact: whether each written row has its label (an intent may be renamed) and no two labels share an id or a
            form; then before and after differ by dropped rows only.
        shift: total variation distance of the two distributions, 0 to 1; None when nothing is written.
    """

    before: Mapping[str, int]
    after: Mapping[str, int]
    intact: bool
    shift: float | None


@dataclass(frozen=True)
class Shared:
    """Share of the distinct texts that stand in more than one file."""

    source: Proportion
    target: Proportion


@dataclass(frozen=True)
class Summary:
    """The figures of a translation.

    Attributes:
        src: language code of the sources.
        tgt: of the translations.
        by_engine: rows by engine id.
        emitted: rows that are written.
        by_status: rows by status, all five.
        by_flag: rows by flag, names in order.
        by_mode: rows by mode, all of them.
        labels: by taskname.
        intents: written rows by intent.
        slot_types: written rows of those with a slot of a type, by the source's slot type.
        slot_rows: written rows of those with any slot.
        values: see `kept_values`.
        values_note: why less than everything was compared; empty otherwise.
        protected: see `kept_strings`.
        left_words: see `text_figures.left_words`.
        left_lower: see `text_figures.left_lower`.
        language: see `right_language`; None when it cannot be said.
        language_note: why not; empty otherwise.
        lengths: None without any translation.
        shared: texts of several files; None where files were not compared.
    """

    src: str
    tgt: str
    by_engine: Mapping[str, int]
    emitted: Proportion
    by_status: Mapping[str, int]
    by_flag: Mapping[str, FlagCount]
    by_mode: Mapping[str, int]
    labels: Mapping[str, LabelBalance]
    intents: Mapping[str, Proportion]
    slot_types: Mapping[str, Proportion]
    slot_rows: Proportion
    values: Mapping[str, Proportion]
    values_note: str
    protected: Proportion
    left_words: Proportion
    left_lower: Proportion
    language: Proportion | None
    language_note: str
    lengths: LengthStatistics | None
    shared: Shared | None = None


def summarise(
    records: Sequence[TranslatedRecord],
    policy: FlagPolicy,
    *,
    src: str,
    tgt: str,
    emitted: Sequence[bool] | None = None,
    shared: Shared | None = None,
) -> Summary:
    """Return the figures of a run.

    ``emitted`` tells for each record whether it is written; without it, those with a target that are not dropped are.
    """
    written = [o.target is not None and o.status != "drop" for o in records] if emitted is None else list(emitted)
    rows = list(zip(records, written, strict=True))
    there = [record for record in records if record.text.strip()]
    language, language_note = right_language(there, src, tgt)
    values, values_note = kept_values(there, src, tgt)
    statuses, modes = Counter(o.status for o in records), Counter(o.mode for o in records)
    return Summary(
        src=src,
        tgt=tgt,
        by_engine=_sorted(Counter(o.engine_id for o in records if o.engine_id)),
        emitted=Proportion(sum(written), len(rows)),
        by_status={status: statuses[status] for status in STATUSES},
        by_flag=_flags(records, policy),
        by_mode={mode: modes[mode] for mode in get_args(Mode)},
        labels=_labels(rows),
        intents=count_shares((_intents(o.source), is_written) for o, is_written in rows),
        slot_types=count_shares((_slot_types(o.source), is_written) for o, is_written in rows),
        slot_rows=share_of(is_written for o, is_written in rows if _slot_types(o.source)),
        values=values,
        values_note=values_note,
        protected=kept_strings(there),
        left_words=left_words(there),
        left_lower=left_lower(there),
        language=language,
        language_note=language_note,
        lengths=measure_lengths(there),
        shared=shared,
    )


def shared_texts(files: Iterable[tuple[str, Iterable[TranslatedRecord]]]) -> Shared:
    """Count the texts that stand in more than one file: what a model saw in training, it may know in the test."""
    sources: dict[str, set[str]] = {}
    targets: dict[str, set[str]] = {}
    for name, records in files:
        for record in records:
            sources.setdefault(record.source.text, set()).add(name)
            if record.target is not None:
                targets.setdefault(record.target.text, set()).add(name)
    return Shared(*(share_of(len(names) > 1 for names in found.values()) for found in (sources, targets)))


def _flags(records: Iterable[TranslatedRecord], policy: FlagPolicy) -> dict[str, FlagCount]:
    rows, worst = Counter[str](), dict[str, int]()
    for record in records:
        rows.update({flag.name for flag in record.flags})
        for flag in record.flags:
            worst[flag.name] = max(_SEVERITIES.index(policy.severity(flag)), worst.get(flag.name, 0))
    return {name: FlagCount(rows[name], _SEVERITIES[worst[name]]) for name in sorted(rows)}


def _label_id(record: Record) -> str:
    label = record.label
    return label.intent if isinstance(label, IntentLabel) else label.id if label else ""


def _intents(record: Record) -> list[str]:
    return [record.label.intent] if isinstance(record.label, IntentLabel) else []


def _slot_types(record: Record) -> set[str]:
    slots = record.label.slots if isinstance(record.label, IntentLabel) else ()
    return {span.type for span in record.spans} | {slot.type for slot in slots}


def _labels(rows: Sequence[tuple[TranslatedRecord, bool]]) -> dict[str, LabelBalance]:
    labelled = [(o, is_written) for o, is_written in rows if o.source.label is not None]
    tasks = sorted({o.source.taskname for o, _ in labelled})
    return {task: _balance([row for row in labelled if row[0].source.taskname == task]) for task in tasks}


def _balance(rows: Sequence[tuple[TranslatedRecord, bool]]) -> LabelBalance:
    """Compare the labels of one task's rows."""
    before = Counter(_label_id(o.source) for o, _ in rows)
    pairs = [(o, o.target) for o, is_written in rows if is_written and o.target is not None]
    renamed = {(_label_id(o.source), _label_id(target)) for o, target in pairs}
    forms = {(_label_id(o.source), o.label_text) for o, _ in pairs if o.label_text}
    same = all(o.source.label == target.label for o, target in pairs if isinstance(o.source.label, ClassLabel))
    return LabelBalance(
        before=_sorted(before),
        after=_sorted(Counter(_label_id(target) for _, target in pairs)),
        intact=same and _one_to_one(renamed) and _one_to_one(forms),
        shift=_shift(before, Counter(_label_id(o.source) for o, _ in pairs)),
    )


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _one_to_one(pairs: set[tuple[str, str]]) -> bool:
    return len({a for a, _ in pairs}) == len(pairs) == len({b for _, b in pairs})


def _shift(before: Counter[str], after: Counter[str]) -> float | None:
    if not after:
        return None
    return sum(abs(before[key] / before.total() - after[key] / after.total()) for key in before) / 2
