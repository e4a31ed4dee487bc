"""LoRA: the backbone itself at step 0, PEFT's numbers for the same A and B, and nothing lost in merging."""

import warnings

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from promptbank.errors import TrainingError
from promptbank.lab.methods.weights import LORA_TARGETS, Lora
from promptbank.model.lora import LoraLayer, lora_layers, merge
from tests.tiny import KINDS, Kind, tiny_model

IDS = torch.tensor([[2, 40, 41, 42, 43], [2, 50, 9, 8, 7]])


def logits(model: nn.Module) -> Tensor:
    with torch.no_grad():
        out: Tensor = model(input_ids=IDS).logits
    return out


def adapted(kind: Kind, *, seed: int = 0) -> PreTrainedModel:
    """A tiny model with LoRA in eval mode, B drawn so that it does something."""
    model = tiny_model(kind).eval()
    Lora().prepare(model, seed)
    generator = torch.Generator().manual_seed(1)
    for layer in lora_layers(model):
        layer.b.data.normal_(0.0, 0.1, generator=generator)
    model.eval()
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_step_0_is_the_backbone_to_the_bit(kind: Kind) -> None:
    model = tiny_model(kind).eval()
    before = logits(model)
    Lora().prepare(model, 0)
    assert torch.equal(logits(model.eval()), before)


@pytest.mark.parametrize("kind", KINDS)
def test_merging_keeps_the_outputs_and_leaves_a_plain_model(kind: Kind) -> None:
    model = adapted(kind)
    before = logits(model)
    assert float((before - logits(tiny_model(kind).eval())).abs().max()) > 0.1
    merge(model)
    assert lora_layers(model) == []
    assert torch.allclose(logits(model), before, atol=1e-4)
    assert model.state_dict().keys() == tiny_model(kind).state_dict().keys()


@pytest.mark.parametrize("kind", KINDS)
def test_same_a_and_b_give_the_delta_and_logits_of_peft(kind: Kind) -> None:
    peft = pytest.importorskip("peft")
    ours = adapted(kind)
    targets = sorted({name.rpartition(".")[2] for name, _ in ours.named_modules()} & set(LORA_TARGETS))
    config = peft.LoraConfig(
        r=16, lora_alpha=32, lora_dropout=0.05, target_modules=targets, fan_in_fan_out=kind == "gpt2", bias="none"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers for a name that it has replaced
        theirs = peft.get_peft_model(tiny_model(kind), config).eval()
    layers = [module for module in theirs.modules() if hasattr(module, "get_delta_weight")]
    assert len(layers) == len(lora_layers(ours))
    for mine, its in zip(lora_layers(ours), layers, strict=True):
        its.lora_A["default"].weight.data.copy_(mine.a)
        its.lora_B["default"].weight.data.copy_(mine.b)
        delta = mine.delta().T if kind == "gpt2" else mine.delta()  # Conv1D keeps W as (in, out)
        assert torch.allclose(delta, its.get_delta_weight("default"), atol=1e-6)
    assert torch.allclose(logits(ours), logits(theirs), atol=1e-4)


def test_a_projection_adds_the_scaled_product() -> None:
    base = nn.Linear(3, 2)
    layer = LoraLayer(base, rank=2, alpha=6.0, dropout=0.0, generator=torch.Generator())
    layer.a.data = torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]])
    layer.b.data = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    x = torch.tensor([1.0, 2.0, 3.0])
    # A x = (7, 2), B A x = (7, 4), times alpha / r = 3
    assert torch.allclose(layer(x) - base(x), torch.tensor([21.0, 12.0]))


def test_a_is_drawn_as_kaiming_uniform_with_sqrt_5_and_b_is_zero() -> None:
    layer = LoraLayer(nn.Linear(64, 8), rank=16, alpha=32, dropout=0.05, generator=torch.Generator().manual_seed(0))
    bound = 64**-0.5  # sqrt(6 / ((1 + 5) * in))
    assert float(layer.a.detach().abs().max()) <= bound
    assert float(layer.a.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.05)
    assert not layer.b.any()


def test_dropout_works_on_the_addition_alone_and_in_training_alone() -> None:
    layer = LoraLayer(nn.Linear(4, 4), rank=2, alpha=2.0, dropout=0.5, generator=torch.Generator().manual_seed(0))
    x = torch.ones(200, 4)
    assert torch.equal(layer.train()(x), layer.base(x))  # B is zero
    layer.b.data.fill_(1.0)
    assert len(layer.train()(x).unique(dim=0)) > 2
    assert len(layer.eval()(x).unique(dim=0)) == 1


@pytest.mark.parametrize(("kind", "layers"), [("gpt2", 2), ("llama", 4), ("gemma3", 4)])
def test_two_layers_are_adapted_at_query_and_value_or_the_fused_projection(kind: Kind, layers: int) -> None:
    model = adapted(kind)
    learns = {name for name, p in model.named_parameters() if p.requires_grad and name.endswith((".a", ".b"))}
    assert len(lora_layers(model)) == layers
    assert len(learns) == 2 * layers


def test_the_seed_decides_a() -> None:
    first, again, other = (lora_layers(adapted("llama", seed=seed))[0].a for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_model_without_targets_is_refused() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(TrainingError, match="Sequential has no module named q_proj, v_proj, c_attn"):
        Lora().prepare(model, 0)
