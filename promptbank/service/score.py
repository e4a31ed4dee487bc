"""`POST /v1/score`: one text asked of many tasks, read once where it stands before their virtual tokens."""

from collections.abc import Sequence

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from promptbank.bank.task_server import AUTO, TaskServer, asked_lang
from promptbank.engine.predictor import PredictionRequest
from promptbank.errors import BodyTooLargeError, PromptBankError
from promptbank.service.answer_headers import row_headers, timing_header
from promptbank.service.answer_options import RETURN_TEXT, THRESHOLD_TEXT, AnswerOptions, Wanted
from promptbank.service.answering import CLIENT_GONE, Answering
from promptbank.service.body import read_body
from promptbank.service.limits import RequestLimits
from promptbank.service.models import PredictionModel, ProblemModel
from promptbank.service.openai import fields_of_text
from promptbank.service.openai_bodies import body_schema, read_request
from promptbank.service.predict import plain_answer
from promptbank.service.statuses import ASKING, problems
from store import RowInfo, StoreError
from tasks import TaskError, parse_spec

__all__ = ["ScoreRequest", "add_score", "live_tasks", "score_request"]


class ScoreRequest(BaseModel):
    """A text, and the tasks that are asked about it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str = Field(description="for tasks with several fields a JSON object of them")
    tasks: list[str] | None = Field(
        None, min_length=1, description="`taskname[:lang][@version]` each; all live tasks with labels if absent"
    )
    lang: str | None = Field(
        None,
        description="of tasks that name none; without `tasks`, all in this language; `auto`: what the text looks like",
    )
    wanted: Wanted | None = Field(default=None, validation_alias="return", description=RETURN_TEXT)
    threshold: float | None = Field(default=None, ge=0, le=1, strict=False, description=THRESHOLD_TEXT)


def add_score(app: FastAPI, server: TaskServer, answering: Answering, limits: RequestLimits) -> None:
    """Add the endpoint; the arguments are those of `promptbank.service.openai.add_openai`."""

    @app.post(
        "/v1/score",
        summary="Ask many tasks about one text",
        openapi_extra={"requestBody": body_schema(ScoreRequest)},
        response_model=list[PredictionModel | ProblemModel],
        responses=problems(*(status for status in ASKING if status not in {404, 409})),
        tags=["predict"],
    )
    async def score(request: Request) -> Response:
        """Answer with one item a task, in order; a task that cannot answer is a problem with its own status.

        Tasks whose text stands before their virtual tokens share the reading of it, so eight of them cost little more
        than one.
        """
        body = await read_body(request, limits.body, limits.body_seconds)
        options = AnswerOptions()

        def read() -> Sequence[PredictionRequest | Exception]:
            nonlocal options
            asked = read_request(body, ScoreRequest)
            options = AnswerOptions(asked.wanted, asked.threshold)
            names = live_tasks(server, asked.lang) if asked.tasks is None else asked.tasks
            if len(names) > limits.records:
                raise BodyTooLargeError(
                    f"{len(names)} tasks in one request; {limits.records} are allowed, ask in parts"
                )
            return [options.checked(score_request(server, name, asked)) for name in names]

        admitted = await answering.admit(read, request.state.api_key)
        answers = await answering.answers(request, admitted)
        if answers is None:
            return Response(status_code=CLIENT_GONE)
        plain = [plain_answer(one, admitted[n], options) for n, one in enumerate(answers)]
        return JSONResponse(plain, headers=row_headers(admitted) | timing_header(admitted))


def live_tasks(server: TaskServer, lang: str | None) -> list[str]:
    """Return the live tasks with labels, of one language or of all, as they are named in a request."""
    infos = [info for info in server.listing().live(server.backbone.fingerprint) if not _is_open(server, info)]
    if lang == AUTO:
        return list(dict.fromkeys(info.scope.taskname for info in infos))
    return [f"{info.scope.taskname}:{info.scope.lang}" for info in infos if lang in (None, info.scope.lang)]


def _is_open(server: TaskServer, info: RowInfo) -> bool:
    """Say whether a task has no labels; of a row that cannot be read its answer tells what is wrong."""
    try:
        return server.card(info).is_open
    except (PromptBankError, StoreError, TaskError):
        return False


def score_request(server: TaskServer, name: str, asked: ScoreRequest) -> PredictionRequest | Exception:
    """Return what one task is asked, or why it cannot be."""
    try:
        ref = parse_spec(name)
        lang = server.spoken(ref, asked.lang, lambda _: asked.text)
        task = server.task(ref, lang)
        fields = fields_of_text("text", asked.text, task.renderer.card)
        return PredictionRequest(task, fields, asked_lang=asked_lang(task, ref, lang))
    except (PromptBankError, TaskError, StoreError) as exc:
        return exc
