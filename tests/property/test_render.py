"""Rendering, for any text: it comes back as it was, and training sees what inference sees."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from promptbank.model.inject import pack, positions
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import virtual_id
from promptbank.training.examples import render_examples
from tasks import Example, builtin_cards
from tests.tiny import KINDS, Kind, tiny_backbone
from tests.worlds import card_of, renderer_of

CARDS = [*builtin_cards(), *builtin_cards("article"), *builtin_cards("around")]
BACKBONES = {kind: tiny_backbone(kind, window=2048) for kind in KINDS}
PIECES = [
    "{label}",
    "{sentence}",
    "<|VIRTUAL_PROMPT_0|>",
    "<prompt_1>",
    "<eos>",
    "<bos>",
    "<pad>",
    " ",
    "\n",
    "ö",
    "📈",
]
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text("ab ", max_size=4)), max_size=8).map("".join),
)


@pytest.mark.parametrize("kind", KINDS)
@given(text=TEXTS)
def test_any_text_comes_back_as_it_was(kind: Kind, text: str) -> None:
    backbone = BACKBONES[kind]
    ids = renderer_of(backbone, card_of()).prompt({"sentence": text}).ids
    discrete = [i for i in ids if i >= 0][0 if kind == "gpt2" else 1 :]
    assert backbone.tokenizer.decode(discrete) == text
    assert [i for i in ids if i < 0] == [virtual_id(row) for row in range(4)]


@pytest.mark.parametrize("card", CARDS, ids=lambda c: f"{c.taskname}:{c.lang}:{c.total_virtual_tokens}")
@given(text=TEXTS, kind=st.sampled_from(KINDS))
def test_inference_ids_are_training_ids_up_to_the_answer(card, text: str, kind: Kind) -> None:
    renderer = renderer_of(BACKBONES[kind], card)
    fields = dict.fromkeys(card.fields, text)
    answer = "\nIntent: a_b\nSlots: None" if card.is_open else next(iter(card.label_space))
    example = Example(id="1", group="1", taskname=card.taskname, lang=card.lang, fields=fields, answer=answer)
    if card.is_open:
        renderer.policy = type(renderer.policy)(renderer.policy.bos_id, renderer.policy.eos_id)
        renderer = type(renderer)(card, BACKBONES[kind].tokenizer, renderer.policy, 2048)
    row = render_examples(renderer, [example])[0]
    prompt = renderer.prompt({**fields, card.answer_field: "anything"})
    assert row.ids[: len(prompt.ids)] == prompt.ids == row.prompt


@given(
    rows=st.lists(st.lists(st.integers(-5, 50), min_size=1, max_size=12), min_size=1, max_size=5),
    pad=st.sampled_from(["left", "right"]),
)
def test_packing_loses_nothing(rows: list[list[int]], pad: str) -> None:
    packed = pack(rows, [PromptTable.of_rows(torch.zeros(10, 1)) for _ in rows], pad=pad)
    place = positions(packed.mask)
    for b, row in enumerate(rows):
        real = packed.mask[b].bool()
        back = [
            int(i) if s < 0 else virtual_id(int(s) - 10 * b)
            for i, s in zip(packed.ids[b][real], packed.slots[b][real], strict=True)
        ]
        assert back == row
        assert place[b][real].tolist() == list(range(len(row)))
