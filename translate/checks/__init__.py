"""Checks of a translated record: functions in a registry that raise flags, and a policy that makes a status of them."""

from translate.checks.base import STATUSES, Check, CheckLimits, Draft, Flag, FlagPolicy, Mode, Severity, Status
from translate.checks.engines import (
    LOW_SCORES,
    agreement,
    back_translation,
    disagreement,
    is_confirmed,
    low_score,
    low_tenth,
)
from translate.checks.structure import (
    lost_entities,
    lost_layout,
    recased,
    refused_marks,
    searched_spans,
    slots,
    source_faults,
    undecided_labels,
    value_mismatches,
)
from translate.checks.text import chrf, copied, debris, empty, language, length, repetition
from translate.records.record import Record

__all__ = [
    "CHECKS",
    "FLAGS",
    "LOW_SCORES",
    "STATUSES",
    "Check",
    "CheckLimits",
    "Draft",
    "Flag",
    "FlagPolicy",
    "Mode",
    "Severity",
    "Status",
    "agreement",
    "chrf",
    "doubts",
    "is_confirmed",
    "low_tenth",
    "run_checks",
]

CHECKS: dict[str, Check] = {
    "source.v1": source_faults,
    "empty.v1": empty,
    "debris.v1": debris,
    "layout.v1": lost_layout,
    "marks.v1": refused_marks,
    "search.v1": searched_spans,
    "slots.v1": slots,
    "entities.v1": lost_entities,
    "values.v1": value_mismatches,
    "copy.v1": copied,
    "recased.v1": recased,
    "length.v1": length,
    "language.v1": language,
    "repetition.v1": repetition,
    "score.v1": low_score,
    "back.v1": back_translation,
    "agreement.v1": disagreement,
    "labels.v1": undecided_labels,
}
FLAGS: frozenset[str] = frozenset({LOW_SCORES, *(name for check in CHECKS.values() for name in check.flags)})


def run_checks(draft: Draft) -> tuple[Flag, ...]:
    """Return the flags of one draft, in the registry's order; of an empty translation nothing more is said."""
    flags: list[Flag] = []
    for name, check in CHECKS.items():
        found = list(check.look(draft))
        flags += found
        if name == "empty.v1" and found:
            break
    return tuple(flags)


def doubts(source: str, text: str, langpair: tuple[str, str]) -> tuple[Flag, ...]:
    """Return the flags of a plain text's translation that are more than a note."""
    draft = Draft(Record("", "", "", source), text, (), *langpair)
    return tuple(flag for flag in run_checks(draft) if flag.severity != "info")
