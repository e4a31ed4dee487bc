"""What is refused in a card whose keys are known: the rules between its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from tasks.answers import ANSWER_FORMATS
from tasks.equivalence import canonical, folded
from tasks.errors import Fault
from tasks.records import unstorable
from tasks.slots import is_identifier
from tasks.spec import is_lang, is_taskname
from tasks.template import Field, VirtualBlock, places, scan_template
from tasks.wording import counted

if TYPE_CHECKING:
    from tasks.card import TaskCard

__all__ = ["RULES"]


def _name_faults(card: TaskCard) -> Iterator[Fault]:
    if not is_taskname(card.taskname):
        yield Fault("taskname", None, f"{card.taskname!r} must not be empty or hold white space or any of : @ . / \\")


def _lang_faults(card: TaskCard) -> Iterator[Fault]:
    if not is_lang(card.lang):
        yield Fault("lang", None, f"{card.lang!r} is no language code such as en or pt-BR")


def _template_faults(card: TaskCard) -> Iterator[Fault]:
    yield from scan_template(card.prompt_template)[1]
    blocks = {s.index: at for s, at in places(card.prompt_template).items() if isinstance(s, VirtualBlock)}
    if not blocks:
        yield Fault("prompt_template", None, "has no <|VIRTUAL_PROMPT_0|> marker, so nothing could be learnt")
    for index, at in sorted(blocks.items()):
        if len(at) > 1:
            yield Fault("prompt_template", at[1], f"marker {index} stands {len(at)} times; once is allowed")
        if index >= len(blocks):
            says = f"marker {index}, but the markers must be numbered {_numbers(len(blocks))}"
            yield Fault("prompt_template", at[0], says)


def _numbers(count: int) -> str:
    """Return the numbers below a count, shortened where there are many."""
    return str([*range(count)]) if count <= 10 else f"0 to {count - 1}"


def _split_faults(card: TaskCard) -> Iterator[Fault]:
    splits, markers = len(card.virtual_token_splits), sum(isinstance(s, VirtualBlock) for s in card.segments)
    if splits != markers:
        uneven = f"{counted(splits, 'split', 'splits')} for {counted(markers, 'marker', 'markers')}"
        yield Fault("virtual_token_splits", None, f"{uneven}; give one for each marker")


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
    found = places(card.prompt_template).get(answer, [])
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
        for text in dict.fromkeys(folded(t) for t in (label, *forms)):
            if not text:
                yield Fault(f"label_space.{label}", None, "an id or form is blank")
            elif owner.setdefault(text, label) != label:
                yield Fault(f"label_space.{label}", None, f"{text!r} also means {owner[text]!r}; a form has one label")


def _format_faults(card: TaskCard) -> Iterator[Fault]:
    name = card.answer_format
    if name is not None and name not in ANSWER_FORMATS:
        yield Fault("answer_format", None, f"unknown {name!r}; known: {', '.join(ANSWER_FORMATS)}")
        return
    if name is not None and card.label_space is not None:
        yield Fault("answer_format", None, "is for open answers; leave out this key or label_space")
    needed = ANSWER_FORMATS[name].keys if name is not None else ()
    for key in dict.fromkeys(key for each in ANSWER_FORMATS.values() for key in each.keys):
        if key in needed and not getattr(card, key):
            yield Fault(key, None, f"answer_format {name!r} needs it: name at least one")
        elif key not in needed and getattr(card, key) is not None:
            having = ", ".join(format_name for format_name, each in ANSWER_FORMATS.items() if key in each.keys)
            yield Fault(key, None, f"is for cards with an answer_format that has it ({having})")


def _identifier_faults(key: str) -> Rule:
    """Make the rule that the names under a key are identifiers, each once."""

    def faults(card: TaskCard) -> Iterator[Fault]:
        names: tuple[str, ...] = getattr(card, key) or ()
        seen: set[str] = set()
        for index, name in enumerate(names):
            if not is_identifier(name):
                says = f"{name!r} is no identifier (letters, digits and '_', no digit first)"
                yield Fault(f"{key}.{index}", None, says)
            elif canonical(name) in seen:
                yield Fault(f"{key}.{index}", None, f"{name!r} stands above already")
            seen.add(canonical(name))

    return faults


def _text_field_faults(card: TaskCard) -> Iterator[Fault]:
    if card.answer_format is not None and card.truncate_field is None and len(card.fields) > 1:
        says = f"the answers are about one text; name it in truncate_field, one of {', '.join(card.fields)}"
        yield Fault("truncate_field", None, says)


def _text_faults(card: TaskCard) -> Iterator[Fault]:
    """Find text that neither a database nor a hash can take: NUL and lone surrogates, wherever they stand."""
    for key, value in card.__dict__.items():
        for text in _texts(value) if key in type(card).model_fields else ():
            wrong = unstorable(text)
            if wrong is not None:
                yield Fault(key, wrong, f"{text[wrong]!a} is no text that can be stored; remove it")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for pair in value.items() for part in pair for text in _texts(part))
    elif isinstance(value, (tuple, list)):
        yield from (text for part in value for text in _texts(part))


Rule = Callable[["TaskCard"], Iterable[Fault]]
RULES: tuple[tuple[set[str], Rule], ...] = (  # the keys that a rule looks at must be of the right type first
    ({"taskname"}, _name_faults),
    ({"lang"}, _lang_faults),
    ({"prompt_template"}, _template_faults),
    ({"prompt_template", "virtual_token_splits"}, _split_faults),
    ({"virtual_token_splits"}, _size_faults),
    ({"virtual_token_splits", "total_virtual_tokens"}, _total_faults),
    ({"prompt_template", "answer_field"}, _answer_faults),
    ({"prompt_template", "answer_field", "truncate_field"}, _field_faults),
    ({"label_space"}, _label_faults),
    ({"answer_format", "intents", "slot_types", "label_space"}, _format_faults),
    ({"intents"}, _identifier_faults("intents")),
    ({"slot_types"}, _identifier_faults("slot_types")),
    ({"prompt_template", "answer_field", "truncate_field", "answer_format"}, _text_field_faults),
    (set(), _text_faults),
)
