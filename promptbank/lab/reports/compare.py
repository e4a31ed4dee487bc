"""The report of a comparison: methods beside each other, those that others win included."""

from collections.abc import Mapping, Sequence

from promptbank.lab.experiments.compare import OTHER_METRICS
from promptbank.lab.experiments.folder import JsonObject
from promptbank.lab.experiments.learning_cost import cost_of
from promptbank.lab.reports.shared import experiment_report
from promptbank.report.parts import Cell, Figure, Part, Report, Table
from promptbank.report.plots import Dot, scatter_plot
from tasks.statistics import MeanSd

__all__ = ["compare_report"]


def compare_report(result: JsonObject, measured: Mapping[str, JsonObject]) -> Report:
    """Report a comparison.

    Args:
        result: of the result file.
        measured: seconds and memory by part, from ``measured.json``.
    """
    about, methods = result["about"], result["results"]["methods"]
    ran = [entry for entry in methods if "seeds" in entry]
    failed = [entry for entry in methods if "reason" in entry]
    parts: list[Part] = []
    if ran:
        parts = [_method_table(ran, measured), *_other_metrics(ran), _size_figure(ran, about["seeds"])]
    else:
        rows = [[entry["method"], entry["reason"]] for entry in failed]
        parts = [Table("No method could run", ["method", "reason"], rows)]
    trials = [
        {"trial": f"{entry['method']}, seed {run['seed']}, {task['task']}", **task}
        for entry in ran
        for run in entry["seeds"]
        for task in run["tasks"]
    ]
    card = about["cards"][0]
    title, summary = f"Methods on {card['taskname']}:{card['lang']}", _highest(ran) if ran else "No method could run."
    return experiment_report(title, summary, result, parts, trials=trials, falls_short=[*map(_failure, failed)])


def _failure(entry: JsonObject) -> str:
    done = len(entry.get("seeds", ()))
    return f"{entry['method']} could not run{f' with all seeds, {done} did' if done else ''}: {entry['reason']}"


def _highest(ran: Sequence[JsonObject]) -> str:
    best = max(ran, key=lambda entry: entry["score"]["mean"])
    return f"Highest score: {best['method']}, {best['score']['mean']:.4f}, {best['stored_bytes']:,} bytes a task."


def _method_table(ran: Sequence[JsonObject], measured: Mapping[str, JsonObject]) -> Table:
    columns = ["method", "score", "forgetting", "rows learnt from", "trainable", "bytes a task"]
    columns += ["train seconds, mean", "memory, most, MB"]
    rows: list[list[Cell]] = []
    for entry in ran:
        spreads = [_spread(entry[key], len(entry["seeds"])) for key in ("score", "forgetting")]
        cost, learnt_from = cost_of(entry["method"], measured), entry["seeds"][0]["tasks"][0]["rows"]
        sizes = [learnt_from, entry["trainable"], entry["stored_bytes"]]
        rows.append([entry["method"], *spreads, *sizes, cost.seconds, cost.memory_mb])
    note = (
        "Mean and sample standard deviation over the seeds that ran. Rows, seconds and memory are of learning the "
        "first task: seconds are the mean over seeds, memory is the most of all seeds above what was resident before. "
        "Forgetting is of one learner that learns both tasks; prompts, shots and classifiers keep what each task left."
    )
    return Table("By method", columns, rows, note=note)


def _other_metrics(ran: Sequence[JsonObject]) -> list[Table]:
    """Return what the first task is scored by beside its one score, if anything."""
    names = [name for name in OTHER_METRICS if name in ran[0]["metrics"]]
    rows: list[list[Cell]] = [
        [entry["method"], *(_spread(entry["metrics"][name], len(entry["seeds"])) for name in names)] for entry in ran
    ]
    note = "Mean and sample standard deviation over the seeds that ran, of the first task right after it was learnt."
    return [Table("Other shares of the first task", ["method", *names], rows, note=note)] if names else []


def _size_figure(ran: Sequence[JsonObject], seeds: int) -> Figure:
    dots = [
        Dot(entry["method"], max(1, entry["stored_bytes"]), entry["score"]["mean"], entry["score"]["sd"])
        for entry in ran
    ]
    y_label = f"score, {seeds} seeds" if seeds > 1 else "score, one seed"
    plot = scatter_plot(dots, title="Score by size", x_label="bytes kept for a task", y_label=y_label, log_x=True)
    return Figure("size", "Score by size", plot, alt=_highest(ran))


def _spread(value: Mapping[str, float | None], seeds: int) -> Cell:
    return None if value["mean"] is None else MeanSd(value["mean"], value["sd"], seeds)
