"""Checks of what a translation must carry over: values, protected strings, spans, labels, and what the reader noted."""

from __future__ import annotations

import re
from collections.abc import Iterator

from translate.checks.base import Draft, Flag, Severity
from translate.records.protect import find_protected, is_kept
from translate.records.record import IntentLabel
from translate.values import compare_texts
from translate.values.mention import Kind

__all__ = [
    "EntityCheck",
    "LabelCheck",
    "MarkCheck",
    "RecasedCheck",
    "SearchCheck",
    "SlotCheck",
    "SourceCheck",
    "ValueCheck",
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
_CAPITALISED = re.compile(r"(?<!\w)[A-Z\u00c0-\u00de]\w+")


class ValueCheck:
    """Numbers, money, percentages, clock times and dates, by value.

    Human Swedish itself is flagged in 1.3 % of MASSIVE dev rows (places and prices made Swedish) and in 2.9 % of FLORES
    dev (miles made kilometres).
    """

    flags = (*FAMILIES, "value_open", "values_unchecked")

    def __call__(self, draft: Draft) -> Iterator[Flag]:
        """Flag each family of values that differs, what was left open, and why less was compared."""
        found = compare_texts(draft.source.text, draft.text, src=draft.src, tgt=draft.tgt)
        for name, kinds in FAMILIES.items():
            reasons = found.reasons(kinds)
            if reasons:
                yield Flag(name, "review", "; ".join(reasons), len(reasons))
        if found.narrowed():
            yield Flag("value_open", "info", "; ".join(found.narrowed()))
        if found.note:
            yield Flag("values_unchecked", "info", found.note)


class EntityCheck:
    """Tickers, addresses, handles, codes, targets and listed names."""

    flags = ("entity_lost",)

    def __call__(self, draft: Draft) -> Iterator[Flag]:
        """Flag protected strings of the source that the translation lacks."""
        found = dict.fromkeys(p.string for p in find_protected(draft.source.text, draft.source.protected))
        lost = [string for string in found if not is_kept(string, draft.text)]
        if lost:
            yield Flag("entity_lost", "review", f"lost: {', '.join(lost)}", len(lost))


class MarkCheck:
    """The engine spoilt the marks, so the spans were searched instead."""

    flags = ("marks_refused",)

    def __call__(self, draft: Draft) -> Iterator[Flag]:
        """Say why the marks were refused."""
        if draft.mark_fault:
            yield Flag("marks_refused", "info", draft.mark_fault)


class SearchCheck:
    """Spans that no mark showed, or showed without saying which is which, found by a search that is often wrong.

    On MASSIVE dev with human Swedish, spans found by form are exact in 98 %, by alignment in 91 %, by value in 67 %.
    """

    flags = ("span_searched",)

    def __call__(self, draft: Draft) -> Iterator[Flag]:
        """Say how such spans were found."""
        unsure = [f"{how} ({score:.0f})" for how, score in draft.searched if score < SURE]
        if unsure:
            yield Flag("span_searched", "warn", f"found by {', '.join(unsure)}", len(unsure))


class RecasedCheck:
    """A headline that went in as a sentence: names that it did not know from elsewhere lost their capitals."""

    flags = ("recased",)

    def __call__(self, draft: Draft) -> Iterator[Flag]:
        """Name the capitalised words of the source that the translation lacks."""
        if draft.mode == "recased":
            gone = [word for word in _CAPITALISED.findall(draft.source.text) if not is_kept(word, draft.text)]
            yield Flag("recased", "warn", f"sent as a sentence; not in it: {', '.join(gone) or 'nothing'}", len(gone))


class SlotCheck:
    """Spans that were not found, and slots whose value reads otherwise."""

    flags = ("slot_lost", "slot_value")

    def __call__(self, draft: Draft) -> Iterator[Flag]:
        """Flag lost spans, and found ones whose value differs."""
        lost = [s for s, found in zip(draft.source.spans, draft.spans, strict=True) if found is None]
        if lost:
            said = ", ".join(f"{s.type}({s.of(draft.source.text)})" for s in lost)
            yield Flag("slot_lost", "review", f"not found in the translation: {said}", len(lost))
        for span, found in zip(draft.source.spans, draft.spans, strict=True):
            if found is None:
                continue
            source, target = span.of(draft.source.text), found.of(draft.text)
            compared = compare_texts(source, target, src=draft.src, tgt=draft.tgt, lenient=span.type in TIME_SLOTS)
            if not compared.compatible:
                yield Flag("slot_value", "review", f"{span.type}({source}) became {span.type}({target})")


class LabelCheck:
    """Labels and phrases that no person has decided yet."""

    flags = ("label_auto",)

    def __call__(self, draft: Draft) -> Iterator[Flag]:
        """Name the undecided ones."""
        if draft.undecided:
            yield Flag("label_auto", "warn", f"no approved decision for {', '.join(draft.undecided)}")


class SourceCheck:
    """What was wrong before anything was translated."""

    flags = ("src_label_unparsed", "src_slot_not_in_text", "src_note")

    def __call__(self, draft: Draft) -> Iterator[Flag]:
        """Pass the reader's notes on, and flag slot values that stand nowhere in the source."""
        severity: Severity = "review"
        label = draft.source.label
        stray = [s for s in label.slots if s.span is None] if isinstance(label, IntentLabel) else []
        if stray:
            said = ", ".join(f"{s.type}({s.value})" for s in stray)
            yield Flag("src_slot_not_in_text", severity, f"the source text lacks {said}", len(stray))
        for note in draft.source.notes:
            if not stray or note != "src_slot_not_in_text":
                yield Flag(note if note in self.flags else "src_note", severity, note)
