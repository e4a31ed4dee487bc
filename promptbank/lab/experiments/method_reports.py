"""Reports of what p-tuning is held against: baselines without training, and other ways to tune."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from promptbank.lab.experiments.compare import BESIDE
from promptbank.lab.experiments.learning_cost import cost_of
from promptbank.lab.experiments.report_parts import Result, notes_tables, shown_about, timing_table, warning_lines
from promptbank.report.parts import Cell, Figure, Part, Report, Table
from promptbank.report.plots import Dot, bar_plot, scatter_plot
from tasks.statistics import MeanSd

__all__ = ["baseline_report", "compare_report"]


def baseline_report(result: Result) -> Report:
    """Report majority, TF-IDF and in-context learning by shots and calibration."""
    about, methods = result["about"], result["results"]["methods"]
    folds = about["settings"]["folds"]
    rows: list[list[Cell]] = []
    bars: dict[str, dict[str, list[float]]] = {}
    for method in methods:
        accuracy, macro_f1 = (method[metric] for metric in ("accuracy", "macro_f1"))
        rows.append(
            [
                _name(method),
                MeanSd(accuracy["mean"], accuracy["sd_folds"], folds),
                accuracy["sd_seeds"],
                MeanSd(macro_f1["mean"], macro_f1["sd_folds"], folds),
            ]
        )
        bars[_name(method)] = {"accuracy": _by_fold(method)}
    best = max(methods, key=lambda m: m["accuracy"]["mean"])
    said = f"Best without training a prompt: {_name(best)}, accuracy {best['accuracy']['mean']:.4f}."
    table = Table(
        "By method",
        ["method", "accuracy", "sd over seeds", "macro-F1"],
        rows,
        note="Mean over seeds and folds, each fold counting the same; standard deviation over folds. tfidf learns from "
        "the dev rows too, tfidf_train does not. icl: the frozen backbone with shots in the prompt.",
    )
    plot = bar_plot(bars, title=f"Without training, {folds} folds", value_label="accuracy, one dot a fold")
    card = about["cards"][0]
    return Report(
        f"Baselines of {card['taskname']}:{card['lang']}",
        f"{about['rows']} rows in {folds} folds by group. {said}",
        shown_about(about),
        [table, Figure("methods", "By method", plot, alt=said), timing_table(result)],
        falls_short=list(dict.fromkeys(warning for method in methods for warning in _cut_prompts(method))),
    )


def _name(method: Result) -> str:
    if method["shots"] is None:
        return str(method["method"]).replace("_", " ")
    return f"{method['method']}, {method['shots']} shots, {method['calibration']}"


def _cut_prompts(method: Result) -> Iterator[str]:
    shots, short, cut = (method.get(key) for key in ("shots", "rows_with_fewer_shots", "rows_truncated"))
    if short:
        yield f"{short} prompts of {shots} shots did not fit the window: the oldest shots were dropped"
    if cut:
        yield f"{cut} records of the prompts of {shots} shots were cut to fit the window"


def _by_fold(method: Result) -> list[float]:
    """Accuracy of each fold, mean over seeds."""
    return [
        fmean(values) for values in zip(*([f["accuracy"] for f in s["folds"]] for s in method["seeds"]), strict=True)
    ]


def compare_report(result: Result, measured: Mapping[str, Result]) -> Report:
    """Report methods beside each other, those that others win included.

    Args:
        result: of the result file.
        measured: seconds and memory by cell, from ``measured.json``.
    """
    about, methods = result["about"], result["results"]["methods"]
    ran = [entry for entry in methods if "seeds" in entry]
    parts: list[Part] = []
    if ran:
        parts = [_method_table(ran, measured), *_share_tables(ran), _size_figure(ran, about["seeds"])]
    failed = [entry for entry in methods if "reason" in entry]
    if not ran:
        rows = [[entry["method"], entry["reason"]] for entry in failed]
        parts = [Table("No method could run", ["method", "reason"], rows)]
    trials = [
        {"trial": f"{entry['method']}, seed {cell['seed']}, {task['task']}", **task}
        for entry in ran
        for cell in entry["seeds"]
        for task in cell["tasks"]
    ]
    card = about["cards"][0]
    return Report(
        f"Methods on {card['taskname']}:{card['lang']}",
        _highest(ran) if ran else "No method could run.",
        shown_about(about),
        [*parts, *notes_tables(trials), timing_table(result)],
        falls_short=[*map(_failure, failed), *warning_lines(trials)],
    )


def _failure(entry: Result) -> str:
    done = len(entry.get("seeds", ()))
    return f"{entry['method']} could not run{f' with all seeds, {done} did' if done else ''}: {entry['reason']}"


def _highest(ran: Sequence[Result]) -> str:
    best = max(ran, key=lambda entry: entry["score"]["mean"])
    return f"Highest score: {best['method']}, {best['score']['mean']:.4f}, {best['stored_bytes']:,} bytes a task."


def _method_table(ran: Sequence[Result], measured: Mapping[str, Result]) -> Table:
    columns = ["method", "score", "forgetting", "rows learnt from", "trainable", "bytes a task"]
    columns += ["train seconds, mean", "memory, most, MB"]
    note = (
        "Mean and sample standard deviation over the seeds that ran. Rows, seconds and memory are of learning the "
        "first task: seconds are the mean over seeds, memory is the most of all seeds above what was resident before. "
        "Forgetting is of one learner that learns both tasks; prompts, shots and classifiers keep what each task left."
    )
    return Table("By method", columns, [_line(entry, measured) for entry in ran], note=note)


def _share_tables(ran: Sequence[Result]) -> list[Table]:
    """What the first task is scored by beside its one score, if anything."""
    names = [name for name in BESIDE if name in ran[0]["metrics"]]
    rows: list[list[Cell]] = [
        [entry["method"], *(_spread(entry["metrics"][name], len(entry["seeds"])) for name in names)] for entry in ran
    ]
    note = "Mean and sample standard deviation over the seeds that ran, of the first task right after it was learnt."
    return [Table("Other shares of the first task", ["method", *names], rows, note=note)] if names else []


def _size_figure(ran: Sequence[Result], seeds: int) -> Figure:
    dots = [
        Dot(entry["method"], max(1, entry["stored_bytes"]), entry["score"]["mean"], entry["score"]["sd"])
        for entry in ran
    ]
    y_label = f"score, {seeds} seeds" if seeds > 1 else "score, one seed"
    plot = scatter_plot(dots, title="Score by size", x_label="bytes kept for a task", y_label=y_label, log_x=True)
    return Figure("size", "Score by size", plot, alt=_highest(ran))


def _line(entry: Result, measured: Mapping[str, Result]) -> list[Cell]:
    cost = cost_of(entry["method"], measured)
    return [
        entry["method"],
        *(_spread(entry[key], len(entry["seeds"])) for key in ("score", "forgetting")),
        entry["seeds"][0]["tasks"][0]["rows"],
        entry["trainable"],
        entry["stored_bytes"],
        cost.seconds,
        cost.memory_mb,
    ]


def _spread(value: Mapping[str, float | None], seeds: int) -> Cell:
    return None if value["mean"] is None else MeanSd(value["mean"], value["sd"], seeds)
