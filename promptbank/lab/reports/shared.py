"""What the reports of all experiments share: warnings, notes, timings, and what decided the result."""

import re
from collections.abc import Mapping, Sequence

from promptbank.lab.experiments.folder import JsonObject
from promptbank.report.parts import Part, Report, Table
from tasks import parse_card

__all__ = ["RESUMED", "experiment_report", "shown_about", "timing_table"]

RESUMED = "A part that was killed and gone on with counts from its last start."
"""A note for every table of seconds."""

_FOLD_OR_SEED = re.compile(r"(?<=fold-)\d+|(?<=seed-)\d+|(?<=-)\d+(?=$|\.sklearn)")


def experiment_report(
    title: str,
    summary: str,
    result: JsonObject,
    parts: Sequence[Part],
    *,
    trials: Sequence[JsonObject] = (),
    falls_short: Sequence[str] = (),
) -> Report:
    """Return the report of an experiment, with what all of them show alike added to it.

    Args:
        title: of the page.
        summary: the result in a few sentences.
        result: the content of the result file.
        parts: what this experiment shows.
        trials: its trainings, each with ``trial``, its name, and optionally ``warnings`` and ``notes``.
        falls_short: warnings that are no training's.
    """
    notes = [[trial["trial"], note] for trial in trials for note in trial.get("notes", ())]
    warnings = [f"{trial['trial']}: {warning}" for trial in trials for warning in trial.get("warnings", ())]
    table = [Table("Notes of the trainings", ["training", "note"], notes)] if notes else []
    about, shown = shown_about(result["about"]), [*parts, *table, timing_table(result)]
    return Report(title, summary, about, shown, falls_short=[*falls_short, *warnings])


def timing_table(result: JsonObject) -> Table:
    """Return what the parts of an experiment took, all folds and seeds together, and how busy the machine was."""
    alike: dict[str, list[JsonObject]] = {}
    for name, timing in result["timings"].items():
        alike.setdefault(_FOLD_OR_SEED.sub("*", name), []).append(timing)
    columns = ["part", "of them", "seconds", "processor seconds", "threads", "cores"]
    rows = [
        [
            name,
            len(timings),
            *(round(sum(t[key] for t in timings), 1) for key in ("seconds", "cpu_seconds")),
            *(", ".join(sorted({str(t[key]) for t in timings})) for key in ("threads", "cores")),
            _range([t["load_average"][0] for t in timings]),
        ]
        for name, timings in alike.items()
    ]
    note = f"{RESUMED} Timings are no part of the result."
    return Table("Time", [*columns, "load average after it (1 minute)"], rows, note=note)


def _range(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def shown_about(about: Mapping[str, object]) -> JsonObject:
    """Return what an experiment is about as a page shows it: names of the cards that the result file has whole."""
    raw = about.get("cards")
    cards = [parse_card(card, source="the result file") for card in (raw if isinstance(raw, list) else ())]
    names = ", ".join(f"{card.taskname}:{card.lang} (sha256 {card.sha256[:12]})" for card in cards)
    return {**about, "cards": names} if cards else dict(about)
