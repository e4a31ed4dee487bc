"""``promptbank train``: learn tasks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from promptbank.cli.command import Card, Columns, Data, Json, Lang, TrainingCommand, TrainingContext
from promptbank.cli.evaluate import SHARES
from promptbank.cli.output import print_done, say
from promptbank.service.workers import stop_with_parent
from tasks import FORMAT_SCORES, counted

if TYPE_CHECKING:
    from promptbank.bank.learn import LearntTask

app = typer.Typer()

NICE = 10
"""By how much a training that a service has started stands back for what answers."""
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
    queue: Annotated[
        bool, typer.Option("--queue", help="Train what was asked for on the console and waits, and nothing else.")
    ] = False,
    of_service: Annotated[bool, typer.Option("--of-service", hidden=True, help="A service has started this.")] = False,
    json: Json = False,
) -> None:
    """Learn a task: train its prompt, freeze the best epoch, measure it, make it live if it is not worse.

    A killed training goes on when the same command is given again. Without --data the card's shipped sample is
    used. With several tasks the records of each file are those that name the task; others are left out and counted.

    Example: promptbank train --task sentiment-task
    """
    if all_tasks and (task or not data):
        raise typer.BadParameter("--all-tasks goes with --data and without --task")
    if queue:
        if task or data or card or all_tasks:
            raise typer.BadParameter("--queue trains what waits in the bank; name no task, card or data beside it")
        _work_off(ctx, of_service=of_service, as_json=json)
        return
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


def _work_off(ctx: TrainingContext, *, of_service: bool, as_json: bool) -> None:
    """Train what waits; a process that a service has started ends with it, and leaves it the processor."""
    from promptbank.bank.training_queue import work_off
    from promptbank.cli.progress import opened

    if of_service:
        stop_with_parent()
        os.nice(NICE)
    with opened(ctx.settings) as bank:
        is_empty = True
        for one in work_off(bank):
            is_empty = False
            about = {"training": one.training_id, "task": one.task, "state": one.state, "told": one.told}
            print_done(f"training {one.training_id} of {one.task}: {one.state}; {one.told}", about, as_json=as_json)
    if is_empty:
        say("no training waits in the queue")


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
