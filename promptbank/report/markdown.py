"""A report as Markdown (CommonMark with GitHub's tables); its figures are files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from promptbank.report.cells import about_rows, blocks, cell_text, number_columns, plain_text
from promptbank.report.parts import Figure, Part, Prose, Report, Table

__all__ = ["escaped", "figure_file", "markdown"]

MARKS = re.compile(r"[\\`*\[\]<>|~$]|&(?=[#\w])|(?<![^\W_])_|_(?![^\W_])|^#+|#+$")
"""What could mean something anywhere in a line. A low line inside a word means nothing."""

BEGINNINGS = re.compile(r"[-+=:]|\d{1,9}(?=[.)](?: |$))")
"""What could begin a list, a rule or a heading."""


def markdown(report: Report, name: str) -> str:
    """Return a report as Markdown.

    Args:
        report: what to write.
        name: of the file, which the figures' names begin with.
    """
    found = [f"# {escaped(report.title)}"]
    if report.falls_short:
        found += ["## Falls short", "\n".join(f"- {_line(text)}" for text in report.falls_short)]
    found += _prose(report.summary)
    for part in report.parts:
        found += [f"## {escaped(part.title)}", *_part(part, name)]
    if report.about:
        rows = [[escaped(key), escaped(value)] for key, value in about_rows(report.about)]
        found += ["## About", _table(["what", "value"], rows, [False, False])]
    return "\n\n".join(found) + "\n"


def figure_file(name: str, figure: Figure) -> str:
    """Return the name of a figure's file."""
    return f"{name}-{figure.name}.png"


def escaped(text: str) -> str:
    r"""Return text on one line in which nothing is markup.

    >>> escaped("a|b <i> tfidf_train *x*")
    'a\\|b \\<i\\> tfidf_train \\*x\\*'
    """
    line = " ".join(plain_text(text).split())
    return MARKS.sub(lambda found: "".join(f"\\{mark}" for mark in found[0]), line)


def _line(text: str) -> str:
    """Text that stands at the beginning of a line."""
    line = escaped(text)
    found = BEGINNINGS.match(line)
    if found is None:
        return line
    digits = found[0] if found[0].isdigit() else ""
    return f"{digits}\\{line[len(digits) :]}"


def _part(part: Part, name: str) -> Iterator[str]:
    match part:
        case Prose():
            yield from _prose(part.text)
        case Table():
            rows = [[escaped(cell_text(cell)) for cell in row] for row in part.rows]
            yield _table([escaped(column) for column in part.columns], rows, number_columns(part))
        case Figure():
            yield f"![{escaped(part.alt)}]({figure_file(name, part)})"
    if not isinstance(part, Prose) and part.note:
        yield from _prose(part.note)


def _prose(text: str) -> Iterator[str]:
    for kind, lines in blocks(text):
        yield "\n".join(f"- {_line(line)}" if kind == "ul" else _line(line) for line in lines)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[bool]) -> str:
    """A table of texts that are escaped already."""
    rule = ["---:" if number else "---" for number in numbers]
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, rule, *rows))
