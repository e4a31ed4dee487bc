"""``review.csv``: review items for a spreadsheet, and the decisions that come back in it."""

from __future__ import annotations

import csv
import io

from translate.errors import ReviewError
from translate.review import Answer, ReviewItem

__all__ = ["COLUMNS", "read_answers", "write_items"]

COLUMNS = (
    "severity",
    "flags",
    "source",
    "translation",
    "decision",
    "edited_text",
    "note",
    "label",
    "agreement",
    "others",
    "row_id",
    "source_hash",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_items(items: list[ReviewItem]) -> str:
    """Return the CSV text; ``decision``, ``edited_text`` and ``note`` are empty, for a person to fill.

    A cell that a spreadsheet would run as a formula begins with an apostrophe.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for item in items:
        agreed = "" if item.agreement is None else f"{item.agreement:.0f}"
        cells = (item.severity, "\n".join(item.flags), item.source, item.translation, "", "", "", item.label, agreed)
        writer.writerow([_safe(cell) for cell in (*cells, "\n".join(item.others), item.row_id, item.source_hash)])
    return out.getvalue()


def read_answers(text: str, source: str) -> list[Answer]:
    """Read the decisions from CSV text; columns may stand in any order, others are ignored.

    Raises:
        ReviewError: a needed column is missing, or it cannot be read.
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    try:
        missing = [name for name in ("source_hash", "decision", "edited_text") if name not in (rows.fieldnames or ())]
        if missing:
            raise ReviewError(source, [f"the column {', '.join(missing)} is missing"])
        return [_answer(row) for row in rows]
    except csv.Error as exc:
        raise ReviewError(source, [f"near line {rows.line_num + 1} it cannot be read: {exc}"]) from exc


def _answer(row: dict[str, str | None]) -> Answer:
    source_hash, decision, text, note = (
        row.get(name) or "" for name in ("source_hash", "decision", "edited_text", "note")
    )
    return Answer(source_hash.strip(), decision, _unsafe(text), _unsafe(note))


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _unsafe(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
