"""Folders that cannot serve are refused with all their faults before anything is loaded."""

import json

import pytest
from transformers import BertConfig, BertForMaskedLM, T5Config, T5ForConditionalGeneration

from promptbank.errors import UnusableBackboneError
from promptbank.model.backbone.folder import check_folder
from tests.tiny import KINDS, save_tiny, tiny_tokenizer


def refusal(folder):
    with pytest.raises(UnusableBackboneError) as caught:
        check_folder(folder)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_causal_model_is_accepted(kind, tmp_path):
    check_folder(save_tiny(kind, tmp_path))


def test_an_empty_folder_is_told_everything_it_lacks(tmp_path):
    message = refusal(tmp_path)
    assert "no config.json" in message
    assert "no weights" in message
    assert "no tokenizer" in message


def test_an_encoder_decoder_is_refused(tmp_path):
    config = T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, vocab_size=300)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    tiny_tokenizer("gpt2").save_pretrained(tmp_path)
    assert "encoder-decoder model (t5)" in refusal(tmp_path)


def test_a_masked_language_model_is_refused(tmp_path):
    config = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=300)
    BertForMaskedLM(config).save_pretrained(tmp_path)
    tiny_tokenizer("gpt2").save_pretrained(tmp_path)
    assert "saved as BertForMaskedLM, which is not the causal model BertLMHeadModel" in refusal(tmp_path)


def test_a_model_that_brings_its_own_code_is_refused(tmp_path):
    save_tiny("llama", tmp_path)
    config = {"model_type": "my-own", "auto_map": {"AutoModelForCausalLM": "evil.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "runs code of its own, which promptbank never does" in refusal(tmp_path)


def test_pickled_weights_are_refused_with_the_way_out(tmp_path):
    save_tiny("llama", tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    message = refusal(tmp_path)
    assert "pytorch_model.bin" in message
    assert "only safetensors are loaded (save it again with save_pretrained)" in message


def test_a_folder_around_a_gguf_says_to_name_the_file(tmp_path):
    save_tiny("llama", tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "m.gguf")
    assert "m.gguf: name that file instead of the folder" in refusal(tmp_path)


def test_missing_shards_are_named(tmp_path):
    save_tiny("llama", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "model-00001-of-00002.safetensors").touch()
    assert "model-00002-of-00002.safetensors are missing" in refusal(tmp_path)


@pytest.mark.parametrize("content", ["{", "[1]", '"x"'])
def test_a_broken_config_is_named(tmp_path, content):
    save_tiny("llama", tmp_path)
    (tmp_path / "config.json").write_text(content)
    assert "config.json is no" in refusal(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"weight_map": 3}', "{}"])
def test_a_broken_index_is_named(tmp_path, content):
    save_tiny("llama", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors.index.json").write_text(content)
    assert "does not name the weight files" in refusal(tmp_path)
