"""Records of a file, a folder or a hub id, its columns renamed to the fields of a card: what every command reads."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from tasks.errors import DataError
from tasks.hub import dataset_records
from tasks.reading import read_records
from tasks.records import InputRecord

__all__ = ["parse_columns", "read_data", "rename_columns"]


def read_data(
    spec: str, *, part: str = "train", columns: Mapping[str, str] | None = None
) -> Iterator[InputRecord | DataError]:
    """Read a file of any kind that `tasks.reading` knows, a ``datasets`` folder, or a hub id.

    Args:
        spec: path or hub id.
        part: which split of a folder or hub id.
        columns: the column that each named field is taken from; see `parse_columns`.

    Raises:
        DataError: it cannot be opened or loaded.
    """
    is_file = Path(spec).is_file() or (Path(spec).suffix and not Path(spec).is_dir())
    records = read_records(spec) if is_file else dataset_records(spec, part=part)
    return rename_columns(records, columns) if columns else records


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
        known = ", ".join(map(repr, record.data)) or "none"
        return DataError(f"{record.source}: column(s) {', '.join(map(repr, absent))} are missing; it has {known}")
    taken = {*columns, *columns.values()}
    kept = {name: value for name, value in record.data.items() if name not in taken}
    return replace(record, data=kept | {field: record.data[column] for field, column in columns.items()})
