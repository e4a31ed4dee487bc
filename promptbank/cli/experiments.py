"""Commands that train or measure many times: they resume, show progress, and leave a result file and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptbank.cli.command import Card, Command, Context, Data, Json, Lang, Out, Task, TrainingCommand, TrainingContext

Folds = Annotated[int, typer.Option(min=2, help="Number of folds, by groups.")]


app = typer.Typer()


@app.command("crossval", cls=TrainingCommand)
def crossval(
    ctx: TrainingContext,
    task: Task,
    lang: Lang = None,
    data: Data = None,
    card: Card = None,
    folds: Folds = 10,
    other: Annotated[
        list[str] | None,
        typer.Option(
            help="LANG=FILE, the rows in another language: learn from them, from both, and from these after them, too. "
            "Repeatable."
        ),
    ] = None,
    provenance: Annotated[
        Path | None, typer.Option(help="Of the translated rows: learn from those without a flag too.")
    ] = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Learn and score a task on K folds, beside majority and TF-IDF on the same folds.

    Folds are a function of each row's group, so translations have the folds of their source. All folds train in
    shared batches, into a bank of the experiment's own. With --other and --provenance the same test rows are also
    answered by prompts that learnt from other rows. A killed command goes on when it is given again.

    Example: promptbank crossval --task sentiment-task --data fiqa.jsonl --folds 10
    """
    from promptbank.cli import experimenting
    from promptbank.training.config import checked_config

    chosen = experimenting.Chosen(task, lang, card, data)
    arms = experimenting.ArmsAsked(other or [], provenance)
    experimenting.crossval(
        ctx.settings, chosen, checked_config(ctx.training_settings()), folds, arms, out, as_json=json
    )


@app.command("curve", cls=TrainingCommand)
def curve(
    ctx: TrainingContext,
    task: Task,
    lang: Lang = None,
    data: Data = None,
    card: Card = None,
    fractions: Annotated[str, typer.Option(help="Shares of the training rows.")] = "1,.5,.1,.05,.01",
    repeats: Annotated[int, typer.Option(min=1, help="Trainings of each share, the next with the next fold.")] = 6,
    folds: Folds = 10,
    start: Annotated[
        list[str] | None,
        typer.Option("--start", help="Starts to compare, as --init takes them; no row of the task itself. Repeatable."),
    ] = None,
    other: Annotated[
        list[str] | None,
        typer.Option(
            help="LANG=FILE, the rows in another language: they are learnt first, without the folds that are tested, "
            "for --start from:taskname:LANG. Repeatable."
        ),
    ] = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Learn a task from fewer and fewer rows: nested samples, the spread of repeats, TF-IDF beside it.

    With --other, what does a language gain by starting from the row of another one? A killed command goes on when it is
    given again.

    Example: promptbank curve --task sentiment-task --data fiqa.jsonl --fractions 1,.5,.1,.05,.01 --repeats 6
    """
    from promptbank.cli import experimenting
    from promptbank.training.config import checked_config

    if start and ctx.training["init"]:
        raise typer.BadParameter("--init beside --start: name every start with --start")
    chosen = experimenting.Chosen(task, lang, card, data)
    plan = experimenting.curve_plan(fractions, repeats, folds, start or [])
    experimenting.curve(
        ctx.settings, chosen, checked_config(ctx.training_settings()), plan, other or [], out, as_json=json
    )


@app.command("sweep", cls=TrainingCommand)
def sweep(
    ctx: TrainingContext,
    task: Task,
    lang: Lang = None,
    data: Data = None,
    card: Card = None,
    settings: Annotated[int, typer.Option(min=3, help="Settings that are tried.")] = 9,
    folds: Annotated[int, typer.Option(min=2, help="Inner folds of each setting.")] = 2,
    rungs: Annotated[int, typer.Option(min=1, help="Rungs of successive halving.")] = 2,
    keep_out: Annotated[
        int | None, typer.Option(min=0, max=9, help="Fold of ten that is not looked at, for an honest test.")
    ] = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Try settings: number and placement of virtual tokens, encoder, start, learning rate.

    Settings are drawn by the seed. Those of a rung train in shared batches; the best third goes on to three times the
    rows. A setting whose loss is not finite fails alone. A killed command goes on when it is given again.

    Example: promptbank sweep --task sentiment-task --data fiqa.jsonl --keep-out 0
    """
    from promptbank.cli import experimenting
    from promptbank.training.config import checked_config

    chosen = experimenting.Chosen(task, lang, card, data)
    config = checked_config(ctx.training_settings())
    plan = experimenting.SweepPlan(settings=settings, folds=folds, rungs=rungs, seed=config.seed)
    experimenting.sweep(ctx.settings, chosen, config, plan, keep_out, out, as_json=json)


@app.command("continual", cls=Command)
def continual(
    ctx: Context,
    stream: Annotated[Path, typer.Argument(help="TOML file of the tasks in their order.")],
    contrast: Annotated[bool, typer.Option(help="Fine-tune a copy of the backbone on the same stream too.")] = True,
    out: Out = None,
    json: Json = False,
) -> None:
    """Learn a stream of tasks; after each a new process opens the bank and answers all tasks so far.

    Reports average accuracy, backward transfer and forgetting. A killed command goes on when it is given again. The
    exit code is 3 when an answer moved or the bank has a fault.

    Example: promptbank continual configs/stream/stream.toml
    """
    from promptbank.cli import experimenting

    experimenting.continual(ctx.settings, stream, out, contrast=contrast, as_json=json)
