"""People's translations of a set's rows, to score a run against."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from promptbank.errors import InputError
from promptbank.translation.rows import SourceRow, read_rows
from promptbank.translation.run import Translated
from tasks import Record, TaskCard, read_jsonl
from translate.bootstrap import Reference

__all__ = ["read_references"]


def read_references(paths: Sequence[Path], translated: Translated) -> dict[str, Reference]:
    """Read rows in the target language; by row id: the text without its card's phrase, and slot values by type.

    Args:
        paths: JSON lines; a row names its task where the run has several.
        translated: the run, for its target cards.

    Raises:
        InputError: a row names no task of the run.
        DataError: all faults of a file at once.
    """
    cards = {file.card.taskname: file.card for file in translated.files}
    found: dict[str, Reference] = {}
    for path in paths:
        for row in _rows(path, cards):
            found[row.example.id] = _reference(row)
    return found


def _rows(path: Path, cards: dict[str, TaskCard]) -> list[SourceRow]:
    lines = list(read_jsonl(path))
    named = {str(line.data.get("taskname") or "") for line in lines if isinstance(line, Record)}
    card = next((cards[name] for name in named if name in cards), None) if len(named) == 1 else None
    card = card or (next(iter(cards.values())) if len(cards) == 1 and named <= {""} else None)
    if card is None:
        raise InputError(
            f"{path}: references name the tasks {', '.join(sorted(named)) or 'none'}, one of {', '.join(cards)} is "
            "needed; give a file for each task"
        )
    return read_rows(lines, card, name=str(path))


def _reference(row: SourceRow) -> Reference:
    record = row.records[0]
    values: dict[str, list[str]] = {}
    for span in record.spans:
        values.setdefault(span.type, []).append(span.of(record.text))
    return record.text, values
