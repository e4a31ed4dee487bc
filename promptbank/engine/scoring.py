"""Score labels by their whole surface forms: logsumexp over its forms w of log P(w | x).

``log P(w | x)`` sums over all tokens of a form, its end token included. Not the first token alone (60 MASSIVE intents
start with 18 distinct tokens in Gemma's vocabulary) and not a mean of logarithms (a synonym would lower its label);
and without the end token a form that starts another one ("positiv", "positivt") would always win. The prompt runs
once; the forms follow on its keys and values. A row says what its tokens are compared with: ``vocabulary.v1`` all
others, ``tree.v1`` those that the labels allow in their place (`promptbank.model.label_tree`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from promptbank.model.forward import Context, LanguageModel, read_after
from promptbank.model.inject import pack
from promptbank.model.label_tree import LabelTree, tree_of
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Form, Renderer

__all__ = ["SCORINGS", "Scoring", "ScoringRequest", "TreeScoring", "VocabularyScoring", "label_scores", "score_forms"]

VOCABULARY, TREE = "vocabulary.v1", "tree.v1"
EXPANDED_TOKENS = 8192
"""Most held positions copied at once when forms are expanded: 0.3 GB for gemma-3-270m in float32."""
TREE_NUMBERS = 2**24
"""Most numbers of the attention mask of trees that are read at once, 64 MB in float32."""


@dataclass(frozen=True, eq=False)
class ScoringRequest:
    """One prompt and the forms to be scored after it.

    Attributes:
        ids: rendered prompt ids.
        table: of the task.
        forms: forms of the task's labels.
        scoring: a name in `SCORINGS`.
    """

    ids: tuple[int, ...]
    table: PromptTable
    forms: tuple[Form, ...]
    scoring: str = VOCABULARY

    @classmethod
    def of(cls, ids: Sequence[int], table: PromptTable, renderer: Renderer) -> ScoringRequest:
        """Return the request for all forms of a renderer's card, scored as its policy says."""
        return cls(tuple(ids), table, renderer.forms, renderer.policy.scoring or VOCABULARY)


class Scoring(Protocol):
    """What the tokens of forms are compared with."""

    def scores(
        self, lm: LanguageModel, last: Tensor, context: Context, forms: Sequence[tuple[Form, ...]]
    ) -> list[Tensor]:
        """Return log P(form | prompt), one float32 tensor for each prompt, one score for each of its forms.

        Args:
            lm: the backbone.
            last: (B, H), hidden states after the prompts.
            context: keys and values of the prompts; may be used up.
            forms: to be scored after each prompt.
        """


class VocabularyScoring:
    """All tokens of the vocabulary: log P(form | prompt) as the backbone has it."""

    def scores(
        self, lm: LanguageModel, last: Tensor, context: Context, forms: Sequence[tuple[Form, ...]]
    ) -> list[Tensor]:
        """Run the head on every token of every form."""
        owner = torch.tensor([b for b, own in enumerate(forms) for _ in own])
        every = [form.ids for own in forms for form in own]
        steps = [_Steps(last, owner, torch.tensor([ids[0] for ids in every]), torch.arange(len(every)))]
        steps += _later_steps(lm, context, owner, every)
        return list(torch.split(_summed(lm, steps, len(every)), [len(own) for own in forms]))


class TreeScoring:
    """The tokens that the forms allow at the same place; the probabilities of all forms add up to one."""

    def scores(
        self, lm: LanguageModel, last: Tensor, context: Context, forms: Sequence[tuple[Form, ...]]
    ) -> list[Tensor]:
        """Read what leads to the branches of each tree, and of the head the rows of tokens at branches."""
        trees = [tree_of(tuple(form.ids for form in own)) for own in forms]
        states = torch.cat([last[:, None], _tree_states(lm, context, trees)], 1)  # (B, 1 + S, H)
        found: dict[int, Tensor] = {}
        for tree in dict.fromkeys(trees):
            mine = [b for b, one in enumerate(trees) if one is tree]
            found.update(zip(mine, _path_scores(lm, states[mine], tree), strict=True))
        return [found[b] for b in range(len(forms))]


SCORINGS: dict[str, Scoring] = {VOCABULARY: VocabularyScoring(), TREE: TreeScoring()}


@torch.no_grad()
def score_forms(
    lm: LanguageModel, requests: Sequence[ScoringRequest], held: Sequence[Tensor] | None = None
) -> list[Tensor]:
    """Return log P(form | prompt) for every form of every request.

    Args:
        lm: the backbone.
        requests: B prompts, of any tasks, scorings and lengths.
        held: keys and values of each prompt's beginning, if they are at hand; ``ids`` then holds the rest only.

    Returns:
        B float32 tensors, one score for each form in order.
    """
    ids, tables = [r.ids for r in requests], [r.table for r in requests]
    if held is None:
        context = lm.context(len(requests))
        last = lm.hidden(pack(ids, tables), context)[:, -1]  # (B, H)
    else:
        last, context = read_after(lm, held, ids, tables)
    names = [r.scoring for r in requests]
    found: dict[int, Tensor] = {}
    for name in dict.fromkeys(names):
        mine = [b for b, one in enumerate(names) if one == name]
        own = context if len(mine) == len(names) else context.select(torch.tensor(mine))
        scores = SCORINGS[name].scores(lm, last[mine], own, [requests[b].forms for b in mine])
        found.update(zip(mine, scores, strict=True))
    return [found[b] for b in range(len(requests))]


def _path_scores(lm: LanguageModel, states: Tensor, tree: LabelTree) -> Tensor:
    """Return the summed log-probabilities of each form's steps, (B, F), from the states (B, 1 + S, H)."""
    steps = [
        lm.token_logits(states[:, tree.place[path] + 1 if path else 0], tokens).log_softmax(1)
        for path, tokens in tree.branches.items()
    ]
    taken = torch.cat(steps, 1) @ tree.steps if steps else torch.zeros(len(states), len(tree.forms))
    return taken - tree.shares.log()


def _tree_states(lm: LanguageModel, context: Context, trees: Sequence[LabelTree]) -> Tensor:
    """Return the hidden states after the paths that each tree reads, (B, S, H), padded on the right.

    Trees are read in one pass, each token once, where the architecture can and no window of local attention ends
    inside; elsewhere each path runs as a sequence of its own.
    """
    reading = [b for b, tree in enumerate(trees) if tree.read]
    size = max(len(tree.read) for tree in trees)
    out = torch.zeros(len(trees), size, lm.hidden_size, dtype=lm.dtype)
    if not reading:
        return out
    reach = int(context.lengths.max()) + max(len(path) for tree in trees for path in tree.read)
    numbers = size * (size + context.mask.shape[1])
    if numbers > TREE_NUMBERS or (lm.window is not None and reach > lm.window) or not lm.takes_trees:
        return _by_path(lm, context, trees, out)
    step = TREE_NUMBERS // numbers
    for start in range(0, len(reading), step):
        part = reading[start : start + step]
        states = _packed(lm, context.select(torch.tensor(part)), [trees[b] for b in part])
        out[part, : states.shape[1]] = states
    return out


def _packed(lm: LanguageModel, context: Context, trees: Sequence[LabelTree]) -> Tensor:
    """Read trees whole: every token sees its prompt and the tokens above it."""
    packed = pack([[path[-1] for path in tree.read] for tree in trees], pad="right")
    size = packed.ids.shape[1]
    sees = torch.stack([functional.pad(tree.sees, (0, size - len(tree.read)) * 2) for tree in trees])  # (B, S, S)
    return lm.hidden(packed, context, sees)


def _by_path(lm: LanguageModel, context: Context, trees: Sequence[LabelTree], out: Tensor) -> Tensor:
    """Read every longest path of the trees as a sequence of its own, and fill ``out``."""
    paths = [(b, path) for b, tree in enumerate(trees) for path in tree.ends]
    step = max(1, EXPANDED_TOKENS // (context.mask.shape[1] + max(len(path) for _, path in paths)))
    for start in range(0, len(paths), step):
        chosen = paths[start : start + step]
        owner = torch.tensor([b for b, _ in chosen])
        hidden = lm.hidden(pack([path for _, path in chosen], pad="right"), context.select(owner))
        for states, (b, path) in zip(hidden, chosen, strict=True):
            places = [trees[b].place[path[: depth + 1]] for depth in range(len(path))]
            out[b, places] = states[: len(path)]
    return out


@dataclass(frozen=True, eq=False)
class _Steps:
    """Tokens of forms, and the places after which they come.

    Attributes:
        states: (P, H), hidden states of places.
        place: (N,), the place before each token.
        target: (N,), the tokens.
        form: (N,), the form that each belongs to.
    """

    states: Tensor
    place: Tensor
    target: Tensor
    form: Tensor


def _later_steps(
    lm: LanguageModel, context: Context, owner: Tensor, forms: Sequence[tuple[int, ...]]
) -> Iterator[_Steps]:
    """Read forms after their prompts, some at a time, for their tokens after the first."""
    longer = torch.tensor([n for n, ids in enumerate(forms) if len(ids) > 1], dtype=torch.long)
    step = max(1, EXPANDED_TOKENS // (context.mask.shape[1] + max(map(len, forms))))
    for chosen in longer.split(step) if len(longer) else ():
        heads = pack([forms[n][:-1] for n in chosen.tolist()], pad="right")
        targets = pack([forms[n][1:] for n in chosen.tolist()], pad="right").ids
        hidden = lm.hidden(heads, context.select(owner[chosen]))  # (n, T, H)
        real = heads.mask.bool()
        here = torch.arange(int(real.sum()))
        yield _Steps(hidden[real], here, targets[real], chosen[:, None].expand_as(real)[real])


def _summed(lm: LanguageModel, steps: Sequence[_Steps], forms: int) -> Tensor:
    """Return the summed log-probabilities of each form's tokens, (forms,).

    The head runs once over all places: reading its 671 MB for gemma-3-270m takes longer than multiplying with a few.
    """
    states = torch.cat([one.states for one in steps])
    starts = torch.tensor([0, *(len(one.states) for one in steps)]).cumsum(0)
    place = torch.cat([one.place + start for one, start in zip(steps, starts[:-1], strict=True)])
    target, form = torch.cat([one.target for one in steps]), torch.cat([one.form for one in steps])
    out = torch.zeros(forms)
    for rows in torch.split(torch.arange(len(states)), lm.head_rows):
        mine = ((place >= rows[0]) & (place <= rows[-1])).nonzero().squeeze(1)
        logits = lm.head(states[rows]).float()  # (n, vocabulary)
        local = place[mine] - rows[0]
        out.index_add_(0, form[mine], logits[local, target[mine]] - logits.logsumexp(1)[local])
    return out


def label_scores(forms: Sequence[Form], scores: Tensor) -> dict[str, float]:
    """Fold form scores into label scores by logsumexp over the forms of each label, in the forms' order."""
    grouped: dict[str, list[Tensor]] = {}
    for form, score in zip(forms, scores, strict=True):
        grouped.setdefault(form.label, []).append(score)
    return {label: float(torch.stack(values).logsumexp(0)) for label, values in grouped.items()}
