"""``promptbank predict``: answer records."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptbank.cli.command import Command, CommandContext, Json, Lang
from promptbank.cli.output import print_json, say
from promptbank.errors import InputError

if TYPE_CHECKING:
    from promptbank.engine.predictor import Prediction

app = typer.Typer()


@app.command("predict", cls=Command)
def predict(
    ctx: CommandContext,
    data: Annotated[Path, typer.Option("--data", help="JSONL file of records; - reads stdin.")],
    task: Annotated[str | None, typer.Option("--task", help="taskname[:lang][@version]; else each record's.")] = None,
    lang: Lang = None,
    json: Json = False,
) -> None:
    """Answer records with frozen tasks: one answer a line, in the order of the input.

    A record that cannot be answered gets its error in its place, and the exit code is 1.

    Example: promptbank predict --task sentiment-task --data new.jsonl --json
    """
    from promptbank.bank.predict import answers
    from promptbank.cli.progress import opened
    from tasks import read_jsonl

    name = "stdin" if str(data) == "-" else str(data)
    records = read_jsonl(sys.stdin.buffer if name == "stdin" else data, name=name)
    with opened(ctx.settings) as bank:
        answered = [_print(answer, as_json=json) for answer in answers(bank, records, task=task, lang=lang)]
    if not answered:
        raise InputError(f"{name} holds no records; give one JSON object a line")
    if failed := answered.count(False):
        say(f"error: {failed} of {len(answered)} records could not be answered; their errors stand in their places")
        raise typer.Exit(1)


def _print(answer: Prediction | Exception, *, as_json: bool) -> bool:
    """Print an answer or what stands in its place; return whether it is an answer."""
    from promptbank.problems import problem_of

    if isinstance(answer, Exception):
        print_json(problem_of(answer).as_dict()) if as_json else typer.echo(f"error: {answer}")
        return False
    if as_json:
        print_json(answer.as_dict())
    elif answer.text is not None:
        typer.echo(answer.text.strip().replace("\n", " | "))
    elif answer.label is not None and answer.probabilities is not None:
        typer.echo(f"{answer.label}\t{answer.probabilities[answer.label]:.3f}")
    return True
