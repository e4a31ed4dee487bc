"""Examples: records checked against a card. All faults of a set are gathered (up to a limit) and raised once."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.answers import check_answer
from tasks.card import TaskCard
from tasks.equivalence import canonical
from tasks.errors import DataError
from tasks.reading import read_records
from tasks.records import InputRecord, json_text, raise_faults, value_of
from tasks.wording import did_you_mean

__all__ = ["Example", "data_sha256", "example_from", "gather_examples", "read_examples"]


@dataclass(frozen=True, kw_only=True)
class Example:
    """One checked record of a task.

    Attributes:
        id: its own, or a hash of its content.
        group: examples of one group are always in the same part of a split; its own (in NFC), or a hash of its fields.
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


def read_examples(paths: Sequence[Path | str], card: TaskCard, *, need_answer: bool = True) -> list[Example]:
    """Read files of records of one task; see `gather_examples`."""
    return gather_examples([(str(path), read_records(path)) for path in paths], card, need_answer=need_answer)


def gather_examples(
    sources: Iterable[tuple[str, Iterable[InputRecord | DataError]]], card: TaskCard, *, need_answer: bool = True
) -> list[Example]:
    """Check the records of all sources against a card.

    Records without an id are told apart by their content; the second of two equal ones gets ``-2`` after its id.

    Args:
        sources: name, and records or what is wrong with them.
        card: the task.
        need_answer: whether gold answers must be there.

    Raises:
        DataError: all faults of all sources at once (the first `tasks.records.MAX_FAULTS`): of single records, a
            source without records, an id that occurs twice.
    """
    examples: list[Example] = []
    faults: list[str] = []
    gathering = _Gathering(card, need_answer=need_answer)
    for name, records in sources:
        outcomes = list(gathering.outcomes(records)) or [DataError(f"{name} holds no records")]
        examples += [outcome for outcome in outcomes if isinstance(outcome, Example)]
        faults += [str(outcome) for outcome in outcomes if isinstance(outcome, DataError)]
    raise_faults([*faults, *gathering.absent_columns(), *_twice(examples)])
    return examples


class _Gathering:
    """Checks records one after the other; see `gather_examples` for the arguments."""

    def __init__(self, card: TaskCard, *, need_answer: bool) -> None:
        self._card, self._need_answer = card, need_answer
        self._copies: Counter[str] = Counter()
        self._names: set[str] = set()

    def outcomes(self, records: Iterable[InputRecord | DataError]) -> Iterator[Example | DataError]:
        try:
            for record in records:
                yield self._outcome(record)
        except DataError as exc:  # the source cannot be opened
            yield exc

    def _outcome(self, record: InputRecord | DataError) -> Example | DataError:
        if isinstance(record, DataError):
            return record
        self._names.update(map(canonical, record.data))
        try:
            example = example_from(record, self._card, need_answer=self._need_answer)
        except DataError as exc:
            return exc
        if record.data.get("id") is not None:
            return example
        self._copies[example.id] += 1
        count = self._copies[example.id]
        return replace(example, id=f"{example.id}-{count}") if count > 1 else example

    def absent_columns(self) -> Iterator[str]:
        """Say how to name the column of a field that no record has."""
        wanted = [*self._card.fields, *([self._card.answer_field] if self._need_answer else [])]
        absent = [name for name in wanted if canonical(name) not in self._names]
        if absent and self._names:
            yield f"no record has {', '.join(map(repr, absent))}: name its column with --columns {absent[0]}=COLUMN"


def _twice(examples: Sequence[Example]) -> Iterator[str]:
    first: dict[str, str] = {}
    for example in examples:
        own = canonical(example.id)
        if own in first:
            yield f"{example.source}: id {example.id!r} stands at {first[own]} already"
        first.setdefault(own, example.source)


def example_from(record: InputRecord, card: TaskCard, *, need_answer: bool) -> Example:
    """Check a record against a card.

    Args:
        record: as read; null counts as absent, and keys that the card does not use are left alone.
        card: the task.
        need_answer: whether the gold answer must be there; at inference it is not even looked at.

    Raises:
        DataError: every fault of the record at once.
    """
    data, faults = record.data, []
    for key, wanted in (("taskname", card.taskname), ("lang", card.lang)):
        given = data.get(key)
        if given is not None and (not isinstance(given, str) or canonical(given) != canonical(wanted)):
            faults.append(f"{key} is {json_text(given)}, but the card is {card.taskname}:{card.lang}")
    fields = {name: _text(data, name, faults) for name in card.fields}
    answer = _answer(data, card, faults) if need_answer else None
    own = {key: _text(data, key, faults) for key in ("id", "group") if data.get(key) is not None}
    if faults:
        raise DataError(f"{record.source}: {'; '.join(faults)}")
    return Example(
        id=own.get("id", _hash([card.taskname, card.lang, fields, answer])),
        group=canonical(own.get("group", _hash([canonical(text) for text in fields.values()]))),
        taskname=card.taskname,
        lang=card.lang,
        fields=fields,
        answer=answer,
        source=record.source,
    )


def _text(data: Mapping[str, object], name: str, faults: list[str]) -> str:
    """Return the text of a field; a number or boolean counts as its JSON text."""
    value = value_of(data, name)
    if value is None:
        known = ", ".join(map(repr, data)) or "none"
        meant = "" if name in data else did_you_mean(name, data)
        faults.append(f"field {name!r} is {'null' if name in data else 'missing'}; the record has {known}{meant}")
    elif isinstance(value, str):
        return value
    elif isinstance(value, (bool, int, float)):
        return json_text(value)
    else:
        faults.append(f"field {name!r} must be text, not {json_text(value)[:40]}")
    return ""


def _answer(data: Mapping[str, object], card: TaskCard, faults: list[str]) -> str | None:
    if value_of(data, card.answer_field) is None:
        meant = "" if card.answer_field in data else did_you_mean(card.answer_field, data)
        faults.append(f"the answer field {card.answer_field!r} is missing{meant}")
        return None
    before = len(faults)
    text = _text(data, card.answer_field, faults)
    if not text.strip() and len(faults) == before and card.answer_format is None:  # a format has words of its own
        faults.append(f"the answer field {card.answer_field!r} is blank")
    if len(faults) > before:
        return text
    try:
        if not card.is_open:
            return card.label_id(text)
        check_answer(card, text)
    except DataError as exc:
        faults.append(str(exc))
    return text


def _hash(content: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]


def data_sha256(examples: Iterable[Example]) -> str:
    """Hash a set's content in order: id, group, task, language, fields and answer of every example."""
    digest = hashlib.sha256()
    for e in examples:
        digest.update(json.dumps([e.id, e.group, e.taskname, e.lang, dict(e.fields), e.answer]).encode() + b"\n")
    return digest.hexdigest()
