"""Examples of a task as records of `translate`, and translated records as examples in another language."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from promptbank.errors import InputError
from tasks import (
    ANSWER_FORMATS,
    DataError,
    Example,
    Field,
    InputRecord,
    IntentSlots,
    Slot,
    TaskCard,
    Text,
    example_from,
    gather_examples,
    locate,
    raise_faults,
    scan_template,
)
from translate import ClassLabel, Frame, IntentLabel, Label, Record, SlotLabel, Span

__all__ = ["SourceExample", "source_examples", "translated_example"]


@dataclass(frozen=True)
class SourceExample:
    """One example of a set, with what of it is translated.

    Attributes:
        data: its keys as they were read.
        example: checked.
        records: one for each text field, in the card's order; that of the card's ``text_field`` has the label. And one
            for a free answer.
    """

    data: Mapping[str, object]
    example: Example
    records: tuple[Record, ...]


def source_examples(lines: Sequence[InputRecord | DataError], card: TaskCard, *, name: str) -> list[SourceExample]:
    """Check the lines of a file and take out what is translated.

    Lines without any answer are taken too, if none of the file has one.

    Raises:
        DataError: all faults at once.
    """
    labelled = any(isinstance(line, InputRecord) and card.answer_field in line.data for line in lines)
    examples = gather_examples([(name, map(_writable, lines))], card, need_answer=labelled)
    kept = [line for line in lines if isinstance(line, InputRecord)]
    found, faults = [], []
    for line, example in zip(kept, examples, strict=True):
        try:
            found.append(SourceExample(line.data, example, tuple(_records(line.data, example, card))))
        except DataError as exc:
            faults.append(f"{example.source}: {exc}")
    raise_faults(faults)
    return found


def translated_example(
    source: SourceExample, records: Sequence[Record], label_text: str, card: TaskCard
) -> dict[str, object]:
    """Return an example in the target language: the same keys, id, group and meaning, with its language named.

    Args:
        source: the example.
        records: its translated records, in order.
        label_text: the form of a class label; empty where there is none.
        card: the task in the target language.

    Raises:
        InputError: the card would not read the example, or would read another label.
    """
    example = source.example
    fields = dict(zip(example.fields, records, strict=False))
    data: dict[str, object] = {**source.data, **{name: record.framed for name, record in fields.items()}}
    if example.answer is not None:
        data[card.answer_field] = _answer(example, records, label_text, card)
    data |= {"id": example.id, "group": example.group, "lang": card.lang}
    _check(example, data, card)
    return data


def _writable(line: InputRecord | DataError) -> InputRecord | DataError:
    """Return a line, or a fault if it could not be written as JSON again (dates, images, NaN of a dataset)."""
    if isinstance(line, DataError):
        return line
    faults = [
        f"field {key!r} is {repr(value)[:60]}, which is no JSON value; make it text, or leave the field out"
        for key, value in line.data.items()
        if not _is_json(value)
    ]
    return DataError(f"{line.source}: {'; '.join(faults)}") if faults else line


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError):  # UnicodeEncodeError is a ValueError
        return False
    return True


def _records(data: Mapping[str, object], example: Example, card: TaskCard) -> Iterator[Record]:
    for name, text in example.fields.items():
        yield _TextField(example, card, name, text, data).record()
    if card.is_open and card.answer_format is None and example.answer is not None:
        yield Record(f"{example.id}#{card.answer_field}", example.group, card.taskname, example.answer)


@dataclass(frozen=True)
class _TextField:
    """One text field of an example."""

    example: Example
    card: TaskCard
    name: str
    text: str
    data: Mapping[str, object]

    def record(self) -> Record:
        """Return the field's record; the label goes with the card's ``text_field``."""
        e, card = self.example, self.card
        text, frame = self._unframed()
        if self.name != card.text_field:
            return Record(f"{e.id}#{self.name}", e.group, e.taskname, text, frame=frame, protected=self._names(frame))
        spans: tuple[Span, ...] = ()
        label: Label = None
        notes: tuple[str, ...] = ()
        if e.answer is not None and not card.is_open:
            label = ClassLabel(e.answer)
        elif e.answer is not None and card.answer_format is not None:
            text, frame = self.text, None
            spans, label, notes = _slots(e.answer, text, card)
        return Record(e.id, e.group, e.taskname, text, spans, label, frame, self._names(frame), notes)

    def _names(self, frame: Frame | None) -> tuple[str, ...]:
        """Return the values of the other placeholders of the card's phrases, by the frame or by the example's keys."""
        framed = [value for _, value in frame.values] if frame else []
        segments = (segment for phrase in self.card.phrases.values() for segment in scan_template(phrase)[0])
        places = {segment.name for segment in segments if isinstance(segment, Field)}
        said = [self.data.get(place) for place in sorted(places - {self.name})]
        return tuple(dict.fromkeys([*framed, *(name for name in said if isinstance(name, str) and name in self.text)]))

    def _unframed(self) -> tuple[str, Frame | None]:
        """Take the text out of the first of the card's phrases that it stands in, if any."""
        frames = (_frame(phrase, self.name, self.text, self.data) for phrase in self.card.phrases.values())
        return next(filter(None, frames), (self.text, None))


def _frame(phrase: str, name: str, text: str, data: Mapping[str, object]) -> tuple[str, Frame] | None:
    """Take a text out of a phrase, with the values of the other placeholders; None if it does not fit the phrase.

    The example's own value of a placeholder decides; without one, the phrase's last words in the text count.
    """
    segments = [segment for segment in scan_template(phrase)[0] if isinstance(segment, Text | Field)]
    names = [segment.name for segment in segments if isinstance(segment, Field)]
    if name not in names or len(names) < 2 or len(set(names)) < len(names):
        return None
    pattern = "".join(
        re.escape(segment.text) if isinstance(segment, Text) else _group(segment.name, name, data)
        for segment in segments
    )
    match = re.fullmatch(pattern, text, re.DOTALL)
    if match is None:
        return None
    found = dict(zip(names, match.groups(), strict=True))
    return found[name], Frame(phrase, name, tuple((other, found[other]) for other in names if other != name))


def _group(place: str, name: str, data: Mapping[str, object]) -> str:
    known = data.get(place)
    if place != name and isinstance(known, str) and known:
        return f"({re.escape(known)})"
    return "(.+)" if place == name else "(.+?)"


def _slots(answer: str, text: str, card: TaskCard) -> tuple[tuple[Span, ...], Label, tuple[str, ...]]:
    parsed = ANSWER_FORMATS[card.answer_format or ""].read(card, answer)
    slots = locate(parsed.slots, text)
    spans = sorted(Span(s.start, s.end, s.type) for s in slots if s.start is not None and s.end is not None)
    label = IntentLabel(parsed.intent, tuple(_slot_label(s, text, spans) for s in slots))
    missing = any(slot.start is None for slot in slots)
    return tuple(spans), label, ("src_slot_not_in_text",) if missing else ()


def _slot_label(slot: Slot, text: str, spans: Sequence[Span]) -> SlotLabel:
    """Return a slot with the value as the text writes it, if it stands there."""
    if slot.start is None or slot.end is None:
        return SlotLabel(slot.type, slot.value, None)
    span = Span(slot.start, slot.end, slot.type)
    return SlotLabel(slot.type, span.of(text), spans.index(span))


def _answer(example: Example, records: Sequence[Record], label_text: str, card: TaskCard) -> str:
    if not card.is_open:
        return label_text
    if card.answer_format is not None:
        label = next(record.label for record in records if record.id == example.id)
        if not isinstance(label, IntentLabel):
            raise InputError(f"row {example.id!r} lost its intent; this is a fault of promptbank")
        slots = tuple(Slot(slot.type, slot.value) for slot in label.slots)
        return ANSWER_FORMATS[card.answer_format].write(card, IntentSlots(label.intent, slots))
    return records[-1].text


def _check(source: Example, data: Mapping[str, object], card: TaskCard) -> None:
    """Make sure that the target card reads the translated example, with the same label."""
    try:
        example = example_from(InputRecord(0, data, source.source), card, need_answer=source.answer is not None)
    except DataError as exc:
        raise InputError(
            f"{exc}; the translated row does not fit the card {card.taskname}:{card.lang}: let its label_space hold "
            f"the forms of labels.{card.lang}.toml"
        ) from exc
    if not card.is_open and example.answer != source.answer:
        raise InputError(
            f"{source.source}: {source.answer!r} became {data[card.answer_field]!r}, which the card "
            f"{card.taskname}:{card.lang} reads as {example.answer!r}; correct labels.{card.lang}.toml"
        )
