"""``promptbank evaluate``: score a frozen task."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from promptbank.cli.command import Columns, Command, CommandContext, Data, Json, Lang
from promptbank.cli.output import print_facts, print_json, print_table, say

app = typer.Typer()

Dtype = Annotated[
    Literal["float32", "bfloat16"],
    typer.Option(help="Number format of the backbone. `serve --dtype bfloat16` needs evaluations in both."),
]

SHARES = ("accuracy", "intent_accuracy", "exact_match")
"""Metrics that are shares of right answers, which have a standard error."""
SHOWN = 3
"""Labels that are shown of those a label was taken for."""


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
    dtype: Dtype = "float32",
    json: Json = False,
) -> None:
    """Score a frozen task on labelled data, from its stored row.

    Without --data the test part of the card's shipped sample is used. The score is kept with the row.

    Example: promptbank evaluate --task sentiment-task
    """
    from promptbank.bank import evaluate as use_case
    from promptbank.cli.progress import opened

    with opened(ctx.settings) as bank:
        found = use_case.evaluate(bank, task, data, lang=lang, columns=columns, constrained=constrained, dtype=dtype)
    if found.metrics.get("collapse"):
        say(f"warning: {found.metrics['collapse']}")
    if not json:
        _print(found.metrics)
        return
    row, scope = found.row, found.row.scope
    about = {"taskname": scope.taskname, "lang": scope.lang, "version": row.version, "sha256": row.sha256}
    about |= {"dtype": dtype, "data_sha256": found.data_sha256, "data": found.report.as_dict()}
    print_json(about | found.metrics)


def _print(metrics: Mapping[str, Any]) -> None:
    """Print the scores, each label's, and which labels were taken for which."""
    from tasks.statistics import share_error

    n = metrics["n"]
    shares = {key: metrics[key] for key in SHARES if key in metrics}
    facts = {"examples": n} | {key: f"{value:.3f} ± {share_error(value, n):.3f}" for key, value in shares.items()}
    others = {key: value for key, value in metrics.items() if isinstance(value, float) and key not in shares}
    print_facts(facts | {key: f"{value:.3f}" for key, value in others.items()}, as_json=False)
    labels = metrics.get("labels", ())
    if not labels:
        return
    typer.echo()
    print_table(({"label": name, **_label_line(metrics, place)} for place, name in enumerate(labels)), as_json=False)


def _label_line(metrics: Mapping[str, Any], place: int) -> dict[str, object]:
    """Return the scores of a label, and the labels that were given in its place most often."""
    label, row = metrics["labels"][place], metrics["confusion"][place]
    score = metrics["per_label"][label]
    wrong = sorted(((count, k) for k, count in enumerate(row) if count and k != place), key=lambda pair: -pair[0])
    taken = ", ".join(f"{metrics['labels'][k]} {count}" for count, k in wrong[:SHOWN])
    scores = {key: f"{score[key]:.2f}" for key in ("precision", "recall", "f1")}
    return {"examples": score["support"], **scores, "taken for": taken or None}
