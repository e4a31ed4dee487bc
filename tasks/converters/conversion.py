"""What every converter gives, and what they share: reading lines, ids, groups."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import DataError
from tasks.records import InputRecord, raise_faults, read_jsonl

__all__ = ["Conversion", "convert_lines", "group_of", "sha256"]


@dataclass(frozen=True)
class Conversion:
    """Converted records, and what a person should know of them."""

    records: tuple[dict[str, str], ...]
    notes: tuple[str, ...]


def convert_lines(
    paths: Sequence[Path], keys: Sequence[str], convert: Callable[[Mapping[str, str]], dict[str, str]]
) -> list[dict[str, str]]:
    """Convert every JSON line of the files.

    Args:
        paths: of the files.
        keys: the fields that each line must have as text (ids may be whole numbers).
        convert: makes a record of these fields; raises `DataError` for what is wrong with them.

    Raises:
        DataError: all faults of all lines at once.
    """
    converted, faults = [], []
    for record in (record for path in paths for record in read_jsonl(path)):
        if isinstance(record, DataError):
            faults.append(str(record))
            continue
        try:
            converted.append(convert(_fields(record, keys)))
        except DataError as exc:
            faults.append(f"{record.source}: {exc}")
    raise_faults(faults)
    return converted


def _fields(record: InputRecord, keys: Sequence[str]) -> dict[str, str]:
    values = {key: record.data.get(key) for key in keys}
    texts = {k: str(v) for k, v in values.items() if isinstance(v, str) or (isinstance(v, int) and k.endswith("id"))}
    faulty = [key for key in keys if key not in texts]
    if faulty:
        raise DataError(f"field(s) {', '.join(faulty)} must be text; this format has {', '.join(keys)}")
    return texts


def group_of(text: str) -> str:
    """Return the group of all texts that are equal but for white space."""
    return sha256(" ".join(text.split()))[:16]


def sha256(text: str) -> str:
    """Return the hash of a text as 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()
