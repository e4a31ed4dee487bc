"""The fingerprint: a hash over exactly what decides the output."""

import hashlib
import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from promptbank.errors import UnusableBackboneError
from promptbank.model.backbone.fingerprint import fingerprint, output_config
from tests.tiny import KINDS, save_tiny


def edit_json(file, **changes):
    content = json.loads(file.read_text())
    content.update(changes)
    file.write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path):
    return save_tiny("llama", tmp_path / "model")


@pytest.mark.parametrize("kind", KINDS)
def test_loading_and_saving_again_keeps_the_fingerprint(kind, tmp_path):
    first = save_tiny(kind, tmp_path / "first")
    AutoModelForCausalLM.from_pretrained(first).save_pretrained(tmp_path / "second")
    assert fingerprint(first) == fingerprint(tmp_path / "second")


def test_the_hashed_bytes_are_those_the_documentation_names(folder):
    config = AutoConfig.from_pretrained(folder)
    head = {
        "scheme": "promptbank-backbone.v1",
        "architecture": "LlamaForCausalLM",
        "config": output_config(config),
    }
    expected = hashlib.sha256(json.dumps(head, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    for name, tensor in sorted(load_file(folder / "model.safetensors").items()):
        size = tensor.numel() * 4
        line = {"bytes": size, "dtype": "F32", "name": name, "shape": list(tensor.shape)}
        expected.update(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        expected.update(tensor.numpy().tobytes())
    assert fingerprint(folder) == expected.hexdigest()


def test_tensors_of_every_kind_are_hashed_as_their_file_describes_them(folder):
    whole = (torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.int8, torch.int64, torch.bool)
    tensors = {f"t{n}": torch.arange(6).to(dtype).reshape(2, 3) for n, dtype in enumerate(whole)}
    tensors |= {"scalar": torch.tensor(4.5), "empty": torch.zeros(0, 3)}
    file = folder / "model.safetensors"
    save_file(tensors, file)
    raw = file.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header, data = json.loads(raw[8 : 8 + length]), raw[8 + length :]
    config = output_config(AutoConfig.from_pretrained(folder))
    head = {"architecture": "LlamaForCausalLM", "config": config, "scheme": "promptbank-backbone.v1"}
    expected = hashlib.sha256(json.dumps(head, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    for name, entry in sorted(header.items()):
        begin, end = entry["data_offsets"]
        line = {"bytes": end - begin, "dtype": entry["dtype"], "name": name, "shape": entry["shape"]}
        expected.update(json.dumps(line, separators=(",", ":")).encode() + b"\n" + data[begin:end])
    assert fingerprint(folder) == expected.hexdigest()


def test_shards_give_the_fingerprint_of_the_single_file(folder, tmp_path):
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("model-*.safetensors"))) > 1
    assert fingerprint(tmp_path / "shards") == fingerprint(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"transformers_version": "4.0.0"},
        {"use_cache": False},
        {"dtype": "bfloat16"},
        {"_name_or_path": "/somewhere/else"},
        {"pad_token_id": 7},
        {"attention_dropout": 0.3},
        {"id2label": {"0": "no", "1": "yes"}},
        {"initializer_range": 0.1},
        {"head_dim": 8},
    ],
)
def test_settings_that_do_not_change_the_output_do_not_change_the_fingerprint(folder, changes):
    before = fingerprint(folder)
    edit_json(folder / "config.json", **changes)
    assert fingerprint(folder) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"rms_norm_eps": 1e-5},
        {"hidden_act": "gelu"},
        {"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}},
        {"max_position_embeddings": 128},
        {"num_key_value_heads": 4},
        {"head_dim": 16},
    ],
)
def test_settings_that_change_the_output_change_the_fingerprint(folder, changes):
    before = fingerprint(folder)
    edit_json(folder / "config.json", **changes)
    assert fingerprint(folder) != before


def test_the_old_and_the_new_way_to_write_rope_agree(folder):
    file = folder / "config.json"
    edit_json(file, rope_parameters={"rope_theta": 250000.0, "rope_type": "default"})
    new = fingerprint(folder)
    content = json.loads(file.read_text())
    del content["rope_parameters"]
    file.write_text(json.dumps({**content, "rope_theta": 250000, "rope_scaling": None}))
    assert fingerprint(folder) == new


def test_one_changed_bit_of_the_weights_changes_the_fingerprint(folder):
    before = fingerprint(folder)
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert fingerprint(folder) != before


@pytest.mark.parametrize("change", ["dtype", "shape", "name"])
def test_the_form_of_a_tensor_counts_even_with_equal_bytes(folder, change):
    file = folder / "model.safetensors"
    tensors = load_file(file)
    before = fingerprint(folder)
    norm = tensors.pop("model.norm.weight")
    variants = {
        "dtype": {"model.norm.weight": norm.view(torch.int32)},
        "shape": {"model.norm.weight": norm[None]},
        "name": {"model.norm2.weight": norm},
    }
    save_file(tensors | variants[change], file)
    assert fingerprint(folder) != before


def test_another_architecture_with_the_same_tensors_changes_the_fingerprint(folder):
    before = fingerprint(folder)
    edit_json(folder / "config.json", model_type="mistral", architectures=["MistralForCausalLM"])
    assert fingerprint(folder) != before


@pytest.mark.parametrize("changes", [{"hidden_size": "wide"}, {"model_type": "t5"}, {"model_type": "no-such"}])
def test_a_configuration_that_makes_no_sense_is_an_error(folder, changes):
    edit_json(folder / "config.json", **changes)
    with pytest.raises(UnusableBackboneError):
        fingerprint(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        struct.pack("<Q", 2**40) + b"{}",
        struct.pack("<Q", 4) + b"nope",
        struct.pack("<Q", 9) + b'{"a": 12}',
        struct.pack("<Q", 60) + b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'.ljust(60) + b"1234",
    ],
)
def test_a_broken_weight_file_is_an_error_that_names_it(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(UnusableBackboneError, match=r"model\.safetensors"):
        fingerprint(folder)


def test_a_tensor_in_two_shards_is_an_error(folder):
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    for shard in ("model-1.safetensors", "model-2.safetensors"):
        save_file(tensors, folder / shard)
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UnusableBackboneError, match="repeats the tensor"):
        fingerprint(folder)
