"""Which card a command means, and which examples go with it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from promptbank.errors import InputError
from store import Store
from tasks import (
    DataError,
    Example,
    InputRecord,
    TaskCard,
    builtin_cards,
    dataset_records,
    gather_examples,
    parse_card,
    parse_spec,
    pick_card,
    raise_faults,
    read_cards,
    read_examples,
    read_jsonl,
    sample_path,
    variant_names,
)

__all__ = [
    "ExampleSet",
    "add_cards",
    "cards_by_origin",
    "chosen_card",
    "examples_of",
    "examples_of_each",
    "known_cards",
]

Sources = Iterable[tuple[str, Iterable[InputRecord | DataError]]]


@dataclass(frozen=True)
class ExampleSet:
    """Labelled examples, and in words where they came from."""

    examples: list[Example]
    note: str


def known_cards(store: Store) -> list[TaskCard]:
    """Return the built-in cards and the bank's own, which win where both have a task."""
    stored = [parse_card(json.loads(s.card_json), source=f"{s.taskname}:{s.lang}") for s in store.cards.list()]
    return [*builtin_cards(), *stored]


def cards_by_origin(store: Store) -> list[tuple[TaskCard, str]]:
    """Return every card with where it is from: "built-in", "variant NAME" or "bank"."""
    builtin = builtin_cards()
    found = [(card, "built-in") for card in builtin]
    found += [(card, f"variant {name}") for name in variant_names() for card in builtin_cards(name)]
    return found + [(card, "bank") for card in known_cards(store)[len(builtin) :]]


def chosen_card(store: Store, task: str | None, lang: str | None, card: str | None) -> TaskCard:
    """Return the card a command names.

    Args:
        store: the bank's store, for the cards that were added to it.
        task: ``taskname[:lang]``; may be absent with a card file that holds one task.
        lang: language, where the reference names none.
        card: a file of cards, or the name of a built-in variant; None for the known cards.

    Raises:
        InputError: neither is given.
        TaskError: no such card, or a faulty one.
    """
    if task is None and card is None:
        raise InputError("name a task with --task, or give a card with --card")
    ref = parse_spec(task) if task is not None else None
    cards = known_cards(store) if card is None else _named_cards(card)
    return pick_card(cards, ref.taskname if ref else None, (ref.lang if ref else None) or lang)


def _named_cards(card: str) -> list[TaskCard]:
    return read_cards(card) if Path(card).is_file() else builtin_cards(card)


def add_cards(store: Store, cards: Sequence[TaskCard]) -> list[bool]:
    """Store cards; for each, whether it is new (the very same card is not stored twice)."""
    return [store.cards.add(c.taskname, c.lang, c.canonical_json(), c.sha256) for c in cards]


def examples_of(card: TaskCard, data: Sequence[str] | None, *, part: Literal["train", "test"]) -> ExampleSet:
    """Read labelled examples from files, datasets, or the card's shipped sample.

    Args:
        card: the task.
        data: JSONL files, datasets folders or hub ids; None for the sample.
        part: which part of the sample, or of a dataset.

    Raises:
        InputError: no data given and no sample shipped.
        TaskError: every fault of the files.
    """
    if data:
        return _gathered(card, [(spec, _records(spec, part)) for spec in data], data)
    sample = sample_path(card, part)
    if sample is None:
        raise InputError(f"{card.taskname}:{card.lang} ships no sample; give labelled rows with --data")
    examples = read_examples([sample], card)
    note = f"no --data given: using the {len(examples)} rows of the shipped {part} sample {sample.name}"
    return ExampleSet(examples, note)


def examples_of_each(cards: Sequence[TaskCard], data: Sequence[str] | None) -> list[ExampleSet]:
    """Read the training examples of each card; for several cards each record names its own by taskname and lang.

    Raises:
        InputError: no data given and no sample shipped.
        TaskError: every fault of the files; a task without examples.
    """
    if not data or len(cards) == 1:
        return [examples_of(card, data, part="train") for card in cards]
    records: dict[str, list[InputRecord | DataError]] = {f"{card.taskname}:{card.lang}": [] for card in cards}
    faults: list[str] = []
    for record in (record for spec in data for record in _records(spec, "train")):
        names = [] if isinstance(record, DataError) else _names(record, cards)
        if len(names) == 1:
            records[names[0]].append(record)
        elif isinstance(record, DataError):
            faults.append(str(record))
        else:
            faults.append(f"{record.source}: the record must name one of {', '.join(records)} by taskname and lang")
    raise_faults(faults)
    return [
        _gathered(card, [(", ".join(data), found)], data) for card, found in zip(cards, records.values(), strict=True)
    ]


def _gathered(card: TaskCard, sources: Sources, data: Sequence[str]) -> ExampleSet:
    examples = gather_examples(sources, card)
    return ExampleSet(examples, f"{len(examples)} rows from {', '.join(data)}")


def _records(spec: str, part: str) -> Iterator[InputRecord | DataError]:
    if Path(spec).is_file() or spec.endswith((".jsonl", ".json")):
        return read_jsonl(spec)
    return dataset_records(spec, part=part)


def _names(record: InputRecord, cards: Sequence[TaskCard]) -> list[str]:
    name, lang = record.data.get("taskname"), record.data.get("lang")
    return [f"{c.taskname}:{c.lang}" for c in cards if c.taskname == name and lang in (None, c.lang)]
