"""Review: one translated record a screen, decided by keys or buttons; decisions are those of ``review.csv``."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from starlette.responses import Response

from promptbank.console.app import Console, Page, Visit
from promptbank.errors import InputError
from promptbank.mt.review_set import (
    SEVERITIES,
    STATES,
    ReviewFilter,
    ReviewSet,
    attempt,
    decision,
    flags_left,
    rate,
    review_folders,
    review_set,
    stretches,
)
from promptbank.mt.translation import REQUEST
from translate.errors import ReviewError
from translate.review.items import ReviewItem, flagged
from translate.review.table import write_items

__all__ = ["PAGES"]

REVIEW = frozenset({"review"})
ATTEMPTS = 9
"""Attempts that have a key."""


@dataclass(frozen=True)
class ReviewVisit:
    """A visit to a set with a filter, both of which stand in the address."""

    visit: Visit
    wanted: ReviewFilter
    set: ReviewSet

    @classmethod
    def of(cls, console: Console, visit: Visit) -> "ReviewVisit":
        """Read filter and set from a form or an address."""
        said = {name: visit.said(name) for name in asdict(ReviewFilter())}
        said["state"] = said["state"] if said["state"] in STATES else "open"
        return cls(visit, ReviewFilter(**said), review_set(console.review, visit.said("set")))

    def query(self, **more: object) -> dict[str, object]:
        """Return set and filter as the query of an address."""
        return {"set": self.set.name, **asdict(self.wanted), **more}

    def go(self, **more: object) -> Response:
        """Send the browser to the record that comes next."""
        return self.visit.go("/review/record", **self.query(**more))


def sets(console: Console, visit: Visit) -> Response:
    """List what can be reviewed: translated sets, and the doubtful answers of tasks."""
    found = [review_set(console.review, name) for name in review_folders(console.review)]
    kept = console.bank.store.answers
    answers = [(f"{rule.taskname}:{rule.lang}", kept.list(rule.taskname, rule.lang)) for rule in kept.rules()]
    shown = {"found": [(one, len(flagged(one.items))) for one in found], "folders": console.review, "answers": answers}
    return console.show(visit, "review_sets.html", shown)


def record(console: Console, visit: Visit) -> Response:
    """Show one record: the one that is asked for, or the next that the filter takes."""
    here = ReviewVisit.of(console, visit)
    place = {name: visit.asked(name) for name in ("at", "after", "before")}
    return _record(console, here, here.set.place(here.wanted, **place))


def decide(console: Console, visit: Visit) -> Response:
    """Take a decision about one record and go on to the next; one that could not be written is told at once."""
    here, form = ReviewVisit.of(console, visit), visit.form
    item = here.set.item(form.text("hash"))
    key, seen = item.source_hash, form.text("revision")
    before = here.set.state.of(key)
    new = decision(item, before, form.text("do"), text=form.text("text"), note=form.text("note"))
    try:
        here.set.log.decide(here.visit.person, {key: new}, {key: int(seen) if seen.isdecimal() else 0})
    except (ReviewError, InputError) as exc:
        told = exc.faults if isinstance(exc, ReviewError) else (str(exc),)
        return _record(console, ReviewVisit.of(console, visit), item, told, new.text)
    return here.go(after=key)


def decide_all(console: Console, visit: Visit) -> Response:
    """Take one decision about all open records that the filter takes."""
    here = ReviewVisit.of(console, visit)
    here.set.decide_all(here.visit.person, here.wanted, visit.form.text("do"), visit.form.text("count"))
    return here.go(state="open")


def undo(console: Console, visit: Visit) -> Response:
    """Take back this person's last decision and show its record."""
    here = ReviewVisit.of(console, visit)
    keys = here.set.log.undo(here.visit.person)
    return here.go(at=keys[0] if keys else "")


def table(console: Console, visit: Visit) -> Response:
    """Send ``review.csv`` with the decisions in it."""
    here = ReviewVisit.of(console, visit)
    answers = {one.source_hash: one for one in here.set.state.answers(here.set.items)}
    headers = {"content-disposition": 'attachment; filename="review.csv"'}
    text = write_items(here.wanted.base(here.set.items), answers)
    return Response(text, headers=headers, media_type="text/csv; charset=utf-8")


def apply(console: Console, visit: Visit) -> Response:
    """Keep all decisions in the bank, and write the set again with them if it is said how it was made."""
    here = ReviewVisit.of(console, visit)
    kept, written = here.set.apply(console.bank, here.visit.person, write=bool(visit.form.text("write")))
    return console.show(visit, "review_applied.html", {"kept": kept, "set": here.set, "written": written})


def _record(
    console: Console, here: ReviewVisit, item: ReviewItem | None, faults: Sequence[str] = (), text: str = ""
) -> Response:
    found, base = here.set.matching(here.wanted), here.wanted.base(here.set.items)
    shown = {
        "here": here,
        "found": len(found),
        "place": found.index(item) + 1 if item in found else 0,
        "decided": sum(bool(here.set.state.of(one.source_hash).decision) for one in base),
        "base": len(base),
        "flags": [(name, f"{name} ({count})") for name, count in here.set.flags(here.wanted)],
        "states": [(name, name) for name in STATES],
        "severities": [(name, name) for name in SEVERITIES],
        "open": len(here.set.matching(replace(here.wanted, state="open"))),
        "rate": rate(here.set.state, here.visit.person),
        "can_write": (here.set.folder / REQUEST).is_file(),
        "faults": faults,
        "item": None,
    }
    about = _shown(here.set, item, text) if item else {}
    answer = console.show(here.visit, "review_record.html", shown | about, 422 if faults else 200)
    if item and "hx-request" in here.visit.request.headers and not faults:
        answer.headers["hx-push-url"] = here.visit.url("/review/record", here.query(at=item.source_hash))
    return answer


def _shown(opened: ReviewSet, item: ReviewItem, text: str) -> dict[str, object]:
    """Return the parts of a record's page."""
    mine = opened.state.of(item.source_hash)
    source, translation = stretches(item, item.translation)
    return {
        "item": item,
        "mine": mine,
        "revision": opened.state.revisions.get(item.source_hash, 0),
        "source": source,
        "translation": translation,
        "left": flags_left(item, mine),
        "others": [stretches(item, attempt(item, other))[1] for other in item.others[:ATTEMPTS]],
        "edited": text or mine.text or item.translation,
    }


PAGES = (
    Page("/review", sets, REVIEW),
    Page("/review/record", record, REVIEW),
    Page("/review/record", decide, REVIEW, "POST"),
    Page("/review/all", decide_all, REVIEW, "POST"),
    Page("/review/undo", undo, REVIEW, "POST"),
    Page("/review/csv", table, REVIEW),
    Page("/review/apply", apply, REVIEW, "POST"),
)
