"""A stream of tasks to be learnt one after the other, read from a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from promptbank.bank.cards import chosen_card, examples_of
from promptbank.errors import ConfigError
from promptbank.lab.methods.registry import METHODS, method_name
from promptbank.lab.methods.tuning import TuningMethod
from promptbank.training.config import FROM, NEAREST, TrainConfig, checked_config
from store import Store
from tasks import Example, Split, SplitError, TaskCard, crossval_split, given_split, parse_spec
from tasks.sampling import first_examples, smaller_split

__all__ = ["Stage", "Stream", "read_stream"]

FULL = "full.v1"
Part = Literal["train", "test"]
ONE_SOURCE = "give either data (fold `fold` of its `folds` is the test part), or train and test"


class _Entry(BaseModel):
    """One ``[[experience]]`` of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    card: str | None = None
    data: list[str] | None = None
    folds: int = Field(10, ge=2)
    fold: int = Field(0, ge=0)
    train: list[str] | None = None
    test: list[str] | None = None
    train_rows: int | None = Field(None, ge=1)
    test_rows: int | None = Field(None, ge=1)
    config: dict[str, object] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self) -> _Entry:
        given = self.model_fields_set
        files, folds = given & {"train", "test"}, given & {"data", "folds", "fold"}
        if self.data is not None and files:
            raise ValueError(f"{' and '.join(sorted(files))} beside data: {ONE_SOURCE}")
        if self.data is None and (self.train is None or self.test is None):
            raise ValueError(ONE_SOURCE)
        if self.data is None and folds:
            raise ValueError(f"{' and '.join(sorted(folds))} beside train and test: {ONE_SOURCE}")
        if self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} of {self.folds}; folds are numbered 0 to {self.folds - 1}")
        return self


class _File(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    config: dict[str, object] = Field(default_factory=dict)
    contrast: dict[str, object] = Field(default_factory=dict)
    experience: list[_Entry] = Field(min_length=1)


@dataclass(frozen=True, eq=False)
class Stage:
    """One task of a stream, with its examples and settings."""

    card: TaskCard
    split: Split
    config: TrainConfig

    @property
    def name(self) -> str:
        """``taskname:lang``."""
        return f"{self.card.taskname}:{self.card.lang}"


@dataclass(frozen=True, eq=False)
class Stream:
    """Tasks in the order in which they are learnt.

    Attributes:
        name: of the stream.
        stages: the tasks.
        contrast: settings in which fine-tuning differs from the first task's.
        method: of the fine-tuning, a key of `METHODS`.
    """

    name: str
    stages: tuple[Stage, ...]
    contrast: Mapping[str, object] = field(default_factory=dict)
    method: str = FULL


def read_stream(path: Path, store: Store | None) -> Stream:
    """Read a stream; files that it names lie beside it.

    Args:
        path: TOML with ``name``, settings of all trainings under ``[config]``, and an ``[[experience]]`` a task:
            ``task``, optionally ``card``, and ``data`` (of which fold ``fold`` of ``folds`` is the test part) or
            ``train`` and ``test``; ``train_rows`` and ``test_rows`` keep nested hash samples; ``config``. Settings of
            the fine-tuning it is compared with under ``[contrast]``, and its ``method``: full, full-body, lora or
            bitfit. Dev examples are as many for each training example as the whole set has.
        store: for the cards that were added to the bank.

    Raises:
        ConfigError: all faults of the file at once; a task that stands twice; more examples asked for than there are;
            a group in both train and test.
        TaskError: a card or a data file is faulty.
    """
    try:
        found = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"the stream {path} cannot be read: {exc}") from exc
    except ValidationError as exc:
        faults = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors()]
        raise ConfigError(f"the stream {path} is faulty: {'; '.join(faults)}") from exc
    contrast = dict(found.contrast)
    method = _tuning_method(str(contrast.pop("method", FULL)))
    checked_config({**found.config, **contrast}, of="contrast")
    stages = tuple(_stage(entry, found.config, path.parent, store) for entry in found.experience)
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names):
        raise ConfigError(f"the stream {path} has a task twice: {', '.join(names)}")
    if lost := [f"{s.name} starts {s.config.init}" for i, s in enumerate(stages) if not _can_start(s, stages[:i])]:
        raise ConfigError(f"the stream {path}: {'; '.join(lost)}, which no task before it is; change the order or init")
    return Stream(found.name, stages, contrast, method)


def _can_start(stage: Stage, before: Sequence[Stage]) -> bool:
    """Return whether the row that a training starts from is there by then; the stream's own bank has no other rows."""
    if not stage.config.init.startswith(FROM):
        return bool(before) or stage.config.init != NEAREST
    ref = parse_spec(stage.config.init.removeprefix(FROM))
    return any(s.card.taskname == ref.taskname and ref.lang in (None, s.card.lang) for s in before)


def _tuning_method(asked: str) -> str:
    name = method_name(asked)
    if not isinstance(METHODS[name], TuningMethod):
        tuning = [known.rpartition(".")[0] for known, method in METHODS.items() if isinstance(method, TuningMethod)]
        raise ConfigError(f"method {asked!r} of contrast changes no weights; possible: {', '.join(tuning)}")
    return name


def _stage(entry: _Entry, shared: Mapping[str, object], folder: Path, store: Store | None) -> Stage:
    near = None if entry.card is None else folder / entry.card
    card = chosen_card(store, entry.task, None, str(near) if near and near.is_file() else entry.card)
    config = checked_config({**shared, **entry.config}, of=entry.task)
    split = _whole_split(entry, card, folder, config)
    for key, there in (("train_rows", len(split.train)), ("test_rows", len(split.test))):
        if (asked := getattr(entry, key) or there) > there:
            raise ConfigError(f"{entry.task}: {key} is {asked}, and there are {there}; ask for at most so many")
    split = smaller_split(split, entry.train_rows or len(split.train), seed=config.seed)
    if entry.test_rows:
        split = replace(split, test=tuple(first_examples(split.test, entry.test_rows, seed=config.seed)))
    return Stage(card, split, config)


def _whole_split(entry: _Entry, card: TaskCard, folder: Path, config: TrainConfig) -> Split:
    if entry.data is not None:
        known = _read(card, folder, entry.data)
        return crossval_split(known, entry.folds, entry.fold, config.dev_fraction, rules=config.split_rules(card))
    known, test = _read(card, folder, entry.train or []), _read(card, folder, entry.test or [], "test")
    try:
        return given_split(known, test, config.dev_fraction, config.split_rules(card))
    except SplitError as exc:
        raise ConfigError(f"{entry.task}: {exc}") from exc


def _read(
    card: TaskCard, folder: Path, data: Sequence[str], part: Literal["train", "test"] = "train"
) -> Sequence[Example]:
    near = [str(folder / name) if (folder / name).exists() else name for name in data]
    return examples_of(card, near, part=part).examples
