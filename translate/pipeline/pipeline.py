"""Translate records: send their texts through engines, project spans, check, and keep the best candidate of each.

Structure never goes through an engine. A text with spans is sent with its spans marked; where the marks come back
spoilt it is sent plain, and its spans are searched (`projection`). What the checks flag is sent in other ways
(`rewrites`), then through the fallback engine, and the candidate with the fewest flags is kept. All hypotheses are kept
in the memory, so a second run asks the engine nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from translate.checks import (
    FLAGS,
    LOW_SCORES,
    STATUSES,
    Draft,
    Flag,
    FlagPolicy,
    is_confirmed,
    low_tenth,
    run_checks,
)
from translate.checks.structure import source_faults, undecided_labels
from translate.errors import EngineError
from translate.inventory.inventory import Inventory
from translate.pipeline.candidates import Candidate, CandidateGenerator
from translate.pipeline.memory import Step, translate_plain
from translate.pipeline.projection import Proposal, SentencePair, project
from translate.pipeline.rewrites import REWRITES, FlaggedRecord, common_words
from translate.pipeline.translated import (
    Override,
    TranslatedRecord,
    assemble,
    label_text,
    override_spans,
    undecided,
)
from translate.protocols import Aligner, Engine, Memory
from translate.records.record import Record, Span, source_hash, tidy, tidy_text

__all__ = ["Setup", "translate_records"]

OF_THE_SOURCE = frozenset({*source_faults.flags, *undecided_labels.flags})
"""Flags that no other translation takes away."""

Retry = Callable[[Sequence[FlaggedRecord]], Sequence[Candidate | None]]


@dataclass(frozen=True)
class Setup:
    """Everything that decides a run, except engine, memory and records.

    Attributes:
        inventory: labels, phrases and closed-set values; it names the language pair.
        policy: from flags to a status.
        names: strings that are protected in every record.
        aligner: finds words that translate each other, for spans that came back without marks; None for none.
        fallback: engine for flagged records; None for none.
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


def translate_records(
    records: Iterable[Record],
    engine: Engine,
    memory: Memory,
    setup: Setup,
    *,
    on_step: Callable[[Step], None] | None = None,
) -> list[TranslatedRecord]:
    """Translate records, in order.

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
    return _Run(engine, memory, setup, on_step).translate([_prepared(record, setup) for record in records])


class _Run:
    """One run: its rounds share the memory and the setup."""

    def __init__(self, engine: Engine, memory: Memory, setup: Setup, on_step: Callable[[Step], None] | None) -> None:
        setup.policy.checked(FLAGS)
        self._setup, self._inventory, self._policy = setup, setup.inventory, setup.policy
        self._src, self._tgt = setup.inventory.src, setup.inventory.tgt

        self._memory, self._on_step = memory, on_step
        self._engine = self._generator(engine)
        self._others = [self._generator(other) for other in setup.others]
        self._fallback = self._generator(setup.fallback) if setup.fallback else None
        if setup.back:
            _require_pair(setup.back, self._tgt, self._src)

    def _generator(self, engine: Engine) -> CandidateGenerator:
        _require_pair(engine, self._src, self._tgt)
        return CandidateGenerator(engine, self._memory, self._inventory, self._setup.characters, self._on_step)

    def translate(self, records: Sequence[Record]) -> list[TranslatedRecord]:
        """Translate what no person has decided, and return all in order."""
        overrides = [self._setup.overrides.get(source_hash(record)) for record in records]
        common = common_words(record.text for record in records)  # of all, so that a decision changes no other record
        made = iter(self._scored(self._best([r for r, o in zip(records, overrides, strict=True) if o is None], common)))
        return [
            next(made) if override is None else self._overridden(record, override)
            for record, override in zip(records, overrides, strict=True)
        ]

    def _scored(self, records: Sequence[TranslatedRecord]) -> list[TranslatedRecord]:
        """Flag the records whose score is among the lowest tenth, for a person to begin with."""
        lowest = low_tenth([record.score for record in records])
        return [
            self._flagged_low(record) if low and record.text else record
            for record, low in zip(records, lowest, strict=True)
        ]

    def _flagged_low(self, record: TranslatedRecord) -> TranslatedRecord:
        said = f"{record.score:.2f} a token, among the lowest tenth of the run"
        flags = (*record.flags, Flag(LOW_SCORES, "info", said, record.score))
        return replace(record, flags=flags, status=max(record.status, self._policy.status(flags), key=STATUSES.index))

    def _best(self, records: Sequence[Record], common: frozenset[str]) -> list[TranslatedRecord]:
        """Translate once, and what the checks flag once more in each other way; keep what has the fewest flags."""
        found = self._checked(self._engine, self._engine.first(records))
        for generator, retry in self._retries():
            poor = [i for i, one in enumerate(found) if self._mendable(one)]
            candidates = retry([self._flagged(found[i], common) for i in poor])
            made = [(i, one) for i, one in zip(poor, candidates, strict=True) if one]
            for (i, _), other in zip(made, self._checked(generator, [one for _, one in made]), strict=True):
                found[i] = min(found[i], other, key=self._faults)  # the earlier one of equals
        return found

    def _flagged(self, one: TranslatedRecord, common: frozenset[str]) -> FlaggedRecord:
        return FlaggedRecord(one.source, self._src, self._tgt, frozenset(flag.name for flag in one.flags), common)

    def _retries(self) -> Iterator[tuple[CandidateGenerator, Retry]]:
        """Yield the ways to translate flagged records: the rewrites, then the fallback engine and its rewrites."""
        for generator in filter(None, (self._engine, self._fallback)):
            if generator is self._fallback:
                yield generator, partial(_first, generator)
            if generator.info.rewrites:
                yield from ((generator, partial(generator.rewritten, rewrite)) for rewrite in REWRITES.values())

    def _mendable(self, one: TranslatedRecord) -> bool:
        """Say whether a flag is raised that another translation may do without."""
        flags = tuple(flag for flag in one.flags if flag.name not in OF_THE_SOURCE)
        return self._policy.status(flags) not in ("ok", "unchecked")

    def _faults(self, one: TranslatedRecord) -> tuple[int, ...]:
        """Return whether there is no target, then how many flags there are of each severity, the worst first."""
        counts = Counter(self._policy.severity(flag) for flag in one.flags)
        return (one.target is None, *(counts[severity] for severity in ("drop", "review", "warn")))

    def _checked(self, generator: CandidateGenerator, candidates: Sequence[Candidate]) -> list[TranslatedRecord]:
        """Project the spans of candidates and run the checks."""
        projected = self._projected(generator, candidates)
        others = [other.hypotheses(("plain", one.record.text) for one in candidates) for other in self._others]
        backs = self._translated_back(candidates)
        made = []
        for i, one in enumerate(candidates):
            proposals = projected.get(i, [])
            places = [(p.start, p.end) if p else None for p in proposals] if proposals else one.stretches or ()
            draft = Draft(
                one.record,
                one.text,
                tuple(at and Span(*at, s.type) for at, s in zip(places, one.record.spans, strict=False)),
                self._src,
                self._tgt,
                mode=one.mode,
                searched=_searched(one, proposals),
                mark_fault=one.mark_fault,
                score=one.score,
                others=tuple(found[generator.key("plain", one.record.text)].text for found in others),
                back=backs[i],
                undecided=undecided(one.record, self._inventory),
                limits=self._policy.limits,
            )
            made.append(self._record(draft, run_checks(draft), engine_id=generator.info.engine_id, key=one.key))
        return made

    def _projected(
        self, generator: CandidateGenerator, candidates: Sequence[Candidate]
    ) -> dict[int, list[Proposal | None]]:
        """Search the spans of the candidates that came back without marks; by the candidate's position."""
        searched = {i: one for i, one in enumerate(candidates) if one.record.spans and one.stretches is None}
        alone = generator.values_alone(one.record for one in searched.values())
        pairs = [(one.record.text, one.text) for one in searched.values()]
        links = self._setup.aligner.align(pairs) if self._setup.aligner else [[] for _ in pairs]
        return {
            i: project(SentencePair(*pair, self._src, self._tgt, linked), generator.source_spans(one.record, alone))
            for (i, one), pair, linked in zip(searched.items(), pairs, links, strict=True)
        }

    def _translated_back(self, candidates: Sequence[Candidate]) -> list[str | None]:
        """Return each translation translated back; None where there is no text, or no engine to do it."""
        if self._setup.back is None:
            return [None] * len(candidates)
        texts, pair = [one.text for one in candidates], (self._tgt, self._src)
        found = translate_plain(
            self._setup.back, self._memory, pair, texts, characters=self._setup.characters, on_step=self._on_step
        )
        return [back if text else None for text, back in zip(texts, found, strict=True)]

    def _overridden(self, record: Record, override: Override) -> TranslatedRecord:
        """Return what a person decided; only faults of the source are still flagged."""
        spans = override_spans(record, override)
        draft = Draft(record, override.text, spans, self._src, self._tgt, mode="human")
        return self._record(draft, () if override.drop else tuple(source_faults.look(draft)), drop=override.drop)

    def _record(
        self, draft: Draft, flags: tuple[Flag, ...], *, engine_id: str = "", key: str = "", drop: bool = False
    ) -> TranslatedRecord:
        source, sure = draft.source, draft.mode == "human" or is_confirmed(draft)
        return TranslatedRecord(
            source=source,
            target=None if drop else assemble(source, draft.text, draft.spans, self._inventory),
            text=draft.text,
            spans=draft.spans,
            label_text=label_text(source, self._inventory),
            status="drop" if drop else self._policy.status(flags, confirmed=sure),
            flags=flags,
            mode=draft.mode,
            engine_id=engine_id,
            segment_key=key,
            score=draft.score,
            others=draft.others,
        )


def _first(generator: CandidateGenerator, flagged: Sequence[FlaggedRecord]) -> Sequence[Candidate]:
    return generator.first([one.record for one in flagged])


def _searched(one: Candidate, proposals: Sequence[Proposal | None]) -> tuple[tuple[str, float], ...]:
    """Return how spans were found that no mark showed, or none said whose they were."""
    if not one.sure:
        return (("order", 0.0),)
    return tuple((proposal.how, proposal.score) for proposal in proposals if proposal)


def _require_pair(engine: Engine, src: str, tgt: str) -> None:
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
