"""From the result file of a cross-validation to its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from promptbank.experiments.reports import timing_table
from promptbank.report.parts import Cell, Figure, Part, Report, Table
from promptbank.report.plots import bar_plot
from tasks import Example
from tasks.statistics import bootstrap_interval, mean_sd, paired_bootstrap

__all__ = ["crossval_report"]

METRICS = ("accuracy", "macro_f1")
NAMES = {"ptuned": "p-tuned", "tfidf": "TF-IDF + logistic regression", "majority": "majority"}
ARM = "p-tuned on "
"""Before the name of what an arm learnt from."""

Result = Mapping[str, Any]


def crossval_report(result: Result, examples: Sequence[Example]) -> Report:
    """Report a cross-validation: scores by method and fold, and the paired difference to each baseline.

    Args:
        result: of the result file.
        examples: the whole set, for gold answers and groups.
    """
    results, about = result["results"], result["about"]
    folds = _methods(results)
    metrics = [metric for metric in METRICS if metric in results["ptuned"][0]["test"]] or _open_metrics(results)
    scores = {n: {m: [fold["test"][m] for fold in cells] for m in metrics} for n, cells in folds.items()}
    card = about["cards"][0]
    paired = [*_paired(folds, examples), *_unflagged(folds, examples, results.get("flagged", ()))]
    parts: list[Part] = [_method_table(scores), _fold_table(results["ptuned"], metrics), *paired]
    plot = bar_plot(scores, title=f"{about['folds']} folds", value_label="score, one dot a fold")
    parts += [Figure("folds", "By method", plot, alt=_spoken(scores)), timing_table(result)]
    return Report(
        f"Cross-validation of {card['taskname']}:{card['lang']}",
        f"{about['rows']} rows in {about['folds']} folds by group. {_spoken(scores)}",
        dict(about),
        parts,
        falls_short=_warnings(results["ptuned"]),
    )


def _methods(results: Result) -> dict[str, Sequence[Result]]:
    """Return the folds of each method by its name, the p-tuned rows first, then what else they learnt from."""
    arms = {f"{ARM}{name}": arm["ptuned"] for name, arm in results.get("arms", {}).items()}
    own = {NAMES[key]: results[key] for key in NAMES if key in results}
    first = NAMES["ptuned"]
    return {first: own.pop(first), **arms, **own}


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
    groups = {e.id: e.group for e in examples}
    ours, *others = _right(folds, examples).items()
    rows: list[list[Cell]] = []
    for name, theirs in others:
        found = paired_bootstrap(ours[1], theirs, groups=groups)
        rows.append([name, found.difference, f"{found.low:+.4f} to {found.high:+.4f}", found.p])
    if not rows:
        return []
    note = "Over all rows, each in its fold's test part; bootstrap over groups of rows."
    return [Table("P-tuned against", ["method", "difference in accuracy", "95 % interval", "p"], rows, note=note)]


def _right(folds: Mapping[str, Sequence[Result]], examples: Sequence[Example]) -> dict[str, dict[str, float]]:
    """Return by method whether each test row, by its id, is answered right."""
    gold = {e.id: e.answer for e in examples}
    return {
        name: {i: float(gold[i] == label) for fold in cells for i, label in fold["predicted"].items()}
        for name, cells in folds.items()
    }


def _unflagged(
    folds: Mapping[str, Sequence[Result]], examples: Sequence[Example], flagged: Sequence[str]
) -> list[Table]:
    """Accuracy on the test rows with and without a flag of the translation."""
    if not flagged:
        return []
    rows: list[list[Cell]] = []
    marked = set(flagged)
    for name, right in _right(folds, examples).items():
        clean = [value for i, value in right.items() if i not in marked]
        rest = [value for i, value in right.items() if i in marked]
        rows.append([name, *(mean_sd(part).mean if part else None for part in (clean, rest))])
    with_flag = sum(e.id in marked for e in examples)
    columns = ["method", f"accuracy on {len(examples) - with_flag} rows without a flag", f"on {with_flag} flagged rows"]
    return [Table("Flagged rows apart", columns, rows, note="Over all rows, each in its fold's test part.")]


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
