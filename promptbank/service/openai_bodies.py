"""Requests in the shape of OpenAI's API: which fields are honoured, which have no effect, which are refused.

A field that would change the answer and cannot be honoured is refused, never ignored; so is one that is not known.
"""

import reprlib
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, ValidationError, WithJsonSchema

from promptbank.errors import BodyFieldError, InputError
from tasks import DataError, parse_json

__all__ = ["ChatRequest", "CompletionRequest", "ResponseFormat", "StructuredOutputs", "body_schema", "read_request"]

SAYS = {"missing": "the field is missing", "extra_forbidden": "this service does not know the field; leave it out"}
"""What is said instead of pydantic's words, by type of its error."""


def _absent(value: object) -> object:
    if value:
        raise ValueError("this service does not support it; leave it out")
    return value


def _texts(value: object) -> object:
    if not (isinstance(value, str) or (isinstance(value, list) and value and all(isinstance(v, str) for v in value))):
        raise ValueError("must be a string or a list of strings; token ids are not taken")
    return value


Absent = Annotated[object, AfterValidator(_absent), WithJsonSchema({"type": "null", "description": "not supported"})]
Texts = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
NoEffect = Annotated[object, WithJsonSchema({"description": "taken without effect: the same text has the same answer"})]
TopLabels = Annotated[int, Field(ge=0, le=20, description="so many of the most probable labels")]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class StructuredOutputs(_Part):
    """What the answer is held to, as vLLM names it."""

    choice: list[str] | None = Field(None, min_length=1, description="label ids")
    json_schema: dict[str, object] | None = Field(None, alias="json")


class ResponseFormat(_Part):
    """What the answer is held to: an enum of label ids, alone or as the one property of an object."""

    type: Literal["text", "json_schema"]
    json_schema: dict[str, object] | None = None


class _StreamOptions(_Part):
    include_usage: bool | None = None
    include_obfuscation: Literal[False] | None = None


class _Request(_Part):
    """The fields that both kinds of requests have."""

    model: str = Field(description="`taskname[:lang][@version]`")
    lang: str | None = Field(None, description="where `model` names none; `auto` is what the texts look like")
    max_tokens: PositiveInt | None = Field(None, description="of an open answer")
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    guided_choice: list[str] | None = Field(None, min_length=1, description="label ids, as older vLLM names them")
    n: Literal[1] | None = None
    stop: Absent = None
    logit_bias: Absent = None
    temperature: NoEffect = None
    top_p: NoEffect = None
    seed: NoEffect = None
    user: NoEffect = None
    frequency_penalty: NoEffect = None
    presence_penalty: NoEffect = None

    @property
    def with_usage(self) -> bool:
        """Whether a stream ends with the counts of tokens."""
        return bool(self.stream_options and self.stream_options.include_usage)


class CompletionRequest(_Request):
    """A request for completions: each prompt is a text of the task."""

    prompt: Annotated[object, AfterValidator(_texts), WithJsonSchema(Texts)]
    logprobs: TopLabels | None = None
    best_of: Literal[1] | None = None
    echo: Absent = None
    suffix: Absent = None

    @property
    def texts(self) -> list[tuple[str, str]]:
        """The texts, each with the name of the field that it stands in."""
        if isinstance(self.prompt, str):
            return [("prompt", self.prompt)]
        assert isinstance(self.prompt, list)  # noqa: S101 - validated
        return [(f"prompt.{n}", text) for n, text in enumerate(self.prompt)]

    @property
    def most_tokens(self) -> int | None:
        """Most tokens of an open answer."""
        return self.max_tokens

    @property
    def top(self) -> int | None:
        """How many labels are given with their probabilities; None for no probabilities."""
        return self.logprobs

    @property
    def unread(self) -> int:
        """Number of messages that are not read."""
        return 0


class _Message(BaseModel):
    model_config = ConfigDict(strict=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[object, WithJsonSchema({"description": "a string, or a list of text parts"})] = None


class ChatRequest(_Request):
    """A request for a chat completion: the last user message is the text of the task, the others are not read."""

    messages: list[_Message] = Field(min_length=1)
    max_completion_tokens: PositiveInt | None = Field(None, description="the newer name of max_tokens")
    logprobs: bool | None = None
    top_logprobs: TopLabels | None = None
    tools: Absent = None
    functions: Absent = None
    audio: Absent = None
    modalities: list[Literal["text"]] | None = None
    store: Literal[False] | None = None
    metadata: NoEffect = None
    reasoning_effort: NoEffect = None
    service_tier: NoEffect = None
    safety_identifier: NoEffect = None
    prompt_cache_key: NoEffect = None

    @property
    def texts(self) -> list[tuple[str, str]]:
        """The text of the last user message, with the name of the field that it stands in.

        Raises:
            BodyFieldError: there is none, or it has parts that are no text.
        """
        place = max((n for n, message in enumerate(self.messages) if message.role == "user"), default=None)
        if place is None:
            raise BodyFieldError("messages", "one of them must have the role user; it is the text that is answered")
        name = f"messages.{place}.content"
        content = self.messages[place].content
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        return [(name, "".join(_text(part, name) for part in parts))]

    @property
    def most_tokens(self) -> int | None:
        """Most tokens of an open answer."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def top(self) -> int | None:
        """How many labels are given with their probabilities; None for no probabilities.

        Raises:
            BodyFieldError: a number is asked for, but no probabilities.
        """
        if self.top_logprobs is not None and not self.logprobs:
            raise BodyFieldError("top_logprobs", 'needs "logprobs": true')
        return (self.top_logprobs or 0) if self.logprobs else None

    @property
    def unread(self) -> int:
        """Number of messages that are not read."""
        return len(self.messages) - 1


Asked = TypeVar("Asked", bound=BaseModel)


def read_request(body: bytes, kind: type[Asked]) -> Asked:
    """Parse the body of a request.

    Raises:
        InputError: it is no JSON object.
        BodyFieldError: a field is missing, not known, not supported, or has a wrong value.
    """
    try:
        parsed = parse_json(body)
    except DataError as exc:
        raise InputError(f"the body is no JSON: {exc}") from exc
    if not isinstance(parsed, dict):
        raise InputError(f"the body must be a JSON object, not {reprlib.repr(parsed)}")
    try:
        return kind.model_validate(parsed)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        says = SAYS.get(first["type"], first["msg"].removeprefix("Value error, "))
        given = "" if first["type"] in SAYS else f" (it is {reprlib.repr(first['input'])})"
        raise BodyFieldError(".".join(map(str, first["loc"])), says + given) from exc


def body_schema(kind: type[BaseModel]) -> dict[str, object]:
    """Return a request's JSON schema for OpenAPI, without references: it has no components of its own there."""
    schema = kind.model_json_schema()
    parts = schema.pop("$defs", {})

    def whole(value: object) -> object:
        if isinstance(value, Mapping):
            name = str(value.get("$ref", "")).rpartition("/")[2]
            return whole(parts[name]) if name else {key: whole(part) for key, part in value.items()}
        return [whole(part) for part in value] if isinstance(value, list) else value

    return {"required": True, "content": {"application/json": {"schema": whole(schema)}}}


def _text(part: object, name: str) -> str:
    text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
    if isinstance(text, str):
        return text
    raise BodyFieldError(name, f"must be a string or a list of text parts, and a part is {reprlib.repr(part)}")
