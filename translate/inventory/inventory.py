"""The label inventory of a language pair: one decision for each label, phrase and closed-set value.

Labels never go through an engine text by text: it made "iot _ kaffe", or a random inflection, of them. Intents and slot
types keep their ids unless a decision renames them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import ConfigDict, StrictBool
from pydantic.dataclasses import dataclass as pydantic_dataclass

from translate.errors import InventoryError
from translate.records.record import placeholders

__all__ = ["Decision", "Inventory", "InventoryText", "Section", "merge"]

Section = tuple[str, ...]
INTENT: Section = ("intent",)
SLOT_TYPE: Section = ("slot_type",)
TEXT: Section = ("text",)


@pydantic_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Decision:
    """The translation of one label, phrase or value.

    Attributes:
        target: its form in the target language; empty for an id that is kept.
        variants: other forms with the same meaning, mostly inflections.
        keep: whether the id itself stays (intents and slot types).
        phrase: how templates word a kept id.
        status: "approved" by a person, or "auto" as an engine proposed it.
        by: who approved it.
    """

    target: str = ""
    variants: tuple[str, ...] = ()
    keep: StrictBool = False
    phrase: str = ""
    status: Literal["approved", "auto"] = "auto"
    by: str = ""

    @property
    def forms(self) -> tuple[str, ...]:
        """The target form and the variants, each once."""
        return tuple(dict.fromkeys(form for form in (self.target, *self.variants) if form))


@dataclass(frozen=True)
class InventoryText:
    """The text for a label or phrase, and whether it still waits for a person's approval."""

    text: str
    auto: bool


@dataclass(frozen=True)
class Inventory:
    """All decisions of one language pair.

    Attributes:
        src: language of the keys.
        tgt: language of the targets.
        decisions: section -> key -> decision. Sections: ("label", taskname), ("intent",), ("slot_type",), ("text",),
            ("value", slot type).
        source: name in messages.

    Raises:
        InventoryError: decisions are incomplete or collide; all faults at once.
    """

    src: str
    tgt: str
    decisions: Mapping[Section, Mapping[str, Decision]] = field(default_factory=dict)
    source: str = "the inventory"

    def __post_init__(self) -> None:
        faults = list(_faults(self.decisions))
        if faults:
            raise InventoryError(self.source, faults)

    def find(self, section: Section, key: str) -> Decision | None:
        """Return a decision, None when there is none."""
        return self.decisions.get(section, {}).get(key)

    def label(self, taskname: str, label_id: str) -> InventoryText | None:
        """Return the form of a class label; None when nothing is decided."""
        found = self.find(("label", taskname), label_id)
        return None if found is None else InventoryText(found.target or label_id, found.status == "auto")

    def label_space(self, taskname: str) -> dict[str, tuple[str, ...]]:
        """Return the forms of each label id, as the target card's ``label_space`` wants them."""
        return {key: d.forms or (key,) for key, d in self.decisions.get(("label", taskname), {}).items()}

    def id_of(self, section: Section, label_id: str) -> InventoryText:
        """Return the target id of an intent or slot type: itself unless a decision renames it."""
        found = self.find(section, label_id)
        if found is None or found.keep or not found.target:
            return InventoryText(label_id, auto=False)
        return InventoryText(found.target, found.status == "auto")

    def text(self, template: str) -> InventoryText | None:
        """Return the translation of a card's phrase; None when nothing is decided."""
        found = self.find(TEXT, template)
        return None if found is None else InventoryText(found.target or template, found.status == "auto")

    def value_forms(self, slot_type: str, value: str) -> tuple[str, ...]:
        """Return the possible target forms of a closed-set slot value."""
        found = self.find(("value", slot_type), value.casefold())
        return found.forms if found else ()


def merge(known: Inventory, proposed: Inventory) -> Inventory:
    """Add proposals to an inventory: approved entries stay as they are, others gain variants, new keys are added.

    A proposed variant that would mean two labels is left out.

    Raises:
        InventoryError: the pairs differ, or a proposed target collides.
    """
    if (known.src, known.tgt) != (proposed.src, proposed.tgt):
        pairs = f"{proposed.src}-{proposed.tgt} proposals do not fit {known.src}-{known.tgt}"
        raise InventoryError(known.source, [pairs])
    decisions = {section: dict(entries) for section, entries in known.decisions.items()}
    for section, entries in proposed.decisions.items():
        into = decisions.setdefault(section, {})
        for key, new in entries.items():
            into[key] = _merged(into.get(key), new, {_fold(f) for k, d in into.items() if k != key for f in d.forms})
    return replace(known, decisions=decisions)


def _merged(old: Decision | None, new: Decision, taken: set[str]) -> Decision:
    if old is not None and old.status == "approved":
        return old
    base, forms = (new, new.variants) if old is None else (old, (*old.variants, *new.forms))
    variants = tuple(form for form in dict.fromkeys(forms) if _fold(form) not in taken and form != base.target)
    return replace(base, variants=variants)


def _faults(decisions: Mapping[Section, Mapping[str, Decision]]) -> Iterator[str]:
    for section, entries in decisions.items():
        where = ".".join(section)
        for key, decision in entries.items():
            yield from (f"{where}.{key}: {fault}" for fault in _entry_faults(section, key, decision))
        if section[0] == "value":
            continue  # many to one is right there: "today" and "today's" may share a form
        yield from _collisions(where, ((key, form) for key, d in entries.items() for form in d.forms or (key,)))
        yield from _collisions(f"{where} phrases", ((key, d.phrase) for key, d in entries.items() if d.phrase))


def _entry_faults(section: Section, key: str, decision: Decision) -> Iterator[str]:
    if decision.keep and decision.target:
        yield "keep = true and a target exclude each other"
    if not decision.keep and not decision.target:
        yield "no target; write one, or keep = true"
    if section == TEXT and placeholders(key) != placeholders(decision.target or key):
        yield f"the target {decision.target!r} has other placeholders than its phrase"
    if section in (INTENT, SLOT_TYPE) and decision.target and not decision.target.isidentifier():
        yield f"the target {decision.target!r} is no id: letters, digits and '_', no digit first"


def _collisions(where: str, forms: Iterable[tuple[str, str]]) -> Iterator[str]:
    owners: dict[str, set[str]] = defaultdict(set)
    for key, form in forms:
        owners[_fold(form)].add(key)
    for form, keys in sorted(owners.items()):
        if len(keys) > 1:
            yield f"{where}: {form!r} would mean {' and '.join(sorted(keys))}; one form has one meaning"


def _fold(form: str) -> str:
    return " ".join(form.casefold().split())
