"""The report of a stream of tasks: its accuracy matrices, forgetting, and whether any answer moved."""

from collections.abc import Sequence

from promptbank.lab.experiments.folder import JsonObject
from promptbank.lab.reports.shared import experiment_report
from promptbank.report.matrix import MOST_TASKS, matrix_plot
from promptbank.report.parts import Cell, Figure, Part, Prose, Report, Table

__all__ = ["continual_report"]


def continual_report(result: JsonObject) -> Report:
    """Report a stream from its result file."""
    results = result["results"]
    names, bank, full = results["tasks"], results["bank"], results.get("full", {})
    moved, faults = bank["answers_moved"], bank["faults"]
    tuned = f"fine-tuning, {full['method']}" if "scores" in full else ""
    titled = {"bank": ("prompt bank", bank), **({"full": (tuned, full)} if tuned else {})}
    rows: list[list[Cell]] = []
    matrices: list[Part] = []
    trials: list[JsonObject] = []
    for key, (title, learnt) in titled.items():
        scores = learnt["scores"]
        times_moved = len(moved) if key == "bank" else None
        rows.append([title, scores["average"], scores["backward_transfer"], scores["forgetting"], times_moved])
        matrices.append(_matrix(key, title, learnt["matrix"], names, scores["forgetting"]))
        trials += [{**trial, "trial": f"{title}, {trial['trial']}"} for trial in learnt.get("trials", ())]
    note = "Answers moved: times that a task's answers differed by any bit from its first ones; of the bank only."
    columns = ["", "average accuracy", "BWT", "forgetting", "answers moved"]
    proof = (
        f"After each task a new process opened the bank and answered the test rows of every task so far: "
        f"answers moved by any bit {len(moved)} times, {len(faults)} faults of `bank verify --logits`."
    )
    summary = (
        f"{len(names)} tasks one after the other. Forgetting of the bank: {bank['scores']['forgetting']:g}, "
        + (f"but answers moved: {', '.join(moved)}." if moved else "and no answer moved by any bit.")
        + (f" Of {tuned}: {full['scores']['forgetting']:.4f}." if tuned else "")
    )
    falls_short = [*(f"answers moved: {what}" for what in moved), *faults]
    if "reason" in full:
        falls_short.append(f"{full['method']} could not be run beside it: {full['reason']}")
    last = Table("After the last task", columns, rows, note=note)
    parts = [last, Prose("Proof", proof), *matrices, _final(bank["metrics"])]
    title = f"Stream: {result['about']['stream']}"
    return experiment_report(title, summary, result, parts, trials=trials, falls_short=falls_short)


def _matrix(
    key: str, title: str, matrix: Sequence[Sequence[float]], names: Sequence[str], forgetting: float
) -> Figure | Table:
    """Show an accuracy matrix, as a table where a plot could not be read."""
    square = [[*row, *[None] * (len(names) - len(row))] for row in matrix]
    heading = f"Accuracy matrix: {title}"
    if len(names) > MOST_TASKS:
        rows: list[list[Cell]] = [[name, *row] for name, row in zip(names, square, strict=True)]
        return Table(heading, ["after learning", *names], rows)
    plot = matrix_plot(square, names, title=title)
    return Figure(f"matrix-{key}", heading, plot, alt=f"{title}: forgetting {forgetting:.4f}")


def _final(metrics: JsonObject) -> Table:
    rows = [
        [name, key, value]
        for name, found in metrics.items()
        for key, value in found["metrics"].items()
        if isinstance(value, float) and key != "majority_share"
    ]
    return Table("Metrics of the bank after the last task", ["task", "metric", "value"], rows)
