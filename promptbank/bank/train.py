"""The use case of `promptbank train`: find cards and examples by name, then learn."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from promptbank.bank.cards import add_cards, chosen_card, examples_of_each
from promptbank.bank.learn import LearntTask, TrainingRequest, learn_tasks
from promptbank.bank.session import Bank
from promptbank.errors import InputError
from promptbank.training.config import checked_config
from tasks import read_data, split_dev, tasks_named

__all__ = ["train"]


def train(
    bank: Bank,
    *tasks: str,
    data: Sequence[str] | None = None,
    lang: str | None = None,
    card: str | None = None,
    columns: Mapping[str, str] | None = None,
    all_tasks: bool = False,
    settings: Mapping[str, object] | None = None,
) -> list[LearntTask]:
    """Learn one task, or several in shared batches, and make each one live.

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
        settings: by the names of `TrainConfig`; the defaults stand for the others.

    Returns:
        What was learnt, in the order of the tasks.

    Raises:
        ConfigError: faults of the settings, all at once.
        TaskError: no such card, or faults of the rows, all at once.
        InputError: no task is named, or tasks are named beside ``all_tasks``, or there are no examples.
        TrainingError: see `learn_tasks`.
    """
    config = checked_config(settings or {})
    named = _named(tasks, data, columns) if all_tasks else tasks
    store = bank.make()
    cards = [chosen_card(store, task, lang, card) for task in named or (None,)]
    cards = list({(one.taskname, one.lang): one for one in cards}.values()) if all_tasks else cards
    if card is not None and Path(card).is_file():
        add_cards(store, cards)
    lessons = []
    for chosen, found in zip(cards, examples_of_each(cards, data, columns=columns), strict=True):
        name = f"{chosen.taskname}:{chosen.lang}" if len(cards) > 1 else ""
        learn, dev = split_dev(found.examples, config.dev_fraction)
        told = f"{found.note}: {len(learn)} to train on, {len(dev)} for dev"
        bank.display.say(f"{name}: {told}" if name else told)
        lessons.append(TrainingRequest(chosen, learn, dev, config, name=name))
    return learn_tasks(store, bank.backbone, lessons, home=bank.settings.home, progress=bank.display, lm=bank.lm)


def _named(tasks: Sequence[str], data: Sequence[str] | None, columns: Mapping[str, str] | None) -> list[str]:
    """Return the tasks that the records of the data name."""
    if tasks or not data:
        raise InputError("all tasks of the data are to be learnt: give the data, and name no task beside it")
    return tasks_named(record for spec in data for record in read_data(spec, columns=columns))
