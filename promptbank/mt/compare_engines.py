"""Engines beside one another: the same checks on what each makes of the same texts, spans left out.

A copying engine, given with ``--compare copy``, is the floor that the checks must tell apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from promptbank.mt.translate_set import TranslatedSet
from translate.checks import Draft, run_checks
from translate.pipeline.pipeline import Setup
from translate.pipeline.translated import TranslatedRecord
from translate.scoring.bootstrap import EngineScore, EvalSet, paired
from translate.scoring.scores import Reference, ReferenceKey
from translate.scoring.text_figures import Share, kept_strings, kept_values, left_words, right_language, share_of

__all__ = ["Beside", "engines_beside", "engines_scored"]

RUN = "this run"


@dataclass(frozen=True)
class Beside:
    """What the checks say of one engine's texts.

    Attributes:
        engine: its id; "this run" for what the run wrote, by whichever engine and way.
        clean: rows without a flag that asks for a person.
        values: rows that say their source's values, of those with some; a row counts once for each kind.
        protected: strings that must stay, and did.
        left: words left as they are.
        language: translations over 5 words that look like the target language; None where that cannot be said.
    """

    engine: str
    clean: Share
    values: Share
    protected: Share
    left: Share
    language: Share | None


def engines_beside(translated: TranslatedSet) -> list[Beside]:
    """Return the run's engine and those it was compared with; nothing if it was compared with none."""
    setup, outcomes = translated.setup, _asked(translated)
    return [
        _beside(name, [_judged(o, t, setup) for o, t in zip(outcomes, said, strict=True)], setup)
        for name, said in _texts(outcomes, setup)
    ]


def engines_scored(translated: TranslatedSet, references: Mapping[ReferenceKey, Reference]) -> list[EngineScore]:
    """Score the run's texts and those of the engines beside it against people's, with paired bootstrap.

    Args:
        translated: the run.
        references: human translations by what they translate.

    Returns:
        Nothing if the run was compared with no engine, or no record that an engine translated has a reference.
    """
    keyed = [((outcome.source.taskname, outcome.source.id), outcome) for outcome in _asked(translated)]
    rows = [(outcome, references[key][0]) for key, outcome in keyed if key in references]
    hypotheses = dict(_texts([outcome for outcome, _ in rows], translated.setup))
    people = [text for _, text in rows]
    sets = [EvalSet("people's translations", people, hypotheses)] if hypotheses else []
    return list(paired(sets, baseline=RUN))


def _asked(translated: TranslatedSet) -> list[TranslatedRecord]:
    """Return what engines were asked for, and gave something."""
    return [outcome for outcome in translated.outcomes if outcome.text and outcome.mode != "human"]


def _texts(outcomes: Sequence[TranslatedRecord], setup: Setup) -> list[tuple[str, list[str]]]:
    """Return each engine's name and texts, the run's own first; nothing without other engines or outcomes."""
    if not setup.others or not outcomes:
        return []
    others = [(one.info().engine_id, [o.others[n] for o in outcomes]) for n, one in enumerate(setup.others)]
    return [(RUN, [outcome.text for outcome in outcomes]), *others]


def _judged(outcome: TranslatedRecord, text: str, setup: Setup) -> TranslatedRecord:
    """Return the outcome as if its text were another, without spans and labels."""
    source = replace(outcome.source, spans=(), label=None)
    inventory, policy = setup.inventory, setup.policy
    flags = run_checks(Draft(source, text, (), inventory.src, inventory.tgt, limits=policy.limits))
    return replace(outcome, source=source, text=text, spans=(), flags=flags, status=policy.status(flags))


def _beside(engine: str, outcomes: Sequence[TranslatedRecord], setup: Setup) -> Beside:
    src, tgt = setup.inventory.src, setup.inventory.tgt
    return Beside(
        engine,
        share_of(outcome.status in ("ok", "warn") for outcome in outcomes),
        _total(kept_values(outcomes, src, tgt)[0].values()),
        kept_strings(outcomes),
        left_words(outcomes),
        right_language(outcomes, src, tgt)[0],
    )


def _total(shares: Iterable[Share]) -> Share:
    found = list(shares)
    return Share(sum(share.count for share in found), sum(share.of for share in found))
