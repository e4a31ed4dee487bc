"""The engine of a tuned backbone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path

import torch

from promptbank.engine.decoding import BeamSearch, DecodedSequence, TokenSet, decode
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.mt.translator.allowed_tokens import AllowedTokens
from promptbank.mt.translator.model import Translator, load_translator
from promptbank.mt.translator.pairs import PairFormat
from translate import EngineError, EngineInfo, Hypothesis, Segment

__all__ = ["BackboneTranslator", "length_batches", "open_engine", "translate_texts"]


class BackboneTranslator:
    """Translates with a tuned backbone.

    Args:
        translator: the model.
        search: beam and limits.
        tokens: what may be written, if it is at hand; the translator's own list otherwise.
    """

    def __init__(
        self, translator: Translator, search: BeamSearch | None = None, *, tokens: TokenSet | None = None
    ) -> None:
        self._translator, self._search, self._tokens = translator, search or BeamSearch(), tokens
        self._pair_format = PairFormat(translator.backbone.tokenizer, translator.languages)
        if tokens is None and translator.tokens is not None:
            self._tokens = AllowedTokens(translator.lm, [*translator.tokens, self._pair_format.eos_id])

    def info(self) -> EngineInfo:
        """Describe the engine; its id changes with everything that changes its output."""
        return EngineInfo(self._id, (str(self._translator.languages),), markers="bracket")

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        """Translate segments in batches of like length; scores are mean log-probabilities a token.

        Raises:
            EngineError: a segment is of another language pair, or too long for the backbone.
        """
        languages = self._translator.languages
        for segment in segments:
            if (segment.src, segment.tgt) != (languages.src, languages.tgt):
                raise EngineError(f"this engine translates {languages}, not {segment.src}-{segment.tgt}")
        return translate_texts(
            self._translator.lm,
            self._pair_format,
            [segment.text for segment in segments],
            self._search,
            window=self._translator.backbone.window,
            tokens=self._tokens,
        )

    def greedy(self) -> BackboneTranslator | None:
        """Return the same model with a beam of one, which takes a third of the time; None if this is greedy."""
        if self._search.beam == 1:
            return None
        greedy = replace(self._search, beam=1)
        return BackboneTranslator(self._translator, greedy, tokens=self._tokens)  # 186 MB of the head in bfloat16

    @cached_property
    def _id(self) -> str:
        """Name and hash over the weights, allowed tokens, backbone, dtype and search."""
        translator, dtype = self._translator, self._translator.lm.dtype
        decides = {key: value for key, value in asdict(self._search).items() if key != "batch_tokens"}
        said: list[object] = [
            translator.weights_sha256,
            translator.backbone.fingerprint,
            str(dtype) if dtype == torch.float32 else f"{dtype} weights",  # and float32 rotary frequencies
            decides,
        ]
        said += [] if translator.tokens is None else [list(translator.tokens)]
        digest = hashlib.sha256(json.dumps([*said, self._pair_format.template], sort_keys=True).encode()).hexdigest()
        return f"backbone-{translator.languages}:{digest}"


def open_engine(
    folder: Path, backbone: Backbone, *, search: BeamSearch | None = None, dtype: torch.dtype = torch.float32
) -> BackboneTranslator:
    """Load a trained translator as an engine.

    Raises:
        TrainingError: the folder holds no translator.
        BackboneMismatchError: it was trained on another backbone.
    """
    return BackboneTranslator(load_translator(folder, backbone, dtype), search)


def translate_texts(
    lm: LanguageModel,
    pair_format: PairFormat,
    texts: Sequence[str],
    search: BeamSearch,
    *,
    window: int,
    tokens: TokenSet | None = None,
    on_texts: Callable[[int], None] | None = None,
) -> list[Hypothesis]:
    """Translate texts in batches of similar length; results are in the order of the texts.

    Args:
        lm: a tuned backbone.
        pair_format: makes prompts of texts.
        texts: in the source language.
        search: beam and limits.
        window: positions of the backbone.
        tokens: the allowed tokens; None for all.
        on_texts: called after each batch with the number of texts done.

    Raises:
        EngineError: a text is too long for the backbone.
    """
    prompts = [pair_format.prompt(text) for text in texts]
    for text, prompt in zip(texts, prompts, strict=True):
        if len(prompt) + search.limit(len(prompt)) > window:
            raise EngineError(
                f"a text of {len(text)} characters takes {len(prompt)} tokens and its translation as many again, of a "
                f"window of {window}; split it into sentences"
            )
    found: dict[int, DecodedSequence] = {}
    for batch in length_batches([len(p) * search.beam for p in prompts], search.batch_tokens):
        decoded = decode(lm, [prompts[i] for i in batch], pair_format.eos_id, search, tokens=tokens)
        found |= dict(zip(batch, decoded, strict=True))
        if on_texts:
            on_texts(len(found))
    return [Hypothesis(pair_format.text(found[i].ids), found[i].score) for i in range(len(texts))]


def length_batches(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Return batches of numbers of texts by length, longest first, of at most so many padded tokens.

    A text over the limit is a batch of its own.
    """
    batches: list[list[int]] = []
    for text in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if not batches or (len(batches[-1]) + 1) * lengths[batches[-1][0]] > tokens:
            batches.append([])
        batches[-1].append(text)
    return batches
