"""One reader for every kind of file with records or cards: ``read_records`` finds out by the content which kind it is.

JSON lines, JSON arrays and objects, tables (CSV, TSV, Excel), YAML task templates, Parquet and Arrow are read, also
compressed, in UTF-8 or with a byte-order mark. What is not read is said once, with what it is and how to convert it.
"""

import io
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tasks.errors import DataError
from tasks.reading import arrow, excel, json_text, nemo_yaml, tables
from tasks.reading.compressed import BROKEN_DATA, decompressed
from tasks.reading.kinds import kind_of
from tasks.reading.source import InputFile
from tasks.records import InputRecord
from tasks.wording import did_you_mean

__all__ = ["READERS", "InputRecords", "open_records", "read_records", "read_text"]

MOST_FILES = 1000
"""Files of a folder that are looked at for a name that was meant."""
Outcome = InputRecord | DataError

READERS: dict[str, Callable[[InputFile], Iterator[Outcome]]] = {
    "json-lines": json_text.read_lines,
    "json-array": json_text.read_array,
    "json-objects": json_text.read_objects,
    "table": tables.read_table,
    "task-templates": nemo_yaml.read_templates,
    "parquet": arrow.read_parquet,
    "arrow": arrow.read_arrow,
    "excel": excel.read_workbook,
}
"""How each kind is read; `tasks.reading.kinds` tells them apart."""


@dataclass(frozen=True)
class InputRecords:
    """Records as they are read, one at a time.

    Attributes:
        kind: a key of `READERS`.
        records: each record, or in its place what is wrong with it.
    """

    kind: str
    records: Iterator[Outcome]


def read_records(
    source: Path | str | bytes | BinaryIO, *, name: str | None = None, columns: Sequence[str] = ()
) -> Iterator[Outcome]:
    """Read the records of a file, whatever its kind, one at a time where the kind allows.

    Args:
        source: a path, the bytes themselves, or a binary stream.
        name: how errors call it; the path if absent.
        columns: names of columns that it is read for, that of the text first; a first line that is one of them heads
            a table of a single column.

    Yields:
        Each record, or what is wrong with it, in its place.

    Raises:
        DataError: it cannot be opened, or is of no kind that is read; said once, with the way to convert it.
    """
    yield from open_records(source, name=name, columns=columns).records


def read_text(path: Path) -> str:
    """Return the text of a file, which may be compressed, or UTF-16 with a byte-order mark.

    Raises:
        DataError: it cannot be opened, or is no text in these encodings.
    """
    with _opened(path, None, ()) as opened:
        try:
            return decompressed(opened).text()
        except UnicodeDecodeError as exc:
            raise DataError(opened.no_text(exc)) from exc
        except BROKEN_DATA as exc:
            raise DataError(opened.says(f"is cut short or damaged: {exc}")) from exc


def open_records(
    source: Path | str | bytes | BinaryIO, *, name: str | None = None, columns: Sequence[str] = ()
) -> InputRecords:
    """Find out the kind of a file and start reading it; see `read_records`."""
    unpacked = opened = _opened(source, name, columns)
    try:
        unpacked = decompressed(opened)
        kind = kind_of(unpacked)
    except BROKEN_DATA as exc:
        opened.close()
        raise DataError(opened.says(f"is cut short or damaged: {exc}")) from exc
    except DataError:
        unpacked.close()
        raise
    return InputRecords(kind, _guarded(READERS[kind](unpacked), unpacked))


def _opened(source: Path | str | bytes | BinaryIO, name: str | None, columns: Sequence[str]) -> InputFile:
    if isinstance(source, bytes):
        return InputFile(io.BytesIO(source), name or "", columns=columns)
    if not isinstance(source, (str, Path)):
        return InputFile(source, name or "", columns=columns)
    file = shlex.quote(str(source))
    try:
        return InputFile(Path(source).open("rb"), name or str(source), file=file, columns=columns, own=True)
    except OSError as exc:
        near = _near(Path(source)) if isinstance(exc, FileNotFoundError) else ""
        raise DataError(f"{source} cannot be read: {exc.strerror}{near}") from exc


def _near(path: Path) -> str:
    """Ask whether the file of the same folder with the nearest name was meant."""
    files = [name for name in os.listdir(path.parent) if not name.startswith(".")] if path.parent.is_dir() else []
    return did_you_mean(path.name, files[:MOST_FILES])


def _guarded(records: Iterator[Outcome], source: InputFile) -> Iterator[Outcome]:
    """Yield records; data that ends too early or cannot be decoded is an error in its place."""
    with source:
        try:
            yield from records
        except UnicodeDecodeError as exc:
            yield DataError(source.no_text(exc))
        except BROKEN_DATA as exc:
            yield DataError(source.says(f"is cut short or damaged: {exc}"))
