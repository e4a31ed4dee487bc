"""Answers that are copied: a stretch of the text or "none" (`span.v1`), held by the grammar, with a probability.

Kinds as they are reported: order 50777 that becomes "5077", "Brisk vacuum" that becomes "Bricvair" (issue 17);
SQuAD 2's unanswerable questions, article numbers with hyphens, amounts with thin spaces, Chinese without spaces.
"""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from promptbank.engine.evaluate import evaluate, score_texts
from promptbank.engine.grammar import chunks, constraint_of
from promptbank.engine.predictor import Prediction, PredictionRequest, Predictor, ServedTask
from promptbank.model.forward import LanguageModel
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Renderer, TokenPolicy
from promptbank.training.run_warnings import run_warnings
from tasks import ANSWER_FORMATS, CardError, DataError, Example, TaskCard, example_from, label_of, parse_card
from tasks.records import InputRecord
from tests import worlds
from tests.tiny import tiny_backbone
from tests.worlds import card_of

BACKBONE = tiny_backbone("llama", window=2048)
LM = LanguageModel(BACKBONE.model)
FORMAT = ANSWER_FORMATS["span.v1"]


def spans(**keys: object) -> TaskCard:
    raw = {"taskname": "order", "label_space": None, "truncate_field": None, "answer_format": "span.v1"}
    return card_of("{message}<|VIRTUAL_PROMPT_0|> {label}", **raw | keys)


def task_of(seed: int = 0) -> ServedTask:
    card = spans()
    renderer = Renderer(card, BACKBONE.tokenizer, TokenPolicy.of(BACKBONE.tokenizer, answer_tokens=96), BACKBONE.window)
    table = torch.randn(card.total_virtual_tokens, BACKBONE.hidden_size, generator=torch.Generator().manual_seed(seed))
    return ServedTask(card.taskname, card.lang, 1, "0" * 64, renderer, PromptTable.of_rows(table))


def allows(text: str, answer: str) -> bool:
    return worlds.allows(task_of().renderer, {"message": text}, answer)


def stretches(text: str) -> set[str]:
    """Return all stretches from border to border, by trying every pair of pieces."""
    pieces = chunks(text)
    found = {"".join(pieces[i:j]) for i, j in itertools.combinations(range(len(pieces) + 1), 2)}
    return {stretch for stretch in found if stretch == stretch.strip()}


@pytest.mark.parametrize(
    ("text", "answer", "allowed"),
    [
        ("where is order 50777?", "50777", True),
        ("where is order 50777?", "order 50777", True),
        ("where is order 50777?", "none", True),
        ("where is order 50777?", "5077", False),
        ("where is order 50777?", "50778", False),
        ("where is order 50777?", "", False),
        ("where is order 50777?", "None", False),
        ("my Brisk vacuum broke", "Brisk vacuum", True),
        ("my Brisk vacuum broke", "Brisk  vacuum", False),
        ("my Brisk vacuum broke", "brisk vacuum", False),
        ("article AB-12/7 (red)", "AB-12/7 (red)", True),
        ("betala 1\u202f250 kr", "1\u202f250 kr", True),
        ("我要去北京", "北京", True),
        ("none of them", "none of", True),
        ('say "yes\\no"', '"yes\\no"', True),
        ("", "none", True),
        (" \n", "none", True),
    ],
)
def test_an_answer_is_a_stretch_of_the_text_or_none(text: str, answer: str, allowed: bool) -> None:
    assert allows(text, answer) is allowed


@settings(max_examples=25)
@given(st.text(alphabet='ab 5-(),"}\\\n', max_size=16), st.integers(0, 30))
def test_every_answer_is_one_of_the_stretches_and_its_probability_is_one(text: str, seed: int) -> None:
    [found] = Predictor(LM).predict([PredictionRequest(task_of(seed), {"message": text})])
    assert isinstance(found, Prediction)
    assert found.text in {*stretches(text), "none"}
    assert found.probability is not None
    assert 0 < found.probability <= 1 + 1e-6


def test_the_probabilities_of_all_answers_to_a_short_text_add_up_to_one() -> None:
    """The oracle walks the allowed tokens of every answer, with a pass of the backbone for each token."""
    task, text = task_of(3), "a b"
    prompt = task.renderer.prompt({"message": text}).ids

    def answers(ids: tuple[int, ...], log_p: float) -> dict[tuple[int, ...], float]:
        constraint = constraint_of(task.renderer, {"message": text})
        assert constraint is not None
        for token in ids:
            constraint.advance(token)
        if ids and ids[-1] == task.renderer.policy.eos_id:
            return {ids: log_p}
        allowed = constraint.allowed()
        logits = LM.head(LM.hidden(_packed(task, (*prompt, *ids)))[:, -1]).float()[0]
        steps = logits[allowed].log_softmax(0).tolist()
        found: dict[tuple[int, ...], float] = {}
        for token, step in zip(allowed.tolist(), steps, strict=True):
            found |= answers((*ids, token), log_p + step)
        return found

    with torch.no_grad():
        every = answers((), 0.0)
    assert sum(map(math.exp, every.values())) == pytest.approx(1, abs=1e-4)
    [answer] = Predictor(LM).predict([PredictionRequest(task, {"message": text})])
    assert isinstance(answer, Prediction)
    same = [p for ids, p in every.items() if task.renderer.text(ids).strip() == answer.text]
    assert any(answer.probability == pytest.approx(math.exp(p), abs=1e-4) for p in same)


def _packed(task: ServedTask, ids: tuple[int, ...]) -> object:
    from promptbank.model.inject import pack

    return pack([ids], [task.table])


def test_scores_count_equal_answers_and_shared_words() -> None:
    gold, predicted = ["50777", "Brisk vacuum", "none", "a b c"], [" 50777", "vacuum", "none", "d"]
    # words: 1; 2 * 1 / (2 + 1); 1; 0
    assert FORMAT.scores(spans(), [""] * 4, gold, predicted) == {
        "n": 4,
        "exact_match": 0.5,
        "word_f1": pytest.approx(8 / 12),
    }


def copies(*answers: str) -> list[Example]:
    return [
        Example(id=str(n), group=str(n), taskname="order", lang="en", fields={"message": f"my {a}"}, answer=a)
        for n, a in enumerate(answers)
    ]


def test_scores_do_not_speak_of_the_classes_of_stretches() -> None:
    examples = copies(*"abcdefghi", "none")
    assert set(score_texts(spans(), examples, ["a"] * 10).metrics) == {"n", "exact_match", "word_f1"}
    intents = card_of(
        "{message}<|VIRTUAL_PROMPT_0|> {label}",
        label_space=None,
        truncate_field=None,
        answer_format="intent_slots.v1",
        intents=["go", "stay"],
        slot_types=["place"],
    )
    go, stay = "Intent: go\nSlots: None", "Intent: stay\nSlots: None"
    assert "'go', which is right for 50%" in score_texts(intents, copies(go, stay), [go, go]).metrics["collapse"]


@pytest.mark.parametrize(
    ("answers", "accuracy", "said"),
    [
        (
            ["a", "b", "c", "d"],
            0.0,
            "0.000 of the answers are exactly right, and always answering 'a' would give 0.250",
        ),
        (
            ["none", "a", "none ", "b"],
            0.25,
            "right, and always answering 'none' would give 0.500",
        ),
        (["none", "a", "none", "b"], 0.5, ""),
        (["a", "b", "c", "d"], 0.25, ""),
        (["a", "b"], None, ""),
    ],
)
def test_a_prompt_that_copies_nothing_right_is_warned_of(answers: list[str], accuracy: float | None, said: str) -> None:
    dev = copies(*answers)
    told = list(run_warnings(BACKBONE, spans(), dev, dev, truncated=0, accuracy=accuracy))
    assert len(told) == bool(said)
    assert all(said in one and "more --epochs" in one for one in told)
    free = spans(answer_format=None)
    assert list(run_warnings(BACKBONE, free, dev, dev, truncated=0, accuracy=accuracy)) == []


def test_gold_answers_none_and_blank_ones() -> None:
    card = spans()

    def example(answer: object) -> Example:
        return example_from(
            InputRecord(1, {"message": "order 5", "label": answer, "id": "1"}, "f:1"), card, need_answer=True
        )

    assert [label_of(card)(example(answer)) for answer in ("5", "None", 5)] == ["span", "none", "span"]
    assert FORMAT.write(card, FORMAT.read(card, " NONE ")) == "none"
    assert FORMAT.write(card, FORMAT.read(card, " order 5 ")) == "order 5"
    with pytest.raises(
        DataError, match=r'f:1: the answer is no span.v1: it is blank; give a stretch of the text, or "none"'
    ):
        example("  ")
    with pytest.raises(CardError, match="intents"):
        parse_card({**card.plain(), "intents": ["a"]})


def test_a_task_of_stretches_is_evaluated_by_its_format() -> None:
    texts = ["order 50777 is late", "hello", "the Brisk vacuum"]
    known = [
        Example(id=str(n), group=str(n), taskname="order", lang="en", fields={"message": text}, answer=answer)
        for n, (text, answer) in enumerate(zip(texts, ["50777", "none", "Brisk vacuum"], strict=True))
    ]
    found = evaluate(Predictor(LM), task_of(), known)
    assert set(found.metrics) >= {"n", "exact_match", "word_f1"}
    assert all(p == "none" or p in text for p, text in zip(found.predicted, texts, strict=True))
