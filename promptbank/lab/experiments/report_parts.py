"""What the reports of all experiments show alike: warnings, notes, what parts took, and what decided the result."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from promptbank.report.parts import Cell, Table
from tasks import parse_card

__all__ = ["GONE_ON", "Result", "notes_tables", "shown_about", "timing_table", "warning_lines"]

Result = Mapping[str, Any]

GONE_ON = "A part that was killed and gone on with counts from its last start."
"""What every table of seconds is to be read with."""

_FOLD_OR_SEED = re.compile(r"(?<=fold-)\d+|(?<=seed-)\d+|(?<=-)\d+(?=$|\.sklearn)")


def warning_lines(trials: Sequence[Result]) -> list[str]:
    """Return what is to be warned of, each line with the name of its training.

    Args:
        trials: each with ``trial``, its name, and ``warnings``.
    """
    return [f"{trial['trial']}: {warning}" for trial in trials for warning in trial.get("warnings", ())]


def notes_tables(trials: Sequence[Result]) -> list[Table]:
    """Return a table of what was decided in the trainings, or none where nothing was.

    Args:
        trials: each with ``trial``, its name, and ``notes``.
    """
    rows = [[trial["trial"], note] for trial in trials for note in trial.get("notes", ())]
    return [Table("Notes of the trainings", ["training", "note"], rows)] if rows else []


def timing_table(result: Result) -> Table:
    """Show what the parts of an experiment took, all folds and seeds together, and how busy the machine was."""
    alike: dict[str, list[Result]] = {}
    for name, timing in result["timings"].items():
        alike.setdefault(_FOLD_OR_SEED.sub("*", name), []).append(timing)
    rows: list[list[Cell]] = [
        [
            name,
            len(timings),
            *(round(sum(t[key] for t in timings), 1) for key in ("seconds", "cpu_seconds")),
            *(", ".join(sorted({str(t[key]) for t in timings})) for key in ("threads", "cores")),
            _range([t["load_average"][0] for t in timings]),
        ]
        for name, timings in alike.items()
    ]
    columns = [
        "part",
        "of them",
        "seconds",
        "processor seconds",
        "threads",
        "cores",
        "load average after it (1 minute)",
    ]
    return Table("Time", columns, rows, note=f"{GONE_ON} Timings are no part of the result.")


def _range(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def shown_about(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an experiment is about as a page shows it: names of the cards that the result file has whole."""
    cards = [parse_card(card, source="the result file") for card in about.get("cards", ())]
    names = ", ".join(f"{card.taskname}:{card.lang} (sha256 {card.sha256[:12]})" for card in cards)
    return {**about, "cards": names} if cards else dict(about)
