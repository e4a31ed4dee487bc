"""The console as a part of a service: its pages below one address, under one policy of what a browser may load."""

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import quote, urlencode

from fastapi import FastAPI
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from promptbank import __version__
from promptbank.bank.session import Bank
from promptbank.bank.task_server import TaskServer
from promptbank.console.shown import FILTERS
from promptbank.engine.predictor import PredictionRequest
from promptbank.errors import ApiKeyScopeError, NoApiKeyError
from promptbank.problems import EXPECTED, Problem
from promptbank.service.answering import Answering
from promptbank.service.body import read_body
from promptbank.service.forms import PageForm, read_form
from promptbank.service.limits import RequestLimits
from promptbank.service.metrics import ServiceMetrics
from promptbank.service.problem_answers import problem_behind
from promptbank.service.sessions import COOKIE, SECONDS, Session, Sessions

__all__ = ["ANYONE", "Console", "Page", "Visit"]

logger = logging.getLogger(__name__)

Made = TypeVar("Made")

PATH = "/console"
ANYONE = frozenset[str]()
"""Scopes of a page that needs no session."""
HEADERS = {
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
    "object-src 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Visit:
    """One request for a page, with its session, and the form that it sends."""

    request: Request
    session: Session
    form: PageForm

    def asked(self, name: str, default: str = "") -> str:
        """Return a value from the address."""
        return self.request.query_params.get(name, default)

    def said(self, name: str) -> str:
        """Return a value from the form, or else from the address."""
        return self.form.text(name) or self.asked(name)

    @property
    def person(self) -> str:
        """Who sends the form, for what is kept of it."""
        return self.session.key or "this machine"

    def url(self, path: str, query: Mapping[str, object] | None = None, **more: object) -> str:
        """Return the address of a page."""
        wanted = {name: value for name, value in {**(query or {}), **more}.items() if value not in (None, "", [])}
        base = self.request.scope.get("root_path", "").rstrip("/")
        return f"{base}{quote(path)}" + (f"?{urlencode(wanted, doseq=True)}" if wanted else "")

    def go(self, path: str, **query: object) -> Response:
        """Send the browser to another page, after a form was taken."""
        return RedirectResponse(self.url(path, query), 303)


Handler = Callable[["Console", Visit], Response | Awaitable[Response]]


@dataclass(frozen=True)
class Page:
    """A page or what one of its forms does.

    Attributes:
        path: below the console's.
        handler: makes the answer; where it is no coroutine it runs on a thread and may wait for the bank.
        scopes: of which a session needs one.
        method: GET or POST.
        most: bytes of a form; 0 for as many as the service takes.
    """

    path: str
    handler: Handler
    scopes: frozenset[str]
    method: str = "GET"
    most: int = 0


def _token_field(session: Session) -> Markup:
    """Return the field that each form carries."""
    return Markup('<input type="hidden" name="token" value="{}">').format(session.token)


class Console:
    """The pages of one bank.

    Args:
        bank: what they show and change.
        service: the application whose model answers, see `promptbank.service.app.create_app`.
        review: translated folders, or folders of them.
    """

    def __init__(self, bank: Bank, service: FastAPI, review: Sequence[Path]) -> None:
        self.bank, self.review = bank, review
        self.server: TaskServer = service.state.server
        self.answering: Answering = service.state.answering
        self.limits: RequestLimits = service.state.limits
        self.sessions = Sessions(self.server.api_keys)
        self.metrics: ServiceMetrics = service.state.metrics
        self._state = service.state
        loader = PackageLoader("promptbank.console")
        self._templates = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        self._templates.filters |= FILTERS
        self._paths = frozenset[str]()

    def application(self, pages: Sequence[Page]) -> Starlette:
        """Return the application of some pages and the files that they load."""
        self._paths = frozenset(page.path for page in pages)
        routes = [Route(page.path, self._endpoint(page), methods=[page.method]) for page in pages]
        static = Mount("/static", StaticFiles(packages=[("promptbank.console", "static")]))
        app = Starlette(routes=[*routes, static], exception_handlers={HTTPException: self._of_framework})
        app.state.queue = self._state.queue
        return app

    def show(self, visit: Visit, template: str, values: Mapping[str, object], status: int = 200) -> Response:
        """Answer with a template."""
        text = self.render(visit, template, values)
        return self._kept(HTMLResponse(text, status, headers=HEADERS), visit.session, visit.request)

    def render(self, visit: Visit, template: str, values: Mapping[str, object]) -> str:
        """Fill in a template; what all have are the visit, its session and how addresses and forms are made."""
        given = {"visit": visit, "url": visit.url, "session": visit.session, "release": __version__}
        given |= {"token": partial(_token_field, visit.session), "may": visit.session.may, "paths": self._paths}
        return self._templates.get_template(template).render({**given, **values})

    @property
    def is_serving(self) -> bool:
        """Whether the service goes on; while it stops, nothing may be left that waits."""
        return not self._state.queue.draining

    async def admission(self, work: Callable[[], Made]) -> Made:
        """Have work done on the thread that finds rows and makes tokens of texts for requests; no other may."""
        made: list[Made] = []

        def read() -> list[PredictionRequest | Exception]:
            made.append(work())
            return []

        await self.answering.admit(read)
        return made[0]

    def begin(self, visit: Visit, key: str, address: str) -> Response:
        """Begin the session of an API key and go to an address of ours."""
        session = self.sessions.begun(key, visit.request)
        return self._kept(RedirectResponse(address, 303), session, visit.request)

    def _kept(self, answer: Response, session: Session, request: Request) -> Response:
        if request.cookies.get(COOKIE) != session.cookie:
            path = request.scope.get("root_path", "") or "/"
            secure = request.url.scheme == "https"
            answer.set_cookie(
                COOKIE, session.cookie, SECONDS, path=path, secure=secure, httponly=True, samesite="strict"
            )
        return answer

    def _endpoint(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            visit = Visit(request, self.sessions.of(request), PageForm())
            try:
                if page.scopes:
                    visit.session.require(page.scopes)
                if page.method == "POST":
                    visit = await self._with_form(visit, page.most or self.limits.body)
                return await self._answered(page.handler, visit)
            except NoApiKeyError as exc:
                return self._ask_for_key(visit, exc)
            except Exception as exc:
                if not isinstance(exc, EXPECTED):
                    logger.exception("page %s", request.url.path)
                return self._told(visit, problem_behind(exc))

        return answer

    async def _with_form(self, visit: Visit, most: int) -> Visit:
        """Read the form and check that it is one of this session's.

        Raises:
            ApiKeyScopeError: it is not, as when another site has sent it.
        """
        body = await read_body(visit.request, most, self.limits.body_seconds)
        form = await run_in_threadpool(read_form, body, visit.request.headers.get("content-type", ""))
        if not self.sessions.is_token(visit.session, form.text("token")):
            raise ApiKeyScopeError("the form is not of this session, or too old; load the page again and send it anew")
        return Visit(visit.request, visit.session, form)

    async def _answered(self, handler: Handler, visit: Visit) -> Response:
        if inspect.iscoroutinefunction(handler):
            return await cast(Awaitable[Response], handler(self, visit))
        return cast(Response, await run_in_threadpool(handler, self, visit))

    def _ask_for_key(self, visit: Visit, error: NoApiKeyError) -> Response:
        """Show the form for a key in the place of the page that was asked for."""
        path = visit.request.url.path if visit.request.method == "GET" else ""
        query = visit.request.url.query
        after = f"{path}?{query}" if query else path
        return self.show(visit, "login.html", {"told": str(error), "after": after}, 401)

    def _told(self, visit: Visit, problem: Problem) -> Response:
        return self.show(visit, "problem.html", {"problem": problem}, problem.status)

    def _of_framework(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
        problem = Problem("http", error.detail, error.status_code, f"{request.url.path}: {error.detail}")
        return self._told(Visit(request, self.sessions.of(request), PageForm()), problem)
