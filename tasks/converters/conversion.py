"""What every converter gives, and what they share: reading lines, ids, groups."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.card import TaskCard
from tasks.errors import DataError
from tasks.reading import read_records
from tasks.records import InputRecord, raise_faults

__all__ = ["Conversion", "convert_lines", "group_of", "sha256"]


@dataclass(frozen=True)
class Conversion:
    """Converted records, and what a person should know of them.

    Attributes:
        records: each with taskname, id and group; those of a set that comes in parts say which under "partition".
        notes: in words.
        card: that the records fit, where no built-in card does.
    """

    records: tuple[dict[str, str], ...]
    notes: tuple[str, ...]
    card: TaskCard | None = None

    def parts(self) -> dict[str, list[dict[str, str]]]:
        """Return the records by partition, and by language where there are several, such as "sv.test"."""
        several = len({record.get("lang") for record in self.records}) > 1
        found: dict[str, list[dict[str, str]]] = {}
        for record in self.records:
            names = (record.get("lang", "") if several else "", record.get("partition", ""))
            found.setdefault(".".join(filter(None, names)), []).append(record)
        return found


def convert_lines(
    paths: Sequence[Path],
    keys: Sequence[str],
    convert: Callable[[Mapping[str, str]], dict[str, str] | None],
    *,
    more: Sequence[str] = (),
) -> list[dict[str, str]]:
    """Convert every record of the files.

    Args:
        paths: of the files, of any kind that `tasks.reading` knows.
        keys: the fields that each record must have as text (ids may be whole numbers).
        convert: makes a record of these fields, or nothing of one that is to be left out; raises `DataError` for what
            is wrong with them.
        more: fields that a record may have.

    Raises:
        DataError: all faults of all records at once.
    """
    converted: list[dict[str, str]] = []
    faults: list[str] = []
    for path in paths:
        for number, record in enumerate(read_records(path)):
            if isinstance(record, DataError):
                faults.append(str(record))
                continue
            absent = [key for key in keys if key not in record.data]
            try:
                made = convert(_fields(record, keys, more))
            except DataError as exc:
                faults.append(f"{record.source}: {exc}")
                if absent and number == 0:  # another format; one word about it is enough
                    break
                continue
            converted += [made] if made is not None else []
    raise_faults(faults)
    return converted


def _fields(record: InputRecord, keys: Sequence[str], more: Sequence[str]) -> dict[str, str]:
    values = {key: record.data.get(key) for key in (*keys, *more)}
    texts = {k: str(v) for k, v in values.items() if isinstance(v, str) or (isinstance(v, int) and k.endswith("id"))}
    faulty = [key for key in keys if key not in texts]
    if faulty:
        raise DataError(f"no text in {', '.join(faulty)}; this format has {', '.join(keys)}")
    return texts


def group_of(text: str) -> str:
    """Return the group of all texts that are equal but for white space."""
    return sha256(" ".join(text.split()))[:16]


def sha256(text: str) -> str:
    """Return the hash of a text as 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()
