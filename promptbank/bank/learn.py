"""Train prompts of tasks that are at hand, freeze the best ones, measure them, make them live.

Order matters: a row is written first, read back and evaluated from its stored bytes, the evaluation stored, and only
then does the alias move. Runs that are killed anywhere go on from their checkpoint; one killed after its row was
written finds that row again instead of writing a second.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from promptbank.bank.calibrate import calibrated_renderer
from promptbank.bank.freeze import freeze_and_measure, new_row
from promptbank.bank.halve import halved
from promptbank.bank.run_log import RunLog
from promptbank.bank.select import LIVE
from promptbank.bank.start import Start, StartRows, find_start
from promptbank.errors import TrainingError
from promptbank.files import read_json, write_file
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.training.config import GIVEN_DEV, TrainConfig
from promptbank.training.examples import training_renderer
from promptbank.training.progress import NoProgress, Progress
from promptbank.training.prompt_run import FailedRun, Plan, TrainedPrompt
from promptbank.training.prompts import train_each, train_prompts
from promptbank.training.run_warnings import run_warnings
from store import Row, Store, UnknownRunError
from tasks import DatasetReport, Example, TaskCard, data_sha256

__all__ = ["LearntTask", "TrainingRequest", "learn_task", "learn_tasks", "learn_trials"]

ARITHMETIC = "weights.v2"
"""Changes when a training of equal settings computes something else: nothing half done goes on across that."""


@dataclass(frozen=True, eq=False)
class TrainingRequest:
    """One task to be learnt.

    Attributes:
        card: the task.
        train: rows to learn from.
        dev: rows that choose the epoch.
        config: the settings.
        alias: that points at the row when it is measured.
        live_rule: a key of `LIVE_RULES`: whether the alias moves to the row.
        report: on the examples as a whole; kept with what is learnt.
        name: in reports, where several are learnt at once.
    """

    card: TaskCard
    train: Sequence[Example]
    dev: Sequence[Example]
    config: TrainConfig
    alias: str = LIVE
    name: str = ""
    live_rule: str = "always"
    report: DatasetReport | None = None


@dataclass(frozen=True)
class LearntTask:
    """What a training gave.

    Attributes:
        row: as it is stored.
        metrics: its dev metrics, from the stored bytes in float32.
        trained: best epoch, history, truncated and cached rows.
        run_id: of the run.
        warnings: what a person should know before trusting the row.
        notes: what was decided on the way: the start that was chosen, attempts begun again.
        start: what the prompt started from, see `Start.source`.
        is_live: whether the alias points at the row.
        comparison: with the row that was live on the same dev examples, in words; empty where there was none.
        report: on the examples, where one was made.
    """

    row: Row
    metrics: dict[str, object]
    trained: TrainedPrompt
    run_id: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    start: str
    is_live: bool = True
    comparison: str = ""
    report: DatasetReport | None = None


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A lesson with what was worked out before training: its plan, data hash, start and identity."""

    lesson: TrainingRequest
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
    progress: Progress | None = None,
    lm: LanguageModel | None = None,
) -> LearntTask:
    """Learn one task and make it live; see `learn_tasks`."""
    return learn_tasks(
        store, backbone, [TrainingRequest(card, train, dev, config)], home=home, progress=progress, lm=lm
    )[0]


def learn_tasks(
    store: Store,
    backbone: Backbone,
    lessons: Sequence[TrainingRequest],
    *,
    home: Path,
    progress: Progress | None = None,
    lm: LanguageModel | None = None,
) -> list[LearntTask]:
    """Learn tasks in shared batches, each with an encoder of its own, and move each one's alias.

    Args:
        store: where the rows go, and where rows to start from are looked up.
        backbone: float32.
        lessons: what is to be learnt.
        home: its ``runs/`` holds the checkpoints.
        progress: receives reports.
        lm: the backbone's forward passes, if they are at hand.

    Raises:
        TrainingError: see `train_prompts`; two lessons have one name; these very runs are under way in another process.
        StoreError: a row cannot be written; the checkpoint stays, so the same command only freezes.
    """
    session = _Session(store, backbone, lm or LanguageModel(backbone.model), home, progress or NoProgress())
    learnt = session.learn(lessons, StartRows(store), train_prompts)
    shutil.rmtree(session.folder, ignore_errors=True)
    return [one for one in learnt if isinstance(one, LearntTask)]


def learn_trials(
    store: Store,
    backbone: Backbone,
    lessons: Sequence[TrainingRequest],
    *,
    home: Path,
    progress: Progress,
    lm: LanguageModel,
    starts: StartRows,
    lenient: bool = False,
) -> list[LearntTask | FailedRun]:
    """Learn as `learn_tasks` does, for an experiment, which keeps what came out itself.

    The folder of the runs stays in ``<home>/runs``, so that the same call finds the finished runs again; whoever has
    kept what came out removes it, since it holds encoders.

    Args:
        store: where the rows go.
        backbone: float32.
        lessons: what is to be learnt.
        home: its ``runs/`` holds the checkpoints.
        progress: receives reports.
        lm: the backbone's forward passes.
        starts: where rows to start from are looked up.
        lenient: a run of which the loss is not finite fails alone; otherwise that is an error.

    Raises:
        TrainingError: see `learn_tasks`.
    """
    session = _Session(store, backbone, lm, home, progress)
    return session.learn(lessons, starts, train_each if lenient else train_prompts)


class _Session:
    """Lessons learnt together; see `learn_trials` for the arguments.

    Attributes:
        folder: of the runs, once they are learnt.
    """

    folder: Path

    def __init__(self, store: Store, backbone: Backbone, lm: LanguageModel, home: Path, progress: Progress) -> None:
        self._store, self._backbone, self._lm = store, backbone, lm
        self._home, self._progress = home, progress

    def learn(
        self,
        lessons: Sequence[TrainingRequest],
        starts: StartRows,
        train: Callable[..., Sequence[TrainedPrompt | FailedRun]],
    ) -> list[LearntTask | FailedRun]:
        """Train, freeze, measure and make live."""
        prepared = [_prepare(starts, self._backbone, self._lm, lesson) for lesson in lessons]
        _check_names([one.plan.name for one in prepared])
        identity = prepared[0].identity if len(prepared) == 1 else _hash([one.identity for one in prepared])
        self.folder = self._home / "runs" / identity
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / "lock", timeout=0):
                run_ids = _started(self._store, self.folder, prepared)
                names = dict(zip((p.plan.name for p in prepared), run_ids, strict=True))
                recorder = RunLog(self._store, names, self._progress)
                plans = [one.plan for one in prepared]
                outcomes = train(self._lm, plans, folder=self.folder, identity=identity, progress=recorder)
                return [
                    self._published(one, outcome, run_id)
                    for one, outcome, run_id in zip(prepared, outcomes, run_ids, strict=True)
                ]
        except Timeout as exc:
            raise TrainingError(
                f"this very training (run {identity}) is under way in another process; wait for it, or change --seed"
            ) from exc

    def _published(self, one: _Prepared, outcome: TrainedPrompt | FailedRun, run_id: str) -> LearntTask | FailedRun:
        if isinstance(outcome, TrainedPrompt):
            return _publish(self._store, self._lm, self._backbone, one, outcome, run_id)
        if not _is_done(self._store, run_id):
            self._store.runs.finish(run_id, "failed", json.dumps({"reason": outcome.reason}))
        return outcome


def _prepare(starts: StartRows, backbone: Backbone, lm: LanguageModel, lesson: TrainingRequest) -> _Prepared:
    lesson = replace(lesson, config=lesson.config.of_task(lesson.card, len(lesson.train)))
    renderer = training_renderer(backbone, lesson.card, lesson.config)
    start = find_start(starts, backbone, lm, renderer, lesson.config, lesson.dev)
    data = data_sha256([*lesson.train, *lesson.dev])
    plan = Plan(renderer, lesson.train, lesson.dev, lesson.config, start.table, lesson.name)
    return _Prepared(lesson, plan, data, start, _identity(backbone, lesson, data, start.table.sha256))


def _check_names(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TrainingError(f"{', '.join(map(repr, twice))} would be learnt twice at once; name each task once")


def _started(store: Store, folder: Path, prepared: Sequence[_Prepared]) -> list[str]:
    """Return the runs' ids: those of the killed command that is gone on with, or new ones."""
    path = folder / "runs.json"
    if path.is_file():
        run_ids: list[str] = read_json(path)
    else:
        run_ids = [_free_id(store, one.identity) for one in prepared]
        write_file(path, json.dumps(run_ids))
    for one, run_id in zip(prepared, run_ids, strict=True):
        if not _is_done(store, run_id):
            store.runs.start(run_id, "train", json.dumps(one.lesson.config.decisive()), one.data)
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
    store: Store, lm: LanguageModel, backbone: Backbone, one: _Prepared, trained: TrainedPrompt, run_id: str
) -> LearntTask:
    """Freeze, measure and make live what a run left."""
    lesson = one.lesson
    renderer = one.plan.renderer
    if lesson.config.calibrate and not lesson.card.is_open:
        renderer = calibrated_renderer(lm, renderer, trained.table)
    table, storage = halved(lm, renderer, trained.table, lesson.dev)
    new = new_row(
        backbone, renderer, lesson.config, replace(trained, table=table), one.data, one.start, run_id, storage
    )
    measured = freeze_and_measure(
        store, lm, backbone, new, lesson.dev, run_id=run_id, alias=lesson.alias, live_rule=lesson.live_rule
    )
    if not _is_done(store, run_id):
        store.runs.finish(run_id, "done", json.dumps({"row_id": measured.row.row_id, "dev": measured.metrics}))
    warnings = list(
        run_warnings(
            backbone,
            lesson.card,
            lesson.train,
            lesson.dev,
            truncated=trained.truncated,
            unwritable=trained.unwritable,
            reach=trained.longest_reach,
            collapse=measured.metrics.get("collapse"),
        )
    )
    if lesson.config.calibrate and lesson.card.is_open:
        warnings.append("calibrate was not done: open answers have no labels to calibrate")
    notes = tuple(filter(None, (one.start.note, *(epoch.restart for epoch in trained.epochs))))
    return LearntTask(
        measured.row,
        measured.metrics,
        trained,
        run_id,
        tuple(warnings),
        notes,
        one.start.source,
        measured.is_live,
        measured.comparison,
        lesson.report,
    )


def _identity(backbone: Backbone, lesson: TrainingRequest, data: str, start: str) -> str:
    """Name a run by everything that decides its result, and by the alias that it moves."""
    parts = [
        ARITHMETIC,
        backbone.fingerprint,
        backbone.tokenizer_sha256,
        lesson.card.canonical_json(),
        lesson.config.decisive(),
    ]
    given = [data_sha256(lesson.dev)] if lesson.config.dev_rule == GIVEN_DEV else []  # no rule divides the data again
    return _hash([*parts, data, start, lesson.alias, *given])


def _hash(parts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
