"""Candidate translations: what one engine makes of records that are sent to it marked, plain or rewritten."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from translate.checks import Mode
from translate.inventory.inventory import Inventory
from translate.pipeline.memory import Step, segment_key, translate_texts
from translate.pipeline.projection import SourceSpan, order_marked
from translate.pipeline.rewrites import FlaggedRecord, RewrittenText, SourceRewrite
from translate.protocols import Engine, Hypothesis, Memory
from translate.records.markers import MOST_MARKED, Marked, mark, read_marked, readable
from translate.records.record import Record

__all__ = ["Candidate", "CandidateGenerator"]


@dataclass(frozen=True)
class Candidate:
    """One possible translation of a record.

    Attributes:
        record: the source.
        sent: its text as the engine got it.
        mode: how it was sent.
        key: of the segment.
        text: the translation, without marks and placeholders.
        stretches: where the marked spans are in it; None where no marks came back.
        sure: whether more than word order told which stretch is whose.
        score: mean log-probability a token, where the engine gives one.
        mark_fault: why the marks were refused, if they were.
    """

    record: Record
    sent: str
    mode: Mode
    key: str
    text: str = ""
    stretches: tuple[tuple[int, int], ...] | None = None
    sure: bool = True
    score: float | None = None
    mark_fault: str = ""


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

    def first(self, records: Sequence[Record]) -> list[Candidate]:
        """Send texts marked where they have spans, and plain where the marks came back spoilt.

        Spans whose marks look alike are told apart by their values translated alone, if the engine takes rewrites.
        """
        found = self._translated([self._marked(record) for record in records])
        spoilt = [i for i, one in enumerate(found) if one.mark_fault]
        plain = self._translated([self._sent(found[i].record, found[i].record.text, "plain") for i in spoilt])
        for i, one in zip(spoilt, plain, strict=True):
            found[i] = replace(one, mark_fault=found[i].mark_fault)
        if not self.info.rewrites:
            return found
        alone = self.values_alone(one.record for one in found if not one.sure)
        return [one if one.sure else self._told_apart(one, alone) for one in found]

    def rewritten(self, rewrite: SourceRewrite, flagged: Sequence[FlaggedRecord]) -> list[Candidate | None]:
        """Send rewritten texts; None for a record that the rewrite cannot help, or whose answer is spoilt."""
        sources = [rewrite.apply(one) for one in flagged]
        known = self.hypotheses((rewrite.sent_as, source.text) for source in sources if source)
        return [
            self._restored(rewrite, one.record, source, known) if source else None
            for one, source in zip(flagged, sources, strict=True)
        ]

    def values_alone(self, records: Iterable[Record]) -> dict[str, str]:
        """Return the values of all spans, each translated without its sentence."""
        values = list(dict.fromkeys(span.of(record.text) for record in records for span in record.spans))
        found = self.hypotheses(("plain", value) for value in values)
        return {value: found[self.key("plain", value)].text.strip(" .") for value in values}

    def hypotheses(self, texts: Iterable[tuple[Mode, str]]) -> dict[str, Hypothesis]:
        """Translate texts, each given with its mode; by segment key."""
        distinct = list(dict.fromkeys(texts))
        found = translate_texts(
            self._engine,
            self._memory,
            (self._src, self._tgt),
            distinct,
            characters=self._characters,
            on_step=self._on_step,
        )
        return {self.key(*text): one for text, one in zip(distinct, found, strict=True)}

    def key(self, mode: Mode, text: str) -> str:
        """Return the segment key of a text."""
        return segment_key(self._src, self._tgt, mode, text)

    def source_spans(self, record: Record, alone: Mapping[str, str]) -> list[SourceSpan]:
        """Return the spans with their possible target forms: the inventory's, and the value translated alone."""
        found = []
        for span in record.spans:
            value = span.of(record.text)
            forms = (*self._inventory.value_forms(span.type, value), *filter(None, [alone.get(value)]))
            found.append(SourceSpan(span.start, span.end, span.type, value, forms))
        return found

    def _marked(self, record: Record) -> Candidate:
        markers = self.info.markers
        few = 0 < len(record.spans) <= MOST_MARKED
        if few and markers != "none" and readable(record.text, markers):
            return self._sent(record, mark(record.text, record.spans, markers), markers)
        return self._sent(record, record.text, "plain")

    def _sent(self, record: Record, text: str, mode: Mode) -> Candidate:
        return Candidate(record, text, mode, self.key(mode, text))

    def _translated(self, sent: Sequence[Candidate]) -> list[Candidate]:
        found = self.hypotheses((one.mode, one.sent) for one in sent)
        return [self._read(one, found[one.key]) for one in sent]

    def _read(self, sent: Candidate, hypothesis: Hypothesis) -> Candidate:
        """Return the candidate with its text and, where it was sent marked, its stretches or the fault of its marks."""
        known = replace(sent, text=hypothesis.text, score=hypothesis.score)
        if sent.mode not in ("bracket", "trained"):
            return known
        marked = read_marked(hypothesis.text, len(sent.record.spans), self.info.markers)
        return replace(known, mark_fault=marked) if isinstance(marked, str) else self._ordered(known, marked, {})

    def _restored(
        self, rewrite: SourceRewrite, record: Record, source: RewrittenText, known: Mapping[str, Hypothesis]
    ) -> Candidate | None:
        sent = self._sent(record, source.text, rewrite.sent_as)
        hypothesis = known[sent.key]
        text = source.restore(hypothesis.text)
        return replace(sent, mode=rewrite.mode, text=text, score=hypothesis.score) if text else None

    def _told_apart(self, one: Candidate, alone: Mapping[str, str]) -> Candidate:
        marked = Marked(one.text, tuple((None, start, end) for start, end in sorted(one.stretches or ())))
        return self._ordered(one, marked, alone)

    def _ordered(self, one: Candidate, marked: Marked, alone: Mapping[str, str]) -> Candidate:
        ordered = order_marked(marked, self.source_spans(one.record, alone), self._src, self._tgt)
        return replace(one, text=marked.text, stretches=ordered.stretches, sure=ordered.sure)
