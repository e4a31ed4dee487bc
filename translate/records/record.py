"""Records: labelled texts as neutral data, before and after translation.

Only ``text`` is ever shown to an engine; label ids, types and keys are not. ``promptbank`` makes these records from a
task's examples and examples from them again; nothing here knows a task's format.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from translate.errors import RecordError
from translate.records.layout import has_layout, tidy_spaces

__all__ = [
    "ClassLabel",
    "Frame",
    "IntentLabel",
    "Label",
    "Record",
    "SlotLabel",
    "Span",
    "placeholders",
    "slots_from_spans",
    "source_hash",
    "tidy",
    "tidy_text",
]

BROKEN_SPAN = "a line break or tab inside a span became a space"
_PIECE = re.compile(r"(?P<brace>\{\{|\}\})|\{(?P<name>[^{}]+)\}")
"""A doubled brace, which stands for one, or a placeholder."""


@dataclass(frozen=True, order=True)
class Span:
    """A typed stretch of a text, by character offsets, the end exclusive."""

    start: int
    end: int
    type: str

    def of(self, text: str) -> str:
        """Return the stretch itself."""
        return text[self.start : self.end]


@dataclass(frozen=True)
class ClassLabel:
    """A label of a closed set: its language-independent id."""

    id: str


@dataclass(frozen=True)
class SlotLabel:
    """One slot of an intent label; ``span`` is an index into the record's spans, None when the text lacks it."""

    type: str
    value: str
    span: int | None


@dataclass(frozen=True)
class IntentLabel:
    """An intent with its slots, in order."""

    intent: str
    slots: tuple[SlotLabel, ...] = ()


Label = ClassLabel | IntentLabel | None


@dataclass(frozen=True)
class Frame:
    """A card's phrase around the text, which is translated by the inventory and never by an engine.

    Attributes:
        template: such as "{sentence} Sentiment for {target}".
        field: the placeholder where the record's text stands, such as "sentence".
        values: the other placeholders with their values, such as (("target", "Acme"),); they are kept as they are.
    """

    template: str
    field: str
    values: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        found = placeholders(self.template)
        wanted = sorted([self.field, *(name for name, _ in self.values)])
        if found != wanted:
            raise RecordError(f"the frame {self.template!r} has the placeholders {found}, its values are for {wanted}")

    def render(self, text: str) -> str:
        """Return the text in its frame; placeholders inside the text or values are left as they are.

        >>> Frame("{sentence} Sentiment for {target}", "sentence", (("target", "Acme"),)).render("Up {target}.")
        'Up {target}. Sentiment for Acme'
        """
        values = {**dict(self.values), self.field: text}
        return _PIECE.sub(lambda found: found["brace"][0] if found["brace"] else values[found["name"]], self.template)


def placeholders(template: str) -> list[str]:
    """Return the names of a phrase's placeholders, sorted; doubled braces are literal.

    >>> placeholders("{text} {{for}} {who}")
    ['text', 'who']
    """
    return sorted(found["name"] for found in _PIECE.finditer(template) if found["name"])


@dataclass(frozen=True)
class Record:
    """One labelled text in one language.

    Attributes:
        id: of the example, kept by the translation.
        group: examples of one group are in one split; kept.
        taskname: names the inventory section of the label.
        text: natural language.
        spans: typed stretches of the text, in order; none is empty, none overlaps another.
        label: None for a text without one. A slot with a span has exactly that stretch as its value.
        frame: the card's phrase around the text, if any.
        protected: strings that must stay as they are, such as the target.
        notes: what the reader found wrong with the source, such as "src_slot_not_in_text".

    Raises:
        RecordError: spans or slots contradict the text.
    """

    id: str
    group: str
    taskname: str
    text: str
    spans: tuple[Span, ...] = ()
    label: Label = None
    frame: Frame | None = None
    protected: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        fault = _span_fault(self.text, self.spans) or _slot_fault(self)
        if fault:
            raise RecordError(f"record {self.id!r}: {fault}")

    @property
    def framed(self) -> str:
        """The text within its frame."""
        return self.frame.render(self.text) if self.frame else self.text


def slots_from_spans(text: str, spans: Sequence[Span]) -> tuple[SlotLabel, ...]:
    """Return one slot for each span."""
    return tuple(SlotLabel(span.type, span.of(text), index) for index, span in enumerate(spans))


def source_hash(record: Record) -> str:
    """Return the sha256 of a record's task, text, spans, label and frame, without its id and group."""
    said = [record.taskname, record.text, [[s.start, s.end, s.type] for s in record.spans], _plain(record.label)]
    frame = [record.frame.template, record.frame.field, record.frame.values] if record.frame else None
    return hashlib.sha256(json.dumps([said, frame], ensure_ascii=False).encode()).hexdigest()


def tidy(record: Record) -> Record:
    """Return the record in NFC, with single spaces and its layout; spans and slot values move along.

    A line break or tab inside a span becomes a space, of which a note tells.
    """
    raw = [_trimmed(record.text, span) for span in record.spans]
    text, moved = _tidied(record.text, raw)
    spans = tuple(Span(moved[s.start], moved[s.end], s.type) for s in raw)
    label = record.label
    if isinstance(label, IntentLabel):
        new = (s if s.span is None else replace(s, value=spans[s.span].of(text)) for s in label.slots)
        label = replace(label, slots=tuple(new))
    broken = any(has_layout(span.of(record.text)) for span in raw)
    notes = (*record.notes, BROKEN_SPAN) if broken and BROKEN_SPAN not in record.notes else record.notes
    return replace(record, text=text, spans=spans, label=label, notes=notes)


def tidy_text(text: str) -> str:
    """Return a text in NFC, with single spaces and none at its ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _tidied(text: str, spans: Sequence[Span]) -> tuple[str, dict[int, int]]:
    """Return the tidy text, and where the ends of the spans went, which have no white space at their ends."""
    out, moved = "", {0: 0}
    cuts = sorted({0, len(text), *(at for span in spans for at in (span.start, span.end))})
    begins = {span.start for span in spans if span.start < span.end}
    for start, end in pairwise(cuts):
        piece = unicodedata.normalize("NFC", text[start:end])
        kept = re.sub(r"\s+", " " if start in begins else lambda run: tidy_spaces(run[0]), piece)
        out += kept if out else kept.lstrip()
        moved[end] = len(out)
    out = out.rstrip()
    return out, {old: min(new, len(out)) for old, new in moved.items()}


def _trimmed(text: str, span: Span) -> Span:
    """Return the span without white space at its ends."""
    value = span.of(text)
    start = span.start + len(value) - len(value.lstrip())
    return replace(span, start=start, end=start + len(value.strip()))


def _span_fault(text: str, spans: Sequence[Span]) -> str | None:
    for span in spans:
        if not 0 <= span.start < span.end <= len(text):
            return f"the span {span.type} {span.start}:{span.end} is empty or outside a text of {len(text)} characters"
    for before, after in pairwise(spans):
        if after.start < before.end:
            return f"the spans {before.type} and {after.type} overlap or are out of order at character {after.start}"
    return None


def _slot_fault(record: Record) -> str | None:
    for slot in record.label.slots if isinstance(record.label, IntentLabel) else ():
        if slot.span is None:
            continue
        if not 0 <= slot.span < len(record.spans):
            return f"the slot {slot.type} names span {slot.span}; there are {len(record.spans)}"
        span = record.spans[slot.span]
        if (slot.type, slot.value) != (span.type, span.of(record.text)):
            return f"the slot {slot.type}({slot.value}) is not its span {span.type}({span.of(record.text)})"
    return None


def _plain(label: Label) -> object:
    if isinstance(label, IntentLabel):
        return [label.intent, [[s.type, s.value, s.span] for s in label.slots]]
    return label.id if label else None
