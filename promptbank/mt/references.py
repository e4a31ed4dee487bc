"""People's translations of a set's rows, to score a run against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from promptbank.errors import InputError
from promptbank.mt.task_records import SourceRow, read_rows
from promptbank.mt.translate_set import Source
from tasks import InputRecord, TaskCard, raise_faults, read_jsonl
from translate import Record
from translate.scoring.scores import Reference, ReferenceKey

__all__ = ["read_references"]


def read_references(
    paths: Sequence[Path], sources: Sequence[Source], cards: Mapping[str, TaskCard]
) -> dict[ReferenceKey, Reference]:
    """Read rows in the target language: of each record the text without its card's phrase, and slot values by type.

    Args:
        paths: JSON lines; a row names its task where the run has several.
        sources: of the run.
        cards: its tasks' cards in the target language, by taskname.

    Raises:
        InputError: a row names no task of the run.
        DataError: all faults of a file at once, or all ids that stand for different rows.
    """
    rows = [row for path in paths for row in _rows(path, cards)]
    unclear = _unclear(row for source in sources for row in source.rows) | _unclear(rows)
    raise_faults(
        [
            f"{row.example.source}: id {row.example.id!r} stands for rows with different texts; which one this "
            "translates cannot be known, so score each file in a run of its own"
            for row in rows
            if _key(row) in unclear
        ]
    )
    return {(record.taskname, record.id): _reference(record) for row in rows for record in row.records}


def _key(row: SourceRow) -> ReferenceKey:
    return row.example.taskname, row.example.id


def _unclear(rows: Iterable[SourceRow]) -> set[ReferenceKey]:
    """Return what names rows with different texts; ids need to differ only within a file."""
    texts: dict[ReferenceKey, set[tuple[str, ...]]] = {}
    for row in rows:
        texts.setdefault(_key(row), set()).add(tuple(row.example.fields.values()))
    return {key for key, different in texts.items() if len(different) > 1}


def _rows(path: Path, cards: Mapping[str, TaskCard]) -> list[SourceRow]:
    lines = list(read_jsonl(path))
    named = {str(line.data.get("taskname") or "") for line in lines if isinstance(line, InputRecord)}
    card = next((cards[name] for name in named if name in cards), None) if len(named) == 1 else None
    card = card or (next(iter(cards.values())) if len(cards) == 1 and named <= {""} else None)
    if card is None:
        raise InputError(
            f"{path}: references name the tasks {', '.join(sorted(named)) or 'none'}, one of {', '.join(cards)} is "
            "needed; give a file for each task"
        )
    return read_rows(lines, card, name=str(path))


def _reference(record: Record) -> Reference:
    values: dict[str, list[str]] = {}
    for span in record.spans:
        values.setdefault(span.type, []).append(span.of(record.text))
    return record.text, values
