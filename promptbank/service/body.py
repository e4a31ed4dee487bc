"""Request bodies: read under a limit, and parsed to records with the same reader as JSONL files."""

import asyncio
import io
import json
import time
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from fastapi import Request

from promptbank.errors import BodyFormatError, BodyTooLargeError, DrainingError, ExpiredBodyError, InputError
from tasks import DataError, InputRecord, check_record, open_records, parse_json, read_jsonl
from tasks.reading.compressed import gunzip

__all__ = ["Records", "read_body", "read_records"]

Item = TypeVar("Item")

JSONL_TYPES = ("application/jsonl", "application/x-ndjson", "application/x-jsonlines")


TABLE_TYPES = ("text/csv", "text/tab-separated-values")
OTHER_TYPES = ("application/pdf", "application/xml", "application/zip", "text/html", "text/xml")
"""Content types of what holds no records; by what stands before the slash there are more."""
DRAINING_SECONDS = 0.25
"""Between two looks whether the service stops, while a body arrives."""
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"PK")


@dataclass(frozen=True)
class Records:
    """Parsed records, and whether one alone was sent (then its status is the response's)."""

    records: list[InputRecord | DataError]
    single: bool


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """Read a body, stopping as soon as it is over the limit; with ``Content-Encoding: gzip`` it is unpacked.

    Args:
        request: to an application whose state has the queue.
        limit: most bytes.
        seconds: in which all of it must have arrived.

    Raises:
        ExpiredBodyError: it did not arrive in time.
        DrainingError: the service stops, and the body is not there yet.
        BodyTooLargeError: it is longer than ``limit`` bytes, as it is sent or unpacked.
        BodyFormatError: it has another encoding.
        InputError: it is no sound gzip data.
    """
    reading = asyncio.ensure_future(_arrived(request, limit))
    try:
        await _in_time(request, reading, seconds)
    finally:
        reading.cancel()
    return _decoded(reading.result(), request.headers.get("content-encoding", ""), limit)


async def _in_time(request: Request, reading: asyncio.Future[bytes], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not reading.done():
        left = until - time.monotonic()
        if left <= 0:
            raise ExpiredBodyError(f"the request body did not arrive within {seconds:g} seconds; send it at once")
        await asyncio.wait({reading}, timeout=min(left, DRAINING_SECONDS))
        if request.app.state.queue.draining and not reading.done():
            raise DrainingError("the service is stopping, and the request body has not arrived; ask another one")


async def _arrived(request: Request, limit: int) -> bytes:
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > limit:
            raise _too_large(limit)
    return bytes(chunks)


def _decoded(body: bytes, encoding: str, limit: int) -> bytes:
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return body
    if name not in {"gzip", "x-gzip"}:
        raise BodyFormatError(f"the body's Content-Encoding is {encoding[:80]!r}; gzip and none are read")
    try:
        return gunzip(body, limit)
    except DataError as exc:
        raise (_too_large(limit) if "over" in str(exc) else InputError(str(exc))) from exc


def _too_large(limit: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"the request body is over {limit} bytes; send fewer records at a time")


def read_records(body: bytes, content_type: str, most: int) -> Records:
    """Parse a JSON object, a JSON list of objects, JSON lines or, where the content type says so, a table.

    The content says what it is, unless the content type names something that holds no records. Whatever JSON lines
    refuse is refused here too: NaN, infinities, and one key twice in an object.

    Raises:
        BodyFormatError: the content type is one of a picture, a form, ...
        InputError: no JSON, neither an object nor a list, or no record in it.
        BodyTooLargeError: more than ``most`` records.
    """
    media = content_type.partition(";")[0].strip().lower()
    if media in OTHER_TYPES or media.partition("/")[0] in {"image", "audio", "video", "font", "multipart"}:
        raise BodyFormatError(f"the body's Content-Type is {media[:80]!r}; send application/json or application/jsonl")
    if media in JSONL_TYPES:
        lines = list(islice(read_jsonl(io.BytesIO(body), name="body"), most + 1))  # bad lines take a while to name
        if not lines:
            raise InputError("the body holds no records; send one JSON object a line")
        return Records(_limited(lines, most), single=False)
    try:
        parsed = parse_json(body)
    except DataError as exc:
        if found := _other_kind(body, media, most):
            return Records(_limited(found, most), single=False)
        raise InputError(f"the body is no JSON: {exc}; send one record, a list of records, or JSON lines") from exc
    if isinstance(parsed, dict):
        return Records([_checked(parsed, "the record")], single=True)
    if not isinstance(parsed, list) or not parsed:
        raise InputError(f"the body must be a record or a list of records, not {json.dumps(parsed)[:60]}")
    items = _limited(parsed, most)
    return Records([_checked(item, f"record {n}") for n, item in enumerate(items, start=1)], single=False)


def _other_kind(body: bytes, media: str, most: int) -> list[InputRecord | DataError]:
    """Return the records of what is no JSON value; none where its first record cannot be read.

    Compressed bodies are left alone: only a ``Content-Encoding`` is unpacked, under the limit.
    """
    kinds = {"json-lines", "json-array", "json-objects"} | ({"table"} if media in TABLE_TYPES else set())
    if body.startswith(COMPRESSED):
        return []
    try:
        opened = open_records(body, name="body")
        found = list(islice(opened.records, most + 1)) if opened.kind in kinds else []
    except DataError:
        return []
    return [] if found and isinstance(found[0], DataError) else found


def _checked(item: object, source: str) -> InputRecord | DataError:
    try:
        return check_record(item, source)
    except DataError as exc:
        return exc


def _limited(items: list[Item], most: int) -> list[Item]:
    if len(items) > most:
        raise BodyTooLargeError(f"over {most} records in one request; {most} are allowed, send them in parts")
    return items
