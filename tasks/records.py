"""Records: JSON lines as they were read, before any card checks them.

Reading streams, so a file of any size passes through. A line that is no record yields its error in its place, with
file and line; nothing is skipped but blank lines.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tasks.equivalence import canonical
from tasks.errors import DataError
from tasks.wording import told_once

__all__ = [
    "InputRecord",
    "check_record",
    "json_text",
    "json_type",
    "parse_json",
    "raise_faults",
    "read_jsonl",
    "strict_json",
    "unstorable",
    "value_of",
]

MAX_FAULTS = 20
RESERVED = ("id", "group", "taskname", "lang")
"""Keys of a record that are no fields of a card."""
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class InputRecord:
    """One JSON object and where it came from ("file.jsonl:12")."""

    line: int
    data: Mapping[str, object]
    source: str


def read_jsonl(lines: Iterable[bytes], *, name: str) -> Iterator[InputRecord | DataError]:
    """Read JSON lines one at a time; a line that is no usable record yields its error in its place.

    Args:
        lines: as bytes, such as a binary stream.
        name: how errors call it.
    """
    for number, raw in enumerate(lines, start=1):
        line = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
        if line.strip():
            yield _parsed(line, f"{name}:{number}", number)


def _parsed(line: bytes, source: str, number: int) -> InputRecord | DataError:
    try:
        return check_record(parse_json(line), source, line=number)
    except DataError as exc:
        text = str(exc)
        return exc if text.startswith(source) else DataError(f"{source}: {text}")


def parse_json(text: bytes | str) -> object:
    """Parse strict JSON: UTF-8, every key of an object once, finite numbers.

    Raises:
        DataError: it is no such JSON; the message says where and why.
    """
    with _json_errors():
        decoded = text if isinstance(text, str) else text.decode("utf-8")
        return json.loads(decoded, object_pairs_hook=_unique, parse_constant=_no_constant)


def strict_json(text: str, at: int) -> tuple[object, int]:
    """Parse the strict JSON value that starts at a place in a text; return it and where it ends.

    Raises:
        DataError: see `parse_json`.
    """
    with _json_errors():
        return json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant).raw_decode(text, at)


@contextmanager
def _json_errors() -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as exc:
        raise DataError(f"byte {exc.start + 1} is no UTF-8") from exc
    except json.JSONDecodeError as exc:
        line = f"line {exc.lineno}, " if exc.lineno > 1 else ""
        raise DataError(f"broken JSON at {line}column {exc.colno}: {exc.msg}") from exc
    except RecursionError as exc:
        raise DataError("nested too deeply") from exc
    except ValueError as exc:  # Python refuses whole numbers of more than 4,300 digits
        raise DataError(f"a number cannot be read: {exc}") from exc


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = sorted(key for key, count in counts.items() if count > 1)
        raise DataError(f"of its keys, {', '.join(map(repr, twice))} stand twice; which one counts cannot be known")
    return unique


def _no_constant(constant: str) -> None:
    raise DataError(f"{constant} is no JSON value")


def check_record(data: object, source: str, *, line: int = 1) -> InputRecord:
    """Check that parsed JSON is an object whose strings are text that can be stored and encoded.

    Raises:
        DataError: it is no object, or a string holds NUL or a lone surrogate.
    """
    if not isinstance(data, dict):
        raise DataError(f"{source}: a record is a JSON object, not {json_type(data)}")
    for key, value in data.items():
        wrong = unstorable(value) if isinstance(value, str) else None
        if wrong is not None:
            what = "a NUL character" if value[wrong] == "\0" else "a lone surrogate"
            raise DataError(f"{source}: field {key!r} holds {what} at {wrong} ({value[wrong]!a}); remove it")
    return InputRecord(line, data, source)


def value_of(data: Mapping[str, object], name: str) -> object:
    """Return the value under a name, in whichever form the name is written; None where it is absent or null."""
    if name in data or name.isascii():
        return data.get(name)
    return next((value for key, value in data.items() if canonical(key) == canonical(name)), None)


def json_text(value: object) -> str:
    """Return a value as JSON writes it; what JSON cannot hold as Python does."""
    return json.dumps(value, ensure_ascii=False, default=repr)


def json_type(value: object) -> str:
    """Return what JSON calls the type of a value."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, (int, float)) else type(value).__name__)


def unstorable(text: str) -> int | None:
    """Return the place of the first character that neither a database nor UTF-8 takes: NUL or a lone surrogate."""
    found = _UNSTORABLE.search(text)
    return found and found.start()


def raise_faults(faults: Sequence[str], kind: type[Exception] = DataError) -> None:
    """Raise one error of a kind for all faults, if there are any; it tells the first `MAX_FAULTS`.

    A fault that many lines have, such as a column of another name, is told once.
    """
    if told := told_once(faults):
        more = f"; and {len(told) - MAX_FAULTS} more" if len(told) > MAX_FAULTS else ""
        error = kind("; ".join(told[:MAX_FAULTS]) + more)
        if isinstance(error, DataError):
            error.faults = (*told[:MAX_FAULTS], *([more.removeprefix("; ")] if more else []))
        raise error
