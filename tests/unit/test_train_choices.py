"""Learning among what a grammar allows: the loss against brute force, and rows that no grammar allows."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from promptbank.engine.grammar import constraint_of
from promptbank.errors import ConfigError
from promptbank.model.forward import LanguageModel, prefill
from promptbank.model.head import FrozenHead
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Renderer, TokenPolicy
from promptbank.training.answer_loss import LOSSES
from promptbank.training.config import TrainConfig
from promptbank.training.examples import TrainExample, example_losses, render_examples
from promptbank.training.prompt_run import Plan
from promptbank.training.prompts import train_prompts
from promptbank.training.run_warnings import run_warnings
from promptbank.training.start import start_ids, starting_table
from tasks import Example
from tests.tiny import KINDS, Kind, tiny_backbone
from tests.worlds import card_of, renderer_of

ASKED = [
    ("wake me at six", "\nIntent: alarm_set\nSlots: time(six)"),
    ("is an alarm set for six today", "\nIntent: alarm_query\nSlots: time(six), date(today)"),
    ("rain tomorrow", "\nIntent: weather\nSlots: date(tomorrow)"),
    ("weather please", "\nIntent: weather\nSlots: None"),
]
STRANGE = ("wake me", "\nIntent: alarm_set\nSlots: time(noon)")
KEYS = {
    "label_space": None,
    "truncate_field": None,
    "answer_format": "intent_slots.v1",
    "intents": ["alarm_set", "alarm_query", "weather"],
    "slot_types": ["time", "date"],
}


def example(number: int, text: str, answer: str) -> Example:
    names = {"id": f"e{number}", "group": f"g{number}", "taskname": "asks", "lang": "en", "source": f"memory:{number}"}
    return Example(**names, fields={"sentence": text}, answer=answer)


EXAMPLES = [example(n, *asked) for n, asked in enumerate(ASKED)]


def world(kind: Kind = "llama", **keys: object) -> tuple[LanguageModel, Renderer, torch.Tensor]:
    backbone = tiny_backbone(kind, window=2048)
    policy = TokenPolicy.of(backbone.tokenizer, answer_tokens=96)
    renderer = Renderer(card_of(taskname="asks", **{**KEYS, **keys}), backbone.tokenizer, policy, backbone.window)
    lm = LanguageModel(backbone.model)
    return lm, renderer, starting_table(lm, start_ids("text", renderer, vocabulary=lm.vocabulary, seed=0))


@torch.no_grad()
def brute_force(lm: LanguageModel, table: PromptTable, renderer: Renderer, asked: Example, row: TrainExample) -> float:
    """The whole sequence through the whole model; softmax over what the grammar allows, tokens without choice aside."""
    own = [table.input_rows[-i - 1] if i < 0 else lm.embedding(torch.tensor([i]))[0] for i in row.ids]
    logits = lm.model(inputs_embeds=torch.stack(own)[None], use_cache=False).logits[0]
    constraint = constraint_of(renderer, asked.fields)
    assert constraint is not None
    losses = []
    for place, token in enumerate(row.answer):
        among = constraint.allowed().tolist()
        scores = logits[len(row.prompt) - 1 + place]
        if len(among) > 1:
            total = sum(float(scores[i].double().exp()) for i in among)
            losses.append(-float((scores[token].double().exp() / total).log()))
        constraint.advance(token)
    return sum(losses) / len(losses)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("held", [False, True])
def test_the_loss_is_among_what_the_grammar_allows(kind: Kind, held: bool) -> None:
    lm, renderer, start = world(kind)
    rows = render_examples(renderer, EXAMPLES)
    prefix = prefill(lm, [row.ids[: row.constant] for row in rows]) if held else None
    found = example_losses(lm, [start] * len(rows), rows, prefix)
    for asked, row, loss in zip(EXAMPLES, rows, found, strict=True):
        assert float(loss) == pytest.approx(brute_force(lm, start, renderer, asked, row), abs=1e-4)


def test_only_the_answer_has_choices_where_the_template_is_learnt_too() -> None:
    lm, renderer, start = world(prompt_template="<|VIRTUAL_PROMPT_0|>{sentence} so:{label}", answer_only_loss=False)
    (row,) = render_examples(renderer, EXAMPLES[:1])
    whole = replace(row, choices=None)
    among, before = example_losses(lm, [start] * 2, [row, whole], None)
    template = [t for t in row.targets() if t < len(row.prompt) - 1]
    assert template
    assert len(row.targets()) == len(template) + len(row.choices or {})
    answer_only = example_losses(
        lm, [start] * 2, [replace(row, answer_only=True), replace(whole, answer_only=True)], None
    )
    own = [float(loss) * n for loss, n in zip(answer_only, (len(row.choices or {}), len(row.answer)), strict=True)]
    shared = float(before) * len(whole.targets()) - own[1]  # of the template, over all words
    assert float(among) * len(row.targets()) - own[0] == pytest.approx(shared, abs=1e-3)


def test_an_answer_that_the_format_does_not_allow_is_learnt_over_all_words_and_told(tmp_path: Path) -> None:
    lm, renderer, start = world()
    strange = example(9, *STRANGE)
    mixed = [EXAMPLES[0], strange, EXAMPLES[1]]
    rows = render_examples(renderer, mixed)
    assert [row.unwritable for row in rows] == [False, True, False]
    plain = render_examples(renderer, mixed, "vocabulary.v1")
    head = FrozenHead.of(lm.head, torch.float32)
    for heads in (None, [head] * 3):
        found = example_losses(lm, [start] * len(rows), rows, None, heads=heads)
        assert float(found[1]) == pytest.approx(
            float(example_losses(lm, [start] * len(plain), plain, None)[1]), rel=1e-5
        )
        for n in (0, 2):
            assert float(found[n]) == pytest.approx(brute_force(lm, start, renderer, mixed[n], rows[n]), abs=1e-4)
    config = TrainConfig(epochs=1, batch_size=2, dtype="float32")
    (trained,) = train_prompts(lm, [Plan(renderer, mixed, EXAMPLES[3:], config, start)], folder=tmp_path, identity="x")
    assert trained.unwritable == 1
    (said,) = run_warnings(
        tiny_backbone("llama"), renderer.card, mixed, EXAMPLES[3:], truncated=0, unwritable=trained.unwritable
    )
    assert said.startswith("1 example has an answer that the card's format does not allow")


def test_training_learns_to_choose_and_dev_is_scored_alike(tmp_path: Path) -> None:
    lm, renderer, start = world()
    config = TrainConfig(epochs=30, batch_size=4, dtype="float32", lr=0.1, patience=30)
    plan = Plan(renderer, EXAMPLES, EXAMPLES, config, start)
    (trained,) = train_prompts(lm, [plan], folder=tmp_path, identity="x")
    first, best = trained.epochs[0].dev.loss, trained.epochs[trained.best_epoch - 1].dev.loss
    assert best < 0.7 * first
    rows = render_examples(renderer, EXAMPLES)
    own = [brute_force(lm, trained.table, renderer, e, row) for e, row in zip(EXAMPLES, rows, strict=True)]
    assert best == pytest.approx(sum(own) / len(own), abs=1e-4)


def test_where_nothing_is_to_be_chosen_the_loss_is_0_and_so_is_its_gradient() -> None:
    lm, renderer, start = world(intents=["weather"])
    rows = render_examples(renderer, [example(0, " ", "\nIntent: weather\nSlots: None")])
    assert rows[0].choices == {}
    table = PromptTable.of_rows(start.input_rows.clone().requires_grad_())
    loss = example_losses(lm, [table] * len(rows), rows, None)
    loss.sum().backward()
    assert loss.tolist() == [0.0]
    assert not table.input_rows.grad.any()


def test_auto_is_the_grammar_where_there_is_one() -> None:
    _, renderer, _ = world()
    assert [row.choices is None for row in render_examples(renderer, EXAMPLES)] == [False] * 4
    assert [row.choices is None for row in render_examples(renderer, EXAMPLES, "vocabulary.v1")] == [True] * 4
    closed = renderer_of(tiny_backbone("llama"))
    row = example(0, "good", "positive")
    assert render_examples(closed, [row])[0].choices is None
    with pytest.raises(ConfigError, match="mood:en has no answer_format"):
        render_examples(closed, [row], "grammar.v1")


def test_the_settings_name_every_loss() -> None:
    names = TrainConfig.model_json_schema()["properties"]["loss"]["enum"]
    assert names == ["auto", *LOSSES]
