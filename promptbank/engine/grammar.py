"""Constrained decoding: an open answer can only be what the card's ``answer_format`` allows.

A grammar is made for every record, since slot values must stand in its utterance, and llguidance (MIT) turns it into
the token ids that may follow. Values start and end at word borders. With gemma-3-270m's 262,144 ids and one thread a
grammar takes 2 ms and a step 0.3 ms, of 110 to 140 ms for the step itself; the vocabulary is prepared once a process,
in 2.4 seconds.
"""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from torch import Tensor

from promptbank.engine.scoring import TREE
from promptbank.errors import PromptBankError
from tasks import DataError, IntentSlots, parse_intent_slots, render_intent_slots

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from promptbank.model.render import Renderer
    from tasks import TaskCard

__all__ = [
    "GRAMMARS",
    "AnswerGrammar",
    "IntentSlotsGrammar",
    "SpanGrammar",
    "TokenConstraint",
    "chunks",
    "constraint_of",
]

logger = logging.getLogger(__name__)

SPACELESS = re.compile(r"CJK|HIRAGANA|KATAKANA|THAI|LAO|KHMER|MYANMAR|TIBETAN")
"""Scripts (by the names of their characters) that put no space between words."""

INTENT, SLOTS = "\nIntent: ", "\nSlots: "


class AnswerGrammar(Protocol):
    """One answer format as a grammar."""

    def lark(self, card: TaskCard, text: str, lead: str) -> str:
        """Return the grammar in llguidance's Lark syntax.

        Args:
            card: the task.
            text: what the answer is about.
            lead: white space before every answer.
        """

    def closed(self, card: TaskCard, answer: str) -> str:
        """Return an answer of the format: the answer itself, or one that was cut off, closed as early as needed."""


class IntentSlotsGrammar:
    """Intents and slots as in `tasks.slots`; every value is a part of the text."""

    def lark(self, card: TaskCard, text: str, lead: str) -> str:
        """Return the grammar of one record."""
        head = f"{json.dumps(lead + INTENT)} ({_either(card.intents or ())}) {json.dumps(SLOTS)}"
        if not text.strip():
            return f'start: ANSWER\nANSWER: {head} "None"'
        # one regular expression, since a lexer would read "(mom)" of an utterance greedily into the value "mom"
        return "\n".join(
            [
                "start: ANSWER",
                f'ANSWER: {head} ("None" | SLOT (", " SLOT)*)',
                f'SLOT: ({_either(card.slot_types or ())}) "(" VALUE ")"',
                f"VALUE: PART & /\\S(.*\\S)?/s{_without_borders(card.slot_types or (), text)}",
                f'PART: %regex {{ "substring_chunks": {json.dumps(chunks(text))} }}',
            ]
        )

    def closed(self, card: TaskCard, answer: str) -> str:
        """Cut back to the last complete slot, or to no slots; a cut intent becomes the first one that starts so."""
        start = answer.find(SLOTS)
        ends = [end for end in range(len(answer), start, -1) if end == len(answer) or answer[end - 1] == ")"]
        for end in ends if start >= 0 else ():
            with suppress(DataError):
                parse_intent_slots(answer[:end], card.slot_types)
                return answer[:end]
        found = re.match(r"\s*Intent: (\w*)", answer)
        begun, intents = found[1] if found else "", card.intents or ()
        intent = begun if begun in intents else next((name for name in intents if name.startswith(begun)), intents[0])
        return render_intent_slots(IntentSlots(intent))


class SpanGrammar:
    """One stretch of the text from word border to word border, or "none"."""

    def lark(self, _card: TaskCard, text: str, lead: str) -> str:
        """Return the grammar of one record."""
        head = f"{json.dumps(lead)} " if lead else ""
        if not text.strip():
            return f'start: ANSWER\nANSWER: {head}"none"'
        return "\n".join(
            [
                "start: ANSWER",
                f'ANSWER: {head}("none" | VALUE)',
                "VALUE: PART & /\\S(.*\\S)?/s",
                f'PART: %regex {{ "substring_chunks": {json.dumps(chunks(text))} }}',
            ]
        )

    def closed(self, _card: TaskCard, answer: str) -> str:
        """Return it without the white space around it: the beginning of a stretch is one too."""
        return answer.strip() or "none"


def _either(names: Sequence[str]) -> str:
    return " | ".join(map(json.dumps, names))


def _without_borders(types: Sequence[str], text: str) -> str:
    """Forbid what would start a new slot inside a value; nearly no utterance holds it."""
    border = rf"\), ({'|'.join(types)})\("
    return rf" & ~/(.|\n)*{border}(.|\n)*/" if re.search(border, text) else ""


def chunks(text: str) -> list[str]:
    """Split a text into the pieces that values are made of: words, runs of white space, single other characters.

    >>> chunks("wake me, at 6")
    ['wake', ' ', 'me', ',', ' ', 'at', ' ', '6']
    """
    pieces: list[str] = []
    for kind, run in groupby(text, key=_kind):
        characters = list(run)
        pieces += ["".join(characters)] if kind in ("word", "space") else characters
    return pieces


def _kind(character: str) -> str:
    if character.isspace():
        return "space"
    if character == "_" or unicodedata.category(character)[0] in "LMN":
        spaceless = ord(character) > 0xDFF and SPACELESS.match(unicodedata.name(character, ""))
        return "single" if spaceless else "word"
    return "single"


GRAMMARS: dict[str, AnswerGrammar] = {"intent_slots.v1": IntentSlotsGrammar(), "span.v1": SpanGrammar()}


class TokenConstraint:
    """A grammar followed along the tokens of one answer.

    Args:
        matcher: at its start.
        eos_id: allowed alone where the grammar is at its end.
        gathers: see `Constraint`.
    """

    def __init__(self, matcher: LLMatcher, eos_id: int, *, gathers: bool) -> None:
        self._matcher, self._eos_id, self.gathers = matcher, eos_id, gathers
        self._end = torch.tensor([eos_id])

    def copy(self) -> TokenConstraint:
        """Return one that stands where this one does, and goes on by itself."""
        return TokenConstraint(self._matcher.deep_copy(), self._eos_id, gathers=self.gathers)

    def allowed(self) -> Tensor:
        """Return the ids that may come next; the end token when no token can go on with the grammar."""
        packed = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        if self._matcher.is_error():
            logger.warning("an answer was cut short, since its grammar failed: %s", self._matcher.get_error()[:200])
            return self._end
        some = packed.nonzero()[0]  # few bytes of 32,768: unpacking all of them takes 1 ms
        byte, bit = np.unpackbits(packed[some, None], axis=1, bitorder="little").nonzero()
        return torch.from_numpy(some[byte] * 8 + bit) if len(byte) else self._end

    def advance(self, token: int) -> None:
        """Take the id that was chosen."""
        self._matcher.consume_token(token)


def constraint_of(renderer: Renderer, fields: Mapping[str, str]) -> TokenConstraint | None:
    """Return the constraint of one record's answer, or None when its card names no answer format.

    A tokenizer that is not one of the fast ones cannot be constrained: there it is None too, with a warning.

    Raises:
        PromptBankError: llguidance cannot take the grammar (a card of some ten thousand names).
    """
    card = renderer.card
    if card.answer_format is None:
        return None
    vocabulary = _vocabulary(renderer.tokenizer, renderer.policy.eos_id)
    if vocabulary is None:
        return None
    # what a decoder strips again: the template's white space, and the space that some tokenizers put first
    lead = vocabulary.decode_str(list(renderer.answer("\n")[:-1])).removesuffix("\n")
    matcher = LLMatcher(vocabulary, GRAMMARS[card.answer_format].lark(card, fields[card.text_field], lead), log_level=0)
    if matcher.is_error():
        says = matcher.get_error()[:200]
        raise PromptBankError(f"no grammar can be made for an answer of {card.taskname}:{card.lang}: {says}")
    return TokenConstraint(matcher, renderer.policy.eos_id, gathers=renderer.policy.scoring == TREE)


_VOCABULARIES: WeakKeyDictionary[PreTrainedTokenizerBase, dict[int, LLTokenizer | None]] = WeakKeyDictionary()


def _vocabulary(tokenizer: PreTrainedTokenizerBase, eos_id: int) -> LLTokenizer | None:
    """Return a tokenizer's tokens as bytes, made once; None where they cannot be read, with a warning."""
    made = _VOCABULARIES.setdefault(tokenizer, {})
    if eos_id not in made:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            logger.warning("answers of %s cannot be constrained: only fast tokenizers can", type(tokenizer).__name__)
        made[eos_id] = None if backend is None else LLTokenizer(backend.to_str(), eos_token=eos_id)
    return made[eos_id]
