"""What people and programs see: JSON lines or a small table on stdout, everything else on stderr."""

import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import typer

__all__ = [
    "end_output",
    "print_done",
    "print_facts",
    "print_json",
    "print_lines",
    "print_table",
    "printable",
    "rounded",
    "say",
]

PIPED_WIDTH = 200
"""Columns of a table that goes into a file or pipe, where no terminal says how wide it is."""


def say(text: str) -> None:
    """Tell a person something, on stderr."""
    typer.echo(printable(text), err=True)


def end_output() -> None:
    """Throw away what was not yet written to stdout, which would fail once more when the process ends."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def printable(text: str) -> str:
    r"""Return a text whose control characters, which may colour, move or wipe a terminal, are shown as escapes.

    >>> print(printable("tone\x1b[31m of\x85 a\u202e text"))
    tone\x1b[31m of\x85 a\u202e text
    """
    shown = (c if c.isprintable() or c in "\n\t" or unicodedata.category(c) == "Zs" else ascii(c)[1:-1] for c in text)
    return "".join(shown)


def print_json(item: object) -> None:
    """Print one JSON object on one line of stdout."""
    typer.echo(json.dumps(item, ensure_ascii=False, default=str))


def print_done(text: str, facts: Mapping[str, object], *, as_json: bool) -> None:
    """Say what was done, on stderr; print its facts if JSON is asked for."""
    if as_json:
        print_json(facts)
    say(text)


def print_facts(facts: Mapping[str, object], *, as_json: bool) -> None:
    """Print one thing: one JSON object, or a table of keys and values."""
    if as_json:
        print_json(facts)
    else:
        print_table(
            ({"key": key, "value": _plain(value)} for key, value in facts.items()), ("key", "value"), as_json=False
        )


def print_table(rows: Iterable[Mapping[str, object]], columns: Sequence[str] | None = None, *, as_json: bool) -> None:
    """Print rows: one JSON object a line, or a table with these columns; all keys of all rows if none are named."""
    if as_json:
        for row in rows:
            print_json(dict(row))
    elif found := list(rows):
        _print_table(found, columns or list(dict.fromkeys(key for row in found for key in row)))
    else:
        say("nothing yet")


def _print_table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    width = None if sys.stdout is not None and sys.stdout.isatty() else PIPED_WIDTH
    console = Console(highlight=False, markup=False, width=width)
    with console.capture() as text:
        console.print(table)
    typer.echo(text.get(), nl=False)


def print_lines(records: Iterable[Mapping[str, object]], out: Path | None) -> None:
    """Write records as JSON lines into a file, or onto stdout if there is none."""
    from promptbank.files import write_text

    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)


def rounded(value: float | None) -> float | None:
    """Return a score to four decimals, as tables and lines of JSON show it."""
    return None if value is None else round(value, 4)


def _plain(value: object) -> object:
    """Write a nested value of a fact as JSON."""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (dict, list, bool)) else value


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return printable(", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))
