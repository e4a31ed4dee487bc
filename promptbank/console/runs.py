"""Runs: every training with its curve and settings, and up to five beside each other."""

import json
from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from promptbank.bank.run_overview import row_differences, run_points, run_summaries, served_runs
from promptbank.console.app import HEADERS, Console, Page, Visit
from promptbank.console.following import Followed, follow
from promptbank.engine.predictor import Prediction, PredictionRequest, ServedTask
from promptbank.errors import InputError
from promptbank.lab.experiments.folder import finished_experiments
from promptbank.service.answering import CLIENT_GONE
from tasks import Example, counted, gather_examples, read_jsonl

__all__ = ["PAGES"]

LOOK = frozenset({"infer", "train", "admin"})
INFER = frozenset({"infer"})
REPORT = {"content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"}
MOST = 5
"""Runs that are compared at once: one colour each."""


def runs(console: Console, visit: Visit) -> Response:
    """List every run, the newest first; two to five can be ticked."""
    shown = {"found": run_summaries(console.bank.store), "most": MOST}
    shown["experiments"] = finished_experiments(console.bank.settings.home)
    return console.show(visit, "runs.html", shown)


def report(console: Console, visit: Visit) -> Response:
    """Send a file of an experiment's report; it may style itself, and runs and loads nothing."""
    known = {one.name: one.reports for one in finished_experiments(console.bank.settings.home)}
    path = known.get(visit.asked("experiment"), {}).get(visit.asked("file"))
    if path is None:
        raise InputError("no finished experiment of this home has such a report; look at the list again")
    media_type = {".html": "text/html", ".png": "image/png"}.get(path.suffix, "text/plain; charset=utf-8")
    return Response(path.read_bytes(), headers=HEADERS | REPORT, media_type=media_type)


def run(console: Console, visit: Visit) -> Response:
    """Show one run: its curve, settings and result."""
    return console.show(visit, "run.html", _run(console, visit).values)


def events(console: Console, visit: Visit) -> Response:
    """Send a run's curve whenever it grows, until the run ends."""
    return follow(console, visit, "run_curve.html", lambda: _run(console, visit))


def _run(console: Console, visit: Visit) -> Followed:
    store = console.bank.store
    one = run_summaries(store, [visit.asked("id")])[0]
    points = run_points(store, one.run.run_id)
    return Followed({"one": one, "points": points}, (one.run.status, len(points)), one.run.status != "running")


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
    found = row_differences(tasks, examples, [_answered(one) for one in answers])
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
    served = served_runs(console.bank.store, console.server.backbone, ids)
    records = list(read_jsonl(content.split(b"\n"), name=name))
    examples = gather_examples([(name, records)], served[0].renderer.card)
    if len(examples) * len(served) > console.limits.records:
        most = console.limits.records // len(served)
        raise InputError(f"{name} has {len(examples)} records; {most} may be asked at once for {len(served)} runs")
    return served, examples


def _compared(console: Console, ids: Sequence[str]) -> dict[str, object]:
    store = console.bank.store
    found = run_summaries(store, ids)
    if not 2 <= len(found) <= MOST:
        raise InputError(f"{counted(len(found), 'run is', 'runs are')} ticked; tick two to {MOST}")
    keys = sorted({name for one in found for name in one.settings})
    differing = [name for name in keys if len({json.dumps(one.settings.get(name)) for one in found}) > 1]
    curves = [{"name": one.run.run_id[:8], "points": run_points(store, one.run.run_id)} for one in found]
    metrics = sorted({name for one in found for name in one.metrics})
    shown = {"found": found, "differing": differing, "same": len(keys) - len(differing), "curves": curves}
    return shown | {"metrics": metrics, "differences": None, "file": ""}


PAGES = (
    Page("/runs", runs, LOOK),
    Page("/run", run, LOOK),
    Page("/runs/report", report, LOOK),
    Page("/run/events", events, LOOK),
    Page("/runs/compare", compare, LOOK),
    Page("/runs/compare", difference, INFER, "POST"),
)
