"""Prompt templates: scanned once into segments, by hand.

No ``eval`` and no ``str.format``: a template is data, and so is a field's value, which is never scanned at all. (NeMo
substitutes text first and looks for markers afterwards, so a sentence with ``{label}`` in it got the gold answer pasted
in.) ``{{`` and ``}}`` stand for literal braces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.errors import Fault

__all__ = ["Field", "Segment", "Text", "VirtualBlock", "places", "scan_template"]

_MARKER = re.compile(r"<\|VIRTUAL_PROMPT_(0|[1-9][0-9]{0,5})\|>")  # one spelling for each number
_MARKER_START = "<|VIRTUAL_PROMPT_"
_FIELD = re.compile(r"\{([^{}]*)\}")
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_WHERE = "prompt_template"


@dataclass(frozen=True)
class Text:
    """Literal text of the template."""

    text: str


@dataclass(frozen=True)
class Field:
    """A place where a record's field stands."""

    name: str


@dataclass(frozen=True)
class VirtualBlock:
    """Block ``index`` of virtual tokens; ``virtual_token_splits[index]`` says how many."""

    index: int


Segment = Text | Field | VirtualBlock


def scan_template(template: str) -> tuple[tuple[Segment, ...], tuple[Fault, ...]]:
    """Scan a template into segments, collecting every fault on the way.

    Args:
        template: such as ``"{sentence}<|VIRTUAL_PROMPT_0|> {label}"``.

    Returns:
        The segments in order, and the faults with their character offsets.

    >>> scan_template("{text}<|VIRTUAL_PROMPT_0|> {label}")[0]
    (Field(name='text'), VirtualBlock(index=0), Text(text=' '), Field(name='label'))
    """
    segments: list[Segment] = []
    faults: list[Fault] = []
    literal: list[str] = []
    for _, piece in _pieces(template):
        if isinstance(piece, Fault):
            faults.append(piece)
        elif isinstance(piece, str):
            literal.append(piece)
        else:
            segments += [Text("".join(literal))] if literal else []
            literal = []
            segments.append(piece)
    segments += [Text("".join(literal))] if literal else []
    return tuple(segments), tuple(faults)


def places(template: str, wanted: Field | VirtualBlock) -> list[int]:
    """Return the character offsets at which a field or block stands.

    >>> places("{{a}} {a}", Field("a"))
    [6]
    """
    return [at for at, piece in _pieces(template) if piece == wanted]


def _pieces(template: str) -> Iterator[tuple[int, Segment | Fault | str]]:
    """Yield fields, blocks, single literal characters and faults with their offsets, left to right."""
    at = 0
    while at < len(template):
        piece, length = _piece(template, at)
        yield at, piece
        at += length


def _piece(template: str, at: int) -> tuple[Segment | Fault | str, int]:
    """Return what starts at ``at``, and its length."""
    if template.startswith(("{{", "}}"), at):
        return template[at], 2
    if template.startswith(_MARKER_START, at):
        return _marker(template, at)
    if template[at] == "{":
        return _field(template, at)
    if template[at] == "}":
        return Fault(_WHERE, at, "'}' without '{'; a literal brace is written '}}'"), 1
    return template[at], 1


def _marker(template: str, at: int) -> tuple[VirtualBlock | Fault, int]:
    found = _MARKER.match(template, at)
    if found is None:
        wrong = template[at : at + 24]
        says = f"{wrong!r} is no marker; markers are <|VIRTUAL_PROMPT_0|>, <|VIRTUAL_PROMPT_1|>, ..."
        return Fault(_WHERE, at, says), len(_MARKER_START)
    return VirtualBlock(int(found[1])), len(found[0])


def _field(template: str, at: int) -> tuple[Field | Fault, int]:
    found = _FIELD.match(template, at)
    if found is None:
        return Fault(_WHERE, at, "'{' is never closed; a literal brace is written '{{'"), 1
    name = found[1]
    if not _FIELD_NAME.match(name):
        allowed = "a name has letters, digits and '_' and starts with no digit"
        return Fault(_WHERE, at, f"{{{name}}} is no field name: {allowed}"), len(found[0])
    return Field(name), len(found[0])
