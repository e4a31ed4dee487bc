"""What a person's answers to items become: decisions, whose edits pass the checks of a translation."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from translate.checks import Draft, run_checks
from translate.errors import ReviewError
from translate.pipeline.translated import Override, override_spans
from translate.records.layout import has_layout, tidy_layout
from translate.records.record import Record, Span
from translate.review.items import ReviewItem, parse_annotated

__all__ = ["Answer", "Choice", "is_written", "validated"]

Choice = Literal["ok", "edit", "edit!", "drop", "undo"]


@dataclass(frozen=True)
class Answer:
    """A person's answer to an item, not yet validated.

    Attributes:
        source_hash: of the item.
        decision: ok, edit, edit!, drop, undo, or nothing.
        text: the edited translation, spans as ``[type : value]``.
        note: kept with the decision.
        shown: the translation that the person saw; None where it is not known.
        place: such as "line 3".
    """

    source_hash: str
    decision: str
    text: str = ""
    note: str = ""
    shown: str | None = None
    place: str = ""


def validated(items: Iterable[ReviewItem], answers: Iterable[Answer]) -> dict[str, Override]:
    """Make overrides of answers, by source hash, all of them or none.

    "ok" keeps the translation shown, "edit" takes the edited text, which must pass the checks of a translation, "edit!"
    takes it all the same, "drop" leaves the record out, and "undo" takes an earlier decision back. Neither decision nor
    text leaves the item as it was.

    Raises:
        ReviewError: unknown items or decisions, two decisions about one, edits without text, a text that is not "edit"
            and would be thrown away, a translation that is not the run's, brackets that do not parse, slot types that
            are not the source's, an edit that a check refuses; all faults at once.
    """
    shown = {item.source_hash: item for item in items}
    overrides: dict[str, Override] = {}
    faults: list[str] = []
    for answer in answers:
        if not is_written(answer, shown):
            continue
        try:
            override = _override(shown, answer)
        except ReviewError as exc:
            faults += exc.faults
            continue
        if overrides.setdefault(override.source_hash, override) != override:
            row = shown[override.source_hash].row_id
            faults.append(f"row {row}: there are two decisions about it, the second on {answer.place}; keep one")
    if faults:
        raise ReviewError("the review", faults)
    return overrides


def is_written(answer: Answer, shown: Mapping[str, ReviewItem]) -> bool:
    """Return whether an answer has a decision, a text, or another translation than was shown; a note does not count."""
    item = shown.get(answer.source_hash)
    return bool(answer.decision.strip() or answer.text.strip() or (item and _moved(item, answer)))


def _override(shown: Mapping[str, ReviewItem], answer: Answer) -> Override:
    item, decision = shown.get(answer.source_hash), answer.decision.strip().casefold()
    if item is None:
        raise ReviewError("a decision", [f"{answer.place}: no item has the source hash {answer.source_hash[:12]!r}..."])
    if said := _lost(item, answer, decision):
        raise ReviewError("a decision", [f"row {item.row_id}: {said}"])
    if decision not in get_args(Choice):
        said = f"row {item.row_id}: the decision {answer.decision!r} is none of {', '.join(get_args(Choice))}"
        raise ReviewError("a decision", [said])
    if decision in ("drop", "undo"):
        gone = decision == "undo"
        return Override(item.source_hash, drop=not gone, note=answer.note, withdrawn=gone, source=item.source)
    text, spans = item.text, item.spans
    if decision != "ok":
        text, spans = parse_annotated(_tidied(item, answer.text), item.slot_types)
        spans = _as_shown(item, text, spans)
    faults = _edit_faults(item, text, spans) or (_refused(item, text, spans) if decision == "edit" else [])
    if faults:
        raise ReviewError("a decision", [f"row {item.row_id}: {fault}" for fault in faults])
    return Override(item.source_hash, text=text, spans=spans, note=answer.note, source=item.source)


def _tidied(item: ReviewItem, text: str) -> str:
    """Return an edited text as texts are kept; line breaks count where the item has some, as it writes them."""
    if not has_layout(item.text):
        return " ".join(text.split())
    return tidy_layout(text if "\r\n" in item.text else text.replace("\r\n", "\n"))


def _lost(item: ReviewItem, answer: Answer, decision: str) -> str:
    """Return a fault if the text that the person wrote or saw is not the one that would be kept."""
    said = f"with the decision {decision}" if decision else "without a decision"
    text, translation = " ".join(answer.text.split()), " ".join(item.translation.split())
    if decision in ("", "ok", "drop", "undo") and text and (text != translation or not decision):
        return f"edited_text is {text!r} {said}; write edit to keep it, or clear it"
    if decision in ("", "ok") and _moved(item, answer):
        return (
            f"the translation beside it is {' '.join(str(answer.shown).split())!r}, the run's is {translation!r}; if "
            "you changed it write edit and put it into edited_text, if the file is of an earlier run take the new one"
        )
    return ""


def _moved(item: ReviewItem, answer: Answer) -> bool:
    """Return whether the person saw another translation than the item's."""
    return answer.shown is not None and answer.shown.split() != item.translation.split()


def _as_shown(item: ReviewItem, text: str, spans: Sequence[Span]) -> tuple[Span, ...]:
    """Return edited spans in the order of those shown: one that kept its type and value keeps its place."""
    left, places = list(spans), dict[int, Span]()
    for place, shown in enumerate(item.spans):
        said = (shown.type, shown.of(item.text))
        same = next((span for span in left if (span.type, span.of(text)) == said), None)
        if same is not None:
            places[place] = same
            left.remove(same)
    for place, shown in enumerate(item.spans):
        if place not in places and (new := next((span for span in left if span.type == shown.type), None)):
            places[place] = new
            left.remove(new)
    return (*(places[place] for place in sorted(places)), *left)


def _edit_faults(item: ReviewItem, text: str, spans: Sequence[Span]) -> list[str]:
    if not text.strip():
        return ["there is no text; write one, or decide drop"]
    if stray := re.findall(r"\[[^\[\]:]+ : [^\[\]]*\]", text):
        return [f"{', '.join(stray)} is marked once too often or is no slot of the source"]
    wanted, given = Counter(item.slot_types), Counter(span.type for span in spans)
    missing, extra = sorted((wanted - given).elements()), sorted((given - wanted).elements())
    faults = [f"no stretch is marked as {', '.join(missing)}; write [type : value]"] if missing else []
    return faults + ([f"{', '.join(extra)} is marked once too often"] if extra else [])


def _refused(item: ReviewItem, text: str, spans: Sequence[Span]) -> list[str]:
    """Return what the checks of a translation say against an edit."""
    source, source_spans = parse_annotated(item.source, item.slot_types)
    record = Record(item.row_id, item.row_id, "", source, source_spans, protected=item.protected)
    placed = override_spans(record, Override("", text=text, spans=tuple(spans)))
    flags = run_checks(Draft(record, text, placed, item.src, item.tgt, mode="human"))
    return [
        f"{flag.name}: {flag.evidence}; correct edited_text, or write edit! if it is right"
        for flag in flags
        if flag.severity in ("review", "drop")
    ]
