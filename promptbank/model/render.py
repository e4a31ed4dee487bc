"""From a card and a record's text fields to token ids: the only renderer, for training, scoring and generation.

A rendered prompt is a tuple of integers. A discrete token is its vocabulary id (>= 0); row j of the task's (V, H)
table is ``-(j + 1)``. Text is only ever encoded into ids >= 0, so nothing a user writes can become a virtual token,
and the template is scanned before any field is looked at, so a field can never expand a placeholder.

Method: ``docs/overview.md``, "Rendering". Each run of text and fields between virtual blocks is one string (natural
merges). The answer is encoded on its own, together with the white space right before it, because subword vocabularies
merge a leading space into the word; so the ids before the answer do not depend on it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING

from promptbank.errors import InputError, TooLongError
from tasks import Field, TaskCard, Text, VirtualBlock

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Form", "RenderedPrompt", "Renderer", "TokenPolicy", "encode_plain", "virtual_id", "virtual_row"]

MAX_OPEN_ANSWER_TOKENS = 96
"""Tokens kept free for an open answer, its end token included; the longest assistant label takes 61 in Gemma's
vocabulary."""


TOKENIZING = threading.Lock()
"""Held while a tokenizer works: encoding sets options in it, which fails with "Already borrowed" beside another use."""


def virtual_id(row: int) -> int:
    """Return the id that stands for row ``row`` (0-based) of a task's (V, H) table."""
    return -(row + 1)


def virtual_row(token: int) -> int:
    """Return the table row of a virtual id (the inverse of `virtual_id`)."""
    return -token - 1


@dataclass(frozen=True)
class TokenPolicy:
    """What surrounds a prompt; stored with the row, so serving does what training did.

    Attributes:
        bos_id: id put before everything, or None for tokenizers that add none.
        eos_id: end token, the last id of every answer.
        answer_tokens: tokens of the window kept free for the answer, its end token included.
        log_prior: log p of each label when nothing is asked, taken off its score; None for a row that is not
            calibrated.
        scoring: what an answer's tokens are compared with, a name in `promptbank.engine.scoring.SCORINGS`; None, as in
            rows that were frozen before there was a choice, for the whole vocabulary.
    """

    bos_id: int | None
    eos_id: int
    answer_tokens: int = MAX_OPEN_ANSWER_TOKENS
    log_prior: Mapping[str, float] | None = None
    scoring: str | None = None

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, *, answer_tokens: int = MAX_OPEN_ANSWER_TOKENS) -> TokenPolicy:
        """Read the policy from a tokenizer: BOS when its own encoding starts with one, EOS as its end token.

        Raises:
            InputError: the tokenizer has no end token.
        """
        if tokenizer.eos_token_id is None:
            raise InputError("the backbone's tokenizer has no end token (eos_token); an answer could never end")
        first = tokenizer("a")["input_ids"][0]
        bos_id = tokenizer.bos_token_id if first == tokenizer.bos_token_id else None
        return cls(bos_id=bos_id, eos_id=int(tokenizer.eos_token_id), answer_tokens=answer_tokens)

    def as_dict(self) -> dict[str, object]:
        """Return the plain mapping that is stored as JSON; what is not set is not in it."""
        unset = {name for name in ("log_prior", "scoring") if getattr(self, name) is None}
        return {name: value for name, value in asdict(self).items() if name not in unset}


@dataclass(frozen=True)
class RenderedPrompt:
    """One rendered prompt, without its answer.

    Attributes:
        ids: discrete ids and virtual ids (negative), BOS included.
        truncated: characters cut from the end of the card's ``truncate_field``; 0 when nothing was cut.
    """

    ids: tuple[int, ...]
    truncated: int = 0

    @cached_property
    def constant(self) -> int:
        """Number of leading ids before the first virtual token: their keys and values depend on no parameter."""
        return next((index for index, token in enumerate(self.ids) if token < 0), len(self.ids))


@dataclass(frozen=True)
class Form:
    """One surface form of a label as the ids to be scored, the end token included."""

    label: str
    ids: tuple[int, ...]


def encode_plain(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Encode text with no token added and no special token recognised in it.

    ``split_special_tokens`` makes fast tokenizers read "<eos>" as characters. Some slow ones ignore it, so the result
    is checked, and a string that still became a special token is cut inside and encoded in two pieces.

    Raises:
        InputError: the text holds a lone surrogate, which no tokenizer can encode.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise InputError(
            f"the text holds a lone surrogate at character {exc.start} ({text[exc.start]!a}), which is no character; "
            "remove it or replace it by U+FFFD"
        ) from exc
    if not text:
        return []
    with TOKENIZING:
        ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    special = set(tokenizer.all_special_ids)
    if special.isdisjoint(ids):
        return ids
    return _encode_in_pieces(tokenizer, text, special)


def _encode_in_pieces(tokenizer: PreTrainedTokenizerBase, text: str, special: set[int]) -> list[int]:
    """Encode around special-token strings by cutting each after its first character."""
    markers = [token for token in tokenizer.all_special_tokens if len(token) > 1]
    cuts = sorted({at + 1 for marker in markers for at in _occurrences(text, marker)})
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    ids = [i for piece in pieces for i in tokenizer(piece, add_special_tokens=False)["input_ids"]]
    if not special.isdisjoint(ids):
        raise InputError(f"this tokenizer turns part of {text[:80]!r} into a special token; it cannot be used as text")
    return ids


def _occurrences(text: str, marker: str) -> list[int]:
    return [i for i in range(len(text)) if text.startswith(marker, i)]


class Renderer:
    """Renders the records of one card for one tokenizer.

    Args:
        card: the task card; its segments decide everything.
        tokenizer: the backbone's tokenizer.
        policy: BOS, EOS and the room kept for the answer.
        window: most positions the backbone takes, virtual tokens included.
    """

    def __init__(self, card: TaskCard, tokenizer: PreTrainedTokenizerBase, policy: TokenPolicy, window: int) -> None:
        self.card = card
        self.policy = policy
        self.tokenizer = tokenizer
        self._window = window
        self._parts, self._answer_prefix = _split_answer(card)

    def with_policy(self, policy: TokenPolicy) -> Renderer:
        """Return a renderer that differs in its policy alone."""
        return type(self)(self.card, self.tokenizer, policy, self._window)

    def prompt(self, fields: Mapping[str, str]) -> RenderedPrompt:
        """Render the text before the answer.

        Args:
            fields: the record's text fields; the answer field, if present, is not looked at.

        Raises:
            InputError: a field is missing or holds text that cannot be encoded.
            TooLongError: the prompt and its answer do not fit the window, and the card allows no (further) cut.
        """
        missing = [name for name in self.card.fields if name not in fields]
        if missing:
            raise InputError(f"the record lacks {missing}; the card uses {list(self.card.fields)}")
        limit = self._window - self._reserved
        ids = self._ids(fields)
        if len(ids) <= limit:
            return RenderedPrompt(tuple(ids))
        return self._truncate(fields, len(ids), limit)

    def kept(self, fields: Mapping[str, str], prompt: RenderedPrompt) -> Mapping[str, str]:
        """Return a record's fields as they stand in its prompt: what was cut can be no part of an answer."""
        name = self.card.truncate_field
        return {**fields, name: fields[name][: -prompt.truncated]} if name and prompt.truncated else fields

    def answer(self, text: str) -> tuple[int, ...]:
        """Encode an answer: the white space the template puts before it, its text, the end token.

        Raises:
            TooLongError: it takes more tokens than the policy keeps free.
        """
        ids = (*encode_plain(self.tokenizer, self._answer_prefix + text), self.policy.eos_id)
        if len(ids) > self._reserved:
            raise TooLongError(
                f"the answer {text[:40]!r} takes {len(ids)} tokens; {self._reserved} are kept free for it "
                "(shorten it, or raise answer_tokens in the training configuration)"
            )
        return ids

    @cached_property
    def forms(self) -> tuple[Form, ...]:
        """Every form of every label, encoded; empty for an open card."""
        if self.card.label_space is None:
            return ()
        return tuple(Form(label, self._form(form)) for label, forms in self.card.label_space.items() for form in forms)

    def text(self, ids: Sequence[int]) -> str:
        """Decode a generated answer: without its end token and the template's white space before it."""
        kept = [i for i in ids if i != self.policy.eos_id]
        with TOKENIZING:
            decoded = str(self.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False))
        # SentencePiece decoders drop a leading space themselves
        return decoded.removeprefix(self._answer_prefix)

    def begun(self, ids: Sequence[int]) -> str:
        """Decode the beginning of an answer, without a last character of which bytes are missing."""
        text = self.text(ids).rstrip("\ufffd")
        return "" if self._answer_prefix.startswith(text) else text

    @cached_property
    def leading(self) -> tuple[int, ...]:
        """What prompts begin with, up to the first field; its last tokens may merge with the field's text."""
        before = list(takewhile(lambda part: not isinstance(part, Field), self._parts))
        return tuple(self._encoded(before, {}))

    @cached_property
    def _reserved(self) -> int:
        """Tokens kept for the answer: the longest form of a closed card, the policy's number for an open one."""
        return max((len(form.ids) for form in self.forms), default=self.policy.answer_tokens)

    def _form(self, form: str) -> tuple[int, ...]:
        return (*encode_plain(self.tokenizer, self._answer_prefix + form), self.policy.eos_id)

    def _ids(self, fields: Mapping[str, str]) -> list[int]:
        return self._encoded(self._parts, fields)

    def _encoded(self, parts: Sequence[Text | Field | VirtualBlock], fields: Mapping[str, str]) -> list[int]:
        ids: list[int] = [] if self.policy.bos_id is None else [self.policy.bos_id]
        run: list[str] = []
        for part in parts:
            if isinstance(part, VirtualBlock):
                ids += encode_plain(self.tokenizer, "".join(run))
                run = []
                ids += self._block(part.index)
            else:
                run.append(part.text if isinstance(part, Text) else fields[part.name])
        return ids + encode_plain(self.tokenizer, "".join(run))

    def _block(self, index: int) -> list[int]:
        splits = self.card.virtual_token_splits
        start = sum(splits[:index])
        return [virtual_id(row) for row in range(start, start + splits[index])]

    def _truncate(self, fields: Mapping[str, str], size: int, limit: int) -> RenderedPrompt:
        """Keep the longest start of ``truncate_field`` that fits, found by bisecting its characters.

        Encoding again, not counting offsets, so it is right where merges cross the border of the field, and for
        tokenizers without offsets.
        """
        name = self.card.truncate_field
        if name is None:
            raise TooLongError(
                f"the prompt takes {size} tokens and {limit} fit (window {self._window}, {self._reserved} kept for "
                "the answer); shorten it, or name a truncate_field in the card"
            )
        text = fields[name]
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if len(self._ids({**fields, name: text[:middle]})) <= limit:
                low = middle
            else:
                high = middle - 1
        ids = self._ids({**fields, name: text[:low]})
        if len(ids) > limit:
            raise TooLongError(
                f"the prompt takes {len(ids)} tokens even with {name!r} empty, and {limit} fit (window {self._window})"
            )
        return RenderedPrompt(tuple(ids), truncated=len(text) - low)


def _split_answer(card: TaskCard) -> tuple[list[Text | Field | VirtualBlock], str]:
    """Return the parts before the answer and the white space that moves into it."""
    parts = list(card.segments[:-1])
    last = parts[-1] if parts else None
    if not isinstance(last, Text):
        return parts, ""
    kept = last.text.rstrip()
    parts[-1] = Text(kept)
    return parts, last.text[len(kept) :]
