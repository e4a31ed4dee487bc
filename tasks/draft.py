"""A card drafted from data: ``promptbank tasks init``. What was guessed is said, so that a person can correct it."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.answers import NONE
from tasks.card import TaskCard, parse_card
from tasks.data import FILE_ENDINGS
from tasks.dataset_report import SHOWN, is_blank, misspelt
from tasks.equivalence import canonical, folded
from tasks.errors import DataError
from tasks.records import InputRecord, json_text, raise_faults, value_of
from tasks.wording import counted, missing_columns

__all__ = ["CardDraft", "draft_card", "sound_taskname"]

VIRTUAL_TOKENS = 10
MOST_LABELS = 500
"""More different answers than this are taken for open answers."""
COPIED_SHARE = 0.95
"""Where as many answers stand in their text, they are taken to be copied from it."""
_UNSOUND = re.compile(r"[\s:@./\\\x00-\x1f\x7f{}]+")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True)
class CardDraft:
    """A card, and in words what was guessed to make it."""

    card: TaskCard
    guesses: tuple[str, ...]


def draft_card(
    records: Iterable[InputRecord | DataError],
    *,
    text: str,
    label: str,
    name: str,
    lang: str | None = None,
    identify: Callable[[str], str] | None = None,
) -> CardDraft:
    """Draft a card that the records fit: their column names become its fields.

    Args:
        records: as read.
        text: the column with the text.
        label: the column with the answer.
        name: made into a taskname, such as the file's name.
        lang: of the texts; guessed where it is not given.
        identify: names the language of a text, for the guess; without it a card is English.

    Raises:
        DataError: records cannot be read, or lack a column; text and label are the same one.
        CardError: no sound card can be made of them.
    """
    if canonical(text) == canonical(label):
        raise DataError(f"text and label are the same column {text!r}; name the column of the answers as the label")
    pairs = _pairs(records, text, label)
    texts, answers = pairs.texts, pairs.answers
    forms = _label_forms(answers)
    if forms is not None and len(forms) < 2:
        raise DataError(
            f"{'all ' if len(answers) > 1 else ''}{counted(len(answers), 'record has', 'records have')} the answer "
            f"{answers[0]!r}, and a task needs two labels or more"
        )
    copied = _copied(texts, answers)
    format_ = "span.v1" if copied and forms is None else None
    guesses = [_said_of_answers(answers, forms, copied), *pairs.said(label)]
    if lang is None:
        lang, guess = _language(texts, identify)
        guesses.append(guess)
    taskname = sound_taskname(name)
    guesses += [f"the taskname {taskname!r} is made of {name!r}"] if taskname != name else []
    description = f"the {in_words(label).lower()} of the {in_words(text).lower()} is"
    guesses.append(f"the prompt starts from {description!r}: say in the language of the texts what the task is")
    guesses.append(f"{VIRTUAL_TOKENS} virtual tokens stand between text and answer; long texts are cut at {text!r}")
    card = parse_card(
        {
            "taskname": taskname,
            "lang": lang,
            "prompt_template": f"{{{text}}}<|VIRTUAL_PROMPT_0|> {{{label}}}",
            "total_virtual_tokens": VIRTUAL_TOKENS,
            "virtual_token_splits": [VIRTUAL_TOKENS],
            "truncate_field": text,
            "answer_field": label,
            "answer_format": format_,
            "label_space": forms,
            "description": description,
        },
        source="the drafted card",
    )
    return CardDraft(card, tuple(guesses))


def sound_taskname(name: str) -> str:
    """Return the taskname that the name of a file or set gives, without what a taskname cannot hold.

    >>> sound_taskname("data/Support tickets (v2).csv")
    'Support-tickets-(v2)'
    """
    stem = FILE_ENDINGS.sub("", Path(name).name)
    return _UNSOUND.sub("-", canonical(stem)).strip("-") or "task"


@dataclass(frozen=True)
class _Pairs:
    """Texts and answers of the records that have both, and the places of blank ones."""

    texts: list[str]
    answers: list[str]
    blank_texts: list[str]
    blank_answers: list[str]

    def said(self, label: str) -> Iterator[str]:
        """Say which cells are blank."""
        if self.blank_texts:
            yield f"{counted(len(self.blank_texts), 'text is blank', 'texts are blank')}: {_shown(self.blank_texts)}"
        if self.blank_answers:
            told = f"{counted(len(self.blank_answers), 'record has', 'records have')} a blank {label!r}"
            yield f"{told}, which must be filled in before training: {_shown(self.blank_answers)}"


def _shown(places: Sequence[str]) -> str:
    return ", ".join(places[:SHOWN]) + (", ..." if len(places) > SHOWN else "")


def _pairs(records: Iterable[InputRecord | DataError], text: str, label: str) -> _Pairs:
    found, faults = _Pairs([], [], [], []), []
    for record in records:
        if isinstance(record, DataError):
            faults.append(str(record))
            continue
        values = [value_of(record.data, column) for column in (text, label)]
        absent = [column for column, value in zip((text, label), values, strict=True) if value is None]
        if absent:
            faults.append(f"{record.source}: {missing_columns(absent, record.data)}")
            continue
        told, answer = map(_as_text, values)
        found.blank_texts.extend([record.source] if is_blank(told) else [])
        if answer.strip():
            found.texts.append(told)
            found.answers.append(answer)
        else:
            found.blank_answers.append(record.source)
    raise_faults(faults if found.answers or faults else ["there are no records with an answer to make a card of"])
    return found


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json_text(value)


def _label_forms(answers: Sequence[str]) -> dict[str, list[str]] | None:
    """Return the forms of each label, the ids in order; None where the answers are no labels.

    The id is the label as it stands in the data most often; its form is the same in plain words.
    """
    spellings: dict[str, Counter[str]] = {}
    for answer in answers:
        spellings.setdefault(folded(answer), Counter())[answer.strip()] += 1
    if len(spellings) > MOST_LABELS or (len(spellings) > 20 and 2 * len(spellings) > len(answers)):
        return None
    ids = sorted(max(counts, key=lambda spelling: (counts[spelling], spelling)) for counts in spellings.values())
    words = Counter(folded(in_words(label)) for label in ids)
    taken = {folded(label) for label in ids}
    forms = {}
    for label in ids:
        plain = in_words(label)
        own = folded(plain) == folded(label) or (words[folded(plain)] == 1 and folded(plain) not in taken)
        forms[label] = [plain if own and plain else label]
    return forms


def in_words(label: str) -> str:
    """Return a label in plain words: underscores and hyphens between letters, and capitals inside, become spaces.

    >>> in_words("card_arrival"), in_words("BookRestaurant"), in_words("R&D"), in_words("e-mail")
    ('card arrival', 'book restaurant', 'R&D', 'e-mail')
    """
    if re.fullmatch(r"([A-Z][a-z]+){2,}", label):
        return re.sub(r"(?<!^)(?=[A-Z])", " ", label).lower()
    return " ".join(label.replace("_", " ").split())


def _copied(texts: Sequence[str], answers: Sequence[str]) -> int:
    """Return how many answers stand letter by letter in their text; 0 where not nearly all do, "none" aside."""
    pairs = zip(texts, answers, strict=True)
    found = [answer.strip() in text for text, answer in pairs if folded(answer) != NONE]
    return sum(found) if sum(found) >= COPIED_SHARE * len(found) else 0


def _said_of_answers(answers: Sequence[str], forms: dict[str, list[str]] | None, copied: int) -> str:
    if not copied:
        return _said_of_labels(answers, forms)
    none = sum(folded(answer) == NONE for answer in answers)
    stand = f"{copied} of {len(answers)} answers stand letter by letter in their text"
    stand += f', and {none} {"is" if none == 1 else "are"} "none"' if none else ""
    if forms is None:
        return f'{stand}: they are copied from it ("answer_format": "span.v1"); without that key they are open answers'
    meant = f'{stand}: if they are to be copied, give "answer_format": "span.v1" and no label_space'
    return f"{_said_of_labels(answers, forms)}; {meant}"


def _said_of_labels(answers: Sequence[str], forms: dict[str, list[str]] | None) -> str:
    different = len({folded(answer) for answer in answers})
    if forms is None:
        return f"the {different} different answers of {len(answers)} records are open answers, not labels"
    counts = Counter(folded(answer) for answer in answers)
    rarest = min(forms, key=lambda label: (counts[folded(label)], label))
    notes = "; they are numbers: give their names as forms" if all(map(_NUMBER.fullmatch, forms)) else ""
    notes += "; some are written in several ways" if len({answer.strip() for answer in answers}) > different else ""
    slips = misspelt({label: counts[folded(label)] for label in forms}).items()
    notes += "".join(f"; {label!r} of 1 record is nearly {meant!r}: misspelt?" for label, meant in slips)
    return (
        f"the {different} different answers of {len(answers)} records are labels{notes}; the rarest is {rarest!r} with "
        f"{counts[folded(rarest)]}; the answer to {next(iter(forms))!r} is written {next(iter(forms.values()))[0]!r}"
    )


def _language(texts: Sequence[str], identify: Callable[[str], str] | None) -> tuple[str, str]:
    if identify is None:
        return "en", "the language is taken to be English"
    counts = Counter(identify(text) for text in texts[:200])
    lang, count = max(counts.items(), key=lambda pair: (pair[1], pair[0]))
    return lang, f"the language looks like {lang!r} ({count} of the first {counts.total()} texts)"
