"""The report of a learning curve: scores by number of examples, and what each prompt started from."""

from collections.abc import Iterable, Sequence

from promptbank.lab.experiments.folder import JsonObject
from promptbank.lab.reports.shared import experiment_report
from promptbank.report.parts import Cell, Figure, Part, Report, Table
from promptbank.report.plots import curve_plot
from tasks.statistics import mean_sd

__all__ = ["curve_report"]


def curve_report(result: JsonObject) -> Report:
    """Report a learning curve from its result file."""
    points = result["results"]["points"]
    inits = list(points[0]["ptuned"])
    few, many = (_mean(point["ptuned"][inits[0]]) for point in (points[0], points[-1]))
    rows_of = [round(_mean(point["rows"])) for point in (points[0], points[-1])]
    summary = f"P-tuned on {rows_of[0]} rows: accuracy {few:.4f}; on {rows_of[1]} rows: {many:.4f}."
    trials = [trial for point in points for trial in point["trials"]]
    plot = _plot(points, inits, result["about"]["repeats"])
    figure = Figure("curve", "Accuracy by rows", plot, alt=summary)
    parts: list[Part] = [_score_table(points, inits), *_start_tables(points), figure]
    return experiment_report("Learning curve", summary, result, parts, trials=trials)


def _plot(points: Sequence[JsonObject], inits: Sequence[str], repeats: int) -> bytes:
    series = {f"p-tuned, {init}": _by_rows((p["rows"], p["ptuned"][init]) for p in points) for init in inits} | {
        "TF-IDF + logistic regression": _by_rows((p["tfidf_rows"], p["tfidf"]) for p in points)
    }
    return curve_plot(
        series,
        title="Accuracy by rows that were learnt from",
        x_label="rows learnt from; TF-IDF's with the dev rows",
        y_label=f"accuracy on the test fold, {repeats} repeats",
        log_x=True,
        levels={"majority": _mean([score for p in points for score in p["majority"]])},
    )


def _by_rows(points: Iterable[tuple[Sequence[float], Sequence[float]]]) -> dict[float, list[float]]:
    """Return scores by mean number of examples, rounded; two shares that come to as many stand together."""
    found: dict[float, list[float]] = {}
    for rows, scores in points:
        found.setdefault(round(_mean(rows)), []).extend(scores)
    return found


def _mean(values: Sequence[float]) -> float:
    return mean_sd(values).mean


def _share(point: JsonObject) -> str:
    return f"{100 * point['fraction']:.3g}%"


def _score_table(points: Sequence[JsonObject], inits: Sequence[str]) -> Table:
    columns = ["share", "training rows", "dev rows", "rows of TF-IDF", *(f"p-tuned, start: {i}" for i in inits)]
    rows: list[list[Cell]] = [
        [
            _share(point),
            *(round(_mean(point[key])) for key in ("rows", "dev_rows", "tfidf_rows")),
            *(mean_sd(point["ptuned"][init]) for init in inits),
            mean_sd(point["tfidf"]),
        ]
        for point in points
    ]
    note = (
        "Mean and sample standard deviation over repeats, each with the next fold. Prompts choose their epoch on the "
        "dev rows; TF-IDF, which has none to choose, learns from them too."
    )
    return Table("Accuracy", [*columns, "TF-IDF"], rows, note=note)


def _start_tables(points: Sequence[JsonObject]) -> list[Table]:
    """Return what every prompt started from, where that was looked up in the bank."""
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
