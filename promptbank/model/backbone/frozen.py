"""The frozen backbone as a value: the model, its tokenizer, and the facts that every other floor asks for.

The facts are read from the loaded objects, not from file names, so a folder of any architecture gets the same
treatment; what promptbank cannot work with is refused here, with all reasons at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from promptbank.errors import UnusableBackboneError

if TYPE_CHECKING:
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
    vocab_size, hidden_size = _embedding_shape(model)
    window = _window(model)
    faults = [*_vocabulary_faults(tokenizer, vocab_size), *_model_faults(model, window)]
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
        window=window,
        sliding_window=_sliding_window(model),
        learned_positions=_has_learned_positions(model, window),
        eos_id=tokenizer.eos_token_id,
        bos_id=_leading_bos(tokenizer),
    )


def _embedding_shape(model: PreTrainedModel) -> tuple[int, int]:
    rows, width = model.get_input_embeddings().weight.shape  # type: ignore[misc]
    return int(rows), int(width)


def _vocabulary_faults(tokenizer: PreTrainedTokenizerBase, vocab_size: int) -> list[str]:
    faults = []
    if tokenizer.eos_token_id is None:
        faults.append(
            "its tokenizer has no end token, which every answer must end with (set eos_token in tokenizer_config.json)"
        )
    beyond = _ids_of_text_beyond(tokenizer, vocab_size)
    if beyond:
        faults.append(
            f"its tokenizer gives ids up to {max(beyond)} and its embedding has {vocab_size} rows "
            "(they belong to two models)"
        )
    return faults


def _ids_of_text_beyond(tokenizer: PreTrainedTokenizerBase, vocab_size: int) -> list[int]:
    """Return the ids past the embedding that a prompt could hold.

    Special tokens other than BOS and the end token never are in one: text does not become them, and some published
    models (Llama-2 with a pad token) carry such an id.
    """
    used = {tokenizer.bos_token_id, tokenizer.eos_token_id}
    special = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special} - used
    return [index for index in tokenizer.get_vocab().values() if index >= vocab_size and index not in special]


def _model_faults(model: PreTrainedModel, window: int) -> list[str]:
    faults = []
    if window < 1:
        faults.append(f"its config.json does not say how many positions it takes (one of {', '.join(WINDOW_KEYS)})")
    if not _is_causal(model):
        faults.append("a later token changes what it computes for an earlier one, so it is no left-to-right model")
    return faults


@torch.no_grad()
def _is_causal(model: PreTrainedModel) -> bool:
    """Compare the first position of two sequences that differ in the second; the head is not needed."""
    ids = torch.tensor([[0, 1], [0, 2]])
    seen = torch.ones_like(ids)
    hidden = model.base_model(input_ids=ids, attention_mask=seen, use_cache=False).last_hidden_state  # (2, 2, H)
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


def _has_learned_positions(model: PreTrainedModel, window: int) -> bool:
    return any(
        isinstance(module, torch.nn.Embedding)
        and module.num_embeddings >= window
        and ("position" in name or name.endswith("wpe"))
        for name, module in model.named_modules()
    )


def _leading_bos(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Return the BOS id if encoding a text really starts with it; having one is not using it (SmolLM2)."""
    bos: int | None = tokenizer.bos_token_id
    ids: list[int] = tokenizer("a")["input_ids"]
    return bos if bos is not None and ids[:1] == [bos] else None
