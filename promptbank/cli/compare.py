"""``promptbank baseline`` and ``promptbank compare``: a task by other means than a prompt."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from promptbank.cli.command import (
    Card,
    Columns,
    Command,
    CommandContext,
    Data,
    Engine,
    Epochs,
    Json,
    Lang,
    Loss,
    Out,
    Task,
)
from promptbank.cli.experiments import FoldRule, write
from promptbank.cli.output import print_table, rounded, say

app = typer.Typer()

COLUMNS = ("method", "shots", "calibration", "accuracy", "sd_folds", "sd_seeds", "macro_f1", "macro_f1_sd_folds")
SCORES = ("method", "score", "sd")
TestData = Annotated[
    list[str] | None, typer.Option(help="Test examples of the first task; a fold of --data if absent. Repeatable.")
]
Methods = Annotated[
    str, typer.Option(help="Of ptuning, deep, prompt, lora, bitfit, full, full-body, icl, tfidf; commas between them.")
]
Rates = Annotated[list[str] | None, typer.Option(help="Peak learning rate of a method, such as lora=5e-4; repeatable.")]

COSTS = ("forgetting", "trainable", "bytes_per_task", "train_seconds", "memory_mb")


@app.command("baseline", cls=Command)
def baseline(
    ctx: CommandContext,
    task: Annotated[str | None, typer.Option("--task", help="taskname[:lang] of a card.")] = None,
    lang: Lang = None,
    data: Data = None,
    columns: Columns = None,
    card: Card = None,
    folds: Annotated[int, typer.Option(help="Grouped folds, each the test part once.")] = 10,
    fold_rule: FoldRule = "even.v1",
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

    Every example is predicted once, in the fold that holds it. A killed run goes on when the same command is given
    again. Without --data the card's shipped training sample is used. The folds are those of crossval with the same
    --fold-rule; baselines of earlier versions were made with hash.v1.

    Example: promptbank baseline --task sentiment-task --folds 5 --shots 0 --shots 4 --seeds 1
    """
    from promptbank.cli.progress import opened
    from promptbank.lab import run
    from promptbank.lab.experiments.baseline import BaselineSettings

    settings = BaselineSettings(folds, tuple(shots or (0, 1, 4)), seeds, instruction, dev_fraction, fold_rule)
    shown = calibrate or ["none", "diag"]
    with opened(ctx.settings) as bank:
        done = run.baseline(bank, run.TaskExamples(task, data, lang, card, columns=columns), settings, calibrate=shown)
    methods = [method for method in done.result["results"]["methods"] if method["calibration"] in (None, *shown)]
    print_table(map(_baseline_line, methods), COLUMNS, as_json=json)
    write(done, out)


def _baseline_line(method: Mapping[str, Any]) -> dict[str, object]:
    """Return one baseline as a line of the table; scores to four decimals."""
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


FirstCard = Annotated[
    str | None, typer.Option(help="Card file (JSONL) of the first task, or a built-in variant such as article.")
]


@app.command("compare", cls=Command)
def compare(
    ctx: CommandContext,
    task: Task,
    lang: Lang = None,
    data: Data = None,
    columns: Columns = None,
    card: FirstCard = None,
    test_data: TestData = None,
    then: Annotated[str | None, typer.Option(help="Task to learn afterwards: what of the first is forgotten?")] = None,
    then_data: Annotated[list[str] | None, typer.Option(help="Examples of the second task; repeatable.")] = None,
    methods: Methods = "ptuning,prompt,lora,bitfit,full,icl,tfidf",
    seeds: Annotated[int, typer.Option(help="Runs of each method.")] = 3,
    rows: Annotated[
        int | None, typer.Option(help="Training examples of each task, drawn by the seed. Default: all.")
    ] = None,
    epochs: Epochs = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples a step. Default: 16, and 8 if deep.")] = None,
    lr: Rates = None,
    loss: Loss = None,
    dtype: Annotated[
        str | None, typer.Option(help="auto, float32 or bfloat16, of training; scores are float32.")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="One fold of so many, by groups, is the test part.")] = 5,
    dev_fraction: Annotated[float, typer.Option(help="Share of the other folds' groups kept for dev.")] = 0.1,
    engine: Engine = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Compare methods on one task: score, cost, and what a second task makes each of them forget.

    Every method learns from the same examples (icl sees four of them, tfidf the dev set too) and is scored on the same
    test set. Weights that a method changes are a copy's, and nothing enters the bank. A method that cannot run is
    listed with its reason. A killed command goes on when it is given again, and methods or seeds can be added. Without
    --data the card's shipped training sample is used.

    Example: promptbank compare --task sentiment-task --then topic-task --methods ptuning,lora,icl,tfidf --seeds 1
    """
    from promptbank.cli.progress import opened
    from promptbank.files import read_json
    from promptbank.lab import run
    from promptbank.lab.experiments.compare import MEASURED, OTHER_METRICS, MethodComparison

    if then is None and then_data:
        raise typer.BadParameter("--then-data needs --then, the task that the examples belong to")
    shared = {"epochs": epochs, "batch_size": batch_size, "loss": loss, "dtype": dtype, "dev_fraction": dev_fraction}
    training = {key: value for key, value in shared.items() if value is not None}
    names = tuple(name.strip() for name in methods.split(",") if name.strip())
    comparison = MethodComparison(names, seeds, rows, training, _rates(lr or []))
    tasks = [
        run.TaskExamples(task, data, lang, card, test_data, columns),
        *([run.TaskExamples(then, then_data)] if then else []),
    ]
    with opened(ctx.on(engine)) as bank:
        done = run.compare(bank, tasks, comparison, folds=folds, dev_fraction=dev_fraction)
    costs = done.path.with_name(MEASURED)
    lines = [_line(entry, read_json(costs)) for entry in done.result["results"]["methods"]]
    print_table(lines, (*SCORES, *OTHER_METRICS, *COSTS), as_json=json)
    write(done, out)
    say(f"seconds and memory: {costs}")


def _rates(given: Sequence[str]) -> dict[str, float]:
    """Read ``method=rate`` pairs."""
    rates: dict[str, float] = {}
    for pair in given:
        name, _, rate = pair.partition("=")
        try:
            rates[name.strip()] = float(rate)
        except ValueError as exc:
            raise typer.BadParameter(f"--lr {pair!r}: give a method and its rate, such as lora=5e-4") from exc
    return rates


def _line(entry: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, object]:
    """Return one method as a line: scores to four decimals; seconds as mean, memory as the most of all seeds."""
    from promptbank.lab.experiments.compare import OTHER_METRICS
    from promptbank.lab.experiments.learning_cost import cost_of

    name = entry["method"]
    reason = {"reason": entry["reason"]} if "reason" in entry else {}
    if "seeds" not in entry:
        return {"method": name, "score": "could not run", **reason}
    cost = cost_of(name, measured)
    return {
        "method": name,
        "score": rounded(entry["score"]["mean"]),
        "sd": rounded(entry["score"]["sd"]),
        **{share: rounded(entry["metrics"][share]["mean"]) for share in OTHER_METRICS if share in entry["metrics"]},
        "forgetting": rounded(entry["forgetting"]["mean"]),
        "trainable": entry["trainable"],
        "bytes_per_task": entry["stored_bytes"],
        "train_seconds": cost.seconds,
        "memory_mb": cost.memory_mb,
        **reason,
    }
