"""The report of a cross-validation: scores by method and fold, and the paired difference to each other method."""

from collections.abc import Mapping, Sequence

from promptbank.engine.evaluate import right_answers
from promptbank.lab.experiments.folder import JsonObject
from promptbank.lab.reports.learning import epoch_figures, reliability_parts
from promptbank.lab.reports.mistakes import label_tables, mistake_table
from promptbank.lab.reports.shared import experiment_report
from promptbank.report.parts import Cell, Figure, Part, Report, Table
from promptbank.report.plots import bar_plot
from tasks import Example, TaskCard, parse_card
from tasks.statistics import Interval, grouped_interval, mean_sd, paired_bootstrap, student_interval

__all__ = ["crossval_report", "local_parts"]

METRICS = ("accuracy", "macro_f1")
BY_EXAMPLE = ("accuracy", "exact_match")
"""Metrics that are a share of right answers."""
FEW = 400
"""Examples below which a share has a standard error of 0.025, so that two decimals say all."""
NAMES = {"ptuned": "p-tuned", "tfidf": "TF-IDF + logistic regression", "majority": "majority"}

Right = Mapping[str, Mapping[str, float]]
"""By method and example id, 1 for right and 0 for wrong."""
Scores = Mapping[str, Mapping[str, Sequence[float]]]
"""By method and metric, the scores of the folds."""


def crossval_report(result: JsonObject, examples: Sequence[Example]) -> Report:
    """Report a cross-validation.

    Args:
        result: of the result file.
        examples: the whole set, for gold answers and groups.
    """
    results, about = result["results"], result["about"]
    folds = _folds(results)
    test = results["ptuned"][0]["test"]
    metrics = [m for m in METRICS if m in test] or [m for m, value in test.items() if isinstance(value, float)]
    scores = {n: {m: [fold["test"][m] for fold in done] for m in metrics} for n, done in folds.items()}
    card = parse_card(about["cards"][0], source="the result file")
    right, groups = _right(card, folds, examples), {e.id: e.group for e in examples}
    trials = [{"trial": f"{name}, fold {k}", **fold} for name, done in folds.items() for k, fold in enumerate(done)]
    decimals = _decimals(about["rows"])
    plot = bar_plot(scores, title=f"{about['folds']} folds", value_label="score, one dot a fold")
    parts: list[Part] = [
        _method_table(scores, right, groups, decimals),
        *label_tables(card, _predicted(results["ptuned"]), {e.id: e for e in examples}, decimals=decimals),
        _fold_table(results["ptuned"], metrics, decimals),
        *_paired_tables(right, groups, metrics),
        *_flagged_tables(right, examples, set(results.get("flagged", ()))),
        Figure("folds", "Scores of the folds", plot, alt=_in_words(scores, decimals)),
    ]
    summary = f"{about['rows']} examples in {about['folds']} folds by group. {_in_words(scores, decimals)}"
    return experiment_report(f"Cross-validation of {card.taskname}:{card.lang}", summary, result, parts, trials=trials)


def local_parts(result: JsonObject, examples: Sequence[Example]) -> list[Part]:
    """Return what the report in the experiment's own folder shows beside: how folds learnt, and texts of the data."""
    card, folds = parse_card(result["about"]["cards"][0], source="the result file"), result["results"]["ptuned"]
    parts = [*epoch_figures(folds), *reliability_parts(folds, examples)]
    return parts if card.is_open else [*parts, mistake_table(card, _predicted(folds), {e.id: e for e in examples})]


def _decimals(examples: int) -> int:
    return 2 if examples < FEW else 4


def _predicted(folds: Sequence[JsonObject]) -> dict[str, str]:
    """Return the answers of all folds by example id."""
    return {i: answer for fold in folds for i, answer in fold["predicted"].items()}


def _folds(results: JsonObject) -> dict[str, list[JsonObject]]:
    """Return the folds of each method by its name: p-tuning, its arms, then the others."""
    arms = {f"{NAMES['ptuned']} on {name}": arm["ptuned"] for name, arm in results.get("arms", {}).items()}
    others = {NAMES[key]: results[key] for key in NAMES if key in results and key != "ptuned"}
    return {NAMES["ptuned"]: results["ptuned"], **arms, **others}


def _method_table(scores: Scores, right: Right, groups: Mapping[str, str], decimals: int) -> Table:
    metrics = list(next(iter(scores.values())))
    over = {m: "over all examples" if m in BY_EXAMPLE else "over folds" for m in metrics}
    columns = ["method", *(c for m in metrics for c in (m, f"{m} {over[m]}, 95 % interval"))]
    rows: list[list[Cell]] = []
    for name, by_metric in scores.items():
        row: list[Cell] = [name]
        for metric, values in by_metric.items():
            row += [mean_sd(values), _interval(metric, values, right[name], groups)]
        rows.append(row)
    note = (
        "Mean and sample standard deviation over folds, each fold counting the same. Intervals: "
        f"{', '.join(m for m in metrics if m in BY_EXAMPLE) or 'no metric'} by a bootstrap over groups of rows, around "
        f"the mean over all {len(groups)} rows, each row counting the same; "
        f"{', '.join(m for m in metrics if m not in BY_EXAMPLE) or 'no metric'} by Student's t over folds. "
        "TF-IDF and majority learn from the dev rows too."
    )
    return Table("By method", columns, rows, note, decimals)


def _interval(metric: str, values: Sequence[float], right: Mapping[str, float], groups: Mapping[str, str]) -> Interval:
    return grouped_interval(right, groups=groups) if metric in BY_EXAMPLE else student_interval(values)


def _fold_table(folds: Sequence[JsonObject], metrics: Sequence[str], decimals: int) -> Table:
    sizes = ("train", "dev", "test")
    rows = [
        [k, *(fold["sizes"][part] for part in sizes), *(fold["test"][m] for m in metrics), fold["best_epoch"]]
        for k, fold in enumerate(folds)
    ]
    note = "The best epoch is chosen on dev; test rows are scored once."
    return Table("P-tuned, by fold", ["fold", *sizes, *metrics, "best epoch"], rows, note, decimals)


def _paired_tables(right: Right, groups: Mapping[str, str], metrics: Sequence[str]) -> list[Table]:
    """Compare p-tuning with each other method, on the same examples, by groups."""
    metric = next((metric.replace("_", " ") for metric in metrics if metric in BY_EXAMPLE), "right answers")
    (_, ours), *others = right.items()
    rows: list[list[Cell]] = []
    for name, theirs in others:
        found = paired_bootstrap(ours, theirs, groups=groups)
        rows.append([name, found.difference, f"{found.low:+.4f} to {found.high:+.4f}", found.p])
    columns = ["method", f"difference in {metric}", "95 % interval", "p"]
    note = "Over all rows, each in its fold's test part and each counting the same; bootstrap over groups of rows."
    return [Table("P-tuned against", columns, rows, note=note)] if rows else []


def _right(
    card: TaskCard, folds: Mapping[str, Sequence[JsonObject]], examples: Sequence[Example]
) -> dict[str, dict[str, float]]:
    by_id = {e.id: e for e in examples}
    right = {}
    for name, done in folds.items():
        predicted = _predicted(done)
        outcomes = right_answers(card, [by_id[i] for i in predicted], list(predicted.values()))
        right[name] = dict(zip(predicted, outcomes, strict=True))
    return right


def _flagged_tables(right: Right, examples: Sequence[Example], flagged: set[str]) -> list[Table]:
    """Return the share of right answers on the test examples with and without a flag of the translation."""
    rows: list[list[Cell]] = []
    for name, outcomes in right.items():
        parts = [[value for i, value in outcomes.items() if (i in flagged) == wanted] for wanted in (False, True)]
        rows.append([name, *(mean_sd(part).mean if part else None for part in parts)])
    with_flag = sum(e.id in flagged for e in examples)
    columns = ["method", f"right of {len(examples) - with_flag} rows without a flag", f"on {with_flag} flagged rows"]
    note = "Over all rows, each in its fold's test part and each counting the same."
    return [Table("Flagged rows apart", columns, rows, note=note)] if flagged else []


def _in_words(scores: Scores, decimals: int) -> str:
    """Say every method's first metric."""
    sentences = []
    for name, by_metric in scores.items():
        metric, values = next(iter(by_metric.items()))
        found = mean_sd(values)
        sentences.append(
            f"{name}: {metric.replace('_', ' ')} {found.mean:.{decimals}f}, sd {found.sd or 0:.{decimals}f}"
        )
    return "; ".join(sentences) + "."
