"""Excel workbooks (xlsx), read with openpyxl where it is installed."""

import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time

from tasks.errors import DataError
from tasks.reading.source import InputFile
from tasks.reading.tables import table_records
from tasks.records import InputRecord

__all__ = ["read_workbook"]


def read_workbook(source: InputFile) -> Iterator[InputRecord | DataError]:
    """Read the only sheet of a workbook that is not empty; its first row names the fields."""
    try:
        from openpyxl import load_workbook
    except ImportError:
        how = "pip install 'promptbank[excel]', or save the sheet as CSV (UTF-8)"
        yield DataError(source.says(f"is an Excel workbook, which needs openpyxl: {how}"))
        return
    try:
        book = load_workbook(io.BytesIO(source.stream.read()), read_only=True, data_only=True)
        sheets = {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets}
    except (KeyError, ValueError, zipfile.BadZipFile) as exc:
        yield DataError(source.says(f"is no sound Excel workbook: {exc}"))
        return
    filled = {title: rows for title, rows in sheets.items() if any(cell is not None for row in rows for cell in row)}
    if len(filled) != 1:
        shown = ", ".join(map(repr, filled)) or "none"
        yield DataError(source.says(f"must have one sheet with cells, not {shown}; save the one you mean as CSV"))
        return
    (rows,) = filled.values()
    width = max(n for row in rows for n, cell in enumerate(row, start=1) if cell is not None)
    lines = ((number, [_plain(cell) for cell in row[:width]]) for number, row in enumerate(rows, start=1))
    yield from table_records(source, lines)


def _plain(cell: object) -> object:
    """Return a cell as JSON can hold it: dates and times as ISO 8601 text."""
    return cell.isoformat() if isinstance(cell, (date, datetime, time)) else cell
