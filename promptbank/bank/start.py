"""Choose what a prompt starts from, looking up stored rows where one is asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from promptbank.bank.select import frozen_tasks, select_row
from promptbank.bank.served import served_task
from promptbank.engine.predictor import ServedTask
from promptbank.errors import ConfigError
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Renderer
from promptbank.training.config import FROM, INITS, NEAREST, TrainConfig
from promptbank.training.dev import DevSet
from promptbank.training.examples import render_examples
from promptbank.training.start import start_ids, starting_table
from store import Row, RowInfo, Store
from tasks import Example, parse_spec

__all__ = ["Start", "StartRows", "find_start"]

PROBE_ROWS = 64
"""Dev rows on which the rows of the bank are tried: two to five seconds each on one core with gemma-3-270m."""


@dataclass(frozen=True, eq=False)
class StartRows:
    """The stored rows that a training may start from.

    Attributes:
        store: where they lie.
        without: a taskname whose rows are left out, in every language: where an experiment tests on rows of a task,
            a stored row of it may have learnt them. Empty: none is left out.
    """

    store: Store
    without: str = ""

    def live(self, backbone: Backbone) -> list[RowInfo]:
        """Return the live rows of the backbone."""
        return [i for i in frozen_tasks(self.store, backbone.fingerprint) if i.scope.taskname != self.without]

    def named(self, init: str, backbone: Backbone) -> Row:
        """Return the row that ``from:taskname[:lang][@version]`` names.

        Raises:
            ConfigError: it is one of those left out.
            UnknownTaskError: it is not there.
            BackboneMismatchError: it belongs to another backbone.
        """
        ref = parse_spec(init.removeprefix(FROM))
        if ref.taskname == self.without:
            raise ConfigError(
                f"start {init!r} is a row of {self.without} itself, which may have learnt the rows that are tested on; "
                "start from another task's row, or from text, labels or vocabulary"
            )
        return select_row(self.store, ref, backbone)

    def hashes(self, init: str, backbone: Backbone) -> list[str]:
        """Return the sha256 of every row that a start could come from, sorted; none where a start makes its own.

        Raises:
            ConfigError: see `named`, as for the other errors.
        """
        if init == NEAREST:
            return sorted(info.sha256 for info in self.live(backbone))
        return [] if init in INITS else [self.named(init, backbone).sha256]


@dataclass(frozen=True, eq=False)
class Start:
    """Where a prompt starts.

    Attributes:
        table: where it starts.
        source: what it was made of: text, labels, vocabulary, or ``taskname:lang@version`` of a row.
        parent: version of this very task's row that it comes from, or None.
        note: what was chosen among, and how each did; empty where nothing was chosen.
    """

    table: PromptTable
    source: str
    parent: int | None = None
    note: str = ""


def find_start(
    rows: StartRows,
    backbone: Backbone,
    lm: LanguageModel,
    renderer: Renderer,
    config: TrainConfig,
    dev: Sequence[Example],
) -> Start:
    """Return the start that the settings name.

    Args:
        rows: that it may come from.
        backbone: float32.
        lm: its forward passes.
        renderer: of the task to be learnt.
        config: its ``init`` and ``seed``.
        dev: the task's dev examples, on which the nearest row is found.

    Raises:
        ConfigError: the row that is named may not be started from.
        UnknownTaskError: it is not there.
        BackboneMismatchError: it belongs to another backbone.
    """
    as_kind = partial(_as_kind, config.prompt_kind, lm)
    if config.init == NEAREST:
        return _nearest(rows, backbone, lm, renderer, dev, as_kind)
    if config.init in INITS:
        return as_kind(_own(lm, renderer, config.init, config.seed))
    row = rows.named(config.init, backbone)
    return as_kind(_from_row(renderer, row, served_task(row, row.version, backbone)))


def _as_kind(kind: str, lm: LanguageModel, start: Start) -> Start:
    """Return a start as the kind of prompt that is learnt from it."""
    if start.table.kind == kind:
        return start
    table = start.table.of_kind(kind, len(lm.layers))
    lost = start.table.layers is not None
    return replace(start, table=table, note=f"of {start.source} only the input rows are taken" if lost else "")


def _own(lm: LanguageModel, renderer: Renderer, kind: str, seed: int) -> Start:
    return Start(starting_table(lm, start_ids(kind, renderer, vocabulary=lm.vocabulary, seed=seed)), kind)


def _from_row(renderer: Renderer, row: Row, task: ServedTask) -> Start:
    card = renderer.card
    same = (row.scope.taskname, row.scope.lang) == (card.taskname, card.lang)
    source = f"{row.scope.taskname}:{row.scope.lang}@{row.version}"
    return Start(task.table.fitted(card.total_virtual_tokens), source, row.version if same else None)


@torch.no_grad()
def _nearest(
    rows: StartRows,
    backbone: Backbone,
    lm: LanguageModel,
    renderer: Renderer,
    dev: Sequence[Example],
    as_kind: Callable[[Start], Start],
) -> Start:
    """Try every live row of the backbone, and the text start, on dev rows; the lowest loss wins."""
    probe = dev[:PROBE_ROWS]
    score = DevSet(lm, renderer, probe, render_examples(renderer, probe), None).score
    starts = [as_kind(_own(lm, renderer, "text", 0))]
    for info in rows.live(backbone):
        row = rows.store.rows.get(info.scope, info.version)
        starts.append(as_kind(_from_row(renderer, row, served_task(row, row.version, backbone))))
    losses = {start.source: score(start.table).loss for start in starts}
    best = min(losses, key=losses.__getitem__)
    told = ", ".join(f"{name} {loss:.3f}" for name, loss in sorted(losses.items(), key=lambda pair: pair[1]))
    chosen = next(start for start in starts if start.source == best)
    return replace(chosen, note=f"starts from {best}; loss on {len(probe)} dev rows: {told}")
