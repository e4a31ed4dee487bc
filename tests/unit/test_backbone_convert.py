"""GGUF to safetensors: the same numbers, the same ids, stored once; with a tiny GGUF written in code."""

import json

import gguf
import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from promptbank.errors import UnusableBackboneError
from promptbank.model.backbone import identify
from promptbank.model.backbone.convert import convert_gguf
from tests.tiny import SPECIAL, tiny_model, tiny_tokenizer

HEADS = 4
NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
TEXTS = ["profits rose", " positive", "  two", "åäö 日本語 🙂", "a\n\n b\t", "<eos> <bos>x", "12.5 %"]


def write_gguf(path, *, tied=True):
    """Write the tiny Llama as llama.cpp's converter would; return the model."""
    model = tiny_model("llama").eval()
    if tied:
        model.config.tie_word_embeddings = True
        model.lm_head.weight = model.model.embed_tokens.weight
    writer = gguf.GGUFWriter(path, "llama")
    add_settings(writer, model.config)
    add_tokenizer(writer)
    add_tensors(writer, model, tied=tied)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def add_settings(writer, config):
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)


def add_tokenizer(writer):
    parts = json.loads(tiny_tokenizer("llama").backend_tokenizer.to_str())["model"]
    tokens = sorted(parts["vocab"], key=parts["vocab"].__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in SPECIAL else 1 for token in tokens])  # 3 control, 1 normal
    writer.add_token_merges([" ".join(pair) for pair in parts["merges"]])
    for name in ("pad", "eos", "bos"):
        getattr(writer, f"add_{name}_token_id")(SPECIAL.index(f"<{name}>"))
    writer.add_add_bos_token(True)


def add_tensors(writer, model, *, tied):
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    writer.add_tensor("token_embd.weight", state["model.embed_tokens.weight"])
    writer.add_tensor("output_norm.weight", state["model.norm.weight"])
    if not tied:
        writer.add_tensor("output.weight", state["lm_head.weight"])
    for layer in range(model.config.num_hidden_layers):
        for ours, theirs in NAMES.items():
            tensor = state[f"model.layers.{layer}.{ours}.weight"]
            heads = {"attn_q": HEADS, "attn_k": model.config.num_key_value_heads}.get(theirs)
            writer.add_tensor(f"blk.{layer}.{theirs}.weight", tensor if heads is None else interleave(tensor, heads))


def interleave(tensor, heads):
    """Order rotary pairs as llama.cpp does: (a1 a2 .. b1 b2 ..) becomes (a1 b1 a2 b2 ..) in each head."""
    rows, width = tensor.shape
    return tensor.reshape(heads, 2, rows // heads // 2, width).swapaxes(1, 2).reshape(rows, width).copy()


@pytest.mark.parametrize("tied", [True, False])
def test_a_converted_model_gives_the_logits_of_the_original(tmp_path, tied):
    original = write_gguf(tmp_path / "m.gguf", tied=tied)
    convert_gguf(tmp_path / "m.gguf", tmp_path / "out", lambda _: None)
    converted = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    ids = torch.tensor([[2, 40, 50, 60, 299]])
    assert torch.allclose(converted(ids).logits, original(ids).logits, rtol=1e-4, atol=1e-4)
    with safe_open(tmp_path / "out" / "model.safetensors", "pt") as stored:
        assert ("lm_head.weight" in stored.keys()) is not tied  # noqa: SIM118 - this object has no __contains__
        dtypes = {stored.get_tensor(name).dtype for name in stored.keys()}  # noqa: SIM118
    assert dtypes == {torch.float32}
    assert "quantization_config" not in json.loads((tmp_path / "out" / "config.json").read_text())


def test_a_converted_tokenizer_gives_the_ids_of_the_one_in_the_gguf(tmp_path):
    write_gguf(tmp_path / "m.gguf")
    convert_gguf(tmp_path / "m.gguf", tmp_path / "out", lambda _: None)
    before = AutoTokenizer.from_pretrained(tmp_path, gguf_file="m.gguf")
    after = AutoTokenizer.from_pretrained(tmp_path / "out")
    for text in TEXTS:
        for options in ({}, {"add_special_tokens": False}, {"split_special_tokens": True}):
            assert after(text, **options)["input_ids"] == before(text, **options)["input_ids"]
    assert after.eos_token_id == SPECIAL.index("<eos>")
    assert SPECIAL.index("<eos>") not in after("x <eos>", split_special_tokens=True)["input_ids"]


def test_two_conversions_of_one_file_have_one_identity(tmp_path):
    write_gguf(tmp_path / "m.gguf")
    for name in ("one", "two"):
        convert_gguf(tmp_path / "m.gguf", tmp_path / name, lambda _: None)
    assert identify(tmp_path / "one") == identify(tmp_path / "two")


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"PK\x03\x04 a zip")
    with pytest.raises(UnusableBackboneError, match="does not begin with the letters GGUF"):
        convert_gguf(tmp_path / "m.gguf", tmp_path / "out", lambda _: None)


@pytest.mark.parametrize("keep", [5, 2000, 30000])
def test_a_file_that_was_cut_short_is_refused(tmp_path, keep):
    file = tmp_path / "m.gguf"
    write_gguf(file)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(UnusableBackboneError, match=r"m\.gguf cannot be converted"):
        convert_gguf(file, tmp_path / "out", lambda _: None)
