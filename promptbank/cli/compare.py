"""``promptbank compare``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptbank.cli.command import Common, Data, Json, Lang, Out, command

if TYPE_CHECKING:
    from pathlib import Path

    from promptbank.config import Settings
    from promptbank.experiments.compare import Compared, Comparison
    from store import Store
    from tasks import Split, TaskCard

COLUMNS = (
    "method", "score", "sd", "macro_f1", "forgetting", "trainable", "bytes_per_task", "train_seconds", "memory_mb",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "compare")(compare)


def compare(
    common: Common,
    task: Annotated[str, typer.Option("--task", help="taskname[:lang] of a card.")],
    lang: Lang = None,
    data: Data = None,
    then: Annotated[str | None, typer.Option(help="Task to learn afterwards: what of the first is forgotten?")] = None,
    then_data: Annotated[list[str] | None, typer.Option(help="Rows of the second task; repeatable.")] = None,
    methods: Annotated[
        str, typer.Option(help="Of ptuning, prompt, lora, bitfit, full, full-body, icl, tfidf; commas between them.")
    ] = "ptuning,prompt,lora,bitfit,full,icl,tfidf",
    seeds: Annotated[int, typer.Option(help="Runs of each method.")] = 3,
    rows: Annotated[
        int | None, typer.Option(help="Training rows of each task, drawn by the seed. Default: all.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Most passes over the rows.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows a step.")] = None,
    lr: Annotated[
        list[str] | None, typer.Option(help="Peak learning rate of a method, such as lora=5e-4; repeatable.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="auto, float32 or bfloat16, of training; scores are float32.")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="One fold of so many, by groups, is the test part.")] = 5,
    dev_fraction: Annotated[float, typer.Option(help="Share of the other folds' groups kept for dev.")] = 0.1,
    out: Out = None,
    json: Json = False,
) -> None:
    """Compare methods on one task: score, cost, and what a second task makes each of them forget.

    Every method learns the same rows and is scored on the same test rows. Weights that a method changes are a copy's,
    and nothing enters the bank. A method that cannot run is listed with its reason. A killed command goes on when it is
    given again. Without --data the card's shipped training sample is used.

    Example: promptbank compare --task sentiment-task --then topic-task --methods ptuning,lora,icl,tfidf --seeds 1
    """
    from promptbank.experiments.compare import Comparison

    shared = {"epochs": epochs, "batch_size": batch_size, "dtype": dtype, "dev_fraction": dev_fraction}
    training = {key: value for key, value in shared.items() if value is not None}
    asked = [name.strip() for name in methods.split(",") if name.strip()]
    comparison = Comparison(tuple(asked), seeds, rows, training, _rates(lr or []))
    named = [(task, lang, data), *([(then, None, then_data)] if then is not None else [])]
    if then is None and then_data:
        raise typer.BadParameter("--then-data needs --then, the task that the rows belong to")
    _run(common.settings, named, comparison, (folds, dev_fraction), out, as_json=json)


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


def _run(
    settings: Settings,
    named: Sequence[tuple[str, str | None, Sequence[str] | None]],
    comparison: Comparison,
    parts: tuple[int, float],
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Run the comparison and print its table."""
    from promptbank.cli.output import print_table, say
    from promptbank.cli.progress import bar
    from promptbank.cli.reporting import read_result, write
    from promptbank.cli.session import opened_bank
    from promptbank.experiments.compare import run_compare
    from promptbank.experiments.method_reports import compare_report
    from promptbank.forward import LanguageModel

    with opened_bank(settings) as (store, backbone):
        tasks = [_task(store, task, parts) for task in named]
        with bar() as progress:
            line = progress.add_task("runs", total=len(comparison.methods) * comparison.seeds)
            order = list(comparison.runs())
            compared = run_compare(
                settings.home,
                backbone,
                LanguageModel(backbone.model),
                comparison,
                tasks,
                on_run=lambda name, seed: progress.update(
                    line, completed=order.index((name, seed)), description=f"{name}, seed {seed}"
                ),
            )
    print_table([_line(entry, compared) for entry in compared.methods], COLUMNS, as_json=as_json)
    write(compare_report(read_result(compared.path), compared.measured), compared.path, out)
    say(f"seconds and memory: {compared.path.with_name('measured.json')}")


def _task(
    store: Store, named: tuple[str, str | None, Sequence[str] | None], parts: tuple[int, float]
) -> tuple[TaskCard, Split]:
    """The card and the split of a task that the command names."""
    from promptbank.bank.cards import chosen_card, examples_of
    from promptbank.cli.output import say
    from tasks import crossval_split

    task, lang, data = named
    card = chosen_card(store, task, lang, None)
    found = examples_of(card, data, part="train")
    folds, dev_fraction = parts
    split = crossval_split(found.examples, folds, 0, dev_fraction)
    sizes = ", ".join(f"{part} {len(rows)}" for part, rows in vars(split).items())
    say(f"{card.taskname}:{card.lang}: {found.note}: {sizes}")
    return card, split


def _line(entry: Mapping[str, Any], compared: Compared) -> dict[str, object]:
    """One method as a line of the table: scores to four decimals, costs as means over seeds."""
    name = entry["method"]
    if "reason" in entry:
        return {"method": name, "score": "could not run", "reason": entry["reason"]}
    costs = [cost for cell, cost in compared.measured.items() if cell.startswith(f"{name}.seed-")]
    memory = [cost["memory_bytes"] for cost in costs if cost["memory_bytes"] is not None]
    seconds = _mean([cost["train_seconds"] for cost in costs])
    return {
        "method": name,
        "score": _rounded(entry["score"]["mean"]),
        "sd": _rounded(entry["score"]["sd"]),
        "macro_f1": _rounded(entry["macro_f1"]["mean"]),
        "forgetting": _rounded(entry["forgetting"]["mean"]),
        "trainable": entry["trainable"],
        "bytes_per_task": entry["stored_bytes"],
        "train_seconds": None if seconds is None else round(seconds, 1),
        "memory_mb": round(max(memory) / 1e6) if memory else None,
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
