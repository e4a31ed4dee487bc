"""Rendering: text stays text, the answer stands alone, cuts keep what matters."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from promptbank.errors import InputError, TooLongError
from promptbank.model.render import TokenPolicy, encode_plain, virtual_id
from promptbank.training.examples import render_examples
from tasks import builtin_cards
from tests.tiny import KINDS, Kind, tiny_backbone
from tests.worlds import AFTER, BEFORE, SPLIT, card_of, examples_of, renderer_of

STRUCTURES = [
    "{label}",
    "<|VIRTUAL_PROMPT_0|>",
    "<prompt_1>",
    "<eos>",
    "<bos>a<eos>",
    "<end_of_turn>",
    "الأرباح 📈 ارتفعت",
]


@pytest.mark.parametrize("kind", KINDS)
def test_virtual_ids_stand_where_the_markers_do_in_block_order(kind: Kind) -> None:
    backbone = tiny_backbone(kind)
    card = card_of("<|VIRTUAL_PROMPT_1|>{sentence}<|VIRTUAL_PROMPT_0|> {label}", (2, 3))
    ids = renderer_of(backbone, card).prompt({"sentence": "good"}).ids
    bos = [] if kind == "gpt2" else [backbone.bos_id]
    text = encode_plain(backbone.tokenizer, "good")
    assert list(ids) == [*bos, *map(virtual_id, (2, 3, 4)), *text, *map(virtual_id, (0, 1))]


def test_white_space_before_the_answer_belongs_to_the_answer() -> None:
    backbone = tiny_backbone("llama")
    renderer = renderer_of(backbone)
    assert renderer.prompt({"sentence": "x"}).ids[-1] == virtual_id(3)
    assert list(renderer.answer("positive")) == [*encode_plain(backbone.tokenizer, " positive"), backbone.eos_id]
    assert renderer.text(renderer.answer("positive")) == "positive"


@pytest.mark.parametrize("card", [card_of(t, s) for t, s in ((AFTER, (4,)), (BEFORE, (4,)), (SPLIT, (3, 2)))])
def test_training_ids_start_with_the_inference_ids(card) -> None:
    backbone = tiny_backbone("gemma3")
    renderer = renderer_of(backbone, card)
    for row, example in zip(render_examples(renderer, examples_of()), examples_of(), strict=True):
        assert row.ids[: len(row.prompt)] == renderer.prompt(example.fields).ids
        assert row.ids[len(row.prompt) :] == renderer.answer(card.form(example.answer))


@pytest.mark.parametrize(
    "card",
    [*builtin_cards(), *builtin_cards("article"), *builtin_cards("around")],
    ids=lambda c: f"{c.taskname}:{c.lang}",
)
def test_every_shipped_card_renders_alike_for_training_and_inference(card) -> None:
    backbone = tiny_backbone("gpt2", window=512)
    renderer = renderer_of(backbone, card)
    fields = dict.fromkeys(card.fields, "profit rose {label} <|VIRTUAL_PROMPT_0|>")
    prompt = renderer.prompt(fields).ids
    assert sorted(i for i in prompt if i < 0) == sorted(virtual_id(r) for r in range(card.total_virtual_tokens))
    # the answer in the record must change nothing before it
    assert renderer.prompt({**fields, card.answer_field: "positive"}).ids == prompt


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", STRUCTURES)
def test_structure_inside_text_stays_text(kind: Kind, text: str) -> None:
    backbone = tiny_backbone(kind)
    renderer = renderer_of(backbone)
    ids = renderer.prompt({"sentence": text, "label": "positive"}).ids
    plain = [i for i in ids if i >= 0]
    inner = plain if kind == "gpt2" else plain[1:]
    assert not set(inner) & set(backbone.tokenizer.all_special_ids)
    assert backbone.tokenizer.decode(inner) == text
    assert len([i for i in ids if i < 0]) == 4


class _IgnoresSplit:
    """A tokenizer of the slow kind that pays no heed to split_special_tokens."""

    def __init__(self, inner) -> None:
        self._inner = inner

    def __getattr__(self, name: str):
        return getattr(self._inner, name)

    def __call__(self, text: str, *, split_special_tokens: bool = False, **keys):
        return self._inner(text, **keys)


def test_special_strings_are_cut_for_tokenizers_that_cannot_split_them() -> None:
    tokenizer = _IgnoresSplit(tiny_backbone("llama").tokenizer)
    ids = encode_plain(tokenizer, "a <eos><eos> b <bos>")
    assert not set(ids) & set(tokenizer.all_special_ids)
    assert tokenizer.decode(ids) == "a <eos><eos> b <bos>"


def test_a_lone_surrogate_is_refused_with_its_place() -> None:
    with pytest.raises(InputError, match="lone surrogate at character 3"):
        renderer_of(tiny_backbone("llama")).prompt({"sentence": "abc\ud800"})


def test_a_missing_field_is_named() -> None:
    with pytest.raises(InputError, match=r"lacks \['sentence'\]"):
        renderer_of(tiny_backbone("llama")).prompt({"text": "abc"})


@pytest.mark.parametrize("template", [AFTER, BEFORE])
def test_too_long_text_is_cut_at_its_end_and_the_cut_is_reported(template: str) -> None:
    backbone = tiny_backbone("llama")
    card = card_of(template)
    renderer = renderer_of(backbone, card, window=40)
    text = "profit rose and the tone is good, " * 10
    prompt = renderer.prompt({"sentence": text})
    room = 40 - max(len(form.ids) for form in renderer.forms)
    kept = text[: len(text) - prompt.truncated]
    assert 0 < prompt.truncated < len(text)
    assert len(prompt.ids) <= room
    assert prompt.ids == renderer_of(backbone, card).prompt({"sentence": kept}).ids
    # oracle: one character more does not fit
    longer = renderer_of(backbone, card).prompt({"sentence": text[: len(kept) + 1]}).ids
    assert len(longer) > room


def test_too_long_text_without_truncate_field_is_an_error() -> None:
    renderer = renderer_of(tiny_backbone("gpt2"), card_of(truncate_field=None), window=20)
    with pytest.raises(TooLongError, match="truncate_field"):
        renderer.prompt({"sentence": "profit rose " * 20})


def test_text_outside_the_truncate_field_that_fills_the_window_is_an_error() -> None:
    card = card_of("{sentence} {note}<|VIRTUAL_PROMPT_0|> {label}")
    with pytest.raises(TooLongError, match="even with 'sentence' empty"):
        renderer_of(tiny_backbone("gpt2"), card, window=20).prompt({"sentence": "a", "note": "profit rose " * 20})


def test_an_answer_longer_than_its_room_is_an_error() -> None:
    renderer = renderer_of(tiny_backbone("gpt2"), card_of(label_space=None))
    with pytest.raises(TooLongError, match="12 are kept free"):
        renderer.answer("a very long answer that goes on and on and on")


def test_rows_that_cannot_be_learnt_are_all_named_at_once() -> None:
    renderer = renderer_of(tiny_backbone("gpt2"), card_of(truncate_field=None, label_space=None), window=40)
    wordy = replace(examples_of(1)[0], answer="good and " * 20)
    longer = replace(examples_of(2)[1], fields={"sentence": "profit rose " * 20})
    with pytest.raises(TooLongError) as caught:
        render_examples(renderer, [wordy, *examples_of(1, offset=5), longer])
    first, second = str(caught.value).split("; memory:1: ")
    assert first.startswith("memory:0: the answer 'good and")
    assert second.startswith("the prompt takes ")
    surrogate = replace(examples_of(1)[0], fields={"sentence": "\ud800"})
    with pytest.raises(InputError) as mixed:
        render_examples(renderer, [surrogate, longer])
    assert type(mixed.value) is InputError
    with pytest.raises(
        TooLongError, match=r"^memory:1, memory:1, memory:1 and 22 more: the prompt takes [^;]*; [^;]*$"
    ):
        render_examples(renderer, [longer] * 25)
    all_longer = [replace(longer, fields={"sentence": "profit rose " * (20 + more)}) for more in range(25)]
    with pytest.raises(TooLongError, match=r"memory:1: .*; and 5 more$"):
        render_examples(renderer, all_longer)


def test_policy_takes_bos_only_where_the_tokenizer_adds_it() -> None:
    assert TokenPolicy.of(tiny_backbone("gpt2").tokenizer).bos_id is None
    assert TokenPolicy.of(tiny_backbone("llama").tokenizer).bos_id == 2


def test_encoding_and_decoding_on_several_threads_disturb_each_other_never() -> None:
    renderer = renderer_of(tiny_backbone("llama"))
    texts = [f"profit rose by {n} and the outlook is good" for n in range(100)]
    alone = [renderer.prompt({"sentence": text}).ids for text in texts]

    def round_trip(n: int) -> tuple[tuple[int, ...], str]:
        return renderer.prompt({"sentence": texts[n]}).ids, renderer.text(renderer.answer("good"))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(round_trip, range(100)))
    assert [ids for ids, _ in found] == alone
    assert {text for _, text in found} == {"good"}
