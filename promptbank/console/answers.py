"""Answers to review: what a task doubted is decided by label, one a screen, and leaves as training records."""

import json

from starlette.responses import Response

from promptbank.bank.kept_answers import AnsweredTask
from promptbank.console.app import Console, Page, Visit
from promptbank.errors import InputError
from store import RevisionConflictError

__all__ = ["PAGES"]

REVIEW = frozenset({"review"})
TAKE = frozenset({"review", "train"})
NONE = "none"
"""Decides that no label is right."""


def answer(console: Console, visit: Visit) -> Response:
    """Show one kept answer: the one that is asked for, or the most doubtful one that is open."""
    return _shown(console, visit, _task(console, visit))


def decide(console: Console, visit: Visit) -> Response:
    """Take a decision, or this person's last one back, and show what comes next."""
    task, form = _task(console, visit), visit.form
    if form.text("do") == "undo":
        return visit.go("/review/answers", task=task.name, at=task.undo(visit.person))
    what, _, label = form.text("do").partition(" ")
    if what not in ("label", NONE) or not form.text("id").isdecimal():
        raise InputError("decide for a label, or for none")
    try:
        seen = form.text("seen") if "seen" in form.fields else None
        task.decide(int(form.text("id")), label if what == "label" else "", visit.person, seen=seen)
    except RevisionConflictError as exc:
        return _shown(console, visit, task, str(exc))
    return visit.go("/review/answers", task=task.name)


def records(console: Console, visit: Visit) -> Response:
    """Send what was decided as labelled records, a JSON object a line."""
    headers = {"content-disposition": 'attachment; filename="answers.jsonl"'}
    return Response(_task(console, visit).training_lines(), headers=headers, media_type="application/jsonl")


def _task(console: Console, visit: Visit) -> AnsweredTask:
    return AnsweredTask(console.bank.store, visit.said("task"), console.server.backbone.fingerprint)


def _shown(console: Console, visit: Visit, task: AnsweredTask, fault: str = "") -> Response:
    found = task.answers()
    left = [one for one in found if one.decided is None]
    asked = next((one for one in found if f"{one.answer_id}" == visit.said("at")), None)
    one = asked or next(iter(left), None)
    about = {"one": one, "fields": json.loads(one.fields_json) if one else {}, "fault": fault}
    shown = about | {"task": task, "count": len(found), "decided": len(found) - len(left)}
    return console.show(visit, "answers.html", shown, 422 if fault else 200)


PAGES = (
    Page("/review/answers", answer, REVIEW),
    Page("/review/answers", decide, REVIEW, "POST"),
    Page("/review/answers/records", records, TAKE),
)
