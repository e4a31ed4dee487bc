"""What people and programs see: JSON lines or a small table on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from promptbank.errors import ConfigError

__all__ = ["print_json", "print_table", "rounded", "say", "write_text", "writing"]

PIPED_WIDTH = 200
"""Columns of a table that goes into a file or pipe, where no terminal says how wide it is."""


def say(text: str) -> None:
    """Tell a person something, on stderr."""
    typer.echo(text, err=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write a file that the user named into one helpful line.

    Raises:
        ConfigError: it is a folder, lies in none, or cannot be written.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name a file in it with --out")
    try:
        yield
    except OSError as exc:
        raise ConfigError(
            f"{path} cannot be written ({exc.strerror}); choose another --out, in a folder that is there"
        ) from exc


def write_text(path: Path, text: str) -> None:
    """Write a whole file or none of it.

    Raises:
        ConfigError: see `writing`.
    """
    with writing(path):
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)


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


def rounded(value: float | None) -> float | None:
    """Return a score to four decimals, as tables and lines of JSON show it."""
    return None if value is None else round(value, 4)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
