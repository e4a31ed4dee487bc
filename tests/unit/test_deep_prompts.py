"""Prompts with vectors in every layer: held against a plain loop over the layers of each kind of backbone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from promptbank.engine.decoding import BeamSearch, decode
from promptbank.engine.scoring import ScoringRequest, score_forms
from promptbank.errors import InputError, PromptBankError
from promptbank.model.encoder import ENCODERS, build_encoder
from promptbank.model.forward import LanguageModel, cache_of, prefill
from promptbank.model.inject import pack
from promptbank.model.layers import layers_of, vectors_added
from promptbank.model.prompt_kinds import INPUT_ROWS, LAYER_VECTORS, DeepKind
from promptbank.model.prompt_table import PromptTable, TableStack
from promptbank.training.config import TrainConfig
from promptbank.training.dev import DevSet
from promptbank.training.examples import example_losses, render_examples
from promptbank.training.prompt_run import Plan, PromptRun
from promptbank.training.prompts import train_prompts
from promptbank.training.start import start_ids, starting_table
from tests.killing import KillAfter, Killed
from tests.tiny import KINDS, Kind, tiny_backbone, tiny_model
from tests.worlds import AFTER, BEFORE, SPLIT, card_of, examples_of, renderer_of

LAYERS, HIDDEN, WINDOW = 4, 32, 16
CONFIG = TrainConfig(epochs=3, batch_size=4, lr=0.02, dtype="float32", patience=9, keep_from=0.0, checkpoint_steps=1)
TEXTS = [[5, 6, 7], [9, 8, 7, 6, 5, 4, 11, 12, 13, 14], [20, 21]]
PLACES = {
    "before": lambda text: [-1, -2, -3, *text],
    "around": lambda text: [-1, *text, -2, -3, 40],
    "after": lambda text: [*text, -1, -2, -3],
}


def lm_of(kind: Kind) -> LanguageModel:
    return LanguageModel(tiny_backbone(kind, hidden=HIDDEN, layers=LAYERS, sliding_window=WINDOW).model)


def deep_table(virtual_tokens: int = 3, seed: int = 0) -> PromptTable:
    generator = torch.Generator().manual_seed(seed)
    shapes = DeepKind().shapes(virtual_tokens, HIDDEN, LAYERS)
    return PromptTable({name: torch.randn(s, generator=generator) for name, s in shapes.items()}, "deep.v1")


def rows_of(table: PromptTable) -> PromptTable:
    return PromptTable.of_rows(table.input_rows)


def by_hand(lm: LanguageModel, table: PromptTable, ids: list[int]) -> Tensor:
    """Oracle: last hidden states (S, H) by a plain loop over the layers, vectors added by indexing."""
    own = [table.input_rows[-i - 1] if i < 0 else lm.embedding(torch.tensor([i]))[0] for i in ids]
    hidden, place = torch.stack(own)[None], torch.arange(len(ids))[None]
    base: Any = lm.base
    far = place.T - place  # (S, S)
    causal = torch.zeros(len(ids), len(ids)).masked_fill(far < 0, -torch.inf)[None, None]
    local = causal.masked_fill((far >= WINDOW)[None, None], -torch.inf)
    if hasattr(base, "h"):
        hidden = hidden + base.wpe(place)
    for n, layer in enumerate(base.h if hasattr(base, "h") else base.layers):
        if n:
            for at, token in enumerate(ids):
                if token < 0:
                    hidden = hidden.clone()
                    hidden[0, at] += table.tensors[LAYER_VECTORS][n - 1, -token - 1]
        if hasattr(base, "h"):
            hidden = layer(hidden, attention_mask=causal)
        elif (kinds := getattr(base.config, "layer_types", None)) and "sliding_attention" in kinds:
            turned = base.rotary_emb(hidden, place, kinds[n])
            mask = local if kinds[n] == "sliding_attention" else causal
            hidden = layer(hidden, attention_mask=mask, position_embeddings=turned, position_ids=place)
        else:
            turned = base.rotary_emb(hidden, place)
            hidden = layer(hidden, attention_mask=causal, position_embeddings=turned, position_ids=place)
    final: Tensor = (base.ln_f if hasattr(base, "h") else base.norm)(hidden)
    return final[0]


@contextmanager
def counted_tokens(lm: LanguageModel) -> Iterator[list[int]]:
    """Collect how many positions each pass of the backbone computes."""
    found: list[int] = []
    handle = lm.layers[0].register_forward_pre_hook(lambda _, given: found.append(given[0].shape[:2].numel()))
    yield found
    handle.remove()


def hooks(lm: LanguageModel) -> int:
    return sum(len(module._forward_pre_hooks) for module in lm.model.modules())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_deep_prompt_is_a_plain_loop_over_the_layers(kind: Kind, place: str) -> None:
    lm, table = lm_of(kind), deep_table()
    for text in TEXTS:
        ids = PLACES[place](text)
        found = lm.hidden(pack([ids], [table]))[0]
        assert torch.allclose(found, by_hand(lm, table, ids), atol=1e-4)
        assert not torch.allclose(found[-1], by_hand(lm, rows_of(table).of_kind("deep.v1", LAYERS), ids)[-1], atol=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_sequences_of_all_kinds_tasks_and_lengths_answer_in_one_batch_as_alone(kind: Kind) -> None:
    lm = lm_of(kind)
    tables = [deep_table(3, 0), deep_table(4, 1), rows_of(deep_table(3, 2)), PromptTable.empty(HIDDEN)]
    asked = [
        (table, PLACES[place](text) if table.virtual_tokens else text)
        for n, text in enumerate(TEXTS)
        for table, place in zip(tables, ["before", "after", "around", "after"][n:] + ["around"] * n, strict=True)
    ]
    packed = pack([ids for _, ids in asked], [table for table, _ in asked])
    together = lm.hidden(packed)
    for b, (table, ids) in enumerate(asked):
        alone = lm.hidden(pack([ids], [table]))[0]
        assert torch.allclose(together[b, -len(ids) :], alone, atol=1e-4)
        if table.kind == "deep.v1":
            assert torch.allclose(alone, by_hand(lm, table, ids), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_keys_and_values_of_the_text_are_held_once_and_are_the_same_for_every_prompt(kind: Kind) -> None:
    lm, table = lm_of(kind), deep_table()
    held = prefill(lm, TEXTS)
    with counted_tokens(lm) as tokens:
        rest = lm.hidden(pack([[-1, -2, -3, 30]] * 3, [table] * 3, pad="right"), cache_of(held))
    assert tokens == [3 * 4]  # of the text nothing is read again
    for b, text in enumerate(TEXTS):
        whole = by_hand(lm, table, [*text, -1, -2, -3, 30])
        assert torch.allclose(rest[b], whole[len(text) :], atol=1e-4)
        with_prompt = lm.context(1)
        lm.hidden(pack([[*text, -1, -2, -3]], [table]), with_prompt)
        assert torch.allclose(with_prompt.keys_values(0)[..., : len(text), :], held[b], atol=1e-5)


def test_rows_answer_with_the_same_bits_as_without_any_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, rows = lm_of("llama"), rows_of(deep_table())
    monkeypatch.setattr(nn.Module, "register_forward_pre_hook", None)  # a call would fail
    ids = PLACES["around"](TEXTS[0])
    out = lm.base(
        inputs_embeds=torch.stack([rows.input_rows[-i - 1] if i < 0 else lm.embedding.weight[i] for i in ids])[None]
    )
    assert torch.equal(lm.hidden(pack([ids], [rows]))[0], out.last_hidden_state[0])


def test_beside_a_deep_prompt_other_positions_keep_their_bits() -> None:
    lm, table, rows = lm_of("gemma3"), deep_table(), rows_of(deep_table(3, 4))
    ids = PLACES["after"](TEXTS[0])
    mixed = lm.hidden(pack([ids, ids], [table, rows]))
    plain = lm.hidden(pack([ids, ids], [rows_of(table), rows]))
    assert torch.equal(mixed[1], plain[1])
    assert torch.equal(mixed[0, : len(TEXTS[0])], plain[0, : len(TEXTS[0])])  # the text before it too
    assert not torch.equal(mixed[0, -1], plain[0, -1])


@pytest.mark.parametrize("kind", KINDS)
def test_forms_are_scored_as_whole_sequences(kind: Kind) -> None:
    lm, table = lm_of(kind), deep_table()
    forms = renderer_of(tiny_backbone(kind)).forms
    prompts = [tuple(PLACES["around"](text)) for text in TEXTS]
    scored = score_forms(lm, [ScoringRequest(ids, table, forms) for ids in prompts])
    for ids, scores in zip(prompts, scored, strict=True):
        for form, score in zip(forms, scores, strict=True):
            logits = lm.head(by_hand(lm, table, [*ids, *form.ids])).log_softmax(-1)
            expected = sum(float(logits[len(ids) + n - 1, token].detach()) for n, token in enumerate(form.ids))
            assert float(score) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beam", [1, 3])
def test_answers_are_written_after_a_prompt_whose_vectors_act_once(kind: Kind, beam: int) -> None:
    lm, table = lm_of(kind), deep_table()
    prompts = [tuple(PLACES["after"](text)) for text in TEXTS]
    how = BeamSearch(beam=beam, ratio=0, extra=5, once=0)
    for ids, found in zip(prompts, decode(lm, prompts, 1, how, tables=[table] * 3), strict=True):
        logprobs = lm.head(by_hand(lm, table, [*ids, *found.ids])).log_softmax(-1).detach()
        steps = [float(logprobs[len(ids) + n - 1, token]) for n, token in enumerate(found.ids)]
        assert found.score == pytest.approx(sum(steps) / len(steps), abs=1e-3)
        if beam == 1:
            assert list(found.ids) == [int(logprobs[len(ids) + n - 1].argmax()) for n in range(len(found.ids))]


def test_hooks_are_gone_after_a_pass_and_after_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, table = lm_of("llama"), deep_table()
    before = hooks(lm)
    packed = pack([PLACES["after"](TEXTS[0])], [table])
    first = lm.hidden(packed)
    assert hooks(lm) == before
    with monkeypatch.context() as broken:

        def fail(*_: object, **__: object) -> Tensor:
            raise RuntimeError("broken layer")

        broken.setattr(lm.layers[2], "forward", fail)
        with pytest.raises(RuntimeError, match="broken layer"):
            lm.hidden(packed)
    assert hooks(lm) == before
    assert torch.equal(lm.hidden(packed), first)


def test_a_model_without_a_list_of_its_layers_is_refused() -> None:
    model = tiny_model("gpt2", layers=3)
    assert layers_of(model) == list(model.transformer.h)
    model.config.n_layer = 9
    with pytest.raises(PromptBankError, match=r"has no list of its 9 layers.* take --kind rows"):
        layers_of(model)


def test_other_shapes_and_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    good = deep_table(2)
    for vectors in (torch.zeros(LAYERS - 1, 2, HIDDEN + 1), torch.zeros(LAYERS - 1, 3, HIDDEN), torch.zeros(2, HIDDEN)):
        with pytest.raises(InputError, match=r"kind deep.v1 has tensors of the shapes .*, not "):
            PromptTable({INPUT_ROWS: good.input_rows, LAYER_VECTORS: vectors}, "deep.v1")
    monkeypatch.setattr(DeepKind, "largest", 1023)
    with pytest.raises(
        InputError, match=r"1,024 bytes is larger than 1,023, the most of kind deep.v1; take fewer virt"
    ):
        deep_table(2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_table_comes_back_from_its_bytes(dtype: torch.dtype) -> None:
    table = PromptTable({name: tensor.to(dtype) for name, tensor in deep_table().tensors.items()}, "deep.v1")
    back = PromptTable.from_bytes(table.kind, table.layout, table.to_bytes())
    assert all(torch.equal(back.tensors[name], tensor) for name, tensor in table.tensors.items())
    assert (back.sha256, back.layers, back.virtual_tokens) == (table.sha256, LAYERS, 3)
    lm = lm_of("gpt2")
    assert torch.allclose(
        lm.hidden(pack([[-1, -2, 5]], [back]))[0], by_hand(lm, table.of_kind("deep.v1", LAYERS), [-1, -2, 5]), atol=1e-3
    )


def test_kinds_turn_into_each_other_and_tables_fit_other_cards() -> None:
    table = deep_table(3)
    rows = table.of_kind("rows.v1", LAYERS)
    assert (rows.kind, list(rows.tensors)) == ("rows.v1", [INPUT_ROWS])
    assert torch.equal(rows.input_rows, table.input_rows)
    assert not rows.of_kind("deep.v1", LAYERS).tensors[LAYER_VECTORS].any()
    wide = table.fitted(5)
    assert torch.equal(wide.input_rows, table.input_rows[[0, 1, 2, 0, 1]])
    assert torch.equal(wide.tensors[LAYER_VECTORS], table.tensors[LAYER_VECTORS][:, [0, 1, 2, 0, 1]])
    assert table.fitted(3).sha256 == table.sha256


def test_a_stack_holds_zeros_for_tables_without_vectors() -> None:
    deep, rows = deep_table(3), rows_of(deep_table(2, 1))
    vectors = TableStack.of([rows, deep, rows]).layer_vectors()
    assert vectors is not None
    assert vectors.shape == (LAYERS - 1, 5, HIDDEN)
    assert not vectors[:, :2].any()
    assert torch.equal(vectors[:, 2:], deep.tensors[LAYER_VECTORS])
    assert TableStack.of([rows, rows]).layer_vectors() is None


@pytest.mark.parametrize("name", ENCODERS)
def test_an_untrained_encoder_gives_its_start_and_draws_what_it_draws_for_rows(name: str) -> None:
    start, scales = deep_table(), {LAYER_VECTORS: torch.full((LAYERS - 1, 1, 1), 7.0)}
    encoder = build_encoder(name, start, 2.0, seed=3, scales=scales)
    assert encoder().sha256 == encoder.frozen().sha256 == start.sha256
    alone = dict(build_encoder(name, rows_of(start), 2.0, seed=3).named_parameters())
    assert all(torch.equal(parameter, dict(encoder.named_parameters())[key]) for key, parameter in alone.items())
    encoder().tensors[LAYER_VECTORS].sum().backward()
    assert torch.equal(encoder.beside[LAYER_VECTORS].moved.grad, torch.full((LAYERS - 1, 3, HIDDEN), 7.0))


def world(kind: Kind = "llama", template: str = AFTER, splits: tuple[int, ...] = (4,), **keys: object):
    backbone = tiny_backbone(kind, hidden=HIDDEN, layers=LAYERS, sliding_window=WINDOW)
    renderer, lm = renderer_of(backbone, card_of(template, splits, **keys)), LanguageModel(backbone.model)
    rows = starting_table(lm, start_ids("text", renderer, vocabulary=lm.vocabulary, seed=0))
    return lm, renderer, rows.of_kind("deep.v1", LAYERS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("held", [True, False])
def test_vectors_are_learnt_in_units_of_the_hidden_states_that_they_are_added_to(kind: Kind, held: bool) -> None:
    lm, renderer, start = world(kind)
    examples = examples_of(4)
    rendered = render_examples(renderer, examples)
    beginnings = [one.beginning for one in rendered]
    cached = dict(zip(beginnings, prefill(lm, beginnings), strict=True)) if held else None
    dev = DevSet(lm, renderer, examples, rendered, cached)
    scales = dev.scales(start)[LAYER_VECTORS]
    squares: list[list[Tensor]] = [[] for _ in range(LAYERS)]
    for i in dev._batches()[0]:
        place = torch.tensor([token < 0 for token in rendered[i].prompt])
        out = lm.base(inputs_embeds=_embedded(lm, start, rendered[i].prompt), output_hidden_states=True)
        for layer, hidden in enumerate(out.hidden_states[:LAYERS]):
            squares[layer].append(hidden[0][place].square())
    expected = torch.stack([torch.cat(found).mean().sqrt() for found in squares[1:]])
    assert torch.allclose(scales.flatten(), expected, rtol=1e-3)
    assert dev.scales(start.of_kind("rows.v1", LAYERS)) == {}


def _embedded(lm: LanguageModel, table: PromptTable, ids: tuple[int, ...]) -> Tensor:
    return torch.stack([table.input_rows[-i - 1] if i < 0 else lm.embedding(torch.tensor([i]))[0] for i in ids])[None]


def leaf(table: PromptTable) -> PromptTable:
    return PromptTable({name: t.clone().requires_grad_() for name, t in table.tensors.items()}, table.kind)


def gradients(table: PromptTable) -> Tensor:
    return torch.cat([tensor.grad.flatten() for tensor in table.tensors.values() if tensor.grad is not None])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("template", "splits"), [(AFTER, (4,)), (BEFORE, (4,)), (SPLIT, (2, 2))])
def test_the_loss_and_its_gradient_are_those_of_the_plain_loop(kind: Kind, template: str, splits: Any) -> None:
    lm, renderer, _ = world(kind, template, splits)
    rows, table = render_examples(renderer, examples_of(4)), leaf(deep_table(4))
    example_losses(lm, [table] * 4, rows, None).sum().backward()
    oracle, total = leaf(deep_table(4)), torch.zeros(())
    for row in rows:
        logprobs = lm.head(by_hand(lm, oracle, list(row.ids))).log_softmax(-1)
        total = total - torch.stack([logprobs[t - 1, row.ids[t]] for t in range(len(row.prompt), len(row.ids))]).mean()
    total.backward()
    assert torch.allclose(gradients(table), gradients(oracle), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_runs_of_two_kinds_in_one_pass_have_the_gradients_of_each_alone(kind: Kind) -> None:
    lm, renderer, _ = world(kind)
    rows = render_examples(renderer, examples_of(4))
    tables = [deep_table(4), deep_table(4, 1), rows_of(deep_table(4, 2))]
    alone = []
    for table in map(leaf, tables):
        example_losses(lm, [table] * 4, rows, None).sum().backward()
        alone.append(gradients(table))
    together = [leaf(table) for table in tables]
    example_losses(lm, [table for table in together for _ in rows], rows * 3, None).sum().backward()
    for table, gradient in zip(together, alone, strict=True):
        assert float((gradients(table) - gradient).norm() / gradient.norm()) < 1e-5


def test_gradients_flow_through_a_bfloat16_backbone() -> None:
    from promptbank.training.precision import training_copy

    lm, renderer, _ = world("gemma3")
    rows, table, exact = render_examples(renderer, examples_of(4)), leaf(deep_table(4)), leaf(deep_table(4))
    example_losses(training_copy(lm, "bfloat16"), [table] * 4, rows, None).sum().backward()
    example_losses(lm, [exact] * 4, rows, None).sum().backward()
    assert all(tensor.grad.dtype == torch.float32 for tensor in table.tensors.values())
    assert float(torch.cosine_similarity(gradients(table), gradients(exact), dim=0)) > 0.9


def plan_of(config: TrainConfig = CONFIG, start: PromptTable | None = None, name: str = "", offset: int = 0):
    lm, renderer, own = world()
    examples = examples_of(12, offset=offset)
    return lm, Plan(renderer, examples[:8], examples[8:], config, start or own, name)


@pytest.mark.parametrize("steps", [1, 3, 6])
def test_killed_runs_of_both_kinds_end_with_the_bits_of_undisturbed_ones(tmp_path: Path, steps: int) -> None:
    lm, deep = plan_of(name="deep")
    rows = replace(deep, start=deep.start.of_kind("rows.v1", LAYERS), name="rows")
    whole = train_prompts(lm, [deep, rows], folder=tmp_path / "whole", identity="x")
    with pytest.raises(Killed):
        train_prompts(lm, [deep, rows], folder=tmp_path / "killed", identity="x", progress=KillAfter(steps))
    again = train_prompts(lm, [deep, rows], folder=tmp_path / "killed", identity="x")
    assert [one.table.kind for one in whole] == ["deep.v1", "rows.v1"]
    assert [one.table.sha256 for one in again] == [one.table.sha256 for one in whole]
    assert [one.epochs for one in again] == [one.epochs for one in whole]
    assert whole[0].table.tensors[LAYER_VECTORS].any()


def test_step_0_of_a_deep_training_is_the_row_that_it_starts_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, plan = plan_of()
    row = rows_of(deep_table(4))
    seen = []
    backward = PromptRun.batch

    def first(run: PromptRun) -> Any:
        seen.append(run.encoder.frozen())
        return backward(run)

    monkeypatch.setattr(PromptRun, "batch", first)
    train_prompts(lm, [replace(plan, start=row.of_kind("deep.v1", LAYERS))], folder=tmp_path, identity="x")
    assert torch.equal(seen[0].input_rows, row.input_rows)
    ids = [5, 6, -1, -2, -3, -4, 7]
    assert torch.equal(lm.hidden(pack([ids], [seen[0]])), lm.hidden(pack([ids], [row])))


def test_vectors_lower_the_loss_more_than_rows_alone_and_leave_the_backbone(tmp_path: Path) -> None:
    lm, plan = plan_of(CONFIG.model_copy(update={"epochs": 20, "lr": 0.02, "patience": 20}))
    before = {name: tensor.clone() for name, tensor in lm.model.state_dict().items()}
    rows = replace(plan, start=plan.start.of_kind("rows.v1", LAYERS))
    deep, plain = (train_prompts(lm, [one], folder=tmp_path / one.start.kind, identity="x")[0] for one in (plan, rows))
    assert deep.epochs[-1].train_loss < plain.epochs[-1].train_loss < plain.epochs[0].train_loss
    assert all(torch.equal(tensor, before[name]) for name, tensor in lm.model.state_dict().items())


def test_the_text_is_read_once_in_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each text all tokens in one pass for training and dev; in the steps only what follows it."""
    lm, plan = plan_of(CONFIG.model_copy(update={"epochs": 2}))
    shapes: list[tuple[int, int]] = []
    hidden = LanguageModel.hidden
    monkeypatch.setattr(
        LanguageModel,
        "hidden",
        lambda self, packed, *rest: (shapes.append(tuple(packed.ids.shape)), hidden(self, packed, *rest))[1],
    )
    train_prompts(lm, [plan], folder=tmp_path, identity="x")
    tails = [len(one.ids) - one.constant for one in render_examples(plan.renderer, [*plan.train, *plan.dev])]
    reading, rest = shapes[:2], shapes[2:]  # training and dev texts, each in one batch
    assert [sequences for sequences, _ in reading] == [8, 4]
    assert max(width for _, width in rest) <= max(tails)


def test_a_table_of_zeros_adds_nothing_to_the_bit() -> None:
    lm, rows = lm_of("gemma3"), rows_of(deep_table())
    ids = PLACES["around"](TEXTS[1])
    assert torch.equal(lm.hidden(pack([ids], [rows])), lm.hidden(pack([ids], [rows.of_kind("deep.v1", LAYERS)])))


def test_vectors_are_added_on_the_device_and_in_the_dtype_of_the_hidden_states() -> None:
    layers = [nn.Identity(), nn.Identity()]
    vectors, slots = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[-1, 0]])
    hidden = torch.ones(1, 2, 2, dtype=torch.bfloat16)
    with vectors_added(layers, vectors, slots):
        assert torch.equal(layers[0](hidden), hidden)
        assert torch.equal(layers[1](hidden), torch.tensor([[[1.0, 1.0], [2.0, 3.0]]], dtype=torch.bfloat16))
    assert torch.equal(layers[1](hidden), hidden)
