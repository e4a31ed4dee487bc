"""The remembered identity: quick, and never older than the files."""

import json
import os

import pytest

from promptbank.errors import UnusableBackboneError
from promptbank.model.backbone import identify
from promptbank.model.backbone.identity import IDENTITY_FILE
from tests.tiny import save_tiny


@pytest.fixture
def folder(tmp_path):
    return save_tiny("gpt2", tmp_path / "model")


def flip_last_byte(file):
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def test_hashes_are_remembered_beside_the_weights(folder, monkeypatch):
    first = identify(folder)
    monkeypatch.setattr("promptbank.model.backbone.fingerprint.fingerprint", lambda _: pytest.fail("hashed again"))
    assert identify(folder) == first


def test_a_changed_file_is_hashed_again(folder):
    first = identify(folder)
    weights = folder / "model.safetensors"
    flip_last_byte(weights)
    os.utime(weights, ns=(0, weights.stat().st_mtime_ns + 1))
    second = identify(folder)
    assert second.fingerprint != first.fingerprint
    assert second.tokenizer_sha256 == first.tokenizer_sha256


def test_a_changed_tokenizer_changes_only_its_own_hash(folder):
    first = identify(folder)
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    content["model"]["merges"].pop()
    file.write_text(json.dumps(content))
    second = identify(folder)
    assert second.fingerprint == first.fingerprint
    assert second.tokenizer_sha256 != first.tokenizer_sha256


def test_a_fresh_look_sees_through_a_restored_time_stamp(folder):
    first = identify(folder)
    weights = folder / "model.safetensors"
    stamp = weights.stat().st_mtime_ns
    flip_last_byte(weights)
    os.utime(weights, ns=(stamp, stamp))
    assert identify(folder) == first
    assert identify(folder, fresh=True).fingerprint != first.fingerprint


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"schemes": "another", "files": {}}'])
def test_a_damaged_memory_is_ignored_and_mended(folder, content):
    first = identify(folder)
    (folder / IDENTITY_FILE).write_text(content)
    assert identify(folder) == first
    assert json.loads((folder / IDENTITY_FILE).read_text())["fingerprint"] == first.fingerprint


def test_a_folder_that_cannot_be_written_is_identified_all_the_same(folder, monkeypatch):
    expected = identify(folder, fresh=True)
    (folder / IDENTITY_FILE).unlink()

    def refuse(*args, **kwargs):
        raise PermissionError(13, "read-only")

    monkeypatch.setattr("pathlib.Path.write_bytes", refuse)
    assert identify(folder) == expected
    assert not (folder / IDENTITY_FILE).exists()


def test_copies_have_one_identity(folder, tmp_path):
    assert identify(save_tiny("gpt2", tmp_path / "copy")) == identify(folder)


def test_a_broken_tokenizer_is_an_error_that_names_the_folder(folder):
    (folder / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(UnusableBackboneError, match=f"tokenizer in {folder}"):
        identify(folder)
