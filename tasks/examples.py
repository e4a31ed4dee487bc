"""Records and examples: JSON lines in, checked examples out.

Reading streams, so a file of any size passes through. Every fault names file, line and field; a file's faults are
gathered (up to a limit) and raised once. Nothing is skipped but blank lines.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from tasks.answers import check_answer
from tasks.card import TaskCard
from tasks.errors import DataError

__all__ = ["Example", "InputRecord", "check_record", "data_sha256", "example_from", "read_examples", "read_jsonl"]

MAX_FAULTS = 20
_RESERVED = ("id", "group", "taskname", "lang")


@dataclass(frozen=True)
class InputRecord:
    """One JSON object and where it came from ("file.jsonl:12")."""

    line: int
    data: Mapping[str, Any]
    source: str


@dataclass(frozen=True, kw_only=True)
class Example:
    """One checked record of a task.

    Attributes:
        id: its own, or a hash of its content.
        group: rows of one group never straddle a split; its own, or a hash of its text fields.
        taskname: of the card.
        lang: of the card.
        fields: text fields by name.
        answer: label id, or the text of an open answer; None at inference.
        source: "file.jsonl:12".
    """

    id: str
    group: str
    taskname: str
    lang: str
    fields: Mapping[str, str]
    answer: str | None
    source: str = ""


def read_jsonl(source: Path | str | IO[bytes], *, name: str | None = None) -> Iterator[InputRecord | DataError]:
    """Read JSON lines one at a time; a line that is no usable record yields its error in its place.

    Args:
        source: a path, or a binary stream.
        name: how errors call it; the path if absent.

    Raises:
        DataError: the file cannot be opened.
    """
    if not isinstance(source, (str, Path)):
        yield from _lines(source, name or "input")
        return
    try:
        stream = Path(source).open("rb")  # noqa: SIM115 - closed below; opening alone is guarded
    except OSError as exc:
        raise DataError(f"{source} cannot be read: {exc.strerror}") from exc
    with stream:
        yield from _lines(stream, name or str(source))


def _lines(stream: Iterable[bytes], name: str) -> Iterator[InputRecord | DataError]:
    for number, raw in enumerate(stream, start=1):
        line = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
        if line.strip():
            yield _parsed(line, f"{name}:{number}", number)


def _parsed(line: bytes, source: str, number: int) -> InputRecord | DataError:
    try:
        data = json.loads(line.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
        return check_record(data, source, line=number)
    except UnicodeDecodeError as exc:
        return DataError(f"{source}: byte {exc.start + 1} is no UTF-8")
    except json.JSONDecodeError as exc:
        return DataError(f"{source}: broken JSON at column {exc.colno}: {exc.msg}")
    except RecursionError:
        return DataError(f"{source}: nested too deeply")
    except ValueError as exc:  # Python refuses whole numbers of more than 4,300 digits
        return DataError(f"{source}: a number cannot be read: {exc}")
    except DataError as exc:
        text = str(exc)
        return exc if text.startswith(source) else DataError(f"{source}: {text}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = sorted(key for key, count in counts.items() if count > 1)
        raise DataError(f"key(s) {', '.join(map(repr, twice))} stand twice; which one counts cannot be known")
    return unique


def _no_constant(constant: str) -> None:
    raise DataError(f"{constant} is no JSON value")


def check_record(data: object, source: str, *, line: int = 1) -> InputRecord:
    """Check that parsed JSON is an object whose strings are text that can be stored and encoded.

    Raises:
        DataError: it is no object, or a string holds NUL or a lone surrogate.
    """
    if not isinstance(data, dict):
        raise DataError(f"{source}: a record is a JSON object, not {type(data).__name__}")
    for key, value in data.items():
        if isinstance(value, str):
            _check_text(value, f"{source}: field {key!r}")
    return InputRecord(line, data, source)


def _check_text(text: str, where: str) -> None:
    if "\x00" in text:
        raise DataError(f"{where} holds a NUL character at {text.index(chr(0))}; remove it")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise DataError(f"{where} holds a lone surrogate at {exc.start} ({text[exc.start]!a}); it is no text") from exc


def example_from(record: InputRecord, card: TaskCard, *, need_answer: bool, strict: bool = False) -> Example:
    """Check a record against a card.

    Args:
        record: as read.
        card: the task.
        need_answer: whether the gold answer must be there; at inference it is not even looked at.
        strict: refuse keys that the card does not use.

    Raises:
        DataError: every fault of the record at once.
    """
    data, faults = record.data, []
    for key, wanted in (("taskname", card.taskname), ("lang", card.lang)):
        if data.get(key) not in (None, wanted):  # JSON's null counts as absent
            faults.append(f"{key} is {data[key]!r}, but the card is {card.taskname}:{card.lang}")
    fields = {name: _text(data, name, faults) for name in card.fields}
    answer = _answer(data, card, faults) if need_answer else None
    content = json.dumps([card.taskname, card.lang, fields, answer], ensure_ascii=False)
    own = {
        "id": _text(data, "id", faults) if "id" in data else _hash(content),
        "group": _text(data, "group", faults) if "group" in data else _group(fields),
    }
    if strict:
        extra = sorted(set(data) - {*card.fields, card.answer_field, *_RESERVED})
        faults += [f"field {name!r} is not used by the card (strict)" for name in extra]
    if faults:
        raise DataError(f"{record.source}: {'; '.join(faults)}")
    return Example(
        **own,
        taskname=card.taskname,
        lang=card.lang,
        fields=fields,
        answer=answer,
        source=record.source,
    )


def _text(data: Mapping[str, Any], name: str, faults: list[str]) -> str:
    """A field's text; a whole number counts as its digits."""
    value = data.get(name)
    if name not in data:
        near = ", ".join(map(repr, data)) or "none"
        faults.append(f"field {name!r} is missing; the record has {near}")
    elif isinstance(value, str):
        return value
    elif isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    else:
        faults.append(f"field {name!r} must be text, not {json.dumps(value, default=str)[:40]}")
    return ""


def _answer(data: Mapping[str, Any], card: TaskCard, faults: list[str]) -> str | None:
    if card.answer_field not in data:
        faults.append(f"the answer field {card.answer_field!r} is missing")
        return None
    before = len(faults)
    text = _text(data, card.answer_field, faults)
    if len(faults) > before:
        return text
    try:
        if not card.is_open:
            return card.label_id(text)
        check_answer(card, text)
    except DataError as exc:
        faults.append(str(exc))
    return text


def _group(fields: Mapping[str, str]) -> str:
    return _hash(json.dumps(list(fields.values()), ensure_ascii=False))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_examples(
    paths: Sequence[Path | str], card: TaskCard, *, need_answer: bool = True, strict: bool = False
) -> list[Example]:
    """Read files of records of one task; see `gather_examples`."""
    return gather_examples([(str(p), read_jsonl(p)) for p in paths], card, need_answer=need_answer, strict=strict)


def gather_examples(
    sources: Iterable[tuple[str, Iterable[InputRecord | DataError]]],
    card: TaskCard,
    *,
    need_answer: bool = True,
    strict: bool = False,
) -> list[Example]:
    """Check the records of all sources against a card.

    Rows without an id are told apart by their content; the second of two equal ones gets ``-2`` after its id.

    Args:
        sources: name, and records or what is wrong with them.
        card: the task.
        need_answer: whether gold answers must be there.
        strict: refuse keys that the card does not use.

    Raises:
        DataError: all faults of all sources at once (the first `MAX_FAULTS`), one without records, or one id twice.
    """
    examples: list[Example] = []
    faults: list[str] = []
    copies: Counter[str] = Counter()
    for name, records in sources:
        before = len(examples) + len(faults)
        try:
            for record in records:
                _gather(record, card, examples, faults, copies, need_answer=need_answer, strict=strict)
        except DataError as exc:  # the source cannot be opened
            faults.append(str(exc))
        if len(examples) + len(faults) == before:
            faults.append(f"{name} holds no records")
    faults += _twice(examples)
    raise_faults(faults)
    return examples


def _gather(
    record: InputRecord | DataError,
    card: TaskCard,
    examples: list[Example],
    faults: list[str],
    copies: Counter[str],
    *,
    need_answer: bool,
    strict: bool,
) -> None:
    if isinstance(record, DataError):
        faults.append(str(record))
        return
    try:
        example = example_from(record, card, need_answer=need_answer, strict=strict)
    except DataError as exc:
        faults.append(str(exc))
        return
    if "id" not in record.data:
        copies[example.id] += 1
        if copies[example.id] > 1:
            example = replace(example, id=f"{example.id}-{copies[example.id]}")
    examples.append(example)


def _twice(examples: Sequence[Example]) -> Iterator[str]:
    first: dict[str, str] = {}
    for example in examples:
        if example.id in first:
            yield f"{example.source}: id {example.id!r} stands at {first[example.id]} already"
        first.setdefault(example.id, example.source)


def raise_faults(faults: Sequence[str], kind: type[Exception] = DataError) -> None:
    """Raise one error of a kind for all faults, if there are any."""
    if faults:
        more = f"; and {len(faults) - MAX_FAULTS} more" if len(faults) > MAX_FAULTS else ""
        raise kind("; ".join(faults[:MAX_FAULTS]) + more)


def data_sha256(examples: Iterable[Example]) -> str:
    """Hash a set's content in order: id, group, task, language, fields and answer of every example."""
    digest = hashlib.sha256()
    for e in examples:
        digest.update(json.dumps([e.id, e.group, e.taskname, e.lang, dict(e.fields), e.answer]).encode() + b"\n")
    return digest.hexdigest()
