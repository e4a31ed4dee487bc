"""Learn tasks by name: find cards and rows, train, freeze, measure, make live."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from promptbank.bank.cards import add_cards, chosen_card, examples_of_each
from promptbank.bank.learn import LearntTask, TrainingRequest, learn_tasks
from promptbank.bank.session import Bank
from promptbank.training.config import checked_config
from tasks import split_dev

__all__ = ["train"]


def train(
    bank: Bank,
    *tasks: str,
    data: Sequence[str] | None = None,
    lang: str | None = None,
    card: str | None = None,
    settings: Mapping[str, object] | None = None,
) -> list[LearntTask]:
    """Learn one task, or several in shared batches, and make each one live.

    A training that was killed goes on when it is asked for again.

    Args:
        bank: the bank.
        tasks: ``taskname[:lang]`` each; may be left out with a card file that holds one task.
        data: JSONL files, datasets folders or hub ids; the shipped sample if absent. For several tasks each record
            names its own.
        lang: language of tasks that name none.
        card: a card file, which is added to the bank, or a built-in variant.
        settings: by the names of `TrainConfig`; the defaults stand for the others.

    Returns:
        What was learnt, in the order of the tasks.

    Raises:
        ConfigError: faults of the settings, all at once.
        TaskError: no such card, or faults of the rows, all at once.
        InputError: no task is named, or there are no rows.
        TrainingError: see `learn_tasks`.
    """
    config = checked_config(settings or {})
    cards = [chosen_card(bank.store, task, lang, card) for task in tasks or (None,)]
    if card is not None and Path(card).is_file():
        add_cards(bank.store, cards)
    lessons = []
    for chosen, found in zip(cards, examples_of_each(cards, data), strict=True):
        name = f"{chosen.taskname}:{chosen.lang}" if len(cards) > 1 else ""
        learn, dev = split_dev(found.examples, config.dev_fraction)
        told = f"{found.note}: {len(learn)} to train on, {len(dev)} for dev"
        bank.display.say(f"{name}: {told}" if name else told)
        lessons.append(TrainingRequest(chosen, learn, dev, config, name=name))
    return learn_tasks(bank.store, bank.backbone, lessons, home=bank.settings.home, progress=bank.display, lm=bank.lm)
