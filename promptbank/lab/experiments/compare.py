"""Methods against each other on the same examples: what each scores, costs, and forgets when it learns a second task.

A part of the result is one method with one seed; what is compared is no part of the experiment's identity, so another
method or seed is added to what is there. Seconds and memory of learning the first task lie apart from the results, in
``measured.json`` beside ``result.json``, so two runs of one comparison end with equal results.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from promptbank.bank.session import Bank
from promptbank.cluster import map_on_ray
from promptbank.engine.evaluate import TaskScores, warnings_of
from promptbank.errors import ConfigError, PromptBankError, TrainingError
from promptbank.files import read_json
from promptbank.lab.experiments.folder import ExperimentFolder, JsonObject, short_hash, write_json
from promptbank.lab.experiments.learning_cost import CostMeter
from promptbank.lab.experiments.setup import Lab
from promptbank.lab.methods.learner import Learner, LearningResult, score_of
from promptbank.lab.methods.registry import METHODS, method_name
from promptbank.training.config import TrainConfig, checked_config
from promptbank.training.precision import training_dtype
from promptbank.training.progress import Progress
from tasks import BY_HASH, FORMAT_SCORES, Example, Split, TaskCard, TaskError, data_sha256
from tasks.continual import stream_scores
from tasks.sampling import DEV_SAMPLE, smaller_split
from tasks.statistics import mean_sd

__all__ = ["MEASURED", "OTHER_METRICS", "MethodComparison", "learn_stream", "run_compare"]

MEASURED = "measured.json"
"""The file beside the result that holds, by part, ``train_seconds``, ``memory_bytes`` and ``peak_bytes``."""

OTHER_METRICS = ("macro_f1", *FORMAT_SCORES)
"""Metrics that are shown beside the score, where a task is scored by them."""

Task = tuple[TaskCard, Split]


@dataclass(frozen=True)
class MethodComparison:
    """What is compared.

    Attributes:
        methods: names, with or without a version.
        seeds: each method runs with seeds 0 to ``seeds - 1``.
        rows: training examples of each task, drawn by the seed, the same for all methods, with the same share of the
            dev examples; None for all.
        training: settings of `TrainConfig` for all methods.
        lrs: peak learning rates by method, where not the method's own.

    Raises:
        ConfigError: a value is out of range, or no such method.
    """

    methods: tuple[str, ...]
    seeds: int = 3
    rows: int | None = None
    training: Mapping[str, object] = field(default_factory=dict)
    lrs: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "methods", tuple(dict.fromkeys(map(method_name, self.methods))))
        object.__setattr__(self, "lrs", {method_name(name): lr for name, lr in self.lrs.items()})
        if not self.methods or self.seeds < 1:
            raise ConfigError(f"{len(self.methods)} methods with {self.seeds} seeds; at least 1 of each is needed")
        if idle := [name for name in self.lrs if name not in self.methods]:
            raise ConfigError(f"a learning rate is given for {', '.join(idle)}, which is not compared; add the method")
        if still := [name for name in self.lrs if not METHODS[name].trains]:
            raise ConfigError(f"a learning rate is given for {', '.join(still)}, which takes no steps; leave it out")
        for name in self.methods:
            self.config(name, 0)

    def config(self, name: str, seed: int) -> TrainConfig:
        """Return the settings of one run of a method."""
        lr = {"lr": self.lrs[name]} if name in self.lrs else {}
        by_hash = {"dev_rule": BY_HASH.dev}  # as `promptbank.lab.run.compare` divides the examples
        return checked_config({**METHODS[name].training, **self.training, **by_hash, **lr, "seed": seed}, of=name)

    def runs(self) -> Iterator[tuple[str, int]]:
        """Yield every method with every seed."""
        return ((name, seed) for name in self.methods for seed in range(self.seeds))

    def described(self, name: str) -> JsonObject:
        """Return what decides the runs of a method beside the seed."""
        config = self.config(name, 0)
        decisive = {key: value for key, value in config.decisive().items() if key != "seed"}
        return {"settings": METHODS[name].settings(), "config": decisive, "trained_in": training_dtype(config.dtype)}


def run_compare(
    lab: Lab,
    comparison: MethodComparison,
    tasks: Sequence[Task],
    *,
    on_run: Callable[[str, int], None] = lambda *_: None,
) -> Path:
    """Run every method with every seed; a killed comparison goes on from its last finished run.

    Args:
        lab: home and backbone.
        comparison: what is compared.
        tasks: the task, and optionally a second one to be learnt after it.
        on_run: called with the method and seed that begin.

    Returns:
        The path of the result file, with `MEASURED` beside it. It holds ``methods``: for each ``method`` its
        ``settings`` and ``config``; of the seeds that it ran with ``score`` (accuracy or exact match), ``forgetting``
        and under ``metrics`` every share that the first task was scored by (each ``mean`` and ``sd`` over seeds, None
        where there is none), ``trainable``, ``stored_bytes`` and ``seeds``; and the ``reason`` where a seed failed.

    Raises:
        ConfigError: the second task is the first, or a task has fewer training examples than are asked for.
        TrainingError: the same comparison is under way in another process.
    """
    _check(comparison, tasks)
    identity = {
        "data": [{part: _digest(examples) for part, examples in vars(split).items()} for _, split in tasks],
        "rows": comparison.rows,
        "dev_sample": DEV_SAMPLE,
    }
    cards, notes = [card for card, _ in tasks], {"seeds": comparison.seeds}
    with lab.open("compare", cards, identity, notes) as folder:
        run = _Run(folder, lab, comparison, tasks)
        if lab.cluster is not None:
            run.learn_on_ray(lab.cluster)
        entries = [run.entry(name, on_run) for name in comparison.methods]
        write_json(folder.path / MEASURED, run.measured())
        return folder.finish({"methods": entries})


def _check(comparison: MethodComparison, tasks: Sequence[Task]) -> None:
    names = [f"{card.taskname}:{card.lang}" for card, _ in tasks]
    if len(set(names)) < len(names):
        raise ConfigError(f"{names[0]} cannot be learnt after itself; name another task with --then")
    for name, (_, split) in zip(names, tasks, strict=True):
        if comparison.rows is not None and not 1 <= comparison.rows <= len(split.train):
            raise ConfigError(f"{comparison.rows} of the {len(split.train)} training rows of {name}; ask for 1 to all")


def _digest(examples: Sequence[Example]) -> JsonObject:
    return {"rows": len(examples), "sha256": data_sha256(examples)}


@dataclass(frozen=True, eq=False)
class _Run:
    """One comparison under way."""

    folder: ExperimentFolder
    lab: Lab
    comparison: MethodComparison
    tasks: Sequence[Task]
    failures: dict[tuple[str, int], str] = field(default_factory=dict)

    def learn_on_ray(self, cluster: Bank) -> None:
        """Have every run that is not made yet made elsewhere, with what it cost there."""
        waiting = [
            MethodRun(self.comparison, self.tasks, name, seed)
            for name, seed in self.comparison.runs()
            if not self.folder.has(self._part(name, seed))
        ]
        made = map_on_ray(learn_run, cluster.settings, waiting, cluster.backbone.fingerprint)
        for number, (run, found) in enumerate(made, start=1):
            part = self._part(run.name, run.seed)
            if isinstance(found, str):
                self.failures[run.name, run.seed] = found
            else:
                result, cost = found
                self._write_cost(part, cost)
                self.folder.part(part, partial(dict, result))
            cluster.display.count(number, len(waiting), "runs made on Ray")

    def entry(self, name: str, on_run: Callable[[str, int], None]) -> JsonObject:
        """Return a method's entry: its runs up to the first that fails, and why it did.

        A failure is no part of the result, so it is tried again; later seeds are not tried, since mostly they fail for
        the same reason.
        """
        entry = {"method": name, **self.comparison.described(name)}
        done: list[JsonObject] = []
        for seed in range(self.comparison.seeds):
            on_run(name, seed)
            try:
                done.append(self.folder.part(self._part(name, seed), partial(self._learn, name, seed)))
            except (PromptBankError, TaskError) as exc:
                entry["reason"] = str(exc) if not done else f"seed {seed}: {exc}"
                break
        if not done:
            return entry
        entry |= {key: _spread([run[key] for run in done]) for key in ("score", "forgetting")}
        scored = [run["tasks"][0]["test"] for run in done]
        shares = [name for name, value in scored[0].items() if isinstance(value, float)]
        entry["metrics"] = {name: _spread([metrics[name] for metrics in scored]) for name in shares}
        return entry | {key: done[0][key] for key in ("trainable", "stored_bytes")} | {"seeds": done}

    def measured(self) -> JsonObject:
        """Return what the runs cost, by part."""
        paths = [self._cost_path(self._part(*run)) for run in self.comparison.runs()]
        return {path.stem: read_json(path) for path in paths if path.is_file()}

    def _part(self, name: str, seed: int) -> str:
        """Return the name of a run's part, with the hash of the method's settings."""
        return f"{name}-{short_hash(self.comparison.described(name))}.seed-{seed}"

    def _cost_path(self, part: str) -> Path:
        return self.folder.path / "measured" / f"{part}.json"

    def _learn(self, name: str, seed: int) -> JsonObject:
        """Make a part; what it cost is written first, so a finished part always has it."""
        if (name, seed) in self.failures:
            raise TrainingError(self.failures[name, seed])
        METHODS[name].ready()
        meter = CostMeter()
        learner = METHODS[name].begin(self.lab.backbone, self.lab.lm, self.comparison.config(name, seed))
        notes: list[JsonObject] = []

        def note(number: int, fit: LearningResult, scored: Sequence[TaskScores]) -> None:
            card, split = stream[number]
            notes.append({"task": f"{card.taskname}:{card.lang}", **_task_result(fit, split, scored[-1])})

        stream = [(card, self._drawn(split, seed)) for card, split in self.tasks]
        matrix = learn_stream(learner, stream, progress=self.lab.progress, on_learnt=meter.note, on_stage=note)
        self._write_cost(self._part(name, seed), meter.cost)
        size = learner.size(stream[0][0])
        return {
            "seed": seed,
            "score": matrix[0][0],
            "forgetting": stream_scores(matrix).forgetting if len(matrix) > 1 else None,
            "matrix": matrix,
            "trainable": size.trainable,
            "stored_bytes": size.stored_bytes,
            "tasks": notes,
        }

    def _write_cost(self, part: str, cost: Mapping[str, object]) -> None:
        path = self._cost_path(part)
        path.parent.mkdir(exist_ok=True)
        write_json(path, cost)

    def learn(self, name: str, seed: int) -> tuple[JsonObject, JsonObject]:
        """Return a run's part and what it cost."""
        part = self.folder.part(self._part(name, seed), partial(self._learn, name, seed))
        return part, read_json(self._cost_path(self._part(name, seed)))

    def _drawn(self, split: Split, seed: int) -> Split:
        rows = self.comparison.rows
        return split if rows is None else smaller_split(split, rows, seed=seed)


@dataclass(frozen=True, eq=False)
class MethodRun:
    """One run of a comparison, to be made in another process."""

    comparison: MethodComparison
    tasks: Sequence[Task]
    name: str
    seed: int


def learn_run(bank: Bank, run: MethodRun) -> tuple[JsonObject, JsonObject] | str:
    """Return the part of a run and what it cost, or why it failed; its folder is thrown away."""
    with TemporaryDirectory() as temporary:
        folder = ExperimentFolder("compare", Path(temporary), {})
        here = _Run(folder, Lab(folder.path, bank.backbone, bank.lm), run.comparison, run.tasks)
        try:
            return here.learn(run.name, run.seed)
        except (PromptBankError, TaskError) as exc:
            return str(exc)


def learn_stream(
    learner: Learner,
    stream: Sequence[Task],
    *,
    progress: Progress | None = None,
    on_learnt: Callable[[float], None] = lambda _: None,
    on_stage: Callable[[int, LearningResult, Sequence[TaskScores]], None] = lambda *_: None,
) -> list[list[float]]:
    """Learn tasks one after the other with one learner, and score all learnt tasks after each.

    Args:
        learner: has learnt nothing yet.
        stream: the tasks in order.
        progress: is told how trainings go.
        on_learnt: called with the seconds that learning a task took, before it is scored.
        on_stage: called with a task's number from 0, how learning it went, and the scores of tasks 0 to that number.

    Returns:
        The lower triangle of the accuracy matrix R (Lopez-Paz and Ranzato 2017): row i has the scores of tasks 0 to i
        on their test examples after task i was learnt.

    Raises:
        TrainingError: the stream is empty, or see `Learner.learn`.
        InputError: test examples could not be answered; raised before the first task is learnt.
    """
    if not stream:
        raise TrainingError("the stream has no task; give at least one")
    for card, split in stream:
        learner.check(card, split.test)
    matrix: list[list[float]] = []
    for number, (card, split) in enumerate(stream):
        begun = time.perf_counter()
        fit = learner.learn(card, split, progress)
        on_learnt(time.perf_counter() - begun)
        scored = [learner.evaluate(known, part.test) for known, part in stream[: number + 1]]
        on_stage(number, fit, scored)
        matrix.append([score_of(one) for one in scored])
    return matrix


def _task_result(fit: LearningResult, split: Split, scored: TaskScores) -> JsonObject:
    """Return what the result keeps of a task, right after it was learnt."""
    return {
        "sizes": {part: len(examples) for part, examples in vars(split).items()},
        "rows": len(split.train) if fit.rows is None else fit.rows,
        "warnings": [*fit.warnings, *warnings_of(scored.metrics)],
        "notes": list(fit.notes),
        "best_epoch": fit.best_epoch,
        "epochs": [report.as_dict() for report in fit.epochs],
        "test": scored.metrics,
        "predicted": {e.id: p for e, p in zip(split.test, scored.predicted, strict=True)},
    }


def _spread(values: Sequence[float | None]) -> dict[str, float | None]:
    """Return mean and sample standard deviation over seeds; None where there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return {"mean": None, "sd": None}
    found = mean_sd(known)
    return {"mean": found.mean, "sd": found.sd}
