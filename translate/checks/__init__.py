"""Checks of a translated record: small classes in a registry, flags with evidence, a policy that makes a status."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from translate.checks.base import STATUSES, Check, CheckLimits, Draft, Flag, FlagPolicy, Severity, Status
from translate.checks.engines import AgreementCheck, BackCheck, ScoreCheck, agreement
from translate.checks.structure import (
    EntityCheck,
    LabelCheck,
    MarkCheck,
    RecasedCheck,
    SearchCheck,
    SlotCheck,
    SourceCheck,
    ValueCheck,
)
from translate.checks.text import (
    CopyCheck,
    DebrisCheck,
    EmptyCheck,
    LanguageCheck,
    LengthCheck,
    RepetitionCheck,
    chrf,
)

__all__ = [
    "CHECKS",
    "FLAGS",
    "STATUSES",
    "Check",
    "CheckLimits",
    "Draft",
    "Flag",
    "FlagPolicy",
    "Severity",
    "Status",
    "agreement",
    "chrf",
    "run_checks",
]

CHECKS: dict[str, Check] = {
    "source.v1": SourceCheck(),
    "empty.v1": EmptyCheck(),
    "debris.v1": DebrisCheck(),
    "marks.v1": MarkCheck(),
    "search.v1": SearchCheck(),
    "slots.v1": SlotCheck(),
    "entities.v1": EntityCheck(),
    "values.v1": ValueCheck(),
    "copy.v1": CopyCheck(),
    "recased.v1": RecasedCheck(),
    "length.v1": LengthCheck(),
    "language.v1": LanguageCheck(),
    "repetition.v1": RepetitionCheck(),
    "score.v1": ScoreCheck(),
    "back.v1": BackCheck(),
    "agreement.v1": AgreementCheck(),
    "labels.v1": LabelCheck(),
}
FLAGS: frozenset[str] = frozenset(name for check in CHECKS.values() for name in check.flags)


def run_checks(draft: Draft, names: Iterable[str] = tuple(CHECKS)) -> tuple[Flag, ...]:
    """Return the flags of one draft, in the registry's order.

    Args:
        draft: a record with its translation.
        names: of the checks to run.
    """
    return tuple(_run(draft, names))


def _run(draft: Draft, names: Iterable[str]) -> Iterator[Flag]:
    for name in names:
        found = list(CHECKS[name](draft))
        yield from found
        if name == "empty.v1" and found:
            return  # nothing else can be said of a text that became empty
