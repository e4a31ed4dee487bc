"""Pairs of sentences as ids, and their batches.

The prompt is the line "English: {text}" and the beginning of the next, "Swedish:"; the answer is encoded with the space
before it, as everywhere in promptbank, because subword vocabularies merge it into the word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from promptbank.errors import TrainingError
from promptbank.model.render import TokenPolicy, encode_plain
from promptbank.mt.languages import Languages
from translate.records.markers import bracketed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["PairRow", "Wording", "render_pairs", "token_batches"]

NAMES = {
    "ca": "Catalan", "da": "Danish", "de": "German", "en": "English", "eo": "Esperanto", "es": "Spanish",
    "fi": "Finnish", "fr": "French", "gl": "Galician", "it": "Italian", "nb": "Norwegian", "nl": "Dutch",
    "pl": "Polish", "pt": "Portuguese", "sv": "Swedish",
}  # fmt: skip
"""Language codes by name in the prompt; any other code stands for itself."""

BUCKET_BATCHES = 32
"""Batches that are sorted by length together: padding falls below 5 % of the tokens, mixtures stay new each epoch."""


@dataclass(frozen=True)
class PairRow:
    """One pair as ids.

    Attributes:
        prompt: ids before the translation.
        answer: ids of the translation, the end token last; empty where there is none yet.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...] = ()

    @property
    def ids(self) -> tuple[int, ...]:
        """Prompt and answer."""
        return self.prompt + self.answer


class Wording:
    """How a pair is written for a backbone.

    Args:
        tokenizer: the backbone's.
        languages: source and target.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, languages: Languages) -> None:
        self._tokenizer, self.languages = tokenizer, languages
        policy = TokenPolicy.of(tokenizer)
        self.eos_id = policy.eos_id
        self._start = () if policy.bos_id is None else (policy.bos_id,)

    @cached_property
    def template(self) -> str:
        """The prompt, its text at "{text}"."""
        names = [NAMES.get(code, code) for code in (self.languages.src, self.languages.tgt)]
        return f"{names[0]}: {{text}}\n{names[1]}:"

    def prompt(self, text: str) -> tuple[int, ...]:
        """Return the ids before the translation; line breaks in the text become spaces, since a line ends it."""
        return (*self._start, *encode_plain(self._tokenizer, self.template.replace("{text}", " ".join(text.split()))))

    def answer(self, text: str) -> tuple[int, ...]:
        """Return the ids of a translation, its end token last."""
        return (*encode_plain(self._tokenizer, f" {text}"), self.eos_id)

    def row(self, src: str, tgt: str) -> PairRow:
        """Return a pair as ids."""
        return PairRow(self.prompt(src), self.answer(tgt))

    def text(self, ids: Sequence[int]) -> str:
        """Return what generated ids say, up to the end token, on one line."""
        ids = list(ids)
        kept = ids[: ids.index(self.eos_id)] if self.eos_id in ids else ids
        return " ".join(str(self._tokenizer.decode(kept, skip_special_tokens=True)).split())


def render_pairs(wording: Wording, pairs: Iterable[tuple[str, str]], *, window: int) -> list[PairRow]:
    """Return pairs as ids, their marks as square brackets, without those longer than the window.

    Raises:
        TrainingError: none is left.
    """
    rows = [wording.row(bracketed(src), bracketed(tgt)) for src, tgt in pairs]
    kept = [row for row in rows if len(row.ids) <= window]
    if not kept:
        raise TrainingError(f"none of {len(rows)} pairs fits {window} tokens; raise --tokens, or look at the corpus")
    return kept


def token_batches(lengths: Sequence[int], tokens: int, *, seed: int, epoch: int) -> list[list[int]]:
    """Return an epoch's batches of row numbers: shuffled, sorted by length within buckets, shuffled again.

    A function of its arguments alone, so a resumed run sees the very same batches.

    Args:
        lengths: of the rows, in tokens.
        tokens: most padded tokens of a batch (longest row times rows); a longer row is a batch of its own.
        seed: of the run.
        epoch: from 0.
    """
    generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
    order = torch.randperm(len(lengths), generator=generator).tolist()
    mean = max(1, sum(lengths) // max(1, len(lengths)))
    span = max(1, BUCKET_BATCHES * tokens // mean)
    batches: list[list[int]] = []
    for start in range(0, len(order), span):
        batches += _filled(sorted(order[start : start + span], key=lambda i: lengths[i]), lengths, tokens)
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def _filled(rows: Sequence[int], lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Cut rows, sorted by length, into batches."""
    batches: list[list[int]] = []
    for row in rows:
        if not batches or (len(batches[-1]) + 1) * lengths[row] > tokens:
            batches.append([])
        batches[-1].append(row)
    return batches
