"""The commands `crossval`, `curve`, `sweep` and `continual`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptbank.cli.command import (
    CHECK_SAID_NO,
    Card,
    Columns,
    Command,
    CommandContext,
    Data,
    Engine,
    Json,
    Lang,
    Out,
    Task,
    TrainingCommand,
    TrainingContext,
)
from promptbank.cli.output import print_json, print_table, say
from promptbank.errors import ConfigError

if TYPE_CHECKING:
    from promptbank.lab.run import ExperimentResult

app = typer.Typer()

FoldRule = Annotated[
    str, typer.Option(help="even.v1, as even in labels as groups allow, or hash.v1, by the group alone.")
]
Folds = Annotated[int, typer.Option(min=2, help="Number of folds, by groups.")]


@app.command("crossval", cls=TrainingCommand)
def crossval(
    ctx: TrainingContext,
    task: Task,
    lang: Lang = None,
    data: Data = None,
    columns: Columns = None,
    card: Card = None,
    folds: Folds = 10,
    fold_rule: FoldRule = "even.v1",
    other: Annotated[
        list[str] | None,
        typer.Option(
            help="LANG=FILE, the records in another language: learn from them, from both, and from these after them,"
            " too. Repeatable."
        ),
    ] = None,
    provenance: Annotated[
        Path | None, typer.Option(help="Of the translated records: learn from those without a flag too.")
    ] = None,
    engine: Engine = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Learn and score a task on K folds, beside majority and TF-IDF on the same folds.

    Examples of one group are in one fold. With --fold-rule hash.v1 a translation that lacks some examples has the folds
    of its source, and they are those of compare and continual; baseline takes the same option. All folds train in
    shared batches, into a bank of the experiment's own. With --other and --provenance the same test set is also
    answered by prompts that learnt from other records. A killed command goes on when it is given again.

    Example: promptbank crossval --task sentiment-task --data fiqa.jsonl --folds 10
    """
    from promptbank.cli.progress import opened
    from promptbank.lab import run

    with opened(ctx.on(engine)) as bank:
        examples, settings = run.TaskExamples(task, data, lang, card, columns=columns), ctx.training_settings()
        done = run.crossval(
            bank, examples, settings, folds=folds, fold_rule=fold_rule, other=other or (), provenance=provenance
        )
    _print(done, out, as_json=json)


@app.command("curve", cls=TrainingCommand)
def curve(
    ctx: TrainingContext,
    task: Task,
    lang: Lang = None,
    data: Data = None,
    columns: Columns = None,
    card: Card = None,
    fractions: Annotated[str, typer.Option(help="Shares of the training examples.")] = "1,.5,.1,.05,.01",
    repeats: Annotated[int, typer.Option(min=1, help="Trainings of each share, the next with the next fold.")] = 6,
    folds: Folds = 10,
    start: Annotated[
        list[str] | None,
        typer.Option("--start", help="Starts to compare, as --init takes them; no row of the task itself. Repeatable."),
    ] = None,
    other: Annotated[
        list[str] | None,
        typer.Option(
            help="LANG=FILE, the records in another language: they are learnt first, without the folds that are tested,"
            " for --start from:taskname:LANG. Repeatable."
        ),
    ] = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Learn a task from fewer and fewer examples: nested samples, the spread of repeats, TF-IDF beside it.

    With --other, what does a language gain by starting from the row of another one? A killed command goes on when it is
    given again.

    Example: promptbank curve --task sentiment-task --data fiqa.jsonl --fractions 1,.5,.1,.05,.01 --repeats 6
    """
    from promptbank.cli.progress import opened
    from promptbank.lab import run
    from promptbank.lab.experiments.curve import CurvePlan

    if start and ctx.training["init"]:
        raise typer.BadParameter("--init beside --start: name every start with --start")
    plan = CurvePlan(_shares(fractions), repeats, folds, tuple(dict.fromkeys(start or ())))
    with opened(ctx.settings) as bank:
        examples, settings = run.TaskExamples(task, data, lang, card, columns=columns), ctx.training_settings()
        done = run.curve(bank, examples, settings, plan, other=other or ())
    _print(done, out, as_json=json)


def _shares(fractions: str) -> tuple[float, ...]:
    """Read shares of the examples, the largest first."""
    try:
        shares = tuple(sorted({float(text) for text in fractions.split(",")}, reverse=True))
    except ValueError as exc:
        raise ConfigError(f"--fractions {fractions!r} is no list of numbers such as 1,.5,.1") from exc
    if not all(0 < share <= 1 for share in shares):
        raise ConfigError(f"--fractions {fractions!r}: shares are above 0 and at most 1")
    return shares


@app.command("sweep", cls=TrainingCommand)
def sweep(
    ctx: TrainingContext,
    task: Task,
    lang: Lang = None,
    data: Data = None,
    columns: Columns = None,
    card: Card = None,
    settings: Annotated[int, typer.Option(min=3, help="Settings that are tried.")] = 9,
    folds: Annotated[int, typer.Option(min=2, help="Inner folds of each setting.")] = 2,
    rungs: Annotated[int, typer.Option(min=1, help="Rungs of successive halving.")] = 2,
    keep_out: Annotated[
        int | None, typer.Option(min=0, max=9, help="Fold of ten that is not looked at, for an honest test.")
    ] = None,
    engine: Engine = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Try settings: number and placement of virtual tokens, encoder, start, learning rate.

    Settings are drawn by the seed. Those of a rung train in shared batches; the best third goes on to three times the
    examples. A setting whose loss is not finite fails alone. A killed command goes on when it is given again.

    Example: promptbank sweep --task sentiment-task --data fiqa.jsonl --keep-out 0
    """
    from promptbank.cli.progress import opened
    from promptbank.lab import run
    from promptbank.lab.experiments.sweep import SweepPlan

    plan = SweepPlan(settings=settings, folds=folds, rungs=rungs)
    with opened(ctx.on(engine)) as bank:
        examples = run.TaskExamples(task, data, lang, card, columns=columns)
        done = run.sweep(bank, examples, ctx.training_settings(), plan, kept_out=keep_out)
    _print(done, out, as_json=json)


@app.command("continual", cls=Command)
def continual(
    ctx: CommandContext,
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
    from promptbank.cli.progress import opened
    from promptbank.lab import run

    with opened(ctx.settings) as bank:
        done = run.continual(bank, stream, contrast=contrast)
    _print(done, out, as_json=json)
    found = done.result["results"]["bank"]
    if found["answers_moved"] or found["faults"]:
        raise typer.Exit(CHECK_SAID_NO)


def _print(done: ExperimentResult, out: Path | None, *, as_json: bool) -> None:
    """Write the report and print its first table."""
    from promptbank.report.cells import cell_plain, cell_text
    from promptbank.report.parts import Table

    table = next(part for part in done.report.parts if isinstance(part, Table))
    shown = cell_plain if as_json else partial(cell_text, decimals=table.decimals)
    rows = [dict(zip(table.columns, map(shown, row), strict=True)) for row in table.rows]
    written = write(done, out)
    if as_json:
        summary = done.report.summary
        data = {"data": done.data.as_dict()} if done.data else {}
        print_json({"result": str(done.path), "report": written, "summary": summary, "table": rows, **data})
    else:
        print_table(rows, table.columns, as_json=False)


def write(done: ExperimentResult, out: Path | None) -> list[str]:
    """Write a report, say what it warns of and where it is; return its paths."""
    written = list(map(str, done.write(out)))
    for line in done.report.falls_short:
        say(f"warning: {line}")
    say(f"result: {done.path}")
    say(f"report: {', '.join(written)}")
    return written
