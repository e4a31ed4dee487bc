"""Label scores and greedy answers against brute force over full sequences."""

import math

import pytest
import torch

from promptbank.engine.decoding import BeamSearch, decode
from promptbank.engine.scoring import ScoringRequest, label_scores, score_forms
from promptbank.model.forward import LanguageModel, prefill
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Form
from tests.tiny import KINDS, Kind, tiny_backbone

PROMPT = (5, 6, 7, -1, -2, 9)
FORMS = (Form("a", (10, 1)), Form("a", (10, 11, 1)), Form("b", (12, 13, 14, 1)), Form("c", (1,)))


def brute_force(model, table, prompt, answer) -> float:
    """log P(answer | prompt) from the whole sequence at once, all logits, no cache."""
    embedding = model.get_input_embeddings()
    own = [table.input_rows[-i - 1] if i < 0 else embedding(torch.tensor([i]))[0] for i in (*prompt, *answer)]
    logprobs = model(inputs_embeds=torch.stack(own)[None], use_cache=False).logits[0].log_softmax(-1)
    start = len(prompt) - 1
    return sum(float(logprobs[start + k, token]) for k, token in enumerate(answer))


def world(kind: Kind):
    backbone = tiny_backbone(kind)
    table = torch.randn(2, backbone.hidden_size, generator=torch.Generator().manual_seed(3))
    return backbone.model, LanguageModel(backbone.model), PromptTable.of_rows(table)


@pytest.mark.parametrize("kind", KINDS)
def test_form_scores_equal_brute_force(kind: Kind) -> None:
    model, lm, table = world(kind)
    requests = [ScoringRequest(PROMPT, table, FORMS), ScoringRequest(PROMPT[:4], table, FORMS[:2])]
    for request, scores in zip(requests, score_forms(lm, requests), strict=True):
        expected = [brute_force(model, table, request.ids, form.ids) for form in request.forms]
        assert scores.tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_form_scores_after_held_keys_equal_brute_force(kind: Kind) -> None:
    model, lm, table = world(kind)
    requests = [ScoringRequest(PROMPT[3:], table, FORMS), ScoringRequest(PROMPT[3:], table, FORMS)]
    held = prefill(lm, [PROMPT[:3], PROMPT[1:3]])
    scores = score_forms(lm, requests, held)
    for start, found in zip((0, 1), scores, strict=True):
        expected = [brute_force(model, table, PROMPT[start:], form.ids) for form in FORMS]
        assert found.tolist() == pytest.approx(expected, abs=1e-4)


def test_chunks_of_forms_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _, lm, table = world("llama")
    requests = [ScoringRequest(PROMPT, table, FORMS)] * 3
    whole = torch.cat(score_forms(lm, requests))
    monkeypatch.setattr("promptbank.engine.scoring.EXPANDED_TOKENS", 1)
    lm.head_rows = 1
    assert torch.allclose(torch.cat(score_forms(lm, requests)), whole, atol=1e-5)


def test_a_label_scores_the_logsumexp_of_its_forms() -> None:
    scores = label_scores(FORMS, torch.tensor([-1.0, -2.0, -3.0, -4.0]))
    assert scores["a"] == pytest.approx(math.log(math.exp(-1) + math.exp(-2)))
    assert scores["b"] == pytest.approx(-3.0)
    assert list(scores) == ["a", "b", "c"]


def test_a_synonym_never_lowers_its_label() -> None:
    one = label_scores(FORMS[:1], torch.tensor([-1.0]))
    two = label_scores(FORMS[:2], torch.tensor([-1.0, -9.0]))
    assert two["a"] >= one["a"]


def test_sequences_of_all_lengths_up_to_two_sum_to_one() -> None:
    # every continuation either ends at once or goes on: P(end) + sum over first tokens of P(token) = 1
    _, lm, table = world("gpt2")
    forms = tuple(Form(str(t), (t,)) for t in range(lm.vocabulary))
    scores = score_forms(lm, [ScoringRequest(PROMPT, table, forms)])[0]
    assert float(scores.exp().sum()) == pytest.approx(1.0, abs=1e-4)


def greedy(model, table, prompt, eos, most) -> list[int]:
    answer: list[int] = []
    embedding = model.get_input_embeddings()
    while len(answer) < most and (not answer or answer[-1] != eos):
        own = [table.input_rows[-i - 1] if i < 0 else embedding(torch.tensor([i]))[0] for i in (*prompt, *answer)]
        answer.append(int(model(inputs_embeds=torch.stack(own)[None], use_cache=False).logits[0, -1].argmax()))
    return answer


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_answers_equal_decoding_from_scratch(kind: Kind) -> None:
    model, lm, table = world(kind)
    prompts = [PROMPT, PROMPT[:4], (8, -1, -2), (20, 21, 22, 23, 24, 25, 26, -2)]
    first = greedy(model, table, prompts[0], -1, 3)
    eos = first[1]  # so that rows end at different steps
    found = decode(lm, prompts, eos, BeamSearch.greedy(9), tables=[table] * 4)
    assert [[*one.ids] for one in found] == [greedy(model, table, prompt, eos, 9) for prompt in prompts]
    assert len({len(answer.ids) for answer in found}) > 1
