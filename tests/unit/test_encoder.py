"""Prompt encoders: step 0 is the start exactly, seeds decide, and a saved encoder is a loaded one."""

import pytest
import torch

from promptbank.model.encoder import ENCODERS, build_encoder
from promptbank.model.prompt_table import PromptTable

START = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
TABLE = PromptTable.of_rows(START)


@pytest.mark.parametrize("name", ENCODERS)
def test_an_untrained_encoder_gives_its_start_exactly(name: str) -> None:
    assert torch.equal(build_encoder(name, TABLE, 3.0, seed=1)().input_rows, START)


@pytest.mark.parametrize("name", ENCODERS)
def test_one_step_moves_every_row_differently(name: str) -> None:
    # an LSTM with default initialisation gives nearly one vector in every slot
    encoder = build_encoder(name, TABLE, 1.0, seed=1)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=0.01)
    target = torch.randn(5, 16, generator=torch.Generator().manual_seed(5))
    for _ in range(20):
        optimizer.zero_grad()
        (encoder().input_rows - target).square().mean().backward()
        optimizer.step()
    moved = encoder.frozen().input_rows - START
    cosine = torch.nn.functional.cosine_similarity(moved[:, None], moved[None], dim=-1)
    assert moved.norm(dim=1).min() > 0
    assert cosine[~torch.eye(5, dtype=torch.bool)].mean() < 0.9


@pytest.mark.parametrize("name", ENCODERS)
def test_a_loaded_encoder_gives_what_the_saved_one_gave(name: str) -> None:
    # NeMo 1.17 to 2.0 never restored the LSTM: load_state_dict called state_dict
    saved = build_encoder(name, TABLE, 1.0, seed=1)
    with torch.no_grad():
        for parameter in saved.parameters():
            parameter.normal_()
    loaded = build_encoder(name, PromptTable.of_rows(torch.zeros_like(START)), 2.0, seed=2)
    assert not torch.equal(loaded().input_rows, saved().input_rows)
    loaded.load_state_dict({key: tensor.clone() for key, tensor in saved.state_dict().items()})
    assert torch.equal(loaded().input_rows, saved().input_rows)


@pytest.mark.parametrize("name", ENCODERS)
def test_the_seed_decides_the_weights(name: str) -> None:
    def weights(seed: int) -> torch.Tensor:
        return torch.cat([p.flatten() for p in build_encoder(name, TABLE, 1.0, seed=seed).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert name == "embedding.v1" or not torch.equal(weights(1), weights(2))


def test_the_lstm_has_the_shapes_of_nemo() -> None:
    encoder = build_encoder("lstm.v1", TABLE, 1.0, seed=0)
    assert (encoder.lstm.hidden_size, encoder.lstm.num_layers, encoder.lstm.bidirectional) == (8, 2, True)
    assert encoder.lstm.input_size == 16
    assert encoder.outer.weight.shape == (16, 16)


def test_an_odd_hidden_size_works() -> None:
    start = torch.randn(3, 7)
    assert torch.equal(build_encoder("lstm.v1", PromptTable.of_rows(start), 1.0, seed=0)().input_rows, start)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_frozen_prompt_is_a_copy_in_float32_without_gradients(name: str) -> None:
    encoder = build_encoder(name, TABLE, 1.0, seed=0)
    table = encoder.frozen()
    assert encoder.training
    assert (table.kind, table.input_rows.dtype, table.input_rows.requires_grad) == (encoder.kind, torch.float32, False)
    table.input_rows.zero_()
    assert torch.equal(encoder().input_rows, START)
