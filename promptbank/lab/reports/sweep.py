"""The report of a sweep: the settings of each rung, and quality and time of each placement."""

from collections.abc import Sequence

from promptbank.lab.experiments.folder import JsonObject
from promptbank.lab.reports.shared import RESUMED, experiment_report
from promptbank.report.parts import Cell, Figure, Part, Report, Table
from promptbank.report.plots import Dot, scatter_plot

__all__ = ["sweep_report"]


def sweep_report(result: JsonObject) -> Report:
    """Report a sweep from its result file."""
    about, rungs = result["about"], result["results"]["rungs"]
    tables = [_rung_table(number, rung, list(about["space"])) for number, rung in enumerate(rungs)]
    best = rungs[-1][0]
    setting = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in best["setting"].items())
    trials = [trial for rung in rungs for s in rung for trial in s.get("trials", ())]
    failed = [f"rung {n + 1}: a setting failed: {s['failed']}" for n, r in enumerate(rungs) for s in r if "failed" in s]
    summary = (
        f"{len(rungs[0])} settings on {about['rows']} rows; best on the last rung: {setting}, accuracy "
        f"{best['accuracy']:.4f} over the inner folds."
    )
    parts: list[Part] = [*reversed(tables), _placements(result), _figure(rungs[0])]
    return experiment_report("Sweep of settings", summary, result, parts, trials=trials, falls_short=failed)


def _figure(rung: Sequence[JsonObject]) -> Figure:
    dots = [
        Dot(_short(s["setting"]), s["setting"]["total_virtual_tokens"], s["accuracy"])
        for s in rung
        if "failed" not in s
    ]
    label = "accuracy over the inner folds' test rows"
    plot = scatter_plot(dots, title="First rung", x_label="virtual tokens", y_label=label)
    return Figure("first-rung", "First rung", plot, alt=f"Accuracy of {len(dots)} settings by virtual tokens.")


def _short(setting: JsonObject) -> str:
    return f"{setting['placement']}, {setting['encoder']}, {setting['init']}, {setting['lr']:g}"


def _rung_table(number: int, rung: Sequence[JsonObject], names: Sequence[str]) -> Table:
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


def _placements(result: JsonObject) -> Table:
    """Return the accuracy of the card's own settings in each placement, and the seconds of all settings there."""
    placements, rung = result["about"]["space"]["placement"], result["results"]["rungs"][0]
    rows: list[list[Cell]] = []
    for placement in placements:
        scores = [s for s in rung if s["setting"]["placement"] == placement]
        own: JsonObject = next((s for s in scores if s["number"] < len(placements)), {})
        prefix = f"training-rung0-{placement}-"
        seconds = sum(t["seconds"] for name, t in result["timings"].items() if name.startswith(prefix))
        if scores:
            rows.append([placement, own.get("accuracy"), own.get("loss"), len(scores), seconds / len(scores)])
    columns = ["placement of the virtual tokens", "accuracy", "dev loss", "settings trained together"]
    note = (
        "Accuracy and dev loss are of the card's own settings, placed there and otherwise the same. Seconds are of "
        "training on all inner folds, dev scores included, by setting of the placement; settings that train together "
        f"share work, so a placement with more of them is quicker. {RESUMED}"
    )
    return Table("Placement: quality and time", [*columns, "seconds a setting"], rows, note=note)
