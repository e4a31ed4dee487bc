"""Format the values of a report, the same way everywhere so that columns can be read downwards.

Scores and other numbers up to 1 have 4 decimals, larger ones 4 significant digits, and whole parts are never rounded.
Numbers below 0.001 are written with an exponent, since 4 decimals would make them 0.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from promptbank.report.parts import Cell, Table
from tasks.statistics import Interval, MeanSd

__all__ = ["about_rows", "blocks", "cell_plain", "cell_text", "number_columns", "plain_text"]

NOTHING = "-"
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def cell_text(cell: Cell, decimals: int = 4) -> str:
    """Return a cell as text, numbers up to 1 with so many decimals.

    >>> cell_text(0.826), cell_text(1159), cell_text(44.2), cell_text(12345.678), cell_text(0.0000123)
    ('0.8260', '1,159', '44.20', '12,346', '1.23e-05')
    >>> cell_text(MeanSd(0.826, 0.018, 5)), cell_text(None)
    ('0.8260 ± 0.0180', '-')
    >>> cell_text(MeanSd(0.826, 0.018, 5), 2), cell_text(12.5, 2)
    ('0.83 ± 0.02', '12.50')
    """
    match cell:
        case None:
            return NOTHING
        case str():
            return plain_text(cell)
        case bool():
            return "yes" if cell else "no"
        case int():
            return f"{cell:,}"
        case MeanSd():
            return _numbers("{}" if cell.sd is None else "{} ± {}", decimals, cell.mean, cell.sd)
        case Interval():
            return _numbers("{} [{}, {}]", decimals, cell.mean, cell.low, cell.high)
    return _numbers("{}", decimals, cell)


def cell_plain(cell: Cell) -> object:
    """Return a cell as a plain JSON value: numbers stay numbers.

    >>> cell_plain(MeanSd(0.826, 0.018, 5)), cell_plain("lora.v1"), cell_plain(None)
    ({'mean': 0.826, 'sd': 0.018, 'n': 5}, 'lora.v1', None)
    """
    return asdict(cell) if isinstance(cell, MeanSd | Interval) else cell


def _numbers(form: str, most: int, *numbers: float | None) -> str:
    """Write numbers that are read together, all with the decimals of the largest."""
    known = [x for x in numbers if x is not None]
    decimals = _decimals(max(known, key=abs), most)
    return form.format(*(f"{x:.2e}" if decimals is None else f"{x:,.{decimals}f}" for x in known))


def _decimals(number: float, most: int) -> int | None:
    """Return the decimals of a number, at most so many, or None where it needs an exponent."""
    size = abs(number)
    if size and size < 0.001:
        return None
    return most if size <= 1 or not math.isfinite(size) else min(most, max(0, 3 - math.floor(math.log10(size))))


def number_columns(table: Table) -> list[bool]:
    """Say of each column whether it holds numbers, and nothing else but empty cells."""
    columns = [[row[place] for row in table.rows if row[place] is not None] for place in range(len(table.columns))]
    return [bool(cells) and not any(isinstance(c, str | bool) for c in cells) for cells in columns]


def plain_text(text: str) -> str:
    """Replace what no file or page can show (control characters, half surrogates) by U+FFFD."""
    return UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n"))


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    r"""Split prose into paragraphs ("p", its one text) and lists ("ul", its points).

    >>> list(blocks("One\nline.\n\n- a\n- b"))
    [('p', ['One line.']), ('ul', ['a', 'b'])]
    """
    for block in re.split(r"\n\s*\n", plain_text(text).strip()):
        lines: list[str] = []
        kind = "p"
        for line in block.splitlines():
            point = line.lstrip().startswith("- ")
            if point and kind == "p":
                yield from _paragraph(lines)
                kind, lines = "ul", []
            if point or not lines:
                lines.append(line.strip().removeprefix("- ").strip())
            else:
                lines[-1] += " " + line.strip()
        yield from [("ul", lines)] if kind == "ul" else _paragraph(lines)


def _paragraph(lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    if any(lines):
        yield "p", [" ".join(lines)]


def about_rows(about: Mapping[str, object], above: str = "") -> Iterator[tuple[str, str]]:
    """Flatten what a result is about into names and texts; a mapping's keys are joined with a dot.

    >>> list(about_rows({"seed": 2026, "packages": {"torch": "2.13.0"}, "salts": ["a", "b"]}))
    [('seed', '2026'), ('packages.torch', '2.13.0'), ('salts', 'a, b')]
    """
    for key, value in about.items():
        if isinstance(value, Mapping) and value:
            yield from about_rows(value, f"{above}{key}.")
        else:
            yield plain_text(f"{above}{key}"), plain_text(_about_text(value))


def _about_text(value: object) -> str:
    """Exact values: a seed or a learning rate must be found again as it was given."""
    if value is None or isinstance(value, str | bool):
        return value if isinstance(value, str) else cell_text(value)
    if isinstance(value, Sequence) and all(isinstance(item, str | int | float) for item in value):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False, default=str)
