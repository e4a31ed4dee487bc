"""The predictor: one text that many tasks ask about is read once, and the answers are those of each task alone."""

from __future__ import annotations

import pytest
import torch

from promptbank.engine.predictor import SHARED_TOKENS, Prediction, PredictionRequest, Predictor, ServedTask
from promptbank.lab.methods.icl import plain_card
from promptbank.lab.methods.tuning import PlainRenderer
from promptbank.model.forward import Context, LanguageModel
from promptbank.model.inject import PackedBatch
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import TokenPolicy
from tests.tiny import KINDS, Kind, tiny_backbone
from tests.worlds import AFTER, BEFORE, card_of, renderer_of

TEXT = "the company said that orders are up in one year and that the outlook is good, again and again"


def tasks_on(kind: Kind) -> list[ServedTask]:
    """Six tasks after the text, of three sizes of prompt, and one before it."""
    backbone = tiny_backbone(kind, window=512)
    made = []
    for n in range(7):
        size = 3 + n % 3
        card = card_of(BEFORE if n == 6 else AFTER, (size,), taskname=f"task-{n}")
        table = torch.randn(size, backbone.hidden_size, generator=torch.Generator().manual_seed(n))
        made.append(
            ServedTask(card.taskname, "en", 1, f"{n}" * 64, renderer_of(backbone, card), PromptTable.of_rows(table))
        )
    return made


def probabilities(answers: list[object]) -> list[list[float]]:
    found = []
    for answer in answers:
        assert isinstance(answer, Prediction)
        assert answer.probabilities is not None
        found.append(list(answer.probabilities.values()))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_that_many_tasks_ask_about_is_read_once(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor(LanguageModel(tiny_backbone(kind, window=512).model))
    requests = [PredictionRequest(task, {"sentence": TEXT}) for task in tasks_on(kind)]
    alone = [predictor.predict([request])[0] for request in requests]
    read: list[int] = []
    whole = predictor.lm.hidden

    def hidden(packed: PackedBatch, context: Context | None = None, *more: object) -> torch.Tensor:
        read.append(int(packed.mask.sum()))
        return whole(packed, context, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(predictor.lm, "hidden", hidden)
    together = predictor.predict(requests)
    torch.testing.assert_close(probabilities(list(together)), probabilities(list(alone)), atol=1e-4, rtol=0)
    text = len(predictor.prepare(requests[0]).beginning)
    assert text >= SHARED_TOKENS
    assert read.count(text) == 1
    rest = sum(predictor.prepare(request).tokens for request in requests[:6]) - 6 * text
    assert sum(read) < text + rest + 200  # the seventh prompt and the forms; six texts would be 6 * text


def test_short_beginnings_are_read_with_each_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor(LanguageModel(tiny_backbone("llama", window=512).model))
    requests = [PredictionRequest(task, {"sentence": "bad"}) for task in tasks_on("llama")]
    alone = [predictor.predict([request])[0] for request in requests]
    monkeypatch.setattr("promptbank.engine.predictor.prefill", lambda *_: pytest.fail("read apart"))
    together = predictor.predict(requests)
    torch.testing.assert_close(probabilities(list(together)), probabilities(list(alone)), atol=1e-4, rtol=0)


def test_one_text_asked_twice_without_virtual_tokens_is_answered_as_when_it_is_asked_once() -> None:
    backbone = tiny_backbone("llama", window=512)
    plain = plain_card(card_of())
    policy = TokenPolicy.of(backbone.tokenizer, answer_tokens=12)
    renderer = PlainRenderer(plain, backbone.tokenizer, policy, backbone.window)
    task = ServedTask("mood", "en", 0, "", renderer, PromptTable.empty(backbone.hidden_size))
    request, predictor = PredictionRequest(task, {"sentence": TEXT}), Predictor(LanguageModel(backbone.model))
    assert len(predictor.prepare(request).beginning) == predictor.prepare(request).tokens - 1 >= SHARED_TOKENS
    alone = predictor.predict([request])
    twice = predictor.predict([request, request])
    torch.testing.assert_close(probabilities([*twice]), probabilities([*alone, *alone]), atol=1e-4, rtol=0)
