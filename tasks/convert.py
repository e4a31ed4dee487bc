"""The converter of FiQA, and what every converter gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.builtin import builtin_card
from tasks.errors import DataError
from tasks.template import Field, Text, scan_template

__all__ = ["Conversion", "convert_fiqa", "fiqa_items"]


@dataclass(frozen=True)
class Conversion:
    """Converted records, and what a person should know of them."""

    records: tuple[dict[str, str], ...]
    notes: tuple[str, ...]


def convert_fiqa(paths: Sequence[Path]) -> Conversion:
    """Convert FiQA 2018 task 1 (financial sentiment of a sentence towards a target, score -1 to 1).

    The group is the sentence without its target, so one headline with two targets never straddles a split. Rows with
    a score of 0 are dropped, and the notes say how many.

    Args:
        paths: the files ``task1_headline_ABSA_train.json`` and ``task1_post_ABSA_train.json``, or one of them.

    Raises:
        DataError: a file is not in this format.
    """
    card = builtin_card("sentiment-task", "en")
    records, neutral = [], 0
    rows = list(_fiqa_rows(paths))
    for key, number, sentence, target, score in rows:
        if score == 0:
            neutral += 1
            continue
        group = hashlib.sha256(" ".join(sentence.split()).encode()).hexdigest()[:16]
        records.append(
            {
                "taskname": card.taskname,
                "sentence": _filled(card.phrases["target"], {"sentence": sentence, "target": target}),
                "label": "positive" if score > 0 else "negative",
                "id": f"fiqa-{key}-{number}",
                "group": group,
                "target": target,
            }
        )
    groups = len({record["group"] for record in records})
    notes = [f"{len(records)} rows in {groups} groups"] + [f"{neutral} neutral rows dropped (score 0)"] * (neutral > 0)
    return Conversion(tuple(records), tuple(notes))


def _filled(phrase: str, values: Mapping[str, str]) -> str:
    """Put values into a phrase; what is in a value stays as it is."""
    segments = scan_template(phrase)[0]
    return "".join(s.text if isinstance(s, Text) else values[s.name] for s in segments if isinstance(s, (Text, Field)))


def fiqa_items(path: Path) -> Iterator[tuple[str, str]]:
    """Yield key and sentence of every item of a FiQA file.

    Raises:
        DataError: the file is not in this format.
    """
    for key, item in _fiqa_items(path):
        try:
            yield key, _words(item["sentence"])
        except (KeyError, TypeError, ValueError) as exc:
            raise DataError(f"{path}: item {key!r} is not in FiQA's format ({exc!r})") from exc


def _fiqa_rows(paths: Sequence[Path]) -> Iterator[tuple[str, int, str, str, float]]:
    """Yield key, number of the target, sentence, target and score of every target of all files."""
    seen: dict[str, Path] = {}
    for path in paths:
        for key, item in _fiqa_items(path):
            if key in seen:
                raise DataError(f"{path}: item {key!r} already stands in {seen[key]}; give each file and item once")
            seen[key] = path
            try:
                for number, info in enumerate(item["info"]):
                    sentence, target = _words(item["sentence"]), _words(info["target"])
                    score = float(info["sentiment_score"])
                    if not -1 <= score <= 1:
                        raise ValueError(f"score {score}; scores are -1 to 1")
                    yield key, number, sentence, target, score
            except (KeyError, TypeError, ValueError) as exc:
                raise DataError(f"{path}: item {key!r} is not in FiQA's format ({exc!r})") from exc


def _fiqa_items(path: Path) -> list[tuple[str, Any]]:
    """Return the items of a file; a key that stands twice keeps both."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_Pairs)
    except (OSError, ValueError, RecursionError) as exc:
        raise DataError(f"{path} cannot be read as FiQA JSON: {exc}") from exc
    if not isinstance(content, _Pairs):
        raise DataError(f"{path} is not in FiQA's format: an object of items is needed, not {type(content).__name__}")
    return content.pairs


class _Pairs(dict[str, Any]):
    """A JSON object that also remembers the keys that stand twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def _words(value: object) -> str:
    """Return a text as it is; raise `ValueError` for what no tokenizer takes."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise ValueError(f"{value!r} holds a NUL or half a surrogate pair")
    return value
