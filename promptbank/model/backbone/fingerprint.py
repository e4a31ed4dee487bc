"""The backbone fingerprint: one sha256 over everything that decides a model's output.

A prompt row works with one backbone only, so the hash covers all that decides the logits (architecture,
configuration, stored tensors) and nothing that does not (versions, paths, the dtype chosen at load). It is computed
from the files, without building the model: 1 GB takes about as long as reading it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from promptbank.errors import UnusableBackboneError
from promptbank.model.backbone.folder import weight_files
from promptbank.model.backbone.pretrained import causal_class, read_config

if TYPE_CHECKING:
    from pathlib import Path

    from safetensors import safe_open
    from transformers import PreTrainedConfig

__all__ = ["OUTPUT_KEYS", "SCHEME", "canonical", "fingerprint", "output_config"]

SCHEME = "promptbank-backbone.v1"
"""Hashed first: another list of keys or another layout of the hashed bytes must become another scheme."""

_KEYS = (
    # sizes
    "vocab_size hidden_size n_embd d_model intermediate_size ffn_dim n_inner ffn_hidden_size num_hidden_layers "
    "n_layer num_layers n_layers num_attention_heads n_head n_heads num_heads num_key_value_heads num_kv_heads "
    "head_dim word_embed_proj_dim embedding_size "
    # positions, and what a layer may look at
    "max_position_embeddings n_positions rope_parameters rope_theta rope_scaling rotary_dim rotary_pct "
    "rotary_emb_base partial_rotary_factor rope_interleave no_rope_layers no_rope_layer_interval alibi "
    "alibi_bias_max learned_pos_emb position_embedding_type sliding_window use_sliding_window max_window_layers "
    "layer_types attention_layers attention_types window_size attention_chunk_size attn_temperature_tuning "
    "attention_window_size use_bidirectional_attention is_decoder "
    # inside a layer
    "hidden_act hidden_activation activation_function activation gelu_activation rms_norm_eps layer_norm_eps "
    "layer_norm_epsilon norm_eps norm_epsilon attention_bias qkv_bias attention_out_bias mlp_bias use_bias bias "
    "lm_head_bias enable_bias use_qk_norm qk_layernorm clip_qkv qk_norm use_parallel_residual parallel_attn "
    "new_decoder_architecture multi_query do_layer_norm_before apply_residual_connection_post_layernorm norm_type "
    "layer_norm_elementwise_affine _remove_final_layer_norm num_ln_in_parallel_attn "
    # scales, caps and tied weights
    "scale_attn_weights scale_attn_by_inverse_layer_idx query_pre_attn_scalar attn_logit_softcapping "
    "final_logit_softcapping embedding_multiplier attention_multiplier residual_multiplier logits_scaling "
    "logit_scale scale_embedding scale_emb scale_depth dim_model_base scale_attn attn_scale embedding_scale "
    "tie_word_embeddings rescale_embeddings "
    # mixtures of experts
    "num_experts num_local_experts n_routed_experts n_shared_experts num_experts_per_tok moe_intermediate_size "
    "shared_expert_intermediate_size norm_topk_prob routed_scaling_factor topk_group n_group topk_method "
    "scoring_func first_k_dense_replace moe_layer_freq decoder_sparse_step mlp_only_layers mlp_layer_types "
    # latent attention
    "q_lora_rank kv_lora_rank qk_rope_head_dim qk_nope_head_dim v_head_dim "
    # per-layer inputs and shared caches
    "num_kv_shared_layers hidden_size_per_layer_input vocab_size_per_layer_input activation_sparsity_pattern "
)
OUTPUT_KEYS = frozenset(_KEYS.split())
"""Configuration keys that change a causal model's output. All others (dtype, use_cache, token ids, labels, dropout,
initialisation, versions, paths) are left out."""


def fingerprint(path: Path) -> str:
    """Return the hex sha256 of a model folder.

    Hashed are the scheme, the architecture class, `output_config`, and for each tensor in name order its name, shape,
    dtype and bytes as stored. How tensors are spread over shards does not matter.

    Args:
        path: a folder that passed `promptbank.model.backbone.folder.check_folder`.

    Raises:
        UnusableBackboneError: the configuration or a safetensors file is broken, or the library has no causal language
            model for the configuration.
    """
    config = read_config(path)
    architecture = causal_class(config.model_type)
    if architecture is None:
        raise UnusableBackboneError(
            f"model type {config.model_type!r} has no causal language model; use a GPT kind (GPT-2, Llama, Gemma, ...)"
        )
    digest = hashlib.sha256(_line({"scheme": SCHEME, "architecture": architecture, "config": output_config(config)}))
    with ExitStack() as open_files:
        for name, shard in sorted(_tensors(path, open_files).items()):
            _add_tensor(digest, name, shard)
    return digest.hexdigest()


def output_config(config: PreTrainedConfig) -> dict[str, object]:
    """Return the part of a configuration that changes the output, in a form that library versions agree on.

    Values that are null, false or zero say the same as an absent key, and a head size or layer kind that follows from
    other keys is left out: versions differ in which of these they write down.
    """
    settings = config.get_text_config().to_dict()
    chosen = {key: canonical(value) for key, value in settings.items() if key in OUTPUT_KEYS}
    heads, width = settings.get("num_attention_heads"), settings.get("hidden_size")
    if heads and width and settings.get("head_dim") == width // heads:
        chosen.pop("head_dim")
    if set(settings.get("layer_types") or ()) == {"full_attention"}:
        chosen.pop("layer_types")
    return {key: value for key, value in chosen.items() if value}


def canonical(value: object) -> object:
    """Return a JSON value with whole floats as integers and without empty entries in objects."""
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items() if item is not None and item is not False}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _line(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _tensors(path: Path, open_files: ExitStack) -> dict[str, safe_open]:
    """Return the open file of each tensor; nothing is read yet but the headers."""
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, safe_open] = {}
    for file in weight_files(path):
        try:
            shard = open_files.enter_context(safe_open(file, "pt"))
        except (OSError, SafetensorError) as exc:
            raise UnusableBackboneError(f"{file} is not a whole safetensors file ({exc}); fetch it again") from exc
        names = shard.keys()
        twice = sorted(tensors.keys() & names)
        if twice:
            raise UnusableBackboneError(f"{file} repeats the tensor {twice[0]!r} of another shard in {path}")
        tensors |= dict.fromkeys(names, shard)
    return tensors


def _add_tensor(digest: hashlib._Hash, name: str, shard: safe_open) -> None:
    import torch

    form = shard.get_slice(name)
    content = shard.get_tensor(name).reshape(-1).view(torch.uint8).numpy()  # the file's own bytes, mapped
    facts = {"name": name, "shape": form.get_shape(), "dtype": form.get_dtype(), "bytes": content.nbytes}
    digest.update(_line(facts))
    digest.update(content)
