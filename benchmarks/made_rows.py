"""Rows with random prompts, which serving benchmarks ask: what a prompt says changes nothing of the time it takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from promptbank.bank.freeze import unprobed_row
from promptbank.bank.probes import take_probes
from promptbank.bank.served import served_task
from promptbank.bank.session import Bank
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.model.layers import layers_of
from promptbank.model.prompt_kinds import PROMPT_KINDS
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Renderer, TokenPolicy
from store import NewEvaluation, NewRow
from tasks import TaskCard, parse_card

VIRTUAL_TOKENS = 10
WORDS = "the parcel has not arrived and nobody answers the phone so please say when it comes or send the money back"


def card(n: int, labels: Sequence[str]) -> TaskCard:
    """A task of some labels, its virtual tokens after the text."""
    return parse_card(
        {
            "taskname": f"route-{n}",
            "prompt_template": "{text}<|VIRTUAL_PROMPT_0|> {label}",
            "virtual_token_splits": [VIRTUAL_TOKENS],
            "total_virtual_tokens": VIRTUAL_TOKENS,
            "label_space": {label: [label] for label in labels},
            "description": "What the message is about:",
        }
    )


def random_table(backbone: Backbone, kind: str, seed: int) -> PromptTable:
    """A prompt of a kind, as large as the backbone's own embeddings are."""
    layers, generator = len(layers_of(backbone.model)), torch.Generator().manual_seed(seed)
    scale = float(backbone.model.get_input_embeddings().weight[:2048].float().std())
    shapes = PROMPT_KINDS[kind].shapes(VIRTUAL_TOKENS, backbone.hidden_size, layers)
    tensors = {name: scale * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return PromptTable(tensors, kind)


def unprobed(backbone: Backbone, n: int, labels: Sequence[str], kind: str, scoring: str | None = None) -> NewRow:
    """A row of the n-th task, its labels scored over the vocabulary unless another scoring is named."""
    policy = replace(TokenPolicy.of(backbone.tokenizer, answer_tokens=8), scoring=scoring)
    renderer = Renderer(card(n, labels), backbone.tokenizer, policy, backbone.window)
    return unprobed_row(backbone, renderer, random_table(backbone, kind, n), {"made for": "a benchmark"})


def add_rows(bank: Bank, numbers: Sequence[int], labels: Sequence[str], scoring: str | None = None) -> None:
    """Freeze a live row of each task, with probes.

    Each is given evaluations in both number formats, though its random prompt answers nothing: what is measured here is
    time, and a service in bfloat16 asks for them.
    """
    lm = LanguageModel(bank.backbone.model)
    for n in numbers:
        new = unprobed(bank.backbone, n, labels, "rows.v1", scoring)
        probes = take_probes(lm, served_task(new, 0, bank.backbone), [{"text": WORDS}])
        made = replace(new, probes_json=probes.description, probe_logits=probes.logits, probe_shape=probes.shape)
        row = bank.make().rows.freeze(made)
        bank.store.aliases.move(row.scope, row.version, reason="a benchmark")
        for dtype in ("float32", "bfloat16"):
            bank.store.evaluations.add(row.row_id, _evaluation(dtype))


def _evaluation(dtype: str) -> NewEvaluation:
    metrics: dict[str, Any] = {"n": 1, "accuracy": 0.0}
    return NewEvaluation(
        data_sha256="0" * 64, split="test", metrics_json=json.dumps(metrics), dtype=dtype, details_json="{}"
    )
