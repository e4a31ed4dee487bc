"""What became of each training, for lists and pages: its settings, curve and result, and how runs differ."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptbank.bank.served import served_task
from promptbank.engine.evaluate import right_answers, texts_of
from promptbank.engine.predictor import Prediction, ServedTask
from promptbank.errors import InputError
from promptbank.model.backbone import Backbone
from store import RowInfo, Run, Store
from tasks import DataError, Example
from tasks.statistics import PairedDifference, paired_bootstrap

__all__ = ["RunSummary", "row_differences", "run_points", "run_summaries", "served_runs"]

CURVE = {"epoch": "epoch", "train_loss": "train_loss", "dev_loss": "loss", "dev_accuracy": "accuracy"}
"""Names of stored metrics, and of the same figures in a row's list of epochs."""


@dataclass(frozen=True)
class RunSummary:
    """A run with what came out.

    Attributes:
        settings: that decide its result.
        result: what came out; empty while it runs.
        row: what it froze, if that is in the bank.
    """

    run: Run
    settings: Mapping[str, Any]
    result: Mapping[str, Any]
    row: RowInfo | None

    @property
    def metrics(self) -> dict[str, float]:
        """Its numbers on the dev set."""
        found = self.result.get("dev") or {}
        return {name: value for name, value in found.items() if type(value) in (int, float)}


def run_summaries(store: Store, ids: Sequence[str] | None = None) -> list[RunSummary]:
    """Return some runs, each once, or all of them, the newest first.

    Raises:
        UnknownRunError: no such run was started.
    """
    rows = {info.row_id: info for info in store.rows.list()}
    runs = store.runs.list()[::-1] if ids is None else [store.runs.get(one) for one in dict.fromkeys(ids)]
    return [_summary(run, rows) for run in runs]


def _summary(run: Run, rows: Mapping[int, RowInfo]) -> RunSummary:
    said = json.loads(run.result_json or "{}")
    result: dict[str, Any] = said if isinstance(said, dict) else {}
    return RunSummary(run, json.loads(run.config_json), result, rows.get(result.get("row_id", 0)))


def run_points(store: Store, run_id: str) -> list[dict[str, float | None]]:
    """Return a run's figures by epoch, as far as it is.

    Raises:
        UnknownRunError: no such run was started.
    """
    steps: dict[int, dict[str, float | None]] = {}
    for step, name, value in store.runs.metrics(run_id):
        if name in CURVE:
            steps.setdefault(step, dict.fromkeys(CURVE.values()))[CURVE[name]] = value if value == value else None
    return [point for _, point in sorted(steps.items()) if point["epoch"] is not None]


def served_runs(store: Store, backbone: Backbone, ids: Sequence[str]) -> list[ServedTask]:
    """Return the rows of two runs or more, ready to answer.

    Raises:
        InputError: one has no row, they are of several tasks, or there are fewer.
    """
    infos = [one.row for one in run_summaries(store, ids)]
    if len(infos) < 2 or None in infos or len({info.scope for info in infos if info}) != 1:
        raise InputError("examples compare two to five runs whose rows are of one task and backbone")
    return [served_task(store.rows.get(info.scope, info.version), info.version, backbone) for info in infos if info]


def row_differences(
    tasks: Sequence[ServedTask], examples: Sequence[Example], answers: Sequence[Prediction]
) -> list[PairedDifference | str]:
    """Return how each of the other rows differs from the first, or in words why that cannot be said.

    Args:
        tasks: the rows.
        examples: with their answers, the same for each.
        answers: of the first row to all examples, then of the second, and so on.
    """
    keys = [f"{n}" for n, _ in enumerate(examples)]
    groups = {key: one.group for key, one in zip(keys, examples, strict=True)}
    outcomes = []
    for n, task in enumerate(tasks):
        mine = answers[n * len(examples) : (n + 1) * len(examples)]
        right = right_answers(task.renderer.card, examples, texts_of(mine))
        outcomes.append(dict(zip(keys, right, strict=True)))
    return [_difference(one, outcomes[0], groups) for one in outcomes[1:]]


def _difference(a: Mapping[str, float], b: Mapping[str, float], groups: Mapping[str, str]) -> PairedDifference | str:
    try:
        return paired_bootstrap(a, b, groups=groups)
    except DataError as exc:
        return str(exc)
