"""Pairs as ids, batches by tokens, and the loss over a frozen head."""

from __future__ import annotations

import pytest
import torch

from promptbank.errors import ConfigError, TrainingError
from promptbank.model.forward import LanguageModel
from promptbank.model.head import FrozenHead
from promptbank.model.render import encode_plain
from promptbank.mt.languages import Languages
from promptbank.mt.translator.loss import answer_loss
from promptbank.mt.translator.pairs import PairExample, PairFormat, render_pairs
from tests.tiny import KINDS, SPECIAL, Kind, tiny_backbone

EN_SV = Languages("en", "sv")


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_is_the_template_with_the_start_token_and_the_answer_ends(kind: Kind) -> None:
    backbone = tiny_backbone(kind)
    pair_format = PairFormat(backbone.tokenizer, EN_SV)
    row = pair_format.pair("the year", "good")
    start = [] if kind == "gpt2" else [SPECIAL.index("<bos>")]
    assert list(row.prompt) == start + encode_plain(backbone.tokenizer, "English: the year\nSwedish:")
    assert list(row.answer) == [*encode_plain(backbone.tokenizer, " good"), backbone.eos_id]
    assert pair_format.text(row.answer) == "good"
    assert pair_format.text((*row.answer, *row.prompt)) == "good"


def test_text_can_neither_end_the_line_nor_become_structure() -> None:
    backbone = tiny_backbone("llama")
    pair_format = PairFormat(backbone.tokenizer, EN_SV)
    assert pair_format.prompt("one\n two") == pair_format.prompt("one two")
    ids = pair_format.prompt("a <eos> {text} b")
    assert backbone.eos_id not in ids
    assert "<eos> {text} b" in backbone.tokenizer.decode(list(ids[1:]))


def test_an_unknown_language_stands_for_itself() -> None:
    pair_format = PairFormat(tiny_backbone("llama").tokenizer, Languages.parse("en-xx"))
    assert pair_format.template == "English: {text}\nxx:"


@pytest.mark.parametrize("langpair", ["", "en", "en-", "-sv", "sv-sv", "EN-sv", "en_sv", "en-SV"])
def test_no_language_pair_is_refused(langpair: str) -> None:
    with pytest.raises(ConfigError, match="no language pair"):
        Languages.parse(langpair)


@pytest.mark.parametrize("pair", [("pt-BR", "en"), ("en", "pt-BR"), ("zh-Hant", "sr-Latn-RS"), ("en", "fil")])
def test_a_language_of_a_pair_may_name_its_region_or_script(pair: tuple[str, str]) -> None:
    assert Languages.parse(str(Languages(*pair))) == pair


def test_a_pair_that_can_be_read_in_two_ways_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"but several \(pt to br-en or pt-br to en\)"):
        Languages.parse("pt-br-en")


def test_rows_over_the_window_are_left_out_and_none_left_is_an_error() -> None:
    pair_format = PairFormat(tiny_backbone("llama").tokenizer, EN_SV)
    short, long = ("a", "b"), ("a " * 60, "b " * 60)
    limit = len(pair_format.pair(*short).ids)
    assert render_pairs(pair_format, [short, long], window=limit) == [pair_format.pair(*short)]
    with pytest.raises(TrainingError, match="none of 1 pairs"):
        render_pairs(pair_format, [long], window=limit)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_that_of_the_answers_alone_whatever_else_is_in_the_batch(kind: Kind) -> None:
    backbone = tiny_backbone(kind)
    lm = LanguageModel(backbone.model)
    pair_format = PairFormat(backbone.tokenizer, EN_SV)
    rows = [pair_format.pair("the year is good", "hope"), pair_format.pair("bad", "a heavy blow for the company")]
    loss, tokens = answer_loss(lm, FrozenHead.of(lm.head, torch.float32), rows)
    assert tokens == sum(len(row.answer) for row in rows)
    assert float(loss) == pytest.approx(sum(by_hand(lm, row) for row in rows), rel=1e-4)


@torch.no_grad()
def by_hand(lm: LanguageModel, row: PairExample) -> float:
    """The model's own logits of one row, without a batch."""
    logits = lm.model(input_ids=torch.tensor([row.ids])).logits[0].log_softmax(-1)
    return -sum(float(logits[t - 1, row.ids[t]]) for t in range(len(row.prompt), len(row.ids)))
