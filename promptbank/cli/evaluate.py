"""``promptbank evaluate``: score a frozen task."""

import json as js
from typing import Annotated

import typer

from promptbank.cli.command import Columns, Command, CommandContext, Data, Json, Lang
from promptbank.cli.output import print_json, say

app = typer.Typer()


@app.command("evaluate", cls=Command)
def evaluate(
    ctx: CommandContext,
    task: Annotated[str, typer.Option("--task", help="taskname[:lang][@version] of a frozen task.")],
    lang: Lang = None,
    data: Data = None,
    columns: Columns = None,
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
    from promptbank.bank import evaluate as use_case
    from promptbank.cli.progress import opened

    with opened(ctx.settings) as bank:
        found = use_case.evaluate(bank, task, data, lang=lang, columns=columns, constrained=constrained)
    if found.metrics.get("collapse"):
        say(f"warning: {found.metrics['collapse']}")
    if not json:
        say(js.dumps(found.metrics, indent=2, ensure_ascii=False))
        return
    row, scope = found.row, found.row.scope
    about = {"taskname": scope.taskname, "lang": scope.lang, "version": row.version, "sha256": row.sha256}
    print_json(about | {"dtype": "float32", "data_sha256": found.data_sha256, **found.metrics})
