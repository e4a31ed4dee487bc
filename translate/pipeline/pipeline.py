"""The way of a set through a translation: plan, segments, engine, spans, checks, outcomes.

Structure never goes through an engine. A text with spans is sent with its spans marked; where the marks come back
spoilt it is sent plain, and its spans are searched. What the checks doubt is tried in other ways (`attempts`,
then the fallback engine), and the least doubtful translation is kept. Everything an engine says is kept in the memory,
so a second run asks it nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from translate.checks import FLAGS, Draft, FlagPolicy, run_checks
from translate.checks.structure import LabelCheck, SourceCheck
from translate.errors import EngineError
from translate.inventory.inventory import Inventory
from translate.pipeline.candidates import Candidate, CandidateGenerator
from translate.pipeline.memory import Step, make_segment
from translate.pipeline.projection import Proposal, Sentence, project
from translate.pipeline.rewrites import REWRITES, FlaggedRecord, common_words
from translate.pipeline.translated import Override, TranslatedRecord, assemble, label_text, override_spans, undecided
from translate.protocols import Aligner, Engine, Memory
from translate.records.record import Record, Span, source_hash, tidy, tidy_text

__all__ = ["Setup", "translate_records"]


@dataclass(frozen=True)
class Setup:
    """All that decides a run but engine, memory and records.

    Attributes:
        inventory: labels, phrases and closed-set values; it names the language pair.
        policy: from flags to a status.
        names: strings that are protected in every record.
        aligner: finds words that translate each other, for spans that came back without marks; None for none.
        fallback: engine for the rows that the checks doubt; what they doubt least is kept. None for none.
        others: engines whose translations are only compared.
        back: engine of the way back, whose result is compared with the source; None for none.
        overrides: what people decided, by source hash.
        characters: size of a batch.
    """

    inventory: Inventory
    policy: FlagPolicy = field(default_factory=FlagPolicy)
    names: tuple[str, ...] = ()
    aligner: Aligner | None = None
    fallback: Engine | None = None
    others: tuple[Engine, ...] = ()
    back: Engine | None = None
    overrides: Mapping[str, Override] = field(default_factory=dict)
    characters: int = 2000


OF_THE_SOURCE = frozenset({*SourceCheck.flags, *LabelCheck.flags})
"""Flags that no other translation takes away."""


def translate_records(
    records: Iterable[Record],
    engine: Engine,
    memory: Memory,
    setup: Setup,
    *,
    on_step: Callable[[Step], None] | None = None,
) -> list[TranslatedRecord]:
    """Translate records, one outcome for each, in order.

    Args:
        records: of any tasks, in the inventory's source language.
        engine: translates the pair.
        memory: what was translated before; asked first.
        setup: the rest.
        on_step: told of the engine's progress.

    Raises:
        EngineError: the engine does not translate the pair, or gave another number of translations than asked for.
        PolicyError: the policy names an unknown flag or severity.
        AlignError: the aligner cannot work.
    """
    return _Run(engine, memory, setup, on_step).outcomes([_prepared(record, setup) for record in records])


Way = Callable[[Sequence[FlaggedRecord]], Sequence[Candidate | None]]


class _Run:
    """One run: the rounds share the memory and the setup."""

    def __init__(self, engine: Engine, memory: Memory, setup: Setup, on_step: Callable[[Step], None] | None) -> None:
        self._setup = setup
        setup.policy.checked(FLAGS)
        self._src, self._tgt = setup.inventory.src, setup.inventory.tgt
        for one in (engine, *setup.others, *filter(None, [setup.fallback])):
            _needs(one, self._src, self._tgt)
        if setup.back:
            _needs(setup.back, self._tgt, self._src)

        def asking(one: Engine) -> CandidateGenerator:
            return CandidateGenerator(one, memory, setup.inventory, setup.characters, on_step)

        self._engine = asking(engine)
        self._fallback = asking(setup.fallback) if setup.fallback else None
        self._way_back = asking(setup.back) if setup.back else None
        self._others = [asking(other) for other in setup.others]

    def outcomes(self, records: Sequence[Record]) -> list[TranslatedRecord]:
        """Translate what no person has decided, and put all outcomes in order."""
        overrides = [self._setup.overrides.get(source_hash(record)) for record in records]
        common = common_words(record.text for record in records)  # of all, so that a decision changes no other row
        made = iter(self._chosen([r for r, o in zip(records, overrides, strict=True) if o is None], common))
        return [
            next(made) if override is None else self._overridden(record, override)
            for record, override in zip(records, overrides, strict=True)
        ]

    def _chosen(self, records: Sequence[Record], common: frozenset[str]) -> list[TranslatedRecord]:
        """Translate once, and what the checks doubt once more in each other way; keep what they doubt least."""
        found = self._judged(self._engine, self._engine.made(records))
        for ask, way in self._other_ways():
            poor = [i for i, outcome in enumerate(found) if self._mendable(outcome)]
            trials = way([self._doubt(found[i], common) for i in poor])
            tried = [(i, trial) for i, trial in zip(poor, trials, strict=True) if trial]
            for (i, _), other in zip(tried, self._judged(ask, [trial for _, trial in tried]), strict=True):
                found[i] = min(found[i], other, key=self._doubts)  # the earlier one of two alike
        return found

    def _doubt(self, outcome: TranslatedRecord, common: frozenset[str]) -> FlaggedRecord:
        flags = frozenset(flag.name for flag in outcome.flags)
        return FlaggedRecord(outcome.source, self._src, self._tgt, flags, common)

    def _other_ways(
        self,
    ) -> Iterator[tuple[CandidateGenerator, Way]]:
        if self._engine.info.rewrites:
            yield from ((self._engine, partial(self._engine.again, attempt)) for attempt in REWRITES.values())
        if self._fallback:
            made = self._fallback.made
            yield self._fallback, lambda doubts: made([doubt.record for doubt in doubts])
            if self._fallback.info.rewrites:
                yield from ((self._fallback, partial(self._fallback.again, one)) for one in REWRITES.values())

    def _mendable(self, outcome: TranslatedRecord) -> bool:
        """Say whether the checks doubt something that another translation may do better."""
        flags = tuple(flag for flag in outcome.flags if flag.name not in OF_THE_SOURCE)
        return self._setup.policy.status(flags) != "ok"

    def _doubts(self, outcome: TranslatedRecord) -> tuple[int, ...]:
        """Return whether there is no row to write, then how many flags there are of each severity, the worst first."""
        counts = Counter(self._setup.policy.severity(flag) for flag in outcome.flags)
        return (outcome.target is None, *(counts[severity] for severity in ("drop", "review", "warn")))

    def _back(self, trials: Sequence[Candidate]) -> list[str | None]:
        """Return each translation translated back; None where there is nothing or nobody to do it."""
        ask = self._way_back
        if ask is None:
            return [None] * len(trials)
        segments = [make_segment(self._tgt, self._src, "plain", trial.text) for trial in trials]
        found = ask.segments(segments)
        return [found[s.key].text if s.text else None for s in segments]

    def _projected(self, ask: CandidateGenerator, trials: Sequence[Candidate]) -> dict[int, list[Proposal | None]]:
        """Search the spans of the trials that came back without marks; trials by their position."""
        searched = [i for i, trial in enumerate(trials) if trial.record.spans and trial.stretches is None]
        alone = ask.alone(trials[i].record for i in searched)
        pairs = [(trials[i].record.text, trials[i].text) for i in searched]
        aligner = self._setup.aligner
        links = aligner.align(pairs) if aligner else [[] for _ in pairs]
        found_spans = {}
        for i, linked in zip(searched, links, strict=True):
            sentence = Sentence(trials[i].record.text, trials[i].text, self._src, self._tgt, linked)
            found_spans[i] = project(sentence, ask.wanted(trials[i].record, alone))
        return found_spans

    def _judged(self, ask: CandidateGenerator, trials: Sequence[Candidate]) -> list[TranslatedRecord]:
        projected = self._projected(ask, trials)
        others = [other.texts(("plain", t.record.text) for t in trials) for other in self._others]
        backs = self._back(trials)
        made = []
        for i, trial in enumerate(trials):
            proposals = projected.get(i, [])
            places = [(p.start, p.end) if p else None for p in proposals] if proposals else trial.stretches or ()
            draft = Draft(
                trial.record,
                trial.text,
                tuple(at and Span(*at, s.type) for at, s in zip(places, trial.record.spans, strict=False)),
                self._src,
                self._tgt,
                mode=trial.mode,
                searched=_searched(trial, proposals),
                mark_fault=trial.fault,
                score=trial.score,
                others=tuple(found[ask.key("plain", trial.record.text)].text for found in others),
                back=backs[i],
                undecided=undecided(trial.record, self._setup.inventory),
                limits=self._setup.policy.limits,
            )
            made.append(self._outcome(draft, trial, ask.info.engine_id))
        return made

    def _outcome(self, draft: Draft, trial: Candidate, engine_id: str) -> TranslatedRecord:
        flags = run_checks(draft)
        record, inventory = draft.source, self._setup.inventory
        return TranslatedRecord(
            source=record,
            target=assemble(record, draft.text, draft.spans, inventory),
            text=draft.text,
            spans=draft.spans,
            label_text=label_text(record.label, record.taskname, inventory),
            status=self._setup.policy.status(flags),
            flags=flags,
            mode=trial.mode,
            engine_id=engine_id,
            segment_key=trial.key,
            score=trial.score,
            others=draft.others,
        )

    def _overridden(self, record: Record, override: Override) -> TranslatedRecord:
        """Return what a person decided; no check has a say in it but that of the source, which no translation mends."""
        inventory = self._setup.inventory
        spans = override_spans(record, override)
        draft = Draft(record, override.text, spans, self._src, self._tgt)
        flags = () if override.drop else tuple(SourceCheck()(draft))
        return TranslatedRecord(
            source=record,
            target=None if override.drop else assemble(record, override.text, spans, inventory),
            text=override.text,
            spans=spans,
            label_text=label_text(record.label, record.taskname, inventory),
            status="drop" if override.drop else self._setup.policy.status(flags),
            flags=flags,
            mode="human",
            engine_id="",
            segment_key="",
        )


def _searched(trial: Candidate, proposals: Sequence[Proposal | None]) -> tuple[tuple[str, float], ...]:
    """Return how spans were found that no mark showed, or none said whose they were."""
    if not trial.sure:
        return (("order", 0.0),)
    return tuple((proposal.how, proposal.score) for proposal in proposals if proposal)


def _needs(engine: Engine, src: str, tgt: str) -> None:
    """Refuse an engine of other pairs."""
    info = engine.info()
    if f"{src}-{tgt}" not in info.langpairs:
        knows = ", ".join(info.langpairs) or "no pair"
        raise EngineError(f"engine {info.engine_id!r} translates {knows}, not {src}-{tgt}")


def _prepared(record: Record, setup: Setup) -> Record:
    """Return the record tidied, with all its protected strings: its own, its frame's, the run's."""
    framed = [value for _, value in record.frame.values] if record.frame else []
    protected = dict.fromkeys(tidy_text(name) for name in (*record.protected, *framed, *setup.names))
    return replace(tidy(record), protected=tuple(name for name in protected if name))
