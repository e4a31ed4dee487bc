"""Packing a translator: what is kept, how many bytes it takes, what is refused."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, load_file, save
from torch import Tensor

from promptbank.errors import BackboneMismatchError, TrainingError
from promptbank.model.backbone import Backbone
from promptbank.mt.languages import Languages
from promptbank.mt.translator.allowed_tokens import FILE as WORDS
from promptbank.mt.translator.allowed_tokens import read_tokens, tokens_bytes
from promptbank.mt.translator.coding import CODINGS, coding_of
from promptbank.mt.translator.factorise import DenseChange, LowRankChange, allocate
from promptbank.mt.translator.model import load_translator, prepared, save_translator
from promptbank.mt.translator.pack import MAX_BYTES, as_low_rank, pack_translator
from promptbank.mt.translator.updates import (
    FullUpdate,
    LowRankUpdate,
    PackedUpdate,
    Update,
    linear_layers,
    matrix_of,
    update_of,
)
from promptbank.training.checkpoint import learnt
from tests.tiny import KINDS, Kind, tiny_backbone

EN_SV = Languages("en", "sv")
IDS = torch.tensor([[2, 40, 50, 60, 70, 80, 90, 100]])
FILES = ("update.safetensors", "translator.json")


def tuned(folder: Path, backbone: Backbone, update: Update, *, by: float = 0.05, rows: int | None = None) -> Path:
    """A translator of which every learnt number moved at random; only the first rows of matrices if asked."""
    model = prepared(backbone, update)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in learnt(model).values():
            noise = by * torch.randn(parameter.shape, generator=generator)
            parameter[:rows] += noise[:rows]
    return save_translator(folder, model, backbone, update, languages=EN_SV, facts={"a": 1}, dtype=torch.float32)


def matrices(folder: Path, backbone: Backbone) -> dict[str, Tensor]:
    """The layers' weights of a loaded translator, (out, in)."""
    model = load_translator(folder, backbone).lm.model
    return {name: matrix_of(layer).clone() for name, layer in linear_layers(model).items()}


def changes(folder: Path, backbone: Backbone) -> dict[str, Tensor]:
    before = linear_layers(backbone.model)
    return {name: matrix - matrix_of(before[name]) for name, matrix in matrices(folder, backbone).items()}


def logits(folder: Path, backbone: Backbone) -> Tensor:
    found: Tensor = load_translator(folder, backbone).lm.model(input_ids=IDS).logits
    return found


def test_a_packed_translator_holds_to_its_source_s_words_or_to_others_within_the_limit(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    source = tuned(tmp_path / "a", backbone, FullUpdate())
    assert read_tokens(pack_translator(source, backbone, tmp_path / "b").folder, backbone.vocab_size) is None
    (source / WORDS).write_bytes(tokens_bytes([3, 5, 7], backbone.vocab_size))
    for words, kept in ((None, [3, 5, 7]), ([8, 9], [8, 9])):
        report = pack_translator(source, backbone, tmp_path / "c", max_bytes=20_000, tokens=words)
        assert read_tokens(report.folder, backbone.vocab_size) == kept
        assert report.total_bytes == sum(path.stat().st_size for path in report.folder.iterdir()) <= 20_000


def size(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in FILES)


# the numbers


@pytest.mark.parametrize("name", CODINGS)
@pytest.mark.parametrize(("outputs", "inputs"), [(5, 7), (8, 16), (3, 9)])
def test_a_coding_takes_the_bytes_it_says_and_gives_the_shape_back(name: str, outputs: int, inputs: int) -> None:
    coding = coding_of(name)
    b, a = torch.randn(outputs, 3), torch.randn(3, inputs)
    stored, rough = coding.encode(b, a), coding.rough(b @ a)
    assert sum(t.nbytes for t in stored.values()) == 3 * coding.component_bytes(outputs, inputs)
    a_bit_each = outputs * ((inputs + 7) // 8 + 2)  # and a bfloat16 scale for each output
    assert sum(t.nbytes for t in rough.values()) == (a_bit_each if name == "sign.v1" else 0)
    assert set(stored) | set(rough) == set(coding.names)
    assert coding.decode(rough | stored, outputs, inputs).shape == (outputs, inputs)


@pytest.mark.parametrize(("name", "steps"), [("int8.v1", 127), ("int4.v1", 7)])
def test_integers_are_off_by_half_a_step_at_most(name: str, steps: int) -> None:
    b, eye = torch.randn(9, 1), torch.ones(1, 1)
    decoded = coding_of(name).decode(coding_of(name).encode(b, eye), 9, 1)
    assert (decoded - b).abs().max() <= b.abs().max() / steps / 2 * (1 + 1e-5)
    assert torch.isclose(decoded.abs().max(), b.abs().max())  # the largest is exact


@pytest.mark.parametrize("name", CODINGS)
def test_the_components_of_a_low_rank_change_can_be_stored_in_every_coding(name: str) -> None:
    change = LowRankChange(torch.randn(8, 3), torch.randn(3, 6))
    stored = coding_of(name).encode(*change.spectrum().factors(3))
    read = load(save(stored))
    assert set(read) == set(stored)
    assert all(torch.equal(read[key], stored[key]) for key in stored)


def test_signs_are_the_least_squares_with_one_size_for_each_output() -> None:
    change = torch.tensor([[1.0, -3.0, 2.0], [-4.0, 0.5, 0.5]])
    decoded = coding_of("sign.v1").decode(coding_of("sign.v1").rough(change), 2, 3)
    expected = torch.tensor([[2.0, -2.0, 2.0], [-5 / 3, 5 / 3, 5 / 3]])  # by hand
    torch.testing.assert_close(decoded, expected, rtol=2**-8, atol=0)


def test_zeros_stay_zeros() -> None:
    for coding in CODINGS.values():
        stored = coding.rough(torch.zeros(4, 6)) | coding.encode(torch.zeros(4, 2), torch.zeros(2, 6))
        assert torch.equal(coding.decode(stored, 4, 6), torch.zeros(4, 6))


def test_a_name_that_is_not_known_says_which_are() -> None:
    with pytest.raises(TrainingError, match=r"unknown coding 'int3'.*bf16\.v1, int8\.v1, int4\.v1, sign\.v1"):
        coding_of("int3")


# the components


@pytest.mark.parametrize("rank", [1, 4, 9])
def test_the_error_is_the_tail_of_the_singular_values(rank: int) -> None:
    change = torch.randn(12, 9)
    b, a = DenseChange(change).spectrum().factors(rank)
    tail = torch.linalg.svdvals(change.double())[rank:].square().sum()
    assert float((change - b @ a).double().square().sum()) == pytest.approx(float(tail), rel=1e-4, abs=1e-9)


def test_factors_are_decomposed_without_their_product() -> None:
    b, a = torch.randn(12, 3), torch.randn(3, 9)
    low, dense = LowRankChange(b, a).spectrum(), DenseChange(b @ a).spectrum()
    assert low.values.shape == (3,)
    torch.testing.assert_close(low.values, dense.values[:3], rtol=1e-4, atol=1e-4)
    whole_b, whole_a = low.factors(3)
    torch.testing.assert_close(whole_b @ whole_a, b @ a, rtol=1e-3, atol=1e-3)


# which layers get how many


def best(gains: dict[str, Tensor], each: dict[str, int], budget: int) -> float:
    """The most that any ranks within the budget are worth."""
    worth = [
        sum(float(gains[name][:rank].sum()) for name, rank in zip(gains, ranks, strict=True))
        for ranks in itertools.product(*(range(len(g) + 1) for g in gains.values()))
        if sum(rank * each[name] for name, rank in zip(gains, ranks, strict=True)) <= budget
    ]
    return max(worth)


@pytest.mark.parametrize("budget", range(0, 70, 10))
def test_ranks_are_the_best_of_all_where_components_cost_the_same(budget: int) -> None:
    gains = {name: torch.rand(4).sort(descending=True).values for name in "abc"}
    ranks = allocate(gains, dict.fromkeys(gains, 10), budget)
    assert sum(ranks.values()) == min(12, budget // 10)
    found = sum(float(gains[name][:rank].sum()) for name, rank in ranks.items())
    assert found == pytest.approx(best(gains, dict.fromkeys(gains, 10), budget))


@pytest.mark.parametrize("budget", range(0, 90, 7))
def test_ranks_lose_less_than_a_component_where_components_differ(budget: int) -> None:
    gains = {name: torch.rand(4).sort(descending=True).values for name in "abc"}
    each = {"a": 3, "b": 7, "c": 11}
    ranks = allocate(gains, each, budget)
    assert sum(each[name] * rank for name, rank in ranks.items()) <= budget
    found = sum(float(gains[name][:rank].sum()) for name, rank in ranks.items())
    assert found > best(gains, each, budget) - max(float(g[0]) for g in gains.values())


def test_worthless_components_are_left_out() -> None:
    gains = {"a": torch.tensor([2.0, 0.0]), "b": torch.tensor([0.0, 0.0])}
    assert allocate(gains, {"a": 1, "b": 1}, 100) == {"a": 1, "b": 0}


# the package

TOLERANCE = {"bf16.v1": 0.02, "int8.v1": 0.05}
"""Of logits of about 30: the rounding of 8 bits, through two layers."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("coding", TOLERANCE)
def test_a_package_of_full_rank_computes_what_the_source_did(tmp_path: Path, kind: Kind, coding: str) -> None:
    backbone = tiny_backbone(kind)
    source = tuned(tmp_path / "a", backbone, FullUpdate())
    report = pack_translator(source, backbone, tmp_path / "b", coding=coding)
    wanted, before = logits(source, backbone), backbone.model(input_ids=IDS).logits
    assert (logits(report.folder, backbone) - wanted).norm() < TOLERANCE[coding] * (wanted - before).norm()
    assert report.kept > 0.999
    assert {layer.rank for layer in report.layers.values()} >= {32}
    assert load_translator(report.folder, backbone).languages == EN_SV


def test_norms_and_biases_are_stored_whole_and_what_did_not_change_is_not(tmp_path: Path) -> None:
    backbone = tiny_backbone("gpt2")
    source = tuned(tmp_path / "a", backbone, FullUpdate())
    report = pack_translator(source, backbone, tmp_path / "b", max_bytes=60_000)
    stored, trained = load_file(report.folder / FILES[0]), load_file(source / FILES[0])
    vectors = {name for name, tensor in trained.items() if tensor.ndim == 1}
    assert set(report.whole) == vectors
    assert all(torch.equal(stored[name], trained[name]) for name in vectors)
    still = tuned(tmp_path / "c", backbone, FullUpdate(), by=0.0)
    assert load_file(pack_translator(still, backbone, tmp_path / "d").folder / FILES[0]) == {}


@pytest.mark.parametrize("coding", CODINGS)
def test_the_limit_is_kept_and_used(tmp_path: Path, coding: str) -> None:
    backbone = tiny_backbone("gemma3")
    source = tuned(tmp_path / "a", backbone, FullUpdate())
    kept = []
    for limit in (14_000, 20_000, 27_001):
        report = pack_translator(source, backbone, tmp_path / str(limit), max_bytes=limit, coding=coding)
        assert report.total_bytes == size(report.folder) <= limit
        assert report.weights_bytes == (report.folder / FILES[0]).stat().st_size
        dearest = CODINGS[coding].component_bytes(64, 32)
        assert limit - report.total_bytes < dearest + 64 or report.kept > 0.97  # 64: padding and digits
        kept.append(report.kept)
    assert kept == sorted(kept)
    assert kept[0] < kept[-1]


def test_what_is_reported_is_what_the_loaded_package_lost(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    source = tuned(tmp_path / "a", backbone, FullUpdate())
    report = pack_translator(source, backbone, tmp_path / "b", max_bytes=20_000)
    wanted, found = changes(source, backbone), changes(report.folder, backbone)
    missed = total = 0.0
    for name, layer in report.layers.items():
        error = wanted[name] - found[name]
        assert layer.kept == pytest.approx(1 - float(error.square().sum() / wanted[name].square().sum()), abs=1e-3)
        missed, total = missed + float(error.square().sum()), total + float(wanted[name].square().sum())
    assert report.kept == pytest.approx(1 - missed / total, abs=1e-3)


def test_a_low_rank_translator_is_packed_by_its_own_factors(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    source = tuned(tmp_path / "a", backbone, LowRankUpdate(rank=3, alpha=12))
    report = pack_translator(source, backbone, tmp_path / "b", coding="bf16.v1")
    assert {layer.rank for layer in report.layers.values()} == {3}
    assert report.whole == ()
    wanted, found = changes(source, backbone), changes(report.folder, backbone)
    for name, change in wanted.items():
        assert (found[name] - change).norm() < 0.01 * change.norm()


def test_the_same_input_makes_the_same_file(tmp_path: Path) -> None:
    source = tuned(tmp_path / "a", tiny_backbone("llama"), FullUpdate())
    for name in "bc":
        pack_translator(source, tiny_backbone("llama"), tmp_path / name, max_bytes=20_000)
    for file in FILES:
        assert (tmp_path / "b" / file).read_bytes() == (tmp_path / "c" / file).read_bytes()


def test_what_cannot_fit_is_an_error_that_writes_nothing(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    source = tuned(tmp_path / "a", backbone, FullUpdate())
    for limit in (0, 500, 1_700):
        with pytest.raises(TrainingError, match="raise max_bytes"):
            pack_translator(source, backbone, tmp_path / "b", max_bytes=limit)
    with pytest.raises(TrainingError, match="name another folder"):
        pack_translator(source, backbone, source)
    assert not (tmp_path / "b").exists()
    assert load_translator(source, backbone)


def test_a_damaged_package_or_another_backbone_is_refused(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    folder = pack_translator(tuned(tmp_path / "a", backbone, FullUpdate()), backbone, tmp_path / "b").folder
    with pytest.raises(BackboneMismatchError, match="is an update of tiny-llama"):
        load_translator(folder, tiny_backbone("llama", seed=1))
    with pytest.raises(TrainingError, match=r"'packed\.v1' cannot be factorised; possible: full\.v1, lora\.v1"):
        pack_translator(folder, backbone, tmp_path / "c")
    weights = bytearray((folder / FILES[0]).read_bytes())
    weights[-1] ^= 1
    (folder / FILES[0]).write_bytes(weights)
    with pytest.raises(TrainingError, match="is not the file that was written"):
        load_translator(folder, backbone)


def test_tensors_of_another_coding_or_model_are_refused() -> None:
    backbone = tiny_backbone("llama")
    name = "model.layers.0.mlp.up_proj.weight"
    for strange in ({f"{name}.c": torch.zeros(1)}, {f"{name}.sign": torch.zeros(1)}, {"model.x": torch.zeros(1)}):
        with pytest.raises(TrainingError, match="the packed update holds"):
            PackedUpdate("int8.v1").load(prepared(backbone, PackedUpdate()), strange)


def test_a_packed_update_is_stored_by_its_coding(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    source = tuned(tmp_path / "a", backbone, FullUpdate())
    facts = json.loads((pack_translator(source, backbone, tmp_path / "b").folder / FILES[1]).read_text())
    assert facts["update"] == {"method": "packed.v1", "coding": "int8.v1"}
    assert update_of(facts["update"]) == PackedUpdate("int8.v1")
    assert facts["training"]["a"] == 1
    assert facts["training"]["packed"]["max_bytes"] == MAX_BYTES


# low-rank training goes on from it


@pytest.mark.parametrize(("rank", "alpha"), [(4, None), (4, 3.0), (40, 10.0)])
def test_a_low_rank_start_is_the_best_of_its_rank(tmp_path: Path, rank: int, alpha: float | None) -> None:
    backbone = tiny_backbone("llama")
    source = tuned(tmp_path / "a", backbone, FullUpdate())
    folder = as_low_rank(source, backbone, tmp_path / "b", rank=rank, alpha=alpha)
    facts = json.loads((folder / FILES[1]).read_text())
    assert facts["update"] == {"method": "lora.v1", "rank": rank, "alpha": alpha or 2.0 * rank}
    wanted, merged = changes(source, backbone), changes(folder, backbone)
    stored = load_file(folder / FILES[0])
    scale = facts["update"]["alpha"] / rank
    for name, change in wanted.items():
        layer = name.removesuffix(".weight")
        product = scale * stored[f"{layer}.b"] @ stored[f"{layer}.a"]
        torch.testing.assert_close(merged[name], product, rtol=0, atol=1e-5)
        left, values, right = torch.linalg.svd(change, full_matrices=False)
        torch.testing.assert_close(product, (left[:, :rank] * values[:rank]) @ right[:rank], rtol=0, atol=1e-5)


def test_a_low_rank_training_starts_where_the_factors_are(tmp_path: Path) -> None:
    from promptbank.mt.translator.plan import start_numbers
    from promptbank.training.checkpoint import load_learnt

    backbone = tiny_backbone("llama")
    source = tuned(tmp_path / "a", backbone, FullUpdate(), rows=2)  # of rank 2; norms change as well
    folder = as_low_rank(source, backbone, tmp_path / "b", rank=2)
    model = prepared(backbone, LowRankUpdate(rank=2, alpha=4.0))
    load_learnt(model, start_numbers(folder, backbone, LowRankUpdate(rank=2, alpha=4.0)))
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=IDS).logits, logits(folder, backbone), rtol=1e-4, atol=1e-3)
    for name, change in changes(source, backbone).items():
        torch.testing.assert_close(changes(folder, backbone)[name], change, rtol=0, atol=1e-5)


def test_a_backbone_without_linear_layers_has_no_low_rank_start(tmp_path: Path) -> None:
    backbone = tiny_backbone("gpt2")
    source = tuned(tmp_path / "a", backbone, FullUpdate())
    with pytest.raises(TrainingError, match="has no linear layers"):
        as_low_rank(source, backbone, tmp_path / "b", rank=2)
    assert not (tmp_path / "b").exists()


def test_a_whole_parameter_of_another_shape_is_refused() -> None:
    backbone = tiny_backbone("llama")
    wrong = {"model.norm.weight": torch.zeros(3)}
    with pytest.raises(TrainingError, match=r"holds 'model\.norm\.weight'"):
        PackedUpdate().load(prepared(backbone, PackedUpdate()), wrong)
