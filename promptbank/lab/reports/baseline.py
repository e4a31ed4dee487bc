"""The report of baselines: majority, TF-IDF, and in-context learning by shots and calibration."""

from collections.abc import Iterator
from statistics import fmean

from promptbank.lab.experiments.folder import JsonObject
from promptbank.lab.reports.shared import experiment_report
from promptbank.report.parts import Figure, Report, Table
from promptbank.report.plots import bar_plot
from tasks.statistics import MeanSd

__all__ = ["baseline_report"]


def baseline_report(result: JsonObject) -> Report:
    """Report baselines from their result file."""
    about, methods = result["about"], result["results"]["methods"]
    folds, card = about["settings"]["folds"], about["cards"][0]
    rows = [
        [
            _name(method),
            MeanSd(method["accuracy"]["mean"], method["accuracy"]["sd_folds"], folds),
            method["accuracy"]["sd_seeds"],
            MeanSd(method["macro_f1"]["mean"], method["macro_f1"]["sd_folds"], folds),
        ]
        for method in methods
    ]
    best = max(methods, key=lambda m: m["accuracy"]["mean"])
    summary = f"Best without training a prompt: {_name(best)}, accuracy {best['accuracy']['mean']:.4f}."
    note = (
        "Mean over seeds and folds, each fold counting the same; standard deviation over folds. tfidf learns from "
        "the dev rows too, tfidf_train does not. icl: the frozen backbone with shots in the prompt."
    )
    table = Table("By method", ["method", "accuracy", "sd over seeds", "macro-F1"], rows, note=note)
    bars = {_name(method): {"accuracy": _by_fold(method)} for method in methods}
    plot = bar_plot(bars, title=f"Without training, {folds} folds", value_label="accuracy, one dot a fold")
    return experiment_report(
        f"Baselines of {card['taskname']}:{card['lang']}",
        f"{about['rows']} rows in {folds} folds by group. {summary}",
        result,
        [table, Figure("methods", "By method", plot, alt=summary)],
        falls_short=list(dict.fromkeys(warning for method in methods for warning in _cut_prompts(method))),
    )


def _name(method: JsonObject) -> str:
    if method["shots"] is None:
        return str(method["method"]).replace("_", " ")
    return f"{method['method']}, {method['shots']} shots, {method['calibration']}"


def _cut_prompts(method: JsonObject) -> Iterator[str]:
    shots, short, cut = (method.get(key) for key in ("shots", "rows_with_fewer_shots", "rows_truncated"))
    if short:
        yield f"{short} prompts of {shots} shots did not fit the window: the oldest shots were dropped"
    if cut:
        yield f"{cut} records of the prompts of {shots} shots were cut to fit the window"


def _by_fold(method: JsonObject) -> list[float]:
    """Return the accuracy of each fold, the mean over seeds."""
    by_seed = [[fold["accuracy"] for fold in seed["folds"]] for seed in method["seeds"]]
    return [fmean(values) for values in zip(*by_seed, strict=True)]
