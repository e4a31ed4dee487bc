"""What a report is made of: plain values that know nothing of Markdown or HTML.

All text is text: nothing in it is markup, so a row of data that holds ``<script>`` or ``|`` is shown as it is. Only
`Prose` and summaries have a form: a blank line begins a paragraph, a line that begins with ``- `` is a point of a list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from promptbank.report.errors import ReportError
from tasks.statistics import Interval, MeanSd

__all__ = ["Cell", "Figure", "Part", "Prose", "Report", "Table", "check_name"]

Cell = str | int | float | bool | MeanSd | Interval | None
"""What a table shows; `promptbank.report.cells` says how."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: heading.
        columns: heads; the first column names the row.
        rows: as many cells each as there are columns.
        note: what to read it with (threads, dtype, load), below the table.

    Raises:
        ReportError: no columns, or a row of another width.
    """

    kind: ClassVar[str] = "table"

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""

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
        name: of its file, unique in the report: lower-case letters and digits in words joined by ``-``.
        title: heading.
        png: the bytes.
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
        summary: what came out, in a few sentences.
        about: what to repeat it with: versions, seed, data hash, fingerprint, dtype, hardware. Plain JSON values,
            shown as a table at the end.
        parts: in the order of the page.
        falls_short: what was aimed at and not reached, and warnings; shown at the top, before anything that shines.
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
        names = [figure.name for figure in self.figures]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ReportError(f"figure name(s) {', '.join(twice)} stand twice in {self.title!r}; each is a file's name")

    @property
    def figures(self) -> list[Figure]:
        """The figures, in order."""
        return [part for part in self.parts if isinstance(part, Figure)]


def check_name(name: str, what: str) -> None:
    """Refuse what is no name of a file on every system.

    Raises:
        ReportError: see above.
    """
    if not NAME.fullmatch(name):
        raise ReportError(
            f"{what} name {name!r} cannot be a file's; use a-z, 0-9 and single '-' between, such as curve-1"
        )
