"""What ``predict`` does, once its options are read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import typer

from promptbank.bank.task_server import Desk, Question
from promptbank.cli.output import print_json, say
from promptbank.cli.session import opened_desk
from promptbank.config import Settings
from promptbank.engine.predictor import Prediction
from promptbank.errors import InputError
from promptbank.problems import problem_of
from tasks import read_jsonl

CHUNK_RECORDS = 256
"""Records answered together: enough to batch by length, and answers appear as the input is read."""


def predict(settings: Settings, data: Path, task: str | None, lang: str | None, *, as_json: bool) -> None:
    """Answer all records, a chunk at a time, in order."""
    failed = total = 0
    with opened_desk(settings) as desk:
        for answer in _answers(desk, data, task, lang):
            total += 1
            failed += not isinstance(answer, Prediction)
            _show(answer, as_json=as_json)
    if not total:
        raise InputError(f"{'stdin' if str(data) == '-' else data} holds no records; give one JSON object a line")
    if failed:
        say(f"error: {failed} of {total} records could not be answered; their errors stand in their places")
        raise typer.Exit(1)


def _answers(desk: Desk, data: Path, task: str | None, lang: str | None) -> Iterator[Prediction | Exception]:
    source = sys.stdin.buffer if str(data) == "-" else data
    records = read_jsonl(source, name="stdin" if str(data) == "-" else str(data))
    while chunk := [Question(record, task, lang) for record in islice(records, CHUNK_RECORDS)]:
        yield from desk.answer(chunk)


def _show(answer: Prediction | Exception, *, as_json: bool) -> None:
    if not isinstance(answer, Prediction):
        print_json(problem_of(answer).as_dict()) if as_json else typer.echo(f"error: {answer}")
    elif as_json:
        print_json(answer.as_dict())
    elif answer.text is not None:
        typer.echo(answer.text.strip().replace("\n", " | "))
    else:
        assert answer.label is not None and answer.probabilities is not None  # noqa: S101, PT018 - a closed answer
        typer.echo(f"{answer.label}\t{answer.probabilities[answer.label]:.3f}")
