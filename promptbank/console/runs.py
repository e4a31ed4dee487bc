"""Runs: every training with its curve and settings, and up to five beside each other."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from promptbank.bank.served import served_task
from promptbank.console.app import Console, Page, Visit
from promptbank.engine.evaluate import right_answers, texts_of
from promptbank.engine.predictor import Prediction, PredictionRequest, ServedTask
from promptbank.errors import InputError
from promptbank.service.answering import CLIENT_GONE
from store import RowInfo, Run, Store
from tasks import DataError, Example, gather_examples, read_jsonl
from tasks.statistics import PairedDifference, paired_bootstrap

__all__ = ["PAGES"]

LOOK = frozenset({"infer", "train", "admin"})
INFER = frozenset({"infer"})
MOST = 5
"""Runs that are compared at once: one colour each."""
CURVE = {"epoch": "epoch", "train_loss": "train_loss", "dev_loss": "loss", "dev_accuracy": "accuracy"}
"""Names of stored metrics, and of the same figures in a row's list of epochs."""


@dataclass(frozen=True)
class RunSummary:
    """A run for a page.

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


def runs(console: Console, visit: Visit) -> Response:
    """List every run, the newest first; two to five can be ticked."""
    store = console.bank.store
    rows = {info.row_id: info for info in store.rows.list()}
    found = [_summary(run, rows) for run in reversed(store.runs.list())]
    return console.show(visit, "runs.html", {"found": found, "most": MOST})


def run(console: Console, visit: Visit) -> Response:
    """Show one run: its curve, settings and result."""
    one = _found(console.bank.store, [visit.asked("id")])[0]
    return console.show(visit, "run.html", {"one": one, "points": _points(console.bank.store, one.run)})


def compare(console: Console, visit: Visit) -> Response:
    """Show runs beside each other: overlaid curves, and the settings that differ."""
    return console.show(visit, "runs_compared.html", _compared(console, visit.request.query_params.getlist("id")))


async def difference(console: Console, visit: Visit) -> Response:
    """Answer labelled examples by the rows of the compared runs, and show how each differs from the first."""
    ids, (name, content) = visit.form.fields.get("id", ()), visit.form.files.get("examples", ("", b""))
    if not content.strip():
        raise InputError("choose a file of labelled records, a JSON object a line")
    tasks, examples = await run_in_threadpool(_labelled, console, ids, name, content)
    asked = [PredictionRequest(task, one.fields) for task in tasks for one in examples]
    answers = await console.answering.answers(visit.request, await console.answering.admit(lambda: asked))
    if answers is None:
        return Response(status_code=CLIENT_GONE)
    found = _differences(tasks, examples, [_answered(one) for one in answers])
    shown = await run_in_threadpool(_compared, console, ids)
    return console.show(visit, "runs_compared.html", shown | {"differences": found, "file": name})


def _answered(answer: object) -> Prediction:
    if isinstance(answer, Exception):
        raise answer
    assert isinstance(answer, Prediction)  # noqa: S101 - it is one or the other
    return answer


def _labelled(
    console: Console, ids: Sequence[str], name: str, content: bytes
) -> tuple[list[ServedTask], list[Example]]:
    """Return the rows of runs, ready to answer, and the examples that all of them are to answer."""
    store, backbone = console.bank.store, console.server.backbone
    infos = [one.row for one in _found(store, ids)]
    if len(infos) < 2 or None in infos or len({info.scope for info in infos if info}) != 1:
        raise InputError("examples compare two to five runs whose rows are of one task and backbone")
    served = [served_task(store.rows.get(i.scope, i.version), i.version, backbone) for i in infos if i]
    records = list(read_jsonl(content.split(b"\n"), name=name))
    examples = gather_examples([(name, records)], served[0].renderer.card)
    if len(examples) * len(served) > console.limits.records:
        most = console.limits.records // len(served)
        raise InputError(f"{name} has {len(examples)} records; {most} may be asked at once for {len(served)} runs")
    return served, examples


def _differences(
    tasks: Sequence[ServedTask], examples: Sequence[Example], answers: Sequence[Prediction]
) -> list[PairedDifference | str]:
    """Return how each of the other rows differs from the first on the same examples."""
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


def _compared(console: Console, ids: Sequence[str]) -> dict[str, object]:
    store = console.bank.store
    found = _found(store, ids)
    if not 2 <= len(found) <= MOST:
        raise InputError(f"{len(found)} run(s) are ticked; tick two to {MOST}")
    keys = sorted({name for one in found for name in one.settings})
    differing = [name for name in keys if len({json.dumps(one.settings.get(name)) for one in found}) > 1]
    curves = [{"name": one.run.run_id[:8], "points": _points(store, one.run)} for one in found]
    metrics = sorted({name for one in found for name in one.metrics})
    shown = {"found": found, "differing": differing, "same": len(keys) - len(differing), "curves": curves}
    return shown | {"metrics": metrics, "differences": None, "file": ""}


def _found(store: Store, ids: Sequence[str]) -> list[RunSummary]:
    rows = {info.row_id: info for info in store.rows.list()}
    return [_summary(store.runs.get(one), rows) for one in dict.fromkeys(ids)]


def _summary(run: Run, rows: Mapping[int, RowInfo]) -> RunSummary:
    said = json.loads(run.result_json or "{}")
    result: dict[str, Any] = said if isinstance(said, dict) else {}
    return RunSummary(run, json.loads(run.config_json), result, rows.get(result.get("row_id", 0)))


def _points(store: Store, run: Run) -> list[dict[str, float | None]]:
    """Return a run's figures by epoch, as far as it is."""
    steps: dict[int, dict[str, float | None]] = {}
    for step, name, value in store.runs.metrics(run.run_id):
        if name in CURVE:
            steps.setdefault(step, dict.fromkeys(CURVE.values()))[CURVE[name]] = value if value == value else None
    return [point for _, point in sorted(steps.items()) if point["epoch"] is not None]


PAGES = (
    Page("/runs", runs, LOOK),
    Page("/run", run, LOOK),
    Page("/runs/compare", compare, LOOK),
    Page("/runs/compare", difference, INFER, "POST"),
)
