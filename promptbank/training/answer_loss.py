"""Which tokens the answer loss is normalised over: the whole vocabulary, or what the answer's format allows.

An answer with a format is generated under a grammar, so probability on tokens that it forbids does no harm. Trained
over the vocabulary, a part of a small prompt goes into the format itself; trained among what the grammar allows, a
prompt learns the distribution that decoding chooses from, and places where only one token is allowed teach nothing. As
a loss this is the conditional likelihood of a locally normalised model, with the grammar as its support.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor

from promptbank.engine.grammar import constraint_of
from promptbank.errors import ConfigError, InputError
from promptbank.model.render import Renderer
from tasks import TaskCard

__all__ = ["LOSSES", "ByGrammar", "Loss", "VocabularyLoss", "loss_for"]


class Loss(Protocol):
    """A set of tokens for every place of an answer."""

    def choices(self, renderer: Renderer, fields: Mapping[str, str], answer: Sequence[int]) -> dict[int, Tensor] | None:
        """Return the tokens that the loss is normalised over, by place in the answer; None for all at every place.

        Args:
            renderer: of the task.
            fields: of the record.
            answer: its ids, the end token included.

        Returns:
            int64, more than one token each; places where only one could stand are left out.

        Raises:
            InputError: the answer is not among what could stand there, such as a slot value that is not in the text.
        """


class VocabularyLoss:
    """The whole vocabulary, at every place."""

    def choices(self, _renderer: Renderer, _fields: Mapping[str, str], _answer: Sequence[int]) -> None:
        """Return None."""


class ByGrammar:
    """What the grammar of the card's answer format allows after the tokens before."""

    def choices(self, renderer: Renderer, fields: Mapping[str, str], answer: Sequence[int]) -> dict[int, Tensor] | None:
        """Follow the grammar along the answer; None with a tokenizer that cannot be constrained."""
        constraint = constraint_of(renderer, fields)
        if constraint is None:
            return None
        found = {}
        for place, token in enumerate(answer):
            allowed = constraint.allowed()
            if not bool((allowed == token).any()):
                raise InputError(
                    f"the format of {renderer.card.taskname}:{renderer.card.lang} does not allow the answer"
                )
            if len(allowed) > 1:
                found[place] = allowed
            constraint.advance(token)
        return found


LOSSES: dict[str, Loss] = {"vocabulary.v1": VocabularyLoss(), "grammar.v1": ByGrammar()}


def loss_for(asked: str, card: TaskCard) -> Loss:
    """Return the loss of a card's examples.

    Args:
        asked: a name in `LOSSES`, or auto: by the grammar where the card has an answer format.
        card: of the examples.

    Raises:
        ConfigError: a grammar for a card that has none.
    """
    if asked == "grammar.v1" and card.answer_format is None:
        raise ConfigError(
            f"{card.taskname}:{card.lang} has no answer_format, so there is no grammar to learn by; "
            "use loss auto or vocabulary.v1"
        )
    if asked == "auto":
        asked = "vocabulary.v1" if card.answer_format is None else "grammar.v1"
    return LOSSES[asked]
