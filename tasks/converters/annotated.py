"""Utterances with their slots in brackets, such as ``wake me at [time : nine am]``, and small tasks made from them.

The assistant set (xliuhw/NLU-Evaluation-Data, files such as ``kfold1_train.jsonl``) and MASSIVE (FitzGerald et al.
2022) are written so. Values may hold anything but unbalanced brackets.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from tasks.converters.conversion import Conversion, convert_lines, group_of, sha256
from tasks.errors import DataError
from tasks.sampling import sample_key
from tasks.slots import IntentSlots, Slot, render_intent_slots

__all__ = ["CONVERTERS", "assistant_identity", "parse_annotation"]

CLOCK_SCENARIO = "datetime"
OTHERS = 3
"""Examples that are no clock questions for each that is one."""

Line = Mapping[str, str]


def parse_annotation(annotation: str) -> tuple[str, tuple[Slot, ...]]:
    """Return the text without its brackets, and the slots with their offsets in that text.

    Raises:
        DataError: brackets are not balanced, or one holds no ``type : value``; the message names the character.

    >>> parse_annotation("wake me at [time : nine am]")
    ('wake me at nine am', (Slot(type='time', value='nine am', start=11, end=18),))
    """
    text, slots, opened, depth = "", [], 0, 0
    for at, character in enumerate(annotation):
        depth += (character == "[") - (character == "]")
        if depth < 0:
            raise DataError(f"character {at}: ']' without '['")
        if character == "[" and depth == 1:
            opened = at
        elif character == "]" and depth == 0:
            slots.append(_slot(annotation[opened : at + 1], opened, len(text)))
            text += slots[-1].value
        elif depth == 0:
            text += character
    if depth:
        raise DataError(f"character {opened}: '[' is never closed")
    return text, tuple(slots)


def _slot(bracket: str, at: int, start: int) -> Slot:
    name, _, value = (part.strip() for part in bracket[1:-1].partition(":"))
    if not (name and value):
        raise DataError(f"character {at}: {bracket!r} is no slot; it is written [type : value]")
    return Slot(name, value, start, start + len(value))


def _intent_slots(
    paths: Sequence[Path], keys: Sequence[str], identity: Callable[[Line, str], dict[str, str]]
) -> Conversion:
    """Convert to intents and slots.

    Args:
        paths: of the files.
        keys: the fields of intent, text and annotation, and others that are needed.
        identity: makes id and group of a line and its utterance.
    """
    intent, text, annotation = keys[:3]
    differing: list[str] = []

    def convert(line: Line) -> dict[str, str]:
        utterance, slots = parse_annotation(line[annotation])
        label = render_intent_slots(IntentSlots(line[intent], slots))
        own = identity(line, utterance)
        differing.extend([own["id"]] * (utterance != line[text]))
        return {"taskname": "intent_and_slot", "utterance": utterance, "label": label} | own

    records = convert_lines(paths, keys, convert)
    notes = [f"{len(records)} records in {len({record['group'] for record in records})} groups"]
    if differing:
        notes.append(f"{len(differing)} annotations differ from their text and were used instead: {differing[0]}, ...")
    return Conversion(tuple(records), tuple(notes))


def assistant_identity(line: Line, text: str) -> dict[str, str]:
    """Return an id of answer id and text (one answer id stands for up to 40 texts), and the text's group."""
    return {"id": f"assistant-{line['answerid']}-{sha256(text)[:8]}", "group": group_of(text.casefold())}


def _massive_identity(line: Line, utterance: str) -> dict[str, str]:  # noqa: ARG001 - English decides
    """Return the same id and group for all languages; the group is that of the English utterance."""
    return {"id": f"massive-{line['id']}", "group": group_of(line["en"].casefold())}


def _assistant(paths: Sequence[Path]) -> Conversion:
    return _intent_slots(paths, ("intent", "text", "annotation", "answerid"), assistant_identity)


def _massive(paths: Sequence[Path], lang: str) -> Conversion:
    return _intent_slots(paths, ("intent", lang, f"{lang}_annot", "id", "en"), _massive_identity)


def _scenarios(paths: Sequence[Path]) -> Conversion:
    """Ask what a request of the assistant set is about, one of its 18 scenarios."""
    records = [_scenario_record("scenario", line, line["scenario"]) for line in _scenario_lines(paths)]
    return Conversion(tuple(records), (f"{len(records)} records",))


def _clock_questions(paths: Sequence[Path]) -> Conversion:
    """Ask whether a request of the assistant set asks for time or date.

    All that do are kept, and three times as many others, chosen by the hash of their answer ids.
    """
    lines = _scenario_lines(paths)
    asking = [line for line in lines if line["scenario"] == CLOCK_SCENARIO]
    others = [line for line in lines if line["scenario"] != CLOCK_SCENARIO]
    others.sort(key=lambda line: sample_key(0, line["answerid"]))
    kept = {line["answerid"] for line in (*asking, *others[: OTHERS * len(asking)])}
    records = [
        _scenario_record("clock-question", line, "yes" if line["scenario"] == CLOCK_SCENARIO else "no")
        for line in lines
        if line["answerid"] in kept
    ]
    notes = (f"{len(records)} records, {len(asking)} of them yes", f"{len(lines) - len(records)} left out")
    return Conversion(tuple(records), notes)


def _scenario_lines(paths: Sequence[Path]) -> list[dict[str, str]]:
    return convert_lines(paths, ("answerid", "text", "scenario"), dict)


def _scenario_record(taskname: str, line: Line, label: str) -> dict[str, str]:
    text = line["text"]
    return {"taskname": taskname, "utterance": text, "label": label} | assistant_identity(line, text)


CONVERTERS: dict[str, Callable[[Sequence[Path]], Conversion]] = {
    "assistant": _assistant,
    "massive-en": partial(_massive, lang="en"),
    "massive-is": partial(_massive, lang="is"),
    "massive-sv": partial(_massive, lang="sv"),
    "assistant-scenario": _scenarios,
    "assistant-clock": _clock_questions,
}
"""By name; each raises `DataError` for all faults of all lines at once."""
