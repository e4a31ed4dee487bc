"""Greedy and beam search of a Marian in transformers, with mean log-probabilities."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import GenerationConfig, MarianMTModel

__all__ = ["search"]


@torch.no_grad()
def search(
    model: MarianMTModel, rows: Sequence[Sequence[int]], limit: int, *, beam: int, length_penalty: float = 1.0
) -> list[tuple[list[int], float]]:
    """Translate rows of ids.

    Args:
        model: in evaluation mode; its own generation settings, such as OPUS-MT's six beams, are put aside.
        rows: source ids with their end, B of them.
        limit: longest translation, its end included.
        beam: hypotheses kept; 1 is greedy.
        length_penalty: exponent of the length that a hypothesis' log-probability is divided by.

    Returns:
        For each row the ids, without start and padding, and their mean log-probability, the end's included.
    """
    pad = int(model.config.pad_token_id or 0)
    ids = pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=pad)  # (B, S)
    options = _options(model, limit, beam, length_penalty)
    model.generation_config = options
    anything: Any = model  # transformers types these methods for decoders only
    found = anything.generate(input_ids=ids, attention_mask=(ids != pad).long(), generation_config=options)
    sequences = found.sequences[:, 1:]  # (B, T), without the start
    lengths = (sequences != pad).sum(dim=1)
    if beam == 1:
        steps = anything.compute_transition_scores(found.sequences, found.scores, normalize_logits=True)  # (B, T)
        sums = steps.masked_fill(sequences == pad, 0.0).sum(dim=1)
    else:
        sums = found.sequences_scores * lengths**length_penalty
    kept = [[index for index in row if index != pad] for row in sequences.tolist()]
    return list(zip(kept, (sums / lengths).tolist(), strict=True))


def _options(model: MarianMTModel, limit: int, beam: int, length_penalty: float) -> GenerationConfig:
    config = model.config
    return GenerationConfig(
        num_beams=beam,
        length_penalty=length_penalty if beam > 1 else None,
        max_new_tokens=min(limit, config.max_position_embeddings - 1),
        do_sample=False,
        pad_token_id=config.pad_token_id,
        eos_token_id=config.eos_token_id,
        decoder_start_token_id=config.decoder_start_token_id,
        bad_words_ids=[[config.pad_token_id]],
        output_scores=True,
        return_dict_in_generate=True,
    )
