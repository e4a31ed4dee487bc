"""``promptbank predict``: answer records."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from promptbank.cli.command import Columns, Command, CommandContext, Json, Lang
from promptbank.cli.output import print_json, say
from promptbank.errors import InputError

if TYPE_CHECKING:
    from promptbank.bank.session import Bank
    from promptbank.engine.predictor import Prediction
    from tasks import DataError, InputRecord

app = typer.Typer()

SHOWN = 10
"""Blank texts whose places are told."""


@app.command("predict", cls=Command)
def predict(
    ctx: CommandContext,
    data: Annotated[
        str, typer.Option("--data", help="File of records, datasets folder or hub id; - reads stdin, in any format.")
    ],
    task: Annotated[str | None, typer.Option("--task", help="taskname[:lang][@version]; else each record's.")] = None,
    lang: Lang = None,
    columns: Columns = None,
    json: Json = False,
) -> None:
    """Answer records with frozen tasks, one a line in the order of the input: answer, probability, text.

    With --json a record's own id stands in its answer. A record that cannot be answered gets its error in its place,
    and the exit code is 1.

    Example: promptbank predict --task sentiment-task --data new.jsonl --json
    """
    from promptbank.bank.predict import answers, fields_of, text_of
    from promptbank.cli.progress import opened
    from tasks import counted, is_blank, without_records

    with opened(ctx.settings) as bank:
        records = _records(data, columns, fields_of(bank, task, lang))
        found = answers(bank, records, task=task, lang=lang)
        answered, blank = [], []
        for record, answer in found:
            answered.append(_print(bank, record, answer, as_json=json))
            if isinstance(record, Exception) or isinstance(answer, Exception):
                continue
            if is_blank(text_of(bank, record, answer)):
                blank.append(record.source)
    if not answered:
        raise InputError(without_records("stdin" if data == "-" else data))
    if blank:
        said = counted(len(blank), "text is blank", "texts are blank")
        say(f"{said} and answered all the same: {', '.join(blank[:SHOWN])}{', ...' if blank[SHOWN:] else ''}")
    if failed := answered.count(False):
        say(f"error: {failed} of {len(answered)} records could not be answered; their errors stand in their places")
        raise typer.Exit(1)


def _records(data: str, columns: Mapping[str, str] | None, fields: Sequence[str]) -> Iterator[InputRecord | DataError]:
    """Read the records of stdin, of a file, or of all parts of a dataset, as they are asked for."""
    from tasks import read_file, read_parts

    if data == "-":
        yield from read_file(sys.stdin.buffer, name="stdin", columns=columns, fields=fields)
        return
    yield from chain.from_iterable(read_parts(data, columns=columns, fields=fields).values())


def _print(bank: Bank, record: InputRecord | DataError, answer: Prediction | Exception, *, as_json: bool) -> bool:
    """Print an answer or what stands in its place; return whether it is an answer."""
    from promptbank.bank.predict import text_of
    from promptbank.problems import problem_of

    own = {} if isinstance(record, Exception) or record.data.get("id") is None else {"id": record.data["id"]}
    if isinstance(answer, Exception):
        print_json(own | problem_of(answer).as_dict()) if as_json else typer.echo(f"error: {answer}")
        return False
    if as_json:
        print_json(own | answer.as_dict())
        return True
    cells = [answer.label or ""] if answer.text is None else [answer.text.strip().replace("\n", " | ")]
    if answer.label is not None and answer.probabilities is not None:
        cells.append(f"{answer.probabilities[answer.label]:.3f}")
    text = "" if isinstance(record, Exception) else text_of(bank, record, answer)
    typer.echo("\t".join([*cells, text]))
    return True
