"""Small tasks made from real sets, for streams of many tasks: scenario, clock question, headline or post."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tasks.convert import Conversion, fiqa_items
from tasks.errors import DataError
from tasks.examples import read_jsonl
from tasks.sampling import sample_key

__all__ = ["convert_clock_questions", "convert_headline_or_post", "convert_scenarios"]

CLOCK_SCENARIO = "datetime"
OTHERS = 3
"""Rows that are no clock questions for each that is one."""


def convert_scenarios(paths: Sequence[Path]) -> Conversion:
    """Convert the assistant set to its 18 scenarios: what is this request about?

    Raises:
        DataError: a file is not in this format.
    """
    records = [_record("scenario", n, text, scenario) for n, text, scenario in _assistant(paths)]
    return Conversion(tuple(records), (f"{len(records)} rows",))


def convert_clock_questions(paths: Sequence[Path]) -> Conversion:
    """Convert the assistant set to a question: does this request ask for time or date?

    All that do are kept, and three times as many others, chosen by the hash of their ids.

    Raises:
        DataError: a file is not in this format.
    """
    rows = list(_assistant(paths))
    asking = [row for row in rows if row[2] == CLOCK_SCENARIO]
    others = sorted((row for row in rows if row[2] != CLOCK_SCENARIO), key=lambda row: sample_key(0, row[0]))
    kept = {number for number, _, _ in (*asking, *others[: OTHERS * len(asking)])}
    records = [
        _record("clock-question", n, text, "yes" if scenario == CLOCK_SCENARIO else "no")
        for n, text, scenario in rows
        if n in kept
    ]
    left_out = len(rows) - len(records)
    return Conversion(tuple(records), (f"{len(records)} rows, {len(asking)} of them yes", f"{left_out} rows left out"))


def convert_headline_or_post(paths: Sequence[Path]) -> Conversion:
    """Convert FiQA's sentences to where they stood: a newspaper's headline, or a post.

    Raises:
        DataError: a file is not in this format, or its name says neither headline nor post.
    """
    records: dict[tuple[str, str], dict[str, str]] = {}
    for path in paths:
        label = next((kind for kind in ("headline", "post") if kind in path.name), None)
        if label is None:
            raise DataError(f"{path}: the file's name must hold 'headline' or 'post', which is the label of its rows")
        for key, sentence in fiqa_items(path):
            group = hashlib.sha256(" ".join(sentence.split()).encode()).hexdigest()[:16]
            records.setdefault(
                (sentence, label),
                {
                    "taskname": "headline-or-post",
                    "sentence": sentence,
                    "label": label,
                    "id": f"fiqa-{key}",
                    "group": group,
                },
            )
    return Conversion(tuple(records.values()), (f"{len(records)} different sentences",))


def _assistant(paths: Sequence[Path]) -> Iterator[tuple[str, str, str]]:
    """Yield answer id, text and scenario."""
    for path in paths:
        for record in read_jsonl(path):
            if isinstance(record, DataError):
                raise record
            try:
                number, text, scenario = (record.data[key] for key in ("answerid", "text", "scenario"))
            except KeyError as exc:
                raise DataError(
                    f"{record.source}: field {exc} is missing; this is no row of the assistant set"
                ) from exc
            if not isinstance(text, str) or not isinstance(scenario, str):
                raise DataError(
                    f"{record.source}: text and scenario must be text, not {json.dumps([text, scenario])[:60]}"
                )
            yield str(number), text, scenario


def _record(taskname: str, number: str, text: str, label: str) -> dict[str, str]:
    group, own = (hashlib.sha256(t.encode()).hexdigest() for t in (" ".join(text.casefold().split()), text))
    row = f"assistant-{number}-{own[:8]}"  # an answer id stands for several texts
    return {"taskname": taskname, "utterance": text, "label": label, "id": row, "group": group[:16]}
