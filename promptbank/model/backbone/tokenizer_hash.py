"""The tokenizer hash: one sha256 over everything that decides which ids a text becomes.

Saving a tokenizer again rewrites its files (other versions, key order, merges as strings or pairs) without changing one
id, so the hash is over the content with such differences taken out, and not over a file.
"""

from __future__ import annotations

import hashlib
import json
from operator import itemgetter
from typing import TYPE_CHECKING

from promptbank.model.backbone.fingerprint import canonical

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["SCHEME", "hash_tokenizer"]

SCHEME = "promptbank-tokenizer.v1"
VOLATILE = ("version", "truncation", "padding")
"""Parts of a fast tokenizer's JSON that are state of the last call or of the library, not content."""


def hash_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the hex sha256 of a tokenizer's content.

    For a fast tokenizer: model (vocabulary, merges or scores), added tokens, normaliser, pre-tokenizer, post-processor
    and decoder. For others: the SentencePiece model's bytes, vocabulary, added tokens. For both: the special tokens.

    Args:
        tokenizer: any tokenizer of the transformers library; it is not changed.
    """
    content = _fast(tokenizer) if tokenizer.is_fast else _slow(tokenizer)
    special = {key: str(value) for key, value in tokenizer.special_tokens_map.items() if isinstance(value, str)}
    whole = {"scheme": SCHEME, "special": special, "content": content}
    return hashlib.sha256(json.dumps(whole, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _fast(tokenizer: PreTrainedTokenizerBase) -> dict[str, object]:
    parts = json.loads(tokenizer.backend_tokenizer.to_str())
    for key in VOLATILE:
        parts.pop(key, None)
    model, added = parts.pop("model"), sorted(parts.pop("added_tokens", []), key=itemgetter("id"))
    rest = {key: canonical(value) for key, value in parts.items() if value is not None}
    return {**rest, "model": _model(model), "added_tokens": canonical(added)}


def _model(model: dict[str, object]) -> dict[str, object]:
    """Return the model with merges as pairs; older files hold them as strings with a space between."""
    # the vocabulary is taken as it is: canonical() would drop an entry whose id is falsy
    vocabulary, merges = model.pop("vocab", None), model.pop("merges", None)
    merges = merges if isinstance(merges, list) else []
    pairs = [pair.split(" ", 1) if isinstance(pair, str) else pair for pair in merges]
    return {"settings": canonical(model), "vocab": vocabulary, "merges": pairs}


def _slow(tokenizer: PreTrainedTokenizerBase) -> dict[str, object]:
    pieces = getattr(tokenizer, "sp_model", None)
    proto = pieces.serialized_model_proto() if pieces is not None else b""
    ranks = getattr(tokenizer, "bpe_ranks", None) or {}
    return {
        "class": type(tokenizer).__name__,
        "pieces": hashlib.sha256(proto).hexdigest(),
        "vocab": tokenizer.get_vocab(),
        "merges": [list(pair) for pair in sorted(ranks, key=ranks.__getitem__)],
        "added_tokens": {str(index): str(token) for index, token in tokenizer.added_tokens_decoder.items()},
    }
