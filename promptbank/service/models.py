"""The shapes of answers, for OpenAPI; the same objects as the CLI prints."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["PredictionModel", "ProblemModel", "ReadyModel", "TaskModel", "VersionModel"]


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


class ProblemModel(BaseModel):
    """An error (RFC 9457)."""

    id: str | int | float | None = Field(None, description="of the record, if it has one")
    type: str
    title: str
    status: int
    detail: str


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


class ReadyModel(BaseModel):
    """Whether requests can be answered."""

    status: str
    backbone: str
    fingerprint: str
    revision: int = Field(description="of the bank; rises with every change that serving must see")
