"""Review items and overrides as JSON lines: the one beside the review file, the other in the bank."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from translate.errors import ReviewError
from translate.pipeline.translated import Override
from translate.records.record import Span
from translate.review.items import ReviewItem

__all__ = ["dump_items", "dump_overrides", "parse_items", "parse_overrides"]

Made = TypeVar("Made")


def dump_overrides(overrides: Mapping[str, Override]) -> str:
    """Return overrides as JSON lines, sorted by hash."""
    return "".join(json.dumps(asdict(overrides[key]), ensure_ascii=False) + "\n" for key in sorted(overrides))


def parse_overrides(text: str, source: str) -> dict[str, Override]:
    """Read overrides from JSON lines, by source hash; a later line replaces an earlier one.

    Raises:
        ReviewError: a line is no override.
    """
    found = _parsed(text, source, lambda row: Override(**{**row, "spans": _spans(row)}))
    return {override.source_hash: override for override in found}


def dump_items(items: Iterable[ReviewItem]) -> str:
    """Return items as JSON lines, in their order."""
    return "".join(json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in items)


def parse_items(text: str, source: str) -> list[ReviewItem]:
    """Read items from JSON lines.

    Raises:
        ReviewError: a line is no item.
    """
    return _parsed(text, source, _item_of)


def _item_of(row: Mapping[str, Any]) -> ReviewItem:
    lists = {name: tuple(row.get(name, ())) for name in ("flags", "others", "slot_types", "protected")}
    return ReviewItem(**{**row, **lists, "spans": _spans(row)})


def _spans(row: Mapping[str, Any]) -> tuple[Span, ...]:
    return tuple(Span(**span) for span in row["spans"])


def _parsed(text: str, source: str, make: Callable[[Mapping[str, Any]], Made]) -> list[Made]:
    made: list[Made] = []
    faults: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines would cut inside strings, at U+2028 too
        if not line.strip():
            continue
        try:
            made.append(make(json.loads(line)))
        except (ValueError, TypeError, KeyError) as exc:
            faults.append(f"line {number}: {exc}")
    if faults:
        raise ReviewError(source, faults)
    return made
