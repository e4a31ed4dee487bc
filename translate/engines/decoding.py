"""Decoding options and batches by length, the same for CTranslate2 and transformers."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from translate.errors import EngineError
from translate.protocols import Hypothesis

__all__ = ["DecodingOptions", "length_batches", "model_sha256", "translate_in_batches"]

BUCKET = 16

Token = TypeVar("Token")


@dataclass(frozen=True)
class DecodingOptions:
    """Options of the search; all but ``batch_tokens`` are part of an engine's id.

    Attributes:
        beam: size of the beam; 1 is greedy search.
        length_penalty: exponent of the length that a hypothesis' log-probability is divided by.
        longest_source: most tokens of a source text, and of a translation.
        batch_tokens: source tokens translated at once, None for the engine's own choice.
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


def length_batches(lengths: Sequence[int], tokens: int) -> list[tuple[list[int], int]]:
    """Sort texts by their length in tokens, longest first, into batches of at most so many padded tokens.

    Returns:
        For each batch the texts' numbers, and the most tokens of a translation: a function of a text's own length
        alone, so that no translation depends on its neighbours.

    >>> length_batches([3, 40, 5], tokens=100)
    [([1], 116), ([2, 0], 52)]
    """
    order = sorted(range(len(lengths)), key=lambda text: -lengths[text])
    found = []
    for bucket, texts in groupby(order, key=lambda text: -(-max(1, lengths[text]) // BUCKET) * BUCKET):
        similar, at_once = list(texts), max(1, tokens // bucket)
        found += [(similar[at : at + at_once], 2 * bucket + 20) for at in range(0, len(similar), at_once)]
    return found


def translate_in_batches(
    texts: Sequence[str],
    cut: Callable[[str], list[Token]],
    decoding: DecodingOptions,
    search: Callable[[list[list[Token]], int], list[Hypothesis]],
    *,
    batch_tokens: int = 2_000,
) -> list[Hypothesis]:
    """Translate texts in batches of similar length, and return the hypotheses in the order of the texts.

    A text without tokens (white space, U+200B) is its own translation: a model would invent a sentence.

    Args:
        texts: any number.
        cut: text -> tokens.
        decoding: size of a batch, longest text.
        search: (tokens of each text, most tokens of a translation) -> hypotheses.
        batch_tokens: size of a batch where the options leave it open.

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
    for batch, limit in length_batches([len(cuts) for cuts in tokens], decoding.batch_tokens or batch_tokens):
        hypotheses = search([tokens[at] for at in batch], limit)
        for at, hypothesis in zip(batch, hypotheses, strict=True):
            found[live[at]] = hypothesis
    return found


def model_sha256(files: Iterable[Path]) -> str:
    """Return one hash over names and bytes of files."""
    whole = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.name):
        with path.open("rb") as file:
            whole.update(f"{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()
