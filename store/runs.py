"""Training runs: their settings, a line of metrics per step, and how they ended."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeAlias

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from store.database import Repository
from store.errors import RunConflictError, UnknownRunError
from store.records import Run
from store.schema import run, run_metric
from store.sealing import LARGEST, json_faults, refuse, storable, text_faults

Runs: TypeAlias = list[Run]  # inside the class, `list` is the method
Metrics: TypeAlias = list[tuple[int, str, float]]
RUNNING = "running"
SAME_RUN = ("kind", "config_json", "data_sha256")


class RunRepository(Repository):
    """Start, follow and finish runs. Runs are working notes: unlike rows, they may be continued."""

    def start(self, run_id: str, kind: str, config_json: str, data_sha256: str) -> Run:
        """Start a run, or resume it when it was started before and has not finished.

        Raises:
            RunConflictError: the id belongs to a finished run, or to one with other settings or data.
            InvalidRecordError: the settings are no JSON, or a text cannot be stored.
        """
        texts = {"run_id": run_id, "kind": kind, "data_sha256": data_sha256}
        refuse(f"the run {run_id!r}", [*text_faults(texts, required=True), *json_faults({"config_json": config_json})])
        values = texts | {"config_json": config_json}
        with self._database.write(f"run {run_id}") as connection:
            known = _find(connection, run_id)
            if known is None:
                connection.execute(insert(run).values(**values, status=RUNNING, started_at=datetime.now(UTC)))
                return _require(connection, run_id)
            _refuse_other(known, values)
            return known

    def record(self, run_id: str, steps: Iterable[tuple[int, Mapping[str, float]]]) -> None:
        """Store the metrics of several steps in one transaction; the last value of a (step, name) counts.

        Recording a step again, as a resumed run does, replaces its metrics.

        Raises:
            UnknownRunError: no such run was started.
            RunConflictError: it is finished.
            InvalidRecordError: a step is out of range or a name cannot be stored.
        """
        values = {(step, name): float(value) for step, metrics in steps for name, value in metrics.items()}
        outside = sorted({step for step, _ in values if not 0 <= step <= LARGEST})
        names = {f"the metric name {name!r}": name for _, name in values}
        faults = [f"step {step} is not within 0 to {LARGEST}" for step in outside]
        refuse(f"the metrics of run {run_id!r}", [*faults, *text_faults(names, required=True)])
        with self._database.write(f"run {run_id}") as connection:
            _require_running(connection, run_id)
            _replace(connection, run_id, values)

    def finish(self, run_id: str, status: str, result_json: str) -> None:
        """Close a run; after it nothing more can be recorded.

        Args:
            run_id: a run that was started.
            status: how it ended, such as "frozen" or "failed".
            result_json: what came out, as JSON.

        Raises:
            UnknownRunError: no such run was started.
            RunConflictError: it is finished already.
            InvalidRecordError: the result is no JSON, or the status is empty or "running".
        """
        faults = [*text_faults({"status": status}, required=True), *json_faults({"result_json": result_json})]
        if status == RUNNING:
            faults.append(f"status {status!r} says that the run goes on; say how it ended")
        refuse(f"the end of run {run_id!r}", faults)
        ended = {"status": status, "result_json": result_json, "finished_at": datetime.now(UTC)}
        with self._database.write(f"run {run_id}") as connection:
            _require_running(connection, run_id)
            connection.execute(update(run).where(run.c.run_id == run_id).values(**ended))

    def get(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            UnknownRunError: no such run was started.
        """
        with self._database.read() as connection:
            return _require(connection, run_id)

    def list(self) -> Runs:
        """Return every run, oldest first."""
        with self._database.read() as connection:
            found = connection.execute(select(run).order_by(run.c.started_at, run.c.run_id)).mappings()
            return [Run(**one) for one in found]

    def metrics(self, run_id: str) -> Metrics:
        """Return (step, name, value) in order of step and name.

        Raises:
            UnknownRunError: no such run was started.
        """
        columns = (run_metric.c.step, run_metric.c.name, run_metric.c.value)
        wanted = select(*columns).where(run_metric.c.run_id == run_id)
        with self._database.read() as connection:
            _require(connection, run_id)
            found = connection.execute(wanted)
            return sorted((step, name, math.nan if value is None else value) for step, name, value in found)


def _find(connection: Connection, run_id: str) -> Run | None:
    if not storable(run_id):
        return None
    found = connection.execute(select(run).where(run.c.run_id == run_id)).mappings().one_or_none()
    return None if found is None else Run(**found)


def _require(connection: Connection, run_id: str) -> Run:
    found = _find(connection, run_id)
    if found is None:
        raise UnknownRunError(f"no run has the id {run_id!r}; it must be started before it is used")
    return found


def _require_running(connection: Connection, run_id: str) -> None:
    found = _require(connection, run_id)
    if found.status != RUNNING:
        raise RunConflictError(f"run {run_id!r} ended as {found.status!r}; start another run with a new id")


def _refuse_other(known: Run, values: Mapping[str, str]) -> None:
    if known.status != RUNNING:
        raise RunConflictError(f"run {known.run_id!r} ended as {known.status!r}; start another run with a new id")
    changed = [name for name in SAME_RUN if getattr(known, name) != values[name]]
    if changed:
        raise RunConflictError(
            f"run {known.run_id!r} was started with another {' and '.join(changed)}; "
            f"resume it with the same settings, or start another run with a new id"
        )


def _replace(connection: Connection, run_id: str, values: Mapping[tuple[int, str], float]) -> None:
    if values:
        same = (run_metric.c.step == bindparam("at"), run_metric.c.name == bindparam("called"))
        old = delete(run_metric).where(run_metric.c.run_id == run_id, *same)
        connection.execute(old, [{"at": step, "called": name} for step, name in values])
        new = insert(run_metric).values(run_id=run_id)
        kept = ((step, name, None if math.isnan(value) else value) for (step, name), value in values.items())
        connection.execute(new, [{"step": step, "name": name, "value": value} for step, name, value in kept])
