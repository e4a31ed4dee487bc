"""The surface forms of labels as a prefix tree of tokens: what may follow what, when the answer is one of them.

A label's probability is the product of the probabilities along its path, each a softmax over the children of one node
alone; a node with one child costs nothing. So the probabilities of all labels add up to one, and of the output head
only the rows of tokens that stand at a branch are read: 72 of 262,144 for the 68 intents of the assistant.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache

import torch
from torch import Tensor

__all__ = ["LabelTree", "tree_of"]

Tokens = tuple[int, ...]


class LabelTree:
    """The prefix tree of forms.

    Args:
        forms: token ids, each with the end token last, so that none is the beginning of another.

    Attributes:
        forms: the same.
        branches: the tokens that may follow, ascending int64 and more than one, by the path from the root.
        read: the paths that the backbone must read, S of them, beginnings first: those to a branch below the root.
    """

    def __init__(self, forms: Sequence[Tokens]) -> None:
        following: dict[Tokens, set[int]] = {}
        for ids in forms:
            for depth, token in enumerate(ids):
                following.setdefault(ids[:depth], set()).add(token)
        self.forms = tuple(forms)
        self.branches = {path: torch.tensor(sorted(ids)) for path, ids in following.items() if len(ids) > 1}
        read = {path[:depth] for path in self.branches for depth in range(1, len(path) + 1)}
        self.read = tuple(sorted(read, key=lambda path: (len(path), path)))

    def choices(self, form: Tokens) -> dict[int, Tensor]:
        """Return the tokens that could stand at each place of a form, where there is more than one."""
        return {n: self.branches[form[:n]] for n in range(len(form)) if form[:n] in self.branches}

    @cached_property
    def sees(self) -> Tensor:
        """Which of the paths read each of them goes on from, itself included, bool (S, S)."""
        sees = [[path[: len(one)] == one for one in self.read] for path in self.read]
        return torch.tensor(sees, dtype=torch.bool).view(len(sees), len(sees))

    @cached_property
    def place(self) -> dict[Tokens, int]:
        """The place of each path in ``read``."""
        return {path: n for n, path in enumerate(self.read)}

    @cached_property
    def ends(self) -> list[Tokens]:
        """The paths read that begin no longer one."""
        return [path for path, seen in zip(self.read, self.sees.sum(0).tolist(), strict=True) if seen == 1]

    @cached_property
    def steps(self) -> Tensor:
        """Which steps, a branch's tokens after the other's, each form takes: float32 (steps, F) of 0 and 1."""
        ends = [(*path, token) for path, tokens in self.branches.items() for token in tokens.tolist()]
        taken = [[float(form[: len(end)] == end) for form in self.forms] for end in ends]
        return torch.tensor(taken).view(len(ends), len(self.forms))

    @cached_property
    def shares(self) -> Tensor:
        """How many forms are the same tokens as each one, itself included, float32 (F,); they share its probability."""
        return torch.tensor([float(self.forms.count(form)) for form in self.forms])


@lru_cache(maxsize=256)
def tree_of(forms: tuple[Tokens, ...]) -> LabelTree:
    """Return the tree of forms, made once."""
    return LabelTree(forms)
