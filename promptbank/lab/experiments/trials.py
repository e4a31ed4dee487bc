"""Trials: trainings of an experiment, learnt together, frozen in the experiment's own bank, scored from stored rows.

The bank lies in the experiment's folder, so an experiment never touches the user's rows; a trial's row is found by its
alias, which is the trial's name. Trials are learnt a group at a time in shared batches; a killed experiment goes on in
the middle of a group.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from promptbank.bank.freeze import record_evaluation
from promptbank.bank.learn import LearntTask, TrainingRequest, learn_trials
from promptbank.bank.select import scope_of
from promptbank.bank.served import served_task
from promptbank.bank.session import Bank
from promptbank.bank.start import StartRows
from promptbank.cluster import map_on_ray
from promptbank.engine.evaluate import warnings_of
from promptbank.engine.predictor import Predictor
from promptbank.lab.experiments.folder import ExperimentFolder, JsonObject
from promptbank.lab.experiments.setup import ExperimentSetup, Lab, Trial
from promptbank.training.examples import check_prompts, training_renderer
from promptbank.training.prompt_run import FailedRun
from store import Row, Store, open_store

__all__ = ["row_versions", "run_trials", "training_record", "trial_notes"]


def run_trials(
    folder: ExperimentFolder,
    setup: ExperimentSetup,
    trials: Sequence[Trial],
    *,
    together: int | None = None,
    starts: StartRows | None = None,
    lenient: bool = False,
) -> dict[str, JsonObject]:
    """Learn and score trials; what an earlier call did stays done.

    Args:
        folder: of the experiment.
        setup: its backbone.
        trials: with names that differ.
        together: trials of one group; as the lab says if absent.
        starts: the rows that may be started from; the experiment's own if absent.
        lenient: a trial whose loss is not finite fails alone; otherwise that is an error.

    Returns:
        By name: sizes, test and dev metrics, best epoch, the epochs, what it started from, warnings, notes, the row's
        sha256, and the predicted label or text of each test example by its id. Of one that failed, why (``failed``).

    Raises:
        InputError: test examples of a group cannot be rendered; raised before it is learnt.
        TrainingError: see `learn_trials`.
    """
    results: dict[str, JsonObject] = {}
    size = together or setup.lab.together
    groups = [trials[first : first + size] for first in range(0, len(trials), size)]
    with _own_bank(folder) as store:
        if setup.lab.cluster is not None and starts is None:
            _learn_on_ray(folder, store, setup.lab.cluster, groups, lenient=lenient)
        for group in groups:
            learn = partial(_learn, folder, store, setup, group, starts or StartRows(store), lenient=lenient)
            learnt = folder.part(f"training-{group[0].name}", learn)
            shutil.rmtree(folder.path / "runs", ignore_errors=True)  # not before: a killed call finds its finished runs
            for trial in group:
                score = partial(_scored, store, setup, trial, learnt[trial.name])
                results[trial.name] = folder.part(trial.name, score)
    return results


@dataclass(frozen=True, eq=False)
class TrialGroup:
    """Trials that are learnt together in another process."""

    trials: Sequence[Trial]
    lenient: bool


@dataclass(frozen=True, eq=False)
class LearntGroup:
    """What such a process sends back: the parts of the experiment, and the rows by trial."""

    parts: Mapping[str, JsonObject]
    rows: Mapping[str, Row]


def _learn_on_ray(
    folder: ExperimentFolder, store: Store, cluster: Bank, groups: Sequence[Sequence[Trial]], *, lenient: bool
) -> None:
    """Have the parts of trials made elsewhere, but for those that start from a row of the experiment's own bank."""
    waiting = [
        TrialGroup(group, lenient)
        for group in groups
        if not all(folder.has(trial.name) for trial in group) and not any(t.config.starts_from_row for t in group)
    ]
    made = map_on_ray(learn_group, cluster.settings, waiting, cluster.backbone.fingerprint)
    for number, (_, learnt) in enumerate(made, start=1):
        for name, row in learnt.rows.items():
            kept = store.rows.import_row(row)
            store.aliases.move(kept.scope, kept.version, name, reason="learnt on Ray")
        for name, part in learnt.parts.items():
            folder.part(name, partial(dict, part))
        cluster.display.count(number, len(waiting), "groups learnt on Ray")


def learn_group(bank: Bank, group: TrialGroup) -> LearntGroup:
    """Learn and score a group of trials with a bank's backbone, in a folder that is thrown away."""
    first = group.trials[0]
    with TemporaryDirectory() as temporary:
        folder = ExperimentFolder("trials", Path(temporary), {})
        setup = ExperimentSetup(Lab(folder.path, bank.backbone, bank.lm), first.card, (), first.config)
        parts = run_trials(folder, setup, group.trials, together=len(group.trials), lenient=group.lenient)
        training = {f"training-{first.name}": folder.part(f"training-{first.name}", dict)}
        with _own_bank(folder) as store:
            rows = {t.name: _stored_row(store, setup, t) for t in group.trials if "failed" not in parts[t.name]}
    return LearntGroup({**training, **parts}, rows)


def _own_bank(folder: ExperimentFolder) -> Store:
    return open_store(f"sqlite:///{folder.path / 'bank.db'}")


def _learn(
    folder: ExperimentFolder,
    store: Store,
    setup: ExperimentSetup,
    group: Sequence[Trial],
    starts: StartRows,
    *,
    lenient: bool,
) -> JsonObject:
    """Learn a group; return what the trainings left, by trial."""
    for trial in group:
        check_prompts(training_renderer(setup.lab.backbone, trial.card, trial.config), trial.split.test)
    learnt = learn_trials(
        store,
        setup.lab.backbone,
        [TrainingRequest(t.card, t.split.train, t.split.dev, t.config, alias=t.name, name=t.name) for t in group],
        home=folder.path,
        progress=setup.lab.progress,
        lm=setup.lab.lm,
        starts=starts,
        lenient=lenient,
    )
    return {trial.name: training_record(one) for trial, one in zip(group, learnt, strict=True)}


def training_record(one: LearntTask | FailedRun) -> JsonObject:
    """Return what a result keeps of a training, as plain JSON values."""
    if isinstance(one, FailedRun):
        return {"failed": one.reason, "warnings": [], "notes": []}
    return {
        "dev": one.metrics,
        "best_epoch": one.trained.best_epoch,
        "epochs": [epoch.as_dict() for epoch in one.trained.epochs],
        "start": one.start,
        "row_sha256": one.row.sha256,
        "warnings": list(one.warnings),
        "notes": list(one.notes),
    }


def trial_notes(done: Mapping[str, JsonObject]) -> list[JsonObject]:
    """Return by trial what it started from, its warnings and its notes, for the result file."""
    return [
        {"trial": name, "start": found.get("start"), "warnings": found["warnings"], "notes": found["notes"]}
        for name, found in done.items()
    ]


def row_versions(folder: ExperimentFolder, setup: ExperimentSetup, trials: Sequence[Trial]) -> list[int]:
    """Return the versions of learnt trials' rows in the experiment's own bank."""
    with _own_bank(folder) as store:
        return [_stored_row(store, setup, trial).version for trial in trials]


def _stored_row(store: Store, setup: ExperimentSetup, trial: Trial) -> Row:
    scope = scope_of(trial.card.taskname, trial.card.lang, setup.lab.backbone)
    return store.rows.get(scope, alias=trial.name)


def _scored(store: Store, setup: ExperimentSetup, trial: Trial, learnt: JsonObject) -> JsonObject:
    """Score a trial's stored row on its test examples, in float32; one that failed has none."""
    split = trial.split
    sizes = {"sizes": {part: len(examples) for part, examples in vars(split).items()}}
    if "failed" in learnt:
        return {**sizes, **learnt}
    row = _stored_row(store, setup, trial)
    task = served_task(row, row.version, setup.lab.backbone)
    result = record_evaluation(store, Predictor(setup.lab.lm), row, task, split.test, split="test")
    return {
        **sizes,
        "test": result.metrics,
        **learnt,
        "warnings": [*learnt["warnings"], *warnings_of(result.metrics)],
        "predicted": {e.id: p for e, p in zip(split.test, result.predicted, strict=True)},
        "probabilities": {e.id: p for e, p in zip(split.test, result.probabilities, strict=False)},
    }
