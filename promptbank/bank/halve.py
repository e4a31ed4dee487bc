"""Half the bytes for a prompt with layer vectors: float16, if it then answers every dev example as before."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from promptbank.engine.predictor import Prediction, PredictionRequest, Predictor, ServedTask
from promptbank.errors import PromptBankError
from promptbank.model.forward import LanguageModel
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Renderer
from tasks import Example

__all__ = ["halved"]


def halved(
    lm: LanguageModel, renderer: Renderer, table: PromptTable, dev: Sequence[Example]
) -> tuple[PromptTable, dict[str, object]]:
    """Return a prompt as it is to be stored, and what was measured for it.

    Prompts of input rows alone stay in float32: they are small, and were stored so before there was a choice.

    Args:
        lm: the float32 backbone.
        renderer: of the task.
        table: what was learnt, float32.
        dev: examples that it must answer alike.

    Returns:
        The prompt in float16 or as it was, and ``dtype``, ``examples``, how many ``changed`` their answer, and the
        largest ``difference`` of a label's probability; an empty mapping where nothing was measured.
    """
    if table.layers is None:
        return table, {}
    half = replace(table, tensors={name: tensor.half() for name, tensor in table.tensors.items()})
    whole, less = (_answers(lm, renderer, one, dev) for one in (table, half))
    changed = sum(a != b for (a, _), (b, _) in zip(whole, less, strict=True))
    moves = [abs(p - q) for (_, a), (_, b) in zip(whole, less, strict=True) for p, q in zip(a, b, strict=False)]
    same = not changed and all(torch.isfinite(tensor).all() for tensor in half.tensors.values())
    told = {"dtype": "float16" if same else "float32", "examples": len(dev), "changed": changed}
    return half if same else table, told | {"difference": max(moves, default=0.0)}


def _answers(
    lm: LanguageModel, renderer: Renderer, table: PromptTable, dev: Sequence[Example]
) -> list[tuple[str, list[float]]]:
    """Return of each example its answer, and the probabilities of its labels."""
    task = ServedTask(renderer.card.taskname, renderer.card.lang, 0, table.sha256, renderer, table)
    found = Predictor(lm).predict([PredictionRequest(task, example.fields) for example in dev])
    return [_answer(one) for one in found]


def _answer(one: Prediction | PromptBankError) -> tuple[str, list[float]]:
    if isinstance(one, PromptBankError):
        return str(one), []
    return one.label or one.text or "", list((one.probabilities or {}).values())
