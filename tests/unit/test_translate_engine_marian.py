"""The transformers engine, with a tiny Marian: a trained one, and a random one whose translations run on."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import log_softmax

from promptbank.mt.engines.marian import MarianEngine
from promptbank.mt.marian.model import load_marian
from promptbank.mt.marian.pieces import load_pieces
from tests.marian import MARIAN_PAIRS, save_random_marian, segments, train_tiny_marian
from translate.engines.decoding import DecodingOptions
from translate.errors import EngineError

PAIR = ("en", "sv")
MIXED = ["the red house is here", "", "the old table", "the new house is gone " * 6, "Ωmega </s> 17"]


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    return train_tiny_marian(tmp_path_factory.mktemp("marian"))


@pytest.fixture(scope="module")
def wild(tmp_path_factory):
    return save_random_marian(tmp_path_factory.mktemp("random") / "model")


@pytest.mark.parametrize("beam", [1, 4])
def test_what_was_learnt_is_translated_with_scores_near_zero(learnt, beam):
    engine = MarianEngine(str(learnt), PAIR, decoding=DecodingOptions(beam=beam))
    found = engine.translate(segments([src for src, _ in MARIAN_PAIRS]))
    assert [one.text for one in found] == [tgt for _, tgt in MARIAN_PAIRS]
    assert all(-0.3 < one.score < 0 for one in found)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_text_has_the_same_translation_alone_and_among_others(wild, beam):
    engine = MarianEngine(str(wild), PAIR, decoding=DecodingOptions(beam=beam))
    together = engine.translate(segments(MIXED))
    for text, found in zip(MIXED, together, strict=True):
        [alone] = engine.translate(segments([text]))
        assert found.text == alone.text
        assert found.score == (None if alone.score is None else pytest.approx(alone.score, rel=1e-4))


@torch.no_grad()
def test_the_score_is_the_mean_log_probability_of_the_tokens_and_the_end(learnt):
    [found] = MarianEngine(str(learnt), PAIR, decoding=DecodingOptions(beam=1)).translate(
        segments(["the old table is gone"])
    )
    model, pieces = load_marian(learnt), load_pieces(learnt)
    tokens = pieces.ids(found.text, target=True)
    fed = torch.tensor([[pieces.pad, *tokens[:-1]]])
    ids = torch.tensor([pieces.ids("the old table is gone")])
    logits = model(input_ids=ids, decoder_input_ids=fed).logits[0, :, : pieces.pad]
    expected = log_softmax(logits, dim=-1)[range(len(tokens)), tokens].mean()
    assert found.score == pytest.approx(float(expected), rel=1e-4, abs=1e-6)


def test_the_id_changes_with_model_and_options_and_with_nothing_else(tmp_path, learnt, wild):
    one = MarianEngine(str(learnt), PAIR).info()
    assert (one.langpairs, one.markers) == (("en-sv",), "trained")
    assert one == MarianEngine(str(learnt), PAIR, decoding=DecodingOptions(batch_tokens=7)).info()
    others = [
        MarianEngine(str(wild), PAIR).info(),
        *(MarianEngine(str(learnt), PAIR, decoding=replace(DecodingOptions(), **change)).info()
          for change in ({"beam": 1}, {"length_penalty": 0.5}, {"longest_source": 9})),
    ]  # fmt: skip
    assert len({one.engine_id, *(other.engine_id for other in others)}) == 5


def test_folders_that_cannot_be_used_are_engine_errors(tmp_path, learnt):
    with pytest.raises(EngineError, match=r"no source\.spm"):
        MarianEngine(str(tmp_path), PAIR)
    load_pieces(learnt).save(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(EngineError, match=r"pytorch_model\.bin is a pickle"):
        MarianEngine(str(tmp_path), PAIR)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    (tmp_path / "config.json").write_text('{"model_type": "marian"}')
    with pytest.raises(EngineError, match="cannot be loaded"):
        MarianEngine(str(tmp_path), PAIR)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(EngineError, match="holds no Marian"):
        MarianEngine(str(tmp_path), PAIR)


def test_a_score_is_a_number_even_for_a_model_that_never_ends(wild):
    found = MarianEngine(str(wild), PAIR).translate(segments(MIXED[:1]))
    assert math.isfinite(found[0].score)


@pytest.mark.parametrize("text", ["\u200b", "\ufeff", "\x01"])
def test_a_text_that_is_cut_to_nothing_has_an_empty_translation(wild, text):
    [found] = MarianEngine(str(wild), PAIR).translate(segments([text]))
    assert (found.text, found.score) == ("", None)


def test_a_text_over_the_models_own_positions_is_refused(wild):
    with pytest.raises(EngineError, match="too long, at most 255"):
        MarianEngine(str(wild), PAIR).translate(segments(["house " * 300]))
