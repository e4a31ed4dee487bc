"""The shapes of answers, for OpenAPI; the same objects as the CLI prints."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

__all__ = [
    "AliasModel",
    "CompletionModel",
    "ErrorModel",
    "PredictionModel",
    "ProblemBodyModel",
    "ProblemModel",
    "ReadyModel",
    "ServedModel",
    "ServedModels",
    "TaskModel",
    "VersionModel",
    "VersionsModel",
]


class PredictionModel(BaseModel):
    """The answer to one record: label fields for closed tasks, text for open ones."""

    model_config = ConfigDict(extra="forbid")

    id: str | int | float | None = Field(None, description="of the record, if it has one")
    taskname: str
    lang: str
    version: int
    sha256: str = Field(description="of the row's bytes")
    label: str | None = None
    probabilities: dict[str, float] | None = Field(None, description="over the label set")
    margin: float | None = Field(None, description="difference of the two highest probabilities")
    text: str | None = Field(None, description="generated answer of an open task")
    probability: float | None = Field(None, description="of the generated answer; of its format's, where it has one")
    truncated: int | None = Field(None, description="characters cut from the record to fit; absent when none")
    asked_lang: str | None = Field(None, description="asked for, where the task's fallback language answered")
    abstained: bool | None = Field(None, description="whether the answer is below the threshold; absent without one")


class ProblemModel(BaseModel):
    """An error (RFC 9457)."""

    id: str | int | float | None = Field(None, description="of the record, if it has one")
    type: str
    title: str
    status: int
    detail: str


class ErrorModel(BaseModel):
    """An error as clients of OpenAI read it."""

    message: str
    type: str = Field(description="invalid_request_error, rate_limit_error or server_error")
    param: str | None = Field(description="the field of the request that is wrong, where it is one")
    code: str = Field(description="the problem's type")


class ProblemBodyModel(ProblemModel):
    """The body of an answer that is an error: a problem (RFC 9457), and the same for clients of OpenAI."""

    error: ErrorModel


class TaskModel(BaseModel):
    """A task as it is served now."""

    taskname: str
    lang: str
    version: int = Field(description="the live one, unless another was asked for")
    sha256: str
    labels: list[str] | None = Field(description="label ids; null for open answers")
    fields: list[str] = Field(description="text fields a record must have")
    prompt_template: str
    total_virtual_tokens: int
    created_at: datetime


class VersionModel(BaseModel):
    """One version of a task."""

    taskname: str
    lang: str
    version: int
    sha256: str
    aliases: list[str]
    created_at: datetime


class AliasModel(BaseModel):
    """Where an alias points after a change."""

    taskname: str
    lang: str
    alias: str
    version: int | None = Field(description="null where it points nowhere")
    revision: int = Field(description="of the bank, after the change")
    refused: str | None = Field(description="why this process does not honour it; null where it does")


class ReadyModel(BaseModel):
    """Whether requests can be answered."""

    status: str
    backbone: str
    fingerprint: str
    revision: int = Field(description="of the bank; rises with every change that serving must see")
    stale_seconds: float = Field(0.0, description="since the bank last answered; 0 while it does")
    refused: dict[str, str] = Field(description="rows that never answer here, each with what is wrong with it")


class VersionsModel(BaseModel):
    """What is running."""

    promptbank: str
    backbone: str
    fingerprint: str
    dtype: str = Field(description="number format in which it computes")


class ServedModel(BaseModel):
    """A task as OpenAI's API lists models."""

    id: str = Field(description="`taskname:lang`, with the version if it was asked for")
    object: Literal["model"] = "model"
    created: int = Field(description="when the row was frozen, in seconds since 1970")
    owned_by: str = "promptbank"
    parent: str = Field(description="the backbone")
    root: str = Field(description="the version that answers")
    max_model_len: int = Field(description="most tokens of prompt and answer")


class ServedModels(BaseModel):
    """All tasks that can be asked."""

    object: Literal["list"] = "list"
    data: list[ServedModel]


class CompletionModel(BaseModel):
    """A completion or a chat completion, as OpenAI's API has it."""

    id: str
    object: Literal["text_completion", "chat.completion"]
    created: int
    model: str = Field(description="`taskname:lang@version` of the row that answered")
    choices: list[dict[str, JsonValue]]
    usage: dict[str, int] = Field(description="prompt tokens with the virtual ones, and one token for a label")
    promptbank: dict[str, JsonValue] | None = Field(
        None, description="row, probabilities, what was not read or cut; in each choice if there are several"
    )
