"""Which card a command means, and which examples go with it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
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
    counted,
    gather_examples,
    parse_card,
    parse_spec,
    pick_card,
    read_cards,
    read_data,
    read_examples,
    records_by_task,
    sample_path,
    variant_names,
    without_records,
)

__all__ = [
    "ExampleSet",
    "add_cards",
    "cards_by_origin",
    "chosen_card",
    "examples_among",
    "examples_of",
    "examples_of_each",
    "known_cards",
]


Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class ExampleSet:
    """Labelled examples, and in words where they came from."""

    examples: list[Example]
    note: str


def known_cards(store: Store | None) -> list[TaskCard]:
    """Return the built-in cards and the bank's own, if there is a bank; those win where both have a task."""
    found = store.cards.list() if store is not None else []
    stored = [parse_card(json.loads(s.card_json), source=f"{s.taskname}:{s.lang}") for s in found]
    return [*builtin_cards(), *stored]


def cards_by_origin(store: Store | None) -> list[tuple[TaskCard, str]]:
    """Return every card with where it is from: "built-in", "variant NAME" or "bank"."""
    builtin = builtin_cards()
    found = [(card, "built-in") for card in builtin]
    found += [(card, f"variant {name}") for name in variant_names() for card in builtin_cards(name)]
    return found + [(card, "bank") for card in known_cards(store)[len(builtin) :]]


def chosen_card(store: Store | None, task: str | None, lang: str | None, card: str | None) -> TaskCard:
    """Return the card a command names.

    Args:
        store: the bank's store, for the cards that were added to it; None where there is no bank yet.
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


def examples_of(
    card: TaskCard,
    data: Sequence[str] | None,
    *,
    part: Part,
    columns: Mapping[str, str] | None = None,
) -> ExampleSet:
    """Read the labelled examples of one task; see `examples_of_each`."""
    return examples_of_each([card], data, part=part, columns=columns)[0]


def examples_of_each(
    cards: Sequence[TaskCard],
    data: Sequence[str] | None,
    *,
    part: Part = "train",
    columns: Mapping[str, str] | None = None,
) -> list[ExampleSet]:
    """Read labelled examples of each card from files, datasets, or the cards' shipped samples.

    Records of other tasks are left out and counted. For several cards each record names its own by taskname and lang.

    Args:
        cards: the tasks.
        data: files, datasets folders or hub ids, see `tasks.read_data`; None for the samples.
        part: which part of a sample, or of a dataset.
        columns: the column that each named field is taken from.

    Raises:
        InputError: no data given and no sample shipped.
        TaskError: every fault of the files; a task without examples.
    """
    if not data:
        return [_sample(card, part) for card in cards]
    return _gathered(cards, ", ".join(data), [_records(spec, part, columns, cards) for spec in data])


def examples_among(card: TaskCard, records: Sequence[InputRecord | DataError], name: str) -> ExampleSet:
    """Return the labelled examples of one task among records that are read already; see `examples_of_each`.

    Args:
        card: the task.
        records: of any tasks, or what is wrong with one.
        name: how errors call where they are from.
    """
    return _gathered([card], name, [records])[0]


def _gathered(
    cards: Sequence[TaskCard], names: str, files: Sequence[Sequence[InputRecord | DataError]]
) -> list[ExampleSet]:
    by_file = [records_by_task(records, cards) for records in files]
    left: Counter[str] = Counter()
    for found in by_file:
        left.update(found.left)
    told = ", ".join(f"{name} {count}" for name, count in sorted(left.items()))
    sets = []
    for number, card in enumerate(cards):
        records = [record for found in by_file for record in found.records[number]]
        if not records:
            raise DataError(f"{names}: no record is of {card.taskname}:{card.lang}; there are {told or 'none'}")
        examples = gather_examples([(names, records)], card)
        note = f"{counted(len(examples), 'example', 'examples')} from {names}"
        sets.append(ExampleSet(examples, f"{note}, without {left.total()} of other tasks ({told})" if told else note))
    return sets


def _sample(card: TaskCard, part: Part) -> ExampleSet:
    sample = None if part == "validation" else sample_path(card, part)
    if sample is None:
        raise InputError(f"{card.taskname}:{card.lang} ships no sample; give labelled records with --data")
    examples = read_examples([sample], card)
    note = f"no --data given: using the {len(examples)} examples of the shipped {part} sample {sample.name}"
    return ExampleSet(examples, note)


def _records(
    spec: str, part: str, columns: Mapping[str, str] | None, cards: Sequence[TaskCard]
) -> list[InputRecord | DataError]:
    fields = [name for card in cards for name in (card.text_field, *card.fields, card.answer_field)]
    try:
        return list(read_data(spec, part=part, columns=columns, fields=fields)) or [DataError(without_records(spec))]
    except DataError as exc:  # it cannot be opened; told with the faults of the other files
        return [exc]
