"""The facts of a frozen backbone, and what is refused."""

from pathlib import Path

import pytest
import torch

from promptbank.errors import UnusableBackboneError
from promptbank.model.backbone import Identity, freeze
from tests.tiny import KINDS, VOCABULARY, tiny_backbone, tiny_model, tiny_tokenizer

IDENTITY = Identity("f" * 64, "0" * 64)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_backbone_trains_nothing_and_drops_nothing(kind):
    model = tiny_backbone(kind).model
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("kind", "bos", "learned", "sliding"),
    [("gpt2", None, True, None), ("llama", 2, False, None), ("gemma3", 2, False, 24)],
)
def test_facts_are_those_the_model_was_built_with(kind, bos, learned, sliding):
    backbone = tiny_backbone(kind, hidden=64, window=48, sliding_window=24)
    facts = (backbone.hidden_size, backbone.vocab_size, backbone.window, backbone.eos_id)
    assert facts == (64, VOCABULARY, 48, 1)
    assert (backbone.bos_id, backbone.learned_positions, backbone.sliding_window) == (bos, learned, sliding)


def test_a_local_layer_of_the_tiny_gemma_forgets_what_lies_outside_its_window():
    def last(sliding_window: int, first: int) -> torch.Tensor:
        model = tiny_backbone("gemma3", layers=1, sliding_window=sliding_window).model  # one layer, and it is local
        ids = torch.tensor([[first, *range(20, 29)]])
        return model(input_ids=ids).logits[0, -1]

    assert torch.equal(last(4, first=10), last(4, first=11))
    assert not torch.allclose(last(16, first=10), last(16, first=11), atol=1e-2)


def test_equal_arguments_make_equal_tiny_backbones_and_other_seeds_others():
    torch.manual_seed(5)
    first = tiny_backbone("llama", seed=3)
    torch.manual_seed(6)
    again, other = tiny_backbone("llama", seed=3), tiny_backbone("llama", seed=4)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    ids = torch.tensor([[5, 9, 7]])
    assert torch.equal(first.model(ids).logits, again.model(ids).logits)


def test_a_tokenizer_without_end_token_and_with_too_many_ids_is_refused_with_both_reasons():
    tokenizer = tiny_tokenizer("gpt2")
    tokenizer.add_tokens(["brand-new-word"])
    tokenizer.eos_token = None
    with pytest.raises(UnusableBackboneError) as caught:
        freeze(tiny_model("gpt2"), tokenizer, name="x", path=Path("x"), identity=IDENTITY)
    assert "no end token" in str(caught.value)
    assert "ids up to 300 and its embedding has 300 rows" in str(caught.value)


@pytest.mark.parametrize(("role", "refused"), [("pad", False), ("eos", True), ("bos", True)])
def test_only_special_tokens_that_a_prompt_never_holds_may_lack_an_embedding(role, refused):
    tokenizer = tiny_tokenizer("llama")
    tokenizer.add_special_tokens({f"{role}_token": "<beyond>"})
    model, options = tiny_model("llama"), {"name": "x", "path": Path("x"), "identity": IDENTITY}
    if refused:
        with pytest.raises(UnusableBackboneError, match="ids up to 300"):
            freeze(model, tokenizer, **options)
    else:
        assert freeze(model, tokenizer, **options).eos_id == 1


def test_a_model_that_looks_at_later_tokens_is_refused():
    model = tiny_model("gemma3")
    model.config.use_bidirectional_attention = True
    for layer in model.model.layers:
        layer.self_attn.is_causal = False
    with pytest.raises(UnusableBackboneError, match="no left-to-right model"):
        freeze(model, tiny_tokenizer("gemma3"), name="x", path=Path("x"), identity=IDENTITY)
