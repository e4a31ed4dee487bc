"""Parquet and Arrow files, read with the ``datasets`` library, so that class labels come by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tasks.errors import DataError
from tasks.hub import named_records
from tasks.reading.source import InputFile
from tasks.records import InputRecord

if TYPE_CHECKING:
    from pyarrow import Table

__all__ = ["read_arrow", "read_parquet"]


def read_parquet(source: InputFile) -> Iterator[InputRecord | DataError]:
    """Read a Parquet file."""
    from pyarrow import BufferReader, parquet

    return _records(source, lambda data: parquet.read_table(BufferReader(data)))


def read_arrow(source: InputFile) -> Iterator[InputRecord | DataError]:
    """Read an Arrow file or stream, such as ``save_to_disk`` writes."""
    from pyarrow import ipc

    kind = ipc.open_file if source.head.startswith(b"ARROW1") else ipc.open_stream
    return _records(source, lambda data: kind(data).read_all())


def _records(source: InputFile, read: Callable[[bytes], Table]) -> Iterator[InputRecord | DataError]:
    from datasets import Dataset
    from datasets.table import InMemoryTable
    from pyarrow import ArrowException

    try:
        dataset = Dataset(InMemoryTable(read(source.stream.read())))
    except (ArrowException, OSError, ValueError) as exc:
        yield DataError(source.says(f"is no sound Parquet or Arrow file: {exc}"))
        return
    yield from named_records(dataset, source.place)
