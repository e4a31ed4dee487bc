"""Greedy and beam search over the backbone: for open answers, and for translations.

A search keeps the most probable beginnings of an answer, as many as its beam; with a beam of one it is greedy. What is
found depends on the prompt alone: it has its own limit and end, left padding with counted positions, and leaves the
batch when it has ended. A constraint says which tokens may follow; those that it leaves no choice about take no pass of
their own, but run together with the next one that does, as many as all sequences of the batch have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from promptbank.model.forward import LanguageModel
from promptbank.model.inject import pack
from promptbank.model.prompt_table import PromptTable

__all__ = ["AllTokens", "BatchTokens", "BeamSearch", "Constraint", "DecodedSequence", "TokenSet", "decode"]


@dataclass(frozen=True)
class BeamSearch:
    """How answers are searched; the defaults are those of translations.

    Attributes:
        beam: hypotheses kept for each prompt.
        ratio: most tokens of an answer, as a multiple of its prompt's,
        extra: and how many more.
        once: a run of so many tokens stands in an answer once, unless it stands in the prompt; 0 lets runs repeat. It
            breaks loops of a greedy search: of 150 headlines, by a translator of 500 steps, 11 were flagged for length
            or repetition instead of 15; chrF2 on 40 FLORES sentences stayed at 43.2.
        batch_tokens: padded prompt tokens of a batch, times the beam.
    """

    beam: int = 1
    ratio: float = 2.0
    extra: int = 16
    once: int = 5
    batch_tokens: int = 2048

    @classmethod
    def greedy(cls, tokens: int) -> BeamSearch:
        """Return the greedy search for answers of at most so many tokens, the end token included."""
        return cls(beam=1, ratio=0, extra=tokens, once=0)

    def limit(self, prompt: int) -> int:
        """Return the most tokens that follow a prompt of so many."""
        return int(self.ratio * prompt) + self.extra


class BatchTokens(Protocol):
    """The tokens that may be written after the prompts of one batch, as columns of their logits."""

    def logits(self, hidden: Tensor, prompts: Sequence[int]) -> Tensor:
        """Return the logits of the tokens, float32 (N, columns).

        Args:
            hidden: (N, H), contiguous.
            prompts: for each the number of its prompt in the batch.
        """

    def columns(self, tokens: Tensor) -> Tensor:
        """Return the columns of token ids, of the same shape."""

    def tokens(self, columns: Tensor) -> Tensor:
        """Return the token ids of columns, of the same shape."""


class TokenSet(Protocol):
    """Tokens that may be written."""

    def batch(self, prompts: Sequence[Sequence[int]]) -> BatchTokens:
        """Return those of a batch of prompts."""


class AllTokens:
    """Every token of the backbone."""

    def __init__(self, lm: LanguageModel) -> None:
        self._head = lm.head

    def batch(self, _prompts: Sequence[Sequence[int]]) -> AllTokens:
        """Return itself."""
        return self

    def logits(self, hidden: Tensor, _prompts: Sequence[int]) -> Tensor:
        """Return all logits."""
        logits: Tensor = self._head(hidden)
        return logits.float()

    def columns(self, tokens: Tensor) -> Tensor:
        """Return the tokens."""
        return tokens

    def tokens(self, columns: Tensor) -> Tensor:
        """Return the columns."""
        return columns


class Constraint(Protocol):
    """What one answer is held to, followed along its tokens."""

    def allowed(self) -> Tensor:
        """Return the ids that may come next, int64 (n,), n > 0."""

    def advance(self, token: int) -> None:
        """Take the id that was chosen."""


@dataclass(frozen=True)
class DecodedSequence:
    """What was found for a prompt.

    Attributes:
        ids: the end token last, unless the limit cut it.
        score: mean natural log-probability of the ids; under a constraint, among those that it allowed.
    """

    ids: tuple[int, ...]
    score: float


@torch.no_grad()
def decode(
    lm: LanguageModel,
    prompts: Sequence[tuple[int, ...]],
    eos_id: int,
    how: BeamSearch,
    *,
    tables: Sequence[PromptTable] | None = None,
    tokens: TokenSet | None = None,
    constraints: Sequence[Constraint | None] | None = None,
) -> list[DecodedSequence]:
    """Continue each prompt until its end token or its limit.

    Args:
        lm: the backbone.
        prompts: rendered ids; of like length, for speed.
        eos_id: the end token.
        how: beam and limits.
        tables: the prompt table of each prompt; None where none has virtual tokens.
        tokens: what may be written; all tokens if None.
        constraints: for each prompt what its answer is held to, None for nothing; advanced by this call.

    Returns:
        One result for each prompt, in order.

    Raises:
        ValueError: there are constraints, and the beam is not 1.
    """
    if constraints and how.beam != 1:
        raise ValueError(f"a constraint follows one hypothesis, and the beam has {how.beam}")
    held = constraints or [None] * len(prompts)
    searches = [_Search(n, p, how, eos_id, one) for n, (p, one) in enumerate(zip(prompts, held, strict=True))]
    going = [search for search in searches if search.living]
    if going:
        begun = [(*search.prompt, *ids) for search in going for ids in search.feed(search.waiting)]
        context, opened = lm.context(len(begun)), (tokens or AllTokens(lm)).batch(prompts)
        packed = pack(begun, [tables[search.place] for search in going] if tables else None)
        hidden = lm.hidden(packed, context)[:, -1]  # (B, H)
    while going:
        parents = _advance(going, hidden, opened)
        going = [search for search in going if search.living]
        if going:
            if parents != list(range(len(hidden))):
                context = context.select(torch.tensor(parents, device=lm.device))
            shared = min(search.waiting for search in going)
            hidden = lm.hidden(pack([ids for search in going for ids in search.feed(shared)]), context)[:, -1]
    return [search.best() for search in searches]


@dataclass(frozen=True)
class _Hypothesis:
    """The beginning of an answer, and its summed log-probability."""

    ids: tuple[int, ...] = ()
    total: float = 0.0

    def ended(self) -> DecodedSequence:
        return DecodedSequence(self.ids, self.total / len(self.ids))


class _Search:
    """One prompt and the hypotheses about its answer, which all have the same length.

    Attributes:
        place: number of the prompt.
        living: at most a beam of hypotheses, in the order of their totals; none when the search has ended.
        waiting: how many of their last tokens the backbone has not read yet.
        allowed: what may follow, under a constraint.
    """

    def __init__(
        self, place: int, prompt: tuple[int, ...], how: BeamSearch, eos_id: int, constraint: Constraint | None
    ) -> None:
        self.place, self.prompt, self.how = place, prompt, how
        self._eos_id, self._constraint, self._left = eos_id, constraint, how.limit(len(prompt))
        self._done: list[DecodedSequence] = []
        self.living, self.waiting = [_Hypothesis()], 0
        self.allowed: Tensor | None = None
        self._follow()

    def best(self) -> DecodedSequence:
        """Return the answer with the highest mean log-probability a token."""
        return max(self._done, key=lambda decoded: decoded.score)

    def feed(self, count: int) -> list[tuple[int, ...]]:
        """Return of each hypothesis the first ``count`` tokens that wait; they wait no longer."""
        start, self.waiting = -self.waiting, self.waiting - count
        return [one.ids[len(one.ids) + start :][:count] for one in self.living]

    def choose(self, following: Sequence[Iterable[tuple[float, int]]]) -> list[int]:
        """Go on with the best hypotheses, and with the tokens after them that a constraint leaves no choice about.

        Args:
            following: for each living hypothesis log-probability and id of the tokens that could come next.

        Returns:
            The number of the hypothesis that each one living then continues.
        """
        found = (
            (self.living[n].total + step, n, token) for n, tokens in enumerate(following) for step, token in tokens
        )
        parents = self._take(sorted(found, key=lambda one: (-one[0], *one[1:])))
        self._follow()
        return parents if self.living else []

    def _take(self, ranked: Sequence[tuple[float, int, int]]) -> list[int]:
        """Keep the best of totals, numbers of hypotheses and next tokens; return the hypotheses that they continue."""
        beam = self.how.beam
        kept: list[tuple[int, _Hypothesis]] = []
        for rank, (total, parent, token) in enumerate(ranked):
            grown = _Hypothesis((*self.living[parent].ids, token), total)
            if token != self._eos_id and len(kept) < beam:
                kept.append((parent, grown))
            elif token == self._eos_id and rank < beam:
                self._done.append(grown.ended())
        self._left -= 1
        self.waiting += 1
        if self._left <= 0:
            self._done = self._done or [one.ended() for _, one in kept]
        self.living = [] if self._left <= 0 or len(self._done) >= beam else [one for _, one in kept]
        if self._constraint is not None:
            self._constraint.advance(ranked[0][2])
        return [parent for parent, _ in kept]

    def _follow(self) -> None:
        while self._constraint is not None and self.living:
            self.allowed = self._constraint.allowed()
            if len(self.allowed) > 1:
                return
            self._take([(self.living[0].total, 0, int(self.allowed[0]))])


def _advance(going: Sequence[_Search], hidden: Tensor, opened: BatchTokens) -> list[int]:
    """Let the searches choose of which all tokens were read; return the line of the batch that each line continues."""
    lines = [(search, one) for search in going for one in search.living]
    asking = [n for n, (search, _) in enumerate(lines) if not search.waiting]
    found = dict(zip(asking, _following([lines[n] for n in asking], hidden[asking], opened), strict=True))
    parents: list[int] = []
    first = 0
    for search in going:
        own = range(first, first + len(search.living))
        first = own.stop
        parents += own if search.waiting else [own[n] for n in search.choose([found[line] for line in own])]
    return parents


def _following(
    lines: Sequence[tuple[_Search, _Hypothesis]], hidden: Tensor, opened: BatchTokens
) -> list[list[tuple[float, int]]]:
    """Return for each line log-probability and id of the most probable tokens, twice the beam of them."""
    if not lines:
        return []
    beam = lines[0][0].how.beam
    logits = opened.logits(hidden, [search.place for search, _ in lines])  # (lines, columns)
    mass = logits.logsumexp(1, keepdim=True)
    for line, (search, one) in enumerate(lines):
        if search.allowed is not None:
            columns = opened.columns(search.allowed)
            values = logits[line, columns]
            logits[line] = -torch.inf
            logits[line, columns], mass[line] = values, values.logsumexp(0)
        again = _repeats(one.ids, search.prompt, search.how.once)
        if again:
            logits[line, opened.columns(torch.tensor(again))] = -torch.inf
    best = logits.max(1, keepdim=True) if beam == 1 else logits.topk(min(2 * beam, logits.shape[1]), dim=1)
    steps, tokens = (best[0] - mass).tolist(), opened.tokens(best[1]).tolist()
    return [list(zip(*line, strict=True)) for line in zip(steps, tokens, strict=True)]


def _repeats(ids: tuple[int, ...], prompt: tuple[int, ...], size: int) -> list[int]:
    """Return the tokens that would make the last ones a run of ``size`` that stood before, but not in the prompt."""
    if not size or len(ids) < size:
        return []
    last = ids[len(ids) - size + 1 :]
    after = {ids[n + size - 1] for n in range(len(ids) - size + 1) if ids[n : n + size - 1] == last}
    runs = {prompt[n : n + size] for n in range(len(prompt) - size + 1)} if after else set()
    return sorted(token for token in after if (*last, token) not in runs)
