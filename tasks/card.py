"""Task cards: what a task is, as one JSON line.

The keys are NeMo's, spelt as in NeMo, plus ``lang, label_space, phrases, description`` and, for open answers with a
structure, ``answer_format, intents, slot_types``. A card is checked as a whole: every fault is reported at once, with
its position, and a card that exists is sound.
"""

import difflib
import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Strict, ValidationError

from tasks.card_rules import RULES
from tasks.equivalence import canonical, folded
from tasks.errors import CardError, Fault, UnknownLabelError
from tasks.template import Field, Segment, scan_template

__all__ = ["TaskCard", "parse_card"]

LATER_KEYS = ("answer_format", "intents", "slot_types")
"""Left out where absent: cards are stored under their hash, and those stored before these keys keep theirs."""


Names = Annotated[tuple[str, ...], Strict(False)]  # made of a JSON array


class TaskCard(BaseModel):
    """One task in one language. Make it with `parse_card`, which checks it as a whole.

    Attributes:
        taskname: without white space and ``: @ . /``.
        lang: language code of the template and the label forms.
        prompt_template: text, ``{fields}`` and ``<|VIRTUAL_PROMPT_n|>`` markers; ends with the answer field.
        total_virtual_tokens: V.
        virtual_token_splits: virtual tokens of each marker, by its number; they add up to V.
        truncate_field: the field that may be cut when a prompt is too long; None refuses such records.
        answer_only_loss: learn the answer only, or all text after the first virtual token too.
        answer_field: the field that is predicted.
        label_space: forms of each label id in this language, the first one trained; None for open answers.
        phrases: words of the template's language that converters and translation use, by name.
        description: what the task is; also where a prompt starts (init "text").
        answer_format: how the open answers are written, a name in `tasks.answers`; None for any text.
        intents: the intents that an answer of that format may name.
        slot_types: the slot types that it may name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    taskname: str
    lang: str = "en"
    prompt_template: str
    total_virtual_tokens: int
    virtual_token_splits: Annotated[tuple[int, ...], Strict(False)]
    truncate_field: str | None = None
    answer_only_loss: bool = True
    answer_field: str = "label"
    label_space: dict[str, Names] | None = None
    phrases: dict[str, str] = {}
    description: str = ""
    answer_format: str | None = None
    intents: Names | None = None
    slot_types: Names | None = None

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The template's segments; the last one is the answer field."""
        return scan_template(self.prompt_template)[0]

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Names of the text fields in order, each once, without the answer field."""
        names = (s.name for s in self.segments if isinstance(s, Field) and s.name != self.answer_field)
        return tuple(dict.fromkeys(names))

    @property
    def text_field(self) -> str:
        """The field that an answer with a format is about: the one that may be cut, or else the only one."""
        return self.truncate_field or self.fields[0]

    @property
    def is_open(self) -> bool:
        """Whether answers are free text."""
        return self.label_space is None

    @cached_property
    def template_sha256(self) -> str:
        """Hash of what decides the rendered token ids: template, splits, fields and label forms."""
        keys = ("prompt_template", "virtual_token_splits", "truncate_field", "answer_field", "label_space")
        return _sha256(json.dumps({k: self.plain()[k] for k in keys}, sort_keys=True, ensure_ascii=False))

    @property
    def sha256(self) -> str:
        """Hash of the whole card."""
        return _sha256(self.canonical_json())

    def plain(self) -> dict[str, object]:
        """Return the card as plain JSON values; keys of `LATER_KEYS` only where they are given."""
        plain = self.model_dump(mode="json")
        return {key: value for key, value in plain.items() if value is not None or key not in LATER_KEYS}

    def canonical_json(self) -> str:
        """Return the card on one line, keys sorted; order of labels and forms is kept as part of the meaning."""
        plain = self.plain()
        if self.label_space is not None:
            plain["label_space"] = [[label, list(forms)] for label, forms in self.label_space.items()]
        return json.dumps(plain, sort_keys=True, ensure_ascii=False)

    @cached_property
    def _label_ids(self) -> dict[str, str]:
        """Every accepted text of a label, exact and folded, to its id."""
        found: dict[str, str] = {}
        for label, forms in (self.label_space or {}).items():
            for text in (label, *forms):
                found[text] = found[folded(text)] = label
        return found

    def label_id(self, text: str) -> str:
        """Return the label that a text means: an id or a form, exactly or but for case and outer white space.

        Raises:
            UnknownLabelError: it is none of them.
        """
        found = self._label_ids.get(text) or self._label_ids.get(folded(text))
        if found is None:
            known = ", ".join(f"{label} ({', '.join(forms)})" for label, forms in (self.label_space or {}).items())
            raise UnknownLabelError(f"unknown label {text!r}; {self.taskname}:{self.lang} has {known}")
        return found

    def form(self, label: str) -> str:
        """Return the form of a label that is trained and generated."""
        return (self.label_space or {})[label][0]


def parse_card(raw: Mapping[str, object], *, source: str = "") -> TaskCard:
    """Check a raw card and build it.

    Args:
        raw: as read from JSON; ``label_space`` may be a mapping, or a list of [id, forms] pairs as in canonical JSON.
        source: names the card in errors, such as "cards.jsonl:3".

    Raises:
        CardError: with every fault at once.
    """
    if not isinstance(raw, Mapping):
        raise CardError(source, [Fault("card", None, f"a card is a JSON object, not {type(raw).__name__}")])
    faults = [_unknown_key(key) for key in raw if key not in TaskCard.model_fields]
    known = {key: _as_held(key, value) for key, value in raw.items() if key in TaskCard.model_fields}
    try:
        card, sound = TaskCard.model_validate(known), set(TaskCard.model_fields)
    except ValidationError as exc:
        faults += [_type_fault(list(e["loc"]), e["msg"], e["input"]) for e in exc.errors()]
        sound = set(TaskCard.model_fields) - {str(e["loc"][0]) for e in exc.errors()}
        # judged by the rules that need sound keys only, and never handed out
        card = TaskCard.model_construct(None, **{key: known[key] for key in sound & known.keys()})
    for needed, rule in RULES:
        faults += rule(card) if needed <= sound else ()
    if faults:
        raise CardError(source, faults)
    return card


def _as_held(key: str, value: object) -> object:
    """Return a value as a card holds it: names of fields in one form, [id, forms] pairs as a mapping."""
    if key in ("answer_field", "truncate_field") and isinstance(value, str):
        return canonical(value)
    if key != "label_space" or not isinstance(value, list):
        return value
    pairs = all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in value)
    return dict(value) if pairs and len({pair[0] for pair in value}) == len(value) else value


def _type_fault(loc: list[int | str], message: str, value: object) -> Fault:
    """Say what is wrong with the type of a value, in the words of JSON."""
    said = message.replace("valid tuple", "valid array").replace("valid dictionary", "valid object")
    given = "" if message == "Field required" else f" (not {_shown(value)})"
    return Fault(".".join(map(str, loc)), None, f"{said}{given}")


def _shown(value: object) -> str:
    try:
        shown = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _unknown_key(key: str) -> Fault:
    near = difflib.get_close_matches(str(key), TaskCard.model_fields, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(TaskCard.model_fields)}"
    return Fault(str(key), None, f"unknown key; {hint}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
