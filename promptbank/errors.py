"""The errors of promptbank's own room.

Every error that a user can cause derives from one base per room; ``promptbank.problems`` maps the classes to HTTP
statuses and exit codes::

    PromptBankError
    ├── ConfigError                a setting or an environment variable is wrong, or the home cannot be used
    ├── InputError                 a record cannot be rendered
    │   ├── TooLongError           it does not fit the backbone's window, even truncated
    │   ├── BodyTooLargeError      a request's body, its number of records or a record's tokens are over the limit
    │   ├── ExpiredBodyError       a request's body did not arrive in the seconds that it has
    │   ├── BodyFormatError        a request's body has a content type or an encoding that is not read
    │   └── BodyFieldError         a field of a request's body has a value that is not taken (carries its name)
    ├── OverloadError              the service cannot answer now; asking again later helps
    │   ├── FullQueueError         as many records wait as may (says in how many seconds to ask again)
    │   ├── QuotaError             an API key has asked as much as it may in a minute
    │   ├── ExpiredError           a record waited longer for its turn than it may
    │   ├── NotReadyError          a row is checked before it answers for the first time
    │   └── DrainingError          the service is stopping
    ├── NoApiKeyError              a request carries no valid API key
    ├── ApiKeyScopeError           the API key of a request has not the scope that is needed
    ├── TrainingError              a training cannot start or continue (no dev rows, a checkpoint of another run)
    ├── BackboneMismatchError      a row of the bank belongs to another backbone or tokenizer
    ├── PrecisionError             a row may not be served in bfloat16: it was not measured in it, or answers worse
    ├── ProbeMismatchError         a row of the bank does not answer as when it was frozen
    ├── UnknownTaskError           nothing is frozen under this name (carries near names)
    ├── AmbiguousLanguageError     several languages are frozen and the request names none
    └── BackboneError              a backbone cannot be found, fetched or used
        ├── UnknownBackboneError   no built-in name, folder, file or hub repository is meant (carries near names)
        ├── UnusableBackboneError  it is there and cannot serve: not causal, no end token, no safetensors weights, ...
        ├── FetchError             a download failed, or what came is not what was published
        │   └── HubUnreachableError    the model hub does not answer, refuses, or is switched off
        └── BackboneStorageError   the cache folder cannot be written (rights, a file in the way, a full disk)
"""


class PromptBankError(Exception):
    """Base of the errors raised by promptbank; the message is one helpful line.

    Args:
        message: what is wrong.
        cli: what to do about it, in options of the command line; it ends the message.
        http: the same in fields of a request; it ends `http_detail` instead, what a client of the service is told.
    """

    def __init__(self, message: str, *, cli: str = "", http: str = "") -> None:
        super().__init__(f"{message}; {cli}" if cli else message)
        self.http_detail = f"{message}; {http}" if http else message


class ConfigError(PromptBankError):
    """A setting is wrong or the home folder cannot be used."""


class InputError(PromptBankError):
    """A record cannot be turned into a prompt."""


class TooLongError(InputError):
    """A rendered prompt does not fit the backbone's window, even after the allowed truncation."""


class BodyTooLargeError(InputError):
    """A request's body, the number of records in it, or the tokens of a record are over the service's limit."""


class ExpiredBodyError(InputError):
    """A request's body did not arrive in the seconds that it has."""


class BodyFormatError(InputError):
    """A request's body has a content type or an encoding that is not read."""


class BodyFieldError(InputError):
    """A field of a request's body is missing, or has a value that is not taken.

    Args:
        param: dotted name of the field.
        message: what is wrong with its value, and what is taken.
    """

    def __init__(self, param: str, message: str) -> None:
        self.param = param.encode("utf-8", "backslashreplace").decode()[:80]
        super().__init__(f"{self.param}: {message}")


class OverloadError(PromptBankError):
    """The service cannot answer now; the same request can succeed later.

    Args:
        message: one line.
        retry_after: seconds after which to ask again.
    """

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class FullQueueError(OverloadError):
    """As many records wait as may."""


class QuotaError(OverloadError):
    """An API key has asked as many records or tokens as it may in a minute."""


class ExpiredError(OverloadError):
    """A record waited longer for its turn than it may."""


class NotReadyError(OverloadError):
    """A row is checked before it answers for the first time."""


class DrainingError(OverloadError):
    """The service is stopping."""


class NoApiKeyError(PromptBankError):
    """A request carries no API key, or one that is unknown or revoked."""


class ApiKeyScopeError(PromptBankError):
    """The API key of a request has not the scope that is needed."""


class TrainingError(PromptBankError):
    """A training cannot start, continue or be frozen."""


class BackboneMismatchError(PromptBankError):
    """A stored row was made for another backbone or tokenizer."""


class ProbeMismatchError(PromptBankError):
    """A stored row does not answer its probes as when it was frozen."""


class PrecisionError(PromptBankError):
    """A row may not be served in the service's number format: it was not measured in it, or answers worse."""


class UnknownTaskError(PromptBankError):
    """Nothing is frozen under a taskname, language or version."""


class AmbiguousLanguageError(PromptBankError):
    """A request names a task that is frozen in several languages, and no language."""


class BackboneError(PromptBankError):
    """A backbone cannot be found, fetched or used."""


class UnknownBackboneError(BackboneError):
    """A reference names no backbone."""


class UnusableBackboneError(BackboneError):
    """A model is there, but promptbank cannot use it as its frozen backbone."""


class FetchError(BackboneError):
    """A download failed or delivered something else than was published."""


class HubUnreachableError(FetchError):
    """The model hub cannot be reached, or offline mode is on."""


class BackboneStorageError(BackboneError):
    """The cache of converted backbones cannot be written."""
