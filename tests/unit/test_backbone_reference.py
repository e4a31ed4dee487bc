"""What a user's word for a backbone means."""

import json

import pytest

from promptbank.errors import UnknownBackboneError
from promptbank.model.backbone import CATALOG
from promptbank.model.backbone.cache import BackboneCache, PulledBackbone
from promptbank.model.backbone.convert import GgufFile
from promptbank.model.backbone.hub import HubRepo
from promptbank.model.backbone.reference import resolve


@pytest.fixture
def cache(tmp_path):
    folder = tmp_path / "home" / "backbones" / "my-model-1234"
    folder.mkdir(parents=True)
    fields = {"name": "my-model-1234", "source": "x", "source_sha256": None, "licence": "x", "quantisation": "x"}
    (folder / "promptbank.json").write_text(json.dumps(fields))
    return BackboneCache(tmp_path / "home")


def path_of(meant):
    assert isinstance(meant, PulledBackbone)
    return meant.path


def test_each_kind_of_reference_is_told_apart(tmp_path, cache):
    (tmp_path / "folder").mkdir()
    (tmp_path / "m.GGUF").touch()
    assert resolve("gemma-3-270m", cache) is CATALOG["gemma-3-270m"]
    assert path_of(resolve(str(tmp_path / "folder"), cache)) == tmp_path / "folder"
    assert resolve(str(tmp_path / "m.GGUF"), cache) == GgufFile(tmp_path / "m.GGUF")
    assert path_of(resolve("my-model-1234", cache)) == cache.root / "my-model-1234"
    assert resolve("AI-Sweden-Models/gpt-sw3-126m", cache) == HubRepo("AI-Sweden-Models/gpt-sw3-126m")


def test_a_built_in_name_wins_over_a_folder_unless_written_as_a_path(tmp_path, cache, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smollm2-135m").mkdir()
    assert resolve("smollm2-135m", cache) is CATALOG["smollm2-135m"]
    assert path_of(resolve("./smollm2-135m", cache)) == tmp_path / "smollm2-135m"


def test_home_is_expanded(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model").mkdir()
    assert path_of(resolve("~/model", cache)) == tmp_path / "model"


@pytest.mark.parametrize(("typo", "near"), [("gema-3-270m", "gemma-3-270m"), ("SmolLM2-135M", "smollm2-135m")])
def test_a_typo_is_answered_with_the_near_name(cache, typo, near):
    with pytest.raises(UnknownBackboneError, match=rf"unknown backbone '{typo}' \(did you mean {near}\?\)"):
        resolve(typo, cache)


def test_a_typo_of_an_installed_name_is_answered_with_it(cache):
    with pytest.raises(UnknownBackboneError, match=r"did you mean my-model-1234"):
        resolve("my-model-123", cache)


@pytest.mark.parametrize("ref", ["./gone", "/gone/model", "~nobody-here/x", "gone.gguf", "a/b/c", "..\\model"])
def test_a_missing_path_is_said_to_be_one(cache, ref):
    with pytest.raises(UnknownBackboneError, match=r"there is no model folder or \.gguf file"):
        resolve(ref, cache)


@pytest.mark.parametrize("ref", ["", " ", "gpt2", "a\0b", "x" * 5000, "å/ö", "-x/y", "\ud800", "owner/"])
def test_a_word_that_means_nothing_is_answered_with_what_is_allowed(cache, ref):
    allowed = "allowed: gemma-3-270m, smollm2-135m, a model folder, a .gguf file, or a hub id owner/name"
    with pytest.raises(UnknownBackboneError) as caught:
        resolve(ref, cache)
    assert allowed in str(caught.value)


def test_a_weight_file_is_answered_with_its_folder(tmp_path, cache):
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(UnknownBackboneError, match=f"name its folder {tmp_path} instead"):
        resolve(str(file), cache)
