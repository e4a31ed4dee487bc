"""Examples from the ``datasets`` library: saved folders and hub ids. The only module that imports it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.card import TaskCard
from tasks.errors import DataError
from tasks.examples import Example, check_record, example_from, raise_faults

__all__ = ["load_dataset_examples"]


def load_dataset_examples(spec: str, card: TaskCard, *, part: str = "train", need_answer: bool = True) -> list[Example]:
    """Load examples from a folder (``save_to_disk`` or data files) or a hub id.

    Class label columns are turned into their names, so they meet the card's label ids.

    Args:
        spec: path or hub id.
        card: the task.
        part: which split of it.
        need_answer: whether gold answers must be there.

    Raises:
        DataError: it cannot be loaded (the hub is out of reach, no such split), or rows are faulty.
    """
    rows = _rows(_load(spec, part))
    examples, faults = [], []
    for number, row in enumerate(rows, start=1):
        try:
            record = check_record(row, f"{spec}[{part}]:{number}", line=number)
            examples.append(example_from(record, card, need_answer=need_answer))
        except DataError as exc:
            faults.append(str(exc))
    raise_faults(faults or ([] if examples else [f"{spec}[{part}] holds no rows"]))
    return examples


def _load(spec: str, part: str) -> Any:  # a datasets.Dataset, of which the types are not checked
    import datasets

    folder = Path(spec)
    try:
        if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
            loaded = datasets.load_from_disk(spec)
            return loaded[part] if isinstance(loaded, dict) else loaded
        if not folder.exists() and not datasets.config.HF_HUB_OFFLINE:  # offline it looks into its cache only
            _reach_hub(spec)
        return datasets.load_dataset(spec, split=part)
    except (OSError, ValueError, KeyError, datasets.exceptions.DatasetsError) as exc:
        why = f"{exc} ({exc.__cause__})" if exc.__cause__ else str(exc)
        raise DataError(f"{spec!r} cannot be loaded as a dataset (part {part!r}): {why}") from exc


def _reach_hub(spec: str) -> None:
    """Fail at once, not after minutes of retries, when the hub is out of reach and the set is not cached."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().dataset_info(spec, timeout=5)
    except HfHubHTTPError as exc:
        raise DataError(f"the hub has no dataset {spec!r} for us: {exc}") from exc
    except Exception as exc:
        raise DataError(
            f"{spec!r} is no file or folder here, and the hub cannot be reached ({type(exc).__name__}); "
            "give a JSONL file or a datasets folder"
        ) from exc


def _rows(dataset: Any) -> Iterator[dict[str, Any]]:
    """Yield rows with the names of class labels for their numbers; a missing one (None or -1) becomes None."""
    import datasets

    columns = {n: f.names for n, f in dataset.features.items() if isinstance(f, datasets.ClassLabel)}
    for row in dataset:
        names = {n: None if row[n] in (None, -1) else known[row[n]] for n, known in columns.items()}
        yield {**row, **names}
