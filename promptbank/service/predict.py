"""`POST /v1/predict`: records exactly as they stand in a training file, answered by the tasks that they name."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse

from promptbank.bank.task_server import RecordRequest, TaskServer
from promptbank.engine.predictor import Prediction, PredictionRequest
from promptbank.service.answer_headers import row_headers, timing_header
from promptbank.service.answer_options import AnswerOptions, answer_options
from promptbank.service.answering import CLIENT_GONE, Answer, Answering
from promptbank.service.body import Records, read_body, read_records
from promptbank.service.limits import RequestLimits
from promptbank.service.models import PredictionModel, ProblemModel
from promptbank.service.problem_answers import problem_answer, problem_behind
from promptbank.service.queue import QueuedRequest
from promptbank.service.statuses import ASKING, problems
from tasks import InputRecord

__all__ = ["add_predictions", "plain_answer"]

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]},
                "example": {"taskname": "sentiment-task", "sentence": "Profit rose. Sentiment for Acme"},
            },
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
}
_ABOUT: dict[str, Any] = {
    "responses": problems(*ASKING),
    "openapi_extra": _BODY,
    "response_model": PredictionModel | list[PredictionModel | ProblemModel],
    "tags": ["predict"],
}
Lang = Annotated[
    str | None,
    Query(description='for records that name no language; "auto" is the task\'s language that the text looks like'),
]
Options = Annotated[AnswerOptions, Depends(answer_options)]


def add_predictions(app: FastAPI, server: TaskServer, answering: Answering, limits: RequestLimits) -> None:
    """Add the endpoints; the arguments are those of `promptbank.service.openai.add_openai`."""

    async def answer(request: Request, task: str | None, lang: str | None, options: AnswerOptions) -> Response:
        body = await read_body(request, limits.body, limits.body_seconds)
        found: list[Records] = []

        def read() -> Sequence[PredictionRequest | Exception]:
            found.append(read_records(body, request.headers.get("content-type", ""), limits.records))
            asked = server.requests([RecordRequest(record, task, lang) for record in found[0].records])
            return [options.checked(one) for one in asked]

        admitted = await answering.admit(read, request.state.api_key)
        answers = await answering.answers(request, admitted)
        if answers is None:
            return Response(status_code=CLIENT_GONE)
        headers = row_headers(admitted) | timing_header(admitted)
        if found[0].single and isinstance(answers[0], Exception):
            return problem_answer(answers[0])
        ids = [one.data.get("id") if isinstance(one, InputRecord) else None for one in found[0].records]
        plain = [
            ({} if own is None else {"id": own}) | plain_answer(one, admitted[n], options)
            for n, (one, own) in enumerate(zip(answers, ids, strict=True))
        ]
        return JSONResponse(plain[0] if found[0].single else plain, headers=headers)

    @app.post("/v1/predict", summary="Answer records, each by the task it names", **_ABOUT)
    async def predict(request: Request, options: Options, lang: Lang = None) -> Response:
        """Take one record, a list of records or JSON lines, exactly as in a training file.

        A list answers 200 with one item a record, in order; an item that failed is a problem with its own status. A
        single record answers with its own status. The gold answer, if present, is ignored.
        """
        return await answer(request, None, lang, options)

    @app.post("/v1/tasks/{taskname}/predict", summary="Answer records by one task", **_ABOUT)
    async def predict_task(request: Request, taskname: str, options: Options, lang: Lang = None) -> Response:
        """Like `/v1/predict`, with the task in the path: `taskname[:lang][@version]`."""
        return await answer(request, taskname, lang, options)


def plain_answer(answer: Answer, asked: QueuedRequest | Exception, options: AnswerOptions) -> dict[str, object]:
    """Return an answer with the parts that are wanted, or a problem, as JSON."""
    if isinstance(answer, Prediction) and isinstance(asked, QueuedRequest):
        return options.plain(answer, asked.prepared.task.renderer.card)
    return problem_behind(answer).as_dict() if isinstance(answer, Exception) else answer.as_dict()
