"""``promptbank compare``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptbank.cli.command import Command, Context, Data, Json, Lang, Out

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import Progress

    from promptbank.config import Settings
    from promptbank.lab.experiments.compare import Compared, Comparison
    from promptbank.training.progress import EpochReport, StepReport
    from store import Store
    from tasks import Split, TaskCard


@dataclass(frozen=True)
class Named:
    """A task as the command line names it, with its rows; a fold of them is the test part if there is no other."""

    task: str
    data: Sequence[str] | None
    lang: str | None = None
    card: str | None = None
    test_data: Sequence[str] | None = None


SCORES = ("method", "score", "sd")
COSTS = ("forgetting", "trainable", "bytes_per_task", "train_seconds", "memory_mb")


app = typer.Typer()


@app.command("compare", cls=Command)
def compare(
    ctx: Context,
    task: Annotated[str, typer.Option("--task", help="taskname[:lang] of a card.")],
    lang: Lang = None,
    data: Data = None,
    card: Annotated[
        str | None, typer.Option(help="Card file (JSONL) of the first task, or a built-in variant such as article.")
    ] = None,
    test_data: Annotated[
        list[str] | None, typer.Option(help="Test rows of the first task; a fold of --data if absent. Repeatable.")
    ] = None,
    then: Annotated[str | None, typer.Option(help="Task to learn afterwards: what of the first is forgotten?")] = None,
    then_data: Annotated[list[str] | None, typer.Option(help="Rows of the second task; repeatable.")] = None,
    methods: Annotated[
        str, typer.Option(help="Of ptuning, prompt, lora, bitfit, full, full-body, icl, tfidf; commas between them.")
    ] = "ptuning,prompt,lora,bitfit,full,icl,tfidf",
    seeds: Annotated[int, typer.Option(help="Runs of each method.")] = 3,
    rows: Annotated[
        int | None, typer.Option(help="Training rows of each task, drawn by the seed. Default: all.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Most passes over the rows. Default: 10, more if rows are few.")
    ] = None,
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

    Every method learns from the same rows (icl sees four of them, tfidf the dev rows too) and is scored on the same
    test rows. Weights that a method changes are a copy's, and nothing enters the bank. A method that cannot run is
    listed with its reason. A killed command goes on when it is given again, and methods or seeds can be added. Without
    --data the card's shipped training sample is used.

    Example: promptbank compare --task sentiment-task --then topic-task --methods ptuning,lora,icl,tfidf --seeds 1
    """
    from promptbank.lab.experiments.compare import Comparison

    shared = {"epochs": epochs, "batch_size": batch_size, "dtype": dtype, "dev_fraction": dev_fraction}
    training = {key: value for key, value in shared.items() if value is not None}
    asked = [name.strip() for name in methods.split(",") if name.strip()]
    comparison = Comparison(tuple(asked), seeds, rows, training, _rates(lr or []))
    named = [Named(task, data, lang, card, test_data)]
    named += [Named(then, then_data)] if then is not None else []
    if then is None and then_data:
        raise typer.BadParameter("--then-data needs --then, the task that the rows belong to")
    _run(ctx.settings, named, comparison, (folds, dev_fraction), out, as_json=json)


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
    named: Sequence[Named],
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
    from promptbank.lab.experiments.compare import BESIDE, run_compare
    from promptbank.lab.experiments.method_reports import compare_report
    from promptbank.model.forward import LanguageModel
    from promptbank.report.canvas import need_matplotlib

    need_matplotlib()
    with opened_bank(settings) as (store, backbone):
        tasks = [_task(store, task, parts) for task in named]
        with bar() as progress:
            line = _Line(progress, comparison)
            compared = run_compare(
                settings.home,
                backbone,
                LanguageModel(backbone.model),
                comparison,
                tasks,
                on_run=line.on_run,
                listener=line,
            )
    columns = (*SCORES, *BESIDE, *COSTS)
    print_table([_line(entry, compared) for entry in compared.methods], columns, as_json=as_json)
    write(compare_report(read_result(compared.path), compared.measured), compared.path, out)
    say(f"seconds and memory: {compared.path.with_name('measured.json')}")


class _Line:
    """The comparison's line of the progress bar: which run is under way, and how far it is."""

    def __init__(self, progress: Progress, comparison: Comparison) -> None:
        self._progress, self._order = progress, list(comparison.runs())
        self._bar = progress.add_task("runs", total=len(self._order))
        self._run = ""

    def on_run(self, name: str, seed: int) -> None:
        """Show the run that begins, and print it."""
        self._run, done = f"{name}, seed {seed}", self._order.index((name, seed))
        self._progress.update(self._bar, completed=done, description=self._run)
        self._print(f"{self._run}: run {done + 1} of {len(self._order)}")

    def on_prefix(self, done: int, total: int) -> None:
        """Show how many texts have been read."""
        self._progress.update(self._bar, description=f"{self._run}: {done} of {total} texts read once")

    def on_step(self, report: StepReport) -> None:
        """Show the step and its loss."""
        told = f"{self._run}: step {report.step} of {report.steps}, loss {report.loss:.3f}"
        self._progress.update(self._bar, description=told)

    def on_epoch(self, report: EpochReport) -> None:
        """Print the epoch's line."""
        from promptbank.cli.progress import epoch_line

        self._print(epoch_line(report, self._run))

    def _print(self, told: str) -> None:
        self._progress.console.print(told, highlight=False, soft_wrap=True)


def _task(store: Store, named: Named, parts: tuple[int, float]) -> tuple[TaskCard, Split]:
    """The card and the split of a task that the command names."""
    from promptbank.bank.cards import chosen_card, examples_of
    from promptbank.cli.output import say
    from tasks import crossval_split, given_split

    card = chosen_card(store, named.task, named.lang, named.card)
    found = examples_of(card, named.data, part="train")
    folds, dev_fraction = parts
    if named.test_data:
        test = examples_of(card, named.test_data, part="test")
        split = given_split(found.examples, test.examples, dev_fraction)
    else:
        split = crossval_split(found.examples, folds, 0, dev_fraction)
    sizes = ", ".join(f"{part} {len(rows)}" for part, rows in vars(split).items())
    say(f"{card.taskname}:{card.lang}: {found.note}: {sizes}")
    return card, split


def _line(entry: Mapping[str, Any], compared: Compared) -> dict[str, object]:
    """One method as a line of the table: scores to four decimals; seconds as mean, memory as the most of all seeds."""
    from promptbank.cli.output import rounded
    from promptbank.lab.experiments.compare import BESIDE
    from promptbank.lab.experiments.learning_cost import cost_of

    name = entry["method"]
    reason = {"reason": entry["reason"]} if "reason" in entry else {}
    if "seeds" not in entry:
        return {"method": name, "score": "could not run", **reason}
    cost = cost_of(name, compared.measured)
    return {
        "method": name,
        "score": rounded(entry["score"]["mean"]),
        "sd": rounded(entry["score"]["sd"]),
        **{name: rounded(entry["metrics"][name]["mean"]) for name in BESIDE if name in entry["metrics"]},
        "forgetting": rounded(entry["forgetting"]["mean"]),
        "trainable": entry["trainable"],
        "bytes_per_task": entry["stored_bytes"],
        "train_seconds": cost.seconds,
        "memory_mb": cost.memory_mb,
        **reason,
    }
