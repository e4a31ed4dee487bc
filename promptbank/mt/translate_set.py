"""Translate files of tasks: the same files in another language, their provenance, and what to review."""

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from promptbank.errors import InputError
from promptbank.files import write_together
from promptbank.mt.cards import target_card
from promptbank.mt.review import ITEMS, REVIEW
from promptbank.mt.task_records import SourceExample, translated_example
from tasks import DataError, TaskCard
from translate import Engine, Memory
from translate.checks import STATUSES, Flag, Status
from translate.inventory.file import dump_inventory, load_inventory
from translate.inventory.inventory import Inventory
from translate.pipeline.memory import Step
from translate.pipeline.pipeline import Setup, translate_records
from translate.pipeline.translated import TranslatedRecord, provenance
from translate.review.items import flagged, review_items
from translate.review.lines import dump_items
from translate.review.table import write_items

__all__ = [
    "SourceFile",
    "TranslatedSet",
    "left_behind",
    "locked",
    "refuse_names",
    "target_cards",
    "translate_sources",
    "write_translated",
]

PROVENANCE = "provenance.jsonl"
_OWN = re.compile(r"(?:provenance|review|cards|review\.log)\.jsonl|review\.csv|(?:status|request)\.json|report.*")
_LABELS = re.compile(r"labels\..*\.toml")
WRITTEN: tuple[Status, ...] = STATUSES[:-1]


@dataclass(frozen=True)
class SourceFile:
    """A file of one task, in the source language; ``path`` tells where it is, if it is a file."""

    name: str
    card: TaskCard
    examples: Sequence[SourceExample]
    path: Path | None = None


@dataclass(frozen=True)
class TranslatedExample:
    """An example with its translated records, and the example to write; None if it is not written."""

    source: SourceExample
    records: Sequence[TranslatedRecord]
    written: Mapping[str, object] | None

    @property
    def status(self) -> Status:
        """The worst status of its records."""
        return max((record.status for record in self.records), key=STATUSES.index, default="unchecked")


@dataclass(frozen=True)
class TranslatedFile:
    """A file with its translated examples, and the card of the task in the target language."""

    source: SourceFile
    card: TaskCard
    examples: Sequence[TranslatedExample]

    @property
    def text(self) -> str:
        """The translated file, JSON lines."""
        return _json_lines(one.written for one in self.examples if one.written is not None)


@dataclass(frozen=True)
class TranslatedSet:
    """The result of a run.

    Attributes:
        files: in the order of the sources.
        setup: of the run.
        made_cards: cards that neither promptbank nor the bank has; they are written beside the files.
    """

    files: Sequence[TranslatedFile]
    setup: Setup
    made_cards: Sequence[TaskCard]

    @property
    def examples(self) -> list[TranslatedExample]:
        """All examples in order."""
        return [example for file in self.files for example in file.examples]

    @property
    def records(self) -> list[TranslatedRecord]:
        """All records in order."""
        return [record for example in self.examples for record in example.records]

    def counts(self) -> dict[str, int]:
        """Return how many examples there are, are written, and have each status."""
        examples = self.examples
        statuses = Counter(example.status for example in examples)
        written = sum(example.written is not None for example in examples)
        return {"rows": len(examples), "written": written, **{status: statuses[status] for status in STATUSES}}


def target_cards(sources: Sequence[SourceFile], inventory: Inventory, known: Sequence[TaskCard]) -> dict[str, TaskCard]:
    """Return each task's card in the target language: the known one (the last, as the bank's win), or a new one."""
    there = {card.taskname: card for card in known if card.lang == inventory.tgt}
    return {s.card.taskname: there.get(s.card.taskname) or target_card(s.card, inventory) for s in sources}


def translate_sources(
    sources: Sequence[SourceFile],
    engine: Engine,
    memory: Memory,
    setup: Setup,
    *,
    known: Sequence[TaskCard] = (),
    only: Collection[str] = WRITTEN,
    on_step: Callable[[Step], None] | None = None,
) -> TranslatedSet:
    """Translate files together, so that a text that stands in several is translated once.

    Args:
        sources: the files.
        engine: translates the pair.
        memory: asked first.
        setup: the rest.
        known: cards of the target language; a task without one gets a card by the inventory.
        only: statuses of the examples that are written; one without a translation never is.
        on_step: told of the engine's progress.

    Raises:
        TranslateError: see `translate_records`.
        InputError: a translated example does not fit its target card.
    """
    cards = target_cards(sources, setup.inventory, known)
    records = [record for source in sources for example in source.examples for record in example.records]
    translated = iter(translate_records(records, engine, memory, setup, on_step=on_step))
    files = []
    for source in sources:
        card = cards[source.card.taskname]
        examples = [_translated(one, [next(translated) for _ in one.records], card, only) for one in source.examples]
        files.append(TranslatedFile(source, card, examples))
    return TranslatedSet(files, setup, [card for card in cards.values() if card not in known])


def write_translated(
    done: TranslatedSet, out: Path, reports: Mapping[Path, str | bytes] | None = None, *, all_rows: bool = False
) -> list[Path]:
    """Write the translated files, ``provenance.jsonl``, ``review.csv`` and what `mt review apply` needs to read it;
    cards and labels where they are new; and the files of reports. None takes its place before all are on the disk.

    ``review.csv`` has the rows that a person should look at, or all of them, the worst first.

    Raises:
        InputError: a folder cannot be written.
    """
    inventory = done.setup.inventory
    items = review_items(done.records, done.setup.policy, (inventory.src, inventory.tgt))
    contents: dict[str, str] = {file.source.name: file.text for file in done.files}
    contents[PROVENANCE] = _json_lines(_provenance(done))
    contents[REVIEW] = write_items(items if all_rows else flagged(items))
    contents[ITEMS] = dump_items(items)
    labels, used = _labels_name(out, inventory), out / f"labels.{inventory.tgt}.used.toml"
    if labels:
        contents[labels] = dump_inventory(inventory)
    if done.made_cards:
        contents["cards.jsonl"] = _json_lines(card.plain() for card in done.made_cards)
    paths = {out / name: content for name, content in contents.items()} | dict(reports or {})
    try:
        for folder in {path.parent for path in paths}:
            folder.mkdir(parents=True, exist_ok=True)
        write_together(paths)
        if labels != used.name:
            used.unlink(missing_ok=True)  # of an earlier run with labels of its own
    except OSError as exc:
        where = " or ".join(sorted({str(path.parent) for path in paths}))
        raise InputError(f"{where} cannot be written ({exc.strerror}), so nothing was; choose another folder") from exc
    return list(paths)


def left_behind(out: Path, sources: Sequence[SourceFile]) -> list[str]:
    """Return the translated files of an earlier run in a folder that this one does not write again."""
    try:
        lines = (out / PROVENANCE).read_text(encoding="utf-8").splitlines()
        files = {json.loads(line)["file"] for line in lines}
    except (OSError, ValueError, KeyError, TypeError):
        return []  # there was none, or it is no provenance: nothing can be said
    return sorted(name for name in files - {source.name for source in sources} if (out / name).is_file())


def refuse_names(sources: Sequence[SourceFile], out: Path, read: Sequence[Path] = ()) -> None:
    """Make sure that no written file replaces one that is read (``read`` too), another one, or one of the run's own.

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
    """Return the name of the labels to write: None where the folder has them, another one beside a person's."""
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


def _translated(
    source: SourceExample, records: Sequence[TranslatedRecord], card: TaskCard, only: Collection[str]
) -> TranslatedExample:
    """Return the translated example, to be written if its status is one of ``only``.

    A label that could not be read back, such as one with the value "a), date(b", is left to a person.
    """
    kept = TranslatedExample(source, records, None)
    targets = [record.target for record in records if record.target is not None]
    if len(targets) < len(records) or kept.status not in only:
        return kept
    try:
        label_text = next((record.label_text for record in records if record.label_text), "")
        return replace(kept, written=translated_example(source, targets, label_text, card))
    except DataError as exc:
        flag = Flag("slot_value", "review", f"the label cannot be written: {exc}")
        flagged = [
            replace(r, target=None, status="review", flags=(*r.flags, flag)) if r.source.id == source.example.id else r
            for r in records
        ]
        return replace(kept, records=flagged)


def _provenance(done: TranslatedSet) -> Iterator[dict[str, object]]:
    for file in done.files:
        for one in file.examples:
            line = int(one.source.example.source.rpartition(":")[2])
            where = {"file": file.source.name, "line": line, "written": one.written is not None}
            yield from ({**where, **provenance(record)} for record in one.records)


def _json_lines(rows: Iterable[Mapping[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
