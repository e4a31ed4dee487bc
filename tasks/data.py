"""Records of a file, a folder or a hub id, its columns renamed to fields, its records by task: what commands read."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from tasks.card import TaskCard
from tasks.equivalence import canonical
from tasks.errors import DataError
from tasks.hub import dataset_parts, dataset_records
from tasks.reading import read_records
from tasks.records import InputRecord, raise_faults
from tasks.wording import missing_columns

__all__ = [
    "FILE_ENDINGS",
    "TaskRecords",
    "parse_columns",
    "read_data",
    "read_file",
    "read_parts",
    "records_by_task",
    "rename_columns",
    "tasks_named",
    "without_records",
]

FILE_ENDINGS = re.compile(r"(\.(jsonl?|ndjson|csv|tsv|txt|parquet|arrow|xlsx|ya?ml|gz|bz2|xz))+\Z", flags=re.IGNORECASE)
"""Ends of names that are files' and no hub ids'."""


def read_data(
    spec: str, *, part: str = "train", columns: Mapping[str, str] | None = None, fields: Sequence[str] = ()
) -> Iterator[InputRecord | DataError]:
    """Read a file of any kind that `tasks.reading` knows, a ``datasets`` folder, or a hub id.

    Args:
        spec: path or hub id.
        part: which split of a folder or hub id.
        columns: the column that each named field is taken from; see `parse_columns`.
        fields: those that are needed, the text first; a file that begins with such a line is a table of one column.

    Raises:
        DataError: it cannot be opened or loaded.
    """
    if _is_file(spec):
        return read_file(spec, columns=columns, fields=fields)
    records = dataset_records(spec, part=part)
    return rename_columns(records, columns) if columns else records


def read_file(
    source: str | BinaryIO,
    *,
    name: str | None = None,
    columns: Mapping[str, str] | None = None,
    fields: Sequence[str] = (),
) -> Iterator[InputRecord | DataError]:
    """Read a file of any kind, or a binary stream that errors call by a name; see `read_data`."""
    taken = columns or {}
    wanted = [*(taken.get(field, field) for field in fields), *taken.values()]
    records = read_records(source, name=name, columns=wanted)
    return rename_columns(records, taken) if taken else records


def read_parts(
    spec: str, *, columns: Mapping[str, str] | None = None, fields: Sequence[str] = ()
) -> dict[str, Iterator[InputRecord | DataError]]:
    """Read every part of a ``datasets`` folder or hub id by its name, or a file as one part named ""; see `read_data`.

    Raises:
        DataError: it cannot be loaded; a file that cannot be opened raises when its records are read.
    """
    if _is_file(spec):
        return {"": read_file(spec, columns=columns, fields=fields)}
    parts = dataset_parts(spec)
    return {name: rename_columns(records, columns) if columns else records for name, records in parts.items()}


def _is_file(spec: str) -> bool:
    path = Path(spec)
    return not path.is_dir() and (path.exists() or FILE_ENDINGS.search(spec) is not None or _is_missing(path))


def _is_missing(path: Path) -> bool:
    """Whether a path that is not there looks like a file of a folder here, not like a hub id such as owner/set.v2."""
    return re.fullmatch(r"\.[A-Za-z]{1,5}", path.suffix) is not None and path.parent.is_dir()


def without_records(spec: str) -> str:
    """Say that a file, folder or hub id holds no records, and whether the file is empty."""
    path = Path(spec)
    empty = path.is_file() and path.stat().st_size == 0
    return f"{spec} {'is empty: it ' if empty else ''}holds no records; give at least one"


def parse_columns(text: str) -> dict[str, str]:
    """Parse which column each field is taken from; names that hold a comma stand in quotation marks.

    Raises:
        DataError: a part is no ``field=column``, or a field stands twice.

    >>> parse_columns('text=utterance,"label=intent, first"')
    {'text': 'utterance', 'label': 'intent, first'}
    """
    columns: dict[str, str] = {}
    for part in next(csv.reader([text], skipinitialspace=True)) or [""]:
        field, equals, column = (piece.strip() for piece in part.partition("="))
        if not (field and equals and column):
            raise DataError(f"{part!r} is no field=column; write it like text=utterance,label=intent")
        if field in columns:
            raise DataError(f"field {field!r} stands twice in {text!r}; give one column for each field")
        columns[field] = column
    return columns


def rename_columns(
    records: Iterator[InputRecord | DataError], columns: Mapping[str, str]
) -> Iterator[InputRecord | DataError]:
    """Rename the columns of records to fields; other columns keep their names, unless a field takes the name.

    Args:
        records: as read.
        columns: column by field.
    """
    for record in records:
        yield record if isinstance(record, DataError) else _renamed(record, columns)


def _renamed(record: InputRecord, columns: Mapping[str, str]) -> InputRecord | DataError:
    absent = [column for column in columns.values() if column not in record.data]
    if absent:
        return DataError(f"{record.source}: {missing_columns(absent, record.data)}")
    taken = {*columns, *columns.values()}
    kept = {name: value for name, value in record.data.items() if name not in taken}
    return replace(record, data=kept | {field: record.data[column] for field, column in columns.items()})


@dataclass(frozen=True)
class TaskRecords:
    """The records of a mixed file, by task.

    Attributes:
        records: of each task that is asked for, in their order; faults of the file are among those of the first.
        left: how many records of other tasks there were, by their name.
    """

    records: list[list[InputRecord | DataError]]
    left: dict[str, int]


def records_by_task(records: Iterable[InputRecord | DataError], cards: Sequence[TaskCard]) -> TaskRecords:
    """Give each task the records that name it; those that name no task are of the only one that is asked for.

    Args:
        records: of one or several tasks.
        cards: the tasks that are asked for.

    Raises:
        DataError: a record names no task where several are asked for, or fits several of them; all faults at once.
    """
    found: list[list[InputRecord | DataError]] = [[] for _ in cards]
    left: Counter[str] = Counter()
    faults: list[str] = []
    for record in records:
        if isinstance(record, DataError):
            found[0].append(record)
            continue
        fitting = [number for number, card in enumerate(cards) if _is_of(record, card)]
        if len(fitting) == 1:
            found[fitting[0]].append(record)
        elif fitting:
            names = ", ".join(f"{card.taskname}:{card.lang}" for card in cards)
            faults.append(f"{record.source}: the record must name one of {names} by taskname and lang")
        else:
            name, lang = record.data.get("taskname"), record.data.get("lang")
            left[f"{name or cards[0].taskname}" + (f":{lang}" if lang else "")] += 1
    if faults:
        raise_faults([*faults, *(str(record) for record in found[0] if isinstance(record, DataError))])
    return TaskRecords(found, dict(left))


def tasks_named(records: Iterable[InputRecord | DataError]) -> list[str]:
    """Return the tasks that records name, as ``taskname`` or ``taskname:lang``, in the order of their first record.

    Raises:
        DataError: records cannot be read, or name no task; all faults at once.
    """
    names: dict[str, None] = {}
    faults: list[str] = []
    for record in records:
        if isinstance(record, DataError):
            faults.append(str(record))
        elif (name := record.data.get("taskname")) is None:
            faults.append(f'{record.source}: the record names no task; give it a "taskname"')
        else:
            lang = record.data.get("lang")
            names[f"{name}:{lang}" if lang else str(name)] = None
    raise_faults(faults)
    return list(names)


def _is_of(record: InputRecord, card: TaskCard) -> bool:
    name, lang = record.data.get("taskname"), record.data.get("lang")
    return (name is None or canonical(str(name)) == canonical(card.taskname)) and lang in (None, card.lang)
