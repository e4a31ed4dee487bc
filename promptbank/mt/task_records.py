"""Rows of a task as records of `translate`, and translated records as rows of the same task in another language."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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

__all__ = ["SourceRow", "read_rows", "translated_row"]


@dataclass(frozen=True)
class SourceRow:
    """One row of a set.

    Attributes:
        data: its keys as they were read.
        example: the checked row.
        records: what of it is translated: one record for each text field, in the card's order, the label with the one
            it is about; and one for a free answer.
    """

    data: Mapping[str, Any]
    example: Example
    records: tuple[Record, ...]


def read_rows(lines: Sequence[InputRecord | DataError], card: TaskCard, *, name: str) -> list[SourceRow]:
    """Check the rows of a file and take out what is translated.

    Args:
        lines: of the file; rows without any answer are taken too, if none of the file has one.
        card: the task, in the source language.
        name: of the file.

    Raises:
        DataError: all faults at once.
    """
    labelled = any(isinstance(line, InputRecord) and card.answer_field in line.data for line in lines)
    examples = gather_examples([(name, map(_writable, lines))], card, need_answer=labelled)
    kept = [line for line in lines if isinstance(line, InputRecord)]
    rows, faults = [], []
    for line, example in zip(kept, examples, strict=True):
        try:
            rows.append(SourceRow(line.data, example, tuple(_records(line.data, example, card))))
        except DataError as exc:
            faults.append(f"{example.source}: {exc}")
    raise_faults(faults)
    return rows


def translated_row(row: SourceRow, records: Sequence[Record], label_text: str, card: TaskCard) -> dict[str, Any]:
    """Return the row in the target language: the same keys, id, group and meaning, with its language named.

    Args:
        row: of the source.
        records: its translated records, in order.
        label_text: the form of a class label; empty where there is none.
        card: the task in the target language.

    Raises:
        InputError: the row would not be one of the card, or would mean another label.
    """
    fields = dict(zip(row.example.fields, records, strict=False))
    data: dict[str, Any] = {**row.data, **{name: record.framed for name, record in fields.items()}}
    if row.example.answer is not None:
        data[card.answer_field] = _answer(row, records, label_text, card)
    data |= {"id": row.example.id, "group": row.example.group, "lang": card.lang}
    _check(row, data, card)
    return data


def _writable(line: InputRecord | DataError) -> InputRecord | DataError:
    """Return a line, or what of it could not be written as JSON again: a dataset's dates, images, NaN."""
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


def _records(data: Mapping[str, Any], example: Example, card: TaskCard) -> Iterator[Record]:
    about = card.text_field
    for name, text in example.fields.items():
        said = _Said(example, card, name, text, data)
        yield said.labelled() if name == about else said.plain()
    if _is_free(card) and example.answer is not None:
        yield Record(f"{example.id}#{card.answer_field}", example.group, card.taskname, example.answer)


def _is_free(card: TaskCard) -> bool:
    """Return whether answers are natural language."""
    return card.is_open and card.answer_format is None


@dataclass(frozen=True)
class _Said:
    """One text field of a row."""

    example: Example
    card: TaskCard
    name: str
    text: str
    data: Mapping[str, Any]

    def plain(self) -> Record:
        """Return the record of a field that no label is about."""
        text, frame = self._unframed()
        e = self.example
        return Record(f"{e.id}#{self.name}", e.group, e.taskname, text, frame=frame, protected=self._names(frame))

    def labelled(self) -> Record:
        """Return the record of the field that the label is about."""
        e, card = self.example, self.card
        text, frame = self._unframed()
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
        """Return what the card's phrases name beside the text, as the phrase around it or the row itself says it."""
        framed = [value for _, value in frame.values] if frame else []
        places = {
            s.name for phrase in self.card.phrases.values() for s in scan_template(phrase)[0] if isinstance(s, Field)
        }
        said = [self.data.get(place) for place in sorted(places - {self.name})]
        return tuple(dict.fromkeys([*framed, *(name for name in said if isinstance(name, str) and name in self.text)]))

    def _unframed(self) -> tuple[str, Frame | None]:
        """Take the field's text out of the card's phrase around it, if it stands in one."""
        for phrase in self.card.phrases.values():
            frame = _frame(phrase, self.name, self.text, self.data)
            if frame is not None:
                return frame
        return self.text, None


def _frame(phrase: str, name: str, text: str, data: Mapping[str, Any]) -> tuple[str, Frame] | None:
    """Read a text backwards through a phrase; None where it does not stand in it.

    What the row itself says of a placeholder decides; without that, the phrase's last words in the text count.
    """
    segments = [segment for segment in scan_template(phrase)[0] if isinstance(segment, Text | Field)]
    names = [segment.name for segment in segments if isinstance(segment, Field)]
    if name not in names or len(names) < 2 or len(set(names)) < len(names):
        return None
    pattern = "".join(
        re.escape(segment.text) if isinstance(segment, Text) else _group(segment.name, name, data)
        for segment in segments
    )
    found = re.fullmatch(pattern, text, re.DOTALL)
    if found is None:
        return None
    return found[name], Frame(phrase, name, tuple((other, found[other]) for other in names if other != name))


def _group(place: str, name: str, data: Mapping[str, Any]) -> str:
    known = data.get(place)
    if place != name and isinstance(known, str) and known:
        return f"(?P<{place}>{re.escape(known)})"
    return f"(?P<{place}>.+)" if place == name else f"(?P<{place}>.+?)"


def _slots(answer: str, text: str, card: TaskCard) -> tuple[tuple[Span, ...], Label, tuple[str, ...]]:
    parsed = ANSWER_FORMATS[card.answer_format or ""].read(card, answer)
    slots = locate(parsed.slots, text)
    spans = sorted(Span(s.start, s.end, s.type) for s in slots if s.start is not None and s.end is not None)
    label = IntentLabel(parsed.intent, tuple(SlotLabel(s.type, s.value, _index(s, spans)) for s in slots))
    missing = any(slot.start is None for slot in slots)
    return tuple(spans), label, ("src_slot_not_in_text",) if missing else ()


def _index(slot: Slot, spans: Sequence[Span]) -> int | None:
    if slot.start is None or slot.end is None:
        return None
    return spans.index(Span(slot.start, slot.end, slot.type))


def _answer(row: SourceRow, records: Sequence[Record], label_text: str, card: TaskCard) -> str:
    if not card.is_open:
        return label_text
    if card.answer_format is not None:
        label = next(record.label for record in records if record.id == row.example.id)
        if not isinstance(label, IntentLabel):
            raise InputError(f"row {row.example.id!r} lost its intent; this is a fault of promptbank")
        slots = tuple(Slot(slot.type, slot.value) for slot in label.slots)
        return ANSWER_FORMATS[card.answer_format].write(card, IntentSlots(label.intent, slots))
    return records[-1].text


def _check(row: SourceRow, data: Mapping[str, Any], card: TaskCard) -> None:
    """Make sure that the row is one of the target card and means what the source means."""
    try:
        example = example_from(
            InputRecord(0, data, row.example.source), card, need_answer=row.example.answer is not None
        )
    except DataError as exc:
        raise InputError(
            f"{exc}; the translated row does not fit the card {card.taskname}:{card.lang}: let its label_space hold "
            f"the forms of labels.{card.lang}.toml"
        ) from exc
    if not card.is_open and example.answer != row.example.answer:
        raise InputError(
            f"{row.example.source}: {row.example.answer!r} became {data[card.answer_field]!r}, which the card "
            f"{card.taskname}:{card.lang} reads as {example.answer!r}; correct labels.{card.lang}.toml"
        )
