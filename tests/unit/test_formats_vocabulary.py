"""Rows as tokens of a copy of the backbone: plain transformers computes with it what promptbank does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from promptbank.bank.formats.registry import export_tasks
from promptbank.errors import ConfigError, InputError
from promptbank.model.backbone import load_backbone
from tests.formats import TEXTS, bank_of, our_logits, random_rows, stored
from tests.tiny import KINDS, VOCABULARY, Kind
from tests.worlds import AFTER, SPLIT, card_of


@pytest.mark.parametrize("kind", KINDS)
def test_plain_transformers_computes_the_same_logits_from_the_tokens(kind: Kind, tmp_path: Path) -> None:
    with bank_of(kind, tmp_path) as bank:
        mood = stored(bank, card_of(AFTER))
        tone = stored(bank, card_of(SPLIT, (3, 2), taskname="tone", lang="sv"))
        _, folder = export_tasks(bank, ["mood", "tone:sv"], "vocabulary", tmp_path / "model")
        model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
        assert tokenizer.convert_ids_to_tokens([VOCABULARY, VOCABULARY + 8]) == ["<mood:en:0>", "<tone:sv:4>"]
        prompts = {
            "mood": lambda text: f"{text}<mood:en:0><mood:en:1><mood:en:2><mood:en:3>",
            "tone": lambda text: f"<tone:sv:0><tone:sv:1><tone:sv:2> {text}<tone:sv:3><tone:sv:4> so:",
        }
        for row in (mood, tone):
            for text in TEXTS:
                ids = tokenizer(prompts[row.scope.taskname](text), return_tensors="pt")
                with torch.no_grad():
                    logits = model(**ids).logits[0, -1]
                assert torch.allclose(logits[:VOCABULARY], our_logits(bank, row, text), atol=1e-4)
        told = json.loads((folder / "promptbank.json").read_text())
        assert told["suppress"] == list(range(VOCABULARY, VOCABULARY + 9))
        assert told["tasks"]["tone:sv"]["template"] == prompts["tone"]("{sentence}")
        readme = (folder / "README.md").read_text()
        assert "ids 300 to 308, must never be generated" in readme
        assert "as one string" in readme


@pytest.mark.parametrize("kind", KINDS)
def test_generate_never_writes_the_new_tokens(kind: Kind, tmp_path: Path) -> None:
    with bank_of(kind, tmp_path) as bank:
        stored(bank, card_of(AFTER))
        _, folder = export_tasks(bank, ["mood"], "vocabulary", tmp_path / "model")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    written = []
    for text in TEXTS:
        ids = tokenizer(f"{text}<mood:en:0><mood:en:1><mood:en:2><mood:en:3>", return_tensors="pt")
        with torch.no_grad():
            out = model.generate(**ids, max_new_tokens=24, do_sample=False, pad_token_id=0)
        written += out[0, ids["input_ids"].shape[1] :].tolist()
    assert written
    assert max(written) < VOCABULARY


@pytest.mark.parametrize("kind", KINDS)
def test_the_rest_of_the_backbone_stays_as_it_was(kind: Kind, tmp_path: Path) -> None:
    with bank_of(kind, tmp_path) as bank:
        stored(bank, card_of(AFTER))
        _, folder = export_tasks(bank, ["mood"], "vocabulary", tmp_path / "model")
        before = bank.backbone.model.state_dict()
        after = AutoModelForCausalLM.from_pretrained(folder).state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(tensor, after[name][: len(tensor)]) for name, tensor in before.items() if tensor.dim())
        tied = bank.backbone.model.config.tie_word_embeddings
        assert AutoModelForCausalLM.from_pretrained(folder).config.tie_word_embeddings == tied
        again = load_backbone(str(folder), home=tmp_path)
        assert (again.vocab_size, again.window) == (VOCABULARY + 4, bank.backbone.window)
        embedded = again.model.get_input_embeddings()(torch.arange(VOCABULARY, VOCABULARY + 4))
        assert torch.allclose(embedded, random_rows(4), atol=1e-5)


def test_what_cannot_be_a_token_is_refused(tmp_path: Path) -> None:
    with bank_of("llama", tmp_path) as bank:
        stored(bank, card_of(AFTER))
        with pytest.raises(InputError, match="mood:en is named twice"):
            export_tasks(bank, ["mood", "mood@1"], "vocabulary", tmp_path / "model")
        export_tasks(bank, ["mood"], "vocabulary", tmp_path / "model")
        with pytest.raises(ConfigError, match="is there already; name a new folder with --out"):
            export_tasks(bank, ["mood"], "vocabulary", tmp_path / "model")
