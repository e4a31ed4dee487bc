"""Task cards: what a task is, as one JSON line.

The keys are NeMo's, spelt as in NeMo, plus ``lang, label_space, phrases, description``. A card is checked as a whole;
every fault is reported at once, with its position, and a card that exists is sound.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.errors import CardError, Fault, UnknownLabelError
from tasks.spec import is_lang, is_taskname
from tasks.template import Field, Segment, Text, VirtualBlock, scan_template

__all__ = ["TaskCard", "parse_card"]


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
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    taskname: str
    lang: str = "en"
    prompt_template: str
    total_virtual_tokens: int
    virtual_token_splits: tuple[int, ...]
    truncate_field: str | None = None
    answer_only_loss: bool = True
    answer_field: str = "label"
    label_space: dict[str, tuple[str, ...]] | None = None
    phrases: dict[str, str] = {}
    description: str = ""

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
    def is_open(self) -> bool:
        """Whether answers are free text."""
        return self.label_space is None

    @cached_property
    def template_sha256(self) -> str:
        """Hash of what decides the rendered ids: template, splits, fields and label forms."""
        keys = ("prompt_template", "virtual_token_splits", "truncate_field", "answer_field", "label_space")
        return _sha256(json.dumps({k: self.plain()[k] for k in keys}, sort_keys=True, ensure_ascii=False))

    @property
    def sha256(self) -> str:
        """Hash of the whole card."""
        return _sha256(self.canonical_json())

    def plain(self) -> dict[str, Any]:
        """Return the card as plain JSON values."""
        return self.model_dump(mode="json")

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
                found[text] = found[_folded(text)] = label
        return found

    def label_id(self, text: str) -> str:
        """Return the label that a text means: an id or a form, exactly or but for case and outer white space.

        Raises:
            UnknownLabelError: it is none of them.
        """
        found = self._label_ids.get(text) or self._label_ids.get(_folded(text))
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
    faults = [_unknown_key(key) for key in raw if key not in TaskCard.model_fields]
    known = {key: _tuples(key, value) for key, value in raw.items() if key in TaskCard.model_fields}
    try:
        card = TaskCard.model_validate(known)
    except ValidationError as exc:
        faults += [
            Fault(".".join(map(str, e["loc"])), None, f"{e['msg']} (not {e['input']!r:.60})") for e in exc.errors()
        ]
        raw_template = raw.get("prompt_template")
        faults += scan_template(raw_template)[1] if isinstance(raw_template, str) else ()
        raise CardError(source, faults) from exc
    faults += _faults(card)
    if faults:
        raise CardError(source, faults)
    return card


def _tuples(key: str, value: object) -> object:
    """Turn JSON's lists into the tuples that a frozen card holds."""
    if key == "virtual_token_splits" and isinstance(value, list):
        return tuple(value)
    if key != "label_space" or value is None:
        return value
    pairs = list(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(pairs, list) or not all(isinstance(p, (list, tuple)) and len(p) == 2 for p in pairs):
        return value
    return {k: tuple(forms) if isinstance(forms, list) else forms for k, forms in pairs}


def _unknown_key(key: str) -> Fault:
    near = difflib.get_close_matches(key, TaskCard.model_fields, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(TaskCard.model_fields)}"
    return Fault(key, None, f"unknown key; {hint}")


def _faults(card: TaskCard) -> list[Fault]:
    """Everything that is wrong with a card whose types are right."""
    segments, scanned = scan_template(card.prompt_template)
    return [
        *_name_faults(card),
        *scanned,
        *_marker_faults(card, segments),
        *_field_faults(card, segments),
        *_label_faults(card),
    ]


def _name_faults(card: TaskCard) -> Iterator[Fault]:
    if not is_taskname(card.taskname):
        yield Fault("taskname", None, f"{card.taskname!r} must not be empty or hold white space or any of : @ . / \\")
    if not is_lang(card.lang):
        yield Fault("lang", None, f"{card.lang!r} is no language code such as en or pt-BR")


def _marker_faults(card: TaskCard, segments: tuple[Segment, ...]) -> Iterator[Fault]:
    found = [s.index for s in segments if isinstance(s, VirtualBlock)]
    wanted = set(range(len(found)))
    if not found:
        yield Fault("prompt_template", None, "has no <|VIRTUAL_PROMPT_0|> marker, so nothing could be learnt")
    for index in sorted({i for i in found if found.count(i) > 1}):
        position = card.prompt_template.rfind(f"<|VIRTUAL_PROMPT_{index}|>")
        yield Fault("prompt_template", position, f"marker {index} stands {found.count(index)} times; once is allowed")
    if len(set(found)) == len(found) and set(found) != wanted:
        yield Fault("prompt_template", None, f"markers are {sorted(found)}; they must be numbered {sorted(wanted)}")
    splits = card.virtual_token_splits
    if len(splits) != len(found):
        yield Fault("virtual_token_splits", None, f"{len(splits)} split(s) for {len(found)} marker(s)")
    for index, size in enumerate(splits):
        if size < 1:
            yield Fault("virtual_token_splits", index, f"a split of {size}; each has at least 1 virtual token")
    if sum(splits) != card.total_virtual_tokens:
        yield Fault(
            "total_virtual_tokens", None, f"{card.total_virtual_tokens}, but the splits add up to {sum(splits)}"
        )


def _field_faults(card: TaskCard, segments: tuple[Segment, ...]) -> Iterator[Fault]:
    names = [s.name for s in segments if isinstance(s, Field)]
    texts = [name for name in names if name != card.answer_field]
    answer = f"{{{card.answer_field}}}"
    if card.answer_field not in names:
        yield Fault("prompt_template", None, f"does not hold the answer field {answer}")
    elif names.count(card.answer_field) > 1:
        yield Fault("prompt_template", card.prompt_template.rfind(answer), f"{answer} stands more than once")
    elif not isinstance(segments[-1], Field) or segments[-1].name != card.answer_field:
        yield Fault("prompt_template", card.prompt_template.rfind(answer), f"{answer} must be the last thing in it")
    if not texts:
        yield Fault("prompt_template", None, "has no text field, so every record would look the same")
    if card.truncate_field is not None and card.truncate_field not in texts:
        listed = ", ".join(texts) or "none"
        yield Fault(
            "truncate_field", None, f"{card.truncate_field!r} is no text field of the template; it has {listed}"
        )
    if any(isinstance(s, Text) and "\x00" in s.text for s in segments):
        yield Fault("prompt_template", card.prompt_template.find("\x00"), "holds a NUL character")


def _label_faults(card: TaskCard) -> Iterator[Fault]:
    if card.label_space is None:
        return
    if not card.label_space:
        yield Fault("label_space", None, "is empty; leave it out for open answers")
    owner: dict[str, str] = {}
    for label, forms in card.label_space.items():
        if not forms:
            yield Fault(f"label_space.{label}", None, "has no form; give at least the one to be generated")
        for text in dict.fromkeys(_folded(t) for t in (label, *forms)):
            if not text:
                yield Fault(f"label_space.{label}", None, "an id or form is blank")
            elif owner.setdefault(text, label) != label:
                yield Fault(f"label_space.{label}", None, f"{text!r} also means {owner[text]!r}; a form has one label")


def _folded(text: str) -> str:
    return text.strip().casefold()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
