"""How a model's translations are searched for, the same words for CTranslate2 and transformers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from translate.errors import EngineError
from translate.protocols import Hypothesis

__all__ = ["DecodingOptions", "Group", "groups", "in_groups", "model_sha256"]

BUCKET = 16

Token = TypeVar("Token")


@dataclass(frozen=True)
class DecodingOptions:
    """Options of the search; they are part of an engine's id.

    Attributes:
        beam: hypotheses kept; 1 is greedy.
        length_penalty: exponent of the length that a hypothesis' log-probability is divided by.
        longest_source: discrete tokens of the longest text that is taken; positions end there, for translations too.
        batch_tokens: source tokens translated at once, None for what suits the engine; changes no output but its last
            bits.
    """

    beam: int = 4
    length_penalty: float = 1.0
    longest_source: int = 500
    batch_tokens: int | None = None

    def __post_init__(self) -> None:
        for name in ("beam", "longest_source", "batch_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise EngineError(f"{name} {value} must be at least 1")

    def __str__(self) -> str:
        return ",".join(f"{key}={value:g}" for key, value in asdict(self).items() if key != "batch_tokens")


@dataclass(frozen=True)
class Group:
    """Texts of alike length.

    Attributes:
        rows: their numbers.
        limit: longest translation in discrete tokens, a function of each text's own length alone, so that no text's
            translation depends on its neighbours.
    """

    rows: tuple[int, ...]
    limit: int


def groups(lengths: Sequence[int], tokens: int) -> list[Group]:
    """Return the rows by length, longest first, in groups of at most so many padded source tokens.

    >>> groups([3, 40, 5], tokens=100)
    [Group(rows=(1,), limit=116), Group(rows=(2, 0), limit=52)]
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    found = []
    for bucket, rows in groupby(order, key=lambda row: -(-max(1, lengths[row]) // BUCKET) * BUCKET):
        alike, at_once = list(rows), max(1, tokens // bucket)
        limit = 2 * bucket + 20
        found += [Group(tuple(alike[at : at + at_once]), limit) for at in range(0, len(alike), at_once)]
    return found


def in_groups(
    texts: Sequence[str],
    cut: Callable[[str], list[Token]],
    decoding: DecodingOptions,
    search: Callable[[list[list[Token]], int], list[Hypothesis]],
    *,
    batch_tokens: int = 2_000,
) -> list[Hypothesis]:
    """Translate texts group by group, and return the hypotheses in the order of the texts.

    A text of white space, or of characters that are cut to nothing (U+200B), is its own translation: nothing. It is
    never shown to a model, which would invent a sentence.

    Args:
        texts: any number.
        cut: text -> discrete tokens.
        decoding: sizes of groups, longest text.
        search: (tokens of alike length, longest translation) -> hypotheses.
        batch_tokens: what suits the engine, for options that leave it open.

    Raises:
        EngineError: a text is too long for the model.
    """
    nothing = cut("")
    said = {row: cut(text) for row, text in enumerate(texts) if text.strip()}
    live = [row for row, tokens in said.items() if tokens != nothing]
    tokens = [said[row] for row in live]
    longest = max(range(len(live)), key=lambda at: len(tokens[at]), default=0)
    if live and len(tokens[longest]) > decoding.longest_source:
        raise EngineError(
            f"a text of {len(tokens[longest])} discrete tokens is too long, at most {decoding.longest_source} are "
            f"taken; split it: {texts[live[longest]][:60]!r}..."
        )
    found = [Hypothesis("") for _ in texts]
    for group in groups([len(cuts) for cuts in tokens], decoding.batch_tokens or batch_tokens):
        hypotheses = search([tokens[at] for at in group.rows], group.limit)
        for at, hypothesis in zip(group.rows, hypotheses, strict=True):
            found[live[at]] = hypothesis
    return found


def model_sha256(files: Iterable[Path]) -> str:
    """Return one hash over names and bytes of files."""
    whole = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.name):
        with path.open("rb") as file:
            whole.update(f"{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()
