"""What people and programs see: JSON lines or a small table on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence

import typer
from rich.console import Console
from rich.table import Table

__all__ = ["print_json", "print_table", "say"]

PIPED_WIDTH = 200
"""Columns of a table that goes into a file or pipe, where no terminal says how wide it is."""


def say(text: str) -> None:
    """Tell a person something, on stderr."""
    typer.echo(text, err=True)


def print_json(item: object) -> None:
    """Print one JSON object on one line of stdout."""
    typer.echo(json.dumps(item, ensure_ascii=False, default=str))


def print_table(rows: Iterable[Mapping[str, object]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print rows: one JSON object a line, or a table with these columns."""
    if as_json:
        for row in rows:
            print_json(dict(row))
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    if not table.row_count:
        say("nothing yet")
        return
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    Console(highlight=False, markup=False, width=width).print(table)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
