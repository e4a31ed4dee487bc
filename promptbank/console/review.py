"""Review: one translated record a screen, decided by keys or buttons; decisions are those of ``review.csv``."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from starlette.responses import Response

from promptbank.console.app import Console, Page, Visit
from promptbank.errors import InputError
from promptbank.mt.memory import apply_overrides
from promptbank.mt.review import ITEMS, decided_pair
from promptbank.mt.review_log import ItemState, ReviewLog, ReviewState
from promptbank.mt.translation import REQUEST, read_request, translate
from translate.errors import ReviewError
from translate.records.record import Span
from translate.review.items import ReviewItem, annotate, flagged, parse_annotated
from translate.review.table import write_items

__all__ = ["PAGES"]

REVIEW = frozenset({"review"})
FILTER = ("set", "flag", "state", "which", "q")
STATES = ("open", "decided", "all")
COLOURS = 6
ATTEMPTS = 9
"""Attempts that have a key."""
RATED = 20
"""Decisions over which a person's rate is measured."""


@dataclass(frozen=True)
class Filter:
    """Which records of which set are looked at; it stands in the address."""

    set: str
    flag: str
    state: str
    which: str
    q: str

    @classmethod
    def of(cls, visit: Visit) -> "Filter":
        """Read it from a form or an address."""
        said = {name: visit.form.text(name) or visit.asked(name) for name in FILTER}
        said["state"] = said["state"] if said["state"] in STATES else "open"
        return cls(**said)

    def base(self, items: Sequence[ReviewItem]) -> list[ReviewItem]:
        """Return the records that ``review.csv`` has, or all of the set."""
        return list(items) if self.which == "all" else flagged(items)

    def takes(self, item: ReviewItem, state: ItemState) -> bool:
        """Whether an item is among those that are looked at."""
        if self.state != "all" and bool(state.decision) != (self.state == "decided"):
            return False
        if self.flag and self.flag not in flags_left(item, state):
            return False
        text = f"{item.source} {item.translation} {item.label} {item.row_id}".casefold()
        return self.q.casefold() in text

    def query(self, **more: object) -> dict[str, object]:
        """Return it as the query of an address."""
        return {name: getattr(self, name) for name in FILTER} | more


@dataclass(frozen=True)
class ReviewSet:
    """A translated folder, its items, and what is decided about them."""

    name: str
    folder: Path
    log: ReviewLog
    items: Sequence[ReviewItem]
    state: ReviewState

    @property
    def decided(self) -> int:
        """How many of the records that a person should look at are decided."""
        return sum(bool(self.state.of(one.source_hash).decision) for one in flagged(self.items))


def flags_left(item: ReviewItem, state: ItemState) -> list[str]:
    """Return the names of an item's flags that nobody dismissed."""
    return [name for flag in item.flags if (name := flag.partition(":")[0]) not in state.dismissed]


def sets(console: Console, visit: Visit) -> Response:
    """List the translated sets that can be reviewed."""
    found = [_opened(name, folder) for name, folder in _folders(console).items()]
    shown = {"found": [(one, len(flagged(one.items))) for one in found], "folders": console.review}
    return console.show(visit, "review_sets.html", shown)


def record(console: Console, visit: Visit) -> Response:
    """Show one record: the one that is asked for, or the next that the filter takes."""
    wanted, opened = Filter.of(visit), _asked(console, visit)
    return _record(console, visit, wanted, opened, _place(visit, wanted, opened))


def decide(console: Console, visit: Visit) -> Response:
    """Take a decision about one record and go on to the next; one that could not be written is told at once."""
    wanted, opened, form = Filter.of(visit), _asked(console, visit), visit.form
    key = form.text("hash")
    item = next((one for one in opened.items if one.source_hash == key), None)
    if item is None:
        raise InputError("the set has no such record any more; go back to the list")
    new, seen = _decision(item, opened.state.of(key), visit), form.text("revision")
    try:
        opened.log.decide(_person(visit), {key: new}, {key: int(seen) if seen.isdecimal() else 0})
    except (ReviewError, InputError) as exc:
        told = exc.faults if isinstance(exc, ReviewError) else (str(exc),)
        return _record(console, visit, wanted, _asked(console, visit), item, told, new.text, 422)
    return visit.go("/review/record", **wanted.query(after=key))


def decide_all(console: Console, visit: Visit) -> Response:
    """Take one decision about all open records that the filter takes."""
    wanted, opened, form = Filter.of(visit), _asked(console, visit), visit.form
    wanted = replace(wanted, state="open")
    found = [one.source_hash for one in _matching(wanted, opened)]
    if form.text("count") != f"{len(found)}":
        raise InputError(f"the filter takes {len(found)} open records now, not {form.text('count')}; look again")
    if form.text("do") not in ("ok", "drop"):
        raise InputError("decide ok or drop for all of them")
    changes = {key: replace(opened.state.of(key), decision=form.text("do"), text="") for key in found}
    opened.log.decide(_person(visit), changes, opened.state.revisions)
    return visit.go("/review/record", **wanted.query())


def undo(console: Console, visit: Visit) -> Response:
    """Take back this person's last decision and show its record."""
    wanted, opened = Filter.of(visit), _asked(console, visit)
    keys = opened.log.undo(_person(visit))
    return visit.go("/review/record", **wanted.query(at=keys[0] if keys else ""))


def table(console: Console, visit: Visit) -> Response:
    """Send ``review.csv`` with the decisions in it."""
    opened = _asked(console, visit)
    answers = {one.source_hash: one for one in opened.state.answers(opened.items)}
    headers = {"content-disposition": 'attachment; filename="review.csv"'}
    text = write_items(Filter.of(visit).base(opened.items), answers)
    return Response(text, headers=headers, media_type="text/csv; charset=utf-8")


def apply(console: Console, visit: Visit) -> Response:
    """Keep all decisions in the bank, and write the set again with them if it is said how it was made."""
    opened, store = _asked(console, visit), console.bank.make()
    pair = decided_pair(list(opened.items), None, None)
    kept = opened.log.apply(_person(visit), lambda overrides: apply_overrides(store, *pair, overrides))
    written = None
    if visit.form.text("write"):
        written = translate(console.bank, read_request(opened.folder))[0].counts()
    return console.show(visit, "review_applied.html", {"kept": kept, "set": opened, "written": written})


def _folders(console: Console) -> dict[str, Path]:
    """Return the folders with items below those that the console was started with, by a name for the address."""
    found = sorted({path.parent for root in console.review for path in (*root.glob(ITEMS), *root.glob(f"*/{ITEMS}"))})
    names = Counter(path.name for path in found)
    return {path.name if names[path.name] == 1 else str(path): path for path in found}


@lru_cache(maxsize=4)
def _items(folder: Path, _modified: int) -> tuple[ReviewItem, ...]:
    return tuple(ReviewLog(folder).items())


def _opened(name: str, folder: Path) -> ReviewSet:
    log = ReviewLog(folder)
    return ReviewSet(name, folder, log, _items(folder, (folder / ITEMS).stat().st_mtime_ns), log.state())


def _asked(console: Console, visit: Visit) -> ReviewSet:
    name = visit.form.text("set") or visit.asked("set")
    folders = _folders(console)
    if name not in folders:
        raise InputError(f"there is no translated set {name!r} here; sets: {', '.join(folders) or 'none'}")
    return _opened(name, folders[name])


def _person(visit: Visit) -> str:
    return visit.session.key or "this machine"


def _matching(wanted: Filter, opened: ReviewSet) -> list[ReviewItem]:
    return [one for one in wanted.base(opened.items) if wanted.takes(one, opened.state.of(one.source_hash))]


def _place(visit: Visit, wanted: Filter, opened: ReviewSet) -> ReviewItem | None:
    """Return the item that the address means, or the next one after or before it; None where none is left."""
    keys = {one.source_hash: place for place, one in enumerate(opened.items)}
    if (at := visit.asked("at")) in keys:
        return opened.items[keys[at]]
    found = _matching(wanted, opened)
    if (after := keys.get(visit.asked("after"))) is not None:
        return next((one for one in found if keys[one.source_hash] > after), found[0] if found else None)
    if (before := keys.get(visit.asked("before"))) is not None:
        return next((one for one in reversed(found) if keys[one.source_hash] < before), found[-1] if found else None)
    return found[0] if found else None


def _record(
    console: Console,
    visit: Visit,
    wanted: Filter,
    opened: ReviewSet,
    item: ReviewItem | None,
    faults: Sequence[str] = (),
    text: str = "",
    status: int = 200,
) -> Response:
    base, state = wanted.base(opened.items), opened.state
    found = _matching(wanted, opened)
    flags = Counter(name for one in base for name in flags_left(one, state.of(one.source_hash)))
    shown = {
        "wanted": wanted,
        "set": opened,
        "found": len(found),
        "place": found.index(item) + 1 if item in found else 0,
        "decided": sum(bool(state.of(one.source_hash).decision) for one in base),
        "base": len(base),
        "flags": flags.most_common(),
        "states": STATES,
        "open": len(_matching(replace(wanted, state="open"), opened)),
        "rate": _rate(state, _person(visit)),
        "can_write": (opened.folder / REQUEST).is_file(),
        "faults": faults,
        "item": None,
    }
    answer = console.show(visit, "review_record.html", shown | (_shown(item, state, text) if item else {}), status)
    if item and "hx-request" in visit.request.headers and not faults:
        answer.headers["hx-push-url"] = visit.url("/review/record", wanted.query(at=item.source_hash))
    return answer


def _shown(item: ReviewItem, state: ReviewState, text: str) -> dict[str, object]:
    """Return the parts of a record's page."""
    mine = state.of(item.source_hash)
    source, spans = parse_annotated(item.source, item.slot_types)
    return {
        "item": item,
        "mine": mine,
        "revision": state.revisions.get(item.source_hash, 0),
        "source": _stretches(source, spans, item),
        "translation": _stretches(item.text, item.spans, item),
        "left": flags_left(item, mine),
        "others": [
            _stretches(*parse_annotated(_marked(item, other), item.slot_types), item)
            for other in item.others[:ATTEMPTS]
        ],
        "edited": text or mine.text or item.translation,
    }


def _stretches(text: str, spans: Sequence[Span], item: ReviewItem) -> list[tuple[str, str, int]]:
    """Return a text in stretches: what it says, the type of its span if it is one, and the number of a colour."""
    types = list(dict.fromkeys(item.slot_types))
    found, at = [], 0
    for span in sorted(spans):
        found += [(text[at : span.start], "", 0), (span.of(text), span.type, types.index(span.type) % COLOURS)]
        at = span.end
    return [one for one in (*found, (text[at:], "", 0)) if one[0]]


def _decision(item: ReviewItem, before: ItemState, visit: Visit) -> ItemState:
    """Return the state that a form asks for."""
    form, note = visit.form, visit.form.text("note").strip() or before.note
    do, _, number = form.text("do").partition(" ")
    new = replace(before, note=note, text="")
    match do:
        case "ok" | "drop" | "undo":
            return replace(new, decision=do)
        case "edit" | "edit!":
            return replace(new, decision=do, text=form.text("text"))
        case "take" if number.isdecimal() and 0 < int(number) <= len(item.others):
            return replace(new, decision="edit", text=_marked(item, item.others[int(number) - 1]))
        case "dismiss":
            left = flags_left(item, before)
            return replace(new, dismissed=(*before.dismissed, *left[:1]), decision="" if len(left) > 1 else "ok")
        case "open":
            return ItemState(note=note)
    raise InputError(f"there is no decision {do!r}")


def _marked(item: ReviewItem, other: str) -> str:
    """Return another engine's text with those spans marked whose translated value stands in it once."""
    spans: list[Span] = []
    for span in item.spans:
        value, at = span.of(item.text), other.find(span.of(item.text))
        new = Span(at, at + len(value), span.type)
        if other.count(value) == 1 and all(new.end <= one.start or one.end <= new.start for one in spans):
            spans.append(new)
    return annotate(other, spans)


def _rate(state: ReviewState, person: str) -> float | None:
    """Return a person's decisions a minute, over the last `RATED`."""
    times = state.times.get(person, [])[-RATED:]
    minutes = (times[-1] - times[0]).total_seconds() / 60 if len(times) > 1 else 0.0
    return (len(times) - 1) / minutes if minutes else None


PAGES = (
    Page("/review", sets, REVIEW),
    Page("/review/record", record, REVIEW),
    Page("/review/record", decide, REVIEW, "POST"),
    Page("/review/all", decide_all, REVIEW, "POST"),
    Page("/review/undo", undo, REVIEW, "POST"),
    Page("/review/csv", table, REVIEW),
    Page("/review/apply", apply, REVIEW, "POST"),
)
