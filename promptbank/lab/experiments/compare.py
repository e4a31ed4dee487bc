"""Methods against each other on the same rows: what each scores, costs, and forgets when it learns a second task.

A cell of the ledger is one method with one seed; what is compared is no part of the experiment's identity, so another
method or seed is added to what is there. Seconds and memory of learning the first task lie apart from the
results, in ``measured.json`` beside ``result.json``, so two runs of one comparison end with equal results.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from promptbank.engine.evaluate import Evaluated, warnings_of
from promptbank.errors import ConfigError, PromptBankError
from promptbank.lab.experiments.learning_cost import Meter, Metered
from promptbank.lab.experiments.ledger import Ledger, open_ledger, short_hash, write_json
from promptbank.lab.experiments.trials import origin
from promptbank.lab.methods.learner import Fit
from promptbank.lab.methods.registry import METHODS, method_name
from promptbank.lab.methods.sequential import learn_stream
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.training.config import TrainConfig, checked_config
from promptbank.training.progress import Listener
from promptbank.training.prompts import training_dtype
from tasks import Example, Split, TaskCard, TaskError, data_sha256
from tasks.continual import stream_scores
from tasks.sampling import DEV_SAMPLE, smaller_split
from tasks.statistics import mean_sd

__all__ = ["BESIDE", "Compared", "Comparison", "run_compare"]

BESIDE = ("macro_f1", "intent_accuracy", "slot_f1")
"""Shares that are shown beside the score, where a task is scored by them."""

Task = tuple[TaskCard, Split]


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes:
        methods: names, with or without a version.
        seeds: each method runs with seeds 0 to ``seeds - 1``.
        rows: training rows of each task, drawn by the seed, the same for all methods, with the same share of the dev
            rows; None for all.
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
        return checked_config({**METHODS[name].training, **self.training, **lr, "seed": seed}, of=name)

    def runs(self) -> Iterator[tuple[str, int]]:
        """Yield every method with every seed."""
        return ((name, seed) for name in self.methods for seed in range(self.seeds))


@dataclass(frozen=True)
class Compared:
    """What came out.

    Attributes:
        path: the result file.
        methods: what it holds under ``methods``: for each ``method`` its ``settings`` and ``config``; of the seeds that
            it ran with ``score`` (accuracy or exact match) and ``forgetting``, and under ``metrics`` every share that
            the first task was scored by (each ``mean`` and ``sd`` over seeds, None where there is none),
            ``trainable``, ``stored_bytes`` and ``seeds``; and where it could not run with all of them the ``reason``.
        measured: by cell, ``train_seconds``, ``memory_bytes`` and ``peak_bytes`` of learning the first task.
    """

    path: Path
    methods: list[dict[str, Any]]
    measured: dict[str, dict[str, Any]]


def run_compare(
    home: Path,
    backbone: Backbone,
    lm: LanguageModel,
    comparison: Comparison,
    tasks: Sequence[Task],
    *,
    on_run: Callable[[str, int], None] = lambda *_: None,
    listener: Listener | None = None,
) -> Compared:
    """Run every method with every seed; a killed comparison goes on from its last finished run.

    Args:
        home: of the bank; the experiment lives in ``<home>/runs``.
        backbone: float32.
        lm: its forward passes.
        comparison: what is compared.
        tasks: the task, and optionally a second one to be learnt after it.
        on_run: told the method and seed that begin.
        listener: hears of progress.

    Raises:
        ConfigError: the second task is the first, or a task has fewer training rows than are asked for.
        TrainingError: the same comparison is under way in another process.
    """
    _check(comparison, tasks)
    about = {
        **origin(backbone, lm, [card for card, _ in tasks]),
        "data": [{part: _digest(rows) for part, rows in vars(split).items()} for _, split in tasks],
        "rows": comparison.rows,
        "dev_sample": DEV_SAMPLE,
    }
    aside = {"backbone": backbone.name, "seeds": comparison.seeds}
    with open_ledger(home, "compare", about, aside) as ledger:
        bench = _Bench(ledger, backbone, lm, comparison, tasks, listener)
        entries = [bench.entry(name, on_run) for name in comparison.methods]
        measured = bench.measured()
        write_json(ledger.folder / "measured.json", measured)
        return Compared(ledger.finish({"methods": entries}), entries, measured)


def _check(comparison: Comparison, tasks: Sequence[Task]) -> None:
    names = [f"{card.taskname}:{card.lang}" for card, _ in tasks]
    if len(set(names)) < len(names):
        raise ConfigError(f"{names[0]} cannot be learnt after itself; name another task with --then")
    for name, (_, split) in zip(names, tasks, strict=True):
        if comparison.rows is not None and not 1 <= comparison.rows <= len(split.train):
            raise ConfigError(f"{comparison.rows} of the {len(split.train)} training rows of {name}; ask for 1 to all")


def _digest(rows: Sequence[Example]) -> dict[str, Any]:
    return {"rows": len(rows), "sha256": data_sha256(rows)}


def _described(comparison: Comparison, name: str) -> dict[str, Any]:
    config = comparison.config(name, 0)
    told = {key: value for key, value in config.decisive().items() if key != "seed"}
    return {"settings": METHODS[name].settings(), "config": told, "trained_in": training_dtype(config.dtype)}


@dataclass(frozen=True, eq=False)
class _Bench:
    """One comparison under way."""

    ledger: Ledger
    backbone: Backbone
    lm: LanguageModel
    comparison: Comparison
    tasks: Sequence[Task]
    listener: Listener | None

    def entry(self, name: str, on_run: Callable[[str, int], None]) -> dict[str, Any]:
        """Return a method's line: its runs up to the first that fails, and why it did.

        A failure is no cell, so it is tried again; later seeds are not tried, since mostly they fail for the same.
        """
        entry = {"method": name, **_described(self.comparison, name)}
        cells: list[dict[str, Any]] = []
        for seed in range(self.comparison.seeds):
            on_run(name, seed)
            try:
                cells.append(self.ledger.cell(self._cell(name, seed), partial(self._run, name, seed)))
            except (PromptBankError, TaskError) as exc:
                entry["reason"] = str(exc) if not cells else f"seed {seed}: {exc}"
                break
        if not cells:
            return entry
        entry |= {key: _spread([cell[key] for cell in cells]) for key in ("score", "forgetting")}
        scored = [cell["tasks"][0]["test"] for cell in cells]
        shares = [name for name, value in scored[0].items() if isinstance(value, float)]
        entry["metrics"] = {name: _spread([metrics[name] for metrics in scored]) for name in shares}
        return entry | {key: cells[0][key] for key in ("trainable", "stored_bytes")} | {"seeds": cells}

    def measured(self) -> dict[str, dict[str, Any]]:
        """Return what the runs cost."""
        paths = [self._measured_path(self._cell(*run)) for run in self.comparison.runs()]
        return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()}

    def _cell(self, name: str, seed: int) -> str:
        """Return the name of a run's cell, with the hash of the method's settings."""
        return f"{name}-{short_hash(_described(self.comparison, name))}.seed-{seed}"

    def _measured_path(self, cell: str) -> Path:
        return self.ledger.folder / "measured" / f"{cell}.json"

    def _run(self, name: str, seed: int) -> dict[str, Any]:
        """Make a cell; what it cost is written first, so a cell always has it."""
        METHODS[name].ready()
        meter = Meter()
        learner = METHODS[name].begin(self.backbone, self.lm, self.comparison.config(name, seed))
        metered = Metered(learner, meter)
        notes: list[dict[str, Any]] = []

        def note(number: int, fit: Fit, scored: Sequence[Evaluated]) -> None:
            card, split = stream[number]
            notes.append({"task": f"{card.taskname}:{card.lang}", **_note(fit, split, scored[-1])})

        stream = [(card, self._drawn(split, seed)) for card, split in self.tasks]
        matrix = learn_stream(metered, stream, listener=self.listener, on_stage=note)
        path = self._measured_path(self._cell(name, seed))
        path.parent.mkdir(exist_ok=True)
        write_json(path, meter.cost)
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

    def _drawn(self, split: Split, seed: int) -> Split:
        rows = self.comparison.rows
        return split if rows is None else smaller_split(split, rows, seed=seed)


def _note(fit: Fit, split: Split, scored: Evaluated) -> dict[str, Any]:
    """What is kept of a task, right after it was learnt."""
    return {
        "sizes": {part: len(rows) for part, rows in vars(split).items()},
        "rows": len(split.train) if fit.rows is None else fit.rows,
        "warnings": [*fit.warnings, *warnings_of(scored.metrics)],
        "notes": list(fit.notes),
        "best_epoch": fit.best_epoch,
        "epochs": [report.as_dict() for report in fit.epochs],
        "test": scored.metrics,
        "predicted": {e.id: p for e, p in zip(split.test, scored.predicted, strict=True)},
    }


def _spread(values: Sequence[float | None]) -> dict[str, float | None]:
    """Mean and sample standard deviation over seeds; None where there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return {"mean": None, "sd": None}
    found = mean_sd(known)
    return {"mean": found.mean, "sd": found.sd}
