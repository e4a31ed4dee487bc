"""Decisions in a review file of a translated folder."""

from __future__ import annotations

from pathlib import Path

from promptbank.errors import InputError
from promptbank.translation.run import ITEMS
from translate.outcome import Override
from translate.review import parse_items, validated
from translate.review_csv import read_answers

__all__ = ["read_decisions"]


def read_decisions(path: Path) -> dict[str, Override]:
    """Read and check the decisions of a review file, all of them or none; by source hash.

    Args:
        path: the file; the items that were shown lie beside it.

    Raises:
        InputError: it or the items cannot be read.
        ReviewError: a decision is faulty; all faults at once.
    """
    shown = path.parent / ITEMS
    try:
        answers = path.read_text(encoding="utf-8")
        items = shown.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(
            f"{exc.filename if isinstance(exc, OSError) else path} cannot be read; review.csv and {ITEMS} of a "
            "translated folder belong together"
        ) from exc
    return validated(parse_items(items, str(shown)), read_answers(answers, str(path)))
