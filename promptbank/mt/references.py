"""Human translations of a set, to score a run against."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from promptbank.errors import InputError
from promptbank.mt.task_records import SourceExample, source_examples
from promptbank.mt.translate_set import SourceFile
from tasks import InputRecord, TaskCard, raise_faults, read_parts
from translate import Record
from translate.scoring.scores import Reference, ReferenceKey

__all__ = ["read_references"]


def read_references(
    paths: Sequence[Path], sources: Sequence[SourceFile], cards: Mapping[str, TaskCard]
) -> dict[ReferenceKey, Reference]:
    """Read examples in the target language: the text of each record, and its slot values by type.

    Args:
        paths: files or datasets folders, see `tasks.read_parts`; a record names its task where the run has several.
        sources: of the run.
        cards: its tasks' cards in the target language, by taskname.

    Raises:
        InputError: a line names no task of the run.
        DataError: all faults of a file at once, or all ids that stand for different examples.
    """
    found = [one for path in paths for one in _examples(path, cards)]
    unclear = _unclear(one for source in sources for one in source.examples) | _unclear(found)
    raise_faults(
        [
            f"{one.example.source}: id {one.example.id!r} stands for rows with different texts; which one this "
            "translates cannot be known, so score each file in a run of its own"
            for one in found
            if _key(one) in unclear
        ]
    )
    return {(record.taskname, record.id): _reference(record) for one in found for record in one.records}


def _key(one: SourceExample) -> ReferenceKey:
    return one.example.taskname, one.example.id


def _unclear(examples: Iterable[SourceExample]) -> set[ReferenceKey]:
    """Return the keys of examples with different texts; ids need to differ only within a file."""
    texts: dict[ReferenceKey, set[tuple[str, ...]]] = {}
    for one in examples:
        texts.setdefault(_key(one), set()).add(tuple(one.example.fields.values()))
    return {key for key, different in texts.items() if len(different) > 1}


def _examples(path: Path, cards: Mapping[str, TaskCard]) -> list[SourceExample]:
    lines = [line for part in read_parts(str(path)).values() for line in part]
    named = {str(line.data.get("taskname") or "") for line in lines if isinstance(line, InputRecord)}
    card = next((cards[name] for name in named if name in cards), None) if len(named) == 1 else None
    card = card or (next(iter(cards.values())) if len(cards) == 1 and named <= {""} else None)
    if card is None:
        raise InputError(
            f"{path}: references name the tasks {', '.join(sorted(named)) or 'none'}, one of {', '.join(cards)} is "
            "needed; give a file for each task"
        )
    return source_examples(lines, card, name=str(path))


def _reference(record: Record) -> Reference:
    values: dict[str, list[str]] = {}
    for span in record.spans:
        values.setdefault(span.type, []).append(span.of(record.text))
    return record.text, values
