"""The translators that come with promptbank: small, whole, with card and notice, for the default backbone."""

import hashlib
import json
from importlib.resources import files
from pathlib import Path

import pytest

MODELS = sorted(Path(str(files("translate")), "models").glob("*/translator.json"))


def test_english_to_swedish_is_there() -> None:
    assert "en-sv" in [path.parent.name for path in MODELS]


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.parent.name)
def test_a_shipped_translator_is_small_and_whole_and_says_where_it_comes_from(path: Path) -> None:
    folder, facts = path.parent, json.loads(path.read_text())
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 20_000_000
    assert facts["langpair"] == folder.name
    assert hashlib.sha256((folder / "update.safetensors").read_bytes()).hexdigest() == facts["weights_sha256"]
    card, notice = ((folder / name).read_text() for name in ("README.md", "NOTICE"))
    assert facts["weights_sha256"] in card
    assert "promptbank mt train" in card
    assert "Gemma Terms of Use" in notice
