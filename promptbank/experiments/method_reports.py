"""Reports of what p-tuning is held against: baselines without training, and other ways to tune."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from promptbank.experiments.reports import timing_table
from promptbank.report.parts import Cell, Figure, Report, Table
from promptbank.report.plots import Dot, bar_plot, scatter_plot
from tasks.statistics import MeanSd

__all__ = ["baseline_report", "compare_report"]

Result = Mapping[str, Any]


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
        note="Mean over seeds; standard deviation over folds. icl: the frozen backbone with shots in the prompt.",
    )
    plot = bar_plot(bars, title=f"Without training, {folds} folds", value_label="accuracy, one dot a fold")
    card = about["card"]
    return Report(
        f"Baselines of {card['taskname']}:{card['lang']}",
        f"{about['rows']} rows in {folds} folds by group. {said}",
        dict(about),
        [table, Figure("methods", "By method", plot, alt=said), timing_table(result)],
    )


def _name(method: Result) -> str:
    if method["shots"] is None:
        return str(method["method"]).replace("_", " ")
    return f"{method['method']}, {method['shots']} shots, {method['calibration']}"


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
    ran = [entry for entry in methods if "reason" not in entry]
    rows = [_line(entry, measured) for entry in ran]
    columns = ["method", "score", "macro-F1", "forgetting", "trainable", "bytes a task", "train seconds", "memory, MB"]
    note = "Mean and sample standard deviation over seeds. Seconds and memory are of learning the first task."
    parts: list[Table | Figure] = [Table("By method", columns, rows, note=note)]
    best = max(ran, key=lambda entry: entry["score"]["mean"])
    said = f"Highest score: {best['method']}, {best['score']['mean']:.4f}, {best['stored_bytes']:,} bytes a task."
    dots = [
        Dot(entry["method"], max(1, entry["stored_bytes"]), entry["score"]["mean"], entry["score"]["sd"])
        for entry in ran
    ]
    plot = scatter_plot(
        dots,
        title="Score by size",
        x_label="bytes kept for a task",
        y_label=f"score, {about['seeds']} seeds",
        log_x=True,
    )
    parts += [Figure("size", "Score by size", plot, alt=said), timing_table(result)]
    card = about["cards"][0]
    return Report(
        f"Methods on {card['taskname']}:{card['lang']}",
        said,
        dict(about),
        parts,
        falls_short=[f"{entry['method']} could not run: {entry['reason']}" for entry in methods if "reason" in entry],
    )


def _line(entry: Result, measured: Mapping[str, Result]) -> list[Cell]:
    costs = [cost for cell, cost in measured.items() if cell.startswith(f"{entry['method']}.seed-")]
    memory = [cost["memory_bytes"] for cost in costs if cost["memory_bytes"] is not None]
    return [
        entry["method"],
        *(_spread(entry[key], len(entry["seeds"])) for key in ("score", "macro_f1", "forgetting")),
        entry["trainable"],
        entry["stored_bytes"],
        round(fmean(cost["train_seconds"] for cost in costs), 1) if costs else None,
        round(max(memory) / 1e6) if memory else None,
    ]


def _spread(value: Mapping[str, float | None], seeds: int) -> Cell:
    return None if value["mean"] is None else MeanSd(value["mean"], value["sd"], seeds)
