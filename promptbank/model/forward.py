"""Forward passes of the frozen backbone: hidden states, keys and values, log-probabilities of chosen tokens.

The base model runs without its head; only the hidden states whose next token matters are gathered, contiguously, and
given to the head. On one CPU core at T=48 that took 246 ms an example where logits at all positions took 751
(gemma-3-270m, bf16); a slice ``h[:, a:b]`` into the head is no substitute, since a non-contiguous view is five times
slower there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache, PreTrainedModel

from promptbank.errors import PromptBankError
from promptbank.model.inject import PackedBatch, embed, pack, positions
from promptbank.model.layers import layers_of, vectors_added
from promptbank.model.prompt_table import PromptTable

__all__ = [
    "Context",
    "LanguageModel",
    "cache_of",
    "cast_weights",
    "join_contexts",
    "prefill",
    "read_after",
    "vocabulary_layers",
]

M = TypeVar("M", bound=nn.Module)

HEAD_BYTES = 128 * 2**20
"""Most bytes of float32 logits held at once when scoring: 128 positions of a vocabulary of 262,144 tokens."""


def cast_weights(model: M, dtype: torch.dtype) -> M:
    """Give a model's weights a dtype, in place, and leave its buffers as they are.

    ``Module.to`` casts buffers too, and rotary frequencies in bfloat16 turn by angles that are wrong by up to one part
    in 500: hidden states of random Gemma-3 layers at 512 positions were then off by 0.069 instead of 0.013.
    """
    for parameter in model.parameters():  # tied ones once, so they stay tied
        parameter.data = parameter.data.to(dtype)
    return model


def vocabulary_layers(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Return the input embedding and the output head of a causal language model."""
    causal = cast(PreTrainedModel, model)
    return causal.get_input_embeddings(), causal.get_output_embeddings()


class LanguageModel:
    """The frozen backbone as the rest of promptbank uses it.

    Args:
        model: a Hugging Face causal language model in eval mode.

    Raises:
        PromptBankError: the architecture changes its logits after the head (scaling, soft-capping), which scoring
            chosen tokens would miss.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.base = cast(PreTrainedModel, model).base_model
        self.embedding, self.head = vocabulary_layers(model)
        self.dtype = self.embedding.get_parameter("weight").dtype
        self.vocabulary, self.hidden_size = self.head.get_parameter("weight").shape
        self.head_rows = max(1, HEAD_BYTES // (4 * self.vocabulary))
        self.window: int | None = getattr(cast(PreTrainedModel, model).config.get_text_config(), "sliding_window", None)
        self._check_head()

    @cached_property
    def takes_trees(self) -> bool:
        """Whether the architecture reads a tree of tokens as it reads each path alone; not all take such a mask."""
        context, sees = self.context(1), torch.tensor([[[1, 0, 0], [0, 1, 0], [0, 1, 1]]]).bool()
        try:
            with torch.no_grad():
                self.hidden(pack([(1, 2)]), context)
                tree = self.hidden(pack([(3, 4, 5)]), context, sees)[0]
                paths = self.hidden(pack([(1, 2, 3), (1, 2, 4), (1, 2, 4, 5)]))[:, -1]
        except (RuntimeError, TypeError, ValueError):
            return False
        return bool((tree - paths).norm() <= torch.finfo(self.dtype).eps ** 0.5 * paths.norm())

    @torch.no_grad()
    def _check_head(self) -> None:
        ids = torch.tensor([[1, 2, 3]])
        ours = self.head(self.base(input_ids=ids, use_cache=False).last_hidden_state)
        theirs = self.model(input_ids=ids, use_cache=False).logits
        if not torch.allclose(ours.float(), theirs.float(), rtol=1e-4, atol=1e-4):
            raise PromptBankError(
                f"{type(self.model).__name__} changes its logits after the output head (a scale or a soft cap); "
                "promptbank scores gathered hidden states and cannot serve this architecture"
            )

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.embedding.get_parameter("weight").device

    @cached_property
    def layers(self) -> list[nn.Module]:
        """The L transformer layers."""
        return layers_of(self.base)

    def context(self, sequences: int) -> Context:
        """Return an empty context for B sequences, in which `hidden` holds their keys and values."""
        mask = torch.zeros((sequences, 0), dtype=torch.long, device=self.device)
        return Context(DynamicCache(), mask, mask.sum(1))

    def hidden(self, packed: PackedBatch, context: Context | None = None, sees: Tensor | None = None) -> Tensor:
        """Return last hidden states (B, S, H) of a packed batch, after an optional context.

        Args:
            packed: the new positions. After a context that is not empty, pad on the right: a pad between two real
                tokens would count as distance in a sliding window.
            context: held keys and values; grown in place by this call.
            sees: which of the new positions each one sees beside the context, bool (B, S, S), where they are a tree
                and not a line. The context is of no use afterwards.
        """
        packed = packed.to(self.device)
        if context is None:
            return self._run(packed, packed.mask, positions(packed.mask), None)
        before, held = context.lengths[:, None], context.mask
        context.mask = torch.cat([held, packed.mask], 1)
        context.lengths = context.lengths + packed.lengths
        if sees is not None:
            return self._run(packed, _tree_mask(held, sees, self.dtype), before + sees.sum(2) - 1, context.cache)
        return self._run(packed, context.mask, before + positions(packed.mask), context.cache)

    def _run(self, packed: PackedBatch, mask: Tensor, place: Tensor, cache: DynamicCache | None) -> Tensor:
        vectors = packed.stack.layer_vectors()
        with nullcontext() if vectors is None else vectors_added(self.layers, vectors, packed.slots):
            out = self.base(
                inputs_embeds=embed(self.embedding, packed),
                attention_mask=mask,
                position_ids=place,
                past_key_values=cache,
                use_cache=cache is not None,
            )
        hidden: Tensor = out.last_hidden_state
        return hidden

    def logprobs(self, states: Tensor, targets: Tensor) -> Tensor:
        """Return log p(target) after each hidden state, float32 (N,).

        Args:
            states: (N, H), gathered.
            targets: (N,) token ids.
        """
        chunks = zip(torch.split(states, self.head_rows), torch.split(targets, self.head_rows), strict=True)
        return torch.cat([self._logprob_chunk(s, t) for s, t in chunks])

    def choice_logprobs(self, states: Tensor, targets: Tensor, choices: Sequence[Tensor]) -> Tensor:
        """Return log p(target) after each hidden state, among its choices alone, float32 (N,).

        Args:
            states: (N, H), gathered.
            targets: (N,) token ids, each among its choices.
            choices: N int64 tensors of distinct ids.
        """
        given = torch.cat(list(choices))
        tokens, place = given.unique(return_inverse=True)  # ascending
        owner = torch.arange(len(choices)).repeat_interleave(torch.tensor([len(one) for one in choices]))
        forbidden = torch.ones(len(choices), len(tokens), dtype=torch.bool)
        forbidden[owner, place] = False
        logits = self.token_logits(states, tokens).masked_fill(forbidden, -torch.inf)  # (N, tokens)
        chosen = torch.searchsorted(tokens, targets)[:, None]
        return logits.gather(1, chosen).squeeze(1) - logits.logsumexp(1)

    def token_logits(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Return the logits of some tokens, float32 (N, tokens); only their rows of the head are read.

        Args:
            states: (N, H).
            tokens: int64 ids.
        """
        bias = getattr(self.head, "bias", None)
        weight = self.head.get_parameter("weight")[tokens]  # few of 262,144
        return functional.linear(states, weight, None if bias is None else bias[tokens]).float()

    def _logprob_chunk(self, states: Tensor, targets: Tensor) -> Tensor:
        logits: Tensor = self.head(states).float()  # (n, vocabulary)
        return logits.gather(1, targets[:, None]).squeeze(1) - logits.logsumexp(1)


def _tree_mask(held: Tensor, sees: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what new positions add to their attention, (B, 1, S, held + S): 0 on what they see."""
    context = held.bool()[:, None].expand(-1, sees.shape[1], -1)
    hidden = ~torch.cat([context, sees], 2)[:, None]
    return torch.zeros(hidden.shape, dtype=dtype).masked_fill(hidden, torch.finfo(dtype).min)


@dataclass(eq=False)
class Context:
    """Keys and values held for B sequences; left-padded, so later positions follow without a gap.

    Attributes:
        cache: grown by every forward pass that uses it. It keeps all positions also for sliding-window layers, whose
            window the mask applies.
        mask: (B, S) int64 over the held positions.
        lengths: (B,) real positions held, the position of the next token.
    """

    cache: DynamicCache
    mask: Tensor
    lengths: Tensor

    def select(self, sequences: Tensor) -> Context:
        """Return a new context with the given sequences (repeats allowed); this one stays as it is."""
        layers = [(keys[sequences], values[sequences]) for keys, values in self._layers()]
        return Context(DynamicCache(layers), self.mask[sequences], self.lengths[sequences])

    def keys_values(self, sequence: int) -> Tensor:
        """Return one sequence's held keys and values without its pads, (L, 2, heads, T, D), contiguous."""
        held = int(self.lengths[sequence])
        pairs = [torch.stack([keys[sequence], values[sequence]]) for keys, values in self._layers()]
        return torch.stack(pairs)[..., -held:, :].contiguous()

    def compacted(self) -> Context:
        """Return the same sequences with all pads on the left."""
        real = self.mask.argsort(dim=1, stable=True)[:, -int(self.lengths.max()) :]  # (B, S), pads first

        def moved(held: Tensor) -> Tensor:
            return held.gather(2, real[:, None, :, None].expand(-1, held.shape[1], -1, held.shape[3]))

        layers = [(moved(keys), moved(values)) for keys, values in self._layers()]
        return Context(DynamicCache(layers), self.mask.gather(1, real), self.lengths)

    def _layers(self) -> list[tuple[Tensor, Tensor]]:
        return [(layer[0], layer[1]) for layer in self.cache]


def cache_of(held: Sequence[Tensor]) -> Context:
    """Build a context from keys and values of single sequences, as `Context.keys_values` gives them."""
    lengths = torch.tensor([kv.shape[-2] for kv in held])
    width = int(lengths.max())
    padded = torch.stack([nn.functional.pad(kv, (0, 0, width - kv.shape[-2], 0)) for kv in held], dim=2)
    mask = (torch.arange(width) >= (width - lengths)[:, None]).long()  # (B, width)
    return Context(DynamicCache([(layer[0], layer[1]) for layer in padded]), mask, lengths)


def join_contexts(contexts: Sequence[Context]) -> Context:
    """Build one context of the sequences of several, padded on the left to the longest; those stay as they are."""
    width = max(context.mask.shape[1] for context in contexts)

    def joined(parts: Iterable[Tensor], dim: int) -> Tensor:
        """Join along the sequences; positions are dimension ``dim`` from the end."""
        return torch.cat([functional.pad(part, (*(0, 0) * (dim - 1), width - part.shape[-dim], 0)) for part in parts])

    layers = zip(*(context._layers() for context in contexts), strict=True)
    pairs = [(joined((keys for keys, _ in layer), 2), joined((values for _, values in layer), 2)) for layer in layers]
    masks = joined((context.mask for context in contexts), 1)
    return Context(DynamicCache(pairs), masks, torch.cat([context.lengths for context in contexts]))


@torch.no_grad()
def prefill(
    lm: LanguageModel, sequences: Sequence[Sequence[int]], tables: Sequence[PromptTable] | None = None
) -> list[Tensor]:
    """Run sequences once and return each one's keys and values, (L, 2, heads, T, D)."""
    context = lm.context(len(sequences))
    lm.hidden(pack(sequences, tables), context)
    return [context.keys_values(b) for b in range(len(sequences))]


@torch.no_grad()
def read_after(
    lm: LanguageModel,
    held: Sequence[Tensor],
    sequences: Sequence[Sequence[int]],
    tables: Sequence[PromptTable] | None = None,
) -> tuple[Tensor, Context]:
    """Read what follows held keys and values of unlike lengths.

    Args:
        lm: the backbone.
        held: of each sequence's beginning, as `Context.keys_values` gives them; may be of no token.
        sequences: what follows, at least one id each.
        tables: of the virtual ids in them.

    Returns:
        The state after each sequence, (B, H), and a context without pads in between.
    """
    context = cache_of(held)
    hidden = lm.hidden(pack(sequences, tables, pad="right"), context)  # (B, S, H)
    lengths = torch.tensor([len(ids) for ids in sequences], device=hidden.device)
    if int(lengths.min()) == int(lengths.max()):
        return hidden[:, -1], context
    return hidden[torch.arange(len(lengths)), lengths - 1], context.compacted()
