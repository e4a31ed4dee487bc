"""The way of a set through a translation: plan, segments, engine, spans, checks, outcomes.

Structure never goes through an engine. A text with spans is sent with its spans marked; where the marks come back
spoilt it is sent plain, and its spans are searched. A text whose protected strings got lost is sent once more with
placeholders in their place. Everything an engine says is kept in the memory, so a second run asks it nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from translate.checks import FLAGS, Draft, Policy, run_checks
from translate.errors import EngineError
from translate.inventory import Inventory
from translate.markers import Marked, mark, read_marked, readable
from translate.memory import Step, make_segment, translate_segments
from translate.outcome import Mode, Outcome, Override, assemble, label_text, override_spans, undecided
from translate.projection import Sentence, Wanted, order_marked, project
from translate.protect import find_protected, is_kept, mask, unmask
from translate.protocols import Aligner, Engine, Hypothesis, Memory, Segment
from translate.records import Record, Span, source_hash, tidy

__all__ = ["Setup", "translate_records"]


@dataclass(frozen=True)
class Setup:
    """All that decides a run but engine, memory and records.

    Attributes:
        inventory: labels, phrases and closed-set values; it names the language pair.
        policy: from flags to a status.
        names: strings that are protected in every record.
        aligner: finds words that translate each other, for spans that came back without marks; None for none.
        others: engines whose translations are only compared.
        back: engine of the way back, whose result is compared with the source; None for none.
        overrides: what people decided, by source hash.
        characters: size of a batch.
    """

    inventory: Inventory
    policy: Policy = field(default_factory=Policy)
    names: tuple[str, ...] = ()
    aligner: Aligner | None = None
    others: tuple[Engine, ...] = ()
    back: Engine | None = None
    overrides: Mapping[str, Override] = field(default_factory=dict)
    characters: int = 2000


@dataclass(frozen=True)
class _Trial:
    """One way of a record through the engine: what went in, how, and what is known of what came out."""

    record: Record
    sent: str
    mode: Mode
    key: str
    text: str = ""
    stretches: tuple[tuple[int, int], ...] | None = None
    score: float | None = None
    fault: str = ""


def translate_records(
    records: Iterable[Record],
    engine: Engine,
    memory: Memory,
    setup: Setup,
    *,
    on_step: Callable[[Step], None] | None = None,
) -> list[Outcome]:
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


class _Run:
    """One run: the rounds share the engine, the memory and the setup."""

    def __init__(self, engine: Engine, memory: Memory, setup: Setup, on_step: Callable[[Step], None] | None) -> None:
        self._engine, self._memory, self._setup, self._on_step = engine, memory, setup, on_step
        self._info = engine.info()
        setup.policy.checked(FLAGS)
        self._src, self._tgt = setup.inventory.src, setup.inventory.tgt
        for one in (engine, *setup.others):
            _needs(one, self._src, self._tgt)
        if setup.back:
            _needs(setup.back, self._tgt, self._src)

    def outcomes(self, records: Sequence[Record]) -> list[Outcome]:
        """Translate what no person has decided, and put all outcomes in order."""
        overrides = [self._setup.overrides.get(source_hash(record)) for record in records]
        trials = self._final_trials([r for r, o in zip(records, overrides, strict=True) if o is None])
        made = iter(self._judged(trials))
        return [
            next(made) if override is None else self._overridden(record, override)
            for record, override in zip(records, overrides, strict=True)
        ]

    def _final_trials(self, records: Sequence[Record]) -> list[_Trial]:
        """Send everything marked, what came back spoilt plain, and what lost a protected string with placeholders."""
        trials = self._sent([self._first_trial(record) for record in records])
        spoilt = [i for i, trial in enumerate(trials) if trial.fault]
        plain = self._sent([self._trial(trials[i].record, trials[i].record.text, "plain") for i in spoilt])
        for i, trial in zip(spoilt, plain, strict=True):
            trials[i] = replace(trial, fault=trials[i].fault)
        lossy = [i for i, trial in enumerate(trials) if _lost(trial)]
        masked = self._sent([self._masked_trial(trials[i].record) for i in lossy])
        for i, trial in zip(lossy, masked, strict=True):
            if not trial.fault:
                trials[i] = replace(trial, fault=trials[i].fault)
        return trials

    def _first_trial(self, record: Record) -> _Trial:
        markers = self._info.markers
        if record.spans and markers != "none" and readable(record.text, markers):
            return self._trial(record, mark(record.text, record.spans, markers), markers)
        return self._trial(record, record.text, "plain")

    def _masked_trial(self, record: Record) -> _Trial:
        sent, _ = mask(record.text, find_protected(record.text, record.protected))
        return self._trial(record, sent, "masked")

    def _trial(self, record: Record, sent: str, mode: Mode) -> _Trial:
        return _Trial(record, sent, mode, make_segment(self._src, self._tgt, mode, sent).key)

    def _sent(self, trials: Sequence[_Trial]) -> list[_Trial]:
        found = self._translated(self._engine, [(trial.mode, trial.sent) for trial in trials])
        return [self._read(trial, found[trial.key]) for trial in trials]

    def _translated(self, engine: Engine, texts: Iterable[tuple[str, str]]) -> dict[str, Hypothesis]:
        segments = [make_segment(self._src, self._tgt, mode, text) for mode, text in texts]
        return self._asked(engine, segments)

    def _asked(self, engine: Engine, segments: Sequence[Segment]) -> dict[str, Hypothesis]:
        size = self._setup.characters
        return translate_segments(engine, self._memory, segments, characters=size, on_step=self._on_step)

    def _back(self, trials: Sequence[_Trial]) -> list[str | None]:
        """Return each translation translated back; None where there is nothing or nobody to do it."""
        engine = self._setup.back
        if engine is None:
            return [None] * len(trials)
        segments = [make_segment(self._tgt, self._src, "plain", trial.text) for trial in trials]
        found = self._asked(engine, [s for s in segments if s.text])
        return [found[s.key].text if s.text else None for s in segments]

    def _read(self, trial: _Trial, hypothesis: Hypothesis) -> _Trial:
        """Take a hypothesis apart as its mode wants it."""
        text = " ".join(hypothesis.text.split())
        known = replace(trial, text=text, score=hypothesis.score)
        if trial.mode == "masked":
            protected = find_protected(trial.record.text, trial.record.protected)
            back = unmask(text, mask(trial.record.text, protected)[1])
            return replace(known, text=back or "", fault="" if back else "a placeholder got lost")
        if trial.mode in ("bracket", "trained"):
            marked = read_marked(text, len(trial.record.spans), self._info.markers)
            if isinstance(marked, str):
                return replace(known, fault=marked)
            return replace(known, text=marked.text, stretches=self._ordered(trial.record, marked))
        return known

    def _ordered(self, record: Record, marked: Marked) -> tuple[tuple[int, int], ...]:
        return tuple(order_marked(marked, self._wanted(record, {}), self._src, self._tgt))

    def _wanted(self, record: Record, alone: Mapping[str, str]) -> list[Wanted]:
        """Return the source spans with their forms: the inventory's, and the value translated alone."""
        wanted = []
        for span in record.spans:
            value = span.of(record.text)
            forms = (*self._setup.inventory.value_forms(span.type, value), *filter(None, [alone.get(value)]))
            wanted.append(Wanted(span.start, span.end, value, forms))
        return wanted

    def _projected(self, trials: Sequence[_Trial]) -> dict[int, tuple[Span | None, ...]]:
        """Search the spans of the trials that came back without marks; trials by their position."""
        searched = [i for i, trial in enumerate(trials) if trial.record.spans and trial.stretches is None]
        values = [span.of(trials[i].record.text) for i in searched for span in trials[i].record.spans]
        found = self._translated(self._engine, [("plain", value) for value in values])
        alone = {v: found[make_segment(self._src, self._tgt, "plain", v).key].text.strip(" .") for v in values}
        pairs = [(trials[i].record.text, trials[i].text) for i in searched]
        aligner = self._setup.aligner
        links = aligner.align(pairs) if aligner else [[] for _ in pairs]
        return {i: self._searched(trials[i], alone, linked) for i, linked in zip(searched, links, strict=True)}

    def _searched(
        self, trial: _Trial, alone: Mapping[str, str], links: Sequence[tuple[int, int]]
    ) -> tuple[Span | None, ...]:
        sentence = Sentence(trial.record.text, trial.text, self._src, self._tgt, links)
        found = project(sentence, self._wanted(trial.record, alone))
        types = [span.type for span in trial.record.spans]
        return tuple(Span(p.start, p.end, kind) if p else None for p, kind in zip(found, types, strict=True))

    def _judged(self, trials: Sequence[_Trial]) -> list[Outcome]:
        projected = self._projected(trials)
        others = [self._translated(one, [("plain", t.record.text) for t in trials]) for one in self._setup.others]
        backs = self._back(trials)
        made = []
        for i, trial in enumerate(trials):
            marked = tuple(Span(*at, s.type) for at, s in zip(trial.stretches or (), trial.record.spans, strict=False))
            key = make_segment(self._src, self._tgt, "plain", trial.record.text).key
            draft = Draft(
                trial.record,
                trial.text,
                projected.get(i, marked),
                self._src,
                self._tgt,
                mark_fault=trial.fault,
                score=trial.score,
                others=tuple(found[key].text for found in others),
                back=backs[i],
                undecided=undecided(trial.record, self._setup.inventory),
                limits=self._setup.policy.limits,
            )
            made.append(self._outcome(draft, trial))
        return made

    def _outcome(self, draft: Draft, trial: _Trial) -> Outcome:
        flags = run_checks(draft)
        record, inventory = draft.source, self._setup.inventory
        return Outcome(
            source=record,
            target=assemble(record, draft.text, draft.spans, inventory),
            text=draft.text,
            spans=draft.spans,
            label_text=label_text(record.label, record.taskname, inventory),
            status=self._setup.policy.status(flags),
            flags=flags,
            mode=trial.mode,
            engine_id=self._info.engine_id,
            segment_key=trial.key,
            score=trial.score,
            others=draft.others,
        )

    def _overridden(self, record: Record, override: Override) -> Outcome:
        """Return what a person decided; no check has a say in it."""
        inventory = self._setup.inventory
        spans = override_spans(record, override)
        return Outcome(
            source=record,
            target=None if override.drop else assemble(record, override.text, spans, inventory),
            text=override.text,
            spans=spans,
            label_text=label_text(record.label, record.taskname, inventory),
            status="drop" if override.drop else "ok",
            flags=(),
            mode="human",
            engine_id="",
            segment_key="",
        )


def _needs(engine: Engine, src: str, tgt: str) -> None:
    """Refuse an engine of other pairs."""
    info = engine.info()
    if f"{src}-{tgt}" not in info.langpairs:
        knows = ", ".join(info.langpairs) or "no pair"
        raise EngineError(f"engine {info.engine_id!r} translates {knows}, not {src}-{tgt}")


def _prepared(record: Record, setup: Setup) -> Record:
    """Return the record tidied, with all its protected strings: its own, its frame's, the run's."""
    framed = [value for _, value in record.frame.values] if record.frame else []
    protected = dict.fromkeys((*record.protected, *framed, *setup.names))
    return replace(tidy(record), protected=tuple(protected))


def _lost(trial: _Trial) -> bool:
    """Say whether a protected string of the source is missing."""
    found = find_protected(trial.record.text, trial.record.protected)
    return any(not is_kept(one.string, trial.text) for one in found)
