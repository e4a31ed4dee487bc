"""Records from the ``datasets`` library: saved folders and hub ids. The only module that imports it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import DataError
from tasks.records import InputRecord, check_record

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

__all__ = ["dataset_parts", "dataset_records", "named_records"]

HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def dataset_records(spec: str, *, part: str = "train") -> Iterator[InputRecord | DataError]:
    """Yield the rows of a folder (``save_to_disk`` or data files) or a hub id as records.

    Class label columns are turned into their names, so they meet a card's label ids.

    Args:
        spec: path or hub id.
        part: which split of it; a set that was saved without splits is taken whole.

    Raises:
        DataError: it cannot be loaded (the hub is out of reach, no such split).
    """
    yield from _part_records(_load(spec, part), f"{spec}[{part}]")


def dataset_parts(spec: str) -> dict[str, Iterator[InputRecord | DataError]]:
    """Return the records of every split by its name; see `dataset_records`.

    Args:
        spec: path or hub id; a set that was saved without splits is "train".

    Raises:
        DataError: it cannot be loaded.
    """
    loaded = _load(spec, None)
    parts = loaded if isinstance(loaded, dict) else {"train": loaded}
    return {str(name): _part_records(part, f"{spec}[{name}]") for name, part in parts.items()}


def named_records(dataset: Dataset, place: Callable[[str], str]) -> Iterator[InputRecord | DataError]:
    """Yield the rows of a dataset as records.

    Args:
        dataset: class labels are told by their names, and an empty cell is an absent field.
        place: makes the source of a record from its number.
    """
    for number, record in enumerate(_named(dataset), start=1):
        try:
            yield check_record(record, place(str(number)), line=number)
        except DataError as exc:
            yield exc


def _part_records(dataset: Dataset, name: str) -> Iterator[InputRecord | DataError]:
    return named_records(dataset, lambda number: f"{name}:{number}")


def _named(dataset: Dataset) -> Iterator[dict[str, object]]:
    """Yield the rows with the names of class labels for their numbers, without empty cells."""
    import datasets

    columns = {n: f.names for n, f in dataset.features.items() if isinstance(f, datasets.ClassLabel)}
    for values in dataset:
        names = {n: None if values[n] in (None, -1) else known[values[n]] for n, known in columns.items()}
        yield {name: value for name, value in {**values, **names}.items() if value is not None}


def _load(spec: str, part: str | None) -> Dataset | DatasetDict:
    import datasets

    folder = Path(spec)
    try:
        if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
            loaded = datasets.load_from_disk(spec)
            if not isinstance(loaded, dict) or part is None:
                return loaded
            if part not in loaded:
                raise ValueError(f"it has {', '.join(map(repr, loaded))}")
            return loaded[part]
        if not folder.exists():
            _reach_hub(spec)
        return datasets.load_dataset(spec, split=part)
    except IndexError as exc:  # how datasets fails on a saved set without rows
        raise DataError(f"{spec} holds no records") from exc
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as exc:
        why = f"{exc} ({exc.__cause__})" if exc.__cause__ else str(exc)
        wanted = "" if part is None else f" (part {part!r})"
        raise DataError(f"{spec!r} cannot be loaded as a dataset{wanted}: {why}") from exc


def _reach_hub(spec: str) -> None:
    """Fail at once, not after minutes of retries, when the hub is out of reach and the set is not cached."""
    import datasets
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    if not HUB_ID.fullmatch(spec):
        raise DataError(f"there is no file or folder {spec!r}, and it is no hub id (owner/name)")
    if datasets.config.HF_HUB_OFFLINE:  # then it looks into its cache only
        return
    try:
        HfApi().dataset_info(spec, timeout=5)
    except HfHubHTTPError as exc:
        raise DataError(f"the hub has no dataset {spec!r} for us: {exc}") from exc
    except Exception as exc:
        raise DataError(
            f"{spec!r} is no file or folder here, and the hub cannot be reached ({type(exc).__name__}); "
            "give a JSONL file or a datasets folder"
        ) from exc
