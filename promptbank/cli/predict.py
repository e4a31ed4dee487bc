"""``promptbank predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptbank.cli.command import Common, Json, Lang, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "predict")(predict)


def predict(
    common: Common,
    data: Annotated[Path, typer.Option("--data", help="JSONL file of records; - reads stdin.")],
    task: Annotated[str | None, typer.Option("--task", help="taskname[:lang][@version]; else each record's.")] = None,
    lang: Lang = None,
    json: Json = False,
) -> None:
    """Answer records with frozen tasks: one answer a line, in the order of the input.

    A record that cannot be answered gets its error in its place, and the exit code is 1.

    Example: promptbank predict --task sentiment-task --data new.jsonl --json
    """
    from promptbank.cli import answering

    answering.predict(common.settings, data, task, lang, as_json=json)
