"""``promptbank train``: learn tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from promptbank.cli.command import Card, Columns, Data, Json, Lang, TrainingCommand, TrainingContext
from promptbank.cli.evaluate import SHARES
from promptbank.cli.output import print_done, say
from tasks import FORMAT_SCORES, counted

if TYPE_CHECKING:
    from promptbank.bank.learn import LearntTask

app = typer.Typer()

SHOWN = ("accuracy", "macro_f1", *FORMAT_SCORES, "exact_match")


@app.command("train", cls=TrainingCommand)
def train(
    ctx: TrainingContext,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="taskname[:lang] of a card; repeatable, learnt together.")
    ] = None,
    lang: Lang = None,
    data: Data = None,
    columns: Columns = None,
    all_tasks: Annotated[
        bool, typer.Option("--all-tasks", help="Learn every task that the data names, in place of --task.")
    ] = False,
    card: Card = None,
    dev_data: Annotated[
        list[str] | None,
        typer.Option("--dev-data", help="As --data: examples that choose the epoch, in place of a part of --data."),
    ] = None,
    live: Annotated[
        str, typer.Option(help="gated: live only if not worse than the live row on the dev examples; always; never.")
    ] = "gated",
    json: Json = False,
) -> None:
    """Learn a task: train its prompt, freeze the best epoch, measure it, make it live if it is not worse.

    A killed training goes on when the same command is given again. Without --data the card's shipped sample is
    used. With several tasks the records of each file are those that name the task; others are left out and counted.

    Example: promptbank train --task sentiment-task
    """
    if all_tasks and (task or not data):
        raise typer.BadParameter("--all-tasks goes with --data and without --task")
    from promptbank.bank import train as use_case
    from promptbank.cli.progress import opened

    with opened(ctx.settings) as bank:
        settings = ctx.training_settings()
        learnt = use_case.train(
            bank,
            *(task or ()),
            data=data,
            lang=lang,
            card=card,
            columns=columns,
            all_tasks=all_tasks,
            dev_data=dev_data,
            live=live,
            settings=settings,
        )
    for one in learnt:
        _print(one, as_json=json)


def _print(learnt: LearntTask, *, as_json: bool) -> None:
    row, scope = learnt.row, learnt.row.scope
    shown = {epoch.restart for epoch in learnt.trained.epochs}  # with the epoch that it followed
    for note in learnt.notes:
        if note not in shown:
            say(note)
    for warning in learnt.warnings:
        say(f"warning: {warning}")
    if learnt.comparison:
        say(f"compared with the live row: {learnt.comparison}")
    name, n = f"{scope.taskname}:{scope.lang}@{row.version}", int(str(learnt.metrics["n"]))
    scores = ", ".join(_score(key, float(str(learnt.metrics[key])), n) for key in SHOWN if key in learnt.metrics)
    state = "is live" if learnt.is_live else "is frozen, but not live"
    dev = counted(n, "example", "examples")
    told = f"{name} {state}: {len(row.data)} bytes, dev ({dev}, float32, stored row): {scores}"
    if not learnt.is_live:
        told += f"; `promptbank bank promote {name}` makes it live"
    about = {"taskname": scope.taskname, "lang": scope.lang, "version": row.version, "sha256": row.sha256}
    about |= {"run": learnt.run_id, "best_epoch": learnt.trained.best_epoch, "dev": learnt.metrics}
    about |= {"live": learnt.is_live, "comparison": learnt.comparison or None}
    about |= {"data": learnt.report.as_dict() if learnt.report else None}
    print_done(told, about, as_json=as_json)


def _score(key: str, value: float, n: int) -> str:
    """Write a score, with its standard error where it is a share of right answers."""
    if key not in SHARES:
        return f"{key} {value:.3f}"
    from tasks.statistics import share_error

    return f"{key} {value:.3f} ± {share_error(value, n):.3f}"
