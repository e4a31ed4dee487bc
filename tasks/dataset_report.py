"""A report on a set as a whole, before anything is learnt from it: what single records cannot show.

Linear in the words of the set: texts are compared by hashes of what is left of them.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from tasks.card import TaskCard
from tasks.equivalence import canonical, folded
from tasks.errors import DataError
from tasks.examples import Example
from tasks.wording import counted

__all__ = ["DatasetReport", "Doubt", "check_labels", "is_blank", "misspelt", "report_on"]

SHOWN = 10
"""Places that are named of each doubt; all are counted."""
LEAST_WORDS = 6
"""Texts that differ in one word are nearly equal if they have at least so many words."""
ENOUGH_LETTERS = 20
"""Letters that a text must have to be asked for its language."""
FREQUENT, LEAST_LETTERS = 5, 4
"""Examples of a label of which a label with one example may be a slip, and letters that this one must have."""
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Doubt:
    """Something that may be wrong with a set, and where.

    Attributes:
        kind: "one-label", "misspelt", "blank", "contradiction", "duplicate", "near-duplicate", "across-parts",
            "near-across-parts", "cut", "language".
        count: examples concerned.
        places: the first ones, such as "train.jsonl:3".
        what: in words.
    """

    kind: str
    count: int
    places: tuple[str, ...]
    what: str

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.places) else ""
        return f"{self.what}: {', '.join(self.places)}{more}"


@dataclass(frozen=True)
class DatasetReport:
    """What a set looks like.

    Attributes:
        parts: examples of each part, such as train and test.
        labels: examples of each label of the card, all parts together; empty for open answers.
        unused: labels of the card without any example.
        doubts: what may be wrong, by kind.
    """

    parts: dict[str, int]
    labels: dict[str, int]
    unused: tuple[str, ...]
    doubts: tuple[Doubt, ...]

    def as_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """Yield what a person should know, a sentence a line."""
        if self.unused:
            shown = ", ".join(map(repr, self.unused[:SHOWN])) + (", ..." if len(self.unused) > SHOWN else "")
            have = "has" if len(self.unused) == 1 else "have"
            yield f"{len(self.unused)} of the card's {len(self.labels)} labels {have} no example: {shown}"
        yield from map(str, self.doubts)


def check_labels(examples: Sequence[Example], card: TaskCard) -> None:
    """Refuse a set to learn from in which every example has the same label: any prompt would seem perfect.

    Raises:
        DataError: the card has labels, and the set only one of them.
    """
    labels = {example.answer for example in examples}
    if card.label_space is not None and len(labels) == 1:
        (only,) = labels
        others = ", ".join(map(repr, [label for label in card.label_space if label != only][:SHOWN]))
        raise DataError(
            f"all {len(examples)} examples have the label {only!r}, so nothing can be learnt or measured; "
            f"add examples of {others or 'another label, and the label to the card'}"
        )


def report_on(
    parts: Mapping[str, Sequence[Example]],
    card: TaskCard,
    *,
    identify: Callable[[str], str] | None = None,
    is_cut: Callable[[Example], bool] | None = None,
) -> DatasetReport:
    """Look at a set as a whole.

    Args:
        parts: its examples, by the name of the part, such as {"train": [...], "test": [...]}.
        card: the task.
        identify: names the language of a text; without it languages are not looked at.
        is_cut: whether the text of an example is too long for the window; without it lengths are not looked at.
    """
    entries = [_Entry(name, example, card) for name, part in parts.items() for example in part]
    answers = Counter(entry.example.answer for entry in entries)
    labels = {label: answers[label] for label in card.label_space or ()}
    doubts = [*_one_label(entries, labels), *_misspelt(entries, labels), *_blanks(entries), *_contradictions(entries)]
    doubts += [*_duplicates(entries), *_near_duplicates(entries)]
    if is_cut is not None:
        cut = [entry for entry in entries if is_cut(entry.example)]
        said = "text is too long for the window and is cut", "texts are too long for the window and are cut"
        doubts += _doubt("cut", cut, counted(len(cut), *said))
    if identify is not None:
        doubts += _foreign(entries, card.lang, identify)
    return DatasetReport(
        parts={name: len(part) for name, part in parts.items()},
        labels=labels,
        unused=tuple(label for label, count in labels.items() if not count),
        doubts=tuple(doubts),
    )


class _Entry:
    """One example with its text as it is compared."""

    def __init__(self, part: str, example: Example, card: TaskCard) -> None:
        self.part, self.example = part, example
        self.text = canonical("\n".join(example.fields[name] for name in card.fields))
        self.words = tuple(_WORD.findall(unicodedata.normalize("NFKC", self.text).casefold()))
        self.source = example.source or f"{part} {example.id}"


def _one_label(entries: Sequence[_Entry], labels: Mapping[str, int]) -> Iterator[Doubt]:
    used = [label for label, count in labels.items() if count]
    if len(used) == 1 < len(labels):
        yield from _doubt("one-label", entries, f"{len(entries)} examples all have the label {used[0]!r}")


def _misspelt(entries: Sequence[_Entry], labels: Mapping[str, int]) -> Iterator[Doubt]:
    """Find labels of one example that are spelt nearly as a frequent one."""
    for label, meant in misspelt(labels).items():
        found = [entry for entry in entries if entry.example.answer == label]
        told = f"1 example has the label {label!r}, and {labels[meant]} have {meant!r}: misspelt?"
        yield from _doubt("misspelt", found, told)


def misspelt(counts: Mapping[str, int]) -> dict[str, str]:
    """Return the labels of one example with the frequent label that each may be a slip of.

    The two differ in one letter, or in two that changed places; numbers in names, as in "level 1", count as letters of
    neither.

    Args:
        counts: examples by label.

    >>> misspelt({"refund": 24, "refnd": 1, "level 1": 9, "level 2": 1})
    {'refnd': 'refund'}
    """
    frequent: dict[str, str] = {}
    for label, count in counts.items():
        if count >= FREQUENT:
            for key in _one_letter_less(label):
                frequent.setdefault(key, label)
    found = {}
    for label, count in counts.items():
        meant = next((frequent[key] for key in _one_letter_less(label) if key in frequent), None)
        if count == 1 and meant is not None and _letters(label) != _letters(meant) and len(label) >= LEAST_LETTERS:
            found[label] = meant
    return found


def _one_letter_less(label: str) -> list[str]:
    whole = folded(label)
    return [whole, *(whole[:i] + whole[i + 1 :] for i in range(len(whole)))]


def _letters(label: str) -> str:
    return "".join(character for character in folded(label) if not character.isdigit())


def _blanks(entries: Sequence[_Entry]) -> Iterator[Doubt]:
    blank = [entry for entry in entries if is_blank(entry.text)]
    said = "text is blank or punctuation only", "texts are blank or punctuation only"
    yield from _doubt("blank", blank, counted(len(blank), *said))


def is_blank(text: str) -> bool:
    """Whether a text says nothing: it is empty, or white space and punctuation only."""
    return all(unicodedata.category(character)[0] in "ZCP" for character in text)


def _contradictions(entries: Sequence[_Entry]) -> Iterator[Doubt]:
    """Find texts that have more than one answer, whichever part they are in."""
    groups = _grouped(entries, lambda entry: " ".join(entry.text.casefold().split()))
    found = [group for group in groups if len({entry.example.answer for entry in group} - {None}) > 1]
    concerned = [entry for group in found for entry in group]
    said = "text has more than one answer", "texts have more than one answer"
    yield from _doubt("contradiction", concerned, counted(len(found), *said))


def _duplicates(entries: Sequence[_Entry]) -> Iterator[Doubt]:
    groups = [list(_by_part(group).values()) for group in _grouped(entries, lambda entry: entry.text)]
    within = [entry for group in groups for part in group for entry in part[1:]]
    said = "text stands above already in the same part", "texts stand above already in the same part"
    yield from _doubt("duplicate", within, counted(len(within), *said))
    across = [entry for group in groups for part in group[1:] for entry in part]
    said = "text stands in an earlier part too", "texts stand in an earlier part too"
    yield from _doubt("across-parts", across, counted(len(across), *said))


def _near_duplicates(entries: Sequence[_Entry]) -> Iterator[Doubt]:
    """Find texts that are equal but for case, punctuation and spaces, or but for one word of many."""
    first: dict[int, _Entry] = {}
    within, across = [], []
    for entry in entries:
        keys = set(_keys(entry.words))
        known = [first[key] for key in keys if key in first]
        others = [other for other in known if other.text != entry.text]
        if any(other.part != entry.part for other in others):
            across.append(entry)
        elif others:
            within.append(entry)
        for key in keys:
            first.setdefault(key, entry)
    same, earlier = "nearly equal to one above in the same part", "nearly equal to one of an earlier part"
    yield from _doubt("near-duplicate", within, counted(len(within), f"text is {same}", f"texts are {same}"))
    yield from _doubt("near-across-parts", across, counted(len(across), f"text is {earlier}", f"texts are {earlier}"))


def _keys(words: Sequence[str]) -> Iterator[int]:
    """Yield hashes that two texts share if their words are equal, or (of long texts) but for one word.

    The hash of a text without one word is made of the hashes of what is before and after it, so all take linear time.
    """
    modulus, base = (1 << 61) - 1, 1_000_003
    codes = [hash(word) % modulus for word in words]
    before, after, powers = [0], [0], [1]
    for code, back in zip(codes, reversed(codes), strict=True):
        before.append((before[-1] * base + code) % modulus)
        after.append((back * powers[-1] + after[-1]) % modulus)
        powers.append(powers[-1] * base % modulus)
    count = len(codes)
    if count:
        yield hash((count, before[-1]))
    if count >= LEAST_WORDS:
        for i in range(count):
            rest = count - 1 - i
            yield hash((count - 1, (before[i] * powers[rest] + after[rest]) % modulus))


def _foreign(entries: Sequence[_Entry], lang: str, identify: Callable[[str], str]) -> Iterator[Doubt]:
    """Find texts in other languages; short ones are not asked."""
    asked = [entry for entry in entries if sum(c.isalpha() for c in entry.text) >= ENOUGH_LETTERS]
    found = [entry for entry in asked if identify(entry.text).partition("-")[0] != lang.partition("-")[0]]
    does = "does" if len(found) == 1 else "do"
    yield from _doubt("language", found, f"{len(found)} of {len(asked)} long texts {does} not look like {lang!r}")


def _doubt(kind: str, concerned: Sequence[_Entry], what: str) -> Iterator[Doubt]:
    if concerned:
        yield Doubt(kind, len(concerned), tuple(entry.source for entry in concerned[:SHOWN]), what)


def _grouped(entries: Sequence[_Entry], key: Callable[[_Entry], str]) -> list[list[_Entry]]:
    groups: defaultdict[str, list[_Entry]] = defaultdict(list)
    for entry in entries:
        groups[key(entry)].append(entry)
    return [group for group in groups.values() if len(group) > 1]


def _by_part(group: Sequence[_Entry]) -> dict[str, list[_Entry]]:
    parts: defaultdict[str, list[_Entry]] = defaultdict(list)
    for entry in group:
        parts[entry.part].append(entry)
    return parts
