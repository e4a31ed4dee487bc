"""From a finished training to a live row: write it, read it back, measure the stored bytes, then move the alias."""

import importlib.metadata
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from promptbank import __version__
from promptbank.bank.live import may_go_live
from promptbank.bank.probes import take_probes
from promptbank.bank.row_check import checked_row
from promptbank.bank.select import scope_of
from promptbank.bank.served import served_task
from promptbank.bank.start import Start
from promptbank.engine.evaluate import TaskScores, evaluate
from promptbank.engine.predictor import Predictor, ServedTask
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Renderer
from promptbank.training.config import TrainConfig
from promptbank.training.prompt_run import TrainedPrompt
from store import NewEvaluation, NewRow, Row, RowInfo, Store
from tasks import Example

__all__ = ["ScoredRow", "freeze_and_measure", "new_row", "record_evaluation", "unprobed_row"]

PACKAGES = ("torch", "transformers", "tokenizers", "safetensors")


@dataclass(frozen=True)
class ScoredRow:
    """A stored row, its dev metrics from the stored bytes in float32, whether the alias points at it, and why."""

    row: Row
    metrics: dict[str, object]
    is_live: bool
    comparison: str


def freeze_and_measure(
    store: Store,
    lm: LanguageModel,
    backbone: Backbone,
    new: NewRow,
    dev: Sequence[Example],
    *,
    run_id: str,
    alias: str,
    live_rule: str,
) -> ScoredRow:
    """Freeze a row once, evaluate its stored bytes, and move the alias to it where the rule lets it.

    A run that was killed after it wrote its row finds that row again instead of writing a second.

    Args:
        store: where the row goes.
        lm: the float32 backbone.
        backbone: the same.
        new: the row, without its probes.
        dev: the run's dev examples.
        run_id: of the run.
        alias: that is to point at the row.
        live_rule: a key of `LIVE_RULES`.

    Raises:
        StoreError: the row cannot be written.
    """
    info = _written(store, new, run_id)
    row = store.rows.get(info.scope, info.version) if info else _freeze(store, lm, backbone, new, dev)
    stored = store.rows.get(row.scope, row.version)
    task = served_task(stored, stored.version, backbone)
    predictor = Predictor(lm)
    result = record_evaluation(store, predictor, stored, task, dev, split="dev")
    if info is not None and alias in info.aliases:
        return ScoredRow(row, result.metrics, is_live=True, comparison="")
    moves, comparison = may_go_live(store, predictor, backbone, stored, dev, result.predicted, alias, live_rule)
    if moves:
        store.aliases.move(stored.scope, stored.version, alias, reason=f"trained in run {run_id}")
    return ScoredRow(row, result.metrics, moves, comparison)


def new_row(
    backbone: Backbone,
    renderer: Renderer,
    config: TrainConfig,
    trained: TrainedPrompt,
    data: str,
    start: Start,
    run_id: str,
    storage: Mapping[str, object],
) -> NewRow:
    """Assemble a row, without its probes; ``storage`` says why its numbers are stored as they are, see `halved`."""
    table = trained.table
    training = {
        "run": run_id,
        "config": config.model_dump(mode="json"),
        "start": start.note,
        "best_epoch": trained.best_epoch,
        "epochs": [report.as_dict() for report in trained.epochs],
    } | ({"storage": dict(storage)} if storage else {})
    return unprobed_row(backbone, renderer, table, training, seed=config.seed, data=data, parent=start.parent)


def unprobed_row(
    backbone: Backbone,
    renderer: Renderer,
    table: PromptTable,
    training: Mapping[str, object],
    *,
    seed: int = 0,
    data: str = "unknown",
    parent: int | None = None,
) -> NewRow:
    """Assemble a row without its probes.

    Args:
        backbone: that it is for.
        renderer: of its card, with its policy.
        table: the prompt.
        training: how it was made, as plain JSON values.
        seed: of its training.
        data: hash of its training data.
        parent: the version that it was started from, if any.
    """
    card = renderer.card
    return NewRow(
        scope=scope_of(card.taskname, card.lang, backbone),
        kind=table.kind,
        layout=table.layout,
        data=table.to_bytes(),
        virtual_tokens=table.virtual_tokens,
        hidden_size=table.hidden_size,
        sha256=table.sha256,
        tokenizer_sha256=backbone.tokenizer_sha256,
        backbone_name=backbone.name,
        card_json=card.canonical_json(),
        template_sha256=card.template_sha256,
        policy_json=json.dumps(renderer.policy.as_dict()),
        training_json=json.dumps(training, sort_keys=True),
        seed=seed,
        data_sha256=data,
        parent_version=parent,
        packages_json=json.dumps({"promptbank": __version__} | {n: importlib.metadata.version(n) for n in PACKAGES}),
        probes_json="",
        probe_logits=b"",
        probe_shape=(0, 0),
    )


def _written(store: Store, new: NewRow, run_id: str) -> RowInfo | None:
    """Find the row that this run wrote before it was killed."""
    for info in store.rows.list(taskname=new.scope.taskname, lang=new.scope.lang, fingerprint=new.scope.fingerprint):
        if info.sha256 == new.sha256:
            training = json.loads(store.rows.get(info.scope, info.version).training_json)
            if training.get("run") == run_id:
                return info
    return None


def _freeze(store: Store, lm: LanguageModel, backbone: Backbone, new: NewRow, dev: Sequence[Example]) -> Row:
    """Write the row with its probes."""
    probes = take_probes(lm, served_task(new, 0, backbone), [dict(e.fields) for e in dev])
    complete = replace(new, probes_json=probes.description, probe_logits=probes.logits, probe_shape=probes.shape)
    checked_row(complete, backbone, source=f"the row of {new.scope}")
    return store.rows.freeze(complete)


def record_evaluation(
    store: Store,
    predictor: Predictor,
    row: Row,
    task: ServedTask,
    examples: Sequence[Example],
    *,
    split: str,
    on_rows: Callable[[int], None] = lambda _: None,
) -> TaskScores:
    """Evaluate a stored row and keep the result with it.

    Args:
        store: where the evaluation goes.
        predictor: the engine.
        row: as read from the store.
        task: made from ``row``.
        examples: with answers.
        split: "dev" or "test".
        on_rows: called with the number of rows done.
    """
    result = evaluate(predictor, task, examples, on_rows=on_rows)
    store.evaluations.add(
        row.row_id,
        NewEvaluation(
            data_sha256=result.data_sha256,
            split=split,
            metrics_json=json.dumps(result.metrics),
            dtype=str(predictor.lm.dtype).removeprefix("torch."),
            details_json=json.dumps(
                {"threads": torch.get_num_threads()} | ({} if predictor.constrained else {"constrained": False})
            ),
        ),
    )
    return result
