"""From the result files of curves, sweeps and streams to reports: what came out, beside what it is to be read with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from promptbank.lab.experiments.report_parts import (
    GONE_ON,
    Result,
    notes_tables,
    shown_about,
    timing_table,
    warning_lines,
)
from promptbank.report.matrix import MOST_TASKS, matrix_plot
from promptbank.report.parts import Cell, Figure, Part, Prose, Report, Table
from promptbank.report.plots import Dot, curve_plot, scatter_plot
from tasks.statistics import mean_sd

__all__ = ["continual_report", "curve_report", "sweep_report"]


def sweep_report(result: Result) -> Report:
    """Report a sweep: the settings of each rung, and quality beside time for each placement."""
    about, rungs = result["about"], result["results"]["rungs"]
    names = list(about["space"])
    tables = [_rung_table(number, rung, names) for number, rung in reversed(list(enumerate(rungs)))]
    placements = _placements(result)
    best = rungs[-1][0]
    said = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in best["setting"].items())
    sound = [s for s in rungs[0] if "failed" not in s]
    dots = [Dot(_short(s["setting"]), s["setting"]["total_virtual_tokens"], s["accuracy"]) for s in sound]
    trials = [trial for rung in rungs for s in rung for trial in s.get("trials", ())]
    failed = [f"rung {n + 1}: a setting failed: {s['failed']}" for n, r in enumerate(rungs) for s in r if "failed" in s]
    plot = scatter_plot(
        dots, title="First rung", x_label="virtual tokens", y_label="accuracy over the inner folds' test rows"
    )
    figure = Figure("first-rung", "First rung", plot, alt=f"Accuracy of {len(dots)} settings by virtual tokens.")
    return Report(
        "Sweep of settings",
        f"{len(rungs[0])} settings on {about['rows']} rows; best on the last rung: {said}, accuracy "
        f"{best['accuracy']:.4f} over the inner folds.",
        shown_about(about),
        [*tables, placements, figure, *notes_tables(trials), timing_table(result)],
        falls_short=[*failed, *warning_lines(trials)],
    )


def _short(setting: Result) -> str:
    return f"{setting['placement']}, {setting['encoder']}, {setting['init']}, {setting['lr']:g}"


def _rung_table(number: int, rung: Sequence[Result], names: Sequence[str]) -> Table:
    count = len(rung[0]["by_fold"])  # the first one has not failed
    rows: list[list[Cell]] = []
    for s in rung:
        by_fold: list[Cell] = [f"{x:.3f}" for x in s["by_fold"]] if "by_fold" in s else [None] * count
        rows.append([*(s["setting"][name] for name in names), s.get("accuracy"), *by_fold, s.get("loss")])
    folds = [f"fold {k}" for k in range(count)]
    note = (
        "Accuracy over the test rows of all inner folds, each row counting the same; loss on dev at the best epoch, "
        "mean over folds. Without numbers: the setting failed."
    )
    return Table(f"Rung {number + 1}", [*names, "accuracy", *folds, "dev loss"], rows, note=note)


def _placements(result: Result) -> Table:
    """Accuracy of the card's settings in each placement, nothing else being different, and seconds of all of them."""
    placements = result["about"]["space"]["placement"]
    first = result["results"]["rungs"][0]
    rows: list[list[Cell]] = []
    for placement in placements:
        scores = [s for s in first if s["setting"]["placement"] == placement]
        alike: Result = next((s for s in scores if s["number"] < len(placements)), {})
        timings = [
            t["seconds"] for name, t in result["timings"].items() if name.startswith(f"training-rung0-{placement}-")
        ]
        if scores:
            rows.append([placement, alike.get("accuracy"), alike.get("loss"), len(scores), sum(timings) / len(scores)])
    columns = [
        "placement of the virtual tokens",
        "accuracy",
        "dev loss",
        "settings trained together",
        "seconds a setting",
    ]
    note = (
        "Accuracy and dev loss are of the card's own settings, placed there and otherwise the same. Seconds are of "
        "training on all inner folds, dev scores included, by setting of the placement; settings that train together "
        f"share work, so a placement with more of them is quicker. {GONE_ON}"
    )
    return Table("Placement: quality and time", columns, rows, note=note)


def curve_report(result: Result) -> Report:
    """Report a learning curve: a table, the starts that were chosen, and the plot with its spread."""
    about, points = result["about"], result["results"]["points"]
    inits = list(points[0]["ptuned"])
    series = {f"p-tuned, {init}": _by_rows((p["rows"], p["ptuned"][init]) for p in points) for init in inits} | {
        "TF-IDF + logistic regression": _by_rows((p["tfidf_rows"], p["tfidf"]) for p in points)
    }
    plot = curve_plot(
        series,
        title="Accuracy by rows that were learnt from",
        x_label="rows learnt from; TF-IDF's with the dev rows",
        y_label=f"accuracy on the test fold, {about['repeats']} repeats",
        log_x=True,
        levels={"majority": _mean([score for p in points for score in p["majority"]])},
    )
    few, many = (_mean(point["ptuned"][inits[0]]) for point in (points[0], points[-1]))
    rows_of = [round(_mean(point["rows"])) for point in (points[0], points[-1])]
    said = f"P-tuned on {rows_of[0]} rows: accuracy {few:.4f}; on {rows_of[1]} rows: {many:.4f}."
    trials = [trial for point in points for trial in point["trials"]]
    figure = Figure("curve", "Accuracy by rows", plot, alt=said)
    return Report(
        "Learning curve",
        said,
        shown_about(about),
        [_curve_table(points, inits), *_starts(points), figure, *notes_tables(trials), timing_table(result)],
        falls_short=warning_lines(trials),
    )


def _by_rows(points: Iterable[tuple[Sequence[float], Sequence[float]]]) -> dict[float, list[float]]:
    """Return scores by mean number of rows, rounded; those of two shares that come to as many rows stand together."""
    found: dict[float, list[float]] = {}
    for rows, scores in points:
        found.setdefault(round(_mean(rows)), []).extend(scores)
    return found


def _mean(values: Sequence[float]) -> float:
    return mean_sd(values).mean


def _share(point: Result) -> str:
    return f"{100 * point['fraction']:.3g}%"


def _curve_table(points: Sequence[Result], inits: Sequence[str]) -> Table:
    rows: list[list[Cell]] = []
    for point in points:
        sizes = [round(_mean(point[key])) for key in ("rows", "dev_rows", "tfidf_rows")]
        scores = [mean_sd(point["ptuned"][init]) for init in inits]
        rows.append([_share(point), *sizes, *scores, mean_sd(point["tfidf"])])
    columns = [
        "share",
        "training rows",
        "dev rows",
        "rows of TF-IDF",
        *(f"p-tuned, start: {i}" for i in inits),
        "TF-IDF",
    ]
    note = (
        "Mean and sample standard deviation over repeats, each with the next fold. Prompts choose their epoch on the "
        "dev rows; TF-IDF, which has none to choose, learns from them too."
    )
    return Table("Accuracy", columns, rows, note=note)


def _starts(points: Sequence[Result]) -> list[Table]:
    """What every prompt started from, where that was looked up in the bank."""
    rows = [
        [_share(point), init, ", ".join(chosen)]
        for point in points
        for init, chosen in point["starts"].items()
        if set(chosen) != {init}
    ]
    note = (
        "In the order of the repeats. Stored rows of the task itself are left out: they may have learnt the test rows. "
        "Those of another language were learnt here, each without the fold that its repeat tests."
    )
    return [Table("Starts", ["share", "asked for", "started from"], rows, note=note)] if rows else []


def continual_report(result: Result) -> Report:
    """Report a stream: its accuracy matrices, forgetting, and what moved."""
    about, results = result["about"], result["results"]
    names = results["tasks"]
    rows: list[list[Cell]] = []
    parts: list[Part] = []
    full = results.get("full", {})
    tuned = f"fine-tuning, {full['method']}" if "scores" in full else ""
    moved, faults = results["bank"]["answers_moved"], results["bank"]["faults"]
    for key, title in (("bank", "prompt bank"), ("full", tuned)):
        if "scores" in results.get(key, {}):
            scores = results[key]["scores"]
            told = len(moved) if key == "bank" else None
            rows.append([title, scores["average"], scores["backward_transfer"], scores["forgetting"], told])
            parts.append(_heat(key, title, results[key]["matrix"], names, scores["forgetting"]))
    note = "Answers moved: times that a task's answers differed by any bit from its first ones; of the bank only."
    columns = ["", "average accuracy", "BWT", "forgetting", "answers moved"]
    table = Table("After the last task", columns, rows, note=note)
    proof = (
        f"After each task a new process opened the bank and answered the test rows of every task so far: "
        f"answers moved by any bit {len(moved)} times, {len(faults)} faults of `bank verify --logits`."
    )
    trials = [
        {**trial, "trial": f"{title}, {trial['trial']}"}
        for key, title in (("bank", "prompt bank"), ("full", tuned))
        for trial in results.get(key, {}).get("trials", ())
    ]
    return Report(
        f"Stream: {about['stream']}",
        f"{len(names)} tasks one after the other. Forgetting of the bank: {results['bank']['scores']['forgetting']:g}, "
        + (f"but answers moved: {', '.join(moved)}." if moved else "and no answer moved by any bit.")
        + (f" Of {tuned}: {results['full']['scores']['forgetting']:.4f}." if tuned else ""),
        shown_about(about),
        [table, Prose("Proof", proof), *parts, _final(results), *notes_tables(trials), timing_table(result)],
        falls_short=[
            *(f"answers moved: {what}" for what in moved),
            *faults,
            *([f"{full['method']} could not be run beside it: {full['reason']}"] if "reason" in full else []),
            *warning_lines(trials),
        ],
    )


def _heat(key: str, title: str, matrix: Sequence[Sequence[float]], names: Sequence[str], lost: float) -> Figure | Table:
    """Show an accuracy matrix, as a table where a plot could not be read."""
    square = [[*row, *[None] * (len(names) - len(row))] for row in matrix]
    if len(names) > MOST_TASKS:
        rows: list[list[Cell]] = [[name, *row] for name, row in zip(names, square, strict=True)]
        return Table(f"Accuracy matrix: {title}", ["after learning", *names], rows)
    plot = matrix_plot(square, names, title=title)
    return Figure(f"matrix-{key}", f"Accuracy matrix: {title}", plot, alt=f"{title}: forgetting {lost:.4f}")


def _final(results: Result) -> Table:
    rows = [
        [name, key, value]
        for name, found in results["bank"]["metrics"].items()
        for key, value in found["metrics"].items()
        if isinstance(value, float) and key != "majority_share"
    ]
    return Table("Metrics of the bank after the last task", ["task", "metric", "value"], rows)
