"""Pairs of sentences as tokens.

The prompt is the line "English: {text}" and the beginning of the next, "Swedish:"; the answer is encoded with the space
before it, as everywhere in promptbank, because subword vocabularies merge it into the word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from promptbank.errors import TrainingError
from promptbank.model.render import TokenPolicy, encode_plain
from promptbank.mt.languages import LANGUAGE_NAMES, Languages
from translate.records.markers import bracketed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["PairExample", "PairFormat", "render_pairs"]


@dataclass(frozen=True)
class PairExample:
    """One pair as tokens.

    Attributes:
        prompt: tokens before the translation.
        answer: tokens of the translation, the end token last; empty where there is none yet.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...] = ()

    @property
    def ids(self) -> tuple[int, ...]:
        """Prompt and answer."""
        return self.prompt + self.answer


class PairFormat:
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
        names = [LANGUAGE_NAMES.get(code, code) for code in (self.languages.src, self.languages.tgt)]
        return f"{names[0]}: {{text}}\n{names[1]}:"

    def prompt(self, text: str) -> tuple[int, ...]:
        """Return the ids before the translation; line breaks in the text become spaces, since a line ends it."""
        return (*self._start, *encode_plain(self._tokenizer, self.template.replace("{text}", " ".join(text.split()))))

    def answer(self, text: str) -> tuple[int, ...]:
        """Return the ids of a translation, its end token last."""
        return (*encode_plain(self._tokenizer, f" {text}"), self.eos_id)

    def pair(self, src: str, tgt: str) -> PairExample:
        """Return a pair as tokens."""
        return PairExample(self.prompt(src), self.answer(tgt))

    def text(self, ids: Sequence[int]) -> str:
        """Return what generated ids say, up to the end token, on one line."""
        ids = list(ids)
        kept = ids[: ids.index(self.eos_id)] if self.eos_id in ids else ids
        return " ".join(str(self._tokenizer.decode(kept, skip_special_tokens=True)).split())


def render_pairs(pair_format: PairFormat, pairs: Iterable[tuple[str, str]], *, window: int) -> list[PairExample]:
    """Return pairs as tokens, their marks as square brackets, without those longer than the window.

    Raises:
        TrainingError: none is left.
    """
    rendered = [pair_format.pair(bracketed(src), bracketed(tgt)) for src, tgt in pairs]
    kept = [pair for pair in rendered if len(pair.ids) <= window]
    if not kept:
        raise TrainingError(f"none of {len(rendered)} pairs fit {window} tokens; raise --tokens, or look at the corpus")
    return kept
