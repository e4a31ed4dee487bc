"""Tables as text: CSV with commas, semicolons, bars or tabs, with a header that names the fields."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tasks.equivalence import folded
from tasks.errors import DataError
from tasks.reading.source import InputFile
from tasks.records import RESERVED, InputRecord, check_record

__all__ = ["TableLayout", "layout_of", "read_table", "table_records"]

SEPARATORS = "\t;,|"
SAMPLE = 50
"""Lines that are looked at to find the separator."""
_EXCEL_HINT = re.compile(r"sep=(.)\r?\n")
_NAME = re.compile(r"[^.!?\n]{0,60}\Z|[\w.\-/]{1,60}\Z")
"""What can name a column: no sentence."""


@dataclass(frozen=True)
class TableLayout:
    """How the cells of a table are written.

    Attributes:
        separator: between cells.
        quoted: whether '"' around a cell counts as a quotation mark.
        start: where the header begins.
    """

    separator: str
    quoted: bool = True
    start: int = 0


def layout_of(text: str, file: str, columns: Sequence[str] = ()) -> TableLayout | None:
    """Find the layout whose header names the most columns and fits the most lines; None where there is none.

    Args:
        text: the beginning of the file; its last line may be cut.
        file: its name: a file that ends in .csv or .tsv may have a single column.
        columns: names of a single column that make it a table whatever its name.
    """
    hint = _EXCEL_HINT.match(text)  # as spreadsheets write it before the header
    if hint:
        return TableLayout(hint[1], start=hint.end())
    found = [(*score, separator) for separator in SEPARATORS if (score := _score(text, separator))[1] > 1]
    if not found:
        named = re.search(r"\.[ct]sv(\.(gz|bz2|xz))?'?\Z", file, re.IGNORECASE) and _score(text, ",")[1]
        return TableLayout(",") if named or _is_headed(text, columns) else None
    separator = max(found)[-1]
    return TableLayout(separator, quoted=separator != "\t" or _score(text, separator, strict=True)[1] > 0)


def _is_headed(text: str, columns: Sequence[str]) -> bool:
    """Whether the first line is one of these names, case aside."""
    first = folded(text.partition("\n")[0]).strip('"')
    return first != "" and first in map(folded, columns)


def _score(text: str, separator: str, *, strict: bool = False) -> tuple[float, int]:
    """Return the share of lines with as many cells as the first, and that number; 0 where the first is no header."""
    reader = csv.reader(io.StringIO(text[: text.rfind("\n") + 1] or text), delimiter=separator, strict=strict)
    try:
        lines = [cells for cells in islice(reader, SAMPLE) if cells]
    except csv.Error:
        return 0.0, 0
    names = [cell.strip() for cell in lines[0]] if lines else []
    if not any(names) or not all(map(_NAME.match, names)):
        return 0.0, 0
    return sum(len(cells) == len(names) for cells in lines) / len(lines), len(names)


def read_table(source: InputFile) -> Iterator[InputRecord | DataError]:
    """Read a table: the first line names the fields, every other one is a record."""
    text = source.text()
    layout = layout_of(text.lstrip(), source.file, source.columns)
    if layout is None:
        yield DataError(source.says("is no table with a header; let the first line name the columns"))
        return
    text = text.lstrip()[layout.start :]
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=layout.separator,
        quoting=csv.QUOTE_MINIMAL if layout.quoted else csv.QUOTE_NONE,
        strict=True,
    )
    yield from table_records(source, _numbered(source, reader))


Line = tuple[int, Sequence[object]]


def _numbered(source: InputFile, reader: Iterator[list[str]]) -> Iterator[Line | DataError]:
    """Yield the cells of each line with its number; reading ends where quotation marks cannot be made out."""
    while True:
        line = getattr(reader, "line_num", 0) + 1
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            yield DataError(f"{source.place(str(line))}: cannot be read as a table: {exc}; is a quotation mark open?")
            return


def table_records(source: InputFile, lines: Iterator[Line | DataError]) -> Iterator[InputRecord | DataError]:
    """Make records of the lines of a table, the first of which names the fields; blank lines are skipped.

    An empty cell is empty text, but an absent id, group, taskname or lang.
    """
    names: list[str] | None = None
    for line in lines:
        if isinstance(line, DataError):
            yield line
            continue
        number, cells = line
        if not any(cell not in (None, "") for cell in cells):
            continue
        if names is None:
            names = [str(cell if cell is not None else "").strip() for cell in cells]
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                shown = ", ".join(map(repr, twice))
                yield DataError(f"{source.place(str(number))}: the header names {shown} more than once; rename them")
                return
        else:
            yield _record(source.place(str(number)), number, names, cells)


def _record(place: str, number: int, names: Sequence[str], cells: Sequence[object]) -> InputRecord | DataError:
    if len(cells) != len(names):
        says = f"{len(cells)} cells, but the header names {len(names)}; put cells that hold the separator in quotes"
        return DataError(f"{place}: {says}")
    pairs = zip(names, cells, strict=True)
    data = {name: cell for name, cell in pairs if cell is not None and (cell != "" or name not in RESERVED)}
    try:
        return check_record(data, place, line=number)
    except DataError as exc:
        return exc
