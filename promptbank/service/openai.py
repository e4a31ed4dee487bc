"""OpenAI's API over tasks: a model is a task, its completion is the label or the text that the task answers."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from promptbank.bank.task_server import TaskServer, asked_lang
from promptbank.engine.predictor import Prediction, PredictionRequest
from promptbank.errors import BodyFieldError, BodyTooLargeError, PromptBankError
from promptbank.service.answer_headers import row_headers, timing_header
from promptbank.service.answering import CLIENT_GONE, Answer, Answering
from promptbank.service.body import read_body
from promptbank.service.event_stream import EventStream
from promptbank.service.limits import RequestLimits
from promptbank.service.models import CompletionModel, ServedModel, ServedModels
from promptbank.service.openai_answers import ChatAnswer, CompletionAnswer
from promptbank.service.openai_bodies import ChatRequest, CompletionRequest, body_schema, read_request
from promptbank.service.openai_formats import label_format
from promptbank.service.problem_answers import problem_answer
from promptbank.service.queue import QueuedRequest
from promptbank.service.statuses import ASKING, LISTING, problems
from store import RowInfo, StoreError
from tasks import (
    DataError,
    TaskCard,
    TaskError,
    TaskRef,
    check_record,
    example_from,
    parse_json,
    parse_spec,
)

__all__ = ["add_openai", "fields_of_text"]

_ABOUT: dict[str, Any] = {
    "response_model": CompletionModel,
    "responses": problems(*ASKING) | {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    "tags": ["openai"],
}


def add_openai(app: FastAPI, server: TaskServer, answering: Answering, limits: RequestLimits) -> None:
    """Add the endpoints.

    Args:
        app: the application.
        server: finds tasks.
        answering: answers them.
        limits: of a request.
    """
    _add_models(app, server)

    async def complete(request: Request, kind: type[CompletionRequest | ChatRequest]) -> Response:
        body = await read_body(request, limits.body, limits.body_seconds)
        found: list[_Completion] = []

        def read() -> list[PredictionRequest]:
            found.append(_completion(server, read_request(body, kind), limits.records))
            return found[0].requests

        admitted = await answering.admit(read, request.state.api_key)
        queued = [one for one in admitted if isinstance(one, QueuedRequest)]
        if failed := [one for one in admitted if isinstance(one, Exception)]:
            for one in queued:
                one.abandon()
            return problem_answer(failed[0])
        if found[0].asked.stream:
            stream = EventStream(queued, found[0].answer, with_usage=found[0].asked.with_usage)
            stream.headers.update(row_headers(queued))
            return stream
        answers = await answering.answers(request, queued)
        return Response(status_code=CLIENT_GONE) if answers is None else _whole(found[0].answer, queued, answers)

    @app.post("/v1/completions", summary="Complete texts", openapi_extra=_body(CompletionRequest), **_ABOUT)
    async def completions(request: Request) -> Response:
        """Answer each prompt by the task that `model` names: with the id of a label, or the text of an open task.

        With `stream` the answer is a stream of server-sent events.
        """
        return await complete(request, CompletionRequest)

    @app.post("/v1/chat/completions", summary="Answer a message", openapi_extra=_body(ChatRequest), **_ABOUT)
    async def chat(request: Request) -> Response:
        """Answer the last user message by the task that `model` names; other messages are not read.

        With `stream` the answer is a stream of server-sent events.
        """
        return await complete(request, ChatRequest)


def _body(kind: type[CompletionRequest | ChatRequest]) -> dict[str, object]:
    return {"requestBody": body_schema(kind)}


@dataclass(frozen=True)
class _Completion:
    """A request for completions, what it asks of the predictor, and the shape of its answer."""

    asked: CompletionRequest | ChatRequest
    requests: list[PredictionRequest]
    answer: CompletionAnswer


def _completion(server: TaskServer, asked: CompletionRequest | ChatRequest, most: int) -> _Completion:
    texts, form = asked.texts, label_format(asked)
    if len(texts) > most:
        raise BodyTooLargeError(f"{len(texts)} prompts in one request; {most} are allowed, send them in parts")
    ref, whole = parse_spec(asked.model), "\n".join(text for _, text in texts)
    lang = server.spoken(ref, asked.lang, lambda _: whole)
    task = server.task(ref, lang)
    card = task.renderer.card
    form.check(card)
    if asked.top is not None and card.is_open:
        raise BodyFieldError("logprobs", f"{card.taskname}:{card.lang} writes open answers, without probabilities")
    shape = ChatAnswer if isinstance(asked, ChatRequest) else CompletionAnswer
    requests = [
        PredictionRequest(
            task, fields_of_text(name, text, card), form.labels, asked.most_tokens, asked_lang(task, ref, lang)
        )
        for name, text in texts
    ]
    return _Completion(asked, requests, shape(task, form, asked.top, asked.unread))


def fields_of_text(name: str, text: str, card: TaskCard) -> Mapping[str, str]:
    """Return the fields of a record: the text itself, or the JSON object in it where the card has several fields.

    Raises:
        BodyFieldError: the card has several fields, and the text is no JSON object.
        DataError: a field is missing or cannot be used.
    """
    data: object = {card.fields[0]: text} if len(card.fields) == 1 else None
    if data is None:
        with suppress(DataError):
            data = parse_json(text)
        if not isinstance(data, dict):
            raise BodyFieldError(name, f"{card.taskname}:{card.lang} takes a JSON object of {', '.join(card.fields)}")
    return example_from(check_record(data, name), card, need_answer=False).fields


def _whole(answer: CompletionAnswer, queued: Sequence[QueuedRequest], answers: Sequence[Answer]) -> Response:
    if failed := [one for one in answers if isinstance(one, Exception)]:
        return problem_answer(failed[0])
    body = answer.body(queued, [one for one in answers if isinstance(one, Prediction)])
    return JSONResponse(body, headers=row_headers(queued) | timing_header(queued))


def _add_models(app: FastAPI, server: TaskServer) -> None:
    @app.get("/v1/models", summary="Tasks as models", responses=problems(401, 403, 500, 503), tags=["openai"])
    def models() -> ServedModels:
        """Return all live tasks of the backbone that is loaded; one that cannot be served is left out."""
        found = []
        for info in server.listing().live(server.backbone.fingerprint):
            with suppress(PromptBankError, StoreError, TaskError):
                found.append(_model(server, info))
        return ServedModels(data=found)

    @app.get("/v1/models/{model}", summary="One task as a model", responses=problems(*LISTING), tags=["openai"])
    def model(model: str) -> ServedModel:
        """Return a task by `taskname[:lang][@version]`."""
        ref = parse_spec(model)
        return _model(server, server.info(ref), ref.version)


def _model(server: TaskServer, info: RowInfo, version: int | None = None) -> ServedModel:
    """Return the model that a row is, whose card must be sound."""
    card = server.card(info)
    return ServedModel(
        id=str(TaskRef(card.taskname, card.lang, version)),
        created=int(info.created_at.timestamp()),
        parent=server.backbone.name,
        root=str(TaskRef(card.taskname, card.lang, info.version)),
        max_model_len=server.backbone.window,
    )
