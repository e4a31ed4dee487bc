"""The use case of `promptbank train`: learn tasks, freeze the best rows, measure them, make them live.

Order matters: a row is written first, read back and evaluated from its stored bytes, the evaluation stored, and only
then does the alias move. Runs that are killed anywhere go on from their resume file; one killed after its row was
written finds that row again instead of writing a second.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from promptbank.backbone import Backbone
from promptbank.bank.calibrate import calibrated_renderer
from promptbank.bank.freeze import freeze_and_measure, new_row
from promptbank.bank.recorder import Recorder
from promptbank.bank.select import LIVE
from promptbank.bank.start import Start, find_start
from promptbank.errors import TrainingError
from promptbank.forward import LanguageModel
from promptbank.render import Policy, Renderer
from promptbank.train.config import TrainConfig
from promptbank.train.listen import Listener, Silent
from promptbank.train.loop import train_prompts
from promptbank.train.run import Plan, Trained
from store import Row, Store, UnknownRunError
from tasks import Example, TaskCard, data_sha256

__all__ = ["Learnt", "Lesson", "learn_task", "learn_tasks"]


@dataclass(frozen=True, eq=False)
class Lesson:
    """One task to be learnt.

    Attributes:
        card: the task.
        train: rows to learn from.
        dev: rows that choose the epoch.
        config: the settings.
        alias: that points at the row when it is measured.
        name: in reports, where several are learnt at once.
    """

    card: TaskCard
    train: Sequence[Example]
    dev: Sequence[Example]
    config: TrainConfig
    alias: str = LIVE
    name: str = ""


@dataclass(frozen=True)
class Learnt:
    """What a training gave.

    Attributes:
        row: the live row.
        metrics: its dev metrics, from the stored bytes in float32.
        trained: best epoch, history, truncated and cached rows.
        run_id: of the run.
        warnings: what a person should know before trusting the row.
        notes: what was decided on the way: the start that was chosen, attempts begun again.
    """

    row: Row
    metrics: dict[str, Any]
    trained: Trained
    run_id: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A lesson with what was worked out before training: its plan, data hash, start and identity."""

    lesson: Lesson
    plan: Plan
    data: str
    start: Start
    identity: str


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
    """Learn one task and make it live; see `learn_tasks`."""
    return learn_tasks(store, backbone, [Lesson(card, train, dev, config)], home=home, listener=listener, lm=lm)[0]


def learn_tasks(
    store: Store,
    backbone: Backbone,
    lessons: Sequence[Lesson],
    *,
    home: Path,
    listener: Listener | None = None,
    lm: LanguageModel | None = None,
    starts: Store | None = None,
) -> list[Learnt]:
    """Learn tasks in shared batches, each with an encoder of its own, and move each one's alias.

    Args:
        store: where the rows go.
        backbone: float32.
        lessons: what is to be learnt.
        home: its ``runs/`` holds the resume file.
        listener: hears of progress.
        lm: the backbone's forward passes, if they are at hand.
        starts: where rows to start from are looked up; ``store`` if absent.

    Raises:
        TrainingError: see `train_prompts`; two lessons have one name; these very runs are under way in another process.
        StoreError: a row cannot be written; the resume file stays, so the same command only freezes.
    """
    lm = lm or LanguageModel(backbone.model)
    prepared = [_prepare(starts or store, backbone, lm, lesson) for lesson in lessons]
    _check_names([one.plan.name for one in prepared])
    identity = prepared[0].identity if len(prepared) == 1 else _hash([one.identity for one in prepared])
    folder = home / "runs" / identity
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            run_ids = _started(store, folder, prepared)
            recorder = Recorder(
                store, dict(zip((p.plan.name for p in prepared), run_ids, strict=True)), listener or Silent()
            )
            trained = train_prompts(
                lm, [one.plan for one in prepared], folder=folder, identity=identity, listener=recorder
            )
            learnt = [
                _publish(store, lm, backbone, one, result, run_id)
                for one, result, run_id in zip(prepared, trained, run_ids, strict=True)
            ]
    except Timeout as exc:
        raise TrainingError(
            f"this very training (run {identity}) is under way in another process; wait for it, or change --seed"
        ) from exc
    shutil.rmtree(folder, ignore_errors=True)
    return learnt


def _prepare(store: Store, backbone: Backbone, lm: LanguageModel, lesson: Lesson) -> _Prepared:
    policy = Policy.of(backbone.tokenizer, answer_tokens=lesson.config.answer_tokens)
    renderer = Renderer(lesson.card, backbone.tokenizer, policy, backbone.window)
    start = find_start(store, backbone, lm, renderer, lesson.config, lesson.dev)
    data = data_sha256([*lesson.train, *lesson.dev])
    plan = Plan(renderer, lesson.train, lesson.dev, lesson.config, start.table, lesson.name)
    return _Prepared(lesson, plan, data, start, _identity(backbone, lesson, data, start.table))


def _check_names(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TrainingError(f"{', '.join(map(repr, twice))} would be learnt twice at once; name each task once")


def _started(store: Store, folder: Path, prepared: Sequence[_Prepared]) -> list[str]:
    """Return the runs' ids: those of the killed command that is gone on with, or new ones."""
    path = folder / "runs.json"
    if path.is_file():
        run_ids: list[str] = json.loads(path.read_text(encoding="utf-8"))
    else:
        run_ids = [_free_id(store, one.identity) for one in prepared]
        path.with_suffix(".tmp").write_text(json.dumps(run_ids), encoding="utf-8")
        path.with_suffix(".tmp").replace(path)
    for one, run_id in zip(prepared, run_ids, strict=True):
        if not _is_done(store, run_id):
            store.runs.start(run_id, "train", json.dumps(_decisive(one.lesson.config)), one.data)
    return run_ids


def _free_id(store: Store, identity: str) -> str:
    """Return the run's id: its identity, numbered when the same training was finished before."""
    numbered = (identity if number == 1 else f"{identity}-{number}" for number in count(1))
    return next(run_id for run_id in numbered if not _is_done(store, run_id))


def _is_done(store: Store, run_id: str) -> bool:
    try:
        return store.runs.get(run_id).status != "running"
    except UnknownRunError:
        return False


def _publish(
    store: Store, lm: LanguageModel, backbone: Backbone, one: _Prepared, trained: Trained, run_id: str
) -> Learnt:
    """Freeze, measure and make live what a run left."""
    lesson = one.lesson
    renderer = one.plan.renderer
    if lesson.config.calibrate and not lesson.card.is_open:
        renderer = calibrated_renderer(lm, renderer, trained.table)
    new = new_row(backbone, renderer, lesson.config, trained, one.data, one.start, run_id)
    measured = freeze_and_measure(store, lm, backbone, new, lesson.dev, run_id=run_id, alias=lesson.alias)
    if not _is_done(store, run_id):
        store.runs.finish(run_id, "done", json.dumps({"row_id": measured.row.row_id, "dev": measured.metrics}))
    warnings = tuple(_warnings(backbone, trained, measured.metrics))
    notes = tuple(filter(None, (one.start.note, *(epoch.restart for epoch in trained.epochs))))
    return Learnt(measured.row, measured.metrics, trained, run_id, warnings, notes)


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


def _decisive(config: TrainConfig) -> dict[str, Any]:
    """The settings that decide the result: not how often it is saved or how much memory it may take."""
    return config.model_dump(mode="json", exclude={"checkpoint_steps", "cache_bytes"})


def _identity(backbone: Backbone, lesson: Lesson, data: str, start: torch.Tensor) -> str:
    """Name a run by everything that decides its result, and by the alias that it moves."""
    start_sha = hashlib.sha256(start.numpy().tobytes()).hexdigest()
    parts = [backbone.fingerprint, backbone.tokenizer_sha256, lesson.card.canonical_json(), _decisive(lesson.config)]
    return _hash([*parts, data, start_sha, lesson.alias])


def _hash(parts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
