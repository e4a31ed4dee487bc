"""JSON as records: a line each, an array, or objects one after another."""

import re
from collections.abc import Iterator

from tasks.errors import DataError
from tasks.reading.source import InputFile
from tasks.records import InputRecord, check_record, json_type, parse_json, read_jsonl, strict_json

__all__ = ["read_array", "read_lines", "read_objects"]

SPACE = re.compile(r"\s*")


def read_lines(source: InputFile) -> Iterator[InputRecord | DataError]:
    """Read one record a line; a line is read when it is asked for."""
    for record in read_jsonl(source.byte_lines(), name=source.name):
        yield record if isinstance(record, DataError) else _with_text(record)


def read_array(source: InputFile) -> Iterator[InputRecord | DataError]:
    """Read an array of records; faults in its text are told once."""
    try:
        items = parse_json(source.text())
    except DataError as exc:
        yield DataError(source.says(f"begins as a JSON array: {exc}"))
        return
    for number, item in enumerate(items if isinstance(items, list) else [items], start=1):
        yield _checked(source, number, f"record {number}", item)


def read_objects(source: InputFile) -> Iterator[InputRecord | DataError]:
    """Read objects that may take several lines each, as pretty-printers write them."""
    text = source.text()
    at, number = _after_space(text, 0), 1
    while at < len(text):
        try:
            item, end = strict_json(text, at)
        except DataError as exc:
            yield DataError(source.says(f"begins as a JSON object: {exc}"))
            return
        yield _checked(source, number, f"record {number}", item)
        number += 1
        at = _after_space(text, end)


def _after_space(text: str, at: int) -> int:
    found = SPACE.match(text, at)
    return found.end() if found else at


def _checked(source: InputFile, number: int, where: str, item: object) -> InputRecord | DataError:
    try:
        return _with_text(check_record(item, source.place(where), line=number))
    except DataError as exc:
        return exc


def _with_text(record: InputRecord) -> InputRecord | DataError:
    """Refuse an object that holds arrays and objects only: a whole set under one key, or column by column."""
    if not record.data or not all(isinstance(value, (dict, list)) for value in record.data.values()):
        return record
    shown = [f"{json_type(value)} under {key!r}" for key, value in record.data.items()]
    held = ", ".join(shown[:3]) + (", ..." if len(shown) > 3 else "")
    return DataError(f"{record.source}: holds no text, but {held}; write one object for each record")
