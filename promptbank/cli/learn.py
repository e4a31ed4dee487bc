"""``promptbank train`` and ``promptbank evaluate``."""

from __future__ import annotations

from typing import Annotated

import typer

from promptbank.cli.command import Common, Data, Json, Lang, command
from promptbank.cli.training import TrainingOptions


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "train")(train)
    command(app, "evaluate")(evaluate)


def train(
    common: Common,
    training: TrainingOptions,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="taskname[:lang] of a card; repeatable, learnt together.")
    ] = None,
    lang: Lang = None,
    data: Data = None,
    card: Annotated[str | None, typer.Option(help="Card file (JSONL), or a built-in variant such as article.")] = None,
    json: Json = False,
) -> None:
    """Learn a task: train its prompt, freeze the best epoch, measure it, make it live.

    A killed training goes on when the same command is given again. Without --data the card's shipped sample is
    used. With several tasks the rows of each file are those that name the task.

    Example: promptbank train --task sentiment-task
    """
    from promptbank.cli import learning

    learning.train(common.settings, task, lang, data, card, training.config(), as_json=json)


def evaluate(
    common: Common,
    task: Annotated[str, typer.Option("--task", help="taskname[:lang][@version] of a frozen task.")],
    lang: Lang = None,
    data: Data = None,
    constrained: Annotated[
        bool,
        typer.Option(
            "--constrained/--unconstrained",
            help="Hold open answers to the card's answer format; rows learnt by its grammar need it.",
        ),
    ] = True,
    json: Json = False,
) -> None:
    """Score a frozen task on labelled data, in float32 from its stored row.

    Without --data the test part of the card's shipped sample is used. The score is kept with the row.

    Example: promptbank evaluate --task sentiment-task
    """
    from promptbank.cli import learning

    learning.evaluate(common.settings, task, lang, data, constrained=constrained, as_json=json)
