"""The HTTP service: clients pick a task by name.

Stateless but for the server's rows, so any number of these processes stand behind any balancer on one PostgreSQL.
Records of all requests wait in one queue before one model thread: torch already uses all threads it is given.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from promptbank import __version__
from promptbank.bank.task_server import TaskServer
from promptbank.service.admin import add_admin
from promptbank.service.answer_headers import EXPOSED
from promptbank.service.answer_keeper import AnswerKeeper
from promptbank.service.answering import Answering
from promptbank.service.auth import ApiKeyCheck
from promptbank.service.docs_page import add_docs_page
from promptbank.service.health import add_health
from promptbank.service.limits import RequestLimits
from promptbank.service.metrics import ServiceMetrics
from promptbank.service.openai import add_openai
from promptbank.service.predict import add_predictions
from promptbank.service.problem_answers import add_problem_answers
from promptbank.service.queue import RequestQueue
from promptbank.service.quotas import KeyQuotas
from promptbank.service.request_ids import REQUEST_ID, RequestIds
from promptbank.service.score import add_score
from promptbank.service.shadow import ShadowAnswers
from promptbank.service.task_list import add_task_list

__all__ = ["RequestLimits", "create_app"]

DESCRIPTION = "One frozen backbone, one stored prompt a task. Pick a task by its name: `taskname[:lang][@version]`."


def create_app(server: TaskServer, limits: RequestLimits | None = None, *, cors_origins: Sequence[str] = ()) -> FastAPI:
    """Build the application around a server that is ready to answer; browsers of other origins are let in by name.

    Its state has queue, server, answering, limits and metrics; what was admitted is answered before it stops.
    """
    limits = limits or RequestLimits()
    queue = RequestQueue(limits.queue)
    metrics = ServiceMetrics(queue, server)
    quotas = KeyQuotas(server.store.quotas)
    answering = Answering(server.predictor, queue, metrics, limits.seconds, limits.tokens, quotas)
    server.compute, answering.on_answer = answering.compute, server.answered
    shadows, keeper = ShadowAnswers(server, queue), AnswerKeeper(server, queue)
    answering.on_admission = (shadows.follow, keeper.follow)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        metrics.start()
        yield
        answering.stop()
        keeper.stop()
        metrics.stop()

    app = _Service(
        title="promptbank",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.queue, app.state.server, app.state.answering, app.state.limits = queue, server, answering, limits
    app.state.metrics = metrics
    add_problem_answers(app)
    add_predictions(app, server, answering, limits)
    add_openai(app, server, answering, limits)
    add_score(app, server, answering, limits)
    add_task_list(app, server)
    add_admin(app, server, limits)
    add_health(app, server, metrics)
    add_docs_page(app)
    app.add_middleware(ApiKeyCheck, keys=server.api_keys)
    if cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=cors_origins,
            allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
            allow_headers=["*"],
            expose_headers=[REQUEST_ID, "retry-after", "x-should-retry", *EXPOSED],
        )
    app.add_middleware(RequestIds)
    return app


class _Service(FastAPI):
    """An application whose errors are problems, in OpenAPI too."""

    def openapi(self) -> dict[str, Any]:
        made = self.openapi_schema is not None
        schema = super().openapi()
        for path in {} if made else schema["paths"].values():
            for answers in (operation["responses"] for operation in path.values()):
                for status, answer in answers.items():
                    if status.isdigit() and int(status) >= 400 and "application/json" in answer.get("content", {}):
                        answer["content"] = {"application/problem+json": answer["content"]["application/json"]}
        return schema
