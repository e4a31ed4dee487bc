"""Commands that train or measure many times: they resume, show progress, and leave a result file and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptbank.cli.command import Common, Data, Json, Lang, command
from promptbank.cli.training import TrainingOptions

Task = Annotated[str, typer.Option("--task", help="taskname[:lang] of a card.")]
Card = Annotated[str | None, typer.Option(help="Card file (JSONL), or a built-in variant such as article.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for the report; the experiment's own if absent.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "crossval")(crossval)


def crossval(
    common: Common,
    training: TrainingOptions,
    task: Task,
    lang: Lang = None,
    data: Data = None,
    card: Card = None,
    folds: Annotated[int, typer.Option(min=2, help="Number of folds, by groups.")] = 10,
    out: Out = None,
    json: Json = False,
) -> None:
    """Learn and score a task on K folds, beside majority and TF-IDF on the same folds.

    Folds are a function of each row's group, so translations have the folds of their source. All folds train in
    shared batches, into a bank of the experiment's own. A killed command goes on when it is given again.

    Example: promptbank crossval --task sentiment-task --data fiqa.jsonl --folds 10
    """
    from promptbank.cli import experimenting

    chosen = experimenting.Chosen(task, lang, card, data)
    experimenting.crossval(common.settings, chosen, training.config(), folds, out, as_json=json)
