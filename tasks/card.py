"""Task cards: what a task is, as one JSON line.

The keys are NeMo's, spelt as in NeMo, plus ``lang, label_space, phrases, description``. A card is checked as a whole;
every fault is reported at once, with its position, and a card that exists is sound.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.errors import CardError, Fault, UnknownLabelError
from tasks.spec import is_lang, is_taskname
from tasks.template import Field, Segment, VirtualBlock, places, scan_template

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
    if not isinstance(raw, Mapping):
        raise CardError(source, [Fault("card", None, f"a card is a JSON object, not {type(raw).__name__}")])
    faults = [_unknown_key(key) for key in raw if key not in TaskCard.model_fields]
    known = {key: _tuples(key, value) for key, value in raw.items() if key in TaskCard.model_fields}
    try:
        card, sound = TaskCard.model_validate(known), set(TaskCard.model_fields)
    except ValidationError as exc:
        faults += [_type_fault(list(e["loc"]), e["msg"], e["input"]) for e in exc.errors()]
        sound = set(TaskCard.model_fields) - {str(e["loc"][0]) for e in exc.errors()}
        # judged by the rules that need sound keys only, and never handed out
        card = TaskCard.model_construct(**{key: value for key, value in known.items() if key in sound})  # type: ignore[arg-type]  # only checked keys are left
    for needed, rule in _RULES:
        faults += rule(card) if needed <= sound else ()
    if faults:
        raise CardError(source, faults)
    return card


def _type_fault(loc: list[int | str], message: str, value: object) -> Fault:
    given = "" if isinstance(value, dict) and message == "Field required" else f" (not {value!r:.60})"
    return Fault(".".join(map(str, loc)), None, f"{message}{given}")


def _tuples(key: str, value: object) -> object:
    """Turn JSON's lists into the tuples that a frozen card holds."""
    if key == "virtual_token_splits" and isinstance(value, list):
        return tuple(value)
    if key != "label_space":
        return value
    if isinstance(value, list) and all(isinstance(p, list) and len(p) == 2 and isinstance(p[0], str) for p in value):
        labels = dict(value)
        value = labels if len(labels) == len(value) else value
    if not isinstance(value, Mapping):
        return value
    return {label: tuple(forms) if isinstance(forms, list) else forms for label, forms in value.items()}


def _unknown_key(key: str) -> Fault:
    near = difflib.get_close_matches(str(key), TaskCard.model_fields, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(TaskCard.model_fields)}"
    return Fault(str(key), None, f"unknown key; {hint}")


def _name_faults(card: TaskCard) -> Iterator[Fault]:
    if not is_taskname(card.taskname):
        yield Fault("taskname", None, f"{card.taskname!r} must not be empty or hold white space or any of : @ . / \\")


def _lang_faults(card: TaskCard) -> Iterator[Fault]:
    if not is_lang(card.lang):
        yield Fault("lang", None, f"{card.lang!r} is no language code such as en or pt-BR")


def _template_faults(card: TaskCard) -> Iterator[Fault]:
    yield from scan_template(card.prompt_template)[1]


def _blocks(card: TaskCard) -> list[int]:
    return [s.index for s in card.segments if isinstance(s, VirtualBlock)]


def _marker_faults(card: TaskCard) -> Iterator[Fault]:
    found = _blocks(card)
    if not found:
        yield Fault("prompt_template", None, "has no <|VIRTUAL_PROMPT_0|> marker, so nothing could be learnt")
    for index in sorted({i for i in found if found.count(i) > 1}):
        second = places(card.prompt_template, VirtualBlock(index))[1]
        yield Fault("prompt_template", second, f"marker {index} stands {found.count(index)} times; once is allowed")
    wanted = range(len(set(found)))
    for index in sorted(set(found) - set(wanted)):
        says = f"marker {index}, but the markers must be numbered {list(wanted)}"
        yield Fault("prompt_template", places(card.prompt_template, VirtualBlock(index))[0], says)


def _split_faults(card: TaskCard) -> Iterator[Fault]:
    if len(card.virtual_token_splits) != len(_blocks(card)):
        says = f"{len(card.virtual_token_splits)} split(s) for {len(_blocks(card))} marker(s); give one for each marker"
        yield Fault("virtual_token_splits", None, says)


def _size_faults(card: TaskCard) -> Iterator[Fault]:
    for index, size in enumerate(card.virtual_token_splits):
        if size < 1:
            says = f"{size} virtual tokens for marker {index}; each has at least 1"
            yield Fault("virtual_token_splits", None, says)


def _total_faults(card: TaskCard) -> Iterator[Fault]:
    total = sum(card.virtual_token_splits)
    if total != card.total_virtual_tokens:
        yield Fault("total_virtual_tokens", None, f"{card.total_virtual_tokens}, but the splits add up to {total}")


def _answer_faults(card: TaskCard) -> Iterator[Fault]:
    answer = Field(card.answer_field)
    found = places(card.prompt_template, answer)
    shown = f"{{{card.answer_field}}}"
    if not found:
        yield Fault("prompt_template", None, f"does not hold the answer field {shown}")
    elif len(found) > 1:
        yield Fault("prompt_template", found[1], f"{shown} stands more than once")
    elif card.segments[-1] != answer:
        yield Fault("prompt_template", found[0], f"{shown} must be the last thing in it")


def _field_faults(card: TaskCard) -> Iterator[Fault]:
    if not card.fields:
        yield Fault("prompt_template", None, "has no text field, so every record would look the same")
    if card.truncate_field is not None and card.truncate_field not in card.fields:
        says = f"{card.truncate_field!r} is no text field of the template; it has {', '.join(card.fields) or 'none'}"
        yield Fault("truncate_field", None, says)


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


def _text_faults(card: TaskCard) -> Iterator[Fault]:
    """Text that neither a database nor a hash can take: NUL and lone surrogates, wherever they stand."""
    for key, value in card.__dict__.items():
        for text in _texts(value) if key in TaskCard.model_fields else ():
            wrong = next((n for n, c in enumerate(text) if c == "\0" or "\ud800" <= c <= "\udfff"), None)
            if wrong is not None:
                yield Fault(key, wrong, f"{text[wrong]!a} is no text that can be stored; remove it")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for pair in value.items() for part in pair for text in _texts(part))
    elif isinstance(value, tuple):
        yield from (text for part in value for text in _texts(part))


Rule = Callable[[TaskCard], Iterable[Fault]]
_RULES: tuple[tuple[set[str], Rule], ...] = (  # the keys that a rule looks at must be of the right type first
    ({"taskname"}, _name_faults),
    ({"lang"}, _lang_faults),
    ({"prompt_template"}, _template_faults),
    ({"prompt_template"}, _marker_faults),
    ({"prompt_template", "virtual_token_splits"}, _split_faults),
    ({"virtual_token_splits"}, _size_faults),
    ({"virtual_token_splits", "total_virtual_tokens"}, _total_faults),
    ({"prompt_template", "answer_field"}, _answer_faults),
    ({"prompt_template", "answer_field", "truncate_field"}, _field_faults),
    ({"label_space"}, _label_faults),
    (set(), _text_faults),
)


def _folded(text: str) -> str:
    return text.strip().casefold()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
