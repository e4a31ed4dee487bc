"""From a result file to a report, and what is printed of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from promptbank.cli.output import print_json, print_table, say
from promptbank.report.cells import cell_plain, cell_text
from promptbank.report.parts import Report, Table
from promptbank.report.write import write_report

__all__ = ["read_result", "tell", "write"]


def tell(path: Path, build: Callable[[Mapping[str, Any]], Report], out: Path | None, *, as_json: bool) -> None:
    """Write the report of a result file, and print the report's first table.

    Args:
        path: of the result file.
        build: makes the report of the file's content.
        out: folder of the report; the result file's own if absent.
        as_json: print one JSON object instead of a table.
    """
    result = read_result(path)
    report = build(result)
    table = next(part for part in report.parts if isinstance(part, Table))
    shown = cell_plain if as_json else cell_text
    rows = [dict(zip(table.columns, map(shown, row), strict=True)) for row in table.rows]
    written = write(report, path, out)
    if as_json:
        print_json({"result": str(path), "report": [str(p) for p in written], "summary": report.summary, "table": rows})
    else:
        print_table(rows, table.columns, as_json=False)


def read_result(path: Path) -> dict[str, Any]:
    """Return the content of a result file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def write(report: Report, path: Path, out: Path | None) -> list[Path]:
    """Write a report, and say on stderr what it warns of and where it is.

    Args:
        report: to be written.
        path: of the result file.
        out: folder; the result file's own if absent.
    """
    written = write_report(report, out or path.parent, read_result(path)["kind"])
    for line in report.falls_short:
        say(f"warning: {line}")
    say(f"result: {path}")
    say(f"report: {', '.join(map(str, written))}")
    return written
