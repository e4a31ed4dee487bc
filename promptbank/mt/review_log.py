"""What people decide on the review page: a log beside the set, to which lines are only added.

Each line says who decided what about which records, or took an earlier line back, so everything can be undone. A
decision says which state of its records was seen, and is refused where somebody was quicker, so that nobody overwrites
another's work.
"""

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from promptbank.errors import InputError
from promptbank.mt.review import ITEMS
from translate.pipeline.translated import Override
from translate.review.decisions import Answer, validated
from translate.review.items import ReviewItem
from translate.review.lines import parse_items

__all__ = ["LOG", "ItemState", "ReviewLog", "ReviewState"]

LOG = "review.log.jsonl"


@dataclass(frozen=True)
class ItemState:
    """Where an item stands.

    Attributes:
        decision: a key of `translate.review.decisions.Choice`; empty while it is open.
        text: of an edit.
        note: kept with the decision.
        shown: the translation that was decided about.
        dismissed: flags that a person has looked at and found to be none.
    """

    decision: str = ""
    text: str = ""
    note: str = ""
    shown: str = ""
    dismissed: tuple[str, ...] = ()

    def answer(self, source_hash: str) -> Answer:
        """Return the decision as ``review.csv`` would have it."""
        return Answer(source_hash, self.decision, self.text, self.note, self.shown)


@dataclass(frozen=True)
class ReviewState:
    """What a log says.

    Attributes:
        items: the items with a state, by source hash.
        revisions: how often each of them was changed.
        times: of each person's decisions that stand, oldest first.
        applied: source hashes whose decisions were kept in the bank when they were last applied.
        last: the line that each person's next undo takes back.
    """

    items: Mapping[str, ItemState] = field(default_factory=dict)
    revisions: Mapping[str, int] = field(default_factory=dict)
    times: Mapping[str, list[datetime]] = field(default_factory=dict)
    applied: frozenset[str] = frozenset()
    last: Mapping[str, int] = field(default_factory=dict)

    def of(self, source_hash: str) -> ItemState:
        """Return the state of an item; an open one where nobody did anything about it."""
        return self.items.get(source_hash, ItemState())

    def answers(self, items: Collection[ReviewItem]) -> list[Answer]:
        """Return the decisions about some items, in their order."""
        return [self.of(one.source_hash).answer(one.source_hash) for one in items if self.of(one.source_hash).decision]


class ReviewLog:
    """The log of one translated folder; what is written lies on the disk before a method returns."""

    def __init__(self, folder: Path) -> None:
        self._path, self._lock = folder / LOG, FileLock(folder / f".{LOG}.lock", timeout=10)
        self._items = folder / ITEMS

    def items(self) -> list[ReviewItem]:
        """Return the items of the folder, the worst first.

        Raises:
            InputError: there are none, or they cannot be read.
        """
        try:
            return parse_items(self._items.read_text(encoding="utf-8"), str(self._items))
        except (OSError, UnicodeDecodeError) as exc:
            raise InputError(f"{self._items} cannot be read: {exc}; `promptbank translate` writes it") from exc

    def state(self) -> ReviewState:
        """Return where every item stands."""
        return _folded(self._lines())

    def decide(self, by: str, changes: Mapping[str, ItemState], seen: Mapping[str, int]) -> None:
        """Give items a new state, all or none.

        Args:
            by: the person's name.
            changes: by source hash.
            seen: the revision of each that the person saw.

        Raises:
            InputError: somebody changed one of them meanwhile.
            ReviewError: a decision could not be written, see `translate.review.decisions.validated`.
        """
        with self._writing() as state:
            late = [key for key in changes if state.revisions.get(key, 0) != seen.get(key, 0)]
            if late:
                raise InputError(
                    f"somebody else decided about {_told(len(late))} meanwhile; look again and decide anew"
                )
            shown = {one.source_hash: one for one in self.items()}
            changes = {key: replace(new, shown=shown[key].translation) for key, new in changes.items() if key in shown}
            validated(shown.values(), [new.answer(key) for key, new in changes.items() if new.decision])
            self._add({"kind": "decide", "by": by, "items": {key: asdict(new) for key, new in changes.items()}})

    def undo(self, by: str) -> list[str]:
        """Take back a person's last line that stands; return the source hashes of its items.

        Raises:
            InputError: nothing is left, or somebody else has changed one of its items since.
        """
        with self._writing() as state:
            if by not in state.last:
                raise InputError("there is nothing left to undo")
            number, lines = state.last[by], self._lines()
            keys = list(lines[number]["items"])
            standing = [n for n, line in enumerate(lines) if line["kind"] == "decide" and n not in _undone(lines)]
            if any(n > number and not lines[n]["items"].keys().isdisjoint(keys) for n in standing):
                raise InputError("somebody else has decided about the same record since; that stands")
            self._add({"kind": "undo", "by": by, "line": number})
            return keys

    def apply(self, by: str, keep: Callable[[dict[str, Override]], None]) -> dict[str, Override]:
        """Have all decisions kept, and those that were applied before and are open again withdrawn.

        Args:
            by: the person's name.
            keep: stores decisions by source hash.

        Returns:
            What was kept.

        Raises:
            ReviewError: a decision cannot be applied; nothing is.
        """
        with self._writing() as state:
            items = self.items()
            decided = validated(items, state.answers(items))
            sources = {one.source_hash: one.source for one in items}
            gone = {
                key: Override(key, withdrawn=True, source=sources.get(key, ""))
                for key in state.applied - decided.keys()
            }
            keep({**decided, **gone})
            self._add({"kind": "apply", "by": by, "applied": sorted(decided)})
            return decided

    @contextmanager
    def _writing(self) -> Iterator[ReviewState]:
        with self._lock:
            yield self.state()

    def _lines(self) -> list[dict[str, Any]]:
        """Return the lines; one that a kill cut short counts for nothing."""
        if not self._path.exists():
            return []
        return [json.loads(line) for line in self._path.read_bytes().split(b"\n")[:-1]]

    def _add(self, line: Mapping[str, object]) -> None:
        told = json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), **line}, ensure_ascii=False)
        with self._path.open("ab+") as file:
            file.seek(0)
            whole = file.read().rpartition(b"\n")
            file.truncate(len(whole[0]) + len(whole[1]))
            file.write(told.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _undone(lines: list[dict[str, Any]]) -> set[int]:
    return {line["line"] for line in lines if line["kind"] == "undo"}


def _folded(lines: list[dict[str, Any]]) -> ReviewState:
    gone = _undone(lines)
    items: dict[str, ItemState] = {}
    revisions: dict[str, int] = {}
    times: dict[str, list[datetime]] = {}
    last: dict[str, int] = {}
    for number, line in enumerate(lines):
        touched = lines[line["line"]] if line["kind"] == "undo" else line
        for key in touched.get("items", ()):
            revisions[key] = revisions.get(key, 0) + 1
        if line["kind"] == "decide" and number not in gone:
            items |= {key: _state(plain) for key, plain in line["items"].items()}
            times.setdefault(line["by"], []).append(datetime.fromisoformat(line["at"]))
            last[line["by"]] = number
    applied = [line["applied"] for line in lines if line["kind"] == "apply"]
    return ReviewState(items, revisions, times, frozenset(applied[-1] if applied else ()), last)


def _state(plain: Mapping[str, Any]) -> ItemState:
    return ItemState(**{**plain, "dismissed": tuple(plain["dismissed"])})


def _told(count: int) -> str:
    return "this record" if count == 1 else f"{count} of these records"
