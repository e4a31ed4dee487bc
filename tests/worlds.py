"""Small worlds for tests: cards, examples and renderers on tiny backbones."""

from __future__ import annotations

from collections.abc import Mapping

from promptbank.engine.grammar import constraint_of
from promptbank.model.backbone import Backbone
from promptbank.model.render import Renderer, TokenPolicy
from tasks import Example, TaskCard, parse_card

LABELS = {"positive": ("positive", "good"), "negative": ("negative",)}
AFTER = "{sentence}<|VIRTUAL_PROMPT_0|> {label}"
BEFORE = "<|VIRTUAL_PROMPT_0|>{sentence} {label}"
SPLIT = "<|VIRTUAL_PROMPT_0|> {sentence}<|VIRTUAL_PROMPT_1|> so: {label}"


def card_of(template: str = AFTER, splits: tuple[int, ...] = (4,), **keys: object) -> TaskCard:
    """A sound card; closed with two labels unless told otherwise."""
    raw: dict[str, object] = {
        "taskname": "mood",
        "prompt_template": template,
        "virtual_token_splits": list(splits),
        "total_virtual_tokens": sum(splits),
        "truncate_field": "sentence",
        "label_space": {label: list(forms) for label, forms in LABELS.items()},
        "description": "the tone of the sentence is",
    }
    return parse_card(raw | keys)


def renderer_of(backbone: Backbone, card: TaskCard | None = None, *, window: int | None = None) -> Renderer:
    """A renderer with the backbone's own policy and window."""
    chosen = card or card_of()
    policy = TokenPolicy.of(backbone.tokenizer, answer_tokens=12)
    return Renderer(chosen, backbone.tokenizer, policy, window or backbone.window)


SENTENCES = [
    ("profit rose and the outlook is good", "positive"),
    ("losses rose and the tone is grim", "negative"),
    ("the company said this year is strong", "positive"),
    ("sales fell, the text said", "negative"),
    ("a label of hope for the company", "positive"),
    ("bad", "negative"),
    ("orders are up in one year", "positive"),
    ("the sentence of the court was a heavy blow for this company and for the outlook", "negative"),
]


def examples_of(count: int = 8, *, taskname: str = "mood", lang: str = "en", offset: int = 0) -> list[Example]:
    """Invented labelled sentences; every one is its own group."""
    return [
        Example(
            id=f"e{i}",
            group=f"g{i}",
            taskname=taskname,
            lang=lang,
            fields={"sentence": f"{SENTENCES[i % 8][0]}{' again' * (i // 8)}"},
            answer=SENTENCES[i % 8][1],
            source=f"memory:{i}",
        )
        for i in range(offset, offset + count)
    ]


def allows(renderer: Renderer, fields: Mapping[str, str], answer: str) -> bool:
    """Whether every token of an answer, its end token included, is allowed by its grammar where it stands."""
    constraint = constraint_of(renderer, fields)
    assert constraint is not None
    for token in renderer.answer(answer):
        if token not in constraint.allowed():
            return False
        constraint.advance(token)
    return True
