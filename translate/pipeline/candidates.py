"""Texts on their way through an engine: marked, plain, with placeholders; everything it says is kept in the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from translate.inventory.inventory import Inventory
from translate.pipeline.memory import Step, make_segment, translate_segments
from translate.pipeline.projection import Wanted, order_marked
from translate.pipeline.rewrites import FlaggedRecord, RewrittenSource, SourceRewrite
from translate.pipeline.translated import Mode
from translate.protocols import Engine, Hypothesis, Memory, Segment
from translate.records.markers import MOST_MARKED, Marked, mark, read_marked, readable
from translate.records.record import Record

__all__ = ["Candidate", "CandidateGenerator"]


@dataclass(frozen=True)
class Candidate:
    """One way of a record through an engine: what went in, how, and what is known of what came out.

    Attributes:
        record: the source.
        sent: its text as the engine gets it.
        mode: how.
        key: of the segment.
        text: what came out, without marks and placeholders.
        stretches: where the marked spans are in it; None where none came back.
        sure: whether more than the order of the words told which stretch is whose.
        score: mean log-probability a token, where the engine gives one.
        fault: why what came out was refused, if it was.
    """

    record: Record
    sent: str
    mode: Mode
    key: str
    text: str = ""
    stretches: tuple[tuple[int, int], ...] | None = None
    sure: bool = True
    score: float | None = None
    fault: str = ""


class CandidateGenerator:
    """Sends records through one engine.

    Args:
        engine: translates the inventory's pair.
        memory: asked first.
        inventory: names the pair; its closed-set values tell marked spans apart.
        characters: size of a batch.
        on_step: told of the engine's progress.
    """

    def __init__(
        self,
        engine: Engine,
        memory: Memory,
        inventory: Inventory,
        characters: int,
        on_step: Callable[[Step], None] | None,
    ) -> None:
        self.info = engine.info()
        self._engine, self._memory, self._inventory = engine, memory, inventory
        self._characters, self._on_step = characters, on_step
        self._src, self._tgt = inventory.src, inventory.tgt

    def made(self, records: Sequence[Record]) -> list[Candidate]:
        """Send everything marked, what came back spoilt plain, and alone the values of spans that look alike."""
        trials = self._sent([self._first_trial(record) for record in records])
        spoilt = [i for i, trial in enumerate(trials) if trial.fault]
        plain = self._sent([self._trial(trials[i].record, trials[i].record.text, "plain") for i in spoilt])
        for i, trial in zip(spoilt, plain, strict=True):
            trials[i] = replace(trial, fault=trials[i].fault)
        if not self.info.rewrites:
            return trials
        alone = self.alone(trial.record for trial in trials if not trial.sure)
        return [trial if trial.sure else self._told_apart(trial, alone) for trial in trials]

    def alone(self, records: Iterable[Record]) -> dict[str, str]:
        """Return the values of all spans as the engine translates them on their own."""
        values = list(dict.fromkeys(span.of(record.text) for record in records for span in record.spans))
        found = self.texts(("plain", value) for value in values)
        return {value: found[self.key("plain", value)].text.strip(" .") for value in values}

    def again(self, attempt: SourceRewrite, doubts: Sequence[FlaggedRecord]) -> list[Candidate | None]:
        """Send records another way; None for one that this way does not send, or whose answer is spoilt."""
        ways = [attempt.respelt(doubt) for doubt in doubts]
        known = self.texts((attempt.asks, way.text) for way in ways if way)
        return [
            self._read_again(attempt, doubt.record, way, known) if way else None
            for doubt, way in zip(doubts, ways, strict=True)
        ]

    def texts(self, texts: Iterable[tuple[str, str]]) -> dict[str, Hypothesis]:
        """Translate texts, each with its mode; by segment key."""
        return self.segments([make_segment(self._src, self._tgt, mode, text) for mode, text in texts])

    def segments(self, segments: Sequence[Segment]) -> dict[str, Hypothesis]:
        """Translate segments of any pair that the engine knows; by key."""
        return translate_segments(
            self._engine, self._memory, segments, characters=self._characters, on_step=self._on_step
        )

    def key(self, mode: Mode, text: str) -> str:
        """Return the segment key of a text."""
        return make_segment(self._src, self._tgt, mode, text).key

    def wanted(self, record: Record, alone: Mapping[str, str]) -> list[Wanted]:
        """Return the source spans with their forms: the inventory's, and the value translated alone."""
        wanted = []
        for span in record.spans:
            value = span.of(record.text)
            forms = (*self._inventory.value_forms(span.type, value), *filter(None, [alone.get(value)]))
            wanted.append(Wanted(span.start, span.end, span.type, value, forms))
        return wanted

    def _first_trial(self, record: Record) -> Candidate:
        markers = self.info.markers
        few = 0 < len(record.spans) <= MOST_MARKED
        if few and markers != "none" and readable(record.text, markers):
            return self._trial(record, mark(record.text, record.spans, markers), markers)
        return self._trial(record, record.text, "plain")

    def _trial(self, record: Record, sent: str, mode: Mode) -> Candidate:
        return Candidate(record, sent, mode, self.key(mode, sent))

    def _sent(self, trials: Sequence[Candidate]) -> list[Candidate]:
        found = self.texts((trial.mode, trial.sent) for trial in trials)
        return [self._read(trial, found[trial.key]) for trial in trials]

    def _read(self, trial: Candidate, hypothesis: Hypothesis) -> Candidate:
        """Take a hypothesis apart as its mode wants it."""
        text = " ".join(hypothesis.text.split())
        known = replace(trial, text=text, score=hypothesis.score)
        if trial.mode not in ("bracket", "trained"):
            return known
        marked = read_marked(text, len(trial.record.spans), self.info.markers)
        if isinstance(marked, str):
            return replace(known, fault=marked)
        return self._ordered(known, marked, {})

    def _read_again(
        self, attempt: SourceRewrite, record: Record, way: RewrittenSource, known: Mapping[str, Hypothesis]
    ) -> Candidate | None:
        trial = self._trial(record, way.text, attempt.asks)
        hypothesis = known[trial.key]
        text = way.read(" ".join(hypothesis.text.split()))
        return replace(trial, mode=attempt.mode, text=text, score=hypothesis.score) if text else None

    def _told_apart(self, trial: Candidate, alone: Mapping[str, str]) -> Candidate:
        marked = Marked(trial.text, tuple((None, start, end) for start, end in sorted(trial.stretches or ())))
        return self._ordered(trial, marked, alone)

    def _ordered(self, trial: Candidate, marked: Marked, alone: Mapping[str, str]) -> Candidate:
        ordered = order_marked(marked, self.wanted(trial.record, alone), self._src, self._tgt)
        return replace(trial, text=marked.text, stretches=ordered.stretches, sure=ordered.sure)
