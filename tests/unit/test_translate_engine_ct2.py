"""CTranslate2: conversions that are token for token what transformers does, and the engine that runs them."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from promptbank.errors import TrainingError
from promptbank.mt.engines.marian import MarianEngine
from tests.marian import MARIAN_PAIRS, save_random_marian, segments, train_tiny_marian
from translate.engines.decoding import DecodingOptions
from translate.errors import EngineError

pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")

from promptbank.mt.engines.ct2 import Ct2Engine
from promptbank.mt.marian.conversion import convert_marian

PAIR = ("en", "sv")
SOURCES = [src for src, _ in MARIAN_PAIRS]
MIXED = ["the red house is here", "", "the old table", "the new house is gone " * 6, "Ωmega </s> 17", " \n"]


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    return train_tiny_marian(tmp_path_factory.mktemp("marian"))


@pytest.fixture(scope="module")
def wild(tmp_path_factory):
    return save_random_marian(tmp_path_factory.mktemp("random") / "model")


@pytest.fixture(scope="module")
def int8(learnt, tmp_path_factory):
    out = tmp_path_factory.mktemp("int8") / "ct2"
    return out, convert_marian(learnt, out, SOURCES)


@pytest.fixture(scope="module")
def float32(wild, tmp_path_factory):
    out = tmp_path_factory.mktemp("float32") / "ct2"
    return out, convert_marian(wild, out, [*SOURCES, *(text for text in MIXED if text.strip())], quantisation="float32")


def test_a_conversion_reports_its_parity(int8):
    out, parity = int8
    assert (parity.sentences, parity.float32_same) == (20, 20)
    assert parity.quantised_same >= 18
    assert parity.quantised_tokens_same > 0.9
    assert parity.bytes == sum(file.stat().st_size for file in out.iterdir())
    assert list(out.parent.iterdir()) == [out]


def test_float32_is_token_identical_even_for_translations_that_run_on(float32):
    _, parity = float32
    assert parity.quantised_same == parity.float32_same == parity.sentences
    assert parity.quantised_tokens_same == 1.0


def test_int8_translates_what_was_learnt(int8):
    out, _ = int8
    engine = Ct2Engine(out, PAIR)
    assert ":int8" in engine.info().engine_id
    found = engine.translate(segments(SOURCES))
    assert [one.text for one in found] == [tgt for _, tgt in MARIAN_PAIRS]


@pytest.mark.parametrize(
    "decoding", [DecodingOptions(beam=1), DecodingOptions(beam=4), DecodingOptions(beam=4, length_penalty=0.6)]
)
def test_texts_and_scores_are_those_of_transformers(learnt, tmp_path, decoding):
    convert_marian(learnt, tmp_path / "ct2", SOURCES, quantisation="float32")
    ours = Ct2Engine(tmp_path / "ct2", PAIR, decoding=decoding).translate(segments(SOURCES))
    theirs = MarianEngine(str(learnt), PAIR, decoding=decoding).translate(segments(SOURCES))
    assert [one.text for one in ours] == [one.text for one in theirs]
    # transformers' beam search leaves the padding token a share of the probability; CTranslate2 has no such token
    rel = 1e-4 if decoding.beam == 1 else 0.02
    assert [one.score for one in ours] == pytest.approx([one.score for one in theirs], rel=rel, abs=1e-6)


def test_a_text_has_the_same_translation_alone_and_among_others(float32):
    engine = Ct2Engine(float32[0], PAIR, decoding=DecodingOptions(beam=2))
    for text, found in zip(MIXED, engine.translate(segments(MIXED)), strict=True):
        [alone] = engine.translate(segments([text]))
        assert found.text == alone.text
        assert found.score == (None if alone.score is None else pytest.approx(alone.score, rel=1e-3))


def test_a_long_text_is_refused_and_never_cut(int8):
    with pytest.raises(EngineError, match="too long, at most 20"):
        Ct2Engine(int8[0], PAIR, decoding=DecodingOptions(longest_source=20)).translate(segments(["house " * 30]))


def test_a_translation_that_runs_on_ends_where_the_positions_end(float32):
    engine = Ct2Engine(float32[0], PAIR, decoding=DecodingOptions(beam=1, longest_source=250))  # of 256
    text = "the new house is gone " * 15
    assert 120 < len(engine.cut(text)) <= 250
    assert engine.translate(segments([text]))[0].text


def test_a_text_over_the_models_own_positions_is_refused_and_the_longest_below_is_taken(float32):
    engine = Ct2Engine(float32[0], PAIR, decoding=DecodingOptions(beam=1))
    with pytest.raises(EngineError, match="too long, at most 255"):
        engine.translate(segments(["house " * 300]))
    text = "the new house is gone " * 15
    longest = text + "1" * (255 - len(engine.cut(text + "1")) + 1)
    assert len(engine.cut(longest)) == 255
    assert engine.translate(segments([longest]))[0].text


def test_a_model_that_does_not_say_its_positions_is_an_engine_error_where_they_end(float32, tmp_path):
    shutil.copytree(float32[0], tmp_path / "ct2")
    (tmp_path / "ct2/tokenizer_config.json").unlink()
    engine = Ct2Engine(tmp_path / "ct2", PAIR)
    with pytest.raises(EngineError, match="cannot translate texts of up to 301 discrete tokens: No position"):
        engine.translate(segments(["1" * 299]))


@pytest.mark.parametrize("text", ["\u200b", "\ufeff", "\x01"])
def test_a_text_that_is_cut_to_nothing_has_an_empty_translation(float32, text):
    [found] = Ct2Engine(float32[0], PAIR).translate(segments([text]))
    assert (found.text, found.score) == ("", None)


def test_a_conversion_that_computes_something_else_is_refused_and_leaves_nothing(learnt, tmp_path):
    """A padding embedding that is not zero: CTranslate2 starts the decoder from zero whatever it is."""
    wrong = tmp_path / "wrong"
    shutil.copytree(learnt, wrong)
    weights = load_file(wrong / "model.safetensors")
    name = next(name for name, tensor in weights.items() if tensor.shape[0] == len(load_vocabulary(wrong)))
    weights[name][-1] = 3 * torch.randn(weights[name].shape[1], generator=torch.Generator().manual_seed(0))
    save_file(weights, wrong / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TrainingError, match=r"refused: .* float32 translations differ"):
        convert_marian(wrong, tmp_path / "ct2", SOURCES)
    assert list(tmp_path.iterdir()) == [wrong]


def load_vocabulary(folder):
    return json.loads((folder / "vocab.json").read_text(encoding="utf-8"))


def test_what_cannot_be_converted_says_why(learnt, int8, tmp_path):
    with pytest.raises(TrainingError, match="is there already"):
        convert_marian(learnt, int8[0], SOURCES)
    with pytest.raises(TrainingError, match="there are none"):
        convert_marian(learnt, tmp_path / "ct2", [])
    with pytest.raises(TrainingError, match="more than 255 discrete tokens"):
        convert_marian(learnt, tmp_path / "ct2", ["house " * 300])
    with pytest.raises(TrainingError, match="cannot convert"):
        convert_marian(learnt, tmp_path / "ct2", SOURCES[:1], quantisation="int3")
    assert not list(tmp_path.iterdir())


def test_the_id_changes_with_model_options_and_arithmetic(int8, float32):
    one = Ct2Engine(int8[0], PAIR).info()
    assert (one.langpairs, one.markers) == (("en-sv",), "trained")
    assert one == Ct2Engine(int8[0], PAIR, threads=1, decoding=DecodingOptions(batch_tokens=9)).info()
    others = [
        Ct2Engine(float32[0], PAIR),
        Ct2Engine(int8[0], PAIR, decoding=replace(DecodingOptions(), beam=2)),
        Ct2Engine(int8[0], PAIR, compute_type="float32"),
    ]
    assert len({one.engine_id, *(other.info().engine_id for other in others)}) == 4


@pytest.mark.parametrize("nested", [False, True])
def test_a_directory_of_argos_or_opennmt_is_read_without_an_end_token(float32, tmp_path, nested):
    package = tmp_path / "package"
    model = package / "model" if nested else package
    shutil.copytree(float32[0], model)
    (model / "target.spm").unlink()
    (model / "source.spm").rename(package / "sentencepiece.model")
    engine = Ct2Engine(package, PAIR)
    assert engine.cut("the house")[-1] != "</s>"
    assert engine.translate(segments(["the house"]))[0].text
    assert Ct2Engine(float32[0], PAIR).cut("the house") == [*engine.cut("the house"), "</s>"]


def test_an_end_token_that_ctranslate2_adds_itself_is_not_added_twice(float32, tmp_path):
    shutil.copytree(float32[0], tmp_path / "ct2")
    config = json.loads((tmp_path / "ct2/config.json").read_text())
    (tmp_path / "ct2/config.json").write_text(json.dumps({**config, "add_source_eos": True}))
    ours, theirs = Ct2Engine(tmp_path / "ct2", PAIR), Ct2Engine(float32[0], PAIR)
    assert ours.translate(segments(MIXED)) == theirs.translate(segments(MIXED))


def test_directories_that_cannot_be_used_are_engine_errors(int8, tmp_path):
    with pytest.raises(EngineError, match="no CTranslate2 directory"):
        Ct2Engine(tmp_path, PAIR)
    shutil.copytree(int8[0], tmp_path / "ct2")
    (tmp_path / "ct2/model.bin").write_bytes(b"damaged")
    with pytest.raises(EngineError, match="cannot load"):
        Ct2Engine(tmp_path / "ct2", PAIR)
    (tmp_path / "ct2/source.spm").write_bytes(b"damaged")
    with pytest.raises(EngineError, match="are damaged"):
        Ct2Engine(tmp_path / "ct2", PAIR)
    (tmp_path / "ct2/source.spm").unlink()
    with pytest.raises(EngineError, match=r"neither source\.spm"):
        Ct2Engine(tmp_path / "ct2", PAIR)
    with pytest.raises(EngineError, match="cannot load"):
        Ct2Engine(int8[0], PAIR, compute_type="int3")


def test_the_speed_benchmark_reports_both_arms(wild, tmp_path):
    from benchmarks.translation_speed import race, table

    convert_marian(wild, tmp_path / "ct2", SOURCES[:3])
    decoding = DecodingOptions(beam=2)
    engines = {
        "a": MarianEngine(str(wild), PAIR, decoding=decoding),
        "b": Ct2Engine(tmp_path / "ct2", PAIR, decoding=decoding, threads=1),
    }
    report = race(engines, SOURCES[:3], rounds=1)
    assert report["source_words"] == 15
    first, second = (report["words_per_second"][name][0] for name in engines)
    assert report["ratio"] == second / first
    said = {"parameters": 1, "model": "random weights", "decoding": decoding, "threads": 1, "load": "tests"}
    assert "words/s" in table(report | said)
