"""Which translated records a person should look at, and how a text is shown with its spans.

Nothing here knows a file format: ``table`` is one way to show items, a web page may be another.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from translate.checks import FlagPolicy, agreement
from translate.errors import ReviewError
from translate.pipeline.translated import TranslatedRecord
from translate.records.record import ClassLabel, IntentLabel, Label, Span, source_hash

__all__ = ["ReviewItem", "annotate", "flagged", "parse_annotated", "review_items"]

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
