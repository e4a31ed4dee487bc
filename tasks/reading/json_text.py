"""JSON as records: a line each, an array, or objects one after another."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.errors import DataError
from tasks.reading.source import Source
from tasks.records import InputRecord, check_record, parse_json, read_jsonl, strict_json

__all__ = ["read_array", "read_lines", "read_objects"]

SPACE = re.compile(r"\s*")


def read_lines(source: Source) -> Iterator[InputRecord | DataError]:
    """Read one record a line; a line is read when it is asked for."""
    return read_jsonl(source.byte_lines(), name=source.name)


def read_array(source: Source) -> Iterator[InputRecord | DataError]:
    """Read an array of records; faults in its text are told once."""
    try:
        items = parse_json(source.text())
    except DataError as exc:
        yield DataError(source.says(f"begins as a JSON array: {exc}"))
        return
    for number, item in enumerate(items if isinstance(items, list) else [items], start=1):
        yield _checked(source, number, f"record {number}", item)


def read_objects(source: Source) -> Iterator[InputRecord | DataError]:
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


def _checked(source: Source, number: int, where: str, item: object) -> InputRecord | DataError:
    try:
        return check_record(item, source.place(where), line=number)
    except DataError as exc:
        return exc
