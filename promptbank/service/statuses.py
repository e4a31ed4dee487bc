"""The one table of what a status that is an error means, for OpenAPI."""

from typing import Any

from promptbank.service.models import ProblemBodyModel

__all__ = ["ADMIN", "ASKING", "LISTING", "problems"]

MEANINGS = {
    401: "the bank has keys, and none of them was sent",
    403: "the key does not allow this",
    404: "nothing is frozen under this name",
    408: "the body did not arrive in time",
    409: "the row belongs to another backbone, or the bank has changed since the revision that was named",
    413: "over a limit",
    415: "a content type or an encoding that is not read",
    422: "the request, a field or a record of it cannot be used",
    429: "as many records wait as may, or the key has used up its quota; `Retry-After` says how long to wait",
    500: "the row is damaged, or there is a bug; the log tells more",
    503: "the service stops, the record waited long, or the bank is away",
}

LISTING = (401, 403, 404, 409, 422, 500, 503)
"""Of endpoints that name a task."""
ASKING = (*LISTING, 408, 413, 415, 429)
"""Of endpoints that read a body and ask the model."""

ADMIN = (*LISTING, 408, 413, 415)
"""Of endpoints that change the bank."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of some statuses."""
    return {status: {"model": ProblemBodyModel, "description": MEANINGS[status]} for status in sorted(statuses)}
