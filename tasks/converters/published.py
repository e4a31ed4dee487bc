"""Slot-annotated sets as they are published: MASSIVE of any locale, and NLU-Evaluation-Data's annotated CSV."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tasks.converters.annotated import assistant_identity, parse_annotation
from tasks.converters.conversion import Conversion, convert_lines, group_of
from tasks.errors import DataError
from tasks.slots import IntentSlots, render_intent_slots

__all__ = ["CONVERTERS", "convert_massive", "convert_nlu_evaluation"]

MASSIVE_KEYS = ("id", "locale", "partition", "intent", "utt", "annot_utt")
KEPT_LOCALES = ("zh-CN", "zh-TW")
"""Locales of one language that are written differently; of others the language is enough."""


def convert_massive(paths: Sequence[Path]) -> Conversion:
    """Convert files of MASSIVE (FitzGerald et al. 2022) such as ``sv-SE.jsonl``, of one or more locales.

    An utterance has the same id and group in every locale. The group is that of the English utterance where en-US is
    among the files, so that equal utterances stay together; else it is the id.

    Raises:
        DataError: lines are not in this format; all of them at once.
    """
    english: dict[str, str] = {}

    def convert(line: Mapping[str, str]) -> dict[str, str]:
        if line["locale"] == "en-US":
            english[line["id"]] = group_of(line["utt"].casefold())
        lang = line["locale"] if line["locale"] in KEPT_LOCALES else line["locale"].partition("-")[0]
        own = f"massive-{line['id']}"
        record = _labelled(line["intent"], line["annot_utt"])
        return record | {"lang": lang, "id": own, "group": own, "partition": line["partition"]}

    records = convert_lines(paths, MASSIVE_KEYS, convert)
    for record in records:
        record["group"] = english.get(record["id"].removeprefix("massive-"), record["group"])
    langs = sorted({record["lang"] for record in records})
    parts = {name: len(part) for name, part in Conversion(tuple(records), ()).parts().items()}
    sizes = ", ".join(f"{name} {count}" for name, count in parts.items())
    by = "the English utterance" if english else "the id; give en-US.jsonl too to keep equal utterances together"
    return Conversion(tuple(records), (f"{len(records)} records in {', '.join(langs)}: {sizes}", f"groups are by {by}"))


def convert_nlu_evaluation(paths: Sequence[Path]) -> Conversion:
    """Convert the CSV of xliuhw/NLU-Evaluation-Data with ``answerid;scenario;intent;answer_annotation;...``.

    Answers that its authors set aside (status IRR...), and those without an annotation, are left out and counted.

    Raises:
        DataError: lines are not in this format; all of them at once.
    """
    left_out = 0
    seen: dict[str, int] = {}

    def convert(line: Mapping[str, str]) -> dict[str, str] | None:
        nonlocal left_out
        annotation = line["answer_annotation"].strip()
        if line.get("status", "").startswith("IRR") or annotation.casefold() in ("", "null", "nan"):
            left_out += 1
            return None
        scenario, intent = line["scenario"], line["intent"]
        record = _labelled(intent if intent.startswith(f"{scenario}_") else f"{scenario}_{intent}", annotation)
        own = assistant_identity(line, record["utterance"])
        seen[own["id"]] = seen.get(own["id"], 0) + 1
        copy = f"-{seen[own['id']]}" if seen[own["id"]] > 1 else ""
        return record | own | {"id": own["id"] + copy}

    keys = ("answerid", "scenario", "intent", "answer_annotation")
    records = convert_lines(paths, keys, convert, more=("status",))
    notes = [f"{len(records)} records in {len({record['group'] for record in records})} groups"]
    notes += [f"{left_out} answers left out: set aside by the authors, or without annotation"] if left_out else []
    return Conversion(tuple(records), tuple(notes))


def _labelled(intent: str, annotation: str) -> dict[str, str]:
    utterance, slots = parse_annotation(annotation)
    if not utterance.strip():
        raise DataError("the utterance is blank")
    label = render_intent_slots(IntentSlots(intent, slots))
    return {"taskname": "intent_and_slot", "utterance": utterance, "label": label}


CONVERTERS: dict[str, Callable[[Sequence[Path]], Conversion]] = {
    "massive": convert_massive,
    "nlu-evaluation": convert_nlu_evaluation,
}
