"""The use case of `promptbank train`: find cards and examples by name, then learn."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from promptbank.bank.cards import ExampleSet, add_cards, chosen_card, examples_of_each
from promptbank.bank.dataset import look_at
from promptbank.bank.learn import LearntTask, TrainingRequest, learn_tasks
from promptbank.bank.live import live_rule
from promptbank.bank.session import Bank
from promptbank.errors import ConfigError, InputError
from promptbank.training.config import GIVEN_DEV, TrainConfig, checked_config
from promptbank.training.examples import training_renderer
from tasks import Example, SplitError, TaskCard, check_labels, given_dev, read_data, split_dev, tasks_named

__all__ = ["train"]


def train(
    bank: Bank,
    *tasks: str,
    data: Sequence[str] | None = None,
    lang: str | None = None,
    card: str | None = None,
    columns: Mapping[str, str] | None = None,
    all_tasks: bool = False,
    dev_data: Sequence[str] | None = None,
    live: str = "gated",
    settings: Mapping[str, object] | None = None,
) -> list[LearntTask]:
    """Learn one task, or several in shared batches, and make each one live that is not worse than the live one.

    A training that was killed goes on when it is asked for again.

    Args:
        bank: the bank.
        tasks: ``taskname[:lang]`` each; may be left out with a card file that holds one task.
        data: files, datasets folders or hub ids; the shipped sample if absent. For several tasks each record names its
            own; records of tasks that are not learnt are left out, and counted in what is said.
        lang: language of tasks that name none.
        card: a card file, which is added to the bank, or a built-in variant.
        columns: the column of the data that each named field is taken from.
        all_tasks: learn every task that a record of the data names, in place of ``tasks``.
        dev_data: as ``data``, the examples that choose the epoch; a part of the data if absent.
        live: a key of `LIVE_RULES`: whether ``live`` moves to the new row.
        settings: by the names of `TrainConfig`; the defaults stand for the others.

    Returns:
        What was learnt, in the order of the tasks.

    Raises:
        ConfigError: faults of the settings, all at once.
        TaskError: no such card, or faults of the examples, all at once; all examples have one label.
        InputError: no task is named, or tasks are named beside ``all_tasks``, or there are no examples.
        TrainingError: see `learn_tasks`.
    """
    config = _config(settings or {}, dev_data)
    named = _named(tasks, data, columns) if all_tasks else tasks
    store = bank.make()
    cards = [chosen_card(store, task, lang, card) for task in named or (None,)]
    cards = list({(one.taskname, one.lang): one for one in cards}.values()) if all_tasks else cards
    if card is not None and Path(card).is_file():
        add_cards(store, cards)
    found = examples_of_each(cards, data, columns=columns)
    apart = examples_of_each(cards, dev_data, part="validation", columns=columns) if dev_data else [None] * len(cards)
    requests = [
        _request(bank, chosen, config, known, given, live, is_named=len(cards) > 1)
        for chosen, known, given in zip(cards, found, apart, strict=True)
    ]
    return learn_tasks(store, bank.backbone, requests, home=bank.settings.home, progress=bank.display, lm=bank.lm)


def _request(
    bank: Bank,
    card: TaskCard,
    config: TrainConfig,
    known: ExampleSet,
    given: ExampleSet | None,
    live: str,
    *,
    is_named: bool,
) -> TrainingRequest:
    """Divide a task's examples, tell how many there are, and look at them as a whole."""
    name = f"{card.taskname}:{card.lang}" if is_named else ""
    check_labels(known.examples, card)
    learn, dev = _divided(card, config, known.examples, given.examples if given else None)
    beside = f"; dev: {given.note}" if given else ""
    told = f"{known.note}{beside}: {len(learn)} to train on, {len(dev)} for dev"
    bank.display.say(f"{name}: {told}" if name else told)
    renderer = training_renderer(bank.backbone, card, config)
    report = look_at(bank.display, card, {"train": learn, "dev": dev}, renderer=renderer)
    return TrainingRequest(card, learn, dev, config, name=name, live_rule=live_rule(live), report=report)


def _config(settings: Mapping[str, object], dev_data: Sequence[str] | None) -> TrainConfig:
    """Check the settings; dev data of their own are recorded as the dev rule."""
    if dev_data and (given := sorted({"dev_rule", "dev_fraction"} & settings.keys())):
        raise ConfigError(f"dev data are given, so {' and '.join(given)} would decide nothing; leave that out")
    config = checked_config({**settings, "dev_rule": GIVEN_DEV} if dev_data else settings)
    if config.dev_rule == GIVEN_DEV and not dev_data:
        raise ConfigError(f"dev_rule is {GIVEN_DEV}, which needs dev data: name them with --dev-data")
    return config


def _divided(
    card: TaskCard, config: TrainConfig, known: Sequence[Example], given: Sequence[Example] | None
) -> tuple[list[Example], list[Example]]:
    """Divide examples into train and dev, or keep the given dev examples apart."""
    if given is not None:
        return given_dev(known, given)
    try:
        return split_dev(known, config.dev_fraction, config.split_rules(card))
    except SplitError as exc:
        raise SplitError(f"{card.taskname}:{card.lang}: {exc}; see --dev-fraction and --dev-data") from exc


def _named(tasks: Sequence[str], data: Sequence[str] | None, columns: Mapping[str, str] | None) -> list[str]:
    """Return the tasks that the records of the data name."""
    if tasks or not data:
        raise InputError("all tasks of the data are to be learnt: give the data, and name no task beside it")
    return tasks_named(record for spec in data for record in read_data(spec, columns=columns))
