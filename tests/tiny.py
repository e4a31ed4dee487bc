"""Tiny random backbones of three kinds, built in code in milliseconds: no download, no file.

``initializer_range=0.5`` makes a wrong layout move the logits by far more than any tolerance. The Gemma-3 kind mixes
sliding and full layers; the GPT-2 kind has learned positions and adds no BOS, the other two add one.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from promptbank.model.backbone import Backbone, Identity, freeze

Kind = Literal["gpt2", "llama", "gemma3"]
KINDS: tuple[Kind, ...] = get_args(Kind)

VOCABULARY = 300
SPECIAL = ("<pad>", "<eos>", "<bos>")  # ids 0, 1, 2, as in Gemma
CORPUS = [
    "the outlook for this year is positive, the company said",
    "losses rose and the tone is negative",
    "sentiment for the company in the sentence is neutral",
    "the label is one of these and this is the text of the sentence",
]


@cache
def _tokenizer_json(add_bos: bool) -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    if add_bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", SPECIAL.index("<bos>"))]
        )
    return tokenizer.to_str()


def tiny_tokenizer(kind: Kind) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer of 300 ids; fresh, since tokenizers hold state."""
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_tokenizer_json(add_bos=kind != "gpt2")),
        **{f"{name}_token": f"<{name}>" for name in ("bos", "eos", "pad")},
        clean_up_tokenization_spaces=False,
    )


def _gpt2(hidden: int, layers: int, window: int, shared: dict[str, object]) -> PreTrainedModel:
    config = GPT2Config(
        n_embd=hidden, n_layer=layers, n_head=4, n_positions=window, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        **shared,
    )  # fmt: skip
    return GPT2LMHeadModel(config)


def _llama(hidden: int, layers: int, window: int, shared: dict[str, object]) -> PreTrainedModel:
    config = LlamaConfig(
        hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=2 * hidden, max_position_embeddings=window, tie_word_embeddings=False, **shared,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def _gemma3(hidden: int, layers: int, window: int, shared: dict[str, object], sliding_window: int) -> PreTrainedModel:
    config = Gemma3TextConfig(
        hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=4, num_key_value_heads=1,
        head_dim=hidden // 4, query_pre_attn_scalar=hidden // 4, intermediate_size=2 * hidden,
        max_position_embeddings=window, sliding_window=sliding_window,
        layer_types=["full_attention" if n % 2 else "sliding_attention" for n in range(layers)], **shared,
    )  # fmt: skip
    return Gemma3ForCausalLM(config)


def tiny_model(
    kind: Kind,
    *,
    seed: int = 0,
    hidden: int = 32,
    layers: int = 2,
    window: int = 256,
    sliding_window: int = 16,
    attention: Literal["eager", "sdpa"] = "sdpa",
) -> PreTrainedModel:
    """Return a random model; the global random state stays as it was."""
    ids = {f"{name}_token_id": SPECIAL.index(f"<{name}>") for name in ("pad", "eos", "bos")}
    shared: dict[str, object] = {
        "vocab_size": VOCABULARY, "initializer_range": 0.5, "attn_implementation": attention, **ids,
    }  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        match kind:
            case "gpt2":
                return _gpt2(hidden, layers, window, shared)
            case "llama":
                return _llama(hidden, layers, window, shared)
            case "gemma3":
                return _gemma3(hidden, layers, window, shared, sliding_window)


def tiny_backbone(
    kind: Kind,
    seed: int = 0,
    *,
    hidden: int = 32,
    layers: int = 2,
    window: int = 256,
    sliding_window: int = 16,
    attention: Literal["eager", "sdpa"] = "sdpa",
) -> Backbone:
    """Return a frozen random backbone.

    Its hashes are over the arguments and the weights in memory, so equal arguments give equal ones and other seeds
    others; they are not those of the folder that `save_tiny` writes. Its ``path`` does not exist.
    """
    facts = (kind, seed, hidden, layers, window, sliding_window)
    model = tiny_model(
        kind, seed=seed, hidden=hidden, layers=layers, window=window, sliding_window=sliding_window, attention=attention
    )
    digest = hashlib.sha256(repr(facts).encode())
    for _, tensor in sorted(model.state_dict().items()):
        digest.update(tensor.numpy().tobytes())
    words = hashlib.sha256(_tokenizer_json(add_bos=kind != "gpt2").encode())
    return freeze(
        model,
        tiny_tokenizer(kind),
        name=f"tiny-{kind}",
        path=Path(f"tiny-{kind}-in-memory"),
        identity=Identity(fingerprint=digest.hexdigest(), tokenizer_sha256=words.hexdigest()),
    )


def save_tiny(kind: Kind, path: Path, **options: int) -> Path:
    """Write the model of `tiny_model` (same options) and its tokenizer as a Hugging Face folder; return ``path``."""
    tiny_model(kind, **options).save_pretrained(path)  # type: ignore[arg-type]
    tiny_tokenizer(kind).save_pretrained(path)
    return path
