"""Checks of what a translation must keep: values, protected strings, spans and labels."""

import re
from collections.abc import Iterator

from translate.checks.base import Draft, Flag, raises
from translate.records.layout import has_layout, skeleton
from translate.records.protect import find_protected, is_kept
from translate.records.record import IntentLabel
from translate.values import compare_texts
from translate.values.mention import Kind

__all__ = [
    "FAMILIES",
    "lost_entities",
    "lost_layout",
    "recased",
    "refused_marks",
    "searched_spans",
    "slots",
    "source_faults",
    "undecided_labels",
    "value_mismatches",
]

FAMILIES: dict[str, frozenset[Kind]] = {
    "number_mismatch": frozenset({"number"}),
    "money_mismatch": frozenset({"money"}),
    "percent_mismatch": frozenset({"percent"}),
    "time_mismatch": frozenset({"clock", "part"}),
    "date_mismatch": frozenset({"weekday", "day", "date", "month", "week", "weekend", "year"}),
}
TIME_SLOTS = frozenset({"time"})
SURE = 90.0
SOURCE_NOTES = ("src_label_unparsed", "src_slot_not_in_text")
_CAPITALISED = re.compile(r"(?<!\w)[A-Z\u00c0-\u00de]\w+")


@raises(*FAMILIES, "value_open", "values_unchecked")
def value_mismatches(draft: Draft) -> Iterator[Flag]:
    """Flag numbers, money, percentages, clock times and dates that differ, by value; tell what was not compared.

    Human Swedish itself is flagged in 1.3 % of MASSIVE dev rows (places and prices made Swedish) and in 2.9 % of FLORES
    dev (miles made kilometres).
    """
    found = compare_texts(draft.source.text, draft.text, src=draft.src, tgt=draft.tgt)
    for name, kinds in FAMILIES.items():
        if reasons := found.reasons(kinds):
            yield Flag(name, "review", "; ".join(reasons), len(reasons))
    if narrowed := found.narrowed():
        yield Flag("value_open", "info", "; ".join(narrowed))
    if found.note:
        yield Flag("values_unchecked", "info", found.note)


@raises("entity_lost")
def lost_entities(draft: Draft) -> Iterator[Flag]:
    """Flag protected strings (tickers, addresses, handles, codes, listed names) that the translation lacks."""
    found = dict.fromkeys(p.string for p in find_protected(draft.source.text, draft.source.protected))
    lost = [string for string in found if not is_kept(string, draft.text)]
    if lost:
        yield Flag("entity_lost", "review", f"lost: {', '.join(lost)}", len(lost))


@raises("layout_lost")
def lost_layout(draft: Draft) -> Iterator[Flag]:
    """Flag a translation with other line breaks, tabs or bullets than its source."""
    if has_layout(draft.source.text) or has_layout(draft.text):
        before, after = skeleton(draft.source.text), skeleton(draft.text)
        if before != after:
            yield Flag("layout_lost", "warn", f"{before!r:.80} became {after!r:.80}")


@raises("marks_refused")
def refused_marks(draft: Draft) -> Iterator[Flag]:
    """Tell why the engine's marks were refused, so that the spans were searched instead."""
    if draft.mark_fault:
        yield Flag("marks_refused", "info", draft.mark_fault)


@raises("span_searched")
def searched_spans(draft: Draft) -> Iterator[Flag]:
    """Flag spans that were found by a search that is often wrong.

    On MASSIVE dev with human Swedish, spans found by form are exact in 98 %, by alignment in 91 %, by value in 67 %.
    """
    unsure = [f"{how} ({score:.0f})" for how, score in draft.searched if score < SURE]
    if unsure:
        yield Flag("span_searched", "warn", f"found by {', '.join(unsure)}", len(unsure))


@raises("recased")
def recased(draft: Draft) -> Iterator[Flag]:
    """Flag a headline that was sent as a sentence, with the names that lost their capitals."""
    if draft.mode == "recased":
        gone = [word for word in _CAPITALISED.findall(draft.source.text) if not is_kept(word, draft.text)]
        yield Flag("recased", "warn", f"sent as a sentence; not in it: {', '.join(gone) or 'nothing'}", len(gone))


@raises("slot_lost", "slot_value")
def slots(draft: Draft) -> Iterator[Flag]:
    """Flag spans that were not found, and found ones whose value differs."""
    pairs = list(zip(draft.source.spans, draft.spans, strict=True))
    lost = [f"{s.type}({s.of(draft.source.text)})" for s, found in pairs if found is None]
    if lost:
        yield Flag("slot_lost", "review", f"not found in the translation: {', '.join(lost)}", len(lost))
    for span, found in pairs:
        if found is None:
            continue
        source, target = span.of(draft.source.text), found.of(draft.text)
        compared = compare_texts(source, target, src=draft.src, tgt=draft.tgt, lenient=span.type in TIME_SLOTS)
        if not compared.compatible:
            yield Flag("slot_value", "review", f"{span.type}({source}) became {span.type}({target})")


@raises("label_auto")
def undecided_labels(draft: Draft) -> Iterator[Flag]:
    """Flag labels and phrases that no person has decided yet."""
    if draft.undecided:
        yield Flag("label_auto", "warn", f"no approved decision for {', '.join(draft.undecided)}")


@raises(*SOURCE_NOTES, "src_note")
def source_faults(draft: Draft) -> Iterator[Flag]:
    """Flag what was wrong before anything was translated: the reader's notes, slot values that the source lacks."""
    label = draft.source.label
    stray = [s for s in label.slots if s.span is None] if isinstance(label, IntentLabel) else []
    if stray:
        said = ", ".join(f"{s.type}({s.value})" for s in stray)
        yield Flag("src_slot_not_in_text", "review", f"the source text lacks {said}", len(stray))
    for note in draft.source.notes:
        if not stray or note != "src_slot_not_in_text":
            yield Flag(note if note in SOURCE_NOTES else "src_note", "review", note)
