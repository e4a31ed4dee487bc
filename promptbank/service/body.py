"""Request bodies: read under a limit, and parsed to records with the same reader as JSONL files."""

import io
import json
from dataclasses import dataclass
from typing import TypeVar

from fastapi import Request

from promptbank.errors import BodyTooLargeError, InputError
from tasks import DataError, InputRecord, check_record, parse_json, read_jsonl

__all__ = ["Records", "read_body", "read_records"]

Item = TypeVar("Item")

JSONL_TYPES = ("application/jsonl", "application/x-ndjson", "application/x-jsonlines")


@dataclass(frozen=True)
class Records:
    """Parsed records, and whether one alone was sent (then its status is the response's)."""

    records: list[InputRecord | DataError]
    single: bool


async def read_body(request: Request, limit: int) -> bytes:
    """Read a body, stopping as soon as it is over the limit.

    Raises:
        BodyTooLargeError: it is longer than ``limit`` bytes.
    """
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > limit:
            raise BodyTooLargeError(f"the request body is over {limit} bytes; send fewer records at a time")
    return bytes(chunks)


def read_records(body: bytes, content_type: str, most: int) -> Records:
    """Parse a JSON object, a JSON list of objects, or (by content type) JSON lines.

    Whatever JSON lines refuse is refused here too: NaN, infinities, and one key twice in an object.

    Raises:
        InputError: no JSON, neither an object nor a list, or no record in it.
        BodyTooLargeError: more than ``most`` records.
    """
    if content_type.partition(";")[0].strip().lower() in JSONL_TYPES:
        lines = list(read_jsonl(io.BytesIO(body), name="body"))
        if not lines:
            raise InputError("the body holds no records; send one JSON object a line")
        return Records(_limited(lines, most), single=False)
    try:
        parsed = parse_json(body)
    except DataError as exc:
        raise InputError(f"the body is no JSON: {exc}; send one record, a list of records, or JSON lines") from exc
    if isinstance(parsed, dict):
        return Records([_checked(parsed, "the record")], single=True)
    if not isinstance(parsed, list) or not parsed:
        raise InputError(f"the body must be a record or a list of records, not {json.dumps(parsed)[:60]}")
    items = _limited(parsed, most)
    return Records([_checked(item, f"record {n}") for n, item in enumerate(items, start=1)], single=False)


def _checked(item: object, source: str) -> InputRecord | DataError:
    try:
        return check_record(item, source)
    except DataError as exc:
        return exc


def _limited(items: list[Item], most: int) -> list[Item]:
    if len(items) > most:
        raise BodyTooLargeError(f"{len(items)} records in one request; {most} are allowed, send them in parts")
    return items
