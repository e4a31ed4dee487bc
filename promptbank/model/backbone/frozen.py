"""The frozen backbone as a value: the model, its tokenizer, and their sizes, limits and special ids.

They are read from the loaded objects, not from file names, so a folder of any architecture gets the same treatment;
what promptbank cannot work with is refused here, with all reasons at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from promptbank.errors import UnusableBackboneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from promptbank.model.backbone.identity import Identity

__all__ = ["Backbone", "freeze"]

WINDOW_KEYS = ("max_position_embeddings", "n_positions", "seq_length", "n_ctx", "max_seq_len")
"""Where architectures keep the number of positions, the usual name first."""


@dataclass(frozen=True, eq=False)
class Backbone:
    """A causal language model that is never trained.

    Attributes:
        name: what the user asked for, such as "gemma-3-270m"; for people, not for comparing.
        path: the folder the weights came from.
        model: in eval mode, no parameter requires a gradient.
        tokenizer: the one stored beside the weights.
        fingerprint: hex sha256 over architecture, configuration and stored tensors.
        tokenizer_sha256: hex sha256 over the tokenizer's content.
        hidden_size: H, the width of an embedding row.
        vocab_size: rows of the input embedding; ids are below it.
        window: most positions of one sequence, virtual tokens included.
        sliding_window: positions a local attention layer looks back over, or None when every layer sees all.
        learned_positions: True when positions are rows of a trained table (the GPT-2 kinds), so that a longer
            sequence is an IndexError, not just bad text.
        eos_id: id that ends an answer.
        bos_id: id that the tokenizer puts before a text, or None when it puts none.
    """

    name: str
    path: Path
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    fingerprint: str
    tokenizer_sha256: str
    hidden_size: int
    vocab_size: int
    window: int
    sliding_window: int | None
    learned_positions: bool
    eos_id: int
    bos_id: int | None


def freeze(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, name: str, path: Path, identity: Identity
) -> Backbone:
    """Freeze a loaded model and read its facts.

    Args:
        model: set to eval mode and to ``requires_grad=False`` in place.
        tokenizer: kept as it is.
        name: shown to people.
        path: folder the weights came from.
        identity: hashes of that folder.

    Raises:
        UnusableBackboneError: later tokens change earlier ones, the number of positions is unknown, the tokenizer
            has no end token or gives ids that have no embedding; all reasons in one message.
    """
    model.train(False)
    model.requires_grad_(False)
    vocab_size, hidden_size = model.get_input_embeddings().get_parameter("weight").shape
    faults = list(_faults(model, tokenizer, vocab_size))
    if faults:
        raise UnusableBackboneError(f"backbone {name!r} ({path}) cannot be used: {'; '.join(faults)}")
    return Backbone(
        name=name,
        path=path,
        model=model,
        tokenizer=tokenizer,
        fingerprint=identity.fingerprint,
        tokenizer_sha256=identity.tokenizer_sha256,
        hidden_size=hidden_size,
        vocab_size=vocab_size,
        window=_window(model),
        sliding_window=_sliding_window(model),
        learned_positions=_has_learned_positions(model),
        eos_id=tokenizer.eos_token_id,
        bos_id=_leading_bos(tokenizer),
    )


def _faults(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, vocab_size: int) -> Iterator[str]:
    if tokenizer.eos_token_id is None:
        yield "its tokenizer has no end token, which answers must end with (set eos_token in tokenizer_config.json)"
    # text never becomes another special token, so that may lack an embedding (Llama-2 with a pad token)
    used = {tokenizer.bos_token_id, tokenizer.eos_token_id}
    special = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special} - used
    largest = max((index for index in tokenizer.get_vocab().values() if index not in special), default=0)
    if largest >= vocab_size:
        yield f"its tokenizer gives ids up to {largest} and its embedding has {vocab_size} rows (two models' files)"
    if not _window(model):
        yield f"its config.json does not say how many positions it takes (one of {', '.join(WINDOW_KEYS)})"
    if not _is_causal(model):
        yield "a later token changes what it computes for an earlier one, so it is no left-to-right model"


def _is_causal(model: PreTrainedModel) -> bool:
    """Compare the first position of two sequences that differ in the second; the head is not needed."""
    import torch

    ids = torch.tensor([[0, 1], [0, 2]])
    with torch.no_grad():
        out = model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    hidden = out.last_hidden_state  # (2, 2, H)
    return torch.allclose(hidden[0, 0].float(), hidden[1, 0].float(), rtol=1e-3, atol=1e-3)


def _window(model: PreTrainedModel) -> int:
    """Return the number of positions, or 0 when the configuration does not say."""
    config = model.config.get_text_config()
    found = (getattr(config, key, None) for key in WINDOW_KEYS)
    return next((int(value) for value in found if value), 0)


def _sliding_window(model: PreTrainedModel) -> int | None:
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    local = kinds is None or "sliding_attention" in kinds
    # Qwen2 keeps a window in its configuration and switches it off beside it
    switched_off = getattr(config, "use_sliding_window", True) is False
    return int(window) if window and local and not switched_off else None


def _has_learned_positions(model: PreTrainedModel) -> bool:
    import torch

    window = _window(model)
    tables = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Embedding)}
    return any(
        table.num_embeddings >= window and ("position" in name or name.endswith("wpe"))
        for name, table in tables.items()
    )


def _leading_bos(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Return the BOS id if encoding a text really starts with it; having one is not using it (SmolLM2)."""
    bos: int | None = tokenizer.bos_token_id
    ids: list[int] = tokenizer("a")["input_ids"]
    return bos if bos is not None and ids[:1] == [bos] else None
