"""``review.csv``: review items for a spreadsheet, and the decisions that come back in it."""

import csv
import io
import re
from collections.abc import Mapping

from translate.errors import ReviewError
from translate.review.decisions import Answer
from translate.review.items import ReviewItem

__all__ = ["COLUMNS", "read_answers", "write_items"]

COLUMNS = (
    "severity",
    "flags",
    "source",
    "translation",
    "decision",
    "edited_text",
    "note",
    "decided",
    "label",
    "agreement",
    "score",
    "others",
    "row_id",
    "source_hash",
)
SHOWN = "translation"
NEEDED = ("source_hash", "decision", "edited_text")
DELIMITERS = (",", ";", "\t")
_SIGN = r"=+\-@\uff1d\uff0b\uff0d\uff20"
_FORMULA = re.compile(rf"\A(?='*[{_SIGN}\t\r])|(?<=[;|\t\r\n])(?='*[{_SIGN}])")
"""Where a formula begins, with any apostrophes before it, for a spreadsheet that splits cells at any of these signs.

Spreadsheets of some countries split at ";" whatever is quoted, and Japanese ones take full-width signs.
"""
_ESCAPED = re.compile(rf"(?:{_FORMULA.pattern})'")


def write_items(items: list[ReviewItem], answers: Mapping[str, Answer] | None = None) -> str:
    """Return the CSV text; ``decision``, ``edited_text`` and ``note`` are for a person to fill.

    They are empty but for the answers, by source hash, that are given.

    What a spreadsheet would run as a formula gets an apostrophe before it, which is taken off when it is read.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)  # the other leaves a lone "\r" bare
    writer.writerow(COLUMNS)
    for item in items:
        agreed = "" if item.agreement is None else f"{item.agreement:.0f}"
        score = "" if item.score is None else f"{item.score:.2f}"
        shown = (item.severity, "\n".join(item.flags), item.source, item.translation)
        about = (item.decided, item.label, agreed, score, "\n".join(item.others), item.row_id, item.source_hash)
        given = (answers or {}).get(item.source_hash, Answer(item.source_hash, ""))
        cells = (*shown, given.decision, given.text, given.note, *about)
        safe = [cell if cell == score else _safe(cell) for cell in cells]
        (quoted if any("\r" in cell for cell in safe) else writer).writerow(safe)
    return out.getvalue()


def read_answers(text: str, source: str) -> list[Answer]:
    """Read the decisions from CSV text; columns may stand in any order, others are ignored.

    Cells may be separated by commas, semicolons or tabs: a spreadsheet saves by the habits of its user's country.

    Raises:
        ReviewError: a needed column is missing or there twice, a row has cells too many or too few, or the text cannot
            be read; all such rows at once.
    """
    body, delimiter = _delimited(text.removeprefix("\ufeff"))
    rows = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True)
    head, answers, faults = next(rows, []), list[Answer](), list[str]()
    if wrong := _head_faults(head):
        raise ReviewError(source, wrong)
    try:
        for cells in rows:
            if len(cells) == len(head):
                answers.append(_answer(dict(zip(head, cells, strict=True)), f"line {rows.line_num}"))
            elif any(cells):
                faults.append(
                    f"line {rows.line_num} has {len(cells)} cells, the head {len(head)}; a text with {delimiter!r} in "
                    "it stands in quotes"
                )
    except csv.Error as exc:
        faults.append(f"near line {rows.line_num} it cannot be read: {exc}; is a quote not closed?")
    faults += [
        f"{one.place} has no source_hash" for one in answers if not one.source_hash and (one.decision or one.text)
    ]
    if faults:
        raise ReviewError(source, faults)
    return answers


def _delimited(text: str) -> tuple[str, str]:
    """Return the table, and what separates its cells by the head, or by a first line such as "sep=;"."""
    first, _, rest = text.partition("\n")
    if told := re.fullmatch(r"\"?sep=(.)\"?\r?", first):
        return rest, told[1]
    head = text.splitlines()[0] if text else ""
    return text, max(DELIMITERS, key=head.count)


def _head_faults(head: list[str]) -> list[str]:
    missing = [name for name in NEEDED if name not in head]
    found = ", ".join(map(repr, head)) or "none"
    faults = [f"the column {', '.join(missing)} is missing; the first line has {found}"] if missing else []
    twice = [name for name in (*NEEDED, SHOWN) if head.count(name) > 1]
    return faults + ([f"the column {', '.join(twice)} is there twice"] if twice else [])


def _answer(row: dict[str, str], place: str) -> Answer:
    shown = _unsafe(row[SHOWN]) if SHOWN in row else None
    text, note = _unsafe(row["edited_text"]), _unsafe(row.get("note", ""))
    return Answer(row["source_hash"].strip(), row["decision"].strip(), text, note, shown, place)


def _safe(cell: str) -> str:
    return _FORMULA.sub("'", cell)


def _unsafe(cell: str) -> str:
    return _ESCAPED.sub("", cell)
