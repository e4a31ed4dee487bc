"""Decoding: a beam of one is greedy, a beam finds what enumeration finds, batches change nothing."""

from __future__ import annotations

import pytest
import torch

from promptbank.engine.decoding import AllTokens, BeamSearch, DecodingBatch, Search, decode
from promptbank.model.forward import LanguageModel
from promptbank.mt.engines.backbone import length_batches
from tests.tiny import KINDS, Kind, tiny_backbone

PROMPTS = [(2, 50, 60, 70), (2, 51), (2, 52, 61, 71, 81, 91, 101), (2, 53, 62)]


def lm_of(kind: Kind, seed: int = 0) -> LanguageModel:
    return LanguageModel(tiny_backbone(kind, seed).model)


def sequence_logprob(lm: LanguageModel, prompt: tuple[int, ...], ids: tuple[int, ...]) -> float:
    """From the model's own logits of the whole sequence."""
    whole = torch.tensor([[*prompt, *ids]])
    with torch.no_grad():
        logprobs = lm.model(input_ids=whole).logits[0].log_softmax(-1)
    return sum(float(logprobs[len(prompt) - 1 + t, token]) for t, token in enumerate(ids))


@torch.no_grad()
def greedy(lm: LanguageModel, prompt: tuple[int, ...], eos: int, most: int) -> tuple[int, ...]:
    """The most probable token each time, every one by a pass of its own over the whole sequence."""
    ids: list[int] = []
    while len(ids) < most and (not ids or ids[-1] != eos):
        ids.append(int(lm.model(input_ids=torch.tensor([[*prompt, *ids]])).logits[0, -1].argmax()))
    return tuple(ids)


@pytest.mark.parametrize("kind", KINDS)
def test_a_beam_of_one_is_greedy(kind: Kind) -> None:
    lm = lm_of(kind)
    eos = 77 if kind == "gpt2" else 1
    found = decode(lm, PROMPTS, eos, BeamSearch(beam=1, ratio=0, extra=12, once=0))
    assert [one.ids for one in found] == [greedy(lm, prompt, eos, 12) for prompt in PROMPTS]
    assert found == decode(lm, PROMPTS, eos, BeamSearch.greedy(12))


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_mean_logprobs_of_the_ids(kind: Kind, beam: int) -> None:
    lm = lm_of(kind)
    for prompt, found in zip(PROMPTS, decode(lm, PROMPTS, 1, BeamSearch(beam=beam, ratio=1, extra=5)), strict=True):
        assert found.score == pytest.approx(sequence_logprob(lm, prompt, found.ids) / len(found.ids), abs=1e-3)


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_translation_does_not_depend_on_its_batch(kind: Kind, beam: int) -> None:
    lm = lm_of(kind)
    how = BeamSearch(beam=beam, ratio=2, extra=4)
    together = decode(lm, PROMPTS, 1, how)
    for prompt, found in zip(PROMPTS, together, strict=True):
        (alone,) = decode(lm, [prompt], 1, how)
        assert alone.ids == found.ids
        assert alone.score == pytest.approx(found.score, abs=1e-4)
        assert len(alone.ids) <= how.limit(len(prompt))


def by_brute_force(lm: LanguageModel, prompt: tuple[int, ...], eos: int, beam: int, limit: int) -> tuple[int, ...]:
    """Textbook beam search, every hypothesis by a forward pass of its own."""
    living: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    done: list[tuple[float, tuple[int, ...]]] = []
    for _ in range(limit):
        candidates = []
        for total, ids in living:
            with torch.no_grad():
                step = lm.model(input_ids=torch.tensor([[*prompt, *ids]])).logits[0, -1].log_softmax(-1)
            candidates += [(total + float(p), (*ids, token)) for token, p in enumerate(step)]
        candidates.sort(key=lambda c: -c[0])
        done += [(t / len(i), i) for t, i in candidates[:beam] if i[-1] == eos]
        living = [c for c in candidates if c[1][-1] != eos][:beam]
        if len(done) >= beam:
            break
    return max(done or [(t / len(i), i) for t, i in living])[1]


@pytest.mark.parametrize("beam", [2, 4])
def test_a_beam_finds_what_textbook_search_finds(beam: int) -> None:
    lm = lm_of("llama", seed=3)
    ended = 0
    for eos in (1, 120, 121, 122, 123):
        found = decode(lm, PROMPTS, eos, BeamSearch(beam=beam, ratio=0, extra=6))
        assert [f.ids for f in found] == [by_brute_force(lm, p, eos, beam, 6) for p in PROMPTS]
        ended += sum(f.ids[-1] == eos for f in found)
    assert ended > 0  # otherwise the end was never tried


def test_batches_by_length_hold_every_row_and_their_limit() -> None:
    lengths = [5, 40, 7, 7, 3, 90, 8]
    batches = length_batches(lengths, 40)
    assert batches[0] == [5]
    assert sorted(i for batch in batches for i in batch) == list(range(7))
    assert all(len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= 40 for batch in batches)


@pytest.mark.parametrize("beam", [1, 2])
def test_no_run_of_tokens_stands_twice_unless_the_prompt_has_it(beam: int) -> None:
    lm = lm_of("llama", seed=3)
    free = decode(lm, PROMPTS, 1, BeamSearch(beam=beam, ratio=0, extra=40, once=0))
    held = decode(lm, PROMPTS, 1, BeamSearch(beam=beam, ratio=0, extra=40, once=2))
    assert any(repeated(found.ids, 2) for found in free), "a random model must loop for this to mean anything"
    assert [repeated(found.ids, 2) for found in held] == [set()] * len(PROMPTS)
    loop = min(run for found in free for run in repeated(found.ids, 2))
    prompt = (*PROMPTS[0], *loop)
    (found,) = decode(lm, [prompt], 1, BeamSearch(beam=beam, ratio=0, extra=40, once=2))
    assert repeated(found.ids, 2) <= {prompt[n : n + 2] for n in range(len(prompt) - 1)}


def repeated(ids: tuple[int, ...], size: int) -> set[tuple[int, ...]]:
    """Runs that stand at least twice."""
    runs = [ids[n : n + size] for n in range(len(ids) - size + 1)]
    return {run for run in runs if runs.count(run) > 1}


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_searches_that_join_and_leave_a_batch_find_what_they_find_alone(kind: Kind, beam: int) -> None:
    """One joins before each step, the second leaves unfinished after its third step."""
    lm, how = lm_of(kind), BeamSearch(beam=beam, ratio=1, extra=6)
    searches = [Search(n, prompt, how, 1, None) for n, prompt in enumerate(PROMPTS)]
    batch = DecodingBatch(lm, AllTokens(lm))
    ended: list[Search] = []
    for step in range(40):
        batch.admit(searches[step : step + 1])
        ended += batch.step() if batch.going else []
        if step == 3:
            batch.leave([searches[1]])
    alone = decode(lm, PROMPTS, 1, how)
    assert {search.place for search in ended} == {0, 2, 3}
    for search in ended:
        assert search.best().ids == alone[search.place].ids
        assert search.best().score == pytest.approx(alone[search.place].score, abs=1e-4)


def test_a_batch_that_everybody_left_takes_new_searches() -> None:
    lm, how = lm_of("llama"), BeamSearch.greedy(5)
    batch = DecodingBatch(lm, AllTokens(lm))
    first, second = (Search(n, prompt, how, 1, None) for n, prompt in enumerate(PROMPTS[:2]))
    batch.admit([first])
    batch.leave([first])
    batch.admit([second])
    while batch.going:
        batch.step()
    assert second.best() == decode(lm, [PROMPTS[1]], 1, how)[0]
