"""The playground: ask one task, two side by side, or all tasks about one text, and see what was asked and how."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from starlette.responses import Response

from promptbank.bank.task_server import RecordRequest, TaskServer
from promptbank.console.app import PATH, Console, Page, Visit
from promptbank.engine.predictor import Prediction, PredictionRequest, ServedTask
from promptbank.errors import InputError, PromptBankError
from promptbank.model.render import TOKENIZING
from promptbank.service.answering import CLIENT_GONE, Answer
from promptbank.service.problem_answers import problem_behind
from promptbank.service.request_snippets import RequestSnippets
from promptbank.service.score import ScoreRequest, live_tasks, score_request
from store import StoreError
from tasks import TaskError, check_record, parse_spec

__all__ = ["PAGES"]

FIELD = "field "
"""Stands before the name of a record's field in the names of a form."""
INFER = frozenset({"infer"})


@dataclass(frozen=True)
class PlaygroundForm:
    """What a form asks.

    Attributes:
        task: ``taskname[:lang][@version]``.
        other: a second one beside it; empty for none.
        fields: the record.
        all_tasks: whether every live task with labels is asked too.
    """

    task: str = ""
    other: str = ""
    fields: Mapping[str, str] | None = None
    all_tasks: bool = False

    @classmethod
    def of(cls, visit: Visit) -> "PlaygroundForm":
        """Read the form, or what an address says before there is one."""
        form = visit.form
        fields = {name.removeprefix(FIELD): form.text(name) for name in form.fields if name.startswith(FIELD)}
        task = form.text("task") or visit.asked("task")
        return cls(task, form.text("other") or visit.asked("other"), fields or None, bool(form.text("all")))

    @property
    def text(self) -> str:
        """The record as `/v1/score` and OpenAI's API take it: its one field, or a JSON object of several."""
        values = list((self.fields or {}).values())
        return values[0] if len(values) == 1 else json.dumps(self.fields, ensure_ascii=False)

    def requests(self, server: TaskServer) -> list[PredictionRequest | Exception]:
        """Return the requests to the model; one that cannot be made is its error."""
        names = [name for name in (self.task, self.other) if name]
        record = check_record(dict(self.fields or {}), "the form")
        found: list[PredictionRequest | Exception] = [*server.requests([RecordRequest(record, name) for name in names])]
        if self.all_tasks:
            asked = ScoreRequest(text=self.text, tasks=None, lang=None)
            found += [score_request(server, name, asked) for name in live_tasks(server, None)]
        return found


async def form(console: Console, visit: Visit) -> Response:
    """Show the form of a task, made of its card's fields."""
    asked = PlaygroundForm.of(visit)
    return await console.admission(lambda: console.show(visit, "play.html", _form(console, asked) | {"answers": None}))


async def ask(console: Console, visit: Visit) -> Response:
    """Answer the form."""
    asked = PlaygroundForm.of(visit)
    if not asked.task or asked.fields is None:
        raise InputError("choose a task and write its text")
    times = [time.perf_counter()]
    admitted = await console.answering.admit(lambda: asked.requests(console.server))
    times.append(time.perf_counter())
    answers = await console.answering.answers(visit.request, admitted)
    times.append(time.perf_counter())
    if answers is None:
        return Response(status_code=CLIENT_GONE)
    return await console.admission(lambda: _answered(console, visit, asked, answers, times))


def _answered(
    console: Console, visit: Visit, asked: PlaygroundForm, answers: Sequence[Answer], times: Sequence[float]
) -> Response:
    url, root = visit.request.url, visit.request.scope.get("root_path", "")
    service = f"{url.scheme}://{url.netloc}{root.removesuffix(PATH)}"
    snippets = RequestSnippets(service, asked.task, needs_key=bool(visit.session.key))
    shown = {
        "answers": [_shown(one) for one in answers],
        "named": 2 if asked.other else 1,
        "milliseconds": [1000 * (after - before) for before, after in pairwise(times)],
        "curl": snippets.curl(asked.fields or {}),
        "python": snippets.python(asked.text),
        "tokens": _tokens(console.server, asked),
    }
    return console.show(visit, "play.html", _form(console, asked) | shown)


def _shown(answer: Answer) -> dict[str, object]:
    """Return an answer or a problem for the page; labels the most probable first."""
    if not isinstance(answer, Prediction):
        return {"problem": problem_behind(answer)}
    bars = sorted((answer.probabilities or {}).items(), key=lambda pair: -pair[1])
    return {"problem": None, "name": f"{answer.taskname}:{answer.lang}@{answer.version}", "one": answer, "bars": bars}


def _form(console: Console, asked: PlaygroundForm) -> dict[str, object]:
    """Return the tasks that can be chosen, and the chosen one's fields."""
    infos = console.bank.store.rows.list(fingerprint=console.server.backbone.fingerprint)
    names = [f"{info.scope.taskname}:{info.scope.lang}" for info in infos]
    choices = [f"{name}@{info.version}" for name, info in zip(names, infos, strict=True)]
    live = [name for name, info in zip(names, infos, strict=True) if "live" in info.aliases]
    found = _task(console.server, asked.task)
    task = found if isinstance(found, ServedTask) else None
    told = str(found) if isinstance(found, Exception) else ""
    fields = {name: (asked.fields or {}).get(name, "") for name in task.renderer.card.fields} if task else {}
    lang = task.lang if task else ""
    about = {"asked": asked, "fields": fields, "lang": lang, "told": told, "prefix": FIELD}
    return about | {"choices": [*sorted(live), *sorted(choices)]}


def _task(server: TaskServer, name: str) -> ServedTask | Exception | None:
    try:
        return server.task(parse_spec(name)) if name else None
    except (PromptBankError, TaskError, StoreError) as exc:
        return exc


def _tokens(server: TaskServer, asked: PlaygroundForm) -> dict[str, object] | None:
    """Return the tokens that the first task reads, virtual ones by their number, and the text that was cut."""
    task = _task(server, asked.task)
    if not isinstance(task, ServedTask):
        return None
    card, tokenizer, fields = task.renderer.card, task.renderer.tokenizer, dict(asked.fields or {})
    try:
        prompt = task.renderer.prompt(fields)
    except PromptBankError:
        return None
    with TOKENIZING:
        read = [f"v{-one}" if one < 0 else tokenizer.decode([one]) for one in prompt.ids]
    cut = fields.get(card.truncate_field or "", "")[-prompt.truncated :] if prompt.truncated else ""
    return {"read": list(zip(prompt.ids, read, strict=True)), "cut": cut}


PAGES = (Page("/play", form, INFER), Page("/play", ask, INFER, "POST"))
