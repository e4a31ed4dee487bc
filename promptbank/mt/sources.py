"""The labelled files that a translation starts from: what a person names, or the shipped samples."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from promptbank.bank.cards import chosen_card
from promptbank.bank.session import Bank
from promptbank.errors import InputError
from promptbank.mt.task_records import source_examples
from promptbank.mt.translate_set import SourceFile
from tasks import (
    FILE_ENDINGS,
    DataError,
    InputRecord,
    builtin_cards,
    raise_faults,
    read_parts,
    read_records,
    sample_path,
)

__all__ = ["read_sources"]


def read_sources(
    bank: Bank,
    data: Sequence[str],
    src: str,
    task: str | None,
    card: str | None,
    columns: Mapping[str, str] | None = None,
) -> list[SourceFile]:
    """Read files and every split of datasets, or the shipped samples of a task or of all.

    Raises:
        InputError: the card is not in the source language, the task is not clear, or no samples are shipped.
        TaskError: every fault of the records.
    """
    if data:
        return [source for spec in data for source in _named(bank, spec, src, task, card, columns)]
    cards = [chosen_card(bank.store, task, src, card)] if task or card else builtin_cards()
    parts = [(c, p) for c in cards if c.lang == src for part in ("train", "test") if (p := sample_path(c, part))]
    if not parts:
        raise InputError(f"no samples are shipped for {task or src}; give labelled rows with --data")
    names = ", ".join(dict.fromkeys(card.taskname for card, _ in parts))
    bank.display.say(f"no --data given: translating the shipped samples of {names}")
    return [SourceFile(p.name, card, source_examples(list(read_records(p)), card, name=p.name)) for card, p in parts]


def _named(
    bank: Bank, spec: str, src: str, task: str | None, card: str | None, columns: Mapping[str, str] | None
) -> list[SourceFile]:
    """Read one file, or each split of a dataset; the records name the task where nothing else does."""
    path = Path(spec)
    read = {part: list(lines) for part, lines in read_parts(spec, columns=columns).items()}
    if task is None and card is None:
        task = _task_of([line for lines in read.values() for line in lines], spec)
    chosen = chosen_card(bank.store, task, src, card)
    if chosen.lang != src:
        raise InputError(f"the card {chosen.taskname}:{chosen.lang} is not in --src {src}; give it with --card")
    if "" in read:
        name = path.name if path.suffix in (".jsonl", ".json") else f"{FILE_ENDINGS.sub('', path.name)}.jsonl"
        return [SourceFile(name, chosen, source_examples(read[""], chosen, name=spec), path)]
    sources, faults = [], []
    for part, lines in read.items():
        name = f"{path.name}-{part}.jsonl" if len(read) > 1 else f"{path.name}.jsonl"
        try:
            sources.append(SourceFile(name, chosen, source_examples(lines, chosen, name=f"{spec}[{part}]")))
        except DataError as exc:
            faults.append(str(exc))
    raise_faults(faults)
    return sources


def _task_of(lines: Sequence[InputRecord | DataError], spec: str) -> str:
    found = sorted({str(line.data.get("taskname", "")) for line in lines if isinstance(line, InputRecord)})
    if len(found) != 1 or not found[0]:
        said = f"name {len(found)} tasks" if len(found) > 1 else "name no task"
        raise InputError(f"the rows of {spec} {said}; say which one they are of with --task")
    return found[0]
