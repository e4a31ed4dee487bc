"""The one table from errors to HTTP statuses, problem types and exit codes.

The first class that an error is an instance of decides, so special classes stand before their bases. A test walks all
public exceptions of all rooms and finds each of them here. Importing it imports no torch.
"""

from dataclasses import dataclass

from promptbank.errors import (
    AmbiguousLanguageError,
    ApiKeyScopeError,
    BackboneError,
    BackboneMismatchError,
    BodyFieldError,
    BodyFormatError,
    BodyTooLargeError,
    ConfigError,
    ExpiredBodyError,
    FullQueueError,
    InputError,
    NoApiKeyError,
    NotReadyError,
    OverloadError,
    PrecisionError,
    ProbeMismatchError,
    PromptBankError,
    QuotaError,
    TooLongError,
    TrainingError,
    UnknownTaskError,
)
from store import (
    InvalidRecordError,
    NotFoundError,
    RevisionConflictError,
    StoreError,
    StoreUnavailableError,
    TamperedRowError,
)
from tasks import TaskError
from translate.errors import TranslateError

__all__ = ["EXPECTED", "Problem", "problem_of"]

EXPECTED = (PromptBankError, TaskError, StoreError, TranslateError)
"""Bases of all errors that a user can cause; anything else is a bug of ours."""


@dataclass(frozen=True)
class Problem:
    """An error as HTTP (RFC 9457) and the CLI tell it.

    Attributes:
        type: stable short name.
        title: what kind of thing went wrong.
        status: HTTP status.
        detail: the error's own message, as the one who reads it can act on it.
        exit_code: of the CLI.
    """

    type: str
    title: str
    status: int
    detail: str
    exit_code: int = 1

    def as_dict(self) -> dict[str, object]:
        """Return the problem object that stands in the place of a prediction."""
        return {"type": self.type, "title": self.title, "status": self.status, "detail": self.detail}


_TABLE: tuple[tuple[type[Exception], int, str, str], ...] = (
    (NoApiKeyError, 401, "no-key", "The request needs a valid API key"),
    (ApiKeyScopeError, 403, "key-scope", "The API key is not for this"),
    (UnknownTaskError, 404, "unknown-task", "Nothing is frozen under this name"),
    (BackboneMismatchError, 409, "backbone-mismatch", "The row belongs to another backbone"),
    (PrecisionError, 409, "precision", "The row may not be served in this number format"),
    (ProbeMismatchError, 500, "probe-mismatch", "The row does not answer as when it was frozen"),
    (AmbiguousLanguageError, 422, "ambiguous-language", "The request must name a language"),
    (BodyTooLargeError, 413, "too-large", "The request is larger than the service takes"),
    (ExpiredBodyError, 408, "slow-body", "The request did not arrive in time"),
    (QuotaError, 429, "quota", "The API key has asked as much as it may in a minute"),
    (FullQueueError, 429, "busy", "As many records wait as may"),
    (NotReadyError, 503, "not-ready", "The row is checked before it answers for the first time"),
    (OverloadError, 503, "unavailable", "The service cannot answer now"),
    (BodyFormatError, 415, "unread-format", "The request has a content type or an encoding that is not read"),
    (BodyFieldError, 422, "bad-field", "A field of the request has a value that is not taken"),
    (TooLongError, 422, "too-long", "The record does not fit the backbone's window"),
    (InputError, 422, "bad-record", "The record cannot be used"),
    (TaskError, 422, "bad-record", "The record cannot be used"),
    (StoreUnavailableError, 503, "store-unavailable", "The bank cannot be reached"),
    (NotFoundError, 404, "not-found", "The bank holds no such thing"),
    (RevisionConflictError, 409, "revision-conflict", "The bank has changed"),
    (InvalidRecordError, 422, "not-storable", "What was sent cannot be stored"),
    (TamperedRowError, 500, "tampered-row", "A stored row is not what was frozen"),
    (StoreError, 500, "store", "The bank could not do this"),
    (TrainingError, 500, "training", "The training failed"),
    (ConfigError, 500, "config", "A setting is wrong"),
    (BackboneError, 500, "backbone", "The backbone cannot be used"),
    (TranslateError, 500, "translate", "The translation failed"),
    (PromptBankError, 500, "promptbank", "This could not be done"),
)


def problem_of(error: Exception, *, over_http: bool = False) -> Problem:
    """Return the problem for an expected error.

    Args:
        error: one of `EXPECTED`.
        over_http: whether a client of the service reads it, who is told fields of a request and no options.

    Raises:
        TypeError: the error is none of ours.
    """
    detail = str(getattr(error, "http_detail", error) if over_http else error)
    for kind, status, name, title in _TABLE:
        if isinstance(error, kind):
            return Problem(name, title, status, detail)
    raise TypeError(f"{type(error).__name__} is not an expected error") from error
