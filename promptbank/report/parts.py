"""The parts of a report as plain values: tables, figures and prose, which know nothing of Markdown or HTML.

No text is markup: an example that holds ``<script>`` or ``|`` is shown as it is. Only prose, notes and summaries have a
form: a blank line begins a paragraph, a line that begins with ``- `` is a point of a list.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from promptbank.report.errors import ReportError
from tasks.statistics import Interval, MeanSd

__all__ = ["Cell", "Figure", "Part", "Prose", "Report", "Table", "check_name"]

Cell = str | int | float | bool | MeanSd | Interval | None
"""What a table cell can hold; `promptbank.report.cells` writes it."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: its heading.
        columns: heads; the first column names the row.
        rows: as many cells each as there are columns.
        note: below the table, such as the conditions of a timing.
        decimals: of numbers up to 1; fewer where the examples are too few for more to mean anything.

    Raises:
        ReportError: no columns, or a row of another width.
    """

    kind: ClassVar[str] = "table"

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    decimals: int = 4

    def __post_init__(self) -> None:
        if not self.columns:
            raise ReportError(f"table {self.title!r} has no columns; give at least one")
        for number, row in enumerate(self.rows, start=1):
            if len(row) != len(self.columns):
                raise ReportError(
                    f"row {number} of table {self.title!r} has {len(row)} cells; {len(self.columns)} are needed"
                )


@dataclass(frozen=True)
class Figure:
    """A picture.

    Attributes:
        name: of its file, unique in the report; see `check_name`.
        title: its heading.
        png: the bytes of a PNG.
        note: below the picture.
        alt: what it shows, for people who cannot see it: the finding with its numbers, not "a plot".

    Raises:
        ReportError: the name cannot be a file's, the bytes are no PNG, or ``alt`` is empty.
    """

    kind: ClassVar[str] = "figure"

    name: str
    title: str
    png: bytes = field(repr=False)
    note: str = ""
    alt: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "figure")
        if not self.png.startswith(PNG_SIGNATURE):
            raise ReportError(f"figure {self.name!r} is no PNG; it begins with {self.png[:8]!r}")
        if not self.alt.strip():
            raise ReportError(f"figure {self.name!r} has no alt text; say in words what it shows")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return int.from_bytes(self.png[16:20], "big"), int.from_bytes(self.png[20:24], "big")


@dataclass(frozen=True)
class Prose:
    """Words under a heading."""

    kind: ClassVar[str] = "prose"

    title: str
    text: str


Part = Table | Figure | Prose


@dataclass(frozen=True)
class Report:
    """A whole report.

    Attributes:
        title: of the page.
        summary: the result in a few sentences.
        about: what is needed to repeat it, such as versions, seed and data hash: plain JSON values, the last table.
        parts: in the order of the page.
        falls_short: goals that were not reached, and warnings; shown first.
        lang: BCP 47 tag of the report's own language.

    Raises:
        ReportError: two figures have one name.
    """

    title: str
    summary: str
    about: Mapping[str, object]
    parts: Sequence[Part]
    falls_short: Sequence[str] = ()
    lang: str = "en"

    def __post_init__(self) -> None:
        counts = Counter(figure.name for figure in self.figures)
        twice = sorted(name for name, count in counts.items() if count > 1)
        if twice:
            raise ReportError(
                f"of the figures' names, {', '.join(twice)} stand twice in {self.title!r}; each is a file's name"
            )

    @property
    def figures(self) -> list[Figure]:
        """The figures, in order."""
        return [part for part in self.parts if isinstance(part, Figure)]


def check_name(name: str, what: str) -> None:
    """Raise `ReportError` unless a name is lower-case letters and digits in words joined by ``-``."""
    if not NAME.fullmatch(name):
        raise ReportError(
            f"{what} name {name!r} cannot be a file's; use a-z, 0-9 and single '-' between, such as curve-1"
        )
