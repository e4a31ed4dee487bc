"""Errors as HTTP answers: one body that is a problem (RFC 9457) and what clients of OpenAI read."""

import logging
import reprlib

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from promptbank.errors import BodyFieldError, OverloadError
from promptbank.problems import EXPECTED, Problem, problem_of
from promptbank.service.request_ids import REQUEST_ID

__all__ = ["add_problem_answers", "error_of", "problem_answer", "problem_behind"]

logger = logging.getLogger(__name__)

TYPES = {429: "rate_limit_error"}
"""OpenAI's names of statuses; others are ``invalid_request_error`` below 500 and ``server_error`` from there."""


def add_problem_answers(app: FastAPI) -> None:
    """Answer every error of an application with a problem, those of the framework too."""
    for kind in EXPECTED:
        app.add_exception_handler(kind, _expected)
    app.add_exception_handler(RequestValidationError, _of_parameters)
    app.add_exception_handler(HTTPException, _of_framework)
    app.add_exception_handler(Exception, _bug)


def problem_behind(error: Exception) -> Problem:
    """Return the problem of any error; one that is not expected is a bug, whose message is not told."""
    if isinstance(error, EXPECTED):
        return problem_of(error, over_http=True)
    detail = f"{type(error).__name__}; this is a bug of promptbank, the server's log has the stack trace"
    return Problem("bug", "Something unexpected went wrong", 500, detail)


def problem_answer(error: Exception) -> JSONResponse:
    """Return the answer that tells an error."""
    problem = problem_behind(error)
    if problem.status >= 500:
        logger.error("%s: %s", problem.type, error)
    answer = _answer(problem, getattr(error, "param", None))
    if problem.status in {429, 503}:
        answer.headers["retry-after"] = str(error.retry_after if isinstance(error, OverloadError) else 1)
    if problem.status == 401:
        answer.headers["www-authenticate"] = "Bearer"
    if problem.status in {408, 413}:
        answer.headers["connection"] = "close"  # the rest of the body is not waited for
    return answer


def error_of(problem: Problem, param: str | None = None) -> dict[str, object]:
    """Return a problem as clients of OpenAI read it: message, type, param, code."""
    kind = TYPES.get(problem.status, "invalid_request_error" if problem.status < 500 else "server_error")
    return {"message": problem.detail, "type": kind, "param": param, "code": problem.type}


def _answer(problem: Problem, param: str | None = None) -> JSONResponse:
    body = problem.as_dict() | {"error": error_of(problem, param)}
    answer = JSONResponse(body, problem.status, media_type="application/problem+json")
    if problem.status == 409 or (problem.status >= 500 and problem.status != 503):
        answer.headers["x-should-retry"] = "false"  # else OpenAI's client asks three times
    return answer


def _expected(_request: Request, error: Exception) -> JSONResponse:
    return problem_answer(error)


def _of_parameters(_request: Request, error: Exception) -> JSONResponse:
    """Tell a parameter of the path or the query that is not taken."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"][1:]))
    return problem_answer(BodyFieldError(name, f"{first['msg']} (it is {reprlib.repr(first.get('input'))})"))


def _of_framework(request: Request, error: Exception) -> JSONResponse:
    """Tell an unknown path or method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    asked = f"{request.method} {request.url.path}"
    problem = Problem("http", error.detail, error.status_code, f"{asked}: {error.detail}; /docs lists what there is")
    answer = _answer(problem)
    answer.headers.update(error.headers or {})
    return answer


def _bug(request: Request, error: Exception) -> JSONResponse:
    """Tell a bug; its answer is made outside of the middleware that names requests."""
    answer = problem_answer(error)
    answer.headers[REQUEST_ID] = request.state.request_id
    return answer
