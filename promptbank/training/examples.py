"""Training examples as tokens, and where in them their answers stand."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import TypeVar

import torch
from torch import Tensor

from promptbank.errors import InputError
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel, cache_of
from promptbank.model.head import FrozenHead
from promptbank.model.inject import pack
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Renderer, TokenPolicy
from promptbank.training.answer_loss import Loss, loss_for
from promptbank.training.config import TrainConfig
from tasks import Example, TaskCard, raise_faults

__all__ = ["TrainExample", "check_prompts", "example_losses", "render_examples", "training_policy", "training_renderer"]

R = TypeVar("R")


@dataclass(frozen=True)
class TrainExample:
    """One example as tokens.

    Attributes:
        prompt: tokens before the answer, as inference renders them; virtual ones are negative.
        answer: tokens of the answer, its end token included.
        constant: number of leading tokens before the first virtual one.
        truncated: characters cut from the text.
        answer_only: the card's ``answer_only_loss``; otherwise discrete tokens after the first virtual one are learnt
            too.
        choices: tokens that the answer loss is normalised over, by place in the answer, where there is more than one;
            None for the whole vocabulary at every place.
        unwritable: whether the card's format does not allow the answer, so that it is learnt over the vocabulary.
        sums: whether its loss is the sum over the learnt tokens and not their mean.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    constant: int
    truncated: int
    answer_only: bool = True
    choices: Mapping[int, Tensor] | None = field(default=None, compare=False, repr=False)
    unwritable: bool = False
    sums: bool = False

    @property
    def ids(self) -> tuple[int, ...]:
        """Prompt and answer."""
        return self.prompt + self.answer

    @property
    def beginning(self) -> tuple[int, ...]:
        """What stands before the first virtual token."""
        return self.ids[: self.constant]

    @property
    def end(self) -> int:
        """Number of leading tokens that the backbone reads: with ``sums`` none after the last one that is learnt."""
        return max([len(self.prompt) - 1, *self.targets()]) + 1 if self.sums else len(self.ids)

    def targets(self) -> list[int]:
        """Return the positions whose next token is learnt; what is constant teaches nothing, computed or held."""
        ids, first = self.ids, len(self.prompt) - 1
        before = [t for t in range(first if self.answer_only else self.constant, first) if ids[t + 1] >= 0]
        places = range(len(self.answer)) if self.choices is None else self.choices
        return [*before, *(first + place for place in places)]

    def choice(self, target: int) -> Tensor | None:
        """Return the tokens that could follow a position of `targets`; None for all."""
        return self.choices.get(target + 1 - len(self.prompt)) if self.choices is not None else None


def render_examples(renderer: Renderer, examples: Sequence[Example], loss: str = "auto") -> list[TrainExample]:
    """Render examples with their answers; the first form of a label is the one that is trained.

    Args:
        renderer: of the task.
        examples: with answers.
        loss: which tokens the loss is normalised over, see `promptbank.training.answer_loss`.

    Raises:
        InputError: examples cannot be rendered; of the kind of their faults, all of them at once.
        ConfigError: the card has no such loss.
    """
    return _each(examples, partial(_rendered, renderer, loss_for(loss, renderer.card)))


def training_renderer(backbone: Backbone, card: TaskCard, config: TrainConfig) -> Renderer:
    """Return what renders a card's rows where they are learnt, and where they are tested after it."""
    policy = training_policy(backbone, card, config)
    return Renderer(card, backbone.tokenizer, policy, backbone.window)


def training_policy(backbone: Backbone, card: TaskCard, config: TrainConfig) -> TokenPolicy:
    """Return what surrounds a card's prompts, and how answers are scored after the loss they are learnt by."""
    policy = TokenPolicy.of(backbone.tokenizer, answer_tokens=config.answer_tokens)
    return replace(policy, scoring=loss_for(config.loss, card).scoring)


def check_prompts(renderer: Renderer, examples: Sequence[Example]) -> None:
    """Refuse examples that could not be answered; gold answers are not looked at.

    Raises:
        InputError: see `render_examples`.
    """
    _each(examples, lambda example: renderer.prompt(example.fields))


def _each(examples: Sequence[Example], render: Callable[[Example], R]) -> list[R]:
    """Render all examples, or raise what is wrong with any of them."""
    rendered: list[R] = []
    faults: list[str] = []
    kinds: set[type[InputError]] = set()
    for example in examples:
        try:
            rendered.append(render(example))
        except InputError as exc:
            faults.append(f"{example.source}: {exc}")
            kinds.add(type(exc))
    raise_faults(faults, kinds.pop() if len(kinds) == 1 else InputError)
    return rendered


def _rendered(renderer: Renderer, loss: Loss, example: Example) -> TrainExample:
    card, text = renderer.card, example.answer or ""
    prompt = renderer.prompt(example.fields)
    answer = renderer.answer(text if card.is_open else card.form(text))
    rendered = TrainExample(
        prompt.ids, answer, prompt.constant, prompt.truncated, card.answer_only_loss, sums=loss.sums
    )
    try:
        return replace(rendered, choices=loss.choices(renderer, renderer.kept(example.fields, prompt), answer))
    except InputError:
        return replace(rendered, unwritable=True)


def example_losses(
    lm: LanguageModel,
    tables: Sequence[PromptTable],
    examples: Sequence[TrainExample],
    held: Sequence[Tensor] | None,
    *,
    heads: Sequence[FrozenHead] | None = None,
) -> Tensor:
    """Return each example's negative log-likelihood, float32 (B,); 0 where nothing is learnt.

    It is the mean over its learnt tokens, or their sum where the example says so.

    Args:
        lm: the frozen backbone.
        tables: the prompt table of each example; gradients flow into them.
        examples: B of them.
        held: keys and values of the constant beginnings; None to compute them here.
        heads: the head of each example for tokens without choices, which does not learn; the backbone's own if None.
    """
    starts = [one.constant if held is not None else 0 for one in examples]
    packed = pack([one.ids[s : one.end] for one, s in zip(examples, starts, strict=True)], tables, pad="right")
    hidden = lm.hidden(packed, cache_of(held) if held is not None else None)  # (B, S, H)
    learnt = list(_learnt(examples, starts))
    if not learnt:
        return hidden.sum() * torch.zeros(len(examples))
    *columns, choices = zip(*learnt, strict=True)
    b_index, t_index, targets = map(torch.tensor, columns)
    wanted = hidden[b_index, t_index]
    among = torch.tensor([one is not None for one in choices])
    nll = torch.zeros(len(targets))
    if among.any():
        given = [one for one in choices if one is not None]
        nll = nll.index_put((among,), -lm.choice_logprobs(wanted[among], targets[among], given))
    if not among.all():
        free = (wanted[~among], targets[~among])
        over_words = -lm.logprobs(*free) if heads is None else _by_head(heads, *free, b_index[~among])
        nll = nll.index_put((~among,), over_words)
    sums = torch.zeros(len(examples)).index_add(0, b_index, nll)
    counts = torch.bincount(b_index, minlength=len(examples)).clamp(min=1)
    return sums / counts.where(~torch.tensor([one.sums for one in examples]), 1)


def _learnt(examples: Sequence[TrainExample], starts: Sequence[int]) -> Iterator[tuple[int, int, int, Tensor | None]]:
    """Yield of every learnt token its example, the computed position that it follows, its id and its choices."""
    for b, (example, start) in enumerate(zip(examples, starts, strict=True)):
        ids = example.ids
        for t in example.targets():
            yield b, t - start, ids[t + 1], example.choice(t)


def _by_head(heads: Sequence[FrozenHead], wanted: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
    """Return the negative log-likelihoods (N,), neighbours with the same head in one call: it reads 335 MB."""
    parts = []
    for _, group in groupby(range(len(heads)), key=lambda row: id(heads[row])):
        first, *others = group
        last = others[-1] if others else first
        here = (rows >= first) & (rows <= last)
        parts.append(heads[first].nll(wanted[here], targets[here]))
    return torch.cat(parts)
