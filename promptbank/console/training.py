"""Train: labelled records and a card are checked and put into the queue, which is followed while it is worked off."""

import json
from collections.abc import Mapping

from starlette.responses import Response

from promptbank.bank.cards import known_cards
from promptbank.bank.kept_answers import AnsweredTask
from promptbank.bank.live import LIVE_RULES
from promptbank.bank.run_overview import run_points
from promptbank.bank.training_queue import CheckedTraining, checked_training, read_card
from promptbank.console.app import Console, Page, Visit
from promptbank.console.following import Followed, follow
from promptbank.errors import ConfigError, InputError
from store import QueuedTraining
from tasks import CardError, DataError, TaskError, read_records

__all__ = ["PAGES"]

TRAIN = frozenset({"train"})
MOST_BYTES = 8 * 2**20
"""Of the form with the records; more are trained from a file by `promptbank train`."""
SETTINGS = ("epochs", "lr", "seed", "init", "kind")
"""Of the form; empty ones have their defaults."""
FIELDS = ("task", "card", "records", "live", *SETTINGS)


def form(console: Console, visit: Visit) -> Response:
    """Show the form and the queue; the records may be what people decided about a task's answers."""
    records = ""
    if name := visit.asked("answers"):
        records = AnsweredTask(console.bank.store, name, console.server.backbone.fingerprint).training_lines()
    return _shown(console, visit, records=records)


def ask(console: Console, visit: Visit) -> Response:
    """Check the card alone, or all that is to be trained, and put it into the queue if that is asked for."""
    do = visit.form.text("do")
    try:
        if do == "card":
            card = read_card(visit.form.text("card"))
            return _shown(console, visit, told=f"The card of {card.taskname}:{card.lang} is sound.")
        checked = _checked(console, visit)
    except (TaskError, ConfigError, InputError) as exc:
        faults = exc.faults if isinstance(exc, (CardError, DataError)) else (exc,)
        return _shown(console, visit, faults=[str(one) for one in faults])
    if do == "start":
        console.bank.store.trainings.add(checked.new)
        return visit.go("/train")
    return _shown(console, visit, checked=checked)


def _checked(console: Console, visit: Visit) -> CheckedTraining:
    form = visit.form
    sources = [("the pasted records", form.text("records").encode()), form.files.get("file", ("", b""))]
    records = [one for name, content in sources if content.strip() for one in read_records(content, name=name)]
    settings = {name: _value(text) for name in SETTINGS if (text := form.text(name).strip())}
    return checked_training(
        console.bank.make(),
        task=form.text("task"),
        card=form.text("card"),
        records=records,
        settings=settings,
        live=form.text("live") or LIVE_RULES[0],
        asked_by=visit.person,
    )


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _shown(
    console: Console,
    visit: Visit,
    *,
    faults: list[str] | None = None,
    told: str = "",
    records: str = "",
    checked: CheckedTraining | None = None,
) -> Response:
    cards = known_cards(console.bank.store)
    shown: dict[str, object] = {
        "names": sorted({f"{card.taskname}:{card.lang}" for card in cards}),
        "asked": {name: visit.said(name) for name in FIELDS} | ({"records": records} if records else {}),
        "live_rules": LIVE_RULES,
        "settings": SETTINGS,
        "faults": faults or [],
        "told": told,
        "checked": checked,
        "most": MOST_BYTES // 2**20,
    }
    return console.show(visit, "train.html", {**shown, **_queue(console).values}, 422 if faults else 200)


def _queue(console: Console) -> Followed:
    """Return the queue, newest first, with the curve of what is trained."""
    store, found = console.bank.store, console.bank.store.trainings.list()[::-1]
    points = {one.training_id: run_points(store, one.run_id) for one in found if _runs(one) and one.run_id}
    values: Mapping[str, object] = {"queue": found, "points": points}
    state = [(one.training_id, one.state) for one in found], {key: len(curve) for key, curve in points.items()}
    return Followed(values, state, not any(_runs(one) or one.state == "waiting" for one in found))


def _runs(one: QueuedTraining) -> bool:
    return one.state in ("running", "stopping")


def events(console: Console, visit: Visit) -> Response:
    """Send the queue whenever it changes."""
    return follow(console, visit, "train_queue.html", lambda: _queue(console))


def change(console: Console, visit: Visit) -> Response:
    """Stop, resume or remove a training of the queue."""
    trainings, number = console.bank.store.trainings, visit.form.text("id")
    changes = {"stop": trainings.stop, "resume": trainings.resume, "remove": trainings.remove}
    do = changes.get(visit.form.text("do"))
    if do is None or not number.isdecimal() or len(number) > 9:
        raise InputError("a training of the queue can be stopped, resumed or removed")
    do(int(number))
    return visit.go("/train")


PAGES = (
    Page("/train", form, TRAIN),
    Page("/train", ask, TRAIN, "POST", MOST_BYTES),
    Page("/train/events", events, TRAIN),
    Page("/train/change", change, TRAIN, "POST"),
)
