"""A report as one HTML page that needs nothing else: figures inside, no script, nothing fetched.

The page's policy forbids scripts and requests as well, should anything ever slip through the escaping. Tables and wide
figures scroll by themselves, so the page never does sideways on a phone; a scrolling part can be reached by keyboard.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from html import escape

from promptbank.report.cells import about_rows, blocks, cell_text, number_columns, plain_text
from promptbank.report.parts import Figure, Part, Prose, Report, Table
from promptbank.report.style import STYLE

__all__ = ["page"]

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

CONTENTS_FROM = 4
"""Parts from which on a page begins with a list of them."""


def page(report: Report) -> str:
    """Return a report as a whole HTML page."""
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="{_text(report.lang)}">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f'<meta http-equiv="Content-Security-Policy" content="{_text(POLICY)}">',
            f"<title>{_text(report.title)}</title>",
            f"<style>\n{STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            *_body(report),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _text(text: str) -> str:
    """Text as the content of an element or an attribute."""
    return escape(plain_text(text), quote=True)


def _body(report: Report) -> Iterator[str]:
    yield f"<h1>{_text(report.title)}</h1>"
    if report.falls_short:
        yield '<section class="short" aria-labelledby="short">'
        yield '<h2 id="short">Falls short</h2>'
        yield _list(report.falls_short)
        yield "</section>"
    yield from _prose(report.summary)
    if len(report.parts) >= CONTENTS_FROM:
        yield from _contents(report.parts)
    for number, part in enumerate(report.parts, start=1):
        yield "<section>"
        yield f'<h2 id="part-{number}">{_text(part.title)}</h2>'
        yield from _part(part, f"part-{number}")
        yield "</section>"
    if report.about:
        rows = [[_text(key), _text(value)] for key, value in about_rows(report.about)]
        yield '<section class="about">'
        yield '<h2 id="about">About</h2>'
        yield from _table(["what", "value"], rows, [False, False], "about")
        yield "</section>"


def _contents(parts: Sequence[Part]) -> Iterator[str]:
    yield '<nav aria-label="Contents">'
    yield "<ul>"
    yield from (f'<li><a href="#part-{n}">{_text(part.title)}</a></li>' for n, part in enumerate(parts, start=1))
    yield "</ul>"
    yield "</nav>"


def _part(part: Part, place: str) -> Iterator[str]:
    """A part below its heading, whose id is ``place``."""
    match part:
        case Prose():
            yield from _prose(part.text)
        case Table():
            rows = [[_text(cell_text(cell)) for cell in row] for row in part.rows]
            yield from _table([_text(column) for column in part.columns], rows, number_columns(part), place)
            yield from _prose(part.note, "note")
        case Figure():
            yield from _figure(part, place)


def _figure(figure: Figure, place: str) -> Iterator[str]:
    width, height = figure.size
    data = base64.b64encode(figure.png).decode("ascii")
    yield "<figure>"
    yield _scroll(place)
    yield f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" alt="{_text(figure.alt)}">'
    yield "</div>"
    if figure.note.strip():
        yield "<figcaption>"
        yield from _prose(figure.note, "note")
        yield "</figcaption>"
    yield "</figure>"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[bool], place: str) -> Iterator[str]:
    """A table of texts that are escaped already; the first cell of a row is its head.

    Cells take the direction of their own text, so an Arabic row turns round no other.
    """
    kinds = [' class="number"' if number else "" for number in numbers]
    yield _scroll(place)
    yield "<table>"
    heads = (f'<th scope="col"{kind}>{column}</th>' for kind, column in zip(kinds, columns, strict=True))
    yield f"<thead><tr>{''.join(heads)}</tr></thead>"
    yield "<tbody>"
    for first, *others in rows:
        cells = "".join(f'<td dir="auto"{kind}>{cell}</td>' for kind, cell in zip(kinds[1:], others, strict=True))
        yield f'<tr><th scope="row" dir="auto"{kinds[0]}>{first}</th>{cells}</tr>'
    yield "</tbody>"
    yield "</table>"
    yield "</div>"


def _scroll(place: str) -> str:
    return f'<div class="scroll" role="region" aria-labelledby="{place}" tabindex="0">'


def _prose(text: str, kind: str = "") -> Iterator[str]:
    attribute = f' class="{kind}"' if kind else ""
    for block, lines in blocks(text):
        yield _list(lines) if block == "ul" else f"<p{attribute}>{_text(lines[0])}</p>"


def _list(points: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(point)}</li>' for point in points)}</ul>"
