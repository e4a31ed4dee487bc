"""``promptbank baseline``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptbank.cli.command import Command, Context, Data, Json, Lang, Out

if TYPE_CHECKING:
    from pathlib import Path

    from promptbank.config import Settings
    from promptbank.lab.experiments.baseline import BaselineSettings

COLUMNS = ("method", "shots", "calibration", "accuracy", "sd_folds", "sd_seeds", "macro_f1", "macro_f1_sd_folds")


app = typer.Typer()


@app.command("baseline", cls=Command)
def baseline(
    ctx: Context,
    task: Annotated[str | None, typer.Option("--task", help="taskname[:lang] of a card.")] = None,
    lang: Lang = None,
    data: Data = None,
    card: Annotated[str | None, typer.Option(help="Card file (JSONL), or a built-in variant such as article.")] = None,
    folds: Annotated[int, typer.Option(help="Grouped folds, each the test part once.")] = 10,
    shots: Annotated[
        list[int] | None, typer.Option(help="Examples in the prompt; repeatable. Default: 0, 1, 4.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Draws of shots for each fold.")] = 5,
    dev_fraction: Annotated[float, typer.Option(help="Share of the other folds' groups kept for dev.")] = 0.1,
    calibrate: Annotated[
        list[str] | None,
        typer.Option(help="none, diag, identity or batch, shown; all are stored. Repeatable. Default: none, diag."),
    ] = None,
    instruction: Annotated[
        bool, typer.Option("--instruction/--no-instruction", help="Begin prompts with the description and label words.")
    ] = True,
    out: Out = None,
    json: Json = False,
) -> None:
    """Score a task without training a prompt: majority, TF-IDF, and the frozen backbone with shots in its prompt.

    Every row is predicted once, in the fold that holds it. A killed run goes on when the same command is given again.
    Without --data the card's shipped training sample is used.

    Example: promptbank baseline --task sentiment-task --folds 5 --shots 0 --shots 4 --seeds 1
    """
    from promptbank.lab.experiments.baseline import BaselineSettings

    asked = BaselineSettings(folds, tuple(shots or (0, 1, 4)), seeds, instruction, dev_fraction)
    _run(ctx.settings, (task, lang, card), data, asked, tuple(calibrate or ("none", "diag")), out, as_json=json)


def _run(
    settings: Settings,
    named: tuple[str | None, str | None, str | None],
    data: Sequence[str] | None,
    asked: BaselineSettings,
    calibrate: Sequence[str],
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Run the experiment and print its table."""
    from promptbank.bank.cards import chosen_card, examples_of
    from promptbank.cli.output import print_table, say
    from promptbank.cli.progress import counting
    from promptbank.cli.reporting import read_result, write
    from promptbank.cli.session import opened_bank
    from promptbank.lab.experiments.baseline import run_baseline
    from promptbank.lab.experiments.method_reports import baseline_report
    from promptbank.report.canvas import need_matplotlib

    need_matplotlib()
    with opened_bank(settings) as (store, backbone):
        card = chosen_card(store, *named)
        found = examples_of(card, data, part="train")
        say(found.note)
        with counting() as show:
            result = run_baseline(
                settings.home,
                backbone,
                card,
                found.examples,
                asked,
                calibrate=calibrate,
                on_rows=lambda rows: show(rows.done, rows.total, "rows scored"),
            )
    methods = [m for m in result.results["methods"] if m["calibration"] in (None, *calibrate)]
    print_table(map(_line, methods), COLUMNS, as_json=as_json)
    write(baseline_report(read_result(result.path)), result.path, out)


def _line(method: Mapping[str, Any]) -> dict[str, object]:
    """One method as a line of the table; scores to four decimals."""
    from promptbank.cli.output import rounded

    accuracy, macro_f1 = method["accuracy"], method["macro_f1"]
    return {
        **{key: method[key] for key in ("method", "shots", "calibration")},
        "accuracy": rounded(accuracy["mean"]),
        "sd_folds": rounded(accuracy["sd_folds"]),
        "sd_seeds": rounded(accuracy["sd_seeds"]),
        "macro_f1": rounded(macro_f1["mean"]),
        "macro_f1_sd_folds": rounded(macro_f1["sd_folds"]),
        "macro_f1_sd_seeds": rounded(macro_f1["sd_seeds"]),
    }
