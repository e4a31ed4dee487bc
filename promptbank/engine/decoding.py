"""Greedy and beam search over the backbone: for open answers, and for translations.

A search keeps the most probable beginnings of an answer, as many as its beam; with a beam of one it is greedy. What is
found depends on the prompt alone: it has its own limit and end, left padding with counted positions, and leaves the
batch when it has ended. Others may join the batch before each step (continuous batching; Yu et al. 2022, "Orca"). A
constraint says which tokens may follow; those that it leaves no choice about take no pass of their own, but run
together with the next one that does, as many as all sequences of the batch have.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import torch
from torch import Tensor

from promptbank.engine.search import BeamHypothesis, BeamSearch, Constraint, DecodedSequence, Search
from promptbank.model.forward import Context, LanguageModel, join_contexts, read_after
from promptbank.model.inject import pack
from promptbank.model.prompt_table import PromptTable

__all__ = [
    "AllTokens",
    "BatchTokens",
    "BeamSearch",
    "Constraint",
    "DecodedSequence",
    "DecodingBatch",
    "Search",
    "TokenSet",
    "decode",
]


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


class DecodingBatch:
    """Searches that take their steps together; others can join before a step, and leave after it.

    Args:
        lm: the backbone.
        tokens: what may be written.
    """

    def __init__(self, lm: LanguageModel, tokens: BatchTokens) -> None:
        self._lm, self._tokens = lm, tokens
        self.going: list[Search] = []
        self._context: Context | None = None
        self._hidden = torch.empty(0)  # (hypotheses, H), the state after which each one's next token stands

    @torch.no_grad()
    def admit(
        self,
        searches: Sequence[Search],
        tables: Sequence[PromptTable] | None = None,
        held: Sequence[Tensor] | None = None,
    ) -> None:
        """Read the prompts of searches, which then take part in the steps.

        Args:
            searches: of one beam with those that are there.
            tables: the prompt table of each search; None where none has virtual tokens.
            held: keys and values of the beginning of each search's prompt, if they are at hand; may be of no token.
        """
        begun = [n for n, search in enumerate(searches) if search.living]
        if not begun:
            return
        ids = [(*searches[n].prompt, *one) for n in begun for one in searches[n].feed(searches[n].waiting)]
        own = [tables[n] for n in begun] if tables else None
        if held is None:
            context = self._lm.context(len(ids))
            hidden = self._lm.hidden(pack(ids, own), context)[:, -1]  # (B, H)
        else:
            kept = [held[n] for n in begun]
            rest = [one[kv.shape[-2] :] for one, kv in zip(ids, kept, strict=True)]
            hidden, context = read_after(self._lm, kept, rest, own)
        if self._context is None or not self.going:
            self._context, self._hidden = context, hidden
        else:
            self._context = join_contexts([self._context, context])
            self._hidden = torch.cat([self._hidden, hidden])
        self.going += [searches[n] for n in begun]

    @torch.no_grad()
    def step(self) -> list[Search]:
        """Let every search choose its next token, and return those that have ended with it."""
        parents = _advance(self._lm, self.going, self._hidden, self._tokens)
        ended = [search for search in self.going if not search.living]
        self._keep([search for search in self.going if search.living], parents)
        return ended

    def leave(self, left: Collection[Search]) -> None:
        """Take searches out that nobody waits for any more."""
        lines = [search for search in self.going for _ in search.living]
        kept = torch.tensor([n for n, search in enumerate(lines) if search not in left], device=self._lm.device).long()
        self.going = [search for search in self.going if search not in left]
        if self._context is not None and len(kept) < len(lines):
            self._context, self._hidden = self._context.select(kept), self._hidden[kept]

    def _keep(self, going: list[Search], parents: list[int]) -> None:
        """Go on with some of the searches: each hypothesis continues a line of the batch, and reads its new tokens."""
        self.going = going
        if not going or self._context is None:
            self._context = None
            return
        if parents != list(range(len(self._hidden))):
            self._context = self._context.select(torch.tensor(parents, device=self._lm.device))
        shared = min(search.waiting for search in going)
        read = pack([ids for search in going for ids in search.feed(shared)])
        self._hidden = self._lm.hidden(read, self._context)[:, -1]


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
    searches = [Search(n, p, how, eos_id, one) for n, (p, one) in enumerate(zip(prompts, held, strict=True))]
    batch = DecodingBatch(lm, (tokens or AllTokens(lm)).batch(prompts))
    batch.admit(searches, tables)
    while batch.going:
        batch.step()
    return [search.best() for search in searches]


def _advance(lm: LanguageModel, going: Sequence[Search], hidden: Tensor, opened: BatchTokens) -> list[int]:
    """Let the searches choose of which all tokens were read; return the line of the batch that each line continues."""
    lines = [(search, one) for search in going for one in search.living]
    asking = [n for n, (search, _) in enumerate(lines) if not search.waiting]
    gathering = [n for n in asking if lines[n][0].gathers]
    others = [n for n in asking if n not in gathering]
    found = dict(zip(others, _following([lines[n] for n in others], hidden[others], opened), strict=True))
    found |= {n: _among_allowed(lm, lines[n][0].allowed, hidden[n]) for n in gathering}
    parents: list[int] = []
    first = 0
    for search in going:
        own = range(first, first + len(search.living))
        first = own.stop
        parents += own if search.waiting else [own[n] for n in search.choose([found[line] for line in own])]
    return parents


def _among_allowed(lm: LanguageModel, allowed: Tensor | None, hidden: Tensor) -> list[tuple[float, int]]:
    """Return log-probability and id of the most probable of the tokens that a constraint allows after a state (H,)."""
    assert allowed is not None  # noqa: S101 - a search with a constraint that still lives has been told
    best = lm.token_logits(hidden[None], allowed).log_softmax(1).max(1)
    return [(float(best.values), int(allowed[best.indices]))]


def _following(
    lines: Sequence[tuple[Search, BeamHypothesis]], hidden: Tensor, opened: BatchTokens
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
        if again := search.repeats(one):
            logits[line, opened.columns(torch.tensor(again))] = -torch.inf
    best = logits.max(1, keepdim=True) if beam == 1 else logits.topk(min(2 * beam, logits.shape[1]), dim=1)
    steps, tokens = (best[0] - mass).tolist(), opened.tokens(best[1]).tolist()
    return [list(zip(*line, strict=True)) for line in zip(steps, tokens, strict=True)]
