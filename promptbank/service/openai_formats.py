"""What a client wants a label to be held to and written as: a choice of labels, or a JSON schema of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from promptbank.errors import BodyFieldError
from promptbank.service.openai_bodies import ChatRequest, CompletionRequest
from tasks import TaskCard

__all__ = ["LabelFormat", "label_format"]

NOTES = {"$comment", "$defs", "$id", "$schema", "default", "definitions", "description", "examples", "title"}
"""Keys of a JSON schema that allow and forbid nothing."""


@dataclass(frozen=True)
class LabelFormat:
    """The labels that may be answered, and how the answer is written.

    Attributes:
        param: the request's field that asks for it.
        labels: their ids; None for all.
        as_json: whether the answer is a JSON value.
        key: of the JSON object in which the label stands; None where it stands alone.
    """

    param: str = ""
    labels: frozenset[str] | None = None
    as_json: bool = False
    key: str | None = None

    def write(self, label: str) -> str:
        """Return the answer that says a label."""
        if not self.as_json:
            return label
        return json.dumps(label if self.key is None else {self.key: label}, ensure_ascii=False)

    def check(self, card: TaskCard) -> None:
        """Make sure that a task's answers can be held to it.

        Raises:
            BodyFieldError: the task is open, or a label is none of its labels.
        """
        if self.labels is None:
            return
        if card.label_space is None:
            raise BodyFieldError(self.param, f"{card.taskname}:{card.lang} writes open answers, which have no labels")
        if strange := sorted(self.labels - set(card.label_space)):
            raise BodyFieldError(
                self.param,
                f"{json.dumps(strange[0])[:60]} is no label of {card.taskname}:{card.lang}; "
                f"its labels are {', '.join(card.label_space)}"[:600],
            )


def label_format(asked: ChatRequest | CompletionRequest) -> LabelFormat:
    """Return what the labels of a request are held to.

    Raises:
        BodyFieldError: a schema that is no enum of strings and no object with one, or two demands.
    """
    found: list[LabelFormat] = []
    if asked.guided_choice:
        found.append(LabelFormat("guided_choice", frozenset(asked.guided_choice)))
    if (outputs := asked.structured_outputs) and outputs.choice:
        found.append(LabelFormat("structured_outputs.choice", frozenset(outputs.choice)))
    if outputs and outputs.json_schema is not None:
        found.append(_of_schema("structured_outputs.json", outputs.json_schema))
    if asked.response_format and asked.response_format.type == "json_schema":
        schema = (asked.response_format.json_schema or {}).get("schema")
        found.append(_of_schema("response_format.json_schema.schema", schema))
    if len(found) > 1:
        raise BodyFieldError(found[1].param, f"{found[0].param} is given too; send one of them")
    return found[0] if found else LabelFormat()


def _of_schema(param: str, schema: object) -> LabelFormat:
    if not isinstance(schema, Mapping):
        raise BodyFieldError(param, "must be a JSON schema: an enum of label ids, or an object with one such property")
    properties = schema.get("properties")
    if schema.get("type") != "object" or not isinstance(properties, Mapping):
        return LabelFormat(param, _enum(param, schema, schema), as_json=True)
    _only(param, schema, {"type", "properties", "required", "additionalProperties"})
    if len(properties) != 1 or schema.get("required", []) not in ([], list(properties)):
        raise BodyFieldError(param, f"must have one property, an enum of label ids, and has {len(properties)}")
    ((key, part),) = properties.items()
    if not key.isprintable():  # a lone surrogate could not be sent back
        raise BodyFieldError(param, f"the property {key!a} has no printable name")
    return LabelFormat(param, _enum(f"{param}.properties.{key}", part, schema), as_json=True, key=key)


def _enum(param: str, schema: object, whole: Mapping[str, object]) -> frozenset[str]:
    """Return the strings that a schema allows; a reference is looked up in the definitions of the whole one."""
    if isinstance(schema, Mapping) and "$ref" in schema:
        _only(param, schema, {"$ref"})
        schema = _referred(schema["$ref"], whole)
    if not isinstance(schema, Mapping):
        raise BodyFieldError(param, 'must be a schema of label ids such as {"enum": ["good", "bad"]}')
    _only(param, schema, {"type", "enum", "const"})
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list) or not values or any(not isinstance(value, str) for value in values):
        raise BodyFieldError(param, "must be an enum of label ids, a list of strings that is not empty")
    if schema.get("type", "string") != "string" or {"const", "enum"} <= set(schema):
        raise BodyFieldError(param, 'must be of type string, with "enum" or "const" but not both')
    return frozenset(values)


def _referred(ref: object, whole: Mapping[str, object]) -> object:
    place, _, name = str(ref).removeprefix("#/").partition("/")
    parts = whole.get(place)
    return parts.get(name) if isinstance(parts, Mapping) else None


def _only(param: str, schema: Mapping[str, object], known: set[str]) -> None:
    if strange := sorted(set(schema) - known - NOTES):
        raise BodyFieldError(f"{param}.{strange[0]}", "a schema of labels cannot be held to this key; leave it out")
