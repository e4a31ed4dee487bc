"""Answers learnt and scored over the tree of their labels, against brute force over whole sequences."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from promptbank.bank.learn import learn_task
from promptbank.bank.served import served_task
from promptbank.engine.predictor import PredictionRequest, Predictor
from promptbank.engine.prior import CONTENT_FREE, FLOOR
from promptbank.engine.scoring import TREE, ScoringRequest, label_scores, score_forms
from promptbank.errors import ConfigError, InputError
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel, prefill
from promptbank.model.label_tree import LabelTree
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Form, Renderer
from promptbank.training.answer_loss import LOSSES, loss_for
from promptbank.training.config import TrainConfig
from promptbank.training.examples import example_losses, render_examples, training_renderer
from store import Row, Store
from tasks import Example
from tests.tiny import KINDS, Kind, tiny_backbone
from tests.unit.test_train_choices import EXAMPLES, KEYS
from tests.worlds import card_of, examples_of

END = 1
PROMPT = (5, 6, 7, -1, -2, 9)
Paths = Sequence[tuple[int, ...]]
SETS: dict[str, tuple[tuple[int, ...], ...]] = {
    "single tokens": ((10, END), (11, END), (12, END)),
    "one begins another": ((10, END), (10, 11, END), (10, 11, 12, END)),
    "shared beginnings": ((10, 11, 20, 1), (10, 11, 21, 1), (10, 12, 20, 1), (13, 20, 21, 22, 1), (13, 20, 21, 1)),
    "nothing to choose": ((10, 11, END),),
    "the same twice": ((10, END), (10, END), (11, 12, END), (11, 13, END)),
}  # fmt: skip
CLOSED = {
    "positive": ("positive", "good"),
    "negative": ("negative",),
    "neutral": ("neither", "neutral"),
    "none": ("n",),
}


def forms_of(paths: Paths) -> tuple[Form, ...]:
    return tuple(Form(str(n), ids) for n, ids in enumerate(paths))


def world(kind: Kind, **options: object) -> tuple[LanguageModel, PromptTable]:
    backbone = tiny_backbone(kind, **options)
    if kind == "llama":  # a head with a bias
        head = backbone.model.get_output_embeddings()
        noise = torch.randn(head.weight.shape[0], generator=torch.Generator().manual_seed(5))
        head.bias = torch.nn.Parameter(noise, requires_grad=False)
    table = torch.randn(2, backbone.hidden_size, generator=torch.Generator().manual_seed(3))
    return LanguageModel(backbone.model), PromptTable.of_rows(table)


def all_logits(lm: LanguageModel, table: PromptTable, ids: Sequence[int]) -> Tensor:
    """Logits of a whole sequence from the model's own forward pass: no cache, no mask, no part of the head."""
    own = [table.input_rows[-i - 1] if i < 0 else lm.embedding(torch.tensor([i]))[0] for i in ids]
    logits: Tensor = lm.model(inputs_embeds=torch.stack(own).to(lm.dtype)[None], use_cache=False).logits[0].float()
    return logits


def brute_force(
    lm: LanguageModel,
    table: PromptTable,
    prompt: Sequence[int],
    form: tuple[int, ...],
    every: Paths,
) -> Tensor:
    """Full-vocabulary probabilities, at each place restricted to what some form allows there and renormalised."""
    probabilities = all_logits(lm, table, [*prompt, *form]).double().softmax(-1)
    total = torch.zeros((), dtype=torch.float64)
    for place, token in enumerate(form):
        allowed = sorted({other[place] for other in every if other[:place] == form[:place]})
        at = probabilities[len(prompt) - 1 + place]
        total = total + (at[token] / at[allowed].sum()).log()
    return total - math.log(every.count(form))


def request(paths: Paths, table: PromptTable, prompt: Sequence[int] = PROMPT) -> ScoringRequest:
    return ScoringRequest(tuple(prompt), table, forms_of(paths), TREE)


def check(lm: LanguageModel, requests: Sequence[ScoringRequest], found: Sequence[Tensor], atol: float = 1e-4) -> None:
    for one, scores in zip(requests, found, strict=True):
        every = [form.ids for form in one.forms]
        expected = [float(brute_force(lm, one.table, one.ids, ids, every)) for ids in every]
        assert scores.tolist() == pytest.approx(expected, abs=atol)
        assert float(scores.double().exp().sum()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SETS)
@torch.no_grad()
def test_scores_equal_brute_force(kind: Kind, name: str) -> None:
    lm, table = world(kind)
    requests = [request(SETS[name], table), request(SETS[name], table, PROMPT[:4])]
    check(lm, requests, score_forms(lm, requests))
    assert lm.takes_trees


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_trees_of_several_tasks_and_both_scorings_in_one_batch_equal_each_alone(kind: Kind) -> None:
    lm, table = world(kind)
    requests = [request(paths, table, PROMPT[: 4 + n % 3]) for n, paths in enumerate(SETS.values())]
    whole = [ScoringRequest(one.ids, table, one.forms) for one in requests[1:3]]
    mixed = [whole[0], *requests, whole[1]]
    found = score_forms(lm, mixed)
    for one, scores in zip(mixed, found, strict=True):
        assert torch.allclose(score_forms(lm, [one])[0], scores, atol=1e-4)
    check(lm, requests, found[1:-1])


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_scores_after_held_keys_equal_brute_force(kind: Kind) -> None:
    lm, table = world(kind)
    paths = SETS["shared beginnings"]
    held = prefill(lm, [PROMPT[:3], PROMPT[1:3]])
    found = score_forms(lm, [request(paths, table, PROMPT[3:])] * 2, held)
    check(lm, [request(paths, table), request(paths, table, PROMPT[1:])], found)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@torch.no_grad()
def test_trees_are_read_whole_under_both_kinds_of_attention(attention: str) -> None:
    for kind in KINDS:
        lm, table = world(kind, attention=attention)
        assert lm.takes_trees
        requests = [request(SETS["shared beginnings"], table)]
        check(lm, requests, score_forms(lm, requests))


@torch.no_grad()
def test_in_bfloat16_scores_are_near_those_of_float32() -> None:
    lm, table = world("gemma3")
    paths = SETS["shared beginnings"]
    exact = score_forms(lm, [request(paths, table)])[0]
    half = LanguageModel(tiny_backbone("gemma3", seed=0).model.to(torch.bfloat16))
    assert half.takes_trees
    found = score_forms(half, [request(paths, table)])[0]
    assert float(found.double().exp().sum()) == pytest.approx(1.0, abs=1e-4)
    assert float((found - exact).abs().max()) < 1.0


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_tree_over_a_sliding_window_or_too_large_is_read_path_by_path(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, table = world(kind, sliding_window=8) if kind == "gemma3" else world(kind)
    if kind == "llama":
        monkeypatch.setattr("promptbank.engine.scoring.TREE_NUMBERS", 1)
    if kind == "gpt2":
        monkeypatch.setattr(LanguageModel, "takes_trees", False)
    seen = []
    hidden = lm.hidden
    monkeypatch.setattr(lm, "hidden", lambda *given: seen.append(len(given)) or hidden(*given))
    monkeypatch.setattr("promptbank.engine.scoring.EXPANDED_TOKENS", 20)
    requests = [request(paths, table) for paths in SETS.values()]
    check(lm, requests, score_forms(lm, requests))
    assert len(seen) > 2  # the prompts, and paths in chunks
    assert 3 not in seen


@torch.no_grad()
def test_a_large_batch_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, table = world("gemma3")
    requests = [request(paths, table) for paths in SETS.values()]
    whole = torch.cat(score_forms(lm, requests))
    monkeypatch.setattr("promptbank.engine.scoring.TREE_NUMBERS", 100)
    assert torch.allclose(torch.cat(score_forms(lm, requests)), whole, atol=1e-5)


def test_only_what_leads_to_a_branch_is_read() -> None:
    tree = LabelTree([(10, 11, 20, END), (10, 11, 21, END), (13, 20, 21, END), (14, END)])
    assert tree.read == ((10,), (10, 11))
    assert {path: ids.tolist() for path, ids in tree.branches.items()} == {(): [10, 13, 14], (10, 11): [20, 21]}
    assert tree.choices((10, 11, 20, END)).keys() == {0, 2}


TOKENS = st.lists(st.integers(10, 14), min_size=1, max_size=4).map(lambda ids: (*ids, END))


@settings(max_examples=60, deadline=None)
@given(st.lists(TOKENS, min_size=1, max_size=12))
@torch.no_grad()
def test_probabilities_of_any_label_set_add_up_to_one(paths: list[tuple[int, ...]]) -> None:
    lm, table = TINY
    (scores,) = score_forms(lm, [request(paths, table)])
    assert float(scores.double().exp().sum()) == pytest.approx(1.0, abs=1e-4)
    n = len(paths) // 2
    assert float(scores[n]) == pytest.approx(float(brute_force(lm, table, PROMPT, paths[n], paths)), abs=1e-4)


TINY = world("gemma3")


def closed(kind: Kind, **keys: object) -> tuple[LanguageModel, Renderer, PromptTable]:
    backbone = tiny_backbone(kind)
    card = card_of(label_space={label: list(forms) for label, forms in CLOSED.items()}, **keys)
    config = TrainConfig(loss="tree.v1", dtype="float32")
    table = torch.randn(4, backbone.hidden_size, generator=torch.Generator().manual_seed(3))
    return LanguageModel(backbone.model), training_renderer(backbone, card, config), PromptTable.of_rows(table)


LABELLED = [replace(example, answer=list(CLOSED)[n % 4]) for n, example in enumerate(examples_of(6))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("held", [False, True])
def test_the_loss_is_minus_the_score_of_the_trained_form(kind: Kind, held: bool) -> None:
    lm, renderer, table = closed(kind)
    rendered = render_examples(renderer, LABELLED, "tree.v1")
    prefix = prefill(lm, [one.beginning for one in rendered]) if held else None
    found = example_losses(lm, [table] * len(rendered), rendered, prefix)
    scores = score_forms(lm, [ScoringRequest.of(one.prompt, table, renderer) for one in rendered])
    for loss, one, given_scores in zip(found, rendered, scores, strict=True):
        place = [form.ids for form in renderer.forms].index(one.answer)
        assert float(loss) == pytest.approx(-float(given_scores[place]), abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_equals_that_of_brute_force(kind: Kind) -> None:
    lm, renderer, table = closed(kind)
    rendered = render_examples(renderer, LABELLED, "tree.v1")
    every = [form.ids for form in renderer.forms]

    def slope(loss: object) -> Tensor:
        rows = table.input_rows.clone().requires_grad_()
        loss(PromptTable.of_rows(rows)).backward()
        return rows.grad

    ours = slope(lambda own: example_losses(lm, [own] * len(rendered), rendered, None).mean())
    theirs = slope(
        lambda own: -torch.stack([brute_force(lm, own, one.prompt, one.answer, every) for one in rendered]).mean()
    )
    assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


def test_what_comes_after_the_last_branch_is_not_read() -> None:
    _, renderer, _ = closed("llama")
    for one in render_examples(renderer, LABELLED, "tree.v1"):
        assert one.end == len(one.prompt) + max(one.choices)
        assert one.end < len(one.ids)
    assert [one.end for one in render_examples(renderer, LABELLED)] == [
        len(one.ids) for one in render_examples(renderer, LABELLED)
    ]


CONFIG = TrainConfig(epochs=3, batch_size=4, lr=0.02, dtype="float32", loss="tree.v1")


def learnt_row(
    store: Store, home: Path, lm: LanguageModel, backbone: Backbone, name: str, **changes: object
) -> tuple[Row, list[Example]]:
    """Learn a card with labels, or one with an answer format."""
    label_space = {label: [*forms] for label, forms in CLOSED.items()}
    card = card_of(taskname="asks", **KEYS) if name == "format" else card_of(label_space=label_space)
    examples = EXAMPLES if name == "format" else LABELLED
    config = CONFIG.model_copy(update=changes)
    return learn_task(store, backbone, card, examples, examples[1:], config, home=home, lm=lm).row, examples


@pytest.mark.parametrize("name", ["labels", "format"])
def test_neither_training_nor_answering_multiplies_the_whole_head(
    name: str, monkeypatch: pytest.MonkeyPatch, fresh_store: Store, tmp_path: Path
) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("the whole head was multiplied")

    monkeypatch.setattr("promptbank.model.head.FrozenHead.nll", forbidden)
    backbone = tiny_backbone("llama", window=2048)
    lm = LanguageModel(backbone.model)
    calls: list[object] = []
    lm.head.register_forward_hook(lambda _module, _given, out: calls.append(out.shape))
    row, examples = learnt_row(fresh_store, tmp_path, lm, backbone, name)
    assert len(calls) == row.probe_shape[0]  # freezing takes logits to be verified by
    calls.clear()
    task = served_task(row, 1, backbone)
    answers = Predictor(lm).predict([PredictionRequest(task, example.fields) for example in examples])
    assert [type(answer).__name__ for answer in answers] == ["Prediction"] * len(examples)
    assert not calls
    Predictor(lm, constrained=False).predict([PredictionRequest(task, examples[0].fields)])
    assert bool(calls) == (name == "format")  # an answer that is held to nothing may be any token


@pytest.mark.parametrize("prompt", ["rows", "deep"])
def test_a_row_says_how_it_is_scored_and_older_rows_as_ever(fresh_store: Store, tmp_path: Path, prompt: str) -> None:
    backbone = tiny_backbone("llama")
    lm = LanguageModel(backbone.model)
    row, examples = learnt_row(fresh_store, tmp_path, lm, backbone, "labels", kind=prompt)
    assert row.kind == f"{prompt}.v1"
    assert json.loads(row.policy_json)["scoring"] == "tree.v1"
    task = served_task(row, 1, backbone)
    older = replace(task, renderer=task.renderer.with_policy(replace(task.renderer.policy, scoring=None)))
    requests = [PredictionRequest(one, e.fields) for e in examples for one in (task, older)]
    together = Predictor(lm).predict(requests)
    for asked, found in zip(requests, together, strict=True):
        ids = asked.task.renderer.prompt(asked.fields).ids
        scored = score_forms(lm, [ScoringRequest.of(ids, task.table, asked.task.renderer)])[0]
        by_label = label_scores(task.renderer.forms, scored)
        total = sum(map(math.exp, by_label.values()))
        assert found.probabilities == pytest.approx({k: math.exp(v) / total for k, v in by_label.items()}, abs=1e-4)
        assert (total == pytest.approx(1.0, abs=1e-4)) == (asked.task is task)
        (alone,) = Predictor(lm).predict([asked])
        assert alone.probabilities == pytest.approx(found.probabilities, abs=1e-4)
    plain, _ = learnt_row(fresh_store, tmp_path, lm, backbone, "labels", loss="auto")
    assert "scoring" not in json.loads(plain.policy_json)
    strange = replace(row, policy_json=json.dumps({**json.loads(row.policy_json), "scoring": "forest.v1"}))
    with pytest.raises(InputError, match=r"scored by 'forest.v1', and this promptbank knows vocabulary.v1, tree.v1"):
        served_task(strange, 1, backbone)


def test_a_calibrated_row_has_the_prior_of_its_own_scores(fresh_store: Store, tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    lm = LanguageModel(backbone.model)
    row, _ = learnt_row(fresh_store, tmp_path, lm, backbone, "labels", calibrate=True)
    renderer = served_task(row, 1, backbone).renderer
    table = served_task(row, 1, backbone).table
    prior = dict.fromkeys(CLOSED, 0.0)
    for text in CONTENT_FREE:
        prompt = renderer.prompt({"sentence": text}).ids
        for form in renderer.forms:
            score = brute_force(lm, table, prompt, form.ids, [one.ids for one in renderer.forms])
            prior[form.label] += float(score.exp()) / len(CONTENT_FREE)
    expected = {label: math.log(max(p, FLOOR)) for label, p in prior.items()}
    assert renderer.policy.log_prior == pytest.approx(expected, abs=1e-3)


def test_a_formatted_answer_is_learnt_whole_and_written_as_with_the_whole_head(
    fresh_store: Store, tmp_path: Path
) -> None:
    backbone = tiny_backbone("llama", window=2048)
    lm = LanguageModel(backbone.model)
    row, examples = learnt_row(fresh_store, tmp_path, lm, backbone, "format")
    task = served_task(row, 1, backbone)
    whole = replace(task, renderer=task.renderer.with_policy(replace(task.renderer.policy, scoring=None)))
    requests = [PredictionRequest(one, e.fields) for e in examples for one in (task, whole)]
    texts = [answer.text for answer in Predictor(lm).predict(requests)]
    assert texts[::2] == texts[1::2]
    ours = render_examples(task.renderer, examples, "tree.v1")
    means = render_examples(task.renderer, examples, "grammar.v1")
    sums = example_losses(lm, [task.table] * len(ours), ours, None)
    expected = example_losses(lm, [task.table] * len(means), means, None)
    for total, mean, one in zip(sums, expected, ours, strict=True):
        assert float(total) == pytest.approx(float(mean) * len(one.choices), abs=1e-3)


def test_an_answer_of_any_text_has_no_tree() -> None:
    with pytest.raises(ConfigError, match="mood:en has no label_space or answer_format, so there is no tree to learn"):
        loss_for("tree.v1", card_of(label_space=None))


def test_auto_is_the_vocabulary_until_one_line_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    card, formatted, config = card_of(), card_of(taskname="asks", **KEYS), TrainConfig()
    assert loss_for("auto", card) is LOSSES["vocabulary.v1"]
    before = config.decisive()
    assert before["loss"] == "auto"
    for where in ("config", "answer_loss"):
        monkeypatch.setattr(f"promptbank.training.{where}.CLOSED_LOSS", "tree.v1")
    assert loss_for("auto", card) is LOSSES["tree.v1"]
    assert loss_for("auto", formatted) is LOSSES["grammar.v1"]
    assert loss_for("auto", card_of(label_space=None)) is LOSSES["vocabulary.v1"]
    assert config.decisive() == {**before, "loss": "auto: tree.v1"}
    assert TrainConfig(loss="vocabulary.v1").decisive()["loss"] == "vocabulary.v1"
