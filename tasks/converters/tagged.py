"""Utterances whose words carry slot tags: BIO files as of ATIS and SNIPS, and NeMo's folders for intents and slots."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tasks.builtin import builtin_card
from tasks.card import TaskCard, parse_card
from tasks.converters.conversion import Conversion, group_of, sha256
from tasks.draft import sound_taskname
from tasks.errors import DataError
from tasks.reading import read_text
from tasks.records import raise_faults
from tasks.slots import IntentSlots, Slot, is_identifier, render_intent_slots

__all__ = ["CONVERTERS", "convert_bio", "convert_nemo_slots"]

PARTS = {"train": "train", "valid": "dev", "validation": "dev", "dev": "dev", "test": "test"}
"""What folders and files are called, and the part that they are."""
_INTENT = re.compile(r"#\s*intent\s*[:=]\s*(\S.*)", re.IGNORECASE)
_TAG = re.compile(r"[BIES]-(?=.)")


@dataclass(frozen=True)
class TaggedUtterance:
    """One utterance as it stands in a file.

    Attributes:
        words: of the utterance.
        tags: one for each word: "O", or a slot type, perhaps after "B-" or "I-".
        intent: its name.
        source: file and line.
        part: "train", "dev", "test", or "" where the file does not say.
    """

    words: list[str]
    tags: list[str]
    intent: str
    source: str
    part: str = ""


def convert_bio(paths: Sequence[Path]) -> Conversion:
    """Convert BIO-tagged utterances.

    Read are files with a word and its tag on each line, blank lines between utterances, and the intent on a line
    ``# intent: NAME`` or alone on a line; files with ``words<TAB>tags`` on each line, the intent as third cell or as
    the last tag (ATIS, perhaps between BOS and EOS); and folders with ``seq.in``, ``seq.out`` and ``label``.

    Raises:
        DataError: a file is not in such a format; all faults at once.
    """
    found = [tagged for path in paths for tagged in (_folder(path) if path.is_dir() else _file(path))]
    return _conversion(found, _taskname(paths))


def convert_nemo_slots(paths: Sequence[Path]) -> Conversion:
    """Convert folders of NeMo's intent and slot model: dict.intents.csv, dict.slots.csv, train.tsv, train_slots.tsv.

    Raises:
        DataError: a folder is not in this format; all faults at once.
    """
    found = [tagged for path in paths for tagged in _nemo(path)]
    return _conversion(found, _taskname(paths))


def _taskname(paths: Sequence[Path]) -> str:
    """Return a taskname made of the first path: the name of a folder, or of a file that is not called train."""
    path = paths[0].resolve()
    return sound_taskname(path.parent.name if path.is_file() and _part_of(path.stem) else path.name)


def _conversion(found: Sequence[TaggedUtterance | DataError], taskname: str) -> Conversion:
    """Make records of tagged utterances, and a card that they fit."""
    faults = [str(tagged) for tagged in found if isinstance(tagged, DataError)]
    names, records, answers = _Names(), [], []
    for tagged in found:
        if isinstance(tagged, DataError):
            continue
        try:
            answers.append(names.parsed(tagged))
            records.append(_record(taskname, tagged, answers[-1], len(answers)))
        except DataError as exc:
            faults.append(f"{tagged.source}: {exc}")
    raise_faults(faults if records or faults else ["there are no utterances to convert"])
    notes = [f"{len(records)} records in {len({record['group'] for record in records})} groups"]
    notes += [f"{len(names.changed)} names were made identifiers: {names.told()}"] if names.changed else []
    return Conversion(tuple(records), tuple(notes), _card(taskname, answers))


def _record(taskname: str, tagged: TaggedUtterance, answer: IntentSlots, number: int) -> dict[str, str]:
    utterance = " ".join(tagged.words)
    record = {
        "taskname": taskname,
        "utterance": utterance,
        "label": render_intent_slots(answer),
        "id": f"{taskname}-{number}-{sha256(utterance)[:8]}",
        "group": group_of(utterance.casefold()),
    }
    return record | ({"partition": tagged.part} if tagged.part else {})


def _card(taskname: str, answers: Sequence[IntentSlots]) -> TaskCard:
    types = {slot.type for answer in answers for slot in answer.slots}
    changed = {
        "taskname": taskname,
        "intents": sorted({answer.intent for answer in answers}),
        "slot_types": sorted(types) or ["none"],
    }
    return parse_card(builtin_card("intent_and_slot", "en").plain() | changed, source=f"the card of {taskname}")


class _Names:
    """Identifiers for the names of a set, such as ``fromloc_city_name`` for ``fromloc.city_name``."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self.changed: list[str] = []

    def identifier(self, name: str) -> str:
        """Return the identifier for a name; raise `DataError` where it belongs to another name already."""
        made = name if is_identifier(name) else re.sub(r"\W", "_", f"_{name}" if name[:1].isdigit() else name)
        if self._given.setdefault(made, name) != name:
            raise DataError(f"the names {self._given[made]!r} and {name!r} both become {made!r}; rename one")
        if made != name and name not in self.changed:
            self.changed.append(name)
        return made

    def told(self) -> str:
        shown = ", ".join(f"{name} -> {self.identifier(name)}" for name in self.changed[:3])
        return shown + (", ..." if len(self.changed) > 3 else "")

    def parsed(self, tagged: TaggedUtterance) -> IntentSlots:
        """Return the intent and the slots of an utterance."""
        if len(tagged.words) != len(tagged.tags):
            raise DataError(f"{len(tagged.words)} words, but {len(tagged.tags)} tags; there is one for each word")
        spans: list[tuple[str, list[str]]] = []
        before = "O"
        for word, tag in zip(tagged.words, tagged.tags, strict=True):
            kind = _TAG.sub("", tag, count=1)
            goes_on = kind == _TAG.sub("", before, count=1) and not tag.startswith(("B-", "S-"))
            if tag != "O" and goes_on:
                spans[-1][1].append(word)
            elif tag != "O":
                spans.append((kind, [word]))
            before = tag
        slots = tuple(Slot(self.identifier(kind), " ".join(words)) for kind, words in spans)
        return IntentSlots(self.identifier(tagged.intent), slots)


def _part_of(name: str) -> str:
    """Return the part that a file or folder is, by its name."""
    words = re.split(r"[\W_]+", name.casefold())
    return next((part for key, part in PARTS.items() if key in words), "")


def _lines(path: Path) -> list[str]:
    """Return the lines of a file; other line separators than the usual ones are part of the text."""
    return read_text(path).replace("\r\n", "\n").removesuffix("\n").split("\n")


def _folder(path: Path) -> Iterator[TaggedUtterance | DataError]:
    """Read ``seq.in``, ``seq.out`` and ``label`` of a folder, or of its folders."""
    folders = [path] if (path / "seq.in").is_file() else sorted(f.parent for f in path.glob("*/seq.in"))
    if not folders:
        yield DataError(f"{path} has no seq.in, seq.out and label, nor have its folders; give a folder that has")
    for folder in folders:
        lines = [_lines(folder / name) for name in ("seq.in", "seq.out", "label")]
        if len(set(map(len, lines))) > 1:
            sizes = ", ".join(str(len(part)) for part in lines)
            yield DataError(f"{folder}: seq.in, seq.out and label have {sizes} lines; they must have as many")
            continue
        for number, (words, tags, intent) in enumerate(zip(*lines, strict=True), start=1):
            source = f"{folder / 'seq.in'}:{number}"
            yield TaggedUtterance(words.split(), tags.split(), intent.strip(), source, _part_of(folder.name))


def _file(path: Path) -> Iterator[TaggedUtterance | DataError]:
    lines = list(enumerate(_lines(path), start=1))
    whole = any(" " in cell for _, line in lines for cell in line.split("\t")[1:2])
    return _whole_lines(path, lines) if whole else _word_lines(path, lines)


Lines = Sequence[tuple[int, str]]


def _whole_lines(path: Path, lines: Lines) -> Iterator[TaggedUtterance | DataError]:
    """Read an utterance a line: its words, its tags, and its intent as a cell or the last tag."""
    for number, line in lines:
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) not in (2, 3):
            yield DataError(f"{path}:{number}: {len(cells)} cells; words, tags, and perhaps the intent are needed")
            continue
        words, tags = cells[0].split(), cells[1].split()
        intent = cells[2].strip() if len(cells) == 3 else tags.pop() if tags else ""
        if words[:1] == ["BOS"]:
            words, tags = words[1:], tags[1:]
        if words[-1:] == ["EOS"]:
            words, tags = words[:-1], tags[: len(words) - 1]
        yield TaggedUtterance(words, tags, intent, f"{path}:{number}", _part_of(path.stem))


def _word_lines(path: Path, lines: Lines) -> Iterator[TaggedUtterance | DataError]:
    """Read a word a line, with blank lines between utterances."""
    block: list[tuple[int, str]] = []
    for number, line in chain(lines, [(len(lines) + 1, "")]):
        if line.strip():
            block.append((number, line))
        elif block:
            yield _block(path, block)
            block = []


def _block(path: Path, block: Lines) -> TaggedUtterance | DataError:
    words, tags, intents = [], [], []
    for _, line in block:
        told = _INTENT.match(line)
        cells = line.split("\t") if "\t" in line else line.split()
        if told:
            intents.append(told[1].strip())
        elif line.startswith("#") and len(cells) != 2:
            continue  # a comment
        elif len(cells) == 1:
            intents.append(cells[0])
        elif len(cells) == 4 and cells[0].isdigit():  # number, word, intent, tag, as of xSID
            words.append(cells[1])
            tags.append(cells[3])
            intents.append(cells[2])
        else:
            words.append(cells[0])
            tags.append(cells[-1])
    source = f"{path}:{block[0][0]}"
    if len(set(intents)) != 1 or not words:
        shown = ", ".join(map(repr, dict.fromkeys(intents))) or "none"
        return DataError(f"{source}: one intent is needed for an utterance, not {shown}; write '# intent: NAME'")
    return TaggedUtterance(words, tags, intents[0], source, _part_of(path.stem))


def _nemo(folder: Path) -> Iterator[TaggedUtterance | DataError]:
    intents, slots = (
        [name.strip() for name in _lines(folder / f"dict.{kind}.csv") if name.strip()] for kind in ("intents", "slots")
    )
    files = sorted(path for path in folder.glob("*.tsv") if not path.stem.endswith("_slots"))
    if not files:
        yield DataError(f"{folder} has no train.tsv")
    for path in files:
        yield from _nemo_part(path, intents, slots)


def _nemo_part(path: Path, intents: Sequence[str], slots: Sequence[str]) -> Iterator[TaggedUtterance | DataError]:
    queries = _lines(path)[1:]
    tags = _lines(path.with_name(f"{path.stem}_slots.tsv"))
    if len(queries) != len(tags):
        yield DataError(f"{path}: {len(queries)} utterances after the header, but {len(tags)} lines of slots")
        return
    for number, (query, places) in enumerate(zip(queries, tags, strict=True), start=2):
        text, _, intent = query.rpartition("\t")
        try:
            named = [slots[int(place)] for place in places.split()]
            yield TaggedUtterance(text.split(), named, intents[int(intent)], f"{path}:{number}", _part_of(path.stem))
        except (ValueError, IndexError):
            says = f"the numbers must be below {len(intents)} for intents and {len(slots)} for slots"
            yield DataError(f"{path}:{number}: intent {intent[:20]!r} and slots {places[:20]!r}; {says}")


CONVERTERS: dict[str, Callable[[Sequence[Path]], Conversion]] = {
    "bio": convert_bio,
    "nemo-intent-slots": convert_nemo_slots,
}
