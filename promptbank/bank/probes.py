"""Probes: a few inputs and the float32 logits they gave when the row was frozen.

A new process that finds the very same bits serves what was measured. The logits are those after the prompt, at the
first tokens of all forms and at ids spread evenly over the vocabulary: some hundred bytes instead of megabytes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from promptbank.engine.predictor import ServedTask
from promptbank.model.forward import LanguageModel
from promptbank.model.inject import pack
from promptbank.model.render import Renderer
from store import Row

__all__ = ["Probes", "check_probes", "probe_fault", "probe_logits", "stored_logits", "take_probes"]

PROBE_INPUTS = 3
PROBE_IDS = 64
SERVED_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.05}
"""Largest difference of probe logits, as a share of the largest one, with which a row is served by weights of a number
format. In bfloat16 three texts' logits of gemma-3-270m were off by 0.005 to 0.010 of the largest."""


@dataclass(frozen=True)
class Probes:
    """Probe inputs and logits as they are stored.

    Attributes:
        description: JSON of inputs, token ids and the number of threads.
        logits: float32 little-endian bytes.
        shape: (inputs, token ids).
    """

    description: str
    logits: bytes
    shape: tuple[int, int]


def take_probes(lm: LanguageModel, task: ServedTask, inputs: Sequence[Mapping[str, str]]) -> Probes:
    """Compute the probes of a row from its table."""
    chosen = [dict(fields) for fields in inputs[:PROBE_INPUTS]]
    ids = _token_ids(lm, task.renderer)
    logits = probe_logits(lm, task, chosen, ids)
    description = {"threads": torch.get_num_threads(), "token_ids": ids, "inputs": chosen}
    return Probes(
        json.dumps(description, ensure_ascii=False), logits.numpy().astype("<f4").tobytes(), (len(chosen), len(ids))
    )


def _token_ids(lm: LanguageModel, renderer: Renderer) -> list[int]:
    spread = torch.linspace(0, lm.vocabulary - 1, PROBE_IDS).long().tolist()
    return sorted({form.ids[0] for form in renderer.forms} | set(spread))


@torch.no_grad()
def probe_logits(
    lm: LanguageModel, task: ServedTask, inputs: Sequence[Mapping[str, str]], token_ids: Sequence[int]
) -> torch.Tensor:
    """Return float32 logits (inputs, token ids), each input alone in its batch."""
    found = []
    for fields in inputs:
        hidden = lm.hidden(pack([task.renderer.prompt(fields).ids], [task.table]))[:, -1]
        found.append(lm.head(hidden).float()[0, list(token_ids)])
    return torch.stack(found) if found else torch.zeros(0, len(token_ids))


def stored_logits(row: Row) -> torch.Tensor:
    """Return the logits that a row was frozen with, float32 (inputs, token ids)."""
    if not row.probe_logits:
        return torch.zeros(row.probe_shape)
    return torch.frombuffer(bytearray(row.probe_logits), dtype=torch.float32).view(row.probe_shape)


def probe_fault(lm: LanguageModel, task: ServedTask, row: Row) -> str | None:
    """Compute a row's probes again with the threads of now, and compare numbers: processors and versions round apart.

    Returns:
        None when they agree or the row has none, else what differs.
    """
    if not row.probes_json:
        return None
    description, then = json.loads(row.probes_json), stored_logits(row)
    now = probe_logits(lm, task, description["inputs"], description["token_ids"])
    tolerance = SERVED_TOLERANCE[lm.dtype]
    if torch.allclose(now, then, rtol=tolerance, atol=tolerance * _largest(then)):
        return None
    return (
        f"it does not answer as when it was frozen: probe logits differ by up to {float((now - then).abs().max()):.3g}"
    )


def _largest(logits: torch.Tensor) -> float:
    return float(logits.abs().max()) if logits.numel() else 0.0


def check_probes(lm: LanguageModel, task: ServedTask, row: Row) -> str | None:
    """Compute a row's probes again, with the threads of then, and compare bits.

    Returns:
        None when all bits agree, else what differs.
    """
    description = json.loads(row.probes_json)
    before = torch.get_num_threads()
    torch.set_num_threads(description["threads"])
    try:
        now = probe_logits(lm, task, description["inputs"], description["token_ids"])
    finally:
        torch.set_num_threads(before)
    then = stored_logits(row)
    if torch.equal(now.view(torch.int32), then.view(torch.int32)):
        return None
    worst = float((now - then).abs().max())
    made = json.loads(row.packages_json).get("torch", "?")
    return f"probe logits differ by up to {worst:.3g} (frozen with torch {made}, this is {torch.__version__})"
