"""Render a report as Markdown and as one HTML page, from the two templates beside this file.

All text of a report is escaped here: what a result holds is shown as it is, never as markup.
"""

import base64
import re
from functools import cache, partial

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from promptbank.report.cells import about_rows, blocks, cell_text, number_columns, plain_text
from promptbank.report.parts import Figure, Report, Table

__all__ = ["figure_file", "markdown", "page"]

CONTENTS_FROM = 4
"""Number of parts from which on a page begins with a list of them."""

MARKS = re.compile(r"[\\`*\[\]<>|~$]|&(?=[#\w])|(?<![^\W_])_|_(?![^\W_])|^#+|#+$")
"""What could mean something anywhere in a line of Markdown. A low line inside a word means nothing."""

BEGINNINGS = re.compile(r"[-+=:]|\d{1,9}(?=[.)](?: |$))")
"""What could begin a list, a rule or a heading."""


def markdown(report: Report, name: str) -> str:
    """Return a report as Markdown (CommonMark with GitHub's tables); its figures are files beside it.

    Args:
        report: what to write.
        name: of the file, which the figures' names begin with.
    """
    return _template("report.md.j2").render(report=report, about=_about(report), file=partial(figure_file, name))


def page(report: Report) -> str:
    """Return a report as a whole HTML page that needs no other file."""
    return _template("report.html.j2").render(report=report, about=_about(report), contents_from=CONTENTS_FROM)


def figure_file(name: str, figure: Figure) -> str:
    """Return the name of a figure's file."""
    return f"{name}-{figure.name}.png"


def _about(report: Report) -> Table:
    return Table("About", ["what", "value"], list(about_rows(report.about)))


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("promptbank.report"),
        autoescape=name.endswith(".html.j2"),
        finalize=lambda value: plain_text(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"blocks": blocks, "cell": cell_text, "numbers": number_columns}
    environment.filters |= {"inline": _inline, "line": _line, "base64": _base64}
    return environment.get_template(name)


def _base64(figure: Figure) -> str:
    return base64.b64encode(figure.png).decode("ascii")


def _inline(text: str) -> str:
    r"""Return text on one line in which nothing is Markdown.

    >>> _inline("a|b <i> tfidf_train *x*")
    'a\\|b \\<i\\> tfidf_train \\*x\\*'
    """
    line = " ".join(plain_text(text).split())
    return MARKS.sub(lambda found: "".join(f"\\{mark}" for mark in found[0]), line)


def _line(text: str) -> str:
    """Return text for the beginning of a line, where some characters mean more."""
    line = _inline(text)
    found = BEGINNINGS.match(line)
    if found is None:
        return line
    digits = found[0] if found[0].isdigit() else ""
    return f"{digits}\\{line[len(digits) :]}"
