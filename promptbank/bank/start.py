"""Where a training starts: text, label words, sampled vocabulary, another task's row, or the bank's nearest row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from promptbank.backbone import Backbone
from promptbank.bank.select import frozen_tasks, select_row, served_task
from promptbank.engine.predictor import ServedTask
from promptbank.forward import LanguageModel
from promptbank.render import Renderer
from promptbank.train.config import INITS, NEAREST, TrainConfig
from promptbank.train.dev import DevSet
from promptbank.train.rows import render_rows
from promptbank.train.start import start_ids, starting_rows
from store import Row, Store
from tasks import Example, parse_spec

__all__ = ["Start", "find_start"]

PROBE_ROWS = 64
"""Dev rows on which the rows of the bank are tried: two to five seconds each on one core with gemma-3-270m."""


@dataclass(frozen=True, eq=False)
class Start:
    """Where a prompt starts.

    Attributes:
        table: P0, float32 (V, H).
        parent: version of this very task's row that it comes from, or None.
        note: what was chosen among, and how each did; empty where nothing was chosen.
    """

    table: Tensor
    parent: int | None = None
    note: str = ""


def find_start(
    store: Store,
    backbone: Backbone,
    lm: LanguageModel,
    renderer: Renderer,
    config: TrainConfig,
    dev: Sequence[Example],
) -> Start:
    """Return the start that the settings name.

    Args:
        store: the bank's store.
        backbone: float32.
        lm: its forward passes.
        renderer: of the task to be learnt.
        config: its ``init`` and ``seed``.
        dev: the task's dev examples, on which the nearest row is found.

    Raises:
        UnknownTaskError: the row that is named is not there.
        BackboneMismatchError: it belongs to another backbone.
    """
    if config.init == NEAREST:
        return _nearest(store, backbone, lm, renderer, dev)
    if config.init in INITS:
        return Start(_own(lm, renderer, config.init, config.seed))
    row = select_row(store, parse_spec(config.init.removeprefix("from:")), backbone)
    return _from_row(renderer, row, served_task(row, row.version, backbone))


def _own(lm: LanguageModel, renderer: Renderer, kind: str, seed: int) -> Tensor:
    return starting_rows(lm, start_ids(kind, renderer, vocabulary=lm.vocabulary, seed=seed))


def _from_row(renderer: Renderer, row: Row, task: ServedTask, note: str = "") -> Start:
    card = renderer.card
    same = (row.scope.taskname, row.scope.lang) == (card.taskname, card.lang)
    return Start(_fitted(task.table, card.total_virtual_tokens), row.version if same else None, note)


def _fitted(table: Tensor, virtual_tokens: int) -> Tensor:
    """Repeat or cut rows to V."""
    return table.repeat(-(-virtual_tokens // len(table)), 1)[:virtual_tokens]


@torch.no_grad()
def _nearest(store: Store, backbone: Backbone, lm: LanguageModel, renderer: Renderer, dev: Sequence[Example]) -> Start:
    """Try every live row of the backbone, and the text start, on dev rows; the lowest loss wins."""
    probe = dev[:PROBE_ROWS]
    score = DevSet(lm, renderer, probe, render_rows(renderer, probe), None).score
    text = Start(_own(lm, renderer, "text", 0))
    losses, starts = {"text": score(text.table).loss}, {"text": text}
    for info in frozen_tasks(store, backbone.fingerprint):
        row = store.rows.get(info.scope, info.version)
        name = f"{info.scope.taskname}:{info.scope.lang}@{info.version}"
        starts[name] = _from_row(renderer, row, served_task(row, row.version, backbone))
        losses[name] = score(starts[name].table).loss
    best = min(losses, key=losses.__getitem__)
    told = ", ".join(f"{name} {loss:.3f}" for name, loss in sorted(losses.items(), key=lambda pair: pair[1]))
    return Start(starts[best].table, starts[best].parent, f"starts from {best}; loss on {len(probe)} dev rows: {told}")
