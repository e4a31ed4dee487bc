"""Which tokens the answer loss is normalised over: the whole vocabulary, or what can stand in an answer's place.

An answer with a format is generated under a grammar, and one of a set of labels is chosen among them, so probability on
other tokens does no harm. Trained over the vocabulary, a part of a small prompt goes into the format itself; trained
among what is allowed, a prompt learns the distribution that answers are chosen from, and places where only one token is
allowed teach nothing. As a loss this is the conditional likelihood of a locally normalised model, with the grammar or
the labels as its support.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor

from promptbank.engine.grammar import constraint_of
from promptbank.engine.scoring import TREE
from promptbank.errors import ConfigError, InputError
from promptbank.model.label_tree import tree_of
from promptbank.model.render import Renderer
from promptbank.training.config import CLOSED_LOSS
from tasks import TaskCard

__all__ = ["LOSSES", "ByGrammar", "ByTree", "Loss", "VocabularyLoss", "loss_for"]


class Loss(Protocol):
    """A set of tokens for every place of an answer.

    Attributes:
        scoring: how a row that is learnt so scores its answers, see `TokenPolicy.scoring`.
        sums: whether an example's loss is that of its whole answer; else it is the mean over the learnt tokens.
    """

    scoring: str | None
    sums: bool

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

    scoring: str | None = None
    sums = False

    def choices(self, _renderer: Renderer, _fields: Mapping[str, str], _answer: Sequence[int]) -> None:
        """Return None."""


class ByGrammar:
    """What the grammar of the card's answer format allows after the tokens before."""

    scoring: str | None = None
    sums = False

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


class ByTree(ByGrammar):
    """What the forms of the labels allow after the tokens before; with an answer format, what its grammar allows.

    The loss of a label is minus the log-probability by which it is scored, see `promptbank.engine.scoring`.
    """

    scoring: str | None = TREE
    sums = True

    def choices(self, renderer: Renderer, fields: Mapping[str, str], answer: Sequence[int]) -> dict[int, Tensor] | None:
        """Follow the tree, or the grammar, along the answer."""
        if renderer.card.is_open:
            return super().choices(renderer, fields, answer)
        return tree_of(tuple(form.ids for form in renderer.forms)).choices(tuple(answer))


LOSSES: dict[str, Loss] = {"vocabulary.v1": VocabularyLoss(), "grammar.v1": ByGrammar(), "tree.v1": ByTree()}


def loss_for(asked: str, card: TaskCard) -> Loss:
    """Return the loss of a card's examples.

    Args:
        asked: a name in `LOSSES`, or auto: by the grammar where the card has an answer format.
        card: of the examples.

    Raises:
        ConfigError: a grammar for a card that has none, or a tree for one that has no labels either.
    """
    closed, formatted = card.label_space is not None, card.answer_format is not None
    if asked == "auto":
        asked = "grammar.v1" if formatted else CLOSED_LOSS if closed else "vocabulary.v1"
    if (asked == "grammar.v1" and not formatted) or (asked == "tree.v1" and not formatted and not closed):
        raise ConfigError(
            f"{card.taskname}:{card.lang} has no {'label_space or ' if asked == 'tree.v1' else ''}answer_format, so "
            f"there is no {asked.removesuffix('.v1')} to learn by; use loss auto or vocabulary.v1"
        )
    return LOSSES[asked]
