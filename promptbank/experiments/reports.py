"""From result files to reports: what came out, beside what it must be read with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from promptbank.report.parts import Cell, Figure, Part, Prose, Report, Table
from promptbank.report.plots import Dot, bar_plot, curve_plot, heat_map, scatter_plot
from tasks import Example
from tasks.statistics import bootstrap_interval, mean_sd, paired_bootstrap

__all__ = ["continual_report", "crossval_report", "curve_report", "sweep_report", "timing_table"]

METRICS = ("accuracy", "macro_f1")
NAMES = {"ptuned": "p-tuned", "tfidf": "TF-IDF + logistic regression", "majority": "majority"}

Result = Mapping[str, Any]


def crossval_report(result: Result, examples: Sequence[Example]) -> Report:
    """Report a cross-validation: scores by method and fold, and the paired difference to each baseline.

    Args:
        result: of the result file.
        examples: the whole set, for gold answers and groups.
    """
    results, about = result["results"], result["about"]
    folds: dict[str, Any] = {name: results[name] for name in NAMES if name in results}
    metrics = [metric for metric in METRICS if metric in results["ptuned"][0]["test"]] or _open_metrics(results)
    scores = {NAMES[n]: {m: [fold["test"][m] for fold in cells] for m in metrics} for n, cells in folds.items()}
    card = about["cards"][0]
    parts: list[Part] = [_method_table(scores), _fold_table(results["ptuned"], metrics), *_paired(folds, examples)]
    plot = bar_plot(scores, title=f"{about['folds']} folds", value_label="score, one dot a fold")
    parts += [Figure("folds", "By method", plot, alt=_spoken(scores)), timing_table(result)]
    return Report(
        f"Cross-validation of {card['taskname']}:{card['lang']}",
        f"{about['rows']} rows in {about['folds']} folds by group. {_spoken(scores)}",
        dict(about),
        parts,
        falls_short=_warnings(results["ptuned"]),
    )


def _open_metrics(results: Result) -> list[str]:
    return [name for name, value in results["ptuned"][0]["test"].items() if isinstance(value, float)]


def _method_table(scores: Mapping[str, Mapping[str, Sequence[float]]]) -> Table:
    columns = ["method"]
    for metric in next(iter(scores.values())):
        columns += [metric, f"{metric}, 95 % interval of the mean"]
    rows: list[list[Cell]] = []
    for name, by_metric in scores.items():
        row: list[Cell] = [name]
        for values in by_metric.values():
            row += [mean_sd(values), bootstrap_interval(values)]
        rows.append(row)
    return Table(
        "By method", columns, rows, note="Mean and sample standard deviation over folds; bootstrap over folds."
    )


def _fold_table(folds: Sequence[Result], metrics: Sequence[str]) -> Table:
    columns = ["fold", "train", "dev", "test", *metrics, "best epoch"]
    sizes = ("train", "dev", "test")
    rows = [
        [k, *(fold["sizes"][part] for part in sizes), *(fold["test"][m] for m in metrics), fold["best_epoch"]]
        for k, fold in enumerate(folds)
    ]
    return Table("P-tuned, by fold", columns, rows, note="The best epoch is chosen on dev; test rows are scored once.")


def _paired(folds: Mapping[str, Sequence[Result]], examples: Sequence[Example]) -> list[Table]:
    """The p-tuned rows against each other method, on the same rows, by groups."""
    gold = {e.id: e.answer for e in examples}
    groups = {e.id: e.group for e in examples}
    right = {
        name: {i: float(gold[i] == label) for fold in cells for i, label in fold["predicted"].items()}
        for name, cells in folds.items()
    }
    rows: list[list[Cell]] = []
    for name in folds:
        if name != "ptuned":
            found = paired_bootstrap(right["ptuned"], right[name], groups=groups)
            rows.append([NAMES[name], found.difference, f"{found.low:+.4f} to {found.high:+.4f}", found.p])
    if not rows:
        return []
    note = "Over all rows, each in its fold's test part; bootstrap over groups of rows."
    return [Table("P-tuned against", ["method", "difference in accuracy", "95 % interval", "p"], rows, note=note)]


def _spoken(scores: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Say every method's first metric in words."""
    said = []
    for name, by_metric in scores.items():
        metric, values = next(iter(by_metric.items()))
        found = mean_sd(values)
        said.append(f"{name}: {metric.replace('_', ' ')} {found.mean:.4f}, sd {found.sd or 0:.4f}")
    return "; ".join(said) + "."


def _warnings(trials: Sequence[Result]) -> list[str]:
    found = [warning for trial in trials for warning in (*trial.get("warnings", ()), *trial.get("notes", ()))]
    return list(dict.fromkeys(found))


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
    for key, title in (("bank", "prompt bank"), ("full", "full fine-tuning")):
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
        + (f" Of full fine-tuning: {results['full']['scores']['forgetting']:.4f}." if "full" in results else ""),
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
