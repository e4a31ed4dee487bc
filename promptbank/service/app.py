"""The HTTP service: clients pick a task by name.

Stateless but for the server's rows, so any number of these processes stand behind any balancer on one PostgreSQL.
Records of all requests wait in one queue before one model thread: torch already uses all threads it is given.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.middleware.cors import CORSMiddleware

from promptbank import __version__
from promptbank.bank.task_server import RecordRequest, TaskServer
from promptbank.engine.predictor import Prediction, PredictionRequest
from promptbank.service.answering import CLIENT_GONE, Answering
from promptbank.service.auth import ApiKeyCheck
from promptbank.service.body import Records, read_body, read_records
from promptbank.service.docs_page import add_docs_page
from promptbank.service.limits import RequestLimits
from promptbank.service.metrics import ServiceMetrics
from promptbank.service.models import PredictionModel, ProblemModel, ReadyModel
from promptbank.service.openai import add_openai
from promptbank.service.problem_answers import add_problem_answers, problem_answer, problem_behind
from promptbank.service.queue import RequestQueue
from promptbank.service.request_ids import REQUEST_ID, RequestIds
from promptbank.service.score import add_score
from promptbank.service.statuses import ASKING, problems
from promptbank.service.task_list import add_task_list
from tasks import DataError, InputRecord

__all__ = ["RequestLimits", "create_app"]

DESCRIPTION = "One frozen backbone, one stored prompt a task. Pick a task by its name: `taskname[:lang][@version]`."

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


def create_app(server: TaskServer, limits: RequestLimits | None = None, *, cors_origins: Sequence[str] = ()) -> FastAPI:
    """Build the application around a server that is ready to answer; browsers of other origins are let in by name.

    Its state has queue, server, answering and limits; when the application stops, what was admitted is answered first.
    """
    limits = limits or RequestLimits()
    queue = RequestQueue(limits.queue)
    metrics = ServiceMetrics(queue, server)
    answering = Answering(server.predictor, queue, metrics, limits.seconds, limits.tokens)
    server.compute = answering.compute

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        answering.stop()

    app = FastAPI(
        title="promptbank",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.queue, app.state.server, app.state.answering, app.state.limits = queue, server, answering, limits
    add_problem_answers(app)
    _add_predictions(app, server, answering, limits)
    add_openai(app, server, answering, limits)
    add_score(app, server, answering, limits)
    add_task_list(app, server)
    _add_health(app, server)
    _add_metrics(app, metrics)
    add_docs_page(app)
    app.add_middleware(ApiKeyCheck, keys=server.api_keys)
    if cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=cors_origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["*"],
            expose_headers=[REQUEST_ID, "retry-after", "x-should-retry"],
        )
    app.add_middleware(RequestIds)
    return app


def _plain(answer: Prediction | Exception, record: InputRecord | DataError) -> dict[str, object]:
    """Return an answer or a problem as JSON, with the id of its record if that has one."""
    plain = answer.as_dict() if isinstance(answer, Prediction) else problem_behind(answer).as_dict()
    own = record.data.get("id") if isinstance(record, InputRecord) else None
    return plain if own is None else {"id": own, **plain}


def _add_predictions(app: FastAPI, server: TaskServer, answering: Answering, limits: RequestLimits) -> None:
    async def answer(request: Request, task: str | None, lang: str | None) -> Response:
        body = await read_body(request, limits.body, limits.body_seconds)
        found: list[Records] = []

        def read() -> Sequence[PredictionRequest | Exception]:
            found.append(read_records(body, request.headers.get("content-type", ""), limits.records))
            return server.requests([RecordRequest(record, task, lang) for record in found[0].records])

        answers = await answering.answers(request, await answering.admit(read))
        if answers is None:
            return Response(status_code=CLIENT_GONE)
        if not found[0].single:
            return JSONResponse([_plain(*pair) for pair in zip(answers, found[0].records, strict=True)])
        if isinstance(answers[0], Prediction):
            return JSONResponse(_plain(answers[0], found[0].records[0]))
        return problem_answer(answers[0])

    models = PredictionModel | list[PredictionModel | ProblemModel]
    about: dict[str, Any] = {
        "responses": problems(*ASKING),
        "openapi_extra": _BODY,
        "response_model": models,
        "tags": ["predict"],
    }

    @app.post("/v1/predict", summary="Answer records, each by the task it names", **about)
    async def predict(
        request: Request, lang: str | None = Query(None, description="for records that name no language")
    ) -> Response:
        """Take one record, a list of records or JSON lines, exactly as in a training file.

        A list answers 200 with one item a record, in order; an item that failed is a problem with its own status. A
        single record answers with its own status. The gold answer, if present, is ignored.
        """
        return await answer(request, None, lang)

    @app.post("/v1/tasks/{taskname}/predict", summary="Answer records by one task", **about)
    async def predict_task(
        request: Request, taskname: str, lang: str | None = Query(None, description="for records that name no language")
    ) -> Response:
        """Like `/v1/predict`, with the task in the path: `taskname[:lang][@version]`."""
        return await answer(request, taskname, lang)


def _add_health(app: FastAPI, server: TaskServer) -> None:
    @app.head("/livez", include_in_schema=False)
    @app.get("/livez", summary="Is the process alive?", tags=["health"])
    async def livez() -> dict[str, str]:
        """Answer as long as the process can."""
        return {"status": "ok"}

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", summary="Can requests be answered?", responses=problems(503), tags=["health"])
    async def readyz() -> ReadyModel:
        """Tell the bank's revision; while it cannot be reached the status is `stale`, and known tasks are answered."""
        stale = server.stale_seconds
        return ReadyModel(
            status="stale" if stale else "ready",
            backbone=server.backbone.name,
            fingerprint=server.backbone.fingerprint,
            revision=server.known_revision(),
            stale_seconds=round(stale, 1),
            refused=server.refused,
        )


def _add_metrics(app: FastAPI, metrics: ServiceMetrics) -> None:
    @app.get("/metrics", summary="Metrics, as Prometheus reads them", tags=["health"], response_class=PlainTextResponse)
    async def text() -> Response:
        """Return counters, histograms and gauges of this process."""
        return PlainTextResponse(metrics.text(), media_type=CONTENT_TYPE_LATEST)
