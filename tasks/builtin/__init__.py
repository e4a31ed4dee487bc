"""The cards that come with promptbank: one file a taskname, variants beside them, samples in ``tasks/samples``."""

import difflib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Literal

from tasks.card import TaskCard, parse_card
from tasks.equivalence import canonical
from tasks.errors import CardError, DataError, Fault, UnknownCardError
from tasks.reading import read_records

__all__ = ["DEFAULT_LANG", "builtin_card", "builtin_cards", "pick_card", "read_cards", "sample_path", "variant_names"]

DEFAULT_LANG = "en"


def read_cards(source: Path | str | bytes, *, name: str | None = None) -> list[TaskCard]:
    """Read cards: one JSON object each, or NeMo's YAML configuration with task templates; see `tasks.reading`.

    Args:
        source: a path, or the bytes themselves.
        name: how errors call it; the path if absent.

    Raises:
        CardError: every fault of every card, with its line; so is a task that stands twice in one language.
        DataError: the file cannot be read, has a line that is no record, or holds no card.
    """
    cards: dict[tuple[str, str], TaskCard] = {}
    faults: list[Fault] = []
    called = name or (str(source) if not isinstance(source, bytes) else "the file")
    for record in read_records(source, name=name):
        if isinstance(record, DataError):
            raise record
        try:
            card = parse_card(record.data, source=record.source)
        except CardError as exc:
            faults += [Fault(f"line {record.line}, {f.where}", f.position, f.message) for f in exc.faults]
            continue
        key = (canonical(card.taskname), card.lang)
        if key in cards:
            says = f"{card.taskname}:{card.lang} stands above already; a file has one card for a task and language"
            faults.append(Fault(f"line {record.line}, taskname", None, says))
        cards[key] = card
    if faults:
        raise CardError(called, faults)
    if not cards:
        raise DataError(f"{called} holds no card")
    return list(cards.values())


def _folder(name: str) -> Path:
    return Path(str(files("tasks") / name))


def variant_names() -> list[str]:
    """Return the names of the built-in variants."""
    return sorted(path.stem for path in _folder("builtin/variants").glob("*.jsonl"))


def builtin_cards(variant: str | None = None) -> list[TaskCard]:
    """Return the built-in cards, or those of a variant.

    Raises:
        UnknownCardError: there is no such variant.
    """
    if variant is None:
        return [card for path in sorted(_folder("builtin").glob("*.jsonl")) for card in read_cards(path)]
    known = variant_names()
    if variant not in known:
        raise UnknownCardError(f"no card file and no built-in variant {variant!r}; variants: {', '.join(known)}")
    return read_cards(_folder("builtin/variants") / f"{variant}.jsonl")


def builtin_card(taskname: str, lang: str | None = None, variant: str | None = None) -> TaskCard:
    """Return one built-in card; see `pick_card`."""
    return pick_card(builtin_cards(variant), taskname, lang)


def pick_card(cards: Sequence[TaskCard], taskname: str | None, lang: str | None = None) -> TaskCard:
    """Choose a card by name and language: the one asked for, else English, else the only one.

    Raises:
        UnknownCardError: none, or more than one, fits.
    """
    known = ", ".join(f"{card.taskname}:{card.lang}" for card in cards)
    named = [card for card in cards if taskname is None or canonical(taskname) == canonical(card.taskname)]
    if not named:
        near = difflib.get_close_matches(taskname or "", {card.taskname for card in cards}, n=3)
        hint = f"did you mean {', '.join(near)}? " if near else ""
        raise UnknownCardError(f"no card named {taskname!r}; {hint}known: {known} (see `promptbank tasks list`)")
    if len({canonical(card.taskname) for card in named}) > 1:
        raise UnknownCardError(f"several cards are there ({known}); name one with --task")
    fitting = [card for card in named if card.lang == (lang or DEFAULT_LANG)]
    if not fitting and lang is None and len(named) == 1:
        fitting = list(named)
    if not fitting:
        listed = ", ".join(card.lang for card in named)
        raise UnknownCardError(f"{named[0].taskname} has no card in {lang or DEFAULT_LANG!r}; languages: {listed}")
    return fitting[-1]


def sample_path(card: TaskCard, part: Literal["train", "test"]) -> Path | None:
    """Return the shipped sample of a card, if there is one."""
    path = _folder("samples") / f"{card.taskname}.{card.lang}.{part}.jsonl"
    return path if path.is_file() else None
