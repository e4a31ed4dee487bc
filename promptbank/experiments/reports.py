"""From the result files of curves, sweeps and streams to reports: what came out, beside what it is to be read with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from promptbank.report.parts import Cell, Figure, Prose, Report, Table
from promptbank.report.plots import Dot, curve_plot, heat_map, scatter_plot
from tasks.statistics import mean_sd

__all__ = ["continual_report", "curve_report", "sweep_report", "timing_table"]

Result = Mapping[str, Any]


def sweep_report(result: Result) -> Report:
    """Report a sweep: the settings of each rung, and quality beside time for each placement."""
    about, rungs = result["about"], result["results"]["rungs"]
    names = list(about["space"])
    tables = [_rung_table(number, rung, names) for number, rung in reversed(list(enumerate(rungs)))]
    placements = _placements(result)
    best = rungs[-1][0]
    said = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in best["setting"].items())
    dots = [Dot(_short(s["setting"]), s["setting"]["total_virtual_tokens"], s["accuracy"]) for s in rungs[0]]
    plot = scatter_plot(
        dots, title="First rung", x_label="virtual tokens", y_label="accuracy over the inner folds' test rows"
    )
    figure = Figure("first-rung", "First rung", plot, alt=f"Accuracy of {len(dots)} settings by virtual tokens.")
    return Report(
        "Sweep of settings",
        f"{len(rungs[0])} settings on {about['rows']} rows; best on the last rung: {said}, accuracy "
        f"{best['accuracy']:.4f} over the inner folds.",
        dict(about),
        [*tables, placements, figure, timing_table(result)],
    )


def _short(setting: Result) -> str:
    return f"{setting['placement']}, {setting['encoder']}, {setting['init']}, {setting['lr']:g}"


def _rung_table(number: int, rung: Sequence[Result], names: Sequence[str]) -> Table:
    rows = [
        [*(s["setting"][name] for name in names), s["accuracy"], *(f"{x:.3f}" for x in s["by_fold"]), s["loss"]]
        for s in rung
    ]
    folds = [f"fold {k}" for k in range(len(rung[0]["by_fold"]))]
    note = "Accuracy over the test rows of all inner folds; loss on dev at the best epoch."
    return Table(f"Rung {number + 1}", [*names, "accuracy", *folds, "dev loss"], rows, note=note)


def _placements(result: Result) -> Table:
    """Best and mean accuracy, and seconds a training row and epoch, of each placement on the first rung."""
    rows: list[list[Cell]] = []
    for placement in result["about"]["space"]["placement"]:
        scores = [s for s in result["results"]["rungs"][0] if s["setting"]["placement"] == placement]
        timings = [
            t["seconds"] for name, t in result["timings"].items() if name.startswith(f"training-rung0-{placement}-")
        ]
        if scores:
            accuracies = [s["accuracy"] for s in scores]
            rows.append([placement, len(scores), max(accuracies), mean_sd(accuracies), sum(timings) / len(scores)])
    columns = ["placement of the virtual tokens", "settings", "best accuracy", "mean accuracy", "seconds a setting"]
    note = "Seconds of training on both inner folds, dev scores included; runs of one placement train together."
    return Table("Placement: quality and time", columns, rows, note=note)


def curve_report(result: Result) -> Report:
    """Report a learning curve: a table, and the plot with its spread."""
    about, points = result["about"], result["results"]["points"]
    inits = list(points[0]["ptuned"])
    rows: list[list[Cell]] = []
    for point in points:
        scores: list[Cell] = [mean_sd(point["ptuned"][init]) for init in inits]
        rows.append([f"{point['fraction']:.0%}", round(mean_sd(point["rows"]).mean), *scores, mean_sd(point["tfidf"])])
    series = {f"p-tuned, {init}": {mean_sd(p["rows"]).mean: p["ptuned"][init] for p in points} for init in inits} | {
        "TF-IDF + logistic regression": {mean_sd(p["rows"]).mean: p["tfidf"] for p in points}
    }
    majority = mean_sd([score for p in points for score in p["majority"]]).mean
    plot = curve_plot(
        series,
        title="Accuracy by training rows",
        x_label="training rows",
        y_label=f"accuracy on the test fold, {about['repeats']} repeats",
        log_x=True,
        levels={"majority": majority},
    )
    few, many = (mean_sd(point["ptuned"][inits[0]]).mean for point in (points[0], points[-1]))
    rows_of = [round(mean_sd(point["rows"]).mean) for point in (points[0], points[-1])]
    said = f"P-tuned on {rows_of[0]} rows: accuracy {few:.4f}; on {rows_of[1]} rows: {many:.4f}."
    columns = ["share", "training rows", *(f"p-tuned, start: {init}" for init in inits), "TF-IDF"]
    table = Table(
        "Accuracy", columns, rows, note="Mean and sample standard deviation over repeats, each with its own fold."
    )
    about = dict(about)
    return Report(
        "Learning curve",
        said,
        about,
        [table, Figure("curve", "Accuracy by training rows", plot, alt=said), timing_table(result)],
    )


def continual_report(result: Result) -> Report:
    """Report a stream: its accuracy matrices, forgetting, and what moved."""
    about, results = result["about"], result["results"]
    names = results["tasks"]
    rows: list[list[Cell]] = []
    parts: list[Figure] = []
    tuned = f"fine-tuning, {results['full']['method']}" if "full" in results else ""
    for key, title in (("bank", "prompt bank"), ("full", tuned)):
        if key in results:
            scores = results[key]["scores"]
            rows.append([title, scores["average"], scores["backward_transfer"], scores["forgetting"]])
            parts.append(_heat(key, title, results[key]["matrix"], names, scores["forgetting"]))
    table = Table("After the last task", ["", "average accuracy", "BWT", "forgetting"], rows)
    moved, faults = results["bank"]["answers_moved"], results["bank"]["faults"]
    proof = (
        f"After each task a new process opened the bank and answered the test rows of every task so far: "
        f"{len(moved)} answers moved by any bit, {len(faults)} faults of `bank verify --logits`."
    )
    return Report(
        f"Stream: {about['stream']}",
        f"{len(names)} tasks one after the other. Forgetting of the bank: {results['bank']['scores']['forgetting']:g}."
        + (f" Of {tuned}: {results['full']['scores']['forgetting']:.4f}." if tuned else ""),
        dict(about),
        [table, Prose("Proof", proof), *parts, _final(results), timing_table(result)],
        falls_short=[*moved, *faults],
    )


def _heat(key: str, title: str, matrix: Sequence[Sequence[float]], names: Sequence[str], lost: float) -> Figure:
    square = [[*row, *[None] * (len(names) - len(row))] for row in matrix]
    plot = heat_map(
        square,
        rows=names,
        columns=names,
        title=title,
        row_label="after learning",
        column_label="score on",
        value_label="score",
        limits=(0.0, 1.0),
    )
    return Figure(f"matrix-{key}", f"Accuracy matrix: {title}", plot, alt=f"{title}: forgetting {lost:.4f}")


def _final(results: Result) -> Table:
    rows = [
        [name, key, value]
        for name, found in results["bank"]["metrics"].items()
        for key, value in found["metrics"].items()
        if isinstance(value, float) and key != "majority_share"
    ]
    return Table("Metrics of the bank after the last task", ["task", "metric", "value"], rows)


def timing_table(result: Result) -> Table:
    """Show what each part of an experiment took, and what the machine was doing when it was done."""
    rows: list[list[Cell]] = [
        [name, t["seconds"], t["cpu_seconds"], t["threads"], t["cores"], ", ".join(map(str, t["load_average"]))]
        for name, t in result["timings"].items()
    ]
    columns = ["part", "seconds", "processor seconds", "threads", "cores", "load average after it (1, 5, 15 minutes)"]
    note = "A part that was killed and gone on with counts from its last start. Timings are no part of the result."
    return Table("Time", columns, rows, note=note)
