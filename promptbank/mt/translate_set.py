"""One run of a translation: files of tasks in, the same files in another language out, and what to review."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from promptbank.errors import InputError
from promptbank.mt.cards import target_card
from promptbank.mt.review import ITEMS, REVIEW
from promptbank.mt.task_records import SourceRow, translated_row
from promptbank.report.write import write_files
from tasks import DataError, TaskCard
from translate import Engine, Memory
from translate.checks import Flag, Status
from translate.inventory.file import dump_inventory, load_inventory
from translate.inventory.inventory import Inventory
from translate.pipeline.memory import Step
from translate.pipeline.pipeline import Setup, translate_records
from translate.pipeline.translated import TranslatedRecord, provenance
from translate.review.items import review_items
from translate.review.lines import dump_items
from translate.review.table import write_items

__all__ = [
    "Source",
    "TranslatedSet",
    "left_behind",
    "locked",
    "refuse_names",
    "target_cards",
    "translate_sources",
    "write_translated",
]

PROVENANCE = "provenance.jsonl"
_OWN = re.compile(r"(?:provenance|review|cards)\.jsonl|review\.csv|status\.json|report.*")
_LABELS = re.compile(r"labels\..*\.toml")
WRITTEN: tuple[Status, ...] = ("ok", "warn", "review")


@dataclass(frozen=True)
class Source:
    """A file of one task.

    Attributes:
        name: of the file, kept.
        card: the task in the source language.
        rows: of the file.
        path: where it is, if it is a file.
    """

    name: str
    card: TaskCard
    rows: Sequence[SourceRow]
    path: Path | None = None


@dataclass(frozen=True)
class TranslatedFile:
    """What became of a file.

    Attributes:
        source: the file.
        card: the task in the target language.
        outcomes: for each row, those of its records.
        emitted: for each row, whether it stands in the translated file.
        text: of that file, JSON lines.
    """

    source: Source
    card: TaskCard
    outcomes: Sequence[Sequence[TranslatedRecord]]
    emitted: Sequence[bool]
    text: str


@dataclass(frozen=True)
class TranslatedSet:
    """What became of a set.

    Attributes:
        files: in the order of the sources.
        setup: of the run.
        made_cards: cards that neither promptbank nor the bank has, and that go beside the files.
    """

    files: Sequence[TranslatedFile]
    setup: Setup
    made_cards: Sequence[TaskCard]

    @property
    def outcomes(self) -> list[TranslatedRecord]:
        """All outcomes in order."""
        return [outcome for file in self.files for row in file.outcomes for outcome in row]

    def counts(self) -> dict[str, int]:
        """Return how many rows there are, are written, and have each status."""
        statuses = Counter(_worst(row) for file in self.files for row in file.outcomes)
        rows = sum(len(file.source.rows) for file in self.files)
        written = sum(sum(file.emitted) for file in self.files)
        return {"rows": rows, "written": written, **{status: statuses[status] for status in (*WRITTEN, "drop")}}


def target_cards(sources: Sequence[Source], inventory: Inventory, known: Sequence[TaskCard]) -> dict[str, TaskCard]:
    """Return each task's card in the target language: the known one (the last, as the bank's win), or a new one."""
    there = {card.taskname: card for card in known if card.lang == inventory.tgt}
    return {s.card.taskname: there.get(s.card.taskname) or target_card(s.card, inventory) for s in sources}


def translate_sources(
    sources: Sequence[Source],
    engine: Engine,
    memory: Memory,
    setup: Setup,
    *,
    known: Sequence[TaskCard] = (),
    only: Collection[str] = WRITTEN,
    on_step: Callable[[Step], None] | None = None,
) -> TranslatedSet:
    """Translate files together, so that no text that stands in several goes through the engine twice.

    Args:
        sources: the files.
        engine: translates the pair.
        memory: what was translated before.
        setup: labels, policy, names.
        known: cards of the target language; a task without one gets a card from the labels.
        only: statuses of the rows that are written; a row without a translation never is.
        on_step: told of the engine's progress.

    Raises:
        TranslateError: see `translate_records`.
        InputError: a row does not fit its target card.
    """
    cards = target_cards(sources, setup.inventory, known)
    records = [record for source in sources for row in source.rows for record in row.records]
    outcomes = iter(translate_records(records, engine, memory, setup, on_step=on_step))
    files = [
        _file(source, cards[source.card.taskname], [[next(outcomes) for _ in row.records] for row in source.rows], only)
        for source in sources
    ]
    made = [card for card in cards.values() if card not in known]
    return TranslatedSet(files, setup, made)


def write_translated(translated: TranslatedSet, out: Path) -> list[Path]:
    """Write the translated files, ``provenance.jsonl``, ``review.csv`` and what `mt review apply` needs to read it;
    cards and labels where they are new.

    Raises:
        InputError: the folder cannot be written.
    """
    setup = translated.setup
    items = review_items(translated.outcomes, setup.policy, (setup.inventory.src, setup.inventory.tgt))
    contents = {file.source.name: file.text for file in translated.files}
    contents[PROVENANCE] = "".join(_lines(_provenance(translated)))
    contents[REVIEW] = write_items(items)
    contents[ITEMS] = dump_items(items)
    labels, used = _labels_name(out, setup.inventory), out / f"labels.{setup.inventory.tgt}.used.toml"
    if labels:
        contents[labels] = dump_inventory(setup.inventory)
    if translated.made_cards:
        contents["cards.jsonl"] = "".join(_lines(card.plain() for card in translated.made_cards))
    try:
        write_files(out, contents)
        if labels != used.name:
            used.unlink(missing_ok=True)  # of an earlier run with labels of its own
    except OSError as exc:
        raise InputError(f"{out} cannot be written ({exc.strerror}); choose another --out") from exc
    return [out / name for name in contents]


def left_behind(out: Path, sources: Sequence[Source]) -> list[str]:
    """Return the translated files of an earlier run in a folder that this one does not write again."""
    try:
        lines = (out / PROVENANCE).read_text(encoding="utf-8").splitlines()
        files = {json.loads(line)["file"] for line in lines}
    except (OSError, ValueError, KeyError, TypeError):
        return []  # there was none, or it is no provenance: nothing can be said
    return sorted(name for name in files - {source.name for source in sources} if (out / name).is_file())


def refuse_names(sources: Sequence[Source], out: Path, read: Sequence[Path] = ()) -> None:
    """Make sure that no written file would take the place of one that is read, of another or of the run's own.

    Args:
        sources: the files.
        out: folder of the translated ones.
        read: what else the run reads.

    Raises:
        InputError: all such files at once.
    """
    names = Counter(source.name for source in sources)
    faults = [f"{name!r} is the name of {count} source files" for name, count in names.items() if count > 1]
    own = [name for name in names if _OWN.fullmatch(name) or _LABELS.fullmatch(name)]
    faults += [f"{name!r} is a name of the run's own files" for name in own]
    written = {(out / name).resolve() for name in names}
    for path in dict.fromkeys([*(source.path for source in sources if source.path), *read]):
        place = path.resolve()
        # labels may be read in their place: a person's stay there, see `_labels_name`
        if place in written or (place.parent == out.resolve() and _OWN.fullmatch(place.name)):
            faults.append(f"{path} itself would be overwritten")
    if faults:
        raise InputError(f"{'; '.join(faults)}; rename the files, or translate each into another --out")


def _labels_name(out: Path, inventory: Inventory) -> str | None:
    """Return under which name the labels are written: none where the folder has them, another one than a person's."""
    path = out / f"labels.{inventory.tgt}.toml"
    known = load_inventory(path).decisions if path.is_file() else {}
    if path.is_file() and known == inventory.decisions:
        return None
    kept = all(inventory.decisions.get(section, {}).get(k) == v for section, d in known.items() for k, v in d.items())
    return path.name if kept else f"labels.{inventory.tgt}.used.toml"


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold a folder for this process alone.

    Raises:
        InputError: another process writes it, or it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / ".lock", timeout=0):
            yield
    except Timeout as exc:
        raise InputError(f"{out} is being written by another process; wait for it or choose another --out") from exc
    except OSError as exc:
        raise InputError(f"{out} cannot be used ({exc.strerror}); choose another --out") from exc


def _file(
    source: Source, card: TaskCard, outcomes: list[list[TranslatedRecord]], only: Collection[str]
) -> TranslatedFile:
    written = [_written(row, found, card, only) for row, found in zip(source.rows, outcomes, strict=True)]
    rows = [row for row, _ in written]
    text = "".join(_lines([row for row in rows if row is not None]))
    return TranslatedFile(source, card, [found for _, found in written], [row is not None for row in rows], text)


def _written(
    row: SourceRow, found: list[TranslatedRecord], card: TaskCard, only: Collection[str]
) -> tuple[Mapping[str, object] | None, list[TranslatedRecord]]:
    """Return the translated row, None where it is not written, and its outcomes.

    A label that could not be read back, such as one with the value "a), date(b", is left to a person.
    """
    targets = [outcome.target for outcome in found if outcome.target is not None]
    if len(targets) < len(found) or _worst(found) not in only:
        return None, found
    try:
        return translated_row(row, targets, next((o.label_text for o in found if o.label_text), ""), card), found
    except DataError as exc:
        flag = Flag("slot_value", "review", f"the label cannot be written: {exc}")
        return None, [
            replace(o, target=None, status="review", flags=(*o.flags, flag)) if o.source.id == row.example.id else o
            for o in found
        ]


def _worst(outcomes: Sequence[TranslatedRecord]) -> str:
    order = (*WRITTEN, "drop")
    return max((outcome.status for outcome in outcomes), key=order.index, default="ok")


def _provenance(translated: TranslatedSet) -> Iterator[dict[str, object]]:
    for file in translated.files:
        for row, outcomes, emitted in zip(file.source.rows, file.outcomes, file.emitted, strict=True):
            for outcome in outcomes:
                where = {
                    "file": file.source.name,
                    "line": int(row.example.source.rpartition(":")[2]),
                    "written": emitted,
                }
                yield {**where, **provenance(outcome)}


def _lines(rows: Iterator[Mapping[str, object]] | Sequence[Mapping[str, object]]) -> Iterator[str]:
    return (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
