"""Train prompts of tasks that are at hand, freeze the best ones, measure them, make them live.

Order matters: a row is written first, read back and evaluated from its stored bytes, the evaluation stored, and only
then does the alias move. Runs that are killed anywhere go on from their checkpoint; one killed after its row was
written finds that row again instead of writing a second.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from promptbank.bank.calibrate import calibrated_renderer
from promptbank.bank.freeze import freeze_and_measure, new_row
from promptbank.bank.halve import halved
from promptbank.bank.run_identity import is_done, run_identity, run_ids_of, shared_identity
from promptbank.bank.run_log import RunLog
from promptbank.bank.select import LIVE
from promptbank.bank.start import Start, StartRows, find_start
from promptbank.errors import TrainingError
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.training.config import TrainConfig
from promptbank.training.examples import training_renderer
from promptbank.training.progress import NoProgress, Progress
from promptbank.training.prompt_run import FailedRun, Plan, TrainedPrompt
from promptbank.training.prompts import train_each, train_prompts
from promptbank.training.run_warnings import run_warnings
from store import Row, Store
from tasks import DatasetReport, Example, TaskCard, data_sha256, unanswered

__all__ = ["LearntTask", "TrainingRequest", "learn_task", "learn_tasks", "learn_trials"]


@dataclass(frozen=True, eq=False)
class TrainingRequest:
    """One task to be learnt.

    Attributes:
        card: the task.
        train: examples to learn from.
        dev: examples that choose the epoch.
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
        trained: best epoch, history, truncated and cached examples.
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
    """A request with what was worked out before training: its plan, data hash, start and identity."""

    request: TrainingRequest
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
    requests: Sequence[TrainingRequest],
    *,
    home: Path,
    progress: Progress | None = None,
    lm: LanguageModel | None = None,
) -> list[LearntTask]:
    """Learn tasks in shared batches, each with an encoder of its own, and move each one's alias.

    Args:
        store: where the rows go, and where rows to start from are looked up.
        backbone: float32.
        requests: what is to be learnt.
        home: its ``runs/`` holds the checkpoints.
        progress: receives reports.
        lm: the backbone's forward passes, if they are at hand.

    Raises:
        TrainingError: see `train_prompts`; two tasks have one name; these very runs are under way in another process.
        StoreError: a row cannot be written; the checkpoint stays, so the same command only freezes.
    """
    session = _Session(store, backbone, lm or LanguageModel(backbone.model), home, progress or NoProgress())
    learnt = session.learn(requests, StartRows(store), train_prompts)
    shutil.rmtree(session.folder, ignore_errors=True)
    return [one for one in learnt if isinstance(one, LearntTask)]


def learn_trials(
    store: Store,
    backbone: Backbone,
    requests: Sequence[TrainingRequest],
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
        requests: what is to be learnt.
        home: its ``runs/`` holds the checkpoints.
        progress: receives reports.
        lm: the backbone's forward passes.
        starts: where rows to start from are looked up.
        lenient: a run of which the loss is not finite fails alone; otherwise that is an error.

    Raises:
        TrainingError: see `learn_tasks`.
    """
    session = _Session(store, backbone, lm, home, progress)
    return session.learn(requests, starts, train_each if lenient else train_prompts)


class _Session:
    """Tasks learnt together; see `learn_trials` for the arguments.

    Attributes:
        folder: of the runs, once they are learnt.
    """

    folder: Path

    def __init__(self, store: Store, backbone: Backbone, lm: LanguageModel, home: Path, progress: Progress) -> None:
        self._store, self._backbone, self._lm = store, backbone, lm
        self._home, self._progress = home, progress

    def learn(
        self,
        requests: Sequence[TrainingRequest],
        starts: StartRows,
        train: Callable[..., Sequence[TrainedPrompt | FailedRun]],
    ) -> list[LearntTask | FailedRun]:
        """Train, freeze, measure and make live."""
        prepared = [_prepare(starts, self._backbone, self._lm, request) for request in requests]
        _check_names([one.plan.name for one in prepared])
        identity = shared_identity([one.identity for one in prepared])
        self.folder = self._home / "runs" / identity
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / "lock", timeout=0):
                run_ids = run_ids_of(self._store, self.folder, [one.identity for one in prepared])
                self._start(prepared, run_ids)
                names = dict(zip((p.plan.name for p in prepared), run_ids, strict=True))
                self._progress.on_runs(names)
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

    def _start(self, prepared: Sequence[_Prepared], run_ids: Sequence[str]) -> None:
        """Enter the runs into the bank that are not done."""
        for one, run_id in zip(prepared, run_ids, strict=True):
            if not is_done(self._store, run_id):
                self._store.runs.start(run_id, "train", json.dumps(one.request.config.decisive()), one.data)

    def _published(self, one: _Prepared, outcome: TrainedPrompt | FailedRun, run_id: str) -> LearntTask | FailedRun:
        if isinstance(outcome, TrainedPrompt):
            if outcome.table.layers is not None:
                card = one.request.card
                self._progress.on_freezing(f"{card.taskname}:{card.lang}", len(one.request.dev))
            return _publish(self._store, self._lm, self._backbone, one, outcome, run_id)
        if not is_done(self._store, run_id):
            self._store.runs.finish(run_id, "failed", json.dumps({"reason": outcome.reason}))
        return outcome


def _prepare(starts: StartRows, backbone: Backbone, lm: LanguageModel, request: TrainingRequest) -> _Prepared:
    request = replace(request, config=request.config.of_task(request.card, len(request.train)))
    renderer = training_renderer(backbone, request.card, request.config)
    start = find_start(starts, backbone, lm, renderer, request.config, request.dev)
    data = data_sha256([*request.train, *request.dev])
    plan = Plan(renderer, request.train, request.dev, request.config, start.table, request.name)
    identity = run_identity(
        backbone, request.card, request.dev, request.config, data, start.table.sha256, request.alias
    )
    return _Prepared(request, plan, data, start, identity)


def _share(value: object) -> float | None:
    return value if isinstance(value, float) else None


def _check_names(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TrainingError(f"{', '.join(map(repr, twice))} would be learnt twice at once; name each task once")


def _publish(
    store: Store, lm: LanguageModel, backbone: Backbone, one: _Prepared, trained: TrainedPrompt, run_id: str
) -> LearntTask:
    """Freeze, measure and make live what a run left."""
    request = one.request
    renderer = one.plan.renderer
    if request.config.calibrate and not request.card.is_open:
        renderer = calibrated_renderer(lm, renderer, trained.table)
    table, storage = halved(lm, renderer, trained.table, request.dev)
    new = new_row(
        backbone, renderer, request.config, replace(trained, table=table), one.data, one.start, run_id, storage
    )
    measured = freeze_and_measure(
        store, lm, backbone, new, request.dev, run_id=run_id, alias=request.alias, live_rule=request.live_rule
    )
    if not is_done(store, run_id):
        store.runs.finish(run_id, "done", json.dumps({"row_id": measured.row.row_id, "dev": measured.metrics}))
    warnings = list(
        run_warnings(
            backbone,
            request.card,
            request.train,
            request.dev,
            truncated=trained.truncated,
            unwritable=trained.unwritable,
            reach=trained.longest_reach,
            collapse=measured.metrics.get("collapse"),
            unanswered=unanswered(measured.metrics),
            accuracy=_share(measured.metrics.get("accuracy", measured.metrics.get("exact_match"))),
        )
    )
    if request.config.calibrate and request.card.is_open:
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
        request.report,
    )
