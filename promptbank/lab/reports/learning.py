"""How the folds of a cross-validation learnt, and whether their probabilities can be taken at their word."""

from collections.abc import Sequence

from promptbank.lab.experiments.folder import JsonObject
from promptbank.report.parts import Cell, Figure, Part, Table
from promptbank.report.plots import curve_plot
from tasks import Example, calibration_error, reliability
from tasks.statistics import mean_sd

__all__ = ["epoch_figures", "reliability_parts"]


def epoch_figures(folds: Sequence[JsonObject]) -> list[Part]:
    """Return the dev scores of all folds by epoch: accuracy, or the loss of open answers.

    Args:
        folds: their ``epochs`` as `EpochReport.as_dict` writes them.
    """
    epochs = [epoch for fold in folds for epoch in fold.get("epochs", ())]
    if not epochs:
        return []
    metric = "loss" if epochs[0]["accuracy"] is None else "accuracy"
    by_epoch: dict[float, list[float]] = {}
    for epoch in epochs:
        by_epoch.setdefault(epoch["epoch"], []).append(epoch[metric])
    first, last = min(by_epoch), max(by_epoch)
    alt = f"Dev {metric} after epoch {first:g}: {mean_sd(by_epoch[first]).mean:.3f}, after {last:g}: "
    alt += f"{mean_sd(by_epoch[last]).mean:.3f}, means over the folds that came so far."
    png = curve_plot(
        {"dev": by_epoch},
        title=f"Dev {metric} by epoch",
        x_label="epoch",
        y_label=f"dev {metric}, one dot a fold",
    )
    note = "Where folds end early, later epochs are of the others."
    return [Figure("epochs", "P-tuned, learning by epoch", png, note, alt)]


def reliability_parts(folds: Sequence[JsonObject], examples: Sequence[Example]) -> list[Part]:
    """Return how often answers are right by their probability; nothing where no probabilities were kept.

    Args:
        folds: their ``predicted`` and ``probabilities`` by example id.
        examples: for the gold answers.
    """
    gold = {example.id: example.answer for example in examples}
    told = [(p, fold["predicted"][i] == gold[i]) for fold in folds for i, p in fold.get("probabilities", {}).items()]
    if not told:
        return []
    bins = reliability([p for p, _ in told], [float(right) for _, right in told])
    error = calibration_error(bins)
    rows: list[list[Cell]] = [[f"from {b.low:.1f}", b.n, b.probability, b.right] for b in bins]
    note = f"Expected calibration error {error:.3f}: the mean distance of the two, each answer counting the same."
    columns = ["probability", "answers", "mean probability", "share right"]
    points = {b.probability: [b.right] for b in bins}
    png = curve_plot(
        {"p-tuned": points, "as said": {0.0: [0.0], 1.0: [1.0]}},
        title="Right answers by their probability",
        x_label="mean probability of the answers",
        y_label="share right",
    )
    alt = f"Expected calibration error {error:.3f} over {len(told)} answers."
    return [
        Table("P-tuned, calibration", columns, rows, note, decimals=2),
        Figure("calibration", "P-tuned, right answers by probability", png, "Test parts of all folds.", alt),
    ]
