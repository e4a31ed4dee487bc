"""What a check sees and says: a draft of one translated record in, flags with evidence out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from translate.errors import PolicyError
from translate.records.record import Record, Span

__all__ = ["STATUSES", "Check", "CheckLimits", "Draft", "Flag", "FlagPolicy", "Severity", "Status"]

Severity = Literal["info", "warn", "review", "drop"]
Status = Literal["ok", "warn", "review", "drop"]
STATUSES: tuple[Status, ...] = ("ok", "warn", "review", "drop")
_STATUS_OF: dict[Severity, Status] = {"info": "ok", "warn": "warn", "review": "review", "drop": "drop"}


@dataclass(frozen=True)
class Flag:
    """One thing a check noticed.

    Attributes:
        name: such as "time_mismatch".
        severity: as the check sees it; a policy may say otherwise.
        evidence: what a reader needs to judge it.
        number: the measured figure behind it, where there is one.
    """

    name: str
    severity: Severity
    evidence: str
    number: float | None = None


@dataclass(frozen=True)
class CheckLimits:
    """Where the checks begin to speak; defaults are measured on human en-sv translations.

    Attributes:
        copy_chrf: chrF (0 to 100) of source and target above which the text counts as copied.
        copy_words: fewer words may be names alone and are not judged.
        length_sd: standard deviation of ln(target / source characters); 0.19 on MASSIVE dev, 0.11 on FLORES.
        length_mean: its mean; 0.00 and 0.01 there.
        length_z: how many standard deviations are too many.
        lang_words: fewer words are not identified; human Swedish of 3 words and more is named right in 99.5 %.
        left_share: share of the source's longer lower-case words (all longer ones of a headline) that may stand in the
            target too; human Swedish is flagged in 0.7 % of FLORES dev and, for its names in lower case, in 2.1 % of
            MASSIVE dev.
        low_score: mean log-probability a token under which a translation is doubted; None where not calibrated.
        back_chrf: chrF of source and back-translation under which a translation is doubted.
        agree_chrf: mean chrF with other engines under which a translation is doubted.
    """

    copy_chrf: float = 80.0
    copy_words: int = 4
    length_sd: float = 0.19
    length_mean: float = 0.0
    length_z: float = 3.5
    lang_words: int = 4
    left_share: float = 0.5
    low_score: float | None = None
    back_chrf: float = 30.0
    agree_chrf: float = 30.0


@dataclass(frozen=True)
class Draft:
    """One record with its translation, before anything is decided.

    Attributes:
        source: the record.
        text: its text in the target language.
        spans: for each source span, where it was found, or None.
        src: language of the source.
        tgt: language of the translation.
        mode: how the text went through the engine, see ``translate.pipeline.translated.Mode``.
        searched: how spans were found that no mark showed, or none told apart, with how sure that is (0 to 100).
        mark_fault: why the engine's marks were refused, if they were.
        score: the engine's mean log-probability a token, if it gives one.
        others: the same text by other engines.
        back: the text translated back, if that was done.
        undecided: what the inventory has no approved decision for.
        limits: where the checks begin to speak.
    """

    source: Record
    text: str
    spans: tuple[Span | None, ...]
    src: str
    tgt: str
    mode: str = "plain"
    searched: tuple[tuple[str, float], ...] = ()
    mark_fault: str = ""
    score: float | None = None
    others: tuple[str, ...] = ()
    back: str | None = None
    undecided: tuple[str, ...] = ()
    limits: CheckLimits = field(default_factory=CheckLimits)


class Check(Protocol):
    """One check: the flags it can raise, and the look at a draft."""

    @property
    def flags(self) -> tuple[str, ...]:
        """The names of the flags it can raise."""

    def __call__(self, draft: Draft) -> Iterator[Flag]:
        """Yield a flag for each thing noticed."""


@dataclass(frozen=True)
class FlagPolicy:
    """From flags to a status.

    Attributes:
        severities: flag name -> severity, where it is to differ from what the check says.
        limits: for the checks.
    """

    severities: Mapping[str, Severity] = field(default_factory=dict)
    limits: CheckLimits = field(default_factory=CheckLimits)

    def checked(self, known: frozenset[str]) -> FlagPolicy:
        """Return the policy, if it names known flags and severities only.

        Raises:
            PolicyError: a name is unknown.
        """
        for name, severity in self.severities.items():
            if name not in known:
                raise PolicyError(f"the policy names the flag {name!r}; there are {', '.join(sorted(known))}")
            if severity not in _STATUS_OF:
                raise PolicyError(f"the policy gives {name!r} the severity {severity!r}; use {', '.join(_STATUS_OF)}")
        return self

    def severity(self, flag: Flag) -> Severity:
        """Return how severe a flag is under this policy."""
        return self.severities.get(flag.name, flag.severity)

    def status(self, flags: tuple[Flag, ...]) -> Status:
        """Return the worst status that any flag asks for."""
        return max((_STATUS_OF[self.severity(flag)] for flag in flags), key=STATUSES.index, default="ok")
