"""Which translated records a person should look at, and what the person's decisions become.

Nothing here knows a file format: ``table`` is one way to show items and to read decisions, a web page may be another.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from translate.checks import Draft, FlagPolicy, agreement, run_checks
from translate.errors import ReviewError
from translate.pipeline.translated import Override, TranslatedRecord, override_spans
from translate.records.layout import has_layout, tidy_layout
from translate.records.record import ClassLabel, IntentLabel, Label, Record, Span, source_hash

__all__ = [
    "Answer",
    "Choice",
    "ReviewItem",
    "annotate",
    "flagged",
    "is_written",
    "parse_annotated",
    "review_items",
    "validated",
]

Choice = Literal["ok", "edit", "edit!", "drop", "undo"]
_RANK = {"drop": 0, "review": 1, "warn": 2, "info": 3}
_BRACKET = re.compile(r"\[([^\[\]]*)\]")  # spaces inside are taken off afterwards, so that it takes linear time


@dataclass(frozen=True)
class ReviewItem:
    """A record to look at.

    Attributes:
        source_hash: of the record; a decision holds for all records with equal content.
        row_id: of the record.
        source: its text, spans as ``[type : value]``.
        translation: the translated text, spans likewise.
        label: of the source.
        flags: with their evidence, the worst first.
        severity: of the worst.
        agreement: mean chrF with other engines, 0 to 100; None without any.
        others: translations by other engines.
        slot_types: types of the spans that a decision must mark.
        text: the translated text.
        spans: found in it, in the order of the source's.
        src: language of the source; empty in files of an earlier promptbank.
        tgt: language of the translation; empty there too.
        score: the engine's mean log-probability a token, if it gave one.
        protected: strings that must stay as they are.
        decided: what a person decided before, "ok" or "drop"; empty if nothing.
    """

    source_hash: str
    row_id: str
    source: str
    translation: str
    label: str
    flags: tuple[str, ...]
    severity: str
    agreement: float | None
    others: tuple[str, ...]
    slot_types: tuple[str, ...]
    text: str
    spans: tuple[Span, ...]
    src: str = ""
    tgt: str = ""
    score: float | None = None
    protected: tuple[str, ...] = ()
    decided: str = ""


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


def review_items(
    records: Iterable[TranslatedRecord], policy: FlagPolicy, langpair: tuple[str, str] = ("", "")
) -> list[ReviewItem]:
    """Return an item for each source, the worst flags first; of equals the least agreed on, then the lowest score."""
    items: dict[str, ReviewItem] = {}
    for record in records:
        item = replace(_item(record, policy), src=langpair[0], tgt=langpair[1])
        items.setdefault(item.source_hash, item)

    def rank(item: ReviewItem) -> tuple[object, ...]:
        agreed = 101.0 if item.agreement is None else item.agreement
        score = 1.0 if item.score is None else item.score  # log-probabilities are below 0
        return _RANK[item.severity], -len(item.flags), agreed, score, item.row_id

    return sorted(items.values(), key=rank)


def flagged(items: Iterable[ReviewItem]) -> list[ReviewItem]:
    """Return the items that a person should look at: flagged for it, and not decided unless it could not be done."""
    return [i for i in items if i.severity in ("drop", "review") and (not i.decided or i.severity == "review")]


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


def annotate(text: str, spans: Sequence[Span | None]) -> str:
    """Return a text with its spans as ``[type : value]``.

    >>> annotate("klockan nio", [Span(8, 11, "time")])
    'klockan [time : nio]'
    """
    out, at = "", 0
    for span in sorted(span for span in spans if span is not None):
        out += f"{text[at : span.start]}[{span.type} : {span.of(text)}]"
        at = span.end
    return out + text[at:]


def parse_annotated(annotated: str, types: Collection[str]) -> tuple[str, tuple[Span, ...]]:
    """Read a text with ``[type : value]`` spans of some types; other brackets belong to the text.

    Raises:
        ReviewError: a span is empty.

    >>> parse_annotated("klockan [time : nio] [sic]", ["time"])
    ('klockan nio [sic]', (Span(start=8, end=11, type='time'),))
    """
    text, spans, at = "", [], 0
    for found in _BRACKET.finditer(annotated):
        name, colon, value = (part.strip() for part in found[1].partition(":"))
        if not colon or name not in types:
            continue
        text += annotated[at : found.start()]
        spans.append(Span(len(text), len(text) + len(value), name))
        text += value
        at = found.end()
    text += annotated[at:]
    if any(span.start == span.end for span in spans):
        raise ReviewError("a text", [f"a span of {annotated!r} is empty"])
    return text, tuple(spans)


def _item(record: TranslatedRecord, policy: FlagPolicy) -> ReviewItem:
    flags = sorted(record.flags, key=lambda flag: _RANK[policy.severity(flag)])
    return ReviewItem(
        source_hash=source_hash(record.source),
        row_id=record.source.id,
        source=annotate(record.source.text, record.source.spans),
        translation=annotate(record.text, record.spans),
        label=_said(record.source.label),
        flags=tuple(f"{flag.name}: {flag.evidence}" for flag in flags),
        severity=policy.severity(flags[0]) if flags else "info",
        agreement=agreement(record.text, record.others),
        others=record.others,
        slot_types=tuple(span.type for span in record.source.spans),
        text=record.text,
        spans=tuple(span for span in record.spans if span is not None),
        score=record.score,
        protected=record.source.protected,
        decided="" if record.mode != "human" else "drop" if record.status == "drop" else "ok",
    )


def _said(label: Label) -> str:
    if isinstance(label, IntentLabel):
        return f"{label.intent}: {', '.join(f'{s.type}({s.value})' for s in label.slots) or 'no slots'}"
    return label.id if isinstance(label, ClassLabel) else ""


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
