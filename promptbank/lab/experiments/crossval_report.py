"""From the result file of a cross-validation to its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from promptbank.lab.experiments.report_parts import Result, notes_tables, shown_about, timing_table, warning_lines
from promptbank.report.parts import Cell, Figure, Part, Report, Table
from promptbank.report.plots import bar_plot
from tasks import ANSWER_FORMATS, Example, TaskCard, exact_match, parse_card
from tasks.statistics import Interval, grouped_interval, mean_sd, paired_bootstrap, student_interval

__all__ = ["crossval_report"]

METRICS = ("accuracy", "macro_f1")
BY_ROW = ("accuracy", "exact_match")
"""Metrics that are a share of right rows."""
NAMES = {"ptuned": "p-tuned", "tfidf": "TF-IDF + logistic regression", "majority": "majority"}
ARM = "p-tuned on "
"""Before the name of what an arm learnt from."""

Right = Mapping[str, Mapping[str, float]]
"""By method and example id, 1 for right and 0 for wrong."""


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
    card = parse_card(about["cards"][0], source="the result file")
    right, groups = _right(card, folds, examples), {e.id: e.group for e in examples}
    flagged = _unflagged(right, examples, results.get("flagged", ()))
    parts: list[Part] = [_method_table(scores, right, groups), _fold_table(results["ptuned"], metrics)]
    parts += [*_paired(right, groups, _row_metric(metrics)), *flagged]
    trials = [{"trial": f"{name}, fold {k}", **fold} for name, cells in folds.items() for k, fold in enumerate(cells)]
    plot = bar_plot(scores, title=f"{about['folds']} folds", value_label="score, one dot a fold")
    parts += [Figure("folds", "By method", plot, alt=_spoken(scores)), *notes_tables(trials), timing_table(result)]
    return Report(
        f"Cross-validation of {card.taskname}:{card.lang}",
        f"{about['rows']} rows in {about['folds']} folds by group. {_spoken(scores)}",
        shown_about(about),
        parts,
        falls_short=warning_lines(trials),
    )


def _methods(results: Result) -> dict[str, Sequence[Result]]:
    """Return the folds of each method by its name, the p-tuned rows first, then what else they learnt from."""
    arms = {f"{ARM}{name}": arm["ptuned"] for name, arm in results.get("arms", {}).items()}
    own = {NAMES[key]: results[key] for key in NAMES if key in results}
    first = NAMES["ptuned"]
    return {first: own.pop(first), **arms, **own}


def _open_metrics(results: Result) -> list[str]:
    return [name for name, value in results["ptuned"][0]["test"].items() if isinstance(value, float)]


def _row_metric(metrics: Sequence[str]) -> str:
    return next((metric.replace("_", " ") for metric in metrics if metric in BY_ROW), "right answers")


def _method_table(
    scores: Mapping[str, Mapping[str, Sequence[float]]], right: Right, groups: Mapping[str, str]
) -> Table:
    metrics = list(next(iter(scores.values())))
    columns = ["method"]
    for metric in metrics:
        columns += [metric, f"{metric}, 95 % interval"]
    rows: list[list[Cell]] = []
    for name, by_metric in scores.items():
        row: list[Cell] = [name]
        for metric, values in by_metric.items():
            row += [mean_sd(values), _interval(metric, values, right[name], groups)]
        rows.append(row)
    note = (
        "Mean and sample standard deviation over folds, each fold counting the same. Intervals: "
        f"{', '.join(m for m in metrics if m in BY_ROW) or 'no metric'} by a bootstrap over groups of rows, around the "
        f"mean over all {len(groups)} rows, each row counting the same; "
        f"{', '.join(m for m in metrics if m not in BY_ROW) or 'no metric'} by Student's t over folds. "
        "TF-IDF and majority learn from the dev rows too."
    )
    return Table("By method", columns, rows, note=note)


def _interval(metric: str, values: Sequence[float], right: Mapping[str, float], groups: Mapping[str, str]) -> Interval:
    return grouped_interval(right, groups=groups) if metric in BY_ROW else student_interval(values)


def _fold_table(folds: Sequence[Result], metrics: Sequence[str]) -> Table:
    columns = ["fold", "train", "dev", "test", *metrics, "best epoch"]
    sizes = ("train", "dev", "test")
    rows = [
        [k, *(fold["sizes"][part] for part in sizes), *(fold["test"][m] for m in metrics), fold["best_epoch"]]
        for k, fold in enumerate(folds)
    ]
    return Table("P-tuned, by fold", columns, rows, note="The best epoch is chosen on dev; test rows are scored once.")


def _paired(right: Right, groups: Mapping[str, str], metric: str) -> list[Table]:
    """The p-tuned rows against each other method, on the same rows, by groups."""
    ours, *others = right.items()
    rows: list[list[Cell]] = []
    for name, theirs in others:
        found = paired_bootstrap(ours[1], theirs, groups=groups)
        rows.append([name, found.difference, f"{found.low:+.4f} to {found.high:+.4f}", found.p])
    if not rows:
        return []
    note = "Over all rows, each in its fold's test part and each counting the same; bootstrap over groups of rows."
    return [Table("P-tuned against", ["method", f"difference in {metric}", "95 % interval", "p"], rows, note=note)]


def _right(
    card: TaskCard, folds: Mapping[str, Sequence[Result]], examples: Sequence[Example]
) -> dict[str, dict[str, float]]:
    """Return by method whether each test row, by its id, is answered right."""
    by_id = {e.id: e for e in examples}
    return {
        name: {i: _is_right(card, by_id[i], said) for fold in cells for i, said in fold["predicted"].items()}
        for name, cells in folds.items()
    }


def _is_right(card: TaskCard, example: Example, predicted: str) -> float:
    """Compare as the card's own metric does: label ids, texts but for white space, or what its format reads."""
    gold = example.answer or ""
    if card.answer_format is not None:
        text = example.fields[card.text_field]
        return ANSWER_FORMATS[card.answer_format].scores(card, [text], [gold], [predicted])["exact_match"]
    return exact_match([gold], [predicted]) if card.is_open else float(gold == predicted)


def _unflagged(right: Right, examples: Sequence[Example], flagged: Sequence[str]) -> list[Table]:
    """Share of right answers on the test rows with and without a flag of the translation."""
    if not flagged:
        return []
    rows: list[list[Cell]] = []
    marked = set(flagged)
    for name, outcomes in right.items():
        clean = [value for i, value in outcomes.items() if i not in marked]
        rest = [value for i, value in outcomes.items() if i in marked]
        rows.append([name, *(mean_sd(part).mean if part else None for part in (clean, rest))])
    with_flag = sum(e.id in marked for e in examples)
    columns = ["method", f"right of {len(examples) - with_flag} rows without a flag", f"on {with_flag} flagged rows"]
    note = "Over all rows, each in its fold's test part and each counting the same."
    return [Table("Flagged rows apart", columns, rows, note=note)]


def _spoken(scores: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Say every method's first metric in words."""
    said = []
    for name, by_metric in scores.items():
        metric, values = next(iter(by_metric.items()))
        found = mean_sd(values)
        said.append(f"{name}: {metric.replace('_', ' ')} {found.mean:.4f}, sd {found.sd or 0:.4f}")
    return "; ".join(said) + "."
