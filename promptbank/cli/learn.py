"""``promptbank train`` and ``promptbank evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptbank.cli.command import Common, Json, Lang, command

Data = Annotated[list[str] | None, typer.Option("--data", help="JSONL file, datasets folder or hub id; repeatable.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "train")(train)
    command(app, "evaluate")(evaluate)


def train(
    common: Common,
    task: Annotated[str | None, typer.Option("--task", help="taskname[:lang] of a card.")] = None,
    lang: Lang = None,
    data: Data = None,
    card: Annotated[str | None, typer.Option(help="Card file (JSONL), or a built-in variant such as article.")] = None,
    run_file: Annotated[Path | None, typer.Option("--run-file", help="TOML file of settings; options win.")] = None,
    encoder: Annotated[str | None, typer.Option(help="lstm.v1, mlp.v1 or embedding.v1.")] = None,
    init: Annotated[str | None, typer.Option(help="text, labels, vocabulary or from:taskname[:lang].")] = None,
    epochs: Annotated[int | None, typer.Option(help="Most passes over the rows.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    patience: Annotated[int | None, typer.Option(help="Epochs without a better dev score.")] = None,
    dev_fraction: Annotated[float | None, typer.Option(help="Share of the groups kept for dev.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    dtype: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")] = None,
    json: Json = False,
) -> None:
    """Learn a task: train its prompt, freeze the best epoch, measure it, make it live.

    A killed training goes on when the same command is given again. Without --data the card's shipped sample is
    used.

    Example: promptbank train --task sentiment-task
    """
    from promptbank.cli import learning

    options = {
        "encoder": encoder,
        "init": init,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "patience": patience,
        "dev_fraction": dev_fraction,
        "seed": seed,
        "dtype": dtype,
    }
    learning.train(common.settings, task, lang, data, card, learning.run_config(run_file, options), as_json=json)


def evaluate(
    common: Common,
    task: Annotated[str, typer.Option("--task", help="taskname[:lang][@version] of a frozen task.")],
    lang: Lang = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Score a frozen task on labelled data, in float32 from its stored row.

    Without --data the test part of the card's shipped sample is used. The score is kept with the row.

    Example: promptbank evaluate --task sentiment-task
    """
    from promptbank.cli import learning

    learning.evaluate(common.settings, task, lang, data, as_json=json)
