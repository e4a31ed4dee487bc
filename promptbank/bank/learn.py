"""The use case of `promptbank train`: learn a task, freeze the best rows, measure them, make them live.

Order matters: the row is written first, read back and evaluated from its stored bytes, the evaluation stored, and only
then does ``live`` move. A run that is killed anywhere goes on from its resume file; one killed after the row was
written finds that row again instead of writing a second.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from promptbank import __version__
from promptbank.backbone import Backbone
from promptbank.bank.probes import take_probes
from promptbank.bank.select import LIVE, scope_of, select_row, served_task
from promptbank.engine.predictor import Predictor, ServedTask
from promptbank.errors import TrainingError
from promptbank.evaluate import Evaluated, evaluate
from promptbank.forward import LanguageModel
from promptbank.render import Policy, Renderer
from promptbank.train.config import INITS, TrainConfig
from promptbank.train.loop import EpochReport, Listener, Silent, StepReport, Trained, train_prompt
from promptbank.train.start import start_ids, starting_rows
from store import NewEvaluation, NewRow, Row, Store, UnknownRunError
from tasks import Example, TaskCard, data_sha256, parse_spec

__all__ = ["Learnt", "learn_task", "record_evaluation"]

PACKAGES = ("torch", "transformers", "tokenizers", "safetensors")


@dataclass(frozen=True)
class Learnt:
    """What a training gave.

    Attributes:
        row: the live row.
        metrics: its dev metrics, from the stored bytes in float32.
        trained: best epoch, history, truncated and cached rows.
        run_id: of the run.
        warnings: what a person should know before trusting the row.
    """

    row: Row
    metrics: dict[str, Any]
    trained: Trained
    run_id: str
    warnings: tuple[str, ...]


def learn_task(
    store: Store,
    backbone: Backbone,
    card: TaskCard,
    train: Sequence[Example],
    dev: Sequence[Example],
    config: TrainConfig,
    *,
    home: Path,
    listener: Listener | None = None,
    lm: LanguageModel | None = None,
) -> Learnt:
    """Learn one task and make it live.

    Args:
        store: where the row goes.
        backbone: float32.
        card: the task.
        train: rows to learn from.
        dev: rows that choose the epoch.
        config: the settings.
        home: its ``runs/`` holds the resume file.
        listener: hears of progress.
        lm: the backbone's forward passes, if they are at hand.

    Raises:
        TrainingError: see `train_prompt`; or this very run is under way in another process.
        StoreError: the row cannot be written; the resume file stays, so the same command only freezes.
    """
    lm = lm or LanguageModel(backbone.model)
    policy = Policy.of(backbone.tokenizer, answer_tokens=config.answer_tokens)
    renderer = Renderer(card, backbone.tokenizer, policy, backbone.window)
    data = data_sha256([*train, *dev])
    start, parent = _start(store, backbone, lm, renderer, config)
    identity = _identity(backbone, card, config, data, start)
    folder = home / "runs" / identity
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            again = (folder / "resume.safetensors").exists()
            run_id = _free_id(store, identity)
            store.runs.start(run_id, "train", json.dumps(_decisive(config)), data)
            recorder = _Recorder(store, run_id, listener or Silent())
            trained = train_prompt(
                lm, renderer, train, dev, config, start=start, folder=folder, identity=identity, listener=recorder
            )
            recorder.flush()
            new = _new_row(backbone, renderer, config, trained, data, parent, run_id)
            row = (_written(store, new, run_id) if again else None) or _freeze(store, lm, backbone, new, dev)
            metrics = _measure_and_publish(store, lm, backbone, row, dev, run_id)
            store.runs.finish(run_id, "done", json.dumps({"row_id": row.row_id, "dev": metrics}))
    except Timeout as exc:
        raise TrainingError(
            f"this very training (run {identity}) is under way in another process; wait for it, or change --seed"
        ) from exc
    shutil.rmtree(folder, ignore_errors=True)
    return Learnt(row, metrics, trained, run_id, tuple(_warnings(backbone, trained, metrics)))


def _warnings(backbone: Backbone, trained: Trained, metrics: dict[str, Any]) -> Iterator[str]:
    if trained.truncated:
        yield f"{trained.truncated} rows had their text cut to fit the window of {backbone.window} positions"
    if backbone.sliding_window is not None and trained.longest_reach > backbone.sliding_window:
        yield (
            f"in some rows the virtual tokens stand {trained.longest_reach} positions before the answer's end, and the "
            f"local layers of {backbone.name} see {backbone.sliding_window}; put the markers after the long field"
        )
    if metrics.get("collapse"):
        yield str(metrics["collapse"])


def _start(
    store: Store, backbone: Backbone, lm: LanguageModel, renderer: Renderer, config: TrainConfig
) -> tuple[torch.Tensor, int | None]:
    """P0 and, when it comes from this task's own row, that row's version."""
    card = renderer.card
    if config.init in INITS:
        ids = start_ids(config.init, renderer, vocabulary=lm.vocabulary, seed=config.seed)
        return starting_rows(lm, ids), None
    source = select_row(store, parse_spec(config.init.removeprefix("from:")), backbone)
    table = served_task(source, source.version, backbone).table
    repeats = -(-card.total_virtual_tokens // len(table))
    same = (source.scope.taskname, source.scope.lang) == (card.taskname, card.lang)
    return table.repeat(repeats, 1)[: card.total_virtual_tokens], source.version if same else None


def _free_id(store: Store, identity: str) -> str:
    """Return the run's id: its identity, numbered when the same training was finished before."""
    for number in count(1):
        run_id = identity if number == 1 else f"{identity}-{number}"
        try:
            if store.runs.get(run_id).status == "running":
                return run_id
        except UnknownRunError:
            return run_id
    raise AssertionError("unreachable")  # pragma: no cover


def _decisive(config: TrainConfig) -> dict[str, Any]:
    """The settings that decide the result: not how often it is saved or how much memory it may take."""
    return config.model_dump(mode="json", exclude={"checkpoint_steps", "cache_bytes"})


def _identity(backbone: Backbone, card: TaskCard, config: TrainConfig, data: str, start: torch.Tensor) -> str:
    """Name a run by everything that decides its result."""
    decisive = _decisive(config)
    start_sha = hashlib.sha256(start.numpy().tobytes()).hexdigest()
    parts = [backbone.fingerprint, backbone.tokenizer_sha256, card.canonical_json(), decisive, data, start_sha]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _new_row(
    backbone: Backbone,
    renderer: Renderer,
    config: TrainConfig,
    trained: Trained,
    data: str,
    parent: int | None,
    run_id: str,
) -> NewRow:
    """Assemble the row, without its probes."""
    card = renderer.card
    table = trained.table.numpy().astype("<f4").tobytes()
    training = {
        "run": run_id,
        "config": config.model_dump(mode="json"),
        "best_epoch": trained.best_epoch,
        "epochs": [report.as_dict() for report in trained.epochs],
    }
    return NewRow(
        scope=scope_of(card.taskname, card.lang, backbone),
        data=table,
        virtual_tokens=trained.table.shape[0],
        hidden_size=trained.table.shape[1],
        sha256=hashlib.sha256(table).hexdigest(),
        tokenizer_sha256=backbone.tokenizer_sha256,
        backbone_name=backbone.name,
        card_json=card.canonical_json(),
        template_sha256=card.template_sha256,
        policy_json=json.dumps(renderer.policy.as_dict()),
        training_json=json.dumps(training, sort_keys=True),
        seed=config.seed,
        data_sha256=data,
        parent_version=parent,
        packages_json=json.dumps({"promptbank": __version__} | {n: importlib.metadata.version(n) for n in PACKAGES}),
        probes_json="",
        probe_logits=b"",
        probe_shape=(0, 0),
    )


def _written(store: Store, new: NewRow, run_id: str) -> Row | None:
    """Find the row that this run wrote before it was killed."""
    for info in store.rows.list(taskname=new.scope.taskname, lang=new.scope.lang, fingerprint=new.scope.fingerprint):
        if info.sha256 == new.sha256:
            row = store.rows.get(info.scope, info.version)
            if json.loads(row.training_json).get("run") == run_id and LIVE not in info.aliases:
                return row
    return None


def _freeze(store: Store, lm: LanguageModel, backbone: Backbone, new: NewRow, dev: Sequence[Example]) -> Row:
    """Write the row with its probes."""
    probes = take_probes(lm, served_task(new, 0, backbone), [dict(e.fields) for e in dev])
    complete = replace(new, probes_json=probes.description, probe_logits=probes.logits, probe_shape=probes.shape)
    return store.rows.freeze(complete)


def _measure_and_publish(
    store: Store, lm: LanguageModel, backbone: Backbone, row: Row, dev: Sequence[Example], run_id: str
) -> dict[str, Any]:
    """Evaluate the stored bytes, store the evaluation, then move ``live``."""
    stored = store.rows.get(row.scope, row.version)
    task = served_task(stored, stored.version, backbone)
    result = record_evaluation(store, Predictor(lm), stored, task, dev, split="dev")
    store.aliases.move(stored.scope, stored.version, LIVE, reason=f"trained in run {run_id}")
    return result.metrics


def record_evaluation(
    store: Store,
    predictor: Predictor,
    row: Row,
    task: ServedTask,
    examples: Sequence[Example],
    *,
    split: str,
    on_rows: Callable[[int], None] = lambda _: None,
) -> Evaluated:
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
            details_json=json.dumps({"threads": torch.get_num_threads()}),
        ),
    )
    return result


class _Recorder:
    """Stores metrics by step, an epoch at a time, and passes everything on."""

    def __init__(self, store: Store, run_id: str, inner: Listener) -> None:
        self._store, self._run_id, self._inner = store, run_id, inner
        self._pending: list[tuple[int, dict[str, float]]] = []
        self._step = 0

    def on_prefix(self, done: int, total: int) -> None:
        self._inner.on_prefix(done, total)

    def on_step(self, report: StepReport) -> None:
        self._step = report.step
        self._pending.append((report.step, {"loss": report.loss, "lr": report.lr}))
        self._inner.on_step(report)

    def on_epoch(self, report: EpochReport) -> None:
        dev = {f"dev_{name}": value for name, value in report.dev.as_dict().items() if value is not None}
        self._pending.append((self._step, {"epoch": report.epoch, "train_loss": report.train_loss, **dev}))
        self.flush()
        self._inner.on_epoch(report)

    def flush(self) -> None:
        """Write what is pending."""
        self._store.runs.record_many(self._run_id, self._pending)
        self._pending = []
