"""Converters of slot-annotated sets: the assistant set (NLU-Evaluation-Data) and MASSIVE.

Both write slots as ``wake me at [time : nine am]``. Values may hold anything but unbalanced brackets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tasks.convert import Conversion
from tasks.errors import DataError
from tasks.examples import InputRecord, raise_faults, read_jsonl
from tasks.slots import IntentSlots, Slot, render_intent_slots

__all__ = ["convert_assistant", "convert_massive_en", "convert_massive_sv", "parse_annotation"]


def parse_annotation(annotation: str) -> tuple[str, tuple[Slot, ...]]:
    """Return the text without its brackets, and the slots with their offsets in that text.

    Raises:
        DataError: brackets are not balanced, or one holds no ``type : value``; the message names the character.

    >>> parse_annotation("wake me at [time : nine am]")
    ('wake me at nine am', (Slot(type='time', value='nine am', start=11, end=18),))
    """
    text, slots, at = "", [], 0
    while at < len(annotation):
        if annotation[at] == "]":
            raise DataError(f"character {at}: ']' without '['")
        if annotation[at] != "[":
            text, at = text + annotation[at], at + 1
            continue
        end = _closing(annotation, at)
        name, colon, value = annotation[at + 1 : end].partition(":")
        name, value = name.strip(), value.strip()
        if not (colon and name and value):
            raise DataError(f"character {at}: {annotation[at : end + 1]!r} is no slot; it is written [type : value]")
        slots.append(Slot(name, value, len(text), len(text) + len(value)))
        text, at = text + value, end + 1
    return text, tuple(slots)


def _closing(text: str, at: int) -> int:
    """Return where the bracket that opens at ``at`` is closed."""
    depth = 0
    for index in range(at, len(text)):
        depth += (text[index] == "[") - (text[index] == "]")
        if depth == 0:
            return index
    raise DataError(f"character {at}: '[' is never closed")


def convert_assistant(paths: Sequence[Path]) -> Conversion:
    """Convert the assistant set, files such as ``kfold1_train.jsonl`` of NLU-Evaluation-Data.

    One answer id stands at up to 40 rows, so an id is answer id and hash of the text. The group is the hash
    of the text but for case and white space.

    Raises:
        DataError: rows are not in this format; all of them at once.
    """

    def identity(row: Mapping[str, str], utterance: str) -> tuple[str, str]:
        return f"assistant-{row['answerid']}-{_hash(utterance)[:8]}", _group(utterance)

    return _converted(paths, ("answerid", "intent", "text", "annotation"), identity)


def convert_massive_en(paths: Sequence[Path]) -> Conversion:
    """Convert the English side of MASSIVE, JSON lines with ``id, intent, en, en_annot``; see `convert_massive_sv`."""
    return _massive(paths, "en")


def convert_massive_sv(paths: Sequence[Path]) -> Conversion:
    """Convert the Swedish side of MASSIVE, as JSON lines with ``id, intent, en, sv, sv_annot``.

    A row has the same id and the same group, the hash of the English utterance, in both languages.

    Raises:
        DataError: rows are not in this format; all of them at once.
    """
    return _massive(paths, "sv")


def _massive(paths: Sequence[Path], lang: str) -> Conversion:
    def identity(row: Mapping[str, str], utterance: str) -> tuple[str, str]:  # noqa: ARG001 - English decides
        return f"massive-{row['id']}", _group(row["en"])

    return _converted(paths, ("id", "intent", lang, f"{lang}_annot", "en"), identity)


Identity = Callable[[Mapping[str, str], str], tuple[str, str]]


def _converted(paths: Sequence[Path], keys: Sequence[str], identity: Identity) -> Conversion:
    """Convert all rows; ``keys`` names the fields of id, intent, text and annotation, and others that are needed."""
    records, faults, differing = [], [], []
    for path in paths:
        for record in read_jsonl(path):
            try:
                row = _row(record, keys)
                converted = _record(row, keys, identity)
            except DataError as exc:
                faults.append(str(exc) if isinstance(record, DataError) else f"{record.source}: {exc}")
                continue
            records.append(converted)
            differing += [converted["id"]] * (converted["utterance"] != row[keys[2]])
    raise_faults(faults)
    groups = len({record["group"] for record in records})
    notes = [f"{len(records)} rows in {groups} groups"]
    if differing:
        notes.append(f"{len(differing)} annotations differ from their text and were used instead: {differing[0]}, ...")
    return Conversion(tuple(records), tuple(notes))


def _row(record: InputRecord | DataError, keys: Sequence[str]) -> dict[str, str]:
    if isinstance(record, DataError):
        raise record
    faulty = [key for key in keys if not isinstance(record.data.get(key), str)]
    if faulty:
        raise DataError(f"field(s) {', '.join(faulty)} must be text; this format has {', '.join(keys)}")
    return {key: record.data[key] for key in keys}


def _record(row: Mapping[str, str], keys: Sequence[str], identity: Identity) -> dict[str, str]:
    _, intent, _, annotation = keys[:4]
    utterance, slots = parse_annotation(row[annotation])
    own, group = identity(row, utterance)
    label = render_intent_slots(IntentSlots(row[intent], slots))
    return {"taskname": "intent_and_slot", "utterance": utterance, "label": label, "id": own, "group": group}


def _group(text: str) -> str:
    return _hash(" ".join(text.casefold().split()))[:16]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
