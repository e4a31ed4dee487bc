"""What tasks a bank holds, how good they are and what became of each version, for lists and pages. Imports no torch."""

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from promptbank.bank.select import LIVE
from promptbank.errors import InputError
from store import AliasMove, Evaluation, Row, RowInfo, Scope, Store, TamperedRowError
from tasks.statistics import Interval, share_interval

__all__ = [
    "SHARES",
    "RowScore",
    "TaskSummary",
    "TaskVersion",
    "VersionTree",
    "alias_moves",
    "lineage",
    "move_alias",
    "side_by_side",
    "task_summaries",
    "task_versions",
    "text_difference",
]

SHARES = ("accuracy", "intent_accuracy", "exact_match")
"""Metrics that are shares of right answers, which have an interval."""


@dataclass(frozen=True)
class RowScore:
    """The metric that stands for an evaluation, with its 95 % interval."""

    metric: str
    interval: Interval
    split: str
    n: int

    @classmethod
    def of(cls, evaluation: Evaluation) -> "RowScore | None":
        """Return the first of `SHARES` that was measured; None where none was."""
        metrics = json.loads(evaluation.metrics_json)
        metric = next((name for name in SHARES if name in metrics), None)
        if metric is None or not metrics.get("n"):
            return None
        return cls(metric, share_interval(metrics[metric], metrics["n"]), evaluation.split, metrics["n"])


@dataclass(frozen=True)
class TaskSummary:
    """A task on one backbone: its live row, or the newest where none is live, and how good that is."""

    row: RowInfo
    is_live: bool
    versions: int
    score: RowScore | None


@dataclass(frozen=True)
class TaskVersion:
    """One version of a task.

    Attributes:
        row: None where it is tampered with.
        fault: what is wrong with it; empty where it is sound.
        evaluations: oldest first.
    """

    info: RowInfo
    row: Row | None
    fault: str
    evaluations: Sequence[Evaluation]

    @cached_property
    def training(self) -> dict[str, Any]:
        """The resolved settings, the start, the run and its epochs; nothing of a damaged row."""
        found: dict[str, Any] = json.loads(self.row.training_json) if self.row else {}
        return found

    def metrics(self) -> dict[tuple[str, str], dict[str, float]]:
        """Return the numbers of the newest evaluation of each split and set, by split and the set's sha256."""
        found = {}
        for one in self.evaluations:
            plain = json.loads(one.metrics_json)
            numbers = {name: value for name, value in plain.items() if type(value) in (int, float)}
            found[one.split, one.data_sha256] = numbers
        return found


def task_summaries(store: Store) -> list[TaskSummary]:
    """Return every task of the bank, on each backbone, sorted by its name and language."""
    infos = sorted(store.rows.list(), key=lambda info: (info.scope, info.version))
    return [_summary(store, list(rows)) for _, rows in groupby(infos, key=lambda info: info.scope)]


def _summary(store: Store, rows: Sequence[RowInfo]) -> TaskSummary:
    live = next((info for info in rows if LIVE in info.aliases), None)
    row = live or rows[-1]
    scores = [score for one in store.evaluations.of(row.row_id) if (score := RowScore.of(one))]
    tested = [score for score in scores if score.split == "test"]
    return TaskSummary(row, live is not None, len(rows), ([None, *scores, *tested])[-1])


def task_versions(store: Store, scope: Scope) -> list[TaskVersion]:
    """Return all versions of a task, newest first; each is read whole, so its bytes are checked."""
    return [_version(store, info) for info in reversed(store.rows.versions(scope))]


def _version(store: Store, info: RowInfo) -> TaskVersion:
    row, fault = None, ""
    try:
        row = store.rows.get(info.scope, info.version)
    except TamperedRowError as exc:
        fault = str(exc)
    return TaskVersion(info, row, fault, store.evaluations.of(info.row_id))


@dataclass(frozen=True)
class VersionTree:
    """A version, and those that were started from it."""

    info: RowInfo
    children: Sequence["VersionTree"]


def lineage(versions: Sequence[TaskVersion]) -> list[VersionTree]:
    """Return the versions that have no parent, each with what was started from it, oldest first.

    One whose parent is not there, or that is damaged, stands alone.
    """
    known = {one.info.version: one.info for one in versions}
    parents = {one.info.version: one.row.parent_version if one.row else None for one in versions}

    def children(parent: int | None) -> list[VersionTree]:
        return [
            VersionTree(known[version], children(version))
            for version in sorted(known)
            if (parents[version] if parents[version] in known else None) == parent
        ]

    return children(None)


def side_by_side(versions: Sequence[TaskVersion]) -> list[tuple[str, str, str, list[float | None]]]:
    """Return a line for each split, set and metric that was measured, with the value of each version."""
    measured = [one.metrics() for one in versions]
    keys = sorted({(*place, metric) for found in measured for place, scores in found.items() for metric in scores})
    return [
        (split, sha, metric, [found.get((split, sha), {}).get(metric) for found in measured])
        for split, sha, metric in keys
    ]


def text_difference(before: str, after: str) -> list[str]:
    """Return how two texts of several lines differ, as ``diff -u`` tells it; empty where they are the same."""
    return list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))[2:]


def alias_moves(store: Store, scope: Scope) -> dict[str, list[AliasMove]]:
    """Return the moves of each alias that points somewhere, and of ``live``, newest first."""
    names = {LIVE, *(name for info in store.rows.versions(scope) for name in info.aliases)}
    return {name: store.aliases.history(scope, name)[::-1] for name in sorted(names)}


def move_alias(
    store: Store,
    scope: Scope,
    alias: str,
    *,
    to: int | None,
    seen: int | None,
    reason: str,
    share: float | None = None,
    retire: bool = False,
) -> None:
    """Move an alias for a reason that a person gives.

    Args:
        store: the bank's store.
        scope: task, language and backbone.
        alias: made if it is new.
        to: the version; None rolls it back to the one before.
        seen: the version that the person saw it point at; None for nowhere.
        reason: kept in its history.
        share: of the requests without a version that it gets, see `store.aliases`.
        retire: let it point nowhere, in place of a roll-back.

    Raises:
        InputError: no reason is given, or the alias was moved meanwhile.
        StoreError: see `store.aliases`.
    """
    if not reason.strip():
        raise InputError("give a reason: it is kept in the alias's history")
    if (now := store.aliases.get(scope, alias)) != seen:
        raise InputError(
            f"{alias} points at version {now or 'none'} now, not at {seen or 'none'} as shown: somebody moved it; "
            "look again and decide anew"
        )
    if to is not None:
        store.aliases.move(scope, to, alias, reason=reason.strip(), share=share)
    elif retire:
        store.aliases.retire(scope, alias, reason=reason.strip())
    else:
        store.aliases.rollback(scope, alias, reason=reason.strip())
