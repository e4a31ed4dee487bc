"""Make the first embeddings of a prompt from text, label words or sampled vocabulary.

In PEFT's own benchmark the start and the learning rate decide (5.7 % from random rows, 34.3 % from vocabulary), the
number of tokens and the encoder hardly.
"""

from collections.abc import Callable
from itertools import chain, cycle, islice

import torch
from torch import Tensor

from promptbank.errors import TrainingError
from promptbank.model.forward import LanguageModel
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Renderer, encode_plain
from tasks import TaskCard

__all__ = ["STARTS", "embedding_scale", "start_ids", "starting_table"]

SCALE_SAMPLE = 4096
"""Vocabulary rows over which the embedding scale is measured."""


def starting_table(lm: LanguageModel, ids: list[int]) -> PromptTable:
    """Return the prompt whose input rows are the embeddings of ids as the backbone is fed them, in float32."""
    with torch.no_grad():
        rows: Tensor = lm.embedding(torch.tensor(ids)).float()
    return PromptTable.of_rows(rows.clone())


def embedding_scale(lm: LanguageModel) -> float:
    """Return the root mean square of fed embeddings over evenly spaced vocabulary rows."""
    ids = torch.linspace(0, lm.vocabulary - 1, min(SCALE_SAMPLE, lm.vocabulary)).long().tolist()
    return float(starting_table(lm, ids).input_rows.square().mean().sqrt())


def start_ids(kind: str, renderer: Renderer, *, vocabulary: int, seed: int) -> list[int]:
    """Return V token ids to start from, repeated in order where there are fewer.

    Args:
        kind: a key of `STARTS`.
        renderer: card and tokenizer.
        vocabulary: size of the backbone's vocabulary.
        seed: of the sample, for "vocabulary".
    """
    ids = STARTS[kind](renderer, vocabulary, seed)
    return list(islice(cycle(ids), renderer.card.total_virtual_tokens))


def _from_text(renderer: Renderer, vocabulary: int, seed: int) -> list[int]:
    text = _instruction(renderer.card)
    return encode_plain(renderer.tokenizer, text) or _from_vocabulary(renderer, vocabulary, seed)


def _instruction(card: TaskCard) -> str:
    words = ", ".join(card.form(label) for label in card.label_space or {})
    return f"{card.description.strip()} {words}".strip() or card.taskname.replace("-", " ")


def _from_labels(renderer: Renderer, _vocabulary: int, _seed: int) -> list[int]:
    if not renderer.forms:
        raise TrainingError(
            f"{renderer.card.taskname} has open answers, so there are no label words to start from; use --init text"
        )
    return list(chain.from_iterable(form.ids[:-1] for form in renderer.forms))


def _from_vocabulary(renderer: Renderer, vocabulary: int, seed: int) -> list[int]:
    special = set(renderer.tokenizer.all_special_ids)
    order = torch.randperm(vocabulary, generator=torch.Generator().manual_seed(seed)).tolist()
    return [i for i in order if i not in special][: renderer.card.total_virtual_tokens]


STARTS: dict[str, Callable[[Renderer, int, int], list[int]]] = {
    "text": _from_text,
    "labels": _from_labels,
    "vocabulary": _from_vocabulary,
}
