"""What a translated set is worth, in figures: what is left of its rows, of its labels and of what its texts say.

Figures of rows and labels are over all outcomes. Figures of texts (values, protected strings, lengths, words, language)
are over the outcomes that have a translation, whether their rows are written or not: dropping bad rows does not make an
engine look better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from translate.checks import STATUSES, FlagPolicy, Mode, Severity
from translate.pipeline.translated import TranslatedRecord
from translate.records.record import ClassLabel, IntentLabel, Record
from translate.scoring.text_figures import (
    Lengths,
    Share,
    count_shares,
    kept_strings,
    kept_values,
    left_lower,
    left_words,
    measure_lengths,
    plain,
    right_language,
    share_of,
)

__all__ = ["FlagCount", "LabelBalance", "Shared", "Summary", "shared_texts", "summarise"]

_SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True)
class FlagCount:
    """Rows with a flag, and how severe it is under the policy (at its worst)."""

    rows: int
    severity: Severity


@dataclass(frozen=True)
class LabelBalance:
    """The labels of one task before and after.

    Attributes:
        before: rows of the source by label id (class label or intent).
        after: written rows by label id.
        intact: whether each written row has its label: the same class label, or the one that the inventory renames
            the intent to, and no two labels share an id or a form. Then before and after differ by dropped rows only.
        shift: how far the drops moved the distribution: total variation distance, 0 (equal shares) to 1; None when
            nothing is written.
    """

    before: Mapping[str, int]
    after: Mapping[str, int]
    intact: bool
    shift: float | None


@dataclass(frozen=True)
class Shared:
    """Of the distinct texts, those that stand in more than one file; of sources and of translations."""

    source: Share
    target: Share


@dataclass(frozen=True)
class Summary:
    """The figures of a translation.

    Attributes:
        src: language code of the sources.
        tgt: of the translations.
        by_engine: rows by the id of the engine that their translation is by.
        emitted: rows that are written, of all.
        by_status: rows by status, all four.
        by_flag: rows by flag, names in order.
        by_mode: rows by the way of their text, all of them.
        labels: by taskname.
        intents: rows written, by intent.
        slot_types: rows with a slot of the type that are written, by the source's slot type.
        slot_rows: rows with any slot that are written.
        values: by kind (number, money, percent, time, date): of the translations whose source says such values, those
            that say the same ones.
        values_note: why less than everything was compared; empty otherwise.
        protected: protected strings that stand in the translation, of those that stand in the source.
        left_words: words of the source that stand in the translation, see `left_words`.
        left_lower: those of them that are no names, see `left_lower`.
        language: translations over 5 words that look more like the target language than like the source's; None when
            that cannot be said.
        language_note: why not; empty otherwise.
        lengths: None without any translation.
        shared: texts of several files; None where files were not compared.
    """

    src: str
    tgt: str
    by_engine: Mapping[str, int]
    emitted: Share
    by_status: Mapping[str, int]
    by_flag: Mapping[str, FlagCount]
    by_mode: Mapping[str, int]
    labels: Mapping[str, LabelBalance]
    intents: Mapping[str, Share]
    slot_types: Mapping[str, Share]
    slot_rows: Share
    values: Mapping[str, Share]
    values_note: str
    protected: Share
    left_words: Share
    left_lower: Share
    language: Share | None
    language_note: str
    lengths: Lengths | None
    shared: Shared | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values, the same for equal outcomes; shares and means to six decimals."""
        made: dict[str, Any] = plain(self)
        return made


def summarise(
    outcomes: Sequence[TranslatedRecord],
    policy: FlagPolicy,
    *,
    src: str,
    tgt: str,
    emitted: Sequence[bool] | None = None,
    shared: Shared | None = None,
) -> Summary:
    """Return the figures of a translation.

    Args:
        outcomes: of a run.
        policy: that decided their status.
        src: language code of the sources.
        tgt: of the translations.
        emitted: for each outcome whether its row is written; without it, all with a target that are not dropped.
        shared: see `shared_texts`.

    Raises:
        ValueError: `emitted` is not one for each outcome.
    """
    written = [o.target is not None and o.status != "drop" for o in outcomes] if emitted is None else list(emitted)
    rows = list(zip(outcomes, written, strict=True))
    there = [outcome for outcome in outcomes if outcome.text.strip()]
    language, language_note = right_language(there, src, tgt)
    values, values_note = kept_values(there, src, tgt)
    statuses, modes = Counter(o.status for o in outcomes), Counter(o.mode for o in outcomes)
    return Summary(
        src=src,
        tgt=tgt,
        by_engine=_sorted(Counter(o.engine_id for o in outcomes if o.engine_id)),
        emitted=Share(sum(written), len(rows)),
        by_status={status: statuses[status] for status in STATUSES},
        by_flag=_flags(outcomes, policy),
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
    """Count the texts that stand in more than one file: what a model saw in training, it may know in the test.

    Args:
        files: names, and the outcomes whose texts stand in them; a name given twice is one file.
    """
    sources: dict[str, set[str]] = {}
    targets: dict[str, set[str]] = {}
    for name, outcomes in files:
        for outcome in outcomes:
            sources.setdefault(outcome.source.text, set()).add(name)
            if outcome.target is not None:
                targets.setdefault(outcome.target.text, set()).add(name)
    return Shared(*(share_of(len(names) > 1 for names in found.values()) for found in (sources, targets)))


def _flags(outcomes: Iterable[TranslatedRecord], policy: FlagPolicy) -> dict[str, FlagCount]:
    rows, worst = Counter[str](), dict[str, int]()
    for outcome in outcomes:
        rows.update({flag.name for flag in outcome.flags})
        for flag in outcome.flags:
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
