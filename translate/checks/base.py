"""The parts of checking: a draft goes in, flags with evidence come out, and a policy makes a status of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

from translate.errors import PolicyError
from translate.records.record import Record, Span

__all__ = ["STATUSES", "Check", "CheckLimits", "Draft", "Flag", "FlagPolicy", "Mode", "Severity", "Status", "raises"]

Severity = Literal["info", "warn", "review", "drop"]
Mode = Literal["plain", "bracket", "trained", "masked", "spelt", "values", "recased", "human"]
"""How a text was sent to the engine: marked, plain, or rewritten; or that a person translated it."""
Status = Literal["ok", "unchecked", "warn", "review", "drop"]
STATUSES: tuple[Status, ...] = ("ok", "unchecked", "warn", "review", "drop")
"""From what a person decided or two engines agree on, over what nothing speaks against, to what is left out."""
_STATUS_OF: dict[Severity, Status] = {"info": "unchecked", "warn": "warn", "review": "review", "drop": "drop"}


@dataclass(frozen=True)
class Flag:
    """Something that a check noticed.

    Attributes:
        name: such as "time_mismatch".
        severity: the check's own; a policy may change it.
        evidence: for a reader to judge it by.
        number: the figure behind it, where there is one.
    """

    name: str
    severity: Severity
    evidence: str
    number: float | None = None


@dataclass(frozen=True)
class CheckLimits:
    """Thresholds of the checks; the defaults are measured on human en-sv translations.

    Attributes:
        copy_chrf: chrF (0 to 100) of source and target above which the text counts as copied.
        copy_words: fewer words may be names alone and are not judged.
        length_sd: standard deviation of ln(target / source characters); 0.19 on MASSIVE dev, 0.11 on FLORES.
        length_mean: its mean; 0.00 and 0.01 there.
        length_z: how many standard deviations are too many.
        lang_words: fewer words are not identified; human Swedish of 3 words and more is named right in 99.5 %.
        left_share: share of the source's longer lower-case words (all longer ones of a headline) that may stand in the
            target; human Swedish is flagged in 0.7 % of FLORES dev and, for its names, in 2.1 % of MASSIVE dev.
        low_score: least mean log-probability a token; None where not calibrated.
        back_chrf: least chrF of source and back-translation.
        agree_chrf: least mean chrF with other engines.
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
    """One record with a translation, as the checks see it.

    Attributes:
        source: the record.
        text: its text in the target language.
        spans: for each source span, where it was found, or None.
        src: language of the source.
        tgt: language of the translation.
        mode: how the text was sent to the engine.
        searched: for spans found without marks, or with marks that look alike: how, and the score (0 to 100).
        mark_fault: why the engine's marks were refused, if they were.
        score: the engine's mean log-probability a token, if it gives one.
        others: the same text by other engines.
        back: the text translated back, if that was done.
        undecided: what the inventory has no approved decision for.
        limits: thresholds.
    """

    source: Record
    text: str
    spans: tuple[Span | None, ...]
    src: str
    tgt: str
    mode: Mode = "plain"
    searched: tuple[tuple[str, float], ...] = ()
    mark_fault: str = ""
    score: float | None = None
    others: tuple[str, ...] = ()
    back: str | None = None
    undecided: tuple[str, ...] = ()
    limits: CheckLimits = field(default_factory=CheckLimits)


Look = Callable[[Draft], Iterator[Flag]]


@dataclass(frozen=True)
class Check:
    """One check: the names of the flags it can raise, and the function that looks at a draft."""

    flags: tuple[str, ...]
    look: Look


def raises(*flags: str) -> Callable[[Look], Check]:
    """Decorate a function as the check that raises some flags."""
    return lambda look: Check(flags, look)


@dataclass(frozen=True)
class FlagPolicy:
    """How severe each flag is, which decides a record's status.

    Attributes:
        severities: flag name -> severity, where it is not the check's own.
        limits: thresholds of the checks.
    """

    severities: Mapping[str, Severity] = field(default_factory=dict)
    limits: CheckLimits = field(default_factory=CheckLimits)

    def checked(self, known: frozenset[str]) -> Self:
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

    def status(self, flags: tuple[Flag, ...], *, confirmed: bool = False) -> Status:
        """Return the worst status that flags ask for; without any "ok" of a confirmed text, "unchecked" of others."""
        worst: Status = max(
            (_STATUS_OF[self.severity(flag)] for flag in flags), key=STATUSES.index, default="unchecked"
        )
        return "ok" if confirmed and worst == "unchecked" else worst
