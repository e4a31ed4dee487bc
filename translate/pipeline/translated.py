"""What the pipeline returns for a record, and a person's earlier decision about it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from translate.checks import Flag, Mode, Status
from translate.inventory.inventory import INTENT, SLOT_TYPE, Inventory
from translate.records.record import ClassLabel, Frame, IntentLabel, Label, Record, SlotLabel, Span, source_hash

__all__ = ["Override", "TranslatedRecord", "assemble", "label_text", "override_spans", "provenance", "undecided"]


@dataclass(frozen=True)
class Override:
    """A person's decision about a source text; it holds for every engine.

    Attributes:
        source_hash: of the record (``source_hash``).
        drop: whether the record is left out.
        text: the translation, unless it is dropped.
        spans: typed stretches of the text, those of one type in the order of the source's.
        note: why.
        withdrawn: whether the person took the decision back; it does not count then.
        source: the source text with its spans, for people who read the decision; no part of it.
    """

    source_hash: str
    drop: bool = False
    text: str = ""
    spans: tuple[Span, ...] = ()
    note: str = ""
    withdrawn: bool = False
    source: str = field(default="", compare=False)


@dataclass(frozen=True)
class TranslatedRecord:
    """A record with its translation and what the checks say of it.

    Attributes:
        source: the record, tidied.
        target: the translated record, same id and group; None when there is none to give (nothing came back, a span was
            not found, a person dropped it).
        text: the translated text, for a reviewer also where there is no target.
        spans: for each source span where it was found, or None.
        label_text: the form of a class label; empty for other kinds.
        status: ok if a person or evidence confirms it, else unchecked, warn, review or drop, by the policy.
        flags: raised by the checks.
        mode: how the text was sent to the engine.
        engine_id: of the engine; empty where a person translated.
        segment_key: in the memory; empty there too.
        score: mean log-probability a token, where the engine gives one.
        others: the same text by other engines.
    """

    source: Record
    target: Record | None
    text: str
    spans: tuple[Span | None, ...]
    label_text: str
    status: Status
    flags: tuple[Flag, ...]
    mode: Mode
    engine_id: str
    segment_key: str
    score: float | None = None
    others: tuple[str, ...] = ()


def assemble(source: Record, text: str, spans: Sequence[Span | None], inventory: Inventory) -> Record | None:
    """Return the translated record: the label by the inventory, slot values as they stand in the text.

    Returns:
        None when the text became empty or a span was not found: a label without its slot would teach the wrong thing.
    """
    placed = sorted((span, index) for index, span in enumerate(spans) if span is not None)
    if (source.text.strip() and not text.strip()) or len(placed) < len(spans):
        return None
    renamed = tuple(Span(s.start, s.end, inventory.id_of(SLOT_TYPE, s.type).text) for s, _ in placed)
    place_of = {index: place for place, (_, index) in enumerate(placed)}
    return Record(
        id=source.id,
        group=source.group,
        taskname=source.taskname,
        text=text,
        spans=renamed,
        label=_label(source.label, text, renamed, place_of, inventory),
        frame=_frame(source.frame, inventory),
        protected=source.protected,
        notes=source.notes,
    )


def undecided(record: Record, inventory: Inventory) -> tuple[str, ...]:
    """Return what the inventory has no approved decision for: the label, the phrase, renamed ids."""
    label, wanted = record.label, []
    if isinstance(label, ClassLabel):
        wanted.append((f"label {label.id}", inventory.label(record.taskname, label.id)))
    if isinstance(label, IntentLabel):
        wanted.append((f"intent {label.intent}", inventory.id_of(INTENT, label.intent)))
        wanted += [(f"slot type {slot.type}", inventory.id_of(SLOT_TYPE, slot.type)) for slot in label.slots]
    if record.frame:
        wanted.append((f"phrase {record.frame.template!r}", inventory.text(record.frame.template)))
    return tuple(dict.fromkeys(name for name, kept in wanted if kept is None or kept.auto))


def label_text(record: Record, inventory: Inventory) -> str:
    """Return the target form of a class label, its id where nothing is decided; empty for other kinds."""
    if not isinstance(record.label, ClassLabel):
        return ""
    kept = inventory.label(record.taskname, record.label.id)
    return kept.text if kept else record.label.id


def override_spans(source: Record, override: Override) -> tuple[Span | None, ...]:
    """Return an override's span for each source span: of one type in order, None where it has too few."""
    left: dict[str, list[Span]] = defaultdict(list)
    for span in override.spans:
        left[span.type].append(span)
    return tuple(left[span.type].pop(0) if left[span.type] else None for span in source.spans)


def provenance(record: TranslatedRecord) -> dict[str, object]:
    """Return where a translation comes from, as plain data without any time in it."""
    return {
        "row_id": record.source.id,
        "group": record.source.group,
        "source_sha256": source_hash(record.source),
        "status": record.status,
        "mode": record.mode,
        "engine": record.engine_id,
        "segment": record.segment_key,
        "score": record.score,
        "spans": [None if span is None else asdict(span) for span in record.spans],
        "flags": [asdict(flag) for flag in record.flags],
    }


def _label(label: Label, text: str, spans: Sequence[Span], place_of: Mapping[int, int], inventory: Inventory) -> Label:
    if not isinstance(label, IntentLabel):
        return label
    slots = []
    for slot in label.slots:
        type_id = inventory.id_of(SLOT_TYPE, slot.type).text
        if slot.span is None:
            value = (inventory.value_forms(slot.type, slot.value) or (slot.value,))[0]
            slots.append(SlotLabel(type_id, value, None))
        else:
            place = place_of[slot.span]
            slots.append(SlotLabel(type_id, spans[place].of(text), place))
    return IntentLabel(inventory.id_of(INTENT, label.intent).text, tuple(slots))


def _frame(frame: Frame | None, inventory: Inventory) -> Frame | None:
    kept = inventory.text(frame.template) if frame else None
    return Frame(kept.text, frame.field, frame.values) if frame and kept else frame
