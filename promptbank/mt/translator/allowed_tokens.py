"""The tokens that a translator may write: those spelt in the letters of what it learnt from, and the text's own.

The head over the whole vocabulary, 262,144 tokens of the default backbone, takes most of a step of greedy search, and
half of them are of scripts that a language pair never writes (vocabulary selection, L'Hostis et al. 2016, arXiv
1610.00072). Keeping only tokens that the corpus holds would be faster still, but 33,018 tokens of a corpus of 104,506
pairs lacked the Swedish beginnings of "protest" and "conservative". A text's own tokens are added, so that names can
be copied, for that text alone: a translation does not depend on its neighbours.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from promptbank.errors import TrainingError
from promptbank.model.forward import LanguageModel

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["FILE", "AllowedTokens", "read_tokens", "tokens_bytes", "writable_tokens"]

FILE = "words.bin"

PART = "\ufffd"
"""What a part of a character is decoded as."""
RARE = 1e-5
"""Share of a corpus's characters below which one is no letter of its languages: names of languages in their own
scripts stand in every catalog of programs."""


class AllowedTokens:
    """Some tokens of the backbone, and for each text its own; satisfies `promptbank.engine.decoding.TokenSet`.

    Args:
        lm: the translator.
        tokens: ids, the end token's among them.
    """

    def __init__(self, lm: LanguageModel, tokens: Iterable[int]) -> None:
        self.lm, self.ids = lm, sorted(set(tokens))
        self.tensor = torch.tensor(self.ids)
        self.columns = {token: column for column, token in enumerate(self.ids)}
        self.weight, self.bias = _rows(lm, self.ids)

    def batch(self, prompts: Sequence[Sequence[int]]) -> _BatchTokens:
        """Add the tokens of the prompts."""
        return _BatchTokens(self, prompts)


class _BatchTokens:
    """The tokens of a batch; see `promptbank.engine.decoding.BatchTokens`."""

    def __init__(self, known: AllowedTokens, prompts: Sequence[Sequence[int]]) -> None:
        self._known = known
        own = [set(prompt) - known.columns.keys() for prompt in prompts]
        more = sorted(set().union(*own))
        self._columns = {token: len(known.ids) + n for n, token in enumerate(more)}
        self._ids = torch.cat([known.tensor, torch.tensor(more, dtype=torch.long)])
        self._weight, self._bias = _rows(known.lm, more)
        closed = [[token not in tokens for token in more] for tokens in own]
        self._closed = torch.tensor(closed, dtype=torch.bool, device=self._weight.device)  # (prompts, more)

    def logits(self, hidden: Tensor, prompts: Sequence[int]) -> Tensor:
        known = functional.linear(hidden, self._known.weight, self._known.bias).float()
        if not self._closed.shape[1]:
            return known
        more = functional.linear(hidden, self._weight, self._bias).float()
        return torch.cat([known, more.masked_fill(self._closed[list(prompts)], -torch.inf)], 1)

    def columns(self, tokens: Tensor) -> Tensor:
        own, known = self._columns, self._known.columns
        return torch.tensor([own[token] if token in own else known[token] for token in tokens.tolist()])

    def tokens(self, columns: Tensor) -> Tensor:
        return self._ids[columns.cpu()]


def _rows(lm: LanguageModel, ids: Sequence[int]) -> tuple[Tensor, Tensor | None]:
    weight = lm.head.get_parameter("weight")
    bias: Tensor | None = getattr(lm.head, "bias", None)
    index = torch.tensor(ids, dtype=torch.long, device=weight.device)
    return weight.detach()[index], None if bias is None else bias.detach()[index]


def writable_tokens(tokenizer: PreTrainedTokenizerBase, sequences: Iterable[Sequence[int]]) -> set[int]:
    """Return the tokens that a corpus holds, and all others that are spelt in its characters alone.

    Parts of characters, which spell everything else, are among them.

    Args:
        tokenizer: of the backbone.
        sequences: of the corpus, as ids.
    """
    held = Counter(token for sequence in sequences for token in sequence)
    characters: Counter[str] = Counter()
    for token, count in held.items():
        for character in str(tokenizer.decode([token])):
            characters[character] += count
    least = RARE * characters.total()
    letters = {character for character, count in characters.items() if count >= least} | {PART}
    added = set(tokenizer.get_added_vocab().values())  # control tokens, some of them beyond the head
    tokens = set(tokenizer.get_vocab().values()) - added
    return held.keys() | {token for token in tokens if letters.issuperset(str(tokenizer.decode([token])))}


def tokens_bytes(tokens: Iterable[int], vocabulary: int) -> bytes:
    """Return tokens as the content of their file: a bit for each token of the vocabulary, deflated.

    Args:
        tokens: ids.
        vocabulary: number of tokens of the backbone.
    """
    bits = bytearray(-(-vocabulary // 8))
    for token in tokens:
        bits[token // 8] |= 1 << token % 8
    return zlib.compress(bytes(bits), 9)


def read_tokens(folder: Path, vocabulary: int) -> list[int] | None:
    """Return the tokens that a translator's folder holds it to; None if it may write all.

    Raises:
        TrainingError: the file is damaged, or of another vocabulary.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        bits = zlib.decompress(path.read_bytes())  # checks a checksum
    except zlib.error as exc:
        raise TrainingError(f"{path} is damaged ({exc}); fetch or train the translator again") from exc
    if len(bits) != -(-vocabulary // 8):
        raise TrainingError(f"{path} is of a vocabulary of about {8 * len(bits)} tokens, the backbone has {vocabulary}")
    return [8 * n + bit for n, byte in enumerate(bits) if byte for bit in range(8) if byte >> bit & 1]
